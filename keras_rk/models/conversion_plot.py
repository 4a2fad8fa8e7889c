"""A network with its Runge-Kutta blocks, drawn."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from keras_rk.analysis.plots.canvas import figure_class, given_axes

COLOURS = {"block": "lightskyblue", "sum": "moccasin", "other": "0.92"}
ACROSS = 8  # cells in a line
WIDTH, LINES = 20, 4  # of the text in a cell


class Row(NamedTuple):
    """What a model calls.

    Attributes:
        name: the name of the model.
        cells: kind ("block", "sum" that was kept, "other") and text of each, in order.
    """

    name: str
    cells: tuple[tuple[str, str], ...]


def draw_network(target: Any, rows: Sequence[Row]) -> Any:
    """Draws models below one another, each from left to right in as many lines as it takes.

    Args:
        target: a path, Matplotlib axes, or None for a new figure.
        rows: the models.

    Returns:
        The Matplotlib figure.
    """
    lines: list[tuple[str, Sequence[tuple[str, str]]]] = []
    for row in rows:
        starts = range(0, max(len(row.cells), 1), ACROSS)
        lines += [(row.name if n == 0 else "", row.cells[n : n + ACROSS]) for n in starts]
    figure, axes = _axes(target, len(lines))
    axes.set_axis_off()
    axes.set_xlim(-0.1, ACROSS + 0.1)
    axes.set_ylim(-len(lines), 0.3)
    for place, (name, cells) in enumerate(lines):
        if name:
            look = {"fontsize": 8, "va": "bottom", "style": "italic", "parse_math": False}
            axes.text(0, -place + 0.02, name, **look)
        for column, (kind, text) in enumerate(cells):
            _cell(axes, column, -place - 0.45, kind, text)
    if isinstance(target, (str, os.PathLike)):
        figure.savefig(target, dpi=150)
    return figure


def _cell(axes: Any, x: float, y: float, kind: str, text: str) -> None:
    """A box with the way into it, and over blocks and sums the way around."""
    arrow = {"arrowstyle": "->", "lw": 0.8, "color": "0.3", "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", (x + 1, y), (x, y), arrowprops=arrow)
    if kind != "other":
        arc = {**arrow, "connectionstyle": "arc3,rad=-0.4"}
        axes.annotate("", (x + 0.95, y), (x + 0.02, y), arrowprops=arc)
    box = {"boxstyle": "round,pad=0.35", "facecolor": COLOURS[kind], "edgecolor": "0.5", "lw": 0.6}
    look = {"fontsize": 6.5, "ha": "center", "va": "center", "bbox": box, "parse_math": False}
    axes.text(x + 0.47, y, wrapped(text), zorder=5, **look)


def wrapped(text: str) -> str:
    """Text in lines that fit into a cell, broken after underscores where there are any.

    >>> print(wrapped("stage_3_block_2_residual_sum"))
    stage_3_block_2_
    residual_sum
    """
    lines: list[str] = []
    for line in text.split("\n"):
        lines.append("")
        for part in re.split(r"(?<=[_ ])", line):
            if lines[-1] and len(lines[-1] + part) > WIDTH:
                lines.append("")
            lines[-1] += part
    return "\n".join(lines if len(lines) <= LINES else [*lines[: LINES - 1], "…"])


def _axes(target: Any, lines: int) -> tuple[Any, Any]:
    axes = given_axes(target)
    if axes is not None:
        return axes.figure, axes
    figure = figure_class()(figsize=(1.45 * ACROSS, 0.9 * lines + 0.3), layout="constrained")
    return figure, figure.subplots()
