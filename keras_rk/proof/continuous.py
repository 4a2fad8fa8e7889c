"""check_extension: the order of a continuous extension for all theta, and how smoothly it joins.

Its weights are polynomials b_i(theta). It has order p, uniformly in theta, if

    sum_i b_i(theta) u_i(t) = theta^|t| / gamma(t)

for every rooted tree t with at most p vertices, as polynomials in theta: then its error after a
part theta of a step of size dt is O(dt^(p+1)). The results of successive steps join continuously
if b(1) = b, as b(0) = 0, and their derivatives do if b'(0) and b'(1) choose f at the step's start
and at its result.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import cached_property
from typing import Any, NamedTuple

from keras_rk.butcher.continuous_weights import slopes_at_end, values_at_end
from keras_rk.butcher.reading import order_number
from keras_rk.butcher.tableau import Tableau
from keras_rk.errors import TableauError
from keras_rk.numbers.coefficients import Coefficient, is_symbolic, sum_of, to_sympy
from keras_rk.proof.elementary_weights import ElementaryWeights
from keras_rk.proof.extension_report import ContinuousCondition, ExtensionReport
from keras_rk.proof.forms import absolute_form, exact_form
from keras_rk.proof.order_conditions import size_of
from keras_rk.proof.rooted_trees import planned_tree
from keras_rk.proof.verdicts import (
    EPS,
    LARGEST_SHARE,
    SMALLEST_TOLERANCE,
    Verdict,
    check_tolerance,
    judged,
)
from keras_rk.tableaux.as_tableau import as_tableau

__all__ = ["check_extension"]

DEFAULT_MAX_ORDER = 14


def check_extension(
    tableau: Any,
    order: int | None = None,
    *,
    max_order: int = DEFAULT_MAX_ORDER,
    tolerance: float | None = None,
) -> ExtensionReport:
    """Prove what the continuous extension of a tableau is.

    With weights b_i(theta), polynomials without constant term,

        u(theta) = y + dt * sum_i b_i(theta) k_i,    0 <= theta <= 1,

    stands for the solution after a part theta of the step. It has order p for all theta if
    sum_i b_i(theta) Phi_i(t) = theta^|t| / gamma(t) for every tree t with at most p vertices,
    where Phi(t) = sum_i b_i Phi_i(t) is the elementary weight. As polynomials in theta, these are
    conditions on each coefficient, decided exactly like those of `check` and with its verdicts:
    the size of a residual bounds it for all theta in [0, 1]: the sum of its coefficients' absolute
    values or, where that is above 1e-12, its largest coefficient in Bernstein's polynomials.

    Args:
        tableau: a tableau with `b_theta`, in any form that `check` takes.
        order: an order that the extension must have.
        max_order: where to end if no order fails.
        tolerance: as for `check`.

    Returns:
        An `ExtensionReport`. It is true if the extension ends at the step's result, b(1) = b, and
        has the order asked for, or at least order 1. Print it to read it.

    Raises:
        TableauError: if the tableau has no continuous extension, or the arguments are not usable.

    Example:

    >>> from keras_rk.tableaux import hermite
    >>> report = check_extension(hermite("rk4"))
    >>> report.order, report.continuity, report.verdict
    (3, 1, 'exact')
    >>> print(report.broken.tree)
    [[[τ]]]

    Source: E. Hairer, S. P. Norsett, G. Wanner, *Solving Ordinary Differential Equations I*,
    chapter II, on dense output, for the notions.
    """
    tableau = as_tableau(tableau)
    requested = None if order is None else order_number(order, "order")
    limit = max(order_number(max_order, "max_order"), requested or 0)
    check_tolerance(tolerance)
    if tableau.exact_b_theta is None:
        raise TableauError(
            "`check_extension` needs a tableau with a continuous extension `b_theta`; "
            "`keras_rk.tableaux.hermite(tableau)` adds one to every method. "
            f"Received: b_theta=None (tableau {tableau.name!r})."
        )
    return prove_extension(tableau, tableau.exact_b_theta, requested, limit, tolerance)


def prove_extension(
    tableau: Tableau,
    polynomials: Sequence[Sequence[Coefficient]],
    requested: int | None,
    limit: int,
    tolerance: float | None,
) -> ExtensionReport:
    """`check_extension`, for arguments that are in order."""
    conditions = _Conditions(tableau, polynomials, tolerance)
    value = limit
    largest: _Residual | None = None
    broken: _Residual | None = None
    for order in range(1, limit + 1):
        unmet = list(conditions.unmet(order))
        broken = next((residual for residual in unmet if residual.verdict == "failed"), None)
        if broken is not None:
            value = order - 1
            break
        candidates = unmet if largest is None else [largest, *unmet]
        largest = max(candidates, key=lambda residual: residual.size, default=None)
    worst, first = (x and conditions.condition(x) for x in (largest, broken))
    joins = _joins(tableau, polynomials, tolerance)
    return ExtensionReport(tableau, requested, value, worst, first, *joins)


class _Residual(NamedTuple):
    """A condition before it is written out: for each power of theta a number as its form has it."""

    order: int
    k: int
    scaled: list[tuple[list[Any], Any]]
    size: float
    verdict: Verdict


class _Conditions:
    """The conditions of a continuous extension, tree by tree."""

    def __init__(
        self,
        tableau: Tableau,
        polynomials: Sequence[Sequence[Coefficient]],
        tolerance: float | None,
    ) -> None:
        self._tableau = tableau
        self._polynomials = polynomials
        self._tolerance = tolerance
        powers = list(zip(*polynomials, strict=True))  # row k - 1: the coefficients of theta^k
        self._degree = len(powers)
        self._form = exact_form(tableau, powers)
        self._weights = ElementaryWeights(self._form)

    def unmet(self, order: int) -> Iterator[_Residual]:
        """Those that are not exactly met, the tallest trees first."""
        here = self._weights.plan(order)
        rows = [self._weights.scaled(order, row) for row in range(self._degree)]
        scales = [self._weights.scale(order, row) for row in range(self._degree)]
        for found in zip(*rows, strict=True):
            k = found[0][0]
            density = here.density[k]
            residuals = []
            for power, ((_, weight), scale) in enumerate(zip(found, scales, strict=True), start=1):
                scaled = [density * x for x in weight]
                if power == order:
                    scaled[0] -= scale
                residuals.append((scaled, density * scale))
            if order > self._degree:
                residuals += self._missing(order, density)
            if any(any(scaled) for scaled, _ in residuals):
                yield self._judged(order, k, residuals)

    def _missing(self, order: int, density: int) -> list[tuple[list[Any], Any]]:
        """The residuals at powers of theta beyond the degree: theta^|t| is not reached."""
        scale = self._weights.scale(order, 0)
        zero = [0 * x for x in self._weights.weight(order, 0, 0)]
        return [(zero, scale)] * (order - self._degree - 1) + [
            ([zero[0] - scale, *zero[1:]], density * scale)
        ]

    def _judged(self, order: int, k: int, residuals: list[tuple[list[Any], Any]]) -> _Residual:
        size = math.fsum(size_of(self._form, scaled, scale) for scaled, scale in residuals)
        if SMALLEST_TOLERANCE < size < math.inf:
            size = _largest([self._form.value(*pair) for pair in residuals])

        def rounding() -> float:
            if self._tableau.is_symbolic:
                return 0.0
            (weight,) = self._absolute.weight(order, k, 0)
            return float(order * EPS * weight)

        largest = LARGEST_SHARE / self._weights.plan(order).density[k]
        verdict = judged(size, largest, self._tolerance, rounding)
        return _Residual(order, k, residuals, size, verdict)

    def condition(self, residual: _Residual) -> ContinuousCondition:
        """A residual written out."""
        here = self._weights.plan(residual.order)
        return ContinuousCondition(
            tree=planned_tree(here.start + residual.k),
            required=Fraction(1, here.density[residual.k]),
            exact_residual=tuple(self._form.value(*pair) for pair in residual.scaled),
            size=residual.size,
            verdict=residual.verdict,
        )

    @cached_property
    def _absolute(self) -> ElementaryWeights:
        bounds = [sum_of([abs(x) for x in row]) for row in self._polynomials]  # type: ignore[arg-type]
        return ElementaryWeights(absolute_form(self._tableau, [bounds]))


def _largest(residual: Sequence[Any]) -> float:
    """A close bound for all theta in [0, 1]: the largest coefficient in Bernstein's polynomials."""
    degree = len(residual)
    terms = [x * Fraction(1, math.comb(degree, k)) for k, x in enumerate(residual, start=1)]
    return max(
        abs(float(sum_of([math.comb(j, k) * x for k, x in enumerate(terms[:j], start=1)])))  # type: ignore[arg-type]
        for j in range(1, degree + 1)
    )


def _size(residual: Sequence[Coefficient]) -> float:
    """A bound for all theta in [0, 1]; infinite for symbols and beyond float64."""
    try:
        return math.fsum(abs(float(x)) for x in residual)
    except (TypeError, OverflowError):
        return math.inf


def _joins(
    tableau: Tableau, polynomials: Sequence[Sequence[Coefficient]], tolerance: float | None
) -> tuple[Verdict, Verdict, Verdict]:
    """Whether b(1) = b, and whether b'(0) and b'(1) choose f at the step's start and result."""
    stages = range(tableau.stages)
    start = next(filter(tableau.is_at_start, stages), None)
    end = next(filter(tableau.is_at_end, stages), None)

    def agrees(found: Sequence[Coefficient], expected: Sequence[Coefficient] | None) -> Verdict:
        if expected is None:
            return "failed"
        residuals: dict[int, list[Any]] = {}  # equal stages count as one
        for i, (x, y) in enumerate(zip(found, expected, strict=True)):
            if difference := _minus(x, y):
                residuals.setdefault(_first_equal(tableau, i), []).append(difference)
        off = [total for x in residuals.values() if (total := sum_of(x))]
        if not off:
            return "exact"
        size = _size(off)
        return judged(size, LARGEST_SHARE, tolerance, lambda: EPS * _size([*found, *expected]))

    def one(stage: int | None) -> list[Coefficient] | None:
        return None if stage is None else [Fraction(i == stage) for i in stages]

    return (
        agrees(values_at_end(polynomials), tableau.exact_b),
        agrees([row[0] for row in polynomials], one(start)),
        agrees(slopes_at_end(polynomials), one(end)),
    )


def _first_equal(tableau: Tableau, stage: int) -> int:
    """The first stage with the same row of A and the same node."""
    A, c = tableau.exact_A, tableau.exact_c
    return next(j for j in range(stage + 1) if A[j] == A[stage] and c[j] == c[stage])


def _minus(x: Coefficient, y: Coefficient) -> Any:
    return to_sympy(x) - to_sympy(y) if is_symbolic(x) or is_symbolic(y) else x - y  # type: ignore[operator]
