"""observed_order: how fast a trained network converges to its limit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import keras
import numpy as np

from keras_rk.diagnostics.arguments import increasing_substeps, method, method_names
from keras_rk.diagnostics.calibration import statistics_line
from keras_rk.diagnostics.plots import positive, powers_of_two
from keras_rk.diagnostics.reports import Report
from keras_rk.diagnostics.runs import Runs, relative_distance
from keras_rk.diagnostics.tables import shown, table

ROUND_OFF = 2.0**-22  # relative, of outputs in float32
ABOVE_FLOOR = 4  # how many times the floor a distance must be to count


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
        fit: the order by least squares over all distances that count; None with fewer than two.
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
    reference: str
    weights: str
    statistics: str | None = None
    recalibration_shift: float | None = None

    def __str__(self) -> str:
        of_method = "" if self.order is None else f" (order {self.order} for smooth f)"
        rows = zip(self.substeps, self.distances, [None, *self.orders], strict=True)
        return "\n".join(
            [
                f"Observed order: {shown(self.fit)}",
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
        if xs and self.order is not None:
            line = [ys[0] * (xs[0] / x) ** self.order for x in xs]
            axes.plot(xs, line, color="black", linestyle=":", label=f"order {self.order}")
        axes.axhline(self.floor, color="gray", linestyle="--", label="limit known to")
        axes.set_yscale("log")
        axes.set_ylabel("relative distance from the limit")
        powers_of_two(axes, self.substeps)
        axes.legend()


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
    Interpolated weights, constant within each substep, show no more than 2 either. In float32
    distances of less than about 1e-6 are round-off; they do not count.

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
        reference: the method for the limit, with four times the largest number of substeps.
        weights: `"piecewise_constant"` or `"interpolated"`, as in `ode_consistency`.
        recalibrate, calibration: which moving statistics are estimated anew, and from which
            training points, as in `ode_consistency`.
        batch_size: for arrays, as in `model.predict`.
        verbose: 0 for no progress; otherwise a bar.

    Returns:
        An `OrderReport`, with the order between each two numbers of substeps, and the fit.

    Raises:
        ValueError: for a bad argument, and for a model without Runge-Kutta layers.
        keras_rk.TableauError: for an unknown method.
    """
    counts, limit_method = increasing_substeps(substeps), method(reference)
    chosen = None if tableau is None else method(tableau)
    runs = Runs(
        model,
        data,
        weights=weights,
        recalibrate=recalibrate,
        calibration=calibration,
        batch_size=batch_size,
        count=len(counts) + 2,
        verbose=verbose,
    )
    names = method_names(runs.layers)
    if chosen is None and "," not in names:
        chosen = method(runs.layers[0].tableau)
    limit, coarser = (runs(limit_method.tableau, n * counts[-1]) for n in (4, 2))
    outputs = [runs(tableau, count) for count in counts]
    distances = tuple(relative_distance(x, limit) for x in outputs)
    floor = max(relative_distance(coarser, limit), ROUND_OFF)
    return OrderReport(
        method=names if chosen is None else chosen.name,
        order=None if chosen is None else chosen.order,
        substeps=counts,
        distances=distances,
        orders=_orders(counts, distances, floor),
        floor=floor,
        fit=_slope(counts, distances, floor),
        reference=f"{limit_method.name}, {4 * counts[-1]} substeps",
        weights=runs.weights,
        statistics=runs.calibration.statistics,
        recalibration_shift=(
            relative_distance(runs(), runs.trained) if runs.recalibrates else None
        ),
    )


def _counts(distance: float, floor: float) -> bool:
    return ABOVE_FLOOR * floor < distance < math.inf


def _orders(
    substeps: Sequence[int], distances: Sequence[float], floor: float
) -> tuple[float | None, ...]:
    points = list(zip(substeps, distances, strict=True))
    return tuple(
        math.log(x / y) / math.log(n / m) if _counts(x, floor) and _counts(y, floor) else None
        for (m, x), (n, y) in pairwise(points)
    )


def _slope(substeps: Sequence[int], distances: Sequence[float], floor: float) -> float | None:
    points = [(m, x) for m, x in zip(substeps, distances, strict=True) if _counts(x, floor)]
    if len(points) < 2:
        return None
    logs = np.log(np.array(points))
    return float(-np.polyfit(logs[:, 0], logs[:, 1], 1)[0])
