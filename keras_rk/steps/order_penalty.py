"""How far a method that is learned is from an order, as a number to minimise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras import ops

from keras_rk.proof.rooted_trees import RootedTree, rooted_trees


def order_penalty(
    A: Mapping[tuple[int, int], Any], b: Mapping[int, Any], stages: int, order: int
) -> Any:
    """sum over the trees t with at most `order` vertices of (Phi(t) - 1/gamma(t))^2.

    Args:
        A, b: the non-zero coefficients, scalar tensors, by their places in the tableau.
        stages: the number of stages of the tableau.

    Reference: E. Hairer, S. P. Norsett, G. Wanner, *Solving Ordinary Differential Equations I*,
    chapter II.
    """
    zero = 0 * next(iter(b.values()))
    matrix = ops.stack(
        [ops.stack([A.get((i, j), zero) for j in range(stages)]) for i in range(stages)]
    )
    weights = ops.stack([b.get(i, zero) for i in range(stages)])
    known: dict[RootedTree, Any] = {}

    def stage(tree: RootedTree) -> Any:
        """u_i(t) = prod_k sum_j a_ij u_j(t_k)."""
        if tree not in known:
            product = ops.ones_like(weights)
            for child in tree.children:
                product = product * ops.sum(matrix * stage(child), axis=1)
            known[tree] = product
        return known[tree]

    trees = [tree for n in range(1, order + 1) for tree in rooted_trees(n)]
    residuals = [ops.sum(weights * stage(tree)) - 1 / tree.density for tree in trees]
    return ops.sum(ops.square(ops.stack(residuals)))
