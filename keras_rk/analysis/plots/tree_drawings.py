"""One rooted tree as a drawing and as a formula. The root is below, as in text-books."""

from __future__ import annotations

import math
import re
from itertools import groupby
from typing import Any

from keras_rk.proof.rooted_trees import RootedTree

__all__ = ["condition_formula", "draw_tree", "places"]


def places(tree: RootedTree) -> list[tuple[float, int, int]]:
    """Where the vertices stand, in preorder: x, level, and the number of the parent (-1: none).

    Leaves stand at 0, 1, 2, ...; any other vertex in the middle above its children.
    """
    found: list[tuple[float, int, int]] = []
    leaves = 0

    def place(vertex: RootedTree, level: int, parent: int) -> float:
        nonlocal leaves
        own = len(found)
        found.append((0.0, level, parent))
        if vertex.children:
            below = [place(child, level + 1, own) for child in vertex.children]
            x = (below[0] + below[-1]) / 2
        else:
            x = float(leaves)
            leaves += 1
        found[own] = (x, level, parent)
        return x

    place(tree, 0, -1)
    return found


def draw_tree(
    axes: Any,
    tree: RootedTree,
    centre: float,
    bottom: float,
    size: tuple[float, float],
    **look: Any,
) -> None:
    """Draws a tree into a rectangle of the axes' units.

    Args:
        centre, bottom: the middle of the rectangle's lower edge, on which the root stands.
        size: its width and height, which large trees fill and small ones do not.
        look: `color`, `markersize` and `linewidth`.
    """
    vertices = places(tree)
    width = max(max(x for x, _, _ in vertices), 1.0)
    height = max(max(level for _, level, _ in vertices), 1)
    step_x, step_y = min(size[0] / width, size[0] / 2), min(size[1] / height, size[1] / 2)
    middle = max(x for x, _, _ in vertices) / 2
    xs = [centre + (x - middle) * step_x for x, _, _ in vertices]
    ys = [bottom + level * step_y for _, level, _ in vertices]
    edges = [(i, parent) for i, (_, _, parent) in enumerate(vertices) if parent >= 0]
    axes.plot(  # one line for all edges, with gaps
        [x for i, parent in edges for x in (xs[parent], xs[i], math.nan)],
        [y for i, parent in edges for y in (ys[parent], ys[i], math.nan)],
        color=look["color"],
        linewidth=look["linewidth"],
        solid_capstyle="round",
        zorder=1,
    )
    dot = {"linestyle": "none", "marker": "o", "markeredgecolor": look["color"], "zorder": 2}
    axes.plot(xs[1:], ys[1:], markersize=look["markersize"], markerfacecolor=look["color"], **dot)
    axes.plot(xs[:1], ys[:1], markersize=look["markersize"] + 1, markerfacecolor="white", **dot)


def condition_formula(tree: RootedTree, row_sums: bool = True) -> str:
    """The order condition as Matplotlib reads mathematics: $\\sum b_{i} c_{i}^2 = 1/3$."""
    factors = tree.elementary_weight(row_sums).split()[1:]
    written = []
    for factor, same in groupby(factors):
        power = len(list(same))
        base = re.sub(r"_(\w+)", r"_{\1}", factor)
        written.append(base if power == 1 else f"{base}^{{{power}}}")
    required = "1" if tree.density == 1 else f"1/{tree.density}"
    return rf"$\sum {' '.join(written)} = {required}$"
