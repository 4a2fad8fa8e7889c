"""check: what a tableau is, proved from its coefficients."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import partial
from typing import Any

from keras_rk.butcher.reading import order_number
from keras_rk.butcher.tableau import Tableau
from keras_rk.numbers.coefficients import is_symbolic
from keras_rk.progress import Progress
from keras_rk.proof.continuous import prove_extension
from keras_rk.proof.digits import RESIDUAL_DIGITS, brief
from keras_rk.proof.failures import (
    Deviation,
    deviations_of_rows,
    extension_failures,
    method_failures,
    order_failures,
)
from keras_rk.proof.order_conditions import Residual, Residuals
from keras_rk.proof.pairs import examine_pair, higher_embedded_order
from keras_rk.proof.report import MOST_BROKEN, CheckReport, Failure, Order
from keras_rk.proof.rooted_trees import trees_up_to
from keras_rk.proof.verdicts import LARGEST_SHARE, check_tolerance
from keras_rk.tableaux.as_tableau import as_tableau

__all__ = ["CheckReport", "check"]

DEFAULT_MAX_ORDER = 14


def check(
    tableau: Any,
    order: int | None = None,
    *,
    max_order: int = DEFAULT_MAX_ORDER,
    tolerance: float | None = None,
    require_row_sums: bool = True,
    require_explicit: bool = True,
    verbose: Any = "auto",
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
        tolerance: an absolute tolerance on every residual, which says how exact the
            coefficients are. The default for a tree of order n is `n * eps * Phi(|A|, |b|)`,
            between 1e-12 and 1e-9, with eps of float64. Either is at most 1/(1000 gamma), so
            that it makes no order that the coefficients lack.
        require_row_sums: whether c != A 1 counts as a failure.
        require_explicit: whether entries on or above the diagonal of A do.
        verbose: 0 for no progress; "auto" shows it, with the time left, where it takes long and
            somebody watches, on a terminal or in a notebook; 1 always.

    Returns:
        A `CheckReport`. It is true if the method is explicit and consistent, its nodes are row
        sums, it has the order asked for and those it claims, and embedded weights, if there are
        any, sum to 1 and give an error estimate that is not zero for all y' = f(t) (which it is
        for some published pairs; for those the report says it). A continuous extension, if there
        is one, ends at the step's result. Print it to read it. Where it is false, `suggestions`
        are tableaux that pass, with what to change, the likeliest first.

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
    check_tolerance(tolerance)
    progress = Progress(f"checking {tableau.name or 'a tableau'}", verbose=verbose)
    if progress.is_shown:
        expected = max(requested or 0, tableau.claimed_order or 0) or limit
        embedded = 0 if tableau.exact_b_hat is None else tableau.claimed_embedded_order or expected
        progress.ahead(trees_up_to(expected) + trees_up_to(embedded))
    counts = progress if progress.is_shown else None
    with progress:
        return prove(
            tableau,
            requested,
            limit,
            tolerance=tolerance,
            require_row_sums=require_row_sums,
            require_explicit=require_explicit,
            residuals=Residuals(tableau, tolerance=tolerance, progress=counts),
        )


def prove(
    tableau: Tableau,
    requested: int | None,
    limit: int,
    *,
    tolerance: float | None = None,
    require_row_sums: bool = True,
    require_explicit: bool = True,
    with_time: bool = True,
    residuals: Residuals | None = None,
) -> CheckReport:
    """`check`, for arguments that are in order, and as far as it is needed.

    Args:
        limit: the order to go up to, beside what is requested and claimed.
        with_time: whether to decide the order for y' = f(t, y) as well; where not, it is
            reported as if the nodes were the row sums.
        residuals: those of the tableau, where somebody goes on computing with them.
    """
    explicit = tableau.is_explicit
    residuals = residuals or Residuals(tableau, tolerance=tolerance)
    asked = max(requested or 0, tableau.claimed_order or 0)
    main = _find_order(residuals, max(limit, asked), asked)
    found = [main]
    embedded = None
    if tableau.exact_b_hat is not None:
        claimed = tableau.claimed_embedded_order or 0
        embedded = _find_order(residuals, max(limit, claimed), claimed, embedded=True)
        found.append(embedded)
    evidence = tuple(found)

    deviations = [] if residuals.row_sums_hold else deviations_of_rows(tableau, tolerance)
    row_sums = all(deviation.verdict != "failed" for deviation in deviations)
    nonautonomous = main
    if deviations and with_time and not (row_sums and residuals.hold_with_time(main.value)):
        coloured = Residuals(tableau, with_time=True, tolerance=tolerance)
        nonautonomous = _find_order(coloured, max(main.value, 1), 0)
        found.append(nonautonomous)

    may_be = explicit or not require_explicit
    failures = [
        *method_failures(tableau, may_be, main, deviations if require_row_sums else []),
        *order_failures(tableau, requested, main, embedded, row_sums or not require_row_sums),
    ]
    remarks = [_capped(tolerance, found, deviations)]
    if embedded is not None:
        broken = () if embedded.value > 0 else embedded.broken
        fault, remark = examine_pair(tableau, broken)
        if fault:
            failures.append(Failure("pair", fault, broken))
        remarks += [higher_embedded_order(main, embedded), remark]
    numeric = any(order.verdict == "numeric" for order in found) or any(
        deviation.verdict == "numeric" for deviation in deviations
    )
    extension = None
    if tableau.exact_b_theta is not None:
        extension = prove_extension(tableau, tableau.exact_b_theta, None, limit, tolerance)
        failures += extension_failures(extension)
        numeric = numeric or extension.verdict == "numeric"
    return CheckReport(
        tableau=tableau,
        explicit=explicit,
        consistent=main.value > 0,
        row_sums=row_sums,
        order=main.value,
        nonautonomous_order=min(nonautonomous.value, main.value),
        embedded_order=None if embedded is None else embedded.value,
        claimed_order=tableau.claimed_order,
        claimed_embedded_order=tableau.claimed_embedded_order,
        requested_order=requested,
        verdict="failed" if failures else "numeric" if numeric else "exact",
        failures=tuple(failures),
        evidence=evidence,
        remarks=tuple(filter(None, remarks)),
        extension=extension,
        _prove=partial(
            prove,
            requested=requested,
            limit=limit,
            tolerance=tolerance,
            require_row_sums=require_row_sums,
            require_explicit=require_explicit,
            with_time=with_time,
        ),
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
                if order > asked or len(broken) == MOST_BROKEN:
                    break
            else:
                numeric.append(residual)
        if broken:
            return found(order - 1, broken)
        if numeric:
            largest = max(numeric, key=lambda residual: residual.size)
    return found(max_order, [])


def _capped(
    tolerance: float | None, found: Sequence[Order], deviations: Sequence[Deviation]
) -> str:
    """Says where a tolerance would have let pass what no inexact coefficients explain."""
    if tolerance is None:
        return ""
    for stage, *_, verdict, size in deviations:
        if verdict == "failed" and size is not None and not size > Fraction(tolerance):
            return (
                f"the tolerance of {tolerance:g} is capped at {LARGEST_SHARE:g} for nodes: "
                f"c[{stage}] misses the sum of row {stage} by {brief(size, RESIDUAL_DIGITS)}"
            )
    for condition in (condition for order in found for condition in order.broken):
        residual = condition.exact_residual
        if not is_symbolic(residual) and not abs(residual) > Fraction(tolerance):
            return (
                f"the tolerance of {tolerance:g} is capped at {LARGEST_SHARE:g}/gamma: tree "
                f"{condition.tree} misses 1/gamma = {condition.required} by "
                f"{brief(residual, RESIDUAL_DIGITS)}"
            )
    return ""
