"""What was asked of a tableau and does not hold, in words."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from keras_rk.butcher.continuous_weights import values_at_end
from keras_rk.butcher.tableau import Tableau
from keras_rk.numbers.coefficients import Coefficient, is_symbolic
from keras_rk.numbers.square_roots import Number
from keras_rk.proof.advice import digits_advice, location_advice, row_sums_advice
from keras_rk.proof.digits import RESIDUAL_DIGITS, brief, brief_pair
from keras_rk.proof.extension_report import ExtensionReport
from keras_rk.proof.report import Failure, Order
from keras_rk.proof.verdicts import (
    LARGEST_SHARE,
    LARGEST_TOLERANCE,
    SMALLEST_TOLERANCE,
    Verdict,
)

__all__ = [
    "Deviation",
    "deviations_of_rows",
    "extension_failures",
    "method_failures",
    "order_failures",
]


class Deviation(NamedTuple):
    """A stage whose node is not exactly the row sum; their difference is None for symbols."""

    stage: int
    node: Coefficient
    row_sum: Coefficient
    verdict: Verdict
    size: Number | None


def deviations_of_rows(tableau: Tableau, tolerance: float | None) -> list[Deviation]:
    """Every stage with c_i other than sum_j a_ij, and whether that is within the tolerance."""
    found = []
    for i, (node, total) in enumerate(zip(tableau.exact_c, tableau.row_sums, strict=True)):
        if node == total:
            continue
        if is_symbolic(node) or is_symbolic(total):
            found.append(Deviation(i, node, total, "failed", None))
            continue
        size = sum(abs(float(x)) for x in tableau.exact_A[i])
        bound = max(SMALLEST_TOLERANCE, tableau.stages * 2.0**-52 * size)
        largest, wish = (
            (LARGEST_TOLERANCE, bound) if tolerance is None else (LARGEST_SHARE, tolerance)
        )
        difference = abs(node - total)
        verdict: Verdict = "failed" if difference > Fraction(min(wish, largest)) else "numeric"
        found.append(Deviation(i, node, total, verdict, difference))
    return found


def method_failures(
    tableau: Tableau, explicit: bool, main: Order, deviations: Sequence[Deviation]
) -> list[Failure]:
    """Explicit, consistent, and nodes that are the row sums."""
    failures = []
    if not explicit:
        i, j = next(
            (i, j)
            for i, row in enumerate(tableau.exact_A)
            for j in range(i, len(row))
            if row[j] != 0
        )
        value = brief(tableau.exact_A[i][j])
        message = (
            "An explicit method has no entries on or above the diagonal of A. "
            f"Received: A[{i}][{j}] = {value}."
        )
        failures.append(Failure("explicit", message))
    if main.value == 0:
        (broken,) = main.broken
        message = (
            "The weights of a consistent method sum to 1. "
            f"Received: sum(b) = {brief(broken.exact_weight)}, "
            f"difference {brief(broken.exact_residual, RESIDUAL_DIGITS)}."
            f"{digits_advice(tableau, main.broken)}"
        )
        failures.append(Failure("consistent", message, main.broken))
    return failures + _row_failures(tableau, deviations)


def _row_failures(tableau: Tableau, deviations: Sequence[Deviation]) -> list[Failure]:
    off = [deviation for deviation in deviations if deviation.verdict == "failed"]
    failures = []
    for deviation in off:
        i = deviation.stage
        node, total, difference = brief_pair(deviation.node, deviation.row_sum)
        advice = row_sums_advice(tableau, [x.stage for x in off]) if deviation is off[-1] else ""
        message = (
            f"The nodes are the row sums of A. Received: c[{i}] = {node}, "
            f"sum of row {i} = {total}, difference {difference}.{advice}"
        )
        failures.append(Failure("row_sums", message))
    return failures


def extension_failures(extension: ExtensionReport) -> list[Failure]:
    """A continuous extension that is none."""
    if extension:
        return []
    if extension.value == "failed" or extension.broken is None:
        at_end = values_at_end(extension.tableau.exact_b_theta or ())
        pairs = enumerate(zip(at_end, extension.tableau.exact_b, strict=True))
        i, (found, b) = next((i, (x, y)) for i, (x, y) in pairs if x != y)
        message = (
            "A continuous extension ends at the step's result: b_i(1) = b_i. Received: "
            f"b_{i}(1) = {brief(found)}, b_{i} = {brief(b)}."
        )
    else:
        message = (
            "The weights of a continuous extension sum to theta: otherwise it has no order. "
            f"Received: a sum that is off by {extension.broken.polynomial}."
        )
    return [Failure("extension", message)]


def order_failures(
    tableau: Tableau,
    requested: int | None,
    main: Order,
    embedded: Order | None,
    rows_agree: bool,
) -> list[Failure]:
    """Orders that were asked for or claimed.

    Args:
        rows_agree: whether the nodes are the row sums; where not, those say where to look.
    """
    claimed, embedded_claim = tableau.claimed_order, tableau.claimed_embedded_order
    wishes = [
        _Wish("order", "The order asked for", requested, main, embedded),
        _Wish("order", "The order claimed", claimed, main, embedded),
        _Wish("embedded_order", "The embedded order claimed", embedded_claim, embedded, main),
    ]
    failures: list[Failure] = []
    seen = set()
    for rule, whose, wish, found, other in wishes:
        if wish is None or found is None or found.value >= wish or (rule, wish) in seen:
            continue
        seen.add((rule, wish))
        message = f"{whose} is {wish}; the order is {found.value}."
        if rows_agree and found.value > 0:
            is_claim = wish == (claimed if rule == "order" else embedded_claim)
            advice = _order_advice(tableau, wish, found, other, rule != "order", is_claim)
            if not any(failure.message.endswith(advice) for failure in failures):
                message += advice
        failures.append(Failure(rule, message, found.broken))
    return failures


class _Wish(NamedTuple):
    """An order that is wished for, and those of the weights it is about and of the other ones."""

    rule: str
    whose: str
    order: int | None
    found: Order | None
    other: Order | None


def _order_advice(
    tableau: Tableau, wish: int, found: Order, other: Order | None, embedded: bool, is_claim: bool
) -> str:
    if advice := digits_advice(tableau, found.broken, embedded, wish):
        return advice
    if other is not None and other.value >= wish:
        wrong, right = ("b_hat", "b") if embedded else ("b", "b_hat")
        return f" {right} has it with the same A: the error is in {wrong}, or exchange the two."
    # a slip costs a method more than its last order, and what only is asked for need not be there
    return location_advice(tableau, wish) if is_claim or found.value < wish - 1 else ""
