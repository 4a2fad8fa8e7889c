"""How a method treats oscillations: the orders of its dispersion and dissipation.

On y' = i w y, with x = w dt > 0, one step multiplies y by R(i x) in place of exp(i x).

    dispersion (phase error)         x - arg R(i x) = c_q x^(q+1) + O(x^(q+3))
    dissipation (amplitude error)    1 - |R(i x)|   = d_r x^(r+1) + O(x^(r+3))

q is even and r is odd.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import count
from typing import Any

from keras_rk.analysis.arguments import numeric_tableau
from keras_rk.analysis.implicit_stability import terms_on_imaginary_axis
from keras_rk.analysis.properties import ROUNDING
from keras_rk.analysis.stability import StabilityFunction, stability_function
from keras_rk.numbers.coefficients import public

__all__ = ["Oscillation", "dispersion_order", "dissipation_order", "oscillation"]


@dataclass(frozen=True)
class Oscillation:
    """Dispersion and dissipation of a method.

    Attributes:
        dispersion_order: q; 0 where not even the first power agrees.
        dispersion_coefficient: c_q, exactly. Where it is positive, phases lag.
        dissipation_order: r; infinity where |R(i x)| = 1 for all x.
        dissipation_coefficient: d_r, exactly. Where it is negative, amplitudes of slow oscillations
            grow, and the imaginary stability interval is empty.
    """

    dispersion_order: int
    dispersion_coefficient: Any
    dissipation_order: int | float
    dissipation_coefficient: Any


def oscillation(tableau: Any) -> Oscillation:
    """The orders of dispersion and dissipation, and the leading coefficients, exactly.

    Args:
        tableau: a `Tableau` without symbols, a name, a file, or `(A, b[, c])`.

    Raises:
        TableauError: for a tableau with symbols, and where `stability_function` has none.

    Example:

    >>> found = oscillation("rk4")
    >>> print(found.dispersion_order, found.dispersion_coefficient)
    4 1/120
    >>> print(found.dissipation_order, found.dissipation_coefficient)
    5 1/144

    Source: P. J. van der Houwen, B. P. Sommeijer, Explicit Runge-Kutta(-Nystrom) methods with
    reduced phase errors for computing oscillating solutions (1987), for the two orders.
    """
    tableau = numeric_tableau(tableau, "The order of dispersion")
    return oscillation_of(stability_function(tableau))


def oscillation_of(R: StabilityFunction) -> Oscillation:
    """The same from the stability function."""
    p, q = R.exact_coefficients, R.exact_denominator

    def is_zero(terms: list[Any]) -> bool:
        total = sum(terms, Fraction(0))
        return not total or (R.is_rounded and abs(total) <= ROUNDING * sum(map(abs, terms)))

    n, phase = _first(_phases(p, q), is_zero)
    k, excess = _first(_excesses(p, q), is_zero)
    return Oscillation(
        dispersion_order=n - 1,
        dispersion_coefficient=public(-phase * (-1) ** (n // 2)),
        dissipation_order=k - 1,
        dissipation_coefficient=public(-excess / 2),
    )


def _phases(p: Any, q: Any) -> Iterator[tuple[int, list[Any]]]:
    """The terms of the odd coefficients of R(z) exp(-z), whose imaginary part is the phase.

    Times |Q(i x)|^2, which begins with 1, it is P(z) Q(-z) exp(-z).
    """
    product = [
        [p[j] * q[n - j] * (-1) ** (n - j) for j in range(len(p)) if 0 <= n - j < len(q)]
        for n in range(len(p) + len(q) - 1)
    ]
    for n in count(1, 2):
        yield (
            n,
            [
                x * Fraction((-1) ** (n - m), math.factorial(n - m))
                for m, terms in enumerate(product[: n + 1])
                for x in terms
            ],
        )


def _excesses(p: Any, q: Any) -> Iterator[tuple[int, list[Any]]]:
    """The terms of the coefficients of |P(i x)|^2 - |Q(i x)|^2, which is that of |R(i x)|^2 - 1
    times a square that begins with 1."""
    for k in range(1, max(len(p), len(q))):
        ours, theirs = terms_on_imaginary_axis(p, k), terms_on_imaginary_axis(q, k)
        yield 2 * k, [*ours, *(-x for x in theirs)]


def _first(
    coefficients: Iterator[tuple[int, list[Any]]], is_zero: Callable[[list[Any]], bool]
) -> tuple[Any, Any]:
    """The first power with a coefficient that is not zero; infinity where there is none."""
    for n, terms in coefficients:
        if not is_zero(terms):
            return n, sum(terms, Fraction(0))
    return math.inf, Fraction(0)


def dispersion_order(tableau: Any) -> int:
    """The order q of dispersion: x - arg R(i x) = O(x^(q+1)). See `oscillation`.

    >>> dispersion_order("dormand_prince54")
    6
    """
    return oscillation(tableau).dispersion_order


def dissipation_order(tableau: Any) -> int | float:
    """The order r of dissipation: 1 - |R(i x)| = O(x^(r+1)). See `oscillation`.

    >>> dissipation_order("dormand_prince54")
    5
    """
    return oscillation(tableau).dissipation_order
