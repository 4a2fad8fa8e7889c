"""A-stability and L-stability, proved from R(z) = P(z) / Q(z).

A method is A-stable if |R(z)| <= 1 wherever Re z <= 0. By the maximum principle that is the case if
Q has no root there, and on the imaginary axis

    E(y) = |Q(iy)|^2 - |P(iy)|^2 >= 0    for all real y.

The first is decided by Routh's scheme, the second on E, a polynomial in y^2, by counting its roots
of odd multiplicity. A method is L-stable if it is A-stable and R(z) -> 0 for z -> infinity.

Source: E. Hairer, G. Wanner, *Solving Ordinary Differential Equations II*, section IV.3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from keras_rk.analysis.properties import ROUNDING, Property
from keras_rk.numbers.polynomials import integers, is_never_positive
from keras_rk.numbers.square_roots import Number
from keras_rk.numbers.sturm import is_hurwitz, is_never_negative, trimmed
from keras_rk.proof.digits import brief

__all__ = ["a_stability", "e_polynomial", "l_stability", "terms_on_imaginary_axis"]


def a_stability(p: Sequence[Number], q: Sequence[Number]) -> Property:
    """Whether P / Q, in lowest terms, is A-stable."""
    if len(q) == 1:
        if len(p) == 1:
            return Property("exact", "R(z) is constant")
        return Property("failed", "R(z) is a polynomial, and so unbounded where Re z < 0")
    if not is_hurwitz([x * (-1) ** n for n, x in enumerate(q)]):
        return Property("failed", "R(z) has a pole where Re z <= 0")
    e, sizes = e_polynomial(p, q)
    if _is_never_negative(e):
        found = "|R(iy)| = 1" if not trimmed(e) else "|R(iy)| <= 1"
        return Property("exact", f"R(z) has no pole where Re z <= 0, and {found} for all y")
    if _is_never_negative([x + ROUNDING * size for x, size in zip(e, sizes, strict=True)]):
        return Property(
            "numeric",
            "R(z) has no pole where Re z <= 0, and |R(iy)| <= 1 for all y but for what rounded "
            "coefficients explain",
        )
    return Property("failed", "|R(iy)| > 1 for some y")


def l_stability(p: Sequence[Any], q: Sequence[Any]) -> Property:
    """Whether P / Q, in lowest terms, is L-stable."""
    stable = a_stability(p, q)
    if not stable:
        return Property("failed", f"it is not A-stable: {stable.reason}")
    if len(p) < len(q):
        return Property(stable.verdict, f"{stable.reason}; R(infinity) = 0")
    degree = len(q) - 1
    size = sum((abs(x) / math.factorial(degree - n) for n, x in enumerate(q)), Fraction(0))
    at_infinity = p[-1] / q[-1]
    if len(q) > 1 and abs(p[-1]) <= ROUNDING * size:
        return Property(
            "numeric", f"{stable.reason}; R(infinity) = {float(at_infinity):.3g} by rounding"
        )
    return Property("failed", f"R(infinity) = {brief(at_infinity)}, not 0")


def e_polynomial(p: Sequence[Number], q: Sequence[Number]) -> tuple[list[Number], list[Number]]:
    """E(y) = |Q(iy)|^2 - |P(iy)|^2 by powers of y^2, and the sums of its terms' absolute values."""
    e: list[Number] = []
    sizes: list[Number] = []
    for k in range(max(len(p), len(q))):
        terms = [*terms_on_imaginary_axis(q, k), *(-x for x in terms_on_imaginary_axis(p, k))]
        e.append(sum(terms, Fraction(0)))
        sizes.append(sum(map(abs, terms), Fraction(0)))
    return e, sizes


def terms_on_imaginary_axis(q: Sequence[Any], k: int) -> list[Any]:
    """The terms that y^(2k) has in |Q(iy)|^2 = Q(iy) Q(-iy): (-1)^(j+k) q_j q_(2k-j)."""
    places = range(max(0, 2 * k - len(q) + 1), min(2 * k, len(q) - 1) + 1)
    return [q[j] * q[2 * k - j] * (-1) ** (j + k) for j in places]


def _is_never_negative(p: Sequence[Number]) -> bool:
    """Whether p(x) >= 0 for all x >= 0."""
    rational = [x for x in p if isinstance(x, Fraction)]
    if len(rational) == len(p):
        return is_never_positive(integers([-x for x in rational]))
    return is_never_negative(p)
