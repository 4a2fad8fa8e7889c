"""One unknown: where on a line of tableaux the order conditions hold.

A condition of the first order that depends on the unknown gives its values, as the roots of a
polynomial, which is linear where possible; the others keep or refuse them. A condition that fails
and does not depend on it refuses the line.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction

from keras_rk.analysis.repair.fixed_point import FixedPoint, Row

__all__ = ["nearby_fraction", "roots_along"]

_NEWTON_STEPS = 12
_DOUBLE = 1e-3  # how far floats may set the two halves of a double root apart
_LARGEST = 1e12


def roots_along(
    form: FixedPoint,
    slopes: Mapping[int, Row],
    tolerance: int,
    rows: Mapping[int, Row] | None = None,
) -> list[int]:
    """Every z != 0, times 2**bits, for which all conditions hold along `slopes`.

    Args:
        tolerance: the largest residual that counts as zero, times 2**bits.
        rows: what stands in place of rows of the tableau already.
    """
    rows = rows or {}
    first: list[int] = []
    order = math.inf
    for condition in form.conditions(rows, slopes):
        if condition.order > order:
            break
        polynomial = _trimmed(condition.residual, tolerance)
        if len(polynomial) == 1:
            if abs(polynomial[0]) > tolerance:
                return []
        elif len(polynomial) == 2:  # a plain root; those of higher degree may be double
            first = polynomial
            break
        elif not first:
            first, order = polynomial, condition.order
    found = _real_roots(first, form.bits) if first else []
    return [z for z in found if z and _holds(form, rows, slopes, z, tolerance)]


def _holds(
    form: FixedPoint, rows: Mapping[int, Row], slopes: Mapping[int, Row], z: int, tolerance: int
) -> bool:
    moved = {i: moved_row(form, rows.get(i, form.rows[i]), slope, z) for i, slope in slopes.items()}
    return form.holds({**rows, **moved}, tolerance)


def moved_row(form: FixedPoint, row: Row, slope: Row, z: int) -> Row:
    """row + z slope."""
    found = dict(row)
    for j, x in slope:
        found[j] = found.get(j, 0) + ((x * z) >> form.bits)
    return sorted(found.items())


def _trimmed(polynomial: list[int], tolerance: int) -> list[int]:
    while len(polynomial) > 1 and abs(polynomial[-1]) <= tolerance:
        polynomial = polynomial[:-1]
    return polynomial


def _real_roots(polynomial: list[int], bits: int) -> list[int]:
    """The real roots of a polynomial with coefficients and roots times 2**bits."""
    if len(polynomial) == 2:
        return [-(polynomial[0] << bits) // polynomial[1]]
    import numpy as np

    largest = max(map(abs, polynomial)).bit_length()
    floats = [
        math.ldexp(float(x >> max(largest - 900, 0)), max(largest - 900, 0) - largest)
        for x in polynomial
    ]
    derivative = [power * x for power, x in enumerate(polynomial)][1:]
    found = set()
    for root in np.roots(floats[::-1]):
        if abs(root.imag) > _DOUBLE * max(1.0, abs(root)) or not abs(root) < _LARGEST:
            continue
        start = int(Fraction(float(root.real)) * (1 << bits))
        found.add(_polished(polynomial, start, bits))
        found.add(_polished(derivative, start, bits))  # where a double root can be found
    return sorted(found, key=abs)


def _polished(polynomial: list[int], z: int, bits: int) -> int:
    """Newton's method."""
    for _ in range(_NEWTON_STEPS):
        value, slope = _value_and_slope(polynomial, z, bits)
        if not slope:
            break
        z -= (value << bits) // slope
    return z


def _value_and_slope(polynomial: list[int], z: int, bits: int) -> tuple[int, int]:
    value = slope = 0
    for x in reversed(polynomial):
        slope = ((slope * z) >> bits) + value
        value = ((value * z) >> bits) + x
    return value, slope


def nearby_fraction(z: int, bits: int) -> Fraction | None:
    """The fraction that z / 2**bits stands for, if a third of its places express it."""
    exact = Fraction(z, 1 << bits)
    found = exact.limit_denominator(1 << (bits // 3))
    near = abs(found - exact) <= Fraction(1, 1 << (bits * 3 // 4))
    return found if near else None
