"""Linear stability of explicit methods: R(z), and how far along the axes |R(z)| <= 1.

y' = lambda y,    y_next = R(dt lambda) y,    R(z) = 1 + sum_n (b^T A^(n-1) 1) z^n
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import Any

from keras_rk.butcher.tableau import Tableau
from keras_rk.errors import TableauError
from keras_rk.numbers.coefficients import Coefficient, nearest, public
from keras_rk.tableaux.as_tableau import as_tableau

__all__ = ["StabilityFunction", "stability_function"]

_ROUNDING = Fraction(1, 2**40)  # relative: less than that is what rounded coefficients leave
_TOUCHING = Fraction(1, 10**10)  # |R| above one by less than that is a maximum that touches one


@dataclass(frozen=True)
class StabilityFunction:
    """The stability function R(z) = r_0 + r_1 z + ... + r_s z^s of an explicit method.

    Attributes:
        exact_coefficients: r_0, ..., r_s, without zeros at the end.
    """

    exact_coefficients: tuple[Coefficient, ...]

    @property
    def coefficients(self) -> tuple[Any, ...]:
        """r_0, ..., r_s: a `Fraction` where rational, a SymPy number otherwise."""
        return tuple(public(r) for r in self.exact_coefficients)

    @cached_property
    def _floats(self) -> list[float]:
        return [nearest(r) for r in self.exact_coefficients]

    def __call__(self, z: Any) -> Any:
        """R(z) in floating point, for a number or an array, real or complex."""
        value = 0 * z
        for r in reversed(self._floats):
            value = value * z + r
        return value

    @cached_property
    def real_interval(self) -> float:
        """The largest x such that |R(-t)| <= 1 for all t in [0, x]."""
        along = [r * (-1) ** n for n, r in enumerate(map(Fraction, self._floats))]
        above, below = ([along[0] - sign, *along[1:]] for sign in (1, -1))

        def excess(t: Fraction) -> Fraction:
            return abs(_value(along, t)) - 1

        return _first_exit(excess, [*_roots(above), *_roots(below)], _TOUCHING)

    @cached_property
    def imaginary_interval(self) -> float:
        """The largest x such that |R(it)| <= 1 for all t in [-x, x].

        With u = t^2, |R(it)|^2 - 1 is a polynomial in u. Its coefficients are computed exactly,
        since the first of them, which decide, vanish by the conditions for the order.
        """
        polynomial = _square_on_imaginary_axis(self.exact_coefficients)
        while polynomial and not polynomial[0]:
            polynomial = polynomial[1:]  # a power of u changes no sign
        end = _first_exit(lambda u: _value(polynomial, u), _roots(polynomial))
        return math.sqrt(end)


def stability_function(tableau: Any) -> StabilityFunction:
    """The stability function of an explicit method, exactly.

    For y' = lambda y, one step of size dt multiplies y by R(dt lambda), with

        R(z) = 1 + sum_i (b^T A^(i-1) 1) z^i,    i = 1, ..., s.

    A method of order p has R(z) = exp(z) + O(z^(p+1)).

    Args:
        tableau: a `keras_rk.Tableau`, the name of one, or arrays `(A, b[, c])`; explicit.

    Returns:
        A `StabilityFunction`, with `coefficients`, `real_interval` and `imaginary_interval`.

    Raises:
        TableauError: for an implicit tableau, and for one with symbols.

    Example:

    >>> R = stability_function("rk4")
    >>> print(*R.coefficients)
    1 1 1/2 1/6 1/24
    >>> f"{R.real_interval:.4f} {R.imaginary_interval:.4f}"
    '2.7853 2.8284'
    >>> R(-1.0)
    0.375
    """
    tableau = as_tableau(tableau)
    _check_explicit_numbers(tableau)
    coefficients: list[Coefficient] = [Fraction(1)]
    power: list[Coefficient] = [Fraction(1)] * tableau.stages  # A^(n-1) 1
    while any(power):
        coefficients.append(_dot(tableau.exact_b, power))
        power = [_dot(row, power) for row in tableau.exact_A]
    while len(coefficients) > 1 and not coefficients[-1]:
        coefficients.pop()
    return StabilityFunction(tuple(coefficients))


def _check_explicit_numbers(tableau: Tableau) -> None:
    called = f"tableau {tableau.name!r}" if tableau.name else repr(tableau)
    if tableau.is_symbolic:
        raise TableauError(
            "The stability function is computed of numbers: put them in place of the symbols with "
            f"`tableau.subs(...)`. Received: {called}."
        )
    if not tableau.is_explicit:
        raise TableauError(
            "The stability function is a polynomial for explicit methods only, whose `A` is zero "
            f"on and above its diagonal. Received: {called}."
        )


def _dot(row: Sequence[Any], column: Sequence[Any]) -> Any:
    return sum((x * y for x, y in zip(row, column, strict=True) if x and y), Fraction(0))


def _square_on_imaginary_axis(r: Sequence[Any]) -> list[Fraction]:
    """The coefficients of |R(it)|^2 - 1 in u = t^2; what rounding explains is zero.

    |R(it)|^2 = R(it) R(-it), so that t^(2k) has sum_j (-1)^(j+k) r_j r_(2k-j).
    """
    polynomial = []
    for k in range(len(r)):
        places = range(max(0, 2 * k - len(r) + 1), min(2 * k, len(r) - 1) + 1)
        terms = [r[j] * r[2 * k - j] * (-1) ** (j + k) for j in places]
        total = Fraction(nearest(sum(terms, Fraction(-1 if k == 0 else 0))))
        size = sum(abs(Fraction(nearest(term))) for term in terms)
        polynomial.append(total if abs(total) > _ROUNDING * size else Fraction(0))
    return polynomial


def _value(polynomial: Sequence[Fraction], x: Fraction) -> Fraction:
    value = Fraction(0)
    for coefficient in reversed(polynomial):
        value = value * x + coefficient
    return value


def _roots(polynomial: Sequence[Fraction]) -> list[float]:
    """Where real roots are, and perhaps others: the real parts of all."""
    import numpy as np

    return [float(x) for x in np.real(np.roots([float(x) for x in reversed(polynomial)]))]


def _first_exit(
    excess: Callable[[Fraction], Fraction], roots: Sequence[float], touching: Fraction = Fraction(0)
) -> float:
    """The first x > 0 at which `excess` turns positive; infinity if it never does.

    Args:
        excess: a function that changes its sign at `roots` only.
        roots: numbers near each of those, and others.
        touching: as much above zero counts as zero, as far as rounding may have caused it.
    """
    ends = sorted(root for root in roots if root > 1e-9)
    between = [(x + y) / 2 for x, y in zip([0.0, *ends], ends, strict=False)]
    points = [Fraction(0), *map(Fraction, [*between, 2 * ends[-1] if ends else 1.0])]
    for inside, outside in pairwise(points):
        if excess(outside) > touching:
            return 0.0 if inside == 0 else _bisected(excess, float(inside), float(outside))
    return math.inf


def _bisected(excess: Callable[[Fraction], Fraction], low: float, high: float) -> float:
    """The boundary between two points, to the last bit."""
    while True:
        middle = (low + high) / 2
        if not low < middle < high:
            return low
        if excess(Fraction(middle)) > 0:
            high = middle
        else:
            low = middle
