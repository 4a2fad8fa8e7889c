"""observed_order: how fast a trained network converges to its limit."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import keras

from keras_rk.diagnostics.arguments import increasing_substeps, method, method_names
from keras_rk.diagnostics.asymptotics import ABOVE_FLOOR, counts_as_distance, fitted_order
from keras_rk.diagnostics.calibration import statistics_line
from keras_rk.diagnostics.distances import relative_distance
from keras_rk.diagnostics.plots import (
    legend_above,
    log_axis,
    note_undrawn,
    positive,
    powers_of_two,
    titled,
)
from keras_rk.diagnostics.reports import Report
from keras_rk.diagnostics.runs import Runs
from keras_rk.diagnostics.tables import shown, table
from keras_rk.progress import Progress

ROUND_OFF = 2.0**-22  # relative, of outputs in float32
ROUNDING_AT_MOST = 1e-4  # a limit that is known less well is not known for other reasons
RATE = 1.5  # what twice the substeps divide an error by, at the least
LIMIT_RUNS = 4, 2  # times the largest number of substeps, at first
LIMIT = 4, 16  # times the largest number of substeps: where the limit is, and may be at most


@dataclass(frozen=True)
class OrderReport(Report):
    """The order of convergence that a trained network shows.

    `plot` draws the distances from the limit over the number of substeps, beside a line of the
    order.

    Attributes:
        method: the name of the method.
        order: its order p for y' = f(y), which shows for smooth f; None where the layers have
            several methods.
        substeps: the numbers of substeps.
        distances: the relative distance of the outputs from the limit for each of them.
        orders: between each two of them, log(distance ratio) / log(substeps ratio); None where a
            distance is not above the floor.
        floor: how well the limit is known: its own error, and round-off. Distances of less than
            four times that do not count.
        fit: the order by least squares over the distances that count, as far as they are in the
            asymptotic range; None where that cannot be said.
        note: why there is no order, or what it rests on; empty where nothing is to be said.
        reference: the method that the limit was computed with.
        weights: what became of weights between blocks, "piecewise_constant" or "interpolated";
            interpolated ones show order 2 at most.
        statistics: where moving statistics come from; None if there are none.
        recalibration_shift: how far recalibration alone moved the outputs of the trained network;
            None if there was none.
    """

    method: str
    order: int | None
    substeps: tuple[int, ...]
    distances: tuple[float, ...]
    orders: tuple[float | None, ...]
    floor: float
    fit: float | None
    note: str
    reference: str
    weights: str
    statistics: str | None = None
    recalibration_shift: float | None = None

    _label_width = 7

    def __str__(self) -> str:
        of_method = "" if self.order is None else f" (order {self.order} for smooth f)"
        rows = zip(self.substeps, self.distances, [None, *self.orders], strict=True)
        return "\n".join(
            [
                f"Observed order: {shown(self.fit)}" + (f" ({self.note})" if self.note else ""),
                f"  method  {self.method}{of_method}",
                f"  limit   {self.reference}, known to {shown(self.floor)}",
                f"  weights {self.weights.replace('_', ' ')} in depth",
                *self._statistics(),
                "",
                table(["substeps", "to limit", "order"], list(rows)),
            ]
        )

    def _statistics(self) -> list[str]:
        if self.statistics is None:
            return []
        return [f"  statistics {statistics_line(self.statistics, self.recalibration_shift)}"]

    def _draw(self, axes: Any) -> None:
        xs, ys = positive(self.substeps, self.distances)
        axes.plot(xs, ys, marker="o", label=self.method)
        counting = [
            (x, y) for x, y in zip(xs, ys, strict=True) if counts_as_distance(y, self.floor)
        ]
        if counting and self.order is not None:
            end, height = counting[-1]  # the asymptotic range is on that side
            line = [height * (end / x) ** self.order for x in xs]
            axes.plot(xs, line, color="black", linestyle=":", label=f"order {self.order}")
        if math.isfinite(self.floor):
            axes.axhline(self.floor, color="gray", linestyle="--", label="limit known to")
            axes.axhspan(0, ABOVE_FLOOR * self.floor, color="gray", alpha=0.15, linewidth=0)
        note_undrawn(axes, self.substeps, self.distances)
        seen = [*ys, *([self.floor] if math.isfinite(self.floor) else [])]
        log_axis(axes, seen)
        if seen and max(seen) >= 10 * min(seen):
            axes.set_ylim(min(seen) / 2, max(seen) * 2)
        axes.set_ylabel("relative distance from the limit")
        powers_of_two(axes, self.substeps)
        legend_above(axes)
        titled(axes, self._title)

    @property
    def _title(self) -> str:
        if self.fit is None:
            return f"No order observed: {self.note}"
        of_method = "" if self.order is None else f", of a method of order {self.order}"
        return f"Observed order {shown(self.fit)}{of_method}"


def observed_order(
    model: keras.Model,
    data: Any,
    tableau: Any = None,
    *,
    substeps: Sequence[int] = (1, 2, 4, 8, 16),
    reference: Any = "rk8",
    weights: str = "piecewise_constant",
    recalibrate: bool | None = None,
    calibration: Any = None,
    batch_size: int | None = None,
    verbose: Any = "auto",
) -> OrderReport:
    """Measures how fast a trained network converges to the limit of ever smaller steps.

    With the distance e_m of the outputs with steps of dt / m from the limit, a method of order p
    has, for smooth f,

        e_m = C m^(-p) + ...,    p = log(e_m / e_2m) / log 2

    Order p shows only for smooth activations: with relu, f has kinks, and RK4 shows about 2.
    Interpolated weights, constant within each substep, show no more than 2 either.

    It shows in the asymptotic range alone. There distances fall from each number of substeps to the
    next, by orders that hardly change, or that go up and down where f has kinks; the fit is over
    the last ones that do so, at least three, or the two that there are. Others, with steps so large
    that they are unstable, say, which gives any slope, are left out, and `report.note` says so.
    Distances of less than four times what the limit is known to do not count; in float32 that is
    about 1e-6 of rounding at best.

    The limit is computed with four times the largest number of substeps, and compared with half as
    many. Where some distance does not count for that, it is computed with other numbers: more as
    long as that brings it closer, fewer where rounding, which adds up, is what is left.

    Example:

    >>> from keras_rk.layers import RKResidual
    >>> f = keras.layers.Dense(2, activation="tanh", kernel_initializer="identity")
    >>> model = keras.Sequential([keras.Input((2,)), RKResidual(f, "heun2", dt=0.5)])
    >>> x = np.random.default_rng(0).normal(size=(50, 2)).astype("float32")
    >>> report = observed_order(model, x, substeps=[4, 8, 16], verbose=0)
    >>> round(report.fit, 1)
    2.0

    Args:
        model: a Keras model with `RKResidual` or `RKStack` layers.
        data: what `model.predict` takes, to be read several times, always in the same order.
        tableau: the method: a name, a `keras_rk.Tableau`, or arrays `(A, b[, c])`; None for that of
            each layer.
        substeps: increasing numbers of substeps.
        reference: the method for the limit.
        weights: `"piecewise_constant"` or `"interpolated"`, as in `ode_consistency`.
        recalibrate, calibration: which moving statistics are estimated anew, and from which
            training points, as in `ode_consistency`.
        batch_size: for arrays, as in `model.predict`.
        verbose: 0 for no progress; "auto" shows it, with the time left, where it takes long and
            somebody watches, on a terminal or in a notebook; 1 always.

    Returns:
        An `OrderReport`, with the order between each two numbers of substeps, and the fit, or why
        there is none.

    Raises:
        ValueError: for a bad argument, and for a model without Runge-Kutta layers.
        keras_rk.TableauError: for an unknown method.
    """
    counts, limit_method = increasing_substeps(substeps), method(reference)
    chosen = None if tableau is None else method(tableau)
    with Progress("observed_order", verbose=verbose) as progress:
        runs = Runs(
            model,
            data,
            weights=weights,
            recalibrate=recalibrate,
            calibration=calibration,
            batch_size=batch_size,
            progress=progress,
        )
        names = method_names(runs.layers)
        if chosen is None and "," not in names:
            chosen = method(runs.layers[0].tableau)
        of_limit = runs.cost(limit_method.tableau, sum(LIMIT_RUNS) * counts[-1])
        progress.ahead(runs.cost(tableau, sum(counts)) + of_limit)
        # the largest number first, so that one trace does for all
        outputs = [runs(tableau, count) for count in reversed(counts)][::-1]
        limit = Limit(partial(runs, limit_method.tableau), counts[-1])
        limit.improve(outputs)
        distances = tuple(relative_distance(x, limit.outputs) for x in outputs)
        fit, note = fitted_order(counts, distances, limit.floor)
        return OrderReport(
            method=names if chosen is None else chosen.name,
            order=None if chosen is None else chosen.order,
            substeps=counts,
            distances=distances,
            orders=_orders(counts, distances, limit.floor),
            floor=limit.floor,
            fit=fit,
            note=note,
            reference=f"{limit_method.name}, {limit.substeps} substeps",
            weights=runs.weights,
            statistics=runs.calibration.statistics,
            recalibration_shift=(
                relative_distance(runs(), runs.trained) if runs.recalibrates else None
            ),
        )


class Limit:
    """The limit of ever smaller steps, as well as it can be computed.

    Attributes:
        outputs: those of the run that stands for it.
        substeps: of that run.
        floor: how well it is known: its distance from the run with half as many substeps; in
            float32 not better than rounding.

    Args:
        run: the outputs for a number of substeps.
        most: the largest number of substeps that is compared with the limit.
    """

    def __init__(self, run: Callable[[int], Any], most: int) -> None:
        self._run, self._known = run, dict[int, Any]()
        self._most = LIMIT[1] * most
        self.substeps, self.outputs, self.floor = self._taken(LIMIT[0] * most)

    def improve(self, outputs: Sequence[Any]) -> None:
        """Looks for a better one as long as some of the outputs are too close to this one."""
        if self._is_enough(outputs):
            return
        before = relative_distance(self._at(self.substeps // 4), self._at(self.substeps // 2))
        only_rounding = before < RATE * self.floor < ROUNDING_AT_MOST
        while not self._is_enough(outputs):
            substeps = self.substeps // 2 if only_rounding else 2 * self.substeps
            if not 2 <= substeps <= self._most or not self._keep_better(substeps):
                return

    def _is_enough(self, outputs: Sequence[Any]) -> bool:
        distances = [relative_distance(x, self.outputs) for x in outputs]
        return self.floor <= ROUND_OFF or all(x > ABOVE_FLOOR * self.floor for x in distances)

    def _keep_better(self, substeps: int) -> bool:
        """Takes other substeps if the limit is known better then."""
        taken = self._taken(substeps)
        is_better = taken[2] < self.floor or not math.isfinite(self.floor)
        if is_better:
            self.substeps, self.outputs, self.floor = taken
        return is_better

    def _taken(self, substeps: int) -> tuple[int, Any, float]:
        outputs = self._at(substeps)
        floor = max(relative_distance(self._at(substeps // 2), outputs), ROUND_OFF)
        return substeps, outputs, floor

    def _at(self, substeps: int) -> Any:
        if substeps not in self._known:
            self._known[substeps] = self._run(substeps)
        return self._known[substeps]


def _orders(
    substeps: Sequence[int], distances: Sequence[float], floor: float
) -> tuple[float | None, ...]:
    points = list(zip(substeps, distances, strict=True))
    return tuple(
        math.log(x / y) / math.log(n / m)
        if counts_as_distance(x, floor) and counts_as_distance(y, floor)
        else None
        for (m, x), (n, y) in pairwise(points)
    )
