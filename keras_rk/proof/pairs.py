"""An embedded pair as a pair: whether the difference of its two results estimates an error.

The estimate is dt * sum_i (b_i - b_hat_i) k_i. It goes to zero with dt only if b_hat sums to 1
like b, it is zero all the time if b_hat = b, and it is blind to y' = f(t) if the differences
cancel at each node, as then sum_i (b_i - b_hat_i) c_i**k = 0 for all k.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import chain
from typing import Any, NamedTuple

from keras_rk.butcher.tableau import Tableau
from keras_rk.numbers.coefficients import Coefficient, reduced, to_sympy
from keras_rk.proof.advice import digits_advice
from keras_rk.proof.digits import NEGLIGIBLE, RESIDUAL_DIGITS, brief
from keras_rk.proof.order_conditions import OrderCondition, Residuals
from keras_rk.proof.report import Order
from keras_rk.tableaux.registry import METHODS, get

__all__ = ["PairFindings", "examine_pair", "higher_embedded_order", "is_blind", "pair_fault"]


class PairFindings(NamedTuple):
    """What is wrong with a pair, or remarkable: one sentence or none."""

    fault: str = ""
    remark: str = ""


def examine_pair(tableau: Tableau, broken: Sequence[OrderCondition]) -> PairFindings:
    """Whether b_hat, beside b, can serve an estimate.

    Args:
        tableau: a tableau with embedded weights.
        broken: the condition that b_hat sums to 1, if it fails.
    """
    if broken:
        (condition,) = broken
        return PairFindings(
            "The embedded weights of a pair sum to 1: otherwise its error estimate does not go to "
            f"zero with dt. Received: sum(b_hat) = {brief(condition.exact_weight)}, "
            f"difference {brief(condition.exact_residual, RESIDUAL_DIGITS)}."
            f"{digits_advice(tableau, broken, embedded=True)}"
        )
    if all(map(_agree, *tableau.exact_weights)):
        return PairFindings(
            "The embedded weights of a pair differ from b: otherwise its error estimate is always "
            "zero. Received: b_hat = b."
        )
    if not is_blind(tableau):
        return PairFindings()
    if _is_published(tableau):
        return PairFindings(
            remark="the error estimate is zero for every y' = f(t), as the pair was published"
        )
    return PairFindings(
        "The error estimate of a pair sees y' = f(t): sum_i (b_i - b_hat_i) c_i^k is not zero "
        "for all k. Received: differences b_i - b_hat_i that cancel at each node c_i."
    )


def pair_fault(tableau: Tableau) -> str:
    """Why b_hat cannot serve an estimate, or nothing, without any order beyond 1."""
    residuals = Residuals(tableau)
    broken = [r for r in residuals.unmet(1, embedded=True) if r.verdict == "failed"]
    return examine_pair(tableau, [residuals.condition(residual) for residual in broken]).fault


def higher_embedded_order(main: Order, embedded: Order) -> str:
    """Says so where b_hat has the higher order, which is rather a choice than a fault."""
    if embedded.value <= main.value or main.is_lower_bound:
        return ""
    return f"b_hat has order {embedded}, above order {main} of b, with which steps are taken"


def is_blind(tableau: Tableau) -> bool:
    """Whether sum_i (b_i - b_hat_i) c_i**k = 0 for all k: the differences cancel at each node."""
    differences = list(zip(*tableau.exact_weights, strict=True))
    try:
        nodes = [_float(x) for x in tableau.exact_c]
        for node in nodes:
            here = [
                (_float(x), _float(y))
                for other, (x, y) in zip(nodes, differences, strict=True)
                if other == node or _is_rounding(other - node, node)
            ]
            if not _is_rounding(sum(x - y for x, y in here), *chain(*here)):
                return False
    except TypeError:
        return _is_blind_in_symbols(tableau)
    return True


def _is_blind_in_symbols(tableau: Tableau) -> bool:
    """The same for all values of the symbols."""
    sums: dict[Coefficient, Any] = {}
    for node, x, y in zip(tableau.exact_c, *tableau.exact_weights, strict=True):
        sums[node] = sums.get(node, 0) + to_sympy(x) - to_sympy(y)
    return all(reduced(total) == 0 for total in sums.values())


def _agree(x: Coefficient, y: Coefficient) -> bool:
    """Whether two coefficients are equal up to rounding."""
    try:
        one, other = _float(x), _float(y)
    except TypeError:
        return bool(x == y)
    return _is_rounding(one - other, one)


def _float(x: Coefficient) -> float:
    return x.numerator / x.denominator if type(x) is Fraction else float(x)


def _is_rounding(difference: float, *numbers: float) -> bool:
    """Whether a difference is no more than what rounding to float64 leaves of these numbers."""
    size = abs(difference)
    return size <= NEGLIGIBLE or size <= NEGLIGIBLE * max(map(abs, numbers))


def _is_published(tableau: Tableau) -> bool:
    """Whether the pair is, up to rounding, a named one: Fehlberg's 7(8) and Feagin's are blind."""
    if tableau.name in METHODS and get(tableau.name) == tableau:
        return True
    pairs = (get(name) for name, method in METHODS.items() if method.embedded_order is not None)
    return any(_is_copy(tableau, pair) for pair in pairs if pair.stages <= tableau.stages)


def _is_copy(tableau: Tableau, pair: Tableau) -> bool:
    """Whether a tableau is the pair, perhaps with stages for a continuous extension behind it."""
    stages = pair.stages
    if any(any(row[stages:]) for row in tableau.exact_weights):
        return False
    rows, others = ((*x.exact_weights, *x.exact_A[:stages]) for x in (tableau, pair))
    return all(all(map(_agree, row, other)) for row, other in zip(rows, others, strict=True))
