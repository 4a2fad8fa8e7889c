"""Rooted trees: enumeration, density gamma, symmetry sigma, printing.

A tree of order n is planned as a Butcher product: its largest child grafted onto the root of
the tree that remains without it. Children are taken in the order of their numbers, so that
each tree arises exactly once and every subtree is shared. Numbers run through the orders:
tree 0 is the single vertex.

For f(t, y) with nodes that are no row sums, trees in two colours are needed: vertices of f,
and leaves that stand for t and carry c_i. `plan(n, with_time=True)` numbers those, with the
leaf t as number 1.
"""

from __future__ import annotations

import operator
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from math import factorial

__all__ = ["OrderPlan", "RootedTree", "plan", "planned_tree", "rooted_trees", "trees_up_to"]

TIME_LEAF = 1  # its number in the plans with time
_INDICES = "ijklmnopqruvwxyz"
_MARKS = ("", *map(str, range(1, 100)))


@dataclass(frozen=True)
class RootedTree:
    """A rooted tree, given by its root's children; `is_time` marks the leaf that stands for t.

    Children have no order: they are sorted, so that equal trees compare equal.

    Example:

    >>> tree = RootedTree((RootedTree(), RootedTree((RootedTree(),))))
    >>> print(tree, tree.order, tree.density, tree.symmetry, tree.level_sequence)
    [τ,[τ]] 4 8 1 (0, 1, 1, 2)
    """

    children: tuple[RootedTree, ...] = ()
    is_time: bool = False

    def __post_init__(self) -> None:
        if len(self.children) > 1:
            key = operator.attrgetter("order", "level_sequence", "_times")
            object.__setattr__(self, "children", tuple(sorted(self.children, key=key)))

    @cached_property
    def order(self) -> int:
        """The number of vertices."""
        return 1 + sum(child.order for child in self.children)

    @cached_property
    def density(self) -> int:
        """gamma(t) = |t| * product of the children's densities."""
        product = self.order
        for child in self.children:
            product *= child.density
        return product

    @cached_property
    def symmetry(self) -> int:
        """sigma(t), the number of automorphisms."""
        product = 1
        for child in set(self.children):
            multiplicity = self.children.count(child)
            product *= child.symmetry**multiplicity * factorial(multiplicity)
        return product

    @cached_property
    def level_sequence(self) -> tuple[int, ...]:
        """The depth of each vertex in preorder, starting with the root's 0."""
        return (0, *(1 + level for child in self.children for level in child.level_sequence))

    @cached_property
    def _times(self) -> tuple[bool, ...]:
        """Which vertices stand for t, in preorder."""
        return (self.is_time, *(time for child in self.children for time in child._times))

    def elementary_weight(self, row_sums: bool = True) -> str:
        """The elementary weight as a formula: `sum b_i c_i a_ij c_j`.

        Args:
            row_sums: whether the nodes are row sums, so that c_i may stand for sum_j a_ij.
        """
        indices = (letter + mark for mark in _MARKS for letter in _INDICES)

        def factors(tree: RootedTree, index: str) -> Iterator[str]:
            for child in tree.children:
                if child.is_time or (row_sums and not child.children):
                    yield f"c_{index}"
                else:
                    below = next(indices)
                    yield f"a_{index}{below}"
                    yield from factors(child, below)

        root = next(indices)
        return " ".join(["sum", f"b_{root}", *factors(self, root)])

    def __str__(self) -> str:
        if not self.children:
            return "t" if self.is_time else "τ"
        return "[" + ",".join(str(child) for child in self.children) + "]"


@dataclass(frozen=True)
class OrderPlan:
    """The trees of one order, as Butcher products of trees that come before them.

    Tree `start + k` is tree `prefix[k]` with the further child `child[k]`; -1 stands for none.
    `roots` counts those that may be whole trees: the leaf t, numbered last, may not.
    """

    start: int
    prefix: tuple[int, ...]
    child: tuple[int, ...]
    density: tuple[int, ...]
    roots: int


@cache
def plan(order: int, with_time: bool = False) -> OrderPlan:
    """How to build every tree of an order from smaller ones, with their densities."""
    if order == 1:
        leaves = 2 if with_time else 1
        return OrderPlan(0, (-1,) * leaves, (-1,) * leaves, (1,) * leaves, 1)
    for smaller in range(1, order - 1):  # from below, so that orders do not nest
        plan(smaller, with_time)
    before = plan(order - 1, with_time)
    prefixes: list[int] = []
    children: list[int] = []
    densities: list[int] = []
    for child_order in range(1, order):
        grafts = plan(child_order, with_time)
        stem_order = order - child_order
        stems = plan(stem_order, with_time)
        scales = [order * density // stem_order for density in stems.density[: stems.roots]]
        for k, graft_density in enumerate(grafts.density):
            child = grafts.start + k
            count = bisect_right(stems.child, child, hi=stems.roots)
            prefixes.extend(range(stems.start, stems.start + count))
            children.extend([child] * count)
            densities.extend([scale * graft_density for scale in scales[:count]])
    start = before.start + len(before.prefix)
    return OrderPlan(start, tuple(prefixes), tuple(children), tuple(densities), len(prefixes))


@lru_cache(maxsize=4096)
def planned_tree(number: int, with_time: bool = False) -> RootedTree:
    """The tree with this number in the plans."""
    if number < 1 or (with_time and number == TIME_LEAF):
        return RootedTree(is_time=number == TIME_LEAF)
    order = 2
    while number - (here := plan(order, with_time)).start >= len(here.prefix):
        order += 1
    k = number - here.start
    stem = planned_tree(here.prefix[k], with_time)
    return RootedTree((*stem.children, planned_tree(here.child[k], with_time)))


@cache
def trees_up_to(order: int) -> int:
    """How many rooted trees have at most so many vertices.

    With a_n of n vertices, n a_(n+1) = sum_k (sum_(d | k) d a_d) a_(n-k+1).

    >>> trees_up_to(4)  # 1 + 1 + 2 + 4
    8
    """
    found = [0, 1]
    for n in range(1, order):
        divided = [sum(d * found[d] for d in range(1, k + 1) if k % d == 0) for k in range(n + 1)]
        found.append(sum(divided[k] * found[n - k + 1] for k in range(1, n + 1)) // n)
    return sum(found[: order + 1])


def rooted_trees(order: int) -> Iterator[RootedTree]:
    """All rooted trees with `order` vertices.

    Args:
        order: the number of vertices, at least 1.

    Returns:
        An iterator over 1, 1, 2, 4, 9, 20, 48, 115, 286, 719, ... trees.

    Raises:
        ValueError: if `order` is not a positive integer.

    Example:

    >>> [str(tree) for tree in rooted_trees(3)]
    ['[τ,τ]', '[[τ]]']

    Source: E. Hairer, S. P. Norsett, G. Wanner, *Solving Ordinary Differential Equations I*,
    chapter II, for the notions and the notation.
    """
    if isinstance(order, bool) or not isinstance(order, int) or order < 1:
        raise ValueError(f"`order` must be an integer >= 1. Received: order={order!r}.")
    here = plan(order)
    return (planned_tree(here.start + k) for k in range(len(here.prefix)))
