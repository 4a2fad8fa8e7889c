"""Exact real numbers built from integers by + - * / and square roots.

A number is held in a tower of real quadratic fields

    Q = K_0,   K_j = K_(j-1)(sqrt(r_j)),   r_j > 0 in K_(j-1) and not a square there,

as its coordinates over the 2**m products of the m roots: bit j of a coordinate's index says
whether sqrt(r_(j+1)) is a factor, so the two halves of a coordinate tuple are the lo and hi of
lo + hi * sqrt(r_m). Since no radicand is a square below it, the coordinates of a number are
unique: a number is zero exactly if all of them are. Nested radicals that simplify, such as
sqrt(3 + 2*sqrt(2)) = 1 + sqrt(2), are recognised on the way in.

Radicands have integer coordinates, so that a tableau can be cleared of denominators.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Union

from keras_rk.errors import TableauError

if TYPE_CHECKING:
    import sympy

__all__ = [
    "Coordinates",
    "Number",
    "Roots",
    "Surd",
    "common_field",
    "multiply",
    "number",
    "square_root",
]

_TRIAL_DIVISORS_UP_TO = 1000

Coordinates = tuple[Fraction, ...]
Roots = tuple[Coordinates, ...]
Number = Union[Fraction, "Surd"]


@dataclass(frozen=True, eq=False)
class Surd:
    """An irrational real number, `coordinates` over the products of the square `roots`."""

    roots: Roots
    coordinates: Coordinates

    def __add__(self, other: Number) -> Number:
        roots, (x, y) = common_field([self, other])
        return number(roots, _add(x, y))

    __radd__ = __add__

    def __neg__(self) -> Surd:
        return Surd(self.roots, tuple(-x for x in self.coordinates))

    def __sub__(self, other: Number) -> Number:
        return self + (-other)

    def __rsub__(self, other: Number) -> Number:
        return (-self) + other

    def __mul__(self, other: Number) -> Number:
        roots, (x, y) = common_field([self, other])
        return number(roots, multiply(x, y, roots))

    __rmul__ = __mul__

    def __truediv__(self, other: Number) -> Number:
        roots, (x, y) = common_field([self, other])
        return number(roots, multiply(x, _inverse(y, roots), roots))

    def __rtruediv__(self, other: Number) -> Number:
        return number(self.roots, _inverse(self.coordinates, self.roots)) * other

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Surd):
            return NotImplemented if not isinstance(other, (int, Fraction)) else False
        return (
            float(self) == float(other)
            and isinstance(self - other, Fraction)
            and (self - other == 0)
        )

    def __hash__(self) -> int:
        return hash(float(self))  # the nearest float is unique to the value

    def __lt__(self, other: Number) -> bool:
        return _sign(self - other) < 0

    def __gt__(self, other: Number) -> bool:
        return _sign(self - other) > 0

    def __abs__(self) -> Surd:
        return -self if _sign(self) < 0 else self

    def __float__(self) -> float:
        return self._nearest_float

    @cached_property
    def _nearest_float(self) -> float:
        bits = 64
        while True:
            low, high = self.enclosure(bits)
            if float(low) == float(high):
                return float(low)
            bits *= 2

    def enclosure(self, bits: int) -> tuple[Fraction, Fraction]:
        """Rational bounds, each square root enclosed to `bits` binary places."""
        return _enclosure(self.coordinates, self.roots, bits)

    def __str__(self) -> str:
        return _text(self.coordinates, self.roots)

    def to_sympy(self) -> sympy.Expr:
        import sympy

        def build(x: Coordinates, roots: Roots) -> sympy.Expr:
            if not roots:
                return sympy.Rational(x[0].numerator, x[0].denominator)
            lo, hi = _halves(x)
            below = roots[:-1]
            return build(lo, below) + sympy.expand(
                build(hi, below) * sympy.sqrt(build(roots[-1], below))
            )

        return build(self.coordinates, self.roots)


def square_root(x: Number) -> Number:
    """The exact square root of a number that is not negative."""
    if _sign(x) < 0:
        raise TableauError(f"A square root needs a radicand >= 0. Received: sqrt({x}).")
    roots, (coordinates,) = common_field([x])
    roots, root = _adjoin(coordinates, roots)
    return number(roots, root)


def common_field(
    numbers: Iterable[Number], check_roots: Callable[[int], None] = lambda count: None
) -> tuple[Roots, list[Coordinates]]:
    """One tower that holds all the numbers, and their coordinates in it.

    Args:
        check_roots: is told the number of roots each time it grows, and may raise.
    """
    roots: Roots = ()
    found: list[Coordinates] = []
    for x in numbers:
        if not isinstance(x, Surd):
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
    size = 2 ** len(roots)
    return roots, [_pad(x, size) for x in found]


def _embed(x: Surd, roots: Roots) -> tuple[Roots, Coordinates]:
    """`x` in the tower `roots`, which grows by those of x's roots that it lacks."""
    images: list[Coordinates] = []

    def image(coordinates: Coordinates) -> Coordinates:
        """An element of x's tower, written in the growing one."""
        if len(coordinates) == 1:
            return _pad(coordinates, 2 ** len(roots))
        lo, hi = (image(half) for half in _halves(coordinates))
        root = _pad(images[len(coordinates).bit_length() - 2], len(lo))
        return _add(lo, multiply(hi, root, roots))

    for radicand in x.roots:
        grown, root = _adjoin(image(radicand), roots)
        roots = grown
        images.append(root)
    return roots, image(x.coordinates)


def number(roots: Roots, x: Coordinates) -> Number:
    """The number with these coordinates, without the roots that it does not need."""
    for j in reversed(range(len(roots))):
        elements = (x, *roots[j + 1 :])
        if not any(v and index >> j & 1 for e in elements for index, v in enumerate(e)):
            x = _without_bit(x, j)
            roots = roots[:j] + tuple(_without_bit(r, j) for r in roots[j + 1 :])
    return Surd(roots, x) if roots else x[0]


def _without_bit(x: Coordinates, j: int) -> Coordinates:
    return tuple(value for index, value in enumerate(x) if not index >> j & 1)


def _pad(x: Coordinates, size: int) -> Coordinates:
    return x + (Fraction(0),) * (size - len(x))


def _halves(x: Coordinates) -> tuple[Coordinates, Coordinates]:
    half = len(x) // 2
    return x[:half], x[half:]


def _add(x: Coordinates, y: Coordinates) -> Coordinates:
    return tuple(a + b for a, b in zip(x, y, strict=True))


def _scale(x: Coordinates, factor: Fraction) -> Coordinates:
    return tuple(a * factor for a in x)


def multiply(x: Coordinates, y: Coordinates, roots: Roots) -> Coordinates:
    """The coordinates of a product."""
    if len(x) == 1:
        return (x[0] * y[0],)
    (a, b), (c, d) = _halves(x), _halves(y)
    below, radicand = roots[:-1], roots[-1]
    lo = multiply(a, c, below)
    if any(b) and any(d):
        lo = _add(lo, multiply(multiply(b, d, below), radicand, below))
    return lo + _add(multiply(a, d, below), multiply(b, c, below))


def _norm(x: Coordinates, roots: Roots) -> Coordinates:
    """lo**2 - r * hi**2, an element of the field below."""
    lo, hi = _halves(x)
    below = roots[:-1]
    hi_squared = multiply(multiply(hi, hi, below), roots[-1], below)
    return _add(multiply(lo, lo, below), _scale(hi_squared, Fraction(-1)))


def _inverse(x: Coordinates, roots: Roots) -> Coordinates:
    if not any(x):
        raise TableauError("A division by zero. Received: a denominator that is exactly 0.")
    if not roots:
        return (1 / x[0],)
    below = roots[:-1]
    lo, hi = _halves(x)
    inverse_norm = _inverse(_norm(x, roots), below)
    return multiply(lo, inverse_norm, below) + multiply(
        _scale(hi, Fraction(-1)), inverse_norm, below
    )


def _root_within(x: Coordinates, roots: Roots) -> Coordinates | None:
    """An element whose square is `x`, or None where the field has none."""
    if not roots:
        value = x[0]
        if value < 0:
            return None
        candidate = Fraction(math.isqrt(value.numerator), math.isqrt(value.denominator))
        return (candidate,) if candidate**2 == value else None
    lo, hi = _halves(x)
    below, radicand = roots[:-1], roots[-1]
    if not any(hi):
        zero = _scale(lo, Fraction(0))
        root = _root_within(lo, below)
        if root is not None:
            return root + zero
        root = _root_within(multiply(lo, _inverse(radicand, below), below), below)
        return None if root is None else zero + root
    norm = _root_within(_norm(x, roots), below)
    if norm is None:
        return None
    for sign in (1, -1):  # (p + q sqrt(r))**2 = x  <=>  p**2 = (lo +- norm)/2, 2 p q = hi
        p = _root_within(_scale(_add(lo, _scale(norm, Fraction(sign))), Fraction(1, 2)), below)
        if p is not None and any(p):
            return p + multiply(hi, _inverse(_scale(p, Fraction(2)), below), below)
    return None


def _adjoin(x: Coordinates, roots: Roots) -> tuple[Roots, Coordinates]:
    """A tower that contains sqrt(x), and that (positive) root in it."""
    root = _root_within(x, roots)
    if root is not None:
        negative = _sign(number(roots, root)) < 0
        return roots, _scale(root, Fraction(-1)) if negative else root
    denominator = math.lcm(*(value.denominator for value in x))
    integers = [int(value * denominator**2) for value in x]
    factor = _square_factor(math.gcd(*integers))
    radicand = tuple(Fraction(value // factor**2) for value in integers)
    zero = (Fraction(0),) * len(x)
    one = _pad((Fraction(1),), len(x))
    return (*roots, radicand), zero + _scale(one, Fraction(factor, denominator))


def _square_factor(n: int) -> int:
    """The largest m found with m**2 dividing n: small primes, then n itself if it is a square."""
    factor = 1
    for p in range(2, _TRIAL_DIVISORS_UP_TO):
        if p * p > n:
            break
        while n % (p * p) == 0:
            n //= p * p
            factor *= p
    rest = math.isqrt(n)
    return factor * rest if rest * rest == n else factor


def _sign(x: Number) -> int:
    if not isinstance(x, Surd):
        return (x > 0) - (x < 0)
    bits = 64
    while True:  # ends, because an irrational number is not zero
        low, high = x.enclosure(bits)
        if low > 0 or high < 0:
            return 1 if low > 0 else -1
        bits *= 2


def _enclosure(x: Coordinates, roots: Roots, bits: int) -> tuple[Fraction, Fraction]:
    if not any(x[1:]):
        return x[0], x[0]
    lo, hi = _halves(x)
    below = roots[:-1]
    low, high = _enclosure(lo, below, bits)
    if not any(hi):
        return low, high
    root_low, root_high = _enclosure(roots[-1], below, bits)
    unit = 1 << bits
    s = Fraction(math.isqrt(math.floor(max(root_low, Fraction(0)) * unit**2)), unit)
    t = Fraction(math.isqrt(math.ceil(root_high * unit**2)) + 1, unit)
    products = [factor * root for factor in _enclosure(hi, below, bits) for root in (s, t)]
    return low + min(products), high + max(products)


def _text(x: Coordinates, roots: Roots) -> str:
    """In the grammar of coefficients, over one denominator: (18 + 4*sqrt(21))/63."""
    denominator = math.lcm(*(value.denominator for value in x))
    names = [f"sqrt({_text(r, roots[:j])})" for j, r in enumerate(roots)]
    text = ""
    for index, value in enumerate(x):
        if not value:
            continue
        integer = abs(int(value * denominator))
        factors = [name for j, name in enumerate(names) if index >> j & 1]
        if integer != 1 or not factors:
            factors.insert(0, str(integer))
        sign = ("-" if value < 0 else "") if not text else (" - " if value < 0 else " + ")
        text += sign + "*".join(factors)
    terms = sum(1 for value in x if value)
    if denominator == 1:
        return text or "0"
    return f"({text})/{denominator}" if terms > 1 else f"{text}/{denominator}"
