"""The roots of a polynomial whose roots are real and simple: by square roots, or enclosed."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from keras_rk.numbers.intervals import Interval
from keras_rk.numbers.polynomials import integers, narrowed, positive_roots
from keras_rk.numbers.square_roots import Number, square_root

__all__ = ["enclosed_roots", "roots_by_square_roots"]


def roots_by_square_roots(p: Sequence[Fraction]) -> list[Number] | None:
    """The roots, ascending, where a quadratic equation leads to them; None otherwise.

    With m the mean of the roots, that is where p(x + m) has degree 2 at most, or is x^k q(x^2)
    with a q of degree 2 at most.

    Args:
        p: a polynomial with real, simple roots, a_0 + a_1 x + ... + a_n x^n.
    """
    degree = len(p) - 1
    if degree < 1:
        return []
    mean = Fraction(-p[-2]) / (degree * p[-1])
    centred = _shifted(p, mean)
    odd = degree % 2
    if degree > 5 or any(centred[1 - odd :: 2]):
        return None
    squares: list[Number]
    if degree - odd == 4:
        c, b, a = centred[odd::2]
        half = square_root(b * b / (4 * a * a) - c / a)
        squares = [-b / (2 * a) + half, -b / (2 * a) - half]
    else:
        squares = [-centred[odd] / centred[odd + 2]] if degree > 1 else []
    distances = [square_root(x) for x in squares]
    below = [mean - x for x in distances]
    above = [mean + x for x in reversed(distances)]
    return [*below, *([mean] if odd else []), *above]


def enclosed_roots(p: Sequence[Fraction], bits: int) -> list[Interval]:
    """The roots x >= 0, ascending, each between bounds at most 2**-bits apart.

    Args:
        p: a polynomial without multiple roots.
    """
    polynomial = integers(p)
    found = []
    for root in positive_roots(polynomial):
        while (root.high - root.low) * 2**bits > 1:
            root = narrowed(polynomial, root)
        found.append(Interval(root.low, root.high))
    return found


def _shifted(p: Sequence[Fraction], by: Fraction) -> list[Fraction]:
    """The coefficients of p(x + by)."""
    found: list[Fraction] = []
    for coefficient in reversed(p):
        times_x = [Fraction(0), *found]
        found = [x + by * y for x, y in zip(times_x, [*found, Fraction(0)], strict=True)]
        found[0] += coefficient
    return found
