"""SymPy expressions, read from their own trees: numbers, and rational functions of symbols.

The size of a tree, and of what it expands to, is bounded before SymPy does anything with it.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from keras_rk.errors import TableauError, shown
from keras_rk.numbers.expansion import check_expansion
from keras_rk.numbers.grammar import MAX_DEPTH, check_size
from keras_rk.numbers.square_roots import Number, square_root

if TYPE_CHECKING:
    import sympy

__all__ = ["cancelled", "check_tree", "from_sympy", "reduced", "substituted"]

MAX_NODES = 10_000  # of an expression's tree
_FLOATS = (1e-300, 1e300)


def from_sympy(value: Any) -> Number | sympy.Expr:
    """The number that a SymPy object is, or the rational function of symbols."""
    check_tree(value)
    if not getattr(value, "free_symbols", None):
        return check_size(_evaluate(value))
    import sympy

    if not _is_rational_function(value):
        raise TableauError(
            "A symbolic coefficient is a rational function of symbols with rational numbers "
            "(for a square root, put another symbol in its place, and the root in place of that "
            f"symbol with `subs`). Received: {shown(value)}."
        )
    floats = {number: sympy.Rational(number) for number in value.atoms(sympy.Float)}
    return reduced(value.xreplace(floats))


def reduced(value: sympy.Expr) -> Number | sympy.Expr:
    """`cancelled`, for expressions of any kind: refused where that may take long."""
    import sympy

    check_expansion(value)
    found = cancelled(value)
    if isinstance(found, sympy.Basic):  # what is accepted can be written, and read again
        check_expansion(found)
        check_tree(found)
        for number in found.atoms(sympy.Rational):
            check_size(Fraction(int(number.p), int(number.q)))
    return found


def cancelled(value: sympy.Expr) -> Number | sympy.Expr:
    """A rational function in lowest terms, and a number where its symbols cancel."""
    import sympy

    if not value.free_symbols:
        return _evaluate(value)
    symbols = sorted(value.free_symbols, key=sympy.default_sort_key)
    field = sympy.QQ.frac_field(*symbols)  # gives what `sympy.cancel` gives, a hundred times faster
    above, below = sympy.fraction(value)
    try:
        if above.is_polynomial(*symbols) and below.is_polynomial(*symbols):
            found = field.field.new(*map(field.field.ring.from_expr, (above, below)))
        else:
            found = field.from_sympy(value)
        value = field.to_sympy(found)
    except ZeroDivisionError:
        raise TableauError(f"A division by zero. Received: {shown(value)}.") from None
    return value if value.free_symbols else _evaluate(value)


def substituted(value: sympy.Expr, chosen: dict[sympy.Symbol, sympy.Expr]) -> Any:
    """A rational function with numbers or other expressions in place of symbols."""
    import sympy

    _, denominator = sympy.fraction(value)
    if from_sympy(denominator.xreplace(chosen)) == 0:
        names = sorted(map(str, denominator.free_symbols & chosen.keys()))
        places = {str(symbol): x for symbol, x in chosen.items()}
        at = ", ".join(f"{name} = {places[name]}" for name in names)
        raise TableauError(f"A coefficient is finite. Received: {shown(value)}, a pole at {at}.")
    return from_sympy(value.xreplace(chosen))


def check_tree(value: Any) -> None:
    """Refuses a tree that is deeper or larger than coefficients are, however its parts repeat."""
    pending, count = [(value, 0)], 0
    while pending:
        part, depth = pending.pop()
        count += 1
        if depth > MAX_DEPTH:
            raise TableauError(
                f"A coefficient nests moderately, at most {MAX_DEPTH} deep. "
                f"Received: a deeper one ({type(value).__name__})."
            )
        if count > MAX_NODES:
            raise TableauError(
                f"A coefficient has at most {MAX_NODES} numbers, symbols and operations. "
                f"Received: more of them ({type(value).__name__})."
            )
        pending.extend((inner, depth + 1) for inner in part.args)


def _is_rational_function(value: Any) -> bool:
    """Whether a SymPy object is built from symbols and finite rationals by + * and powers."""
    if value.is_Symbol:
        return bool(value.is_commutative)
    if value.is_Rational or value.is_Float:
        return bool(value.is_finite)
    if value.is_Pow:
        base, exponent = value.args
        return bool(exponent.is_Integer) and _is_rational_function(base)
    return (value.is_Add or value.is_Mul) and all(map(_is_rational_function, value.args))


def _evaluate(value: Any) -> Number:
    """A SymPy number from its own tree: rationals, sums, products, integer and half powers."""
    import sympy

    if value.is_Float and (value.is_zero or _FLOATS[0] < abs(value) < _FLOATS[1]):
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
    if value is sympy.GoldenRatio:
        return (1 + square_root(Fraction(5))) / 2
    if isinstance(value, sympy.AlgebraicNumber):
        return _evaluate(value.as_expr())
    if isinstance(value, sympy.CRootOf) and value.poly.degree() == 2:
        a, b, c = map(int, value.poly.all_coeffs())
        if b * b >= 4 * a * c:  # `is_real` raises KeyError in SymPy 1.12 where a < 0
            return _quadratic_root(a, b, c, larger=value.index == 1)
    raise TableauError(
        "A coefficient is built from rational numbers by + - * / and square roots. "
        f"Received: {shown(value)}."
    )


def _quadratic_root(a: int, b: int, c: int, *, larger: bool) -> Number:
    """The smaller or the larger root of a x^2 + b x + c."""
    root = square_root(check_size(Fraction(b * b - 4 * a * c, 4 * a * a)))
    middle = Fraction(-b, 2 * a)
    return check_size(middle + root if larger else middle - root)


def _power(base: Number, exponent: int) -> Number:
    if exponent < 0:
        if base == 0:
            raise TableauError(f"A division by zero. Received: 0**({exponent}).")
        return Fraction(1) / _power(base, -exponent)
    result: Number = Fraction(1)
    for _ in range(exponent):
        result = check_size(result * base)
    return result
