"""Pictures of what `ode_consistency` found."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from keras_rk.diagnostics.plots import (
    legend_above,
    log_axis,
    mark,
    note_undrawn,
    positive,
    titled,
)

LEAST = 0.2  # how much of an axis of accuracies is shown at least, so that a sample is no cliff
ROOM = 0.05  # beyond the points, as a share of what is shown
BLACK = {"color": "black", "linestyle": "--", "linewidth": 1, "zorder": 1}
GRAY = {"color": "gray", "linewidth": 1, "linestyle": ":", "zorder": 1}


class ConsistencyPlot:
    """The panels of a report.

    Args:
        report: a `ConsistencyReport`.
    """

    def __init__(self, report: Any) -> None:
        self._report = report

    def distances(self, axes: Any) -> None:
        """Distances from the limit over the number of substeps."""
        report = self._report
        for place, (name, runs) in enumerate(self._by_method().items()):
            points = positive([run.substeps for run in runs], [run.to_limit for run in runs])
            axes.plot(*points, label=name, **mark(place))
        if 0 < report.distance < math.inf:
            axes.axhline(report.distance, label="as trained", **BLACK)
        control = [x.distance for x in report.control if 0 < x.distance < math.inf]
        self._across(axes, control, "untrained")
        coarser = positive(
            [run.substeps for run in report.coarser], [run.to_limit for run in report.coarser]
        )
        if coarser[0]:
            axes.scatter(*coarser, marker="s", color="black", s=16, label="larger steps")
        every = [*report.runs, *report.coarser]
        found = [run.to_limit for run in every]
        note_undrawn(axes, [run.substeps for run in every], found)
        log_axis(axes, [*found, report.distance, *control])
        axes.set_ylabel("relative distance from the limit")
        self._finish(axes, f"ODE consistency: {report.verdict}")

    def scores(self, axes: Any) -> None:
        """Accuracies over the number of substeps."""
        report = self._report
        for place, (name, runs) in enumerate(self._by_method().items()):
            scores = [math.nan if run.score is None else run.score for run in runs]
            axes.plot([run.substeps for run in runs], scores, label=name, **mark(place))
        axes.axhline(report.accuracy, label="as trained", **BLACK)
        coarser = [(run.substeps, run.score) for run in report.coarser]
        if coarser:
            places, found = zip(*coarser, strict=True)
            axes.scatter(places, found, marker="s", color="black", s=16, label="larger steps")
        shown = [report.accuracy, *(run.score for run in (*report.runs, *report.coarser))]
        limits = limits_of_scores(shown, is_share=report.metric == "accuracy")
        if limits is not None:
            axes.set_ylim(*limits)
        every = [*report.runs, *report.coarser]
        scores = [run.score for run in every]
        note_undrawn(axes, [run.substeps for run in every], scores, is_log=False)
        axes.set_ylabel(report.metric)
        self._finish(axes, _change(report.metric, report.accuracy_lost))

    def depth(self, axes: Any) -> None:
        """The distance of the states after each step or block."""
        report = self._report
        places = range(1, len(report.state_distances) + 1)
        xs, ys = positive(places, report.state_distances)
        axes.plot(xs, ys, marker="o", markersize=4, label="states, as trained")
        axes.axhline(report.tolerance, label="tolerance", **BLACK)
        note_undrawn(axes, places, report.state_distances)
        log_axis(axes, [*ys, report.tolerance])
        axes.set_xlim(0.5, max(len(report.state_distances), 1) + 0.5)
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        axes.set_xlabel("steps or blocks")
        axes.set_ylabel("relative distance from the limit")
        legend_above(axes)
        titled(axes, f"States along depth: {report.verdict}")

    def _across(self, axes: Any, values: Sequence[float], name: str) -> None:
        """Lines across the panel, as one collection."""
        if values:
            places = [run.substeps for run in (*self._report.runs, *self._report.coarser)]
            ends = [min(places) / 1.2] * len(values), [max(places) * 1.2] * len(values)
            axes.hlines(values, *ends, label=name, **GRAY)

    def _finish(self, axes: Any, title: str) -> None:
        counts = sorted({run.substeps for run in (*self._report.coarser, *self._report.runs)})
        axes.set_xscale("log", base=2)
        names = [str(n) if n >= 1 else f"1/{round(1 / n)}" for n in counts]
        axes.set_xticks(counts, names)
        axes.set_xlim(min(counts) / 1.2, max(counts) * 1.2)
        axes.set_xlabel("substeps")
        legend_above(axes)
        titled(axes, title)

    def _by_method(self) -> dict[str, list[Any]]:
        runs = self._report.runs
        return {
            name: [run for run in runs if run.method == name]
            for name in dict.fromkeys(run.method for run in runs)
        }


def _change(metric: str, lost: float | None) -> str:
    """What became of the score on the way to the limit."""
    if lost is None or not math.isfinite(lost):
        return f"{metric}: not known at the limit"
    if lost == 0:
        return f"{metric}: the same at the limit"
    return f"{metric}: {abs(lost):.3g} {'lost' if lost > 0 else 'gained'} at the limit"


def limits_of_scores(scores: Sequence[float | None], is_share: bool) -> tuple[float, float] | None:
    """What is shown of an axis of scores: never so little that one sample looks like a cliff.

    >>> limits_of_scores([0.99, 1.0], is_share=True)
    (0.79, 1.01)
    >>> limits_of_scores([0.5, 1.0], is_share=True)
    (0.475, 1.025)
    """
    finite = [score for score in scores if score is not None and math.isfinite(score)]
    if not finite:
        return None
    low, high = min(finite), max(finite)
    if is_share and high - low < LEAST:
        high = min(1.0, max(high, (low + high + LEAST) / 2))
        low = max(0.0, high - LEAST)
        high = low + LEAST
    room = ROOM * max(high - low, 1e-3)
    return round(low - room, 6), round(high + room, 6)
