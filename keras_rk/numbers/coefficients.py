"""One number in, one exact number out.

`exact` takes what people write coefficients as and returns a `Fraction` where the number is
rational, a `Surd` (see `square_roots`) where it contains square roots, and a SymPy expression
where it contains symbols. `public` turns a `Surd` into the SymPy number that users see.
"""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from numbers import Integral
from typing import TYPE_CHECKING, Any, Union

from keras_rk.errors import TableauError, shown
from keras_rk.numbers.expressions import cancelled, check_tree, from_sympy, reduced, substituted
from keras_rk.numbers.grammar import MAX_EXPONENT, MAX_LENGTH, check_range, check_size, parse
from keras_rk.numbers.square_roots import Number, Surd
from keras_rk.numbers.totals import equals_total, total

if TYPE_CHECKING:
    import sympy

__all__ = [
    "Coefficient",
    "approximate",
    "cancelled",
    "exact",
    "is_float",
    "is_sum",
    "is_symbolic",
    "looks_like_float",
    "nearest",
    "public",
    "reduced",
    "simplest",
    "substituted",
    "sum_of",
    "to_sympy",
    "to_text",
    "whole_number",
]

Coefficient = Union[Fraction, Surd, "sympy.Expr"]

_FEW_DIGITS = Fraction(1, 10**10)
_CHANCE, _CHANCE_OF_FEW_DIGITS = Fraction(1, 1000), Fraction(1, 20)
_KINDS = "an integer, a Fraction, a Decimal, text, a SymPy number, a NumPy scalar or a float"
# dtype: bits of the significand, exponent of the smallest subnormal number
_FLOATS = {"float64": (53, -1074), "float32": (24, -149), "float16": (11, -24)}
_LARGEST = {"float64": 1024, "float32": 128, "float16": 16}


def exact(value: Any) -> Coefficient:
    """The exact value of one coefficient.

    Args:
        value: an int, `Fraction`, `Decimal`, text (`"1/6"`, `"0.25"`, `"(5 - sqrt(5))/10"`),
            SymPy number or expression in symbols, NumPy scalar, or float (its exact binary
            value: 0.1 is 3602879701896397/36028797018963968, while `"0.1"` is 1/10).

    Returns:
        A `Fraction`, a `Surd`, or a SymPy expression with free symbols.

    Raises:
        TableauError: for anything else: booleans, None, complex numbers, NaN, infinities,
            text outside the grammar, numbers that square roots cannot express.
    """
    try:
        found = _read(value)
    except RecursionError:
        raise TableauError(f"A coefficient nests moderately. Received: {type(value)}.") from None
    return found if is_symbolic(found) else check_range(found)


def _read(value: Any) -> Coefficient:
    if isinstance(value, str):
        return parse(value)
    if isinstance(value, Surd):
        return check_size(value)
    if isinstance(value, Fraction):
        return check_size(Fraction(int(value.numerator), int(value.denominator)))
    if type(value).__name__ in ("bool", "bool_"):
        raise TableauError(f"A coefficient is {_KINDS}, not a truth value. Received: {value!r}.")
    if isinstance(value, Integral) and type(value).__name__ != "timedelta64":
        return check_size(Fraction(int(value)))
    if _is_sympy(value):
        return from_sympy(value)
    if is_float(value) or isinstance(value, Decimal):
        return check_size(_from_finite(value))
    raise TableauError(f"A coefficient is {_KINDS}. Received: {shown(value)}.")


def whole_number(value: Any) -> int | None:
    """`value` as an int if it can serve as an index; None for truth values and all else."""
    if type(value).__name__ in ("bool", "bool_"):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def is_float(value: Any) -> bool:
    """Whether `value` is or contains a binary floating-point number: Python's, NumPy's, SymPy's."""
    if isinstance(value, float):
        return True
    if _is_sympy(value):
        check_tree(value)
        return any(number.is_Float for number in sys.modules["sympy"].preorder_traversal(value))
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.floating)


def looks_like_float(value: Coefficient) -> bool:
    """Whether a number has the long binary fraction that floats have and people do not write."""
    if not isinstance(value, Fraction):
        return False
    return value.denominator > 2**20 and value.denominator & (value.denominator - 1) == 0


def is_symbolic(value: Coefficient) -> bool:
    """Whether a number is an expression of SymPy: no fraction and no sum of square roots."""
    return type(value) is not Fraction and not isinstance(value, Fraction | Surd)


def symbols(value: Coefficient) -> set[sympy.Symbol]:
    """The SymPy symbols in a coefficient."""
    return set() if isinstance(value, Fraction | Surd) else value.free_symbols


def sum_of(terms: Sequence[Coefficient]) -> Coefficient:
    """The exact sum, of numbers or of rational functions."""
    if any(map(is_symbolic, terms)):
        return reduced(sum(map(to_sympy, terms)))
    return total(terms)


def is_sum(value: Coefficient, terms: Sequence[Coefficient]) -> bool:
    """Whether a coefficient is the sum of others."""
    if any(map(is_symbolic, (value, *terms))):
        return bool(value == sum_of(terms))
    return equals_total(value, terms)


def public(value: Coefficient) -> Fraction | sympy.Expr:
    """What a user sees: a `Fraction`, or a SymPy number where it is irrational."""
    return value.to_sympy() if isinstance(value, Surd) else value


def to_sympy(value: Coefficient) -> sympy.Expr:
    """As a SymPy expression, rational or not."""
    import sympy

    if isinstance(value, Fraction):
        return sympy.Rational(value.numerator, value.denominator)
    return public(value)


def to_text(value: Coefficient) -> str:
    """In the grammar of coefficients, so that `exact(to_text(x)) == x` for every number."""
    return str(value)


def approximate(value: Number, digits: int = 6) -> str:
    """A decimal for a reader, or a power of two beyond the range of floats."""
    try:
        return f"{float(value):.{digits}g}"
    except OverflowError:
        low, _ = value.enclosure(64) if isinstance(value, Surd) else (value, value)
        exponent = low.numerator.bit_length() - low.denominator.bit_length()
        return f"about {'-' if low < 0 else ''}2**{exponent}"


def nearest(value: Number, dtype: str = "float64") -> float:
    """The number of `dtype` nearest to `value`, ties to even, as a Python float; one rounding."""
    if isinstance(value, Fraction):
        return _round(value, dtype)
    bits = 64
    while True:  # ends, because an irrational number is not half-way between two floats
        low, high = (_round(bound, dtype) for bound in value.enclosure(bits))
        if low == high:
            return low
        bits *= 2


def simplest(x: Fraction, tolerance: Fraction) -> Fraction:
    """The fraction with the smallest denominator close to x, unless it is a coincidence.

    Close means within `tolerance * max(1, |x|)`. About q**2 * tolerance is the chance that a
    random number is that close to a fraction with a denominator up to q; where it is beyond
    1/1000, closeness says nothing, and x is returned. Beyond a tolerance of 1e-10, which somebody
    chose who has decimals with few digits, the limit is 1/20: 0.667 is 2/3 to within 1e-3.
    """
    chance = _CHANCE if tolerance <= _FEW_DIGITS else _CHANCE_OF_FEW_DIGITS
    margin = tolerance * max(Fraction(1), abs(x))

    def close(most: int) -> bool:
        return abs(x.limit_denominator(most) - x) <= margin

    low, high = 1, math.isqrt(math.floor(chance / tolerance))
    if high < 1 or not close(high):
        return x
    while low < high:  # the nearest fraction only improves with the bound
        middle = (low + high) // 2
        low, high = (low, middle) if close(middle) else (middle + 1, high)
    return x.limit_denominator(low)


def _round(value: Fraction, dtype: str) -> float:
    precision, smallest = _FLOATS[dtype]
    if not value:
        return 0.0
    exponent = value.numerator.bit_length() - value.denominator.bit_length()
    if abs(value) < Fraction(2) ** exponent:
        exponent -= 1
    ulp = max(exponent - precision + 1, smallest)
    significand = round(value / Fraction(2) ** ulp)
    if abs(significand) >= Fraction(2) ** (_LARGEST[dtype] - ulp):
        raise TableauError(f"A coefficient fits into {dtype}. Received: about 2**{exponent}.")
    return math.ldexp(significand, ulp)


def _from_finite(value: Any) -> Fraction:
    """The exact value of a float or Decimal."""
    if isinstance(value, Decimal) and value.is_finite():
        digits = len(value.as_tuple().digits)
        if abs(value.adjusted()) > MAX_EXPONENT or digits > MAX_LENGTH:
            raise TableauError(
                f"A decimal has at most {MAX_LENGTH} digits, and an exponent between "
                f"-{MAX_EXPONENT} and {MAX_EXPONENT}. Received: {shown(value)}."
            )
    try:
        numerator, denominator = value.as_integer_ratio()
    except (ValueError, OverflowError):
        raise TableauError(f"A coefficient is finite. Received: {shown(value)}.") from None
    return Fraction(int(numerator), int(denominator))


def _is_sympy(value: Any) -> bool:
    sympy = sys.modules.get("sympy")  # a SymPy number exists only where SymPy is imported
    return sympy is not None and isinstance(value, sympy.Basic)
