"""Exact real numbers built from integers by + - * / and square roots.

A number is a `Fraction` where it is rational and a `Surd` otherwise: its coordinates in a tower of
square roots (see `quadratic_fields`). Nested radicals that simplify, such as
sqrt(3 + 2*sqrt(2)) = 1 + sqrt(2), are recognised on the way in.
"""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any, Union

from keras_rk.errors import TableauError
from keras_rk.numbers.quadratic_fields import (
    Coordinates,
    Roots,
    add,
    adjoin,
    as_text,
    enclosure,
    halves,
    inverse,
    multiply,
    needed_roots,
    negative,
    pad,
    sign,
)

if TYPE_CHECKING:
    import sympy

__all__ = ["Number", "Surd", "common_field", "number", "square_root"]

Number = Union[Fraction, "Surd"]


def _operators(
    exactly: Callable[[Number, Number], Number], rounded: Callable[[Any, Any], Any]
) -> tuple[Callable[[Surd, Any], Any], Callable[[Surd, Any], Any]]:
    """An operation with the Surd on its left, and on its right.

    As for a `Fraction`, it is exact beside exact numbers, and in floats beside a float.
    """

    def forward(self: Surd, other: Any) -> Any:
        x = _exact(other)
        if x is not None:
            return exactly(self, x)
        return rounded(float(self), other) if _is_rounded(other) else NotImplemented

    def backward(self: Surd, other: Any) -> Any:
        x = _exact(other)
        if x is not None:
            return exactly(x, self)
        return rounded(other, float(self)) if _is_rounded(other) else NotImplemented

    return forward, backward


def _relation(holds: Callable[[Any, Any], bool]) -> Callable[[Surd, Any], bool]:
    """A comparison, exact beside every real number of Python and NumPy."""

    def compare(self: Surd, other: Any) -> bool:
        order = self.compared_with(other)
        return NotImplemented if order is None else holds(order, 0)

    return compare


@dataclass(frozen=True, eq=False)
class Surd:
    """An irrational real number, `coordinates` over the products of the square `roots`.

    It computes with ints, `Fraction`s and `Decimal`s exactly, with floats in floats, and in SymPy's
    expressions as a SymPy number. It compares with all of them exactly, and its hash is that of
    every equal Surd.
    """

    roots: Roots
    coordinates: Coordinates

    __add__, __radd__ = _operators(lambda x, y: _sum(x, y), operator.add)
    __sub__, __rsub__ = _operators(lambda x, y: _sum(x, -y), operator.sub)
    __mul__, __rmul__ = _operators(lambda x, y: _product(x, y), operator.mul)
    __truediv__, __rtruediv__ = _operators(lambda x, y: _quotient(x, y), operator.truediv)
    __lt__, __le__ = _relation(operator.lt), _relation(operator.le)
    __gt__, __ge__ = _relation(operator.gt), _relation(operator.ge)

    def __eq__(self, other: object) -> bool:
        order = self.compared_with(other) if isinstance(other, Surd) else None
        if order is None:  # no rational number, and so no float, equals an irrational one
            return False if isinstance(other, numbers.Complex | Decimal) else NotImplemented
        return order == 0

    def __hash__(self) -> int:
        return hash(self._nearest_float)

    def __neg__(self) -> Surd:
        return Surd(self.roots, negative(self.coordinates))

    def __pos__(self) -> Surd:
        return self

    def __abs__(self) -> Surd:
        return -self if sign(self.coordinates, self.roots) < 0 else self

    def __float__(self) -> float:
        if math.isinf(self._nearest_float):
            raise OverflowError("a number beyond the range of floats")
        return self._nearest_float

    @cached_property
    def _nearest_float(self) -> float:
        """Rounding keeps the order of numbers; beyond the range of floats stands an infinity."""
        bits = 64
        while True:  # ends, because an irrational number is not half-way between two floats
            low, high = map(_as_float, self.enclosure(bits))
            if low == high:
                return low
            bits *= 2

    def compared_with(self, other: Any) -> float | None:
        """The sign of self - other; NaN beside NaN, None beside what is no real number."""
        if isinstance(other, Surd) and self._nearest_float != other._nearest_float:
            return 1 if self._nearest_float > other._nearest_float else -1
        x = _exact(other)
        if x is None and _is_rounded(other) and hasattr(other, "as_integer_ratio"):
            if not math.isfinite(other):
                return -math.copysign(1, other) if math.isinf(other) else math.nan
            x = Fraction(*map(int, other.as_integer_ratio()))
        if x is None:
            return None
        difference = _sum(self, -x)
        if isinstance(difference, Surd):
            return sign(difference.coordinates, difference.roots)
        return (difference > 0) - (difference < 0)

    def enclosure(self, bits: int) -> tuple[Fraction, Fraction]:
        """Rational bounds, each square root enclosed to `bits` binary places."""
        return enclosure(self.coordinates, self.roots, bits)

    def __str__(self) -> str:
        return as_text(self.coordinates, self.roots)

    def to_sympy(self) -> sympy.Expr:
        import sympy

        def build(x: Coordinates, roots: Roots) -> sympy.Expr:
            if not roots:
                return sympy.Rational(x[0].numerator, x[0].denominator)
            lo, hi = halves(x)
            below = roots[:-1]
            return build(lo, below) + sympy.expand(
                build(hi, below) * sympy.sqrt(build(roots[-1], below))
            )

        return build(self.coordinates, self.roots)

    _sympy_ = to_sympy  # SymPy's own hook; without it SymPy would take the nearest float


def _sum(x: Number, y: Number) -> Number:
    roots, (a, b) = common_field([x, y])
    return number(roots, add(a, b))


def _product(x: Number, y: Number) -> Number:
    roots, (a, b) = common_field([x, y])
    return number(roots, multiply(a, b, roots))


def _quotient(x: Number, y: Number) -> Number:
    roots, (a, b) = common_field([x, y])
    return number(roots, multiply(a, inverse(b, roots), roots))


def _exact(x: Any) -> Number | None:
    """The value of a number of a class that is exact: Python's, NumPy's integers, SymPy's."""
    if isinstance(x, Surd | Fraction):
        return x
    if isinstance(x, numbers.Rational):
        return Fraction(int(x.numerator), int(x.denominator))
    return Fraction(x) if isinstance(x, Decimal) and x.is_finite() else None


def _is_rounded(x: Any) -> bool:
    """Whether it is a float or complex number, Python's or NumPy's, or a Decimal without value."""
    return isinstance(x, numbers.Complex | Decimal)


def _as_float(x: Fraction) -> float:
    try:
        return float(x)
    except OverflowError:
        return math.inf if x > 0 else -math.inf


def square_root(x: Number) -> Number:
    """The exact square root of a number that is not negative."""
    if x < 0:
        raise TableauError(f"A square root needs a radicand >= 0. Received: sqrt({x}).")
    roots, (coordinates,) = common_field([x])
    roots, root = adjoin(coordinates, roots)
    return number(roots, root)


def number(roots: Roots, x: Coordinates) -> Number:
    """The number with these coordinates."""
    roots, x = needed_roots(roots, x)
    return Surd(roots, x) if roots else x[0]


def common_field(
    values: Iterable[Number], check_roots: Callable[[int], None] = lambda count: None
) -> tuple[Roots, list[Coordinates]]:
    """One tower that holds all the values, and their coordinates in it.

    Args:
        check_roots: is told the number of roots each time it grows, and may raise.
    """
    roots: Roots = ()
    found: list[Coordinates] = []
    for x in values:
        if type(x) is Fraction:
            found.append((x,))
        elif not isinstance(x, Surd):
            found.append((Fraction(x),))
        elif x.roots == roots[: len(x.roots)]:
            found.append(x.coordinates)
        elif x.roots[: len(roots)] == roots:
            roots = x.roots
            found.append(x.coordinates)
        else:
            roots, coordinates = _embed(x, roots)
            found.append(coordinates)
            check_roots(len(roots))
    if not roots:
        return roots, found
    size = 2 ** len(roots)
    return roots, [pad(x, size) for x in found]


def _embed(x: Surd, roots: Roots) -> tuple[Roots, Coordinates]:
    """`x` in the tower `roots`, which grows by those of x's roots that it lacks."""
    images: list[Coordinates] = []

    def image(coordinates: Coordinates) -> Coordinates:
        """An element of x's tower, written in the growing one."""
        if len(coordinates) == 1:
            return pad(coordinates, 2 ** len(roots))
        lo, hi = (image(half) for half in halves(coordinates))
        root = pad(images[len(coordinates).bit_length() - 2], len(lo))
        return add(lo, multiply(hi, root, roots))

    for radicand in x.roots:
        grown, root = adjoin(image(radicand), roots)
        roots = grown
        images.append(root)
    return roots, image(x.coordinates)
