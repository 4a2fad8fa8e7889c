"""What all pictures share: Matplotlib, which is imported late, axes, colours and labels."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

from keras_rk.butcher.tableau import Tableau
from keras_rk.errors import TableauError, shown
from keras_rk.tableaux.as_tableau import as_tableau

__all__ = [
    "BROKEN",
    "DARK",
    "LIGHT",
    "MAIN",
    "MEDIUM",
    "Style",
    "figure_class",
    "given_axes",
    "label",
    "legend",
    "new_figure",
    "one_axes",
    "styled",
]

MAIN, BROKEN = "#0072B2", "#D55E00"  # blue and vermillion
DARK, MEDIUM, LIGHT = "#1a1a1a", "#555555", "#c8c8c8"
# Okabe and Ito's colours; their yellow, which is too light for lines on white, is left out
_COLOURS = (MAIN, BROKEN, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_LINES = ("-", "--", "-.", ":")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_MOST_METHODS = 14
_LONGEST_NAME = 32
_DPI = 150  # a figure is laid out and saved with it, so that formulas are read once


class Style(NamedTuple):
    """How the lines of one method look."""

    tableau: Tableau
    label: str
    colour: str
    line: str
    marker: str


def styled(methods: Sequence[Any]) -> list[Style]:
    """The methods of a picture as tableaux, each with a label and a look of its own."""
    if not 1 <= len(methods) <= _MOST_METHODS:
        raise TableauError(
            f"A picture shows 1 to {_MOST_METHODS} methods. Received: {len(methods)} of them."
        )
    found = []
    for i, method in enumerate(methods):
        tableau = as_tableau(method)
        turn, place = divmod(i, len(_COLOURS))
        line = _LINES[(place + turn) % len(_LINES)]
        marker = _MARKERS[(place + turn) % len(_MARKERS)]
        found.append(Style(tableau, label(tableau, i), _COLOURS[place], line, marker))
    return found


def label(tableau: Tableau, place: int) -> str:
    """A method's name as Matplotlib prints it as it is, without reading it as mathematics."""
    name = tableau.name or f"method {place + 1}"
    if len(name) > _LONGEST_NAME:
        name = f"{name[: _LONGEST_NAME - 3]}..."
    return "".join(x if x.isprintable() else "?" for x in name).replace("$", r"\$")


def figure_class() -> Any:
    """Matplotlib's figure, without a window and without the state of pyplot."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "Pictures need Matplotlib: `pip install 'keras-rk[plots]'`. "
            f"Importing it failed with: {error}"
        ) from error
    return Figure


def new_figure(width: float, height: float) -> Any:
    """A figure of so many inches."""
    return figure_class()(figsize=(width, height), layout="constrained", dpi=_DPI)


def given_axes(target: Any) -> Any:
    """The axes into which a picture goes; None where the target is a path or nothing."""
    if target is None or isinstance(target, (str, os.PathLike)):
        return None
    if not hasattr(target, "plot"):
        raise ValueError(
            "A picture goes to a path or into Matplotlib axes. "
            f"Received: {target!r} (of type {type(target).__name__})."
        )
    return target


def one_axes(axes: Any, width: float, height: float) -> Any:
    """The axes that were given, or those of a new figure."""
    if axes is None:
        return new_figure(width, height).subplots()
    if not hasattr(axes, "plot") or not hasattr(axes, "figure"):
        raise TableauError(
            f"`axes` are Matplotlib axes, or None for a new figure. Received: {shown(axes)}."
        )
    return axes


def legend(axes: Any, looks: Sequence[dict[str, Any]], *, beside: bool) -> None:
    """A legend on the right of axes that are alone, and within others where it hides least.

    Args:
        looks: Matplotlib's properties of a line, with its label, for each entry.
    """
    from matplotlib.lines import Line2D

    place = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0), "borderaxespad": 0.0}
    axes.legend(
        handles=[Line2D([], [], **look) for look in looks],
        frameon=not beside,
        fontsize=9,
        labelcolor=DARK,
        handlelength=3.2,
        **(place if beside else {"loc": "best"}),
    )
