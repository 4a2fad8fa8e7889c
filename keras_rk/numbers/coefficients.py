"""One number in, one exact number out.

`exact` takes what people write coefficients as and returns a `Fraction` where the number is
rational, a `Surd` (see `square_roots`) where it contains square roots, and a SymPy expression
where it contains symbols. `public` turns a `Surd` into the SymPy number that users see.
"""

from __future__ import annotations

import math
import operator
import sys
from decimal import Decimal
from fractions import Fraction
from numbers import Integral
from typing import TYPE_CHECKING, Any, Union

from keras_rk.errors import TableauError, shown
from keras_rk.numbers.grammar import MAX_EXPONENT, MAX_LENGTH, check_range, check_size, parse
from keras_rk.numbers.square_roots import Number, Surd, square_root

if TYPE_CHECKING:
    import sympy

__all__ = [
    "Coefficient",
    "approximate",
    "exact",
    "is_float",
    "is_symbolic",
    "looks_like_float",
    "nearest",
    "public",
    "reduced",
    "simplest",
    "to_sympy",
    "to_text",
    "whole_number",
]

Coefficient = Union[Fraction, Surd, "sympy.Expr"]

MAX_OPERATIONS = 200  # of a symbolic coefficient
MAX_POWER = 16  # in a symbolic coefficient
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
        return _from_sympy(value)
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
        return any(number.is_Float for number in sys.modules["sympy"].preorder_traversal(value))
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.floating)


def looks_like_float(value: Coefficient) -> bool:
    """Whether a number has the long binary fraction that floats have and people do not write."""
    if not isinstance(value, Fraction):
        return False
    return value.denominator > 2**20 and value.denominator & (value.denominator - 1) == 0


def is_symbolic(value: Coefficient) -> bool:
    return not isinstance(value, Fraction | Surd)


def symbols(value: Coefficient) -> set[sympy.Symbol]:
    """The SymPy symbols in a coefficient."""
    return set() if isinstance(value, Fraction | Surd) else value.free_symbols


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


def _from_sympy(value: Any) -> Coefficient:
    if not getattr(value, "free_symbols", None):
        return check_size(_evaluate(value))
    import sympy

    if not _is_rational_function(value):
        raise TableauError(
            "A symbolic coefficient is a rational function of symbols with rational numbers "
            "(for a square root, put another symbol in its place, and the root in place of that "
            f"symbol with `subs`). Received: {shown(value)}."
        )
    if sympy.count_ops(value) > MAX_OPERATIONS:
        raise TableauError(
            f"A symbolic coefficient has at most {MAX_OPERATIONS} operations. "
            f"Received: {sympy.count_ops(value)}."
        )
    floats = {number: sympy.Rational(number) for number in value.atoms(sympy.Float)}
    return reduced(value.xreplace(floats))


def reduced(value: sympy.Expr) -> Coefficient:
    """A rational function in lowest terms, and a number where its symbols cancel."""
    import sympy

    value = sympy.cancel(value)
    return value if value.free_symbols else _evaluate(value)


def _is_rational_function(value: Any) -> bool:
    """Whether a SymPy object is built from symbols and finite rationals by + * and powers."""
    if value.is_Symbol:
        return bool(value.is_commutative)
    if value.is_Rational or value.is_Float:
        return bool(value.is_finite)
    if value.is_Pow:
        base, exponent = value.args
        return exponent.is_Integer and abs(exponent) <= MAX_POWER and _is_rational_function(base)
    return (value.is_Add or value.is_Mul) and all(map(_is_rational_function, value.args))


def _evaluate(value: Any) -> Number:
    """A SymPy number from its own tree: rationals, sums, products, integer and half powers."""
    if value.is_Float and (value.is_zero or 1e-300 < abs(value) < 1e300):
        import sympy

        value = sympy.Rational(value)
    if value.is_Rational and value.is_finite:
        return Fraction(int(value.p), int(value.q))
    if value.is_Add or value.is_Mul:
        result, *others = (_evaluate(part) for part in value.args)
        for other in others:
            result = check_size(result + other if value.is_Add else result * other)
        return result
    if value.is_Pow:
        base, exponent = value.args
        if exponent.is_Rational and exponent.q in (1, 2, 4, 8, 16) and abs(exponent.p) <= 100:
            root = _evaluate(base)
            for _ in range(int(exponent.q).bit_length() - 1):
                root = check_size(square_root(root))
            return _power(root, int(exponent.p))
    raise TableauError(
        "A coefficient is built from rational numbers by + - * / and square roots. "
        f"Received: {shown(value)}."
    )


def _power(base: Number, exponent: int) -> Number:
    if exponent < 0:
        if base == 0:
            raise TableauError(f"A division by zero. Received: 0**({exponent}).")
        return Fraction(1) / _power(base, -exponent)
    result: Number = Fraction(1)
    for _ in range(exponent):
        result = check_size(result * base)
    return result
