"""An embedded pair as a pair: whether the difference of its two results estimates an error.

The estimate is dt * sum_i (b_i - b_hat_i) k_i. It goes to zero with dt only if b_hat sums to 1
like b, it is zero all the time if b_hat = b, and it is blind to y' = f(t) if the differences
cancel at each node, as then sum_i (b_i - b_hat_i) c_i**k = 0 for all k.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from keras_rk.butcher.tableau import Tableau
from keras_rk.numbers.coefficients import Coefficient, is_symbolic, reduced, to_sympy
from keras_rk.proof.advice import digits_advice
from keras_rk.proof.digits import NEGLIGIBLE, RESIDUAL_DIGITS, brief, is_tiny
from keras_rk.proof.order_conditions import Residuals
from keras_rk.proof.report import Order
from keras_rk.tableaux.registry import METHODS, get

__all__ = ["is_blind", "pair_fault", "pair_remarks"]


def pair_fault(tableau: Tableau, residuals: Residuals) -> str:
    """Why b_hat cannot serve an estimate, or nothing.

    Args:
        residuals: the order conditions of the tableau, which has embedded weights.
    """
    weights, embedded = tableau.exact_weights
    if not residuals.sum_to_one(embedded=True):
        (broken,) = residuals.unmet(1, embedded=True)
        condition = residuals.condition(broken)
        return (
            "The embedded weights of a pair sum to 1: otherwise its error estimate does not go to "
            f"zero with dt. Received: sum(b_hat) = {brief(condition.exact_weight)}, "
            f"difference {brief(condition.exact_residual, RESIDUAL_DIGITS)}."
            f"{digits_advice(tableau, [condition], embedded=True)}"
        )
    if all(_agree(x, y) for x, y in zip(weights, embedded, strict=True)):
        return (
            "The embedded weights of a pair differ from b: otherwise its error estimate is always "
            "zero. Received: b_hat = b."
        )
    if is_blind(tableau) and not _is_published(tableau):
        return (
            "The error estimate of a pair sees y' = f(t): sum_i (b_i - b_hat_i) c_i^k is not zero "
            "for all k. Received: differences b_i - b_hat_i that cancel at each node c_i."
        )
    return ""


def pair_remarks(tableau: Tableau, main: Order, embedded: Order) -> list[str]:
    """What a user of the pair should know, although it is no fault."""
    remarks = []
    if embedded.value > main.value and not main.is_lower_bound:
        remarks.append(
            f"b_hat has order {embedded}, above order {main} of b, with which steps are taken"
        )
    if is_blind(tableau) and _is_published(tableau):
        remarks.append(
            "the error estimate is zero for every y' = f(t); the pair was published like that"
        )
    return remarks


def is_blind(tableau: Tableau) -> bool:
    """Whether sum_i (b_i - b_hat_i) c_i**k = 0 for all k, up to rounding."""
    rows = (tableau.exact_c, *tableau.exact_weights)
    try:
        found = sorted(zip(*(map(_float, row) for row in rows), strict=True))
    except TypeError:
        return _is_blind_in_symbols(tableau)
    last, total, size = float("-inf"), 0.0, 1.0
    for node, x, y in found:
        if node - last > NEGLIGIBLE * max(1.0, abs(node)):
            if abs(total) > NEGLIGIBLE * size:
                return False
            total, size = 0.0, 1.0
        last = node
        total += x - y
        size = max(size, abs(x), abs(y))
    return abs(total) <= NEGLIGIBLE * size


def _is_blind_in_symbols(tableau: Tableau) -> bool:
    """The same for all values of the symbols."""
    sums: dict[Coefficient, Any] = {}
    for node, x, y in zip(tableau.exact_c, *tableau.exact_weights, strict=True):
        sums[node] = sums.get(node, 0) + to_sympy(x) - to_sympy(y)
    return all(reduced(total) == 0 for total in sums.values())


def _float(x: Coefficient) -> float:
    return x.numerator / x.denominator if type(x) is Fraction else float(x)


def _agree(x: Coefficient, y: Coefficient) -> bool:
    if is_symbolic(x) or is_symbolic(y):
        return bool(x == y)
    return x == y or is_tiny(x - y, x)


def _is_published(tableau: Tableau) -> bool:
    """Whether the pair is, up to rounding, a named one: Fehlberg's 7(8) and Feagin's are blind."""
    if tableau.name in METHODS and get(tableau.name) == tableau:
        return True
    pairs = (get(name) for name, method in METHODS.items() if method.embedded_order is not None)
    return any(_is_copy(tableau, pair) for pair in pairs if pair.stages == tableau.stages)


def _is_copy(tableau: Tableau, pair: Tableau) -> bool:
    rows, others = ((*x.exact_weights, *x.exact_A) for x in (tableau, pair))
    return all(all(map(_agree, row, other)) for row, other in zip(rows, others, strict=True))
