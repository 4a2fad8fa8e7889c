"""Exact numbers as their reader wrote them: a decimal as a decimal, and how finely it was written.

A tableau keeps exact values only. A `Fraction` counts as a decimal if a float or a decimal of
some length is what most likely became it: 0.5300002 and the binary fraction nearest to 0.53, but
not 1/4 or 53/100, which read well either way.
"""

from __future__ import annotations

import struct
from fractions import Fraction

from keras_rk.numbers.coefficients import (
    Coefficient,
    approximate,
    cancelled,
    is_symbolic,
    looks_like_float,
    to_sympy,
    to_text,
)
from keras_rk.numbers.square_roots import Surd

__all__ = ["brief", "brief_pair", "can_be_rounded", "is_fraction", "is_tiny", "rounding_unit"]

LONGEST_EXACT = 40
RESIDUAL_DIGITS = 6
SIGNIFICANT = 15  # digits of a decimal: what a float64 keeps of it
NEGLIGIBLE = 1e-12
_SHORT = 100  # smaller denominators belong to numbers that nobody rounded
_READABLE = 1000  # a fraction with such a denominator needs no decimal by itself
_AS_DECIMAL = 20  # two numbers with such denominators are compared as decimals


def brief(value: Coefficient, digits: int = SIGNIFICANT) -> str:
    """An exact number as text: decimals as such, and anything too long to read approximately.

    Args:
        digits: the significant digits of a decimal.
    """
    if is_symbolic(value):
        return _expression(value)
    if _is_decimal(value):
        return approximate(value, digits)
    parts = value.coordinates if isinstance(value, Surd) else (value,)
    bits = sum(x.numerator.bit_length() + x.denominator.bit_length() for x in parts)
    text = to_text(value) if bits < 4 * LONGEST_EXACT else ""
    return text if 0 < len(text) <= LONGEST_EXACT else approximate(value)


def _expression(value: Coefficient) -> str:
    """A rational function; Python writes no number of more than 4,300 digits."""
    try:
        return to_text(value)
    except ValueError:
        return "an expression with numbers of more than 4,300 digits"


def brief_pair(one: Coefficient, other: Coefficient) -> tuple[str, str, str]:
    """Two numbers that should be equal, written alike, and their difference."""
    if is_symbolic(one) or is_symbolic(other):
        return brief(one), brief(other), brief(cancelled(to_sympy(one) - to_sympy(other)))
    difference = one - other
    fractions = [x for x in (one, other) if isinstance(x, Fraction) and _terminates(x)]
    if len(fractions) == 2 and max(x.denominator for x in fractions) >= _AS_DECIMAL:
        texts = [approximate(x, SIGNIFICANT) for x in fractions]
        return texts[0], texts[1], approximate(difference)
    return brief(one), brief(other), brief(difference, RESIDUAL_DIGITS)


def rounding_unit(x: Coefficient) -> Fraction:
    """One in the last digit that x was written with; 0 for what nobody rounded.

    >>> rounding_unit(Fraction("0.6667")), rounding_unit(Fraction(0.6667))
    (Fraction(1, 10000), Fraction(1, 10000))
    >>> rounding_unit(Fraction(2, 3))
    Fraction(0, 1)
    """
    if not isinstance(x, Fraction):
        return Fraction(0)
    if looks_like_float(x) and _is_float32(float(x)):
        return abs(x) / 2**23
    x = _as_written(x)
    if x.denominator < _SHORT or x.denominator % 5 or not _terminates(x):
        return Fraction(0)
    digits = next(d for d in range(2, x.denominator.bit_length() + 1) if not 10**d % x.denominator)
    return Fraction(1, 10**digits)


def can_be_rounded(x: Coefficient) -> bool:
    """Whether few digits would have changed a number: not if a short decimal expresses it."""
    if not isinstance(x, Fraction):
        return True
    return bool(rounding_unit(x)) or not _terminates(_as_written(x))


def is_fraction(x: Coefficient) -> bool:
    """Whether a number was written as a fraction: as no decimal, and with a long denominator."""
    return isinstance(x, Fraction) and x.denominator >= _SHORT and not _terminates(x)


def is_tiny(difference: Fraction, beside: Fraction) -> bool:
    """Whether a difference is no more than what rounding to float64 leaves of a number."""
    return abs(difference) <= Fraction(NEGLIGIBLE) * max(Fraction(1), abs(beside))


def _is_decimal(value: Coefficient) -> bool:
    if looks_like_float(value):
        return True
    return (
        isinstance(value, Fraction)
        and value.denominator > _READABLE
        and value.denominator % 125 == 0
        and _terminates(value)
    )


def _terminates(x: Fraction) -> bool:
    """Whether a number has a decimal expansion that ends."""
    return 10 ** x.denominator.bit_length() % x.denominator == 0


def _as_written(x: Fraction) -> Fraction:
    """The shortest decimal that a binary fraction is the float of, and any other number itself."""
    return Fraction(repr(float(x))) if looks_like_float(x) else x


def _is_float32(value: float) -> bool:
    try:
        return bool(struct.unpack("f", struct.pack("f", value))[0] == value)
    except OverflowError:
        return False
