"""What the pictures of the reports share. Matplotlib is imported when the first one is drawn."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from keras_rk.analysis.plots.canvas import BROKEN, MAIN, figure_class, given_axes

INSIDE, OUTSIDE = MAIN, BROKEN


def draw(target: Any, painters: Sequence[Callable[[Any], None]]) -> Any:
    """Draws panels side by side.

    Args:
        target: a path, to which the picture is written; Matplotlib axes, into which the first
            panel is drawn; None for a new figure.
        painters: what draws each panel into axes.

    Returns:
        The Matplotlib figure.
    """
    axes = given_axes(target)
    if axes is not None:
        painters[0](axes)
        return axes.figure
    figure = figure_class()(figsize=(5 * len(painters), 3.8), layout="constrained")
    panels = figure.subplots(1, len(painters), squeeze=False)[0]
    for axes, paint in zip(panels, painters, strict=True):
        paint(axes)
    if target is not None:
        figure.savefig(target, dpi=150)
    return figure


def positive(xs: Sequence[Any], ys: Sequence[float | None]) -> tuple[list, list]:
    """The points that logarithmic axes can show."""
    pairs = [(x, y) for x, y in zip(xs, ys, strict=True) if y and y > 0 and math.isfinite(y)]
    return [x for x, _ in pairs], [y for _, y in pairs]


def powers_of_two(axes: Any, substeps: Sequence[int]) -> None:
    """A logarithmic axis with a tick for each number of substeps."""
    axes.set_xscale("log", base=2)
    axes.set_xticks(list(substeps), [str(n) for n in substeps])
    axes.set_xlim(min(substeps) / 1.2, max(substeps) * 1.2)
    axes.set_xlabel("substeps")


def block_axis(axes: Any, names: Sequence[str]) -> None:
    """An axis of blocks: numbered from 0, or with their names where these are few and short."""
    count = len(names)
    axes.set_xlim(-0.75, count - 0.25)
    if count <= 4 and max(map(len, names)) <= 14:
        axes.set_xticks(range(count), names)
    else:
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axes.set_xlabel("block")


def legend_above(axes: Any) -> None:
    """A legend between the title and the axes, where it covers nothing."""
    entries = len(axes.get_legend_handles_labels()[0])
    if entries:
        place = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.0), "borderaxespad": 0.2}
        axes.legend(ncols=min(entries, 3), frameon=False, fontsize=8, **place)


def titled(axes: Any, text: str) -> None:
    """A title above the legend."""
    entries = len(axes.get_legend_handles_labels()[0])
    axes.set_title(text, fontsize=10, pad=8 + 13 * -(-entries // 3))
