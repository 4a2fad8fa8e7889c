"""The rooted trees up to an order, with their order conditions."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

from keras_rk.analysis.plots.canvas import BROKEN, DARK, MEDIUM, label, one_axes
from keras_rk.analysis.plots.tree_drawings import condition_formula, draw_tree
from keras_rk.butcher.reading import order_number
from keras_rk.butcher.tableau import Tableau
from keras_rk.errors import TableauError
from keras_rk.proof import rooted_trees as trees
from keras_rk.proof.digits import RESIDUAL_DIGITS, brief
from keras_rk.proof.order_conditions import OrderCondition, order_conditions
from keras_rk.tableaux.as_tableau import as_tableau

__all__ = ["rooted_trees"]

_HIGHEST = 7  # 85 trees
_CELL = (1.95, 1.5)  # inches
_HEADING = 0.34
_COLUMNS = {1: 2, 2: 2, 3: 4, 4: 4, 5: 5, 6: 6, 7: 8}


class _Cell(NamedTuple):
    """Where a tree stands: column, and the upper edge of its row, in inches below the first."""

    tree: trees.RootedTree
    column: int
    top: float
    is_first: bool


def rooted_trees(order: int = 4, tableau: Any = None, *, axes: Any = None) -> Any:
    """Draws the rooted trees up to an order, each with its order condition, gamma and sigma.

    A method has order p if Phi(t) = 1/gamma(t) for all trees with at most p vertices. The root
    is the hollow vertex below.

    Args:
        order: up to 7.
        tableau: a method; what each condition leaves of it is written below, and trees whose
            conditions it does not meet stand out.
        axes: Matplotlib axes to draw into; None for a new figure.

    Returns:
        The Matplotlib figure.

    Raises:
        TableauError: for another order, or another thing than a method.
        ImportError: where Matplotlib is missing.

    Source: E. Hairer, S. P. Norsett, G. Wanner, *Solving Ordinary Differential Equations I*,
    chapter II, for the notions and the notation.

    Example:

    >>> figure = rooted_trees(4)                 # doctest: +SKIP
    >>> figure.savefig("trees.svg")              # doctest: +SKIP
    >>> figure = rooted_trees(5, "rk4")          # doctest: +SKIP
    """
    order = order_number(order, "order")
    if order > _HIGHEST:
        raise TableauError(
            f"A picture shows the trees of orders up to {_HIGHEST}. Received: order={order}."
        )
    method = None if tableau is None else as_tableau(tableau)
    cells, width, height = _laid_out(order)
    axes = one_axes(axes, width, height + 0.5)
    axes.set_xlim(0, width)
    axes.set_ylim(-height, 0)
    axes.set_axis_off()
    scale = _scale(axes, width, height)
    found = {} if method is None else _conditions(method, order)
    row_sums = method is None or list(method.exact_c) == list(method.row_sums)
    for cell in cells:
        _draw(axes, cell, found.get(cell.tree), row_sums, scale)
    title = f"rooted trees up to order {order} and their order conditions"
    if method is not None:
        title += f",\nas {label(method, 0)} meets them"
    axes.set_title(title, color=DARK, fontsize=11)
    return axes.figure


def _laid_out(order: int) -> tuple[list[_Cell], float, float]:
    """The cells, and the size of all of them; an order that fits beside the one before does."""
    columns = _COLUMNS[order]
    cells: list[_Cell] = []
    column, top = 0, 0.0
    for n in range(1, order + 1):
        group = list(trees.rooted_trees(n))
        if column and column + len(group) > columns:
            column, top = 0, top + _CELL[1] + _HEADING
        for k, tree in enumerate(group):
            if column == columns:
                column, top = 0, top + _CELL[1]
            cells.append(_Cell(tree, column, top, k == 0))
            column += 1
    return cells, columns * _CELL[0], top + _CELL[1] + _HEADING


def _scale(axes: Any, width: float, height: float) -> float:
    """How much smaller than wanted the axes are."""
    box = axes.get_window_extent()
    inches = axes.figure.dpi
    return min(1.0, box.width / inches / width * 1.1, box.height / inches / height * 1.1)


def _conditions(method: Tableau, order: int) -> dict[trees.RootedTree, OrderCondition]:
    return {
        condition.tree: condition
        for n in range(1, order + 1)
        for condition in order_conditions(method, n)
    }


def _draw(
    axes: Any, cell: _Cell, condition: OrderCondition | None, row_sums: bool, scale: float
) -> None:
    middle, top = (cell.column + 0.5) * _CELL[0], -cell.top - _HEADING
    if cell.is_first:
        n = cell.tree.order
        left = cell.column * _CELL[0] + 0.1
        axes.text(left, top + 0.08, f"order {n}", color=DARK, fontsize=10 * scale, weight="bold")
    fails = condition is not None and condition.verdict == "failed"
    colour = BROKEN if fails else DARK
    look = {"color": colour, "markersize": 5.5 * scale, "linewidth": 1.4 * scale}
    draw_tree(axes, cell.tree, middle, top - 0.78, (1.0, 0.68), **look)
    lines = [
        (condition_formula(cell.tree, row_sums), DARK, 9.5),
        (f"γ = {cell.tree.density}, σ = {cell.tree.symmetry}", MEDIUM, 8.0),
    ]
    if condition is not None:
        lines[1] = (_found(condition), colour if fails else MEDIUM, 8.0)
    for k, (text, ink, size) in enumerate(lines):
        written = axes.text(
            middle,
            top - 1.03 - 0.27 * k,
            text,
            color=ink,
            fontsize=size * scale,
            ha="center",
            va="center",
            parse_math=text.startswith("$"),
        )
        written.set_in_layout(False)  # it has its place, and need not be measured


def _found(condition: OrderCondition) -> str:
    if condition.verdict == "exact":
        return "holds"
    residual = condition.exact_residual
    short = isinstance(residual, Fraction) and len(str(residual)) <= 16
    text = str(residual) if short else brief(residual, RESIDUAL_DIGITS)
    return f"{'fails' if condition.verdict == 'failed' else 'numerically'}: off by {text}"
