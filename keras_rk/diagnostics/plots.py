"""What the pictures of the reports share. Matplotlib is imported when the first one is drawn."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

from keras_rk.analysis.plots.canvas import BROKEN, MAIN, figure_class, given_axes

INSIDE, OUTSIDE = MAIN, BROKEN
WIDTH = 50  # characters of a title in a line
MARKS = (("o", 7), ("s", 5), ("^", 3), ("D", 2))  # smaller and smaller: lines that coincide show


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


def mark(place: int) -> dict[str, Any]:
    """Marks that differ from line to line in form and size."""
    marker, size = MARKS[place % len(MARKS)]
    return {"marker": marker, "markersize": size}


def log_axis(axes: Any, values: Sequence[float | None]) -> None:
    """A logarithmic axis for these values, with a tick, which a short one does not have."""
    seen = [y for y in values if y and y > 0 and math.isfinite(y)]
    if not seen:
        axes.set_yticks([])  # of what cannot be drawn, `note_undrawn` tells
        return
    axes.set_yscale("log")
    if max(seen) < 10 * min(seen):
        middle = math.sqrt(max(seen)) * math.sqrt(min(seen))  # which may be near overflow
        axes.set_ylim(middle / 10, middle * 10)


def note_undrawn(
    axes: Any, xs: Sequence[Any], ys: Sequence[float | None], *, is_log: bool = True
) -> None:
    """Marks at the lower edge for values that the axis has no place for.

    Args:
        is_log: whether the axis is logarithmic, without a place for 0.
    """
    points = [(x, y) for x, y in zip(xs, ys, strict=True) if y is not None]
    lost = [x for x, y in points if not math.isfinite(y)]
    zeros = [x for x, y in points if y == 0] if is_log else []
    look = {"clip_on": False, "zorder": 4, "transform": axes.get_xaxis_transform()}
    for places, marker, colour, name in (
        (lost, "x", OUTSIDE, "not finite"),
        (zeros, "v", "gray", "exactly 0"),
    ):
        if places:
            heights = [0.02] * len(places)
            axes.scatter(places, heights, marker=marker, color=colour, label=name, **look)


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
        axes.set_xticks(range(count), names, parse_math=False)
    else:
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        axes.set_xlabel("block")


def legend_above(axes: Any) -> None:
    """A legend between the title and the axes, where it covers nothing."""
    labels = axes.get_legend_handles_labels()[1]
    if labels:
        place = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.0), "borderaxespad": 0.2}
        legend = axes.legend(ncols=_columns(labels), frameon=False, fontsize=8, **place)
        for text in legend.get_texts():
            text.set_parse_math(False)  # a name is no formula


def titled(axes: Any, text: str) -> None:
    """A title above the legend, of several lines if it is long."""
    labels = axes.get_legend_handles_labels()[1]
    rows = -(-len(labels) // _columns(labels)) if labels else 0
    lines = textwrap.fill(text, WIDTH)
    axes.set_title(lines, fontsize=10, pad=8 + 13 * rows, parse_math=False)


def _columns(labels: Sequence[str]) -> int:
    """How many entries of a legend fit side by side above one panel."""
    return max(1, min(3, len(labels), 70 // (max(map(len, labels)) + 9)))
