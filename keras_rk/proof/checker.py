"""check: what a tableau is, proved from its coefficients."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

from keras_rk.butcher.reading import order_number
from keras_rk.butcher.tableau import Tableau
from keras_rk.errors import TableauError, shown
from keras_rk.numbers.coefficients import Coefficient, is_symbolic
from keras_rk.proof.order_conditions import (
    LARGEST_TOLERANCE,
    SMALLEST_TOLERANCE,
    OrderCondition,
    Residual,
    Residuals,
    Verdict,
)
from keras_rk.proof.report import CheckReport, Failure, Order, brief
from keras_rk.tableaux.as_tableau import as_tableau

__all__ = ["CheckReport", "check"]

DEFAULT_MAX_ORDER = 14
_SUSPICIOUS = Fraction(1, 10**5)  # of 1/gamma


def check(
    tableau: Any,
    order: int | None = None,
    *,
    max_order: int = DEFAULT_MAX_ORDER,
    tolerance: float | None = None,
    require_row_sums: bool = True,
) -> CheckReport:
    """Prove what a tableau is: explicit, consistent, its order, and whether its claims hold.

    The order is decided on rooted trees with exact arithmetic: a method has order p if
    Phi(t) = 1/gamma(t) for every tree t with at most p vertices. There are three verdicts, which
    follow the residual Phi(t) - 1/gamma(t) alone: *exact* if it is zero, *numeric* if it is not
    but within the tolerance, *failed* otherwise. The check ends at the first order that fails.

    Where the nodes c are not the row sums of A, the order for y' = f(t, y) is decided on trees
    in two colours and may be lower than the order for y' = f(y).

    Args:
        tableau: a `Tableau`, the name of one or of a file, or `(A, b)` or `(A, b, c)`. A tableau
            with symbols has the order that it has for all their values.
        order: an order that the method must have, for y' = f(y).
        max_order: where to end if no order fails; orders beyond it are not computed unless
            `order` or a claim asks for them.
        tolerance: an absolute tolerance on every residual. The default for a tree of order n
            is `n * eps * Phi(|A|, |b|)`, between 1e-12 and 1e-9 and at most 1/(100 gamma), with
            eps of float64.
        require_row_sums: whether c != A 1 counts as a failure.

    Returns:
        A `CheckReport`. It is true if the method is explicit and consistent, its nodes are row
        sums, and it has the order asked for and those it claims. Print it to read it.

    Raises:
        TableauError: if the arguments are not usable.

    Example:

    >>> report = check("rk4", order=4)
    >>> bool(report), report.order, report.verdict
    (True, 4, 'exact')
    >>> check(([[], ["1/2"]], [0, 1]), order=3).failures[0].conditions[0].residual
    Fraction(-1, 12)

    Source: E. Hairer, S. P. Norsett, G. Wanner, *Solving Ordinary Differential Equations I*,
    chapter II.
    """
    tableau = as_tableau(tableau)
    requested = None if order is None else order_number(order, "order")
    limit = order_number(max_order, "max_order")
    _check_tolerance(tolerance)

    residuals = Residuals(tableau, tolerance=tolerance)
    asked = max(requested or 0, tableau.claimed_order or 0)
    main = _find_order(residuals, max(limit, asked), asked)
    found = [main]
    embedded = None
    if tableau.exact_b_hat is not None:
        claimed = tableau.claimed_embedded_order or 0
        embedded = _find_order(residuals, max(limit, claimed), claimed, embedded=True)
        found.append(embedded)

    deviations = [] if residuals.row_sums_hold else _row_sum_deviations(tableau, tolerance)
    nonautonomous = main
    if deviations:
        with_time = Residuals(tableau, with_time=True, tolerance=tolerance)
        nonautonomous = _find_order(with_time, max(main.value, 1), 0)
        found.append(nonautonomous)

    failures = [
        *_method_failures(tableau, main, deviations if require_row_sums else []),
        *_order_failures(tableau, requested, main, embedded),
    ]
    numeric = any(order.verdict == "numeric" for order in found) or any(
        deviation.verdict == "numeric" for deviation in deviations
    )
    return CheckReport(
        tableau=tableau,
        explicit=tableau.is_explicit,
        consistent=main.value > 0,
        row_sums=all(deviation.verdict != "failed" for deviation in deviations),
        order=main.value,
        nonautonomous_order=min(nonautonomous.value, main.value),
        embedded_order=None if embedded is None else embedded.value,
        claimed_order=tableau.claimed_order,
        claimed_embedded_order=tableau.claimed_embedded_order,
        requested_order=requested,
        verdict="failed" if failures else "numeric" if numeric else "exact",
        failures=tuple(failures),
        evidence=(main,) if embedded is None else (main, embedded),
    )


def _find_order(
    residuals: Residuals, max_order: int, asked: int, *, embedded: bool = False
) -> Order:
    """Go up through the orders until a condition fails."""
    largest: Residual | None = None

    def found(order: int, broken: list[Residual]) -> Order:
        return Order(
            value=order,
            is_lower_bound=not broken,
            verdict="exact" if largest is None else "numeric",
            largest=None if largest is None else residuals.condition(largest),
            broken=tuple(residuals.condition(residual) for residual in reversed(broken)),
        )

    for order in range(1, max_order + 1):
        broken: list[Residual] = []
        numeric = [] if largest is None else [largest]
        for residual in residuals.unmet(order, embedded):
            if residual.verdict == "failed":
                broken.append(residual)
                if order > asked:
                    break
            else:
                numeric.append(residual)
        if broken:
            return found(order - 1, broken)
        largest = max(numeric, key=lambda residual: residual.size, default=None)
    return found(max_order, [])


class _Deviation(NamedTuple):
    """A stage whose node is not exactly the row sum."""

    stage: int
    node: Coefficient
    row_sum: Coefficient
    verdict: Verdict


def _row_sum_deviations(tableau: Tableau, tolerance: float | None) -> list[_Deviation]:
    found = []
    for i, (node, total) in enumerate(zip(tableau.exact_c, tableau.row_sums, strict=True)):
        if node == total:
            continue
        verdict: Verdict = "failed"
        if not is_symbolic(node) and not is_symbolic(total):
            size = sum(abs(float(x)) for x in tableau.exact_A[i])
            bound = max(SMALLEST_TOLERANCE, tableau.stages * 2.0**-52 * size)
            allowed = min(bound, LARGEST_TOLERANCE) if tolerance is None else tolerance
            if abs(node - total) <= Fraction(allowed):
                verdict = "numeric"
        found.append(_Deviation(i, node, total, verdict))
    return found


def _method_failures(tableau: Tableau, main: Order, deviations: list[_Deviation]) -> list[Failure]:
    failures = []
    if not tableau.is_explicit:
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
        total = brief(main.broken[0].exact_weight)
        message = f"The weights of a consistent method sum to 1. Received: sum(b) = {total}."
        failures.append(Failure("consistent", message, main.broken))
    for i, node, row_sum, verdict in deviations:
        if verdict == "failed":
            message = (
                "The nodes are the row sums of A. "
                f"Received: c[{i}] = {brief(node)}, "
                f"sum of row {i} = {brief(row_sum)}."
            )
            failures.append(Failure("row_sums", message))
    return failures


def _order_failures(
    tableau: Tableau, requested: int | None, main: Order, embedded: Order | None
) -> list[Failure]:
    failures = []
    wishes = [
        ("order", "The order asked for", requested, main),
        ("order", "The order claimed", tableau.claimed_order, main),
        ("embedded_order", "The embedded order claimed", tableau.claimed_embedded_order, embedded),
    ]
    seen = set()
    for rule, whose, wish, found in wishes:
        if wish is None or found is None or found.value >= wish or (rule, wish) in seen:
            continue
        seen.add((rule, wish))
        message = f"{whose} is {wish}; the order is {found.value}.{_hint(found.broken)}"
        failures.append(Failure(rule, message, found.broken))
    return failures


def _hint(broken: tuple[OrderCondition, ...]) -> str:
    """Residuals that are small but not round-off come from decimals with few digits."""
    if all(_is_suspicious(condition) for condition in broken):
        return (
            " The residuals are small, as coefficients with few digits leave them: write "
            "fractions or more digits, or recover fractions with "
            "tableau.rationalize(tolerance=...)."
        )
    return ""


def _is_suspicious(condition: OrderCondition) -> bool:
    residual = condition.exact_residual
    return not is_symbolic(residual) and abs(residual) < _SUSPICIOUS * condition.required


def _check_tolerance(tolerance: Any) -> None:
    if tolerance is None:
        return
    if (
        isinstance(tolerance, bool)
        or not isinstance(tolerance, int | float)
        or not 0 <= tolerance < 1
    ):
        raise TableauError(
            "`tolerance` must be a number in [0, 1) or None. "
            f"Received: tolerance={shown(tolerance)}."
        )
