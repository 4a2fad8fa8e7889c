"""What `ode_consistency` found."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from keras_rk.diagnostics.plots import positive, powers_of_two
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
        substeps: how many steps replaced one.
        to_limit: the relative distance of the outputs from the limit.
        to_trained: their relative distance from the outputs of the trained network.
        score: the accuracy or other metric; None without targets.
    """

    method: str
    order: int
    substeps: int
    to_limit: float
    to_trained: float
    score: float | None


@dataclass(frozen=True)
class ConsistencyReport(Report):
    """How far a trained network is from the limit of ever smaller steps.

    `plot` draws distances from the limit, and accuracies, over the number of substeps.

    Distances are root mean squares over all outputs and all data, relative to what they are
    measured from: rms(outputs - limit) / rms(limit).

    Attributes:
        trained_with: the methods of the trained network.
        weights: what became of weights between blocks, "piecewise_constant" or "interpolated".
        recalibration_shift: how far recalibration alone moved the outputs of the trained network;
            None if there was none.
        runs: the runs, method after method.
        limit: the run that stands for the limit: the finest one of the method of highest order.
        limit_error: the distance of that run from the one before, with fewer substeps; the error
            of the limit is smaller where the method converges.
        distance: the distance of the trained outputs from the limit.
        metric: the name of the metric; None without targets.
        accuracy: that of the trained network.
        accuracy_at_limit: that of the limit.
        tolerance: the largest distance for `verdict` to be that of an ODE.
        accuracy_tolerance: the largest loss of accuracy.
    """

    trained_with: str
    weights: str
    recalibration_shift: float | None
    runs: tuple[Run, ...]
    limit: Run
    limit_error: float
    distance: float
    metric: str | None
    accuracy: float | None
    accuracy_at_limit: float | None
    tolerance: float
    accuracy_tolerance: float

    @property
    def accuracy_lost(self) -> float | None:
        """How much accuracy is lost on the way to the limit; negative if some is gained."""
        if self.accuracy is None or self.accuracy_at_limit is None:
            return None
        return self.accuracy - self.accuracy_at_limit

    @property
    def is_resolved(self) -> bool:
        """Whether the limit is known well enough to compare with.

        Its error is small, at most a quarter of the tolerance, or small beside the distance, at
        most a quarter of that.
        """
        return self.limit_error <= max(self.tolerance, self.distance) / 4 < math.inf

    @property
    def verdict(self) -> str:
        """One of "behaves like an ODE", "relies on its own steps" and "limit not resolved"."""
        if not self.is_resolved:
            return UNRESOLVED
        lost = self.accuracy_lost
        keeps_accuracy = lost is None or lost <= self.accuracy_tolerance
        return ODE if self.distance <= self.tolerance and keeps_accuracy else STEPS

    def _parts(self) -> dict[str, Any]:
        further = ("accuracy_lost", "is_resolved", "verdict")
        return {**asdict(self), **{name: getattr(self, name) for name in further}}

    def __str__(self) -> str:
        limit = f"{self.limit.method}, {self.limit.substeps} substeps"
        lines = [
            f"ODE consistency: {self.verdict}",
            f"  trained with       {self.trained_with}",
            f"  limit              {limit}; {shown(self.limit_error)} from its run before",
            f"  distance           {shown(self.distance)} (trained outputs from the limit)",
        ]
        if self.recalibration_shift is not None:
            shift = shown(self.recalibration_shift)
            lines.append(f"  recalibration      {shift} (what it alone moved the outputs)")
        if self.metric is not None:
            change = f"{shown(self.accuracy)} trained, {shown(self.accuracy_at_limit)} at the limit"
            lines.append(f"  {self.metric:<18} {change}, {shown(self.accuracy_lost)} lost")
        lines.append(f"  weights in depth   {self.weights.replace('_', ' ')}")
        return "\n".join([*lines, "", self._table()])

    def _table(self) -> str:
        headings = ["method", "order", "substeps", "to limit", "to trained"]
        headings += [] if self.metric is None else [self.metric]
        rows = [
            [run.method, run.order, run.substeps, run.to_limit, run.to_trained]
            + ([] if self.metric is None else [run.score])
            for run in self.runs
        ]
        return table(headings, rows)

    def _painters(self) -> list[Callable[[Any], None]]:
        return [self._draw] + ([] if self.metric is None else [self._draw_scores])

    def _draw(self, axes: Any) -> None:
        for name, runs in self._by_method().items():
            points = positive([run.substeps for run in runs], [run.to_limit for run in runs])
            axes.plot(*points, marker="o", label=name)
        if 0 < self.distance < math.inf:
            axes.axhline(self.distance, color="black", linestyle="--", label="as trained")
        axes.set_yscale("log")
        axes.set_ylabel("relative distance from the limit")
        self._finish(axes)

    def _draw_scores(self, axes: Any) -> None:
        for name, runs in self._by_method().items():
            scores = [math.nan if run.score is None else run.score for run in runs]
            axes.plot([run.substeps for run in runs], scores, marker="o", label=name)
        axes.axhline(self.accuracy, color="black", linestyle="--", label="as trained")
        axes.set_ylabel(self.metric)
        self._finish(axes)

    def _finish(self, axes: Any) -> None:
        powers_of_two(axes, sorted({run.substeps for run in self.runs}))
        axes.legend()

    def _by_method(self) -> dict[str, list[Run]]:
        return {
            name: [run for run in self.runs if run.method == name]
            for name in dict.fromkeys(run.method for run in self.runs)
        }
