"""Linear stability: R(z), and how far along the axes |R(z)| <= 1.

y' = lambda y,    y_next = R(dt lambda) y,    R(z) = 1 + sum_n (b^T A^(n-1) 1) z^n

That is a polynomial for explicit methods, and P(z) / Q(z) for implicit ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import zip_longest
from typing import Any

from keras_rk.analysis.implicit_stability import (
    a_stability,
    l_stability,
    terms_on_imaginary_axis,
)
from keras_rk.analysis.properties import ROUNDING, Property, check_numbers
from keras_rk.analysis.resolvent import resolvent
from keras_rk.butcher.tableau import Tableau
from keras_rk.numbers.coefficients import Coefficient, public
from keras_rk.numbers.evaluation import Evaluation
from keras_rk.numbers.polynomials import first_rise, integers, sign_at
from keras_rk.numbers.square_roots import Number, Surd
from keras_rk.tableaux.as_tableau import as_tableau

__all__ = ["StabilityFunction", "stability_function"]

_TOUCHING = Fraction(1, 10**10)  # |R| above one by less than that is a maximum that touches one
_SHORT_BITS = 1024  # of a common denominator with which A and b become integers
_SHOWING = range(1, 5)  # of these coefficients, those of published methods show their rounding


@dataclass(frozen=True)
class StabilityFunction:
    """The stability function R(z) of a method, in lowest terms.

        R(z) = (r_0 + r_1 z + ... + r_s z^s) / (1 + q_1 z + ... + q_s z^s),

    where the denominator is 1 for explicit methods.

    Where the coefficients are rational, the intervals end where |R| exceeds one, exactly. Where
    they are rounded, irrational or very long, an excess of less than 1e-10 counts as none.

    Attributes:
        exact_coefficients: r_0, ..., r_s, without zeros at the end.
        has_floats: whether they come from binary floats.
        exact_denominator: 1, q_1, ..., q_s, without zeros at the end.
    """

    exact_coefficients: tuple[Coefficient, ...]
    has_floats: bool = False
    exact_denominator: tuple[Coefficient, ...] = (Fraction(1),)

    @property
    def coefficients(self) -> tuple[Any, ...]:
        """r_0, ..., r_s: a `Fraction` where rational, a SymPy number otherwise."""
        return tuple(public(r) for r in self.exact_coefficients)

    @property
    def denominator(self) -> tuple[Any, ...]:
        """1, q_1, ..., q_s, in the same way."""
        return tuple(public(q) for q in self.exact_denominator)

    @cached_property
    def a_stability(self) -> Property:
        """Whether |R(z)| <= 1 wherever Re z <= 0, with the reason."""
        return a_stability(*self._fraction)

    @cached_property
    def l_stability(self) -> Property:
        """Whether the method is A-stable and R(z) -> 0 for z -> infinity, with the reason."""
        return l_stability(*self._fraction)

    @property
    def is_a_stable(self) -> bool:
        """Whether |R(z)| <= 1 wherever Re z <= 0: proved, or but for rounded coefficients."""
        return bool(self.a_stability)

    @property
    def is_l_stable(self) -> bool:
        """Whether the method is A-stable and R(z) -> 0 for z -> infinity, in the same way."""
        return bool(self.l_stability)

    @property
    def _fraction(self) -> tuple[Any, Any]:
        return self.exact_coefficients, self.exact_denominator

    def __call__(self, z: Any) -> Any:
        """R(z) in floating point, for a number or an array, real or complex.

        Its error is below 1e-12 max(1, |R(z)|): in exact numbers where floats cancel.
        """
        return self._evaluation(z)

    @cached_property
    def _evaluation(self) -> Evaluation:
        return Evaluation(*self._close)

    @cached_property
    def _close(self) -> tuple[list[Fraction], list[Fraction]]:
        return _close(self.exact_coefficients), _close(self.exact_denominator)

    @cached_property
    def is_rounded(self) -> bool:
        """Whether coefficients are floats, or show that they were floats or decimals."""
        return self.has_floats or any(
            0 < abs(r * math.factorial(n) - 1) < ROUNDING
            for n, r in enumerate(self._first_powers())
            if n in _SHOWING
        )

    def _first_powers(self) -> Sequence[Any]:
        """The coefficients of R(z) as a power series, as far as they are looked at."""
        p, q = self._fraction
        if len(q) == 1:
            return p
        found: list[Any] = []
        for n in range(_SHOWING.stop):
            below = sum((q[k] * found[n - k] for k in range(1, min(n + 1, len(q)))), Fraction(0))
            found.append((p[n] if n < len(p) else 0) - below)
        return found

    @cached_property
    def real_interval(self) -> float:
        """The largest x such that |R(-t)| <= 1 for all t in [0, x]."""
        above, below = ([x * (-1) ** n for n, x in enumerate(part)] for part in self._close)
        pairs = list(zip_longest(above, below, fillvalue=Fraction(0)))
        rounding = ROUNDING if self.is_rounded else Fraction(0)
        excesses = [[_unrounded((sign * x, -y), rounding) for x, y in pairs] for sign in (1, -1)]
        return _first_exit(excesses, self._touching)

    @cached_property
    def imaginary_interval(self) -> float:
        """The largest x such that |R(it)| <= 1 for all t in [-x, x].

        With u = t^2, |R(it)|^2 - 1 is a polynomial in u, over a square. Its coefficients are
        computed exactly, or with many digits, since the first of them, which decide, vanish by the
        order conditions.
        """
        close = self._close
        if self.is_rounded:
            rounding = ROUNDING
        else:
            bits = 8 * max(map(len, close))
            rounding = Fraction(0) if self._is_exact else Fraction(1, 2**bits)
        excess = _excess_on_imaginary_axis(*close, rounding)
        return math.sqrt(_first_exit([excess], 2 * self._touching))

    @property
    def _touching(self) -> Fraction:
        return Fraction(0) if self._is_exact and not self.is_rounded else _TOUCHING

    @property
    def _is_exact(self) -> bool:
        return all(list(x) == y for x, y in zip(self._fraction, self._close, strict=True))


def stability_function(tableau: Any) -> StabilityFunction:
    """The stability function of a method, exactly.

    For y' = lambda y, one step of size dt multiplies y by R(dt lambda), with

        R(z) = 1 + z b^T (I - z A)^(-1) 1 = P(z) / Q(z),    Q(z) = det(I - z A).

    For an explicit method that is 1 + sum_i (b^T A^(i-1) 1) z^i, i = 1, ..., s. A method of order p
    has R(z) = exp(z) + O(z^(p+1)).

    Args:
        tableau: a `keras_rk.Tableau`, the name of one, or arrays `(A, b[, c])`.

    Returns:
        A `StabilityFunction`, with `coefficients` and `denominator`, `real_interval`,
        `imaginary_interval`, `is_a_stable` and `is_l_stable`.

    Raises:
        TableauError: for a tableau with symbols, and for an implicit one so large that R(z) takes
            long.

    Example:

    >>> R = stability_function("rk4")
    >>> print(*R.coefficients)
    1 1 1/2 1/6 1/24
    >>> f"{R.real_interval:.4f} {R.imaginary_interval:.4f}"
    '2.7853 2.8284'
    >>> R(-1.0)
    0.375
    >>> from keras_rk import tableaux
    >>> R = stability_function(tableaux.radau_iia(2))
    >>> print(*R.coefficients, "over", *R.denominator)
    1 1/3 over 1 -2/3 1/6
    >>> print(R.l_stability)
    exact: R(z) has no pole where Re z <= 0, and |R(iy)| <= 1 for all y; R(infinity) = 0
    """
    tableau = as_tableau(tableau)
    check_numbers(tableau, "The stability function")
    if not tableau.is_explicit:
        above, below = resolvent(tableau)
        return StabilityFunction(tuple(above), tableau.has_floats, tuple(below))
    coefficients = [Fraction(1), *_powers(tableau)]
    while len(coefficients) > 1 and not coefficients[-1]:
        coefficients.pop()
    return StabilityFunction(tuple(coefficients), tableau.has_floats)


def _powers(tableau: Tableau) -> list[Any]:
    """b^T A^(n-1) 1 for n = 1, 2, ..., in integers where the common denominator is short."""
    A: Sequence[Sequence[Any]] = tableau.exact_A
    b: Sequence[Any] = tableau.exact_b
    entries = [x for row in (*A, b) for x in row]
    scale: int | None = None
    if all(isinstance(x, Fraction) for x in entries):
        scale = math.lcm(*(x.denominator for x in entries))
    if scale is not None and scale.bit_length() <= _SHORT_BITS:
        *A, b = ([int(x * scale) for x in row] for row in (*A, b))
    else:
        scale = 1
    rows, weights = [_entries(row) for row in A], _entries(b)
    found: list[Any] = []
    power: list[Any] = [1] * tableau.stages  # A^(n-1) 1 times scale^(n-1)
    denominator = scale
    while any(power):
        found.append(Fraction(1, denominator) * _product(weights, power))
        power = [_product(row, power) for row in rows]
        denominator *= scale
    return found


def _entries(row: Sequence[Any]) -> list[tuple[int, Any]]:
    """The entries that are not zero, with their columns."""
    return [(j, x) for j, x in enumerate(row) if x]


def _product(entries: list[tuple[int, Any]], column: Sequence[Any]) -> Any:
    return sum((x * column[j] for j, x in entries if column[j]), 0)


def _excess_on_imaginary_axis(
    p: Sequence[Fraction], q: Sequence[Fraction], rounding: Fraction
) -> list[Fraction]:
    """The coefficients of |P(it)|^2 - |Q(it)|^2 in u = t^2; what rounding explains is zero."""
    found = []
    for k in range(max(len(p), len(q))):
        ours, theirs = terms_on_imaginary_axis(p, k), terms_on_imaginary_axis(q, k)
        found.append(_unrounded([*ours, *(-x for x in theirs)], rounding))
    return found


def _unrounded(terms: Sequence[Fraction], rounding: Fraction) -> Fraction:
    """The sum, or zero where rounding explains it."""
    total = sum(terms, Fraction(0))
    is_rounding = rounding and abs(total) <= rounding * sum(map(abs, terms), Fraction(0))
    return Fraction(0) if is_rounding else total


def _close(coefficients: Sequence[Any]) -> list[Fraction]:
    """The coefficients; where one is irrational or very long, all rounded to many digits.

    Within the interval, the terms of a polynomial of degree n that stays below one are as large as
    those of Chebyshev's: (3 + sqrt(8))^n, and so less than 2^(3 n) times what is left of them.
    """
    degree = len(coefficients)
    exact = [x for x in coefficients if not isinstance(x, Surd)]
    common = math.lcm(*(x.denominator for x in exact))
    if len(exact) == degree and common.bit_length() <= 32 * (degree + 32):
        return list(coefficients)
    return [_rounded(x, 8 * degree + 128) for x in coefficients]


def _rounded(x: Number, bits: int) -> Fraction:
    """x to so many binary digits."""
    near, precision = x, bits
    while isinstance(near, Surd):
        low, high = near.enclosure(precision)
        if (high - low) * 2**bits <= abs(low):
            near = low
        precision *= 2
    unit = Fraction(2) ** (near.numerator.bit_length() - near.denominator.bit_length() - bits)
    return round(near / unit) * unit


def _first_exit(excesses: Sequence[Sequence[Fraction]], touching: Fraction) -> float:
    """The first x >= 0 beyond which one of the polynomials is positive; infinity without any.

    Args:
        touching: as much above zero counts as zero.
    """
    if not touching:
        return min(first_rise(integers(p)) for p in excesses)
    return min(_exit_beyond(p, touching) for p in excesses)


def _exit_beyond(p: Sequence[Fraction], touching: Fraction) -> float:
    """Where p rises above zero on its way above `touching`."""
    high = first_rise(integers([p[0] - touching, *p[1:]]))
    if math.isinf(high):
        return high
    polynomial = integers(p)
    back = high * 2.0**-52
    while back < high and sign_at(polynomial, Fraction(high - back)) > 0:
        back *= 2
    if back >= high:
        return 0.0
    low = high - back
    while low < (middle := (low + high) / 2) < high:
        if sign_at(polynomial, Fraction(middle)) > 0:
            high = middle
        else:
            low = middle
    return low
