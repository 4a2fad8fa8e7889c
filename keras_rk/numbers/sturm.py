"""Polynomials whose coefficients contain square roots: greatest common divisors, roots counted.

A polynomial is the list of its coefficients a_0, a_1, ..., a_n, with a_n other than zero. Sturm's
sequence p, p', then each the negative remainder of the two before it, has as many more sign changes
at 0 than at infinity as p has roots x > 0, each counted once.

Source: C. Sturm (1835); D. Y. Y. Yun, On square-free decomposition algorithms (1976).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise, zip_longest
from typing import Any

from keras_rk.numbers.square_roots import Number

__all__ = ["common_divisor", "is_hurwitz", "is_never_negative", "quotient", "trimmed"]

Polynomial = list[Any]


def trimmed(p: Sequence[Number]) -> Polynomial:
    """Without the zeros at its end."""
    found = list(p)
    while found and not found[-1]:
        found.pop()
    return found


def is_never_negative(p: Sequence[Number]) -> bool:
    """Whether p(x) >= 0 for all x >= 0: no root x > 0 has odd multiplicity."""
    p = trimmed(p)
    while p and not p[0]:
        p = p[1:]
    if not any(x < 0 for x in p):
        return True
    if p[-1] < 0 or p[0] < 0:
        return False
    return all(_count_positive_roots(factor) == 0 for factor in _odd_factors(p))


def is_hurwitz(p: Sequence[Number]) -> bool:
    """Whether all roots have negative real parts, by Routh's scheme.

    Source: E. J. Routh (1877).
    """
    p = trimmed(p)
    if not p or any((x > 0) != (p[-1] > 0) for x in p):
        return False
    before, last = p[::-2], p[-2::-2]
    while last:
        if not last[0] or (last[0] > 0) != (p[-1] > 0):
            return False
        factor = before[0] / last[0]
        following = [
            x - factor * y for x, y in zip_longest(before[1:], last[1:], fillvalue=Fraction(0))
        ]
        before, last = last, trimmed(following) if any(following) else []
        if not last:
            return len(before) == 1
    return True


def common_divisor(p: Sequence[Number], q: Sequence[Number]) -> Polynomial:
    """The greatest common divisor, with leading coefficient 1."""
    p, q = trimmed(p), trimmed(q)
    while q:
        p, q = q, _monic(_division(p, q)[1])
    return _monic(p)


def quotient(p: Sequence[Number], q: Sequence[Number]) -> Polynomial:
    """p / q, for a divisor q of p."""
    return _division(p, q)[0]


def _division(p: Sequence[Number], q: Sequence[Number]) -> tuple[Polynomial, Polynomial]:
    """The quotient and the remainder."""
    rest, found = list(p), []
    while len(rest) >= len(q):
        factor = rest.pop() / q[-1]
        found.append(factor)
        start = len(rest) - len(q) + 1
        if factor:
            rest[start:] = [x - factor * y for x, y in zip(rest[start:], q[:-1], strict=True)]
    return found[::-1], trimmed(rest)


def _monic(p: Polynomial) -> Polynomial:
    return [x / p[-1] for x in p]


def _derivative(p: Sequence[Number]) -> Polynomial:
    return [n * x for n, x in enumerate(p)][1:]


def _odd_factors(p: Polynomial) -> list[Polynomial]:
    """The factors of p, without multiple roots, whose roots have odd multiplicity in p."""
    slope = _derivative(p)
    repeated = common_divisor(p, slope)
    rest, left = quotient(p, repeated), quotient(slope, repeated)
    found, is_odd = [], True
    while len(rest) > 1:
        left = trimmed(
            [x - y for x, y in zip_longest(left, _derivative(rest), fillvalue=Fraction(0))]
        )
        factor = common_divisor(rest, left)
        if is_odd and len(factor) > 1:
            found.append(factor)
        rest, left = quotient(rest, factor), quotient(left, factor)
        is_odd = not is_odd
    return found


def _count_positive_roots(p: Polynomial) -> int:
    """How many x > 0 are roots of a polynomial without multiple roots, with p(0) not zero."""
    sequence = [p, _derivative(p)]
    while len(sequence[-1]) > 1:
        rest = _division(sequence[-2], sequence[-1])[1]
        scale = abs(rest[-1])  # a positive factor, which keeps the numbers short
        sequence.append([-x / scale for x in rest])
    return _changes([q[0] for q in sequence]) - _changes([q[-1] for q in sequence])


def _changes(values: Sequence[Number]) -> int:
    signs = [x > 0 for x in values if x]
    return sum(x != y for x, y in pairwise(signs))
