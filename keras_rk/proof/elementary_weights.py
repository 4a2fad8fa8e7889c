"""Elementary weights of a tableau, tree by tree.

The elementary weight of t = [t_1, ..., t_m] is Phi(t) = sum_i b_i u_i(t) with

    u_i(t) = prod_k sum_j a_ij u_j(t_k),   u_i(single vertex) = 1.

Trees are Butcher products (see `rooted_trees`), so that each costs one product of vectors, and
each subtree is multiplied by A once, when a larger tree first needs it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from keras_rk.numbers.linear_algebra import Weights
from keras_rk.proof.forms import Form
from keras_rk.proof.rooted_trees import TIME_LEAF, OrderPlan, plan

__all__ = ["ElementaryWeights"]


class ElementaryWeights:
    """The elementary weights of one tableau, each computed once, when it is needed.

    Args:
        form: the tableau in the numbers to compute with.
        with_time: whether to use the trees with leaves for t, see `rooted_trees`.
        row_sums: a vector to take for A 1.
    """

    def __init__(self, form: Form, with_time: bool = False, row_sums: Any = None) -> None:
        self.with_time = with_time
        self._form = form
        self._prefix: list[int] = []
        self._child: list[int] = []
        self._order: list[int] = []
        self._stages: dict[int, Any] = {0: self._form.one}
        self._derivatives: dict[int, Any] = {}
        if with_time:
            self._derivatives[TIME_LEAF] = self._form.nodes
        if row_sums is not None:
            self._derivatives[0] = row_sums

    def scaled(self, order: int, embedded: bool = False) -> Iterator[tuple[int, list[Any]]]:
        """For each tree of an order, its number within the order and its weight.

        Weights come coordinate by coordinate and times `scale(order, embedded)`. The tallest
        trees come first: where an order fails, they nearly always show it, and they cost the
        least.
        """
        here = self.plan(order)
        weights = self._form.weights(order, embedded)
        self._number_trees(order)
        for k in reversed(range(here.roots)):
            yield k, self._weight(weights, here, k)

    def weight(self, order: int, k: int, embedded: bool) -> list[Any]:
        """The scaled weight of tree k of an order."""
        self._number_trees(order)
        return self._weight(self._form.weights(order, embedded), self.plan(order), k)

    def _weight(self, weights: Weights, here: OrderPlan, k: int) -> list[Any]:
        child = here.child[k]
        if here.prefix[k] == 0 and child not in self._derivatives:
            # b . (A u) = (b A) . u needs no product with A for this tree alone
            vector, rows = self._stage(child), weights.times_A
        else:
            vector, rows = self._stage(here.start + k), weights.rows
        return [row(vector) for row in rows]

    def _number_trees(self, order: int) -> None:
        """Lay the plans up to `order` end to end, so that a tree's number finds its parts."""
        while len(self._prefix) < (here := self.plan(order)).start + len(here.prefix):
            below = 1
            while self.plan(below).start < len(self._prefix):
                below += 1
            self._prefix.extend(self.plan(below).prefix)
            self._child.extend(self.plan(below).child)
            self._order.extend([below] * len(self.plan(below).child))

    @property
    def row_sums_hold(self) -> bool:
        """Whether c = A 1 exactly."""
        return self._form.apply(self._form.one, 1) == self._form.nodes

    def plan(self, order: int) -> OrderPlan:
        return plan(order, self.with_time)

    def scale(self, order: int, embedded: bool) -> Any:
        """What the weights of trees of an order are multiplied by."""
        return self._form.weights(order, embedded).scale

    def _stage(self, tree: int) -> Any:
        """u(t) for the tree with this number."""
        vector = self._stages.get(tree)
        if vector is None:
            vector = self._derivative(self._child[tree])
            if prefix := self._prefix[tree]:
                vector = self._form.product(self._stage(prefix), vector)
            self._stages[tree] = vector
        return vector

    def _derivative(self, tree: int) -> Any:
        """A u(t) for the tree with this number."""
        vector = self._derivatives.get(tree)
        if vector is None:
            vector = self._form.apply(self._stage(tree), self._order[tree])
            self._derivatives[tree] = vector
        return vector
