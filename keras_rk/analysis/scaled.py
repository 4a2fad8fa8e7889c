"""A tableau times its common denominators: integers, with square roots where it has some.

Sums and products of these are exact and take a fraction of the time that fractions take.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from keras_rk.butcher.tableau import Tableau
from keras_rk.numbers.quadratic_fields import multiply, sign
from keras_rk.numbers.square_roots import Number, common_field, number
from keras_rk.numbers.totals import bounded_common

__all__ = ["Integral", "Scaled", "scaled", "sign_of"]


@dataclass(frozen=True)
class Surds:
    """A sum of products of square roots with integer `coordinates`, see `quadratic_fields`."""

    coordinates: tuple[int, ...]
    roots: Any

    def __add__(self, other: Integral) -> Surds:
        if isinstance(other, int):
            first, *rest = self.coordinates
            return Surds((first + other, *rest), self.roots)
        pairs = zip(self.coordinates, other.coordinates, strict=True)
        return Surds(tuple(x + y for x, y in pairs), self.roots)

    def __mul__(self, other: Integral) -> Surds:
        if isinstance(other, int):
            return Surds(tuple(x * other for x in self.coordinates), self.roots)
        product: Any = multiply(self.coordinates, other.coordinates, self.roots)  # type: ignore[arg-type]
        return Surds(product, self.roots)

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> Surds:
        return Surds(tuple(-x for x in self.coordinates), self.roots)

    def __sub__(self, other: Integral) -> Surds:
        return self + -other

    def __rsub__(self, other: Integral) -> Surds:
        return -self + other

    def __bool__(self) -> bool:
        return any(self.coordinates)


Integral = int | Surds


def sign_of(x: Integral) -> int:
    """-1, 0 or 1."""
    if isinstance(x, int):
        return (x > 0) - (x < 0)
    return sign(tuple(map(Fraction, x.coordinates)), x.roots)


@dataclass(frozen=True)
class Scaled:
    """A tableau over its common denominators.

    Attributes:
        A: times `A_scale`.
        c: times `c_scale`; nodes have short denominators where A has long ones.
        weights: b and, if there is one, b_hat, times `weight_scale`.
    """

    A: list[list[Any]]
    c: list[Any]
    weights: list[list[Any]]
    A_scale: int
    c_scale: int
    weight_scale: int

    def value(self, x: Integral, denominator: int) -> Number:
        """x / denominator."""
        if isinstance(x, int):
            return Fraction(x, denominator)
        return number(x.roots, tuple(Fraction(y, denominator) for y in x.coordinates))


def scaled(tableau: Tableau) -> Scaled:
    """The integers that stand for a tableau without symbols."""
    parts: Any = (tableau.exact_A, [tableau.exact_c], tableau.exact_weights)
    roots, elements = common_field(x for rows in parts for row in rows for x in row)
    integer_roots = tuple(tuple(int(x) for x in root) for root in roots)
    taken = iter(elements)
    found, scales = [], []
    for rows in parts:
        coordinates = [[next(taken) for _ in row] for row in rows]
        denominators = (y.denominator for row in coordinates for x in row for y in x)
        common = bounded_common(denominators, "a tableau")
        found.append([[_integral(x, common, integer_roots) for x in row] for row in coordinates])
        scales.append(common)
    A, (c,), weights = found
    return Scaled(A, c, weights, *scales)


def _integral(element: Iterable[Fraction], common: int, roots: Any) -> Integral:
    integers = tuple(x.numerator * (common // x.denominator) for x in element)
    return Surds(integers, roots) if roots else integers[0]
