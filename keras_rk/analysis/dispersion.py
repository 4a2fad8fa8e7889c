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
from keras_rk.analysis.stability import StabilityFunction, stability_function
from keras_rk.numbers.coefficients import public

__all__ = ["Oscillation", "dispersion_order", "dissipation_order", "oscillation"]

_ROUNDING = Fraction(1, 2**40)  # relative: less than that is what rounded coefficients leave
_SHOWING = range(1, 5)  # of these coefficients of R, those of published methods show rounding


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
    tableau = numeric_tableau(tableau, "Dispersion and dissipation are")
    return oscillation_of(stability_function(tableau))


def oscillation_of(R: StabilityFunction) -> Oscillation:
    """The same from the stability function."""
    r = R.exact_coefficients
    is_rounded = R.has_floats or any(
        0 < abs(x * math.factorial(n) - 1) < _ROUNDING for n, x in enumerate(r) if n in _SHOWING
    )

    def is_zero(terms: list[Any]) -> bool:
        total = sum(terms, Fraction(0))
        return not total or (is_rounded and abs(total) <= _ROUNDING * sum(map(abs, terms)))

    n, phase = _first(_phases(r), is_zero)
    k, excess = _first(_excesses(r), is_zero)
    return Oscillation(
        dispersion_order=n - 1,
        dispersion_coefficient=public(-phase * (-1) ** (n // 2)),
        dissipation_order=k - 1,
        dissipation_coefficient=public(-excess / 2),
    )


def _phases(r: Any) -> Iterator[tuple[int, list[Any]]]:
    """The terms of the odd coefficients of R(z) exp(-z), whose imaginary part is the phase."""
    for n in count(1, 2):
        last = min(n, len(r) - 1)
        yield n, [r[m] * Fraction((-1) ** (n - m), math.factorial(n - m)) for m in range(last + 1)]


def _excesses(r: Any) -> Iterator[tuple[int, list[Any]]]:
    """The terms of the coefficients of |R(i x)|^2 - 1 = R(i x) R(-i x) - 1."""
    for k in range(2, 2 * len(r) - 1, 2):
        places = range(max(0, k - len(r) + 1), min(k, len(r) - 1) + 1)
        yield k, [r[j] * r[k - j] * (-1) ** (j + k // 2) for j in places]


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
