"""What `ode_consistency` found."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from keras_rk.diagnostics.advice import Steepest, advise
from keras_rk.diagnostics.calibration import statistics_line
from keras_rk.diagnostics.consistency_plot import ConsistencyPlot
from keras_rk.diagnostics.plots import draw
from keras_rk.diagnostics.reports import Report
from keras_rk.diagnostics.tables import shown, table

ODE = "behaves like an ODE"
STEPS = "relies on its own steps"
UNRESOLVED = "limit not resolved"


@dataclass(frozen=True)
class Run:
    """The trained weights with one method and one number of substeps.

    Attributes:
        method: the name of the method.
        order: its order for y' = f(y).
        substeps: how many steps replaced one; 1/2 where one replaced two.
        to_limit: the relative distance of the outputs from the limit.
        to_trained: their relative distance from the outputs of the trained network.
        score: the accuracy or other metric; None without targets.
    """

    method: str
    order: int
    substeps: float
    to_limit: float
    to_trained: float
    score: float | None


@dataclass(frozen=True)
class Limit:
    """A network and its limit, in short.

    Attributes:
        weights: what became of weights between blocks.
        distance: that of the outputs from the limit.
        state_distance: the largest distance of the states; None where they cannot be had.
        limit_error: the distance of the limit from the run before; None where there was none.
        accuracy, accuracy_at_limit: None without targets.
    """

    weights: str
    distance: float
    state_distance: float | None
    limit_error: float | None
    accuracy: float | None
    accuracy_at_limit: float | None


@dataclass(frozen=True)
class ConsistencyReport(Report):
    """How far a trained network is from the limit of ever smaller steps.

    `plot` draws distances from the limit, and accuracies, over the number of substeps;
    `plot_depth` the distance of the states along depth.

    Distances are root mean squares over all data, relative to how much the limit differs from
    point to point: rms(outputs - limit) / rms(limit - mean of the limit over the data).

    Attributes:
        trained_with: the methods of the trained network.
        weights: what became of weights between blocks, "interpolated" or "piecewise_constant".
        recalibration_shift: how far recalibration alone moved the outputs of the trained network;
            None if there was none.
        statistics: where moving statistics come from: "estimated anew", "as trained", or "as
            trained, of the nearest evaluation"; None if there are none.
        runs: the runs, method after method.
        limit: the run that stands for the limit: the finest one of the method of highest order.
        limit_error: the distance of that run from the one before, with fewer substeps, at the
            outputs or the states, whichever is larger; the error of the limit is smaller where the
            method converges.
        distance: the distance of the trained outputs from the limit.
        metric: the name of the metric; None without targets.
        accuracy: that of the trained network.
        accuracy_at_limit: that of the limit.
        tolerance: the largest distance for `verdict` to be that of an ODE.
        accuracy_tolerance: the largest loss of accuracy.
        output_distances: the distance of each output by itself.
        state_distances: the distance of the states after each step of an `RKResidual` and each
            block of an `RKStack`, of some samples; none where they cannot be had.
        constant: the limit with weights that are constant within each block, where `weights` are
            interpolated by default.
        control: the same network untrained, with initial weights drawn anew.
        coarser: the trained weights with larger steps, by the network's own methods.
        steepest: the block that asks for the smallest steps, where the limit is not resolved.
    """

    trained_with: str
    weights: str
    recalibration_shift: float | None
    statistics: str | None
    runs: tuple[Run, ...]
    limit: Run
    limit_error: float
    distance: float
    metric: str | None
    accuracy: float | None
    accuracy_at_limit: float | None
    tolerance: float
    accuracy_tolerance: float
    output_distances: tuple[float, ...] = ()
    state_distances: tuple[float, ...] = ()
    constant: Limit | None = None
    control: tuple[Limit, ...] = ()
    coarser: tuple[Run, ...] = ()
    steepest: Steepest | None = None

    _label_width = 18

    @property
    def accuracy_lost(self) -> float | None:
        """How much accuracy is lost on the way to the limit; negative if some is gained."""
        if self.accuracy is None or self.accuracy_at_limit is None:
            return None
        return self.accuracy - self.accuracy_at_limit

    @property
    def state_distance(self) -> float | None:
        """The largest distance of the states along depth."""
        return max(self.state_distances, default=None)

    @property
    def largest_distance(self) -> float:
        """That of the outputs or of the states, whichever is larger."""
        return max([self.distance, *self.state_distances])

    @property
    def is_resolved(self) -> bool:
        """Whether the limit is known well enough to compare with.

        Its error is small, at most a quarter of the tolerance, or small beside the distance, at
        most a quarter of that.
        """
        return self.limit_error <= self._wanted < math.inf

    @property
    def _wanted(self) -> float:
        return max(self.tolerance, self.largest_distance) / 4

    @property
    def verdict(self) -> str:
        """One of "behaves like an ODE", "relies on its own steps" and "limit not resolved"."""
        if not self.is_resolved:
            return UNRESOLVED
        lost = self.accuracy_lost
        keeps_accuracy = lost is None or lost <= self.accuracy_tolerance
        is_near = self.largest_distance <= self.tolerance
        return ODE if is_near and keeps_accuracy else STEPS

    @property
    def advice(self) -> str | None:
        """What to try where the limit is not resolved."""
        if self.is_resolved:
            return None
        limit = self.limit.method, self.limit.order, int(self.limit.substeps)
        wanted = self._wanted if math.isfinite(self._wanted) else self.tolerance / 4
        return advise(*limit, self.limit_error, wanted, self.steepest)

    def with_steepest(self, steepest: Steepest | None) -> ConsistencyReport:
        """The same report with the block that asks for the smallest steps."""
        return replace(self, steepest=steepest)

    def plot_depth(self, target: Any = None) -> Any:
        """Draws the distance of the states along depth, as `plot` does."""
        return draw(target, [ConsistencyPlot(self).depth])

    def _parts(self) -> dict[str, Any]:
        further = ("accuracy_lost", "state_distance", "is_resolved", "verdict", "advice")
        return {**asdict(self), **{name: getattr(self, name) for name in further}}

    def __str__(self) -> str:
        limit = f"{self.limit.method}, {self.limit.substeps} substeps"
        lines = [
            f"ODE consistency: {self.verdict}",
            *_line("trained with", self.trained_with),
            *_line("limit", f"{limit}; {shown(self.limit_error)} from its run before"),
            *_line("distance", f"{shown(self.distance)} (trained outputs from the limit)"),
            *self._of_outputs(),
            *self._of_states(),
        ]
        if self.statistics is not None:
            found = statistics_line(self.statistics, self.recalibration_shift)
            lines += _line("statistics", found)
        if self.metric is not None:
            change = f"{shown(self.accuracy)} trained, {shown(self.accuracy_at_limit)} at the limit"
            lines += _line(self.metric, f"{change}, {shown(self.accuracy_lost)} lost")
        lines += _line("weights in depth", self.weights.replace("_", " "))
        if self.constant is not None:
            lines += _line("constant instead", self._short(self.constant))
        if self.control:
            lines += _line("untrained", f"{self._control()} (fresh initial weights)")
        if self.advice is not None:
            lines += _line("advice", self.advice)
        return "\n".join([*lines, "", self._table()])

    def _of_outputs(self) -> list[str]:
        largest = max(self.output_distances, default=0.0)
        if not 2 * self.distance < largest < math.inf:
            return []
        worst = int(np.argmax(self.output_distances))
        value = shown(self.output_distances[worst])
        return _line("worst output", f"{value} (output {worst} of {len(self.output_distances)})")

    def _of_states(self) -> list[str]:
        if not self.state_distances:
            return []
        worst, count = int(np.argmax(self.state_distances)), len(self.state_distances)
        where = f"after {worst + 1} of {count} steps or blocks"
        return _line("states", f"{shown(self.state_distance)} at most, {where}")

    def _short(self, limit: Limit) -> str:
        parts = [f"distance {shown(limit.distance)}"]
        if limit.state_distance is not None:
            parts.append(f"states {shown(limit.state_distance)}")
        if limit.accuracy_at_limit is not None:
            parts.append(f"{self.metric} {shown(limit.accuracy_at_limit)} at the limit")
        return ", ".join(parts)

    def _control(self) -> str:
        distances = sorted(limit.distance for limit in self.control)
        if len(distances) == 1:
            return f"distance {shown(distances[0])}"
        middle = float(np.median(distances))
        span = f"{shown(distances[0])} to {shown(distances[-1])}"
        return f"distance {shown(middle)}, {span} in {len(distances)} draws"

    def _table(self) -> str:
        headings = ["method", "order", "substeps", "to limit", "to trained"]
        headings += [] if self.metric is None else [self.metric]
        rows = [
            [run.method, run.order, _substeps(run), run.to_limit, run.to_trained]
            + ([] if self.metric is None else [run.score])
            for run in (*self.coarser, *self.runs)
        ]
        return table(headings, rows)

    def _painters(self) -> list[Callable[[Any], None]]:
        plot = ConsistencyPlot(self)
        return [plot.distances] + ([] if self.metric is None else [plot.scores])

    def _draw(self, axes: Any) -> None:
        ConsistencyPlot(self).distances(axes)


def _line(name: str, text: str) -> list[str]:
    return [f"  {name:<18} {text}"]


def _substeps(run: Run) -> str:
    return str(run.substeps) if run.substeps >= 1 else f"1/{round(1 / run.substeps)}"
