"""Polynomials in exact numbers: their values, and their real roots in order.

A polynomial is the list of its coefficients a_0, a_1, ..., a_n. The roots between 0 and a bound are
separated by halving, with Descartes' rule of signs: the polynomial p of degree n has in (0, 1) as
many roots as (1 + x)^n p(1/(1 + x)) has sign changes in its coefficients, or fewer by an even
number. Everything is decided in integers.

Source: G. E. Collins, A. G. Akritas, Polynomial real root isolation using Descartes' rule of signs
(1976), for the method.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import NamedTuple

__all__ = [
    "common_divisor",
    "first_rise",
    "integers",
    "is_never_positive",
    "narrowed",
    "positive_roots",
    "quotient",
    "sign_at",
]

_PRIME = 2**61 - 1


class Root(NamedTuple):
    """The only root within (low, high), or low itself where both are equal."""

    low: Fraction
    high: Fraction
    sign_before: int


def integers(polynomial: Sequence[Fraction]) -> list[int]:
    """The coefficients over their common denominator and without common factor, zeros at the end
    left out; no sign changes."""
    common = math.lcm(*(x.denominator for x in polynomial))
    found = [x.numerator * (common // x.denominator) for x in polynomial]
    while found and not found[-1]:
        found.pop()
    factor = math.gcd(*found)
    return [x // factor for x in found]


def sign_at(p: Sequence[int], x: Fraction) -> int:
    """The sign of p(x)."""
    numerator, denominator = x.numerator, x.denominator
    value, scale = 0, 1
    for coefficient in reversed(p):
        value = value * numerator + coefficient * scale
        scale *= denominator
    return (value > 0) - (value < 0)


def first_rise(p: Sequence[int]) -> float:
    """The first x >= 0 beyond which p is positive, to the nearest float; infinity without any.

    Args:
        p: a polynomial that is not positive at 0.
    """
    simple = _squarefree(p)
    for root in positive_roots(simple):
        while root.low < root.high and not sign_at(p, root.high):  # another root
            root = narrowed(simple, root)
        if _sign_beyond(p, root) > 0:
            while _as_float(root.low) != _as_float(root.high):  # ends: halving meets every
                root = narrowed(simple, root)  # point between two floats
            return _as_float(root.low)
    return math.inf


def is_never_positive(p: Sequence[int]) -> bool:
    """Whether p(x) <= 0 for all x >= 0."""
    if not p:
        return True
    if p[-1] > 0 or sign_at(p, Fraction(0)) > 0:
        return False
    simple = _squarefree(p)
    for root in positive_roots(simple):
        while root.low < root.high and not sign_at(p, root.high):  # another root
            root = narrowed(simple, root)
        if _sign_beyond(p, root) > 0:
            return False
    return True


def narrowed(p: Sequence[int], root: Root) -> Root:
    """The half of the root's interval in which it is."""
    middle = (root.low + root.high) / 2
    sign = sign_at(p, middle)
    if not sign:
        return Root(middle, middle, root.sign_before)
    if sign == root.sign_before:
        return root._replace(low=middle)
    return root._replace(high=middle)


def _as_float(x: Fraction) -> float:
    try:
        return float(x)
    except OverflowError:
        return math.inf


def positive_roots(p: Sequence[int]) -> Iterator[Root]:
    """The roots x >= 0 in ascending order, each once.

    Args:
        p: a polynomial without multiple roots.
    """
    p = list(p)
    if p and not p[0]:
        yield Root(Fraction(0), Fraction(0), 0)
        p = p[1:]
    exponent = _bound(p)
    if exponent is None:
        return
    degree = len(p) - 1
    # p(2**exponent x), whose positive roots are in (0, 1)
    lift = max(0, -exponent * degree)
    scaled = [a << (exponent * i + lift) for i, a in enumerate(p)]
    pending: list[tuple[list[int] | None, Fraction, Fraction]] = [
        (scaled, Fraction(0), Fraction(2) ** exponent)
    ]
    while pending:
        q, low, width = pending.pop()
        if q is None:
            yield Root(low, low, 0)
            continue
        changes = _sign_changes(_shifted(q[::-1]))
        if changes == 1:
            yield Root(low, low + width, 1 if q[0] > 0 else -1)
        if changes < 2:
            continue
        left = [a << (len(q) - 1 - i) for i, a in enumerate(q)]
        right = _shifted(left)
        middle = low + width / 2
        is_root = not right[0]
        pending.append((right[is_root:], middle, width / 2))
        if is_root:
            pending.append((None, middle, width))
        pending.append((left, low, width / 2))


def _sign_beyond(p: Sequence[int], root: Root) -> int:
    """The sign of p between its root and the next one; of a derivative where the root is exact."""
    sign = sign_at(p, root.high)
    while not sign:
        p = _derivative(p)
        sign = sign_at(p, root.high)
    return sign


def _bound(p: Sequence[int]) -> int | None:
    """An n such that the positive roots are below 2**n, or None where there are none.

    2 max (|a_i| / |a_n|)^(1/(n - i)) bounds them, over all i where a_i has another sign than a_n.
    """
    if not p:
        return None
    *lower, leading = p
    length = leading.bit_length()
    exponents = [
        -((length - 1 - a.bit_length()) // (len(lower) - i))  # rounded up
        for i, a in enumerate(lower)
        if a and (a > 0) != (leading > 0)
    ]
    return max(exponents) + 1 if exponents else None


def _shifted(p: list[int]) -> list[int]:
    """The coefficients of p(x + 1): divided by x - 1 again and again, each remainder is one."""
    quotient, remainders = p[::-1], []
    while quotient:
        *quotient, remainder = accumulate(quotient)
        remainders.append(remainder)
    return remainders


def _sign_changes(p: Sequence[int]) -> int:
    return sum((x > 0) != (y > 0) for x, y in pairwise([a for a in p if a]))


def _derivative(p: Sequence[int]) -> list[int]:
    return [i * a for i, a in enumerate(p)][1:]


def _squarefree(p: Sequence[int]) -> list[int]:
    """A polynomial with the roots of p, each once."""
    derivative = _derivative(p)
    return list(p) if len(p) < 3 else quotient(p, common_divisor(p, derivative)) or list(p)


def _are_coprime(p: Sequence[int], q: Sequence[int]) -> bool:
    """Whether Euclid's algorithm modulo a prime shows that p and q have no common root."""
    if not p[-1] % _PRIME or not q[-1] % _PRIME:
        return False
    x, y = [a % _PRIME for a in p], [a % _PRIME for a in q]
    while y:
        inverse = pow(y[-1], -1, _PRIME)
        while len(x) >= len(y):
            factor, start = x[-1] * inverse % _PRIME, len(x) - len(y)
            x[start:] = [(a - factor * b) % _PRIME for a, b in zip(x[start:], y, strict=True)]
            while x and not x[-1]:
                x.pop()
        x, y = y, x
    return len(x) == 1


def common_divisor(p: Sequence[int], q: Sequence[int]) -> list[int]:
    """The greatest common divisor: that of the values at one large integer, read in its base.

    Args:
        p, q: polynomials that are not zero.

    Source: B. W. Char, K. O. Geddes, G. H. Gonnet, GCDHEU (1989).
    """
    if _are_coprime(p, q):
        return [1]
    base = 2 * min(max(map(abs, p)), max(map(abs, q))) + 29
    while True:  # ends: a base that is large enough is always right
        rest, digits = math.gcd(_at(p, base), _at(q, base)), []
        while rest:
            digit = (rest + base // 2) % base - base // 2
            digits.append(digit)
            rest = (rest - digit) // base
        factor = math.gcd(*digits)
        divisor = [digit // factor for digit in digits]
        if quotient(p, divisor) is not None and quotient(q, divisor) is not None:
            return divisor
        base = base * 73794 // 27011


def _at(p: Sequence[int], x: int) -> int:
    value = 0
    for coefficient in reversed(p):
        value = value * x + coefficient
    return value


def quotient(p: Sequence[int], divisor: Sequence[int]) -> list[int] | None:
    """p / divisor, or None where that is no polynomial in integers."""
    rest, found = list(p), []
    while len(rest) >= len(divisor):
        factor, remainder = divmod(rest[-1], divisor[-1])
        if remainder:
            return None
        found.append(factor)
        start = len(rest) - len(divisor)
        rest[start:] = [a - factor * b for a, b in zip(rest[start:], divisor, strict=True)]
        rest.pop()
    return None if any(rest) else found[::-1]
