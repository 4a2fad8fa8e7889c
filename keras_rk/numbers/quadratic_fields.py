"""Coordinates in a tower of real quadratic fields

    Q = K_0,   K_j = K_(j-1)(sqrt(r_j)),   r_j > 0 in K_(j-1) and not a square there.

An element is a tuple of fractions, its coordinates over the 2**m products of the m roots: bit j
of a coordinate's index says whether sqrt(r_(j+1)) is a factor, so the two halves of the tuple are
the lo and hi of lo + hi * sqrt(r_m). Since no radicand is a square below it, the coordinates are
unique: an element is zero exactly if all of them are.

Radicands have integer coordinates, so that a tableau can be cleared of denominators.
"""

from __future__ import annotations

import math
from fractions import Fraction

from keras_rk.errors import TableauError

__all__ = [
    "Coordinates",
    "Roots",
    "add",
    "adjoin",
    "as_text",
    "enclosure",
    "halves",
    "inverse",
    "multiply",
    "needed_roots",
    "negative",
    "pad",
    "sign",
]

_TRIAL_DIVISORS_UP_TO = 1000

Coordinates = tuple[Fraction, ...]
Roots = tuple[Coordinates, ...]


def needed_roots(roots: Roots, x: Coordinates) -> tuple[Roots, Coordinates]:
    """The same element in the tower without the roots that it does not need."""
    for j in reversed(range(len(roots))):
        elements = (x, *roots[j + 1 :])
        if not any(v and index >> j & 1 for e in elements for index, v in enumerate(e)):
            x = _without_bit(x, j)
            roots = roots[:j] + tuple(_without_bit(r, j) for r in roots[j + 1 :])
    return roots, x


def _without_bit(x: Coordinates, j: int) -> Coordinates:
    return tuple(value for index, value in enumerate(x) if not index >> j & 1)


def pad(x: Coordinates, size: int) -> Coordinates:
    return x + (Fraction(0),) * (size - len(x))


def halves(x: Coordinates) -> tuple[Coordinates, Coordinates]:
    half = len(x) // 2
    return x[:half], x[half:]


def add(x: Coordinates, y: Coordinates) -> Coordinates:
    return tuple(a + b for a, b in zip(x, y, strict=True))


def negative(x: Coordinates) -> Coordinates:
    return tuple(-a for a in x)


def _scale(x: Coordinates, factor: Fraction) -> Coordinates:
    return tuple(a * factor for a in x)


def multiply(x: Coordinates, y: Coordinates, roots: Roots) -> Coordinates:
    """The coordinates of a product."""
    if len(x) == 1:
        return (x[0] * y[0],)
    (a, b), (c, d) = halves(x), halves(y)
    below, radicand = roots[:-1], roots[-1]
    lo = multiply(a, c, below)
    if any(b) and any(d):
        lo = add(lo, multiply(multiply(b, d, below), radicand, below))
    return lo + add(multiply(a, d, below), multiply(b, c, below))


def _norm(x: Coordinates, roots: Roots) -> Coordinates:
    """lo**2 - r * hi**2, an element of the field below."""
    lo, hi = halves(x)
    below = roots[:-1]
    hi_squared = multiply(multiply(hi, hi, below), roots[-1], below)
    return add(multiply(lo, lo, below), negative(hi_squared))


def inverse(x: Coordinates, roots: Roots) -> Coordinates:
    """The coordinates of 1/x."""
    if not any(x):
        raise TableauError("A division by zero. Received: a denominator that is exactly 0.")
    if not roots:
        return (1 / x[0],)
    below = roots[:-1]
    lo, hi = halves(x)
    inverse_norm = inverse(_norm(x, roots), below)
    return multiply(lo, inverse_norm, below) + multiply(negative(hi), inverse_norm, below)


def _root_within(x: Coordinates, roots: Roots) -> Coordinates | None:
    """An element whose square is `x`, or None where the field has none."""
    if not roots:
        value = x[0]
        if value < 0:
            return None
        candidate = Fraction(math.isqrt(value.numerator), math.isqrt(value.denominator))
        return (candidate,) if candidate**2 == value else None
    lo, hi = halves(x)
    below, radicand = roots[:-1], roots[-1]
    if not any(hi):
        zero = _scale(lo, Fraction(0))
        root = _root_within(lo, below)
        if root is not None:
            return root + zero
        root = _root_within(multiply(lo, inverse(radicand, below), below), below)
        return None if root is None else zero + root
    norm = _root_within(_norm(x, roots), below)
    if norm is None:
        return None
    for side in (1, -1):  # (p + q sqrt(r))**2 = x  <=>  p**2 = (lo +- norm)/2, 2 p q = hi
        p = _root_within(_scale(add(lo, _scale(norm, Fraction(side))), Fraction(1, 2)), below)
        if p is not None and any(p):
            return p + multiply(hi, inverse(_scale(p, Fraction(2)), below), below)
    return None


def adjoin(x: Coordinates, roots: Roots) -> tuple[Roots, Coordinates]:
    """A tower that contains sqrt(x), and that (positive) root in it."""
    root = _root_within(x, roots)
    if root is not None:
        return roots, negative(root) if sign(root, roots) < 0 else root
    denominator = math.lcm(*(value.denominator for value in x))
    integers = [int(value * denominator**2) for value in x]
    factor = _square_factor(math.gcd(*integers))
    radicand = tuple(Fraction(value // factor**2) for value in integers)
    zero = (Fraction(0),) * len(x)
    one = pad((Fraction(1),), len(x))
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


def sign(x: Coordinates, roots: Roots) -> int:
    """-1, 0 or 1."""
    if not any(x):
        return 0
    bits = 64
    while True:  # ends, because the element is not zero
        low, high = enclosure(x, roots, bits)
        if low > 0 or high < 0:
            return 1 if low > 0 else -1
        bits *= 2


def enclosure(x: Coordinates, roots: Roots, bits: int) -> tuple[Fraction, Fraction]:
    """Rational bounds, each square root enclosed to `bits` binary places."""
    if not any(x[1:]):
        return x[0], x[0]
    lo, hi = halves(x)
    below = roots[:-1]
    low, high = enclosure(lo, below, bits)
    if not any(hi):
        return low, high
    root_low, root_high = enclosure(roots[-1], below, bits)
    unit = 1 << bits
    s = Fraction(math.isqrt(math.floor(max(root_low, Fraction(0)) * unit**2)), unit)
    t = Fraction(math.isqrt(math.ceil(root_high * unit**2)) + 1, unit)
    products = [factor * root for factor in enclosure(hi, below, bits) for root in (s, t)]
    return low + min(products), high + max(products)


def as_text(x: Coordinates, roots: Roots) -> str:
    """In the grammar of coefficients, over one denominator: (18 + 4*sqrt(21))/63."""
    denominator = math.lcm(*(value.denominator for value in x))
    names = [f"sqrt({as_text(r, roots[:j])})" for j, r in enumerate(roots)]
    text = ""
    for index, value in enumerate(x):
        if not value:
            continue
        integer = abs(int(value * denominator))
        factors = [name for j, name in enumerate(names) if index >> j & 1]
        if integer != 1 or not factors:
            factors.insert(0, str(integer))
        joint = ("-" if value < 0 else "") if not text else (" - " if value < 0 else " + ")
        text += joint + "*".join(factors)
    terms = sum(1 for value in x if value)
    if denominator == 1:
        return text or "0"
    return f"({text})/{denominator}" if terms > 1 else f"{text}/{denominator}"
