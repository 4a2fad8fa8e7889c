"""The error coefficients of methods, tree by tree."""

from __future__ import annotations

import math
from typing import Any

from keras_rk.analysis.plots.canvas import (
    DARK,
    LIGHT,
    MEDIUM,
    Style,
    legend,
    one_axes,
    styled,
)
from keras_rk.analysis.plots.tree_drawings import draw_tree
from keras_rk.butcher.reading import order_number
from keras_rk.butcher.tableau import Tableau
from keras_rk.errors import TableauError
from keras_rk.proof.checker import check
from keras_rk.proof.order_conditions import Residuals
from keras_rk.proof.rooted_trees import RootedTree, rooted_trees

__all__ = ["error_coefficients"]

_HIGHEST = 11  # 1842 trees
_MOST_DRAWN = 60  # more trees than that are numbered, since nobody could see them
_ROOM = 0.30  # of the height of the coefficients, for the trees below them


def error_coefficients(*methods: Any, order: int | None = None, axes: Any = None) -> Any:
    """Draws |tau(t)| = |Phi(t) - 1/gamma(t)| / sigma(t), tree by tree, of one or several methods.

    These are what a method of order p gets wrong in one step: the error is the sum of
    tau(t) F(t) dt^|t| over the trees t with p + 1 vertices, and higher terms. The axis is
    logarithmic; conditions that are met stand on the line "0" at its lower end.

    Args:
        methods: tableaux, names of methods or files, or `(A, b[, c])`.
        order: the number of vertices of the trees, up to 11; None for those orders that the
            methods lack first: p + 1, from the lowest p to the highest.
        axes: Matplotlib axes to draw into; None for a new figure.

    Returns:
        The Matplotlib figure.

    Raises:
        TableauError: for a tableau with symbols, and for higher orders.
        ImportError: where Matplotlib is missing.

    Source: E. Hairer, S. P. Norsett, G. Wanner, *Solving Ordinary Differential Equations I*,
    section II.3, for the notion.

    Example:

    >>> figure = error_coefficients("rk4", "rk38", "ralston4")       # doctest: +SKIP
    >>> figure.savefig("errors.png")                                 # doctest: +SKIP
    """
    styles = styled(methods)
    orders = _orders([style.tableau for style in styles], order)
    trees = [tree for n in orders for tree in rooted_trees(n)]
    step = 0.36 if len(trees) <= _MOST_DRAWN else 12 / len(trees)
    is_alone = axes is None
    axes = one_axes(axes, min(max(step * len(trees) + 2.6, 6.5), 18.0), 4.4)
    values = [[x for n in orders for x in _coefficients(style.tableau, n)] for style in styles]
    lowest, highest = _range(values)
    _draw_values(axes, styles, values, lowest)
    _draw_axes(axes, orders, lowest, highest, len(trees))
    if len(trees) <= _MOST_DRAWN:
        _draw_trees(axes, trees)
    _draw_legend(axes, styles, is_alone)
    return axes.figure


def _orders(tableaux: list[Tableau], order: int | None) -> list[int]:
    for tableau in tableaux:
        if tableau.is_symbolic:
            raise TableauError(
                "Error coefficients are drawn of numbers: put them in place of the symbols with "
                f"`tableau.subs(...)`. Received: tableau {tableau.name!r}."
            )
    if order is None:
        found = [check(x, max_order=_HIGHEST, require_row_sums=False).order for x in tableaux]
        lowest, highest = min(found) + 1, max(found) + 1
    else:
        lowest = highest = order_number(order, "order")
    if highest > _HIGHEST:
        raise TableauError(
            f"A picture shows the trees of orders up to {_HIGHEST}. Received: order {highest}."
        )
    return list(range(lowest, highest + 1))


def _coefficients(tableau: Tableau, order: int) -> list[float]:
    """|tau(t)| in the order of `rooted_trees(order)`; zero where the condition is met."""
    residuals = reversed(list(Residuals(tableau).all(order)))
    return [
        residual.size / tree.symmetry if residual.verdict == "failed" else 0.0
        for residual, tree in zip(residuals, rooted_trees(order), strict=True)
    ]


def _range(values: list[list[float]]) -> tuple[float, float]:
    """Powers of ten around all that is not zero."""
    sizes = [x for row in values for x in row if x and math.isfinite(x)]
    if not sizes:
        return 1e-3, 1.0
    return (
        10.0 ** (math.floor(math.log10(min(sizes))) - 1),
        10.0 ** math.ceil(math.log10(max(sizes)) + 0.1),
    )


def _draw_values(axes: Any, styles: list[Style], values: list[list[float]], lowest: float) -> None:
    for i, (style, row) in enumerate(zip(styles, values, strict=True)):
        shift = 0.5 * ((i + 0.5) / len(styles) - 0.5) if len(styles) > 1 else 0.0
        xs = [k + shift for k in range(len(row))]
        size = 6.5 if len(row) <= _MOST_DRAWN else 3.5
        met = [x for x, y in zip(xs, row, strict=True) if not y]
        look = {"marker": style.marker, "markeredgecolor": style.colour, "linestyle": "none"}
        failed = [(x, y) for x, y in zip(xs, row, strict=True) if y]
        if len(row) <= _MOST_DRAWN:
            axes.vlines(
                [x for x, _ in failed],
                lowest,
                [y for _, y in failed],
                colors=style.colour,
                linewidth=0.8,
                alpha=0.5,
            )
        axes.plot(
            *zip(*failed, strict=True) if failed else ([], []),
            markersize=size,
            markerfacecolor=style.colour,
            **look,
        )
        axes.plot(met, [lowest] * len(met), markersize=size, markerfacecolor="white", **look)


def _draw_axes(axes: Any, orders: list[int], lowest: float, highest: float, count: int) -> None:
    from matplotlib.ticker import NullLocator

    axes.set_yscale("log")
    has_trees = count <= _MOST_DRAWN
    decades = math.log10(highest / lowest)
    bottom = lowest / 10 ** (decades * (_ROOM if has_trees else 0.05))
    axes.set_ylim(bottom, highest)
    axes.set_xlim(-0.7, count - 0.3)
    every = [10.0**k for k in range(round(math.log10(lowest)) + 1, round(math.log10(highest)) + 1)]
    every = every[:: 1 + len(every) // 9]
    axes.set_yticks([lowest, *every], ["0", *(f"$10^{{{round(math.log10(x))}}}$" for x in every)])
    axes.yaxis.set_minor_locator(NullLocator())
    axes.axhline(lowest, color=LIGHT, linewidth=0.8, zorder=0)
    axes.grid(axis="y", color=LIGHT, linewidth=0.4, alpha=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(colors=DARK, labelsize=9)
    axes.set_ylabel("|τ(t)| = |Φ(t) − 1/γ(t)| / σ(t)", color=DARK)
    if has_trees:
        axes.set_xticks([])
        axes.set_xlabel("rooted trees t, the hollow vertex is the root", color=DARK)
    else:
        axes.set_xlabel("rooted trees t, numbered as by rooted_trees", color=DARK)
    _label_orders(axes, orders)
    what = f"order {orders[0]}" if len(orders) == 1 else f"orders {orders[0]} to {orders[-1]}"
    axes.set_title(f"error coefficients of the trees of {what}", color=DARK, fontsize=11)


def _label_orders(axes: Any, orders: list[int]) -> None:
    """Where the trees of each order stand, if there are several orders."""
    start = 0
    for n in orders:
        size = sum(1 for _ in rooted_trees(n))
        if start:
            axes.axvline(start - 0.5, color=MEDIUM, linewidth=0.8, linestyle=":")
        if len(orders) > 1:
            above = axes.get_xaxis_transform()  # y as a share of the height
            axes.text(
                start - 0.3, 0.97, f"order {n}", color=DARK, size=9, va="top", transform=above
            )
        start += size


def _draw_trees(axes: Any, trees: list[RootedTree]) -> None:
    """Each tree below its coefficients: x as the data have it, y as a share of the height."""
    room = _ROOM / (1 + _ROOM)
    below = axes.inset_axes((0, 0, 1, room * 0.9))
    below.set_axis_off()
    below.set_xlim(axes.get_xlim())
    below.set_ylim(0, 1)
    for k, tree in enumerate(trees):
        look = {"color": DARK, "markersize": 2.6, "linewidth": 0.8}
        draw_tree(below, tree, k, 0.08, (0.66, 0.75), **look)


def _draw_legend(axes: Any, styles: list[Style], is_alone: bool) -> None:
    look: dict[str, Any] = {"linestyle": "none", "markersize": 6.5}
    hollow = {"marker": "o", "color": MEDIUM, "markerfacecolor": "white"}
    looks = [{"marker": s.marker, "color": s.colour, "label": s.label, **look} for s in styles]
    looks.append({**hollow, "label": "hollow: condition met", **look})
    legend(axes, looks, beside=is_alone)
