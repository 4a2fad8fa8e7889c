"""Values of a rational function in floating point, with an error that is controlled.

Horner's scheme in floats, beside a bound on its rounding errors; where the terms cancel so far that
the bound says too little, the point is taken again in exact numbers, and the value rounded once.

Source: N. J. Higham, Accuracy and Stability of Numerical Algorithms (2002), for the bound.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import cached_property
from typing import Any

__all__ = ["Evaluation"]

_ENOUGH = 2.0**-40
_SMALLEST, _LARGEST = Fraction(2) ** -1022, Fraction(2) ** 1023


class Evaluation:
    """a_0 + a_1 z + ... + a_n z^n as a function of z, or that over another polynomial.

    Args:
        coefficients: a_0, ..., a_n, exactly.
        below: the coefficients of the other polynomial; None for 1.
    """

    def __init__(
        self, coefficients: Sequence[Fraction], below: Sequence[Fraction] | None = None
    ) -> None:
        self._coefficients = coefficients
        self._below = None if below is None or len(below) == 1 else Evaluation(below)

    def __call__(self, z: Any) -> Any:
        """For a number or an array, real or complex; the error is below 1e-12 max(1, |value|)."""
        import numpy as np

        given = np.asarray(z)
        kind = given.dtype if given.dtype.kind in "fc" else np.dtype("float64")
        if given.dtype.kind == "O":
            kind = np.dtype("complex128" if any(map(np.iscomplexobj, given.flat)) else "float64")
        points = np.atleast_1d(given).astype("complex128" if kind.kind == "c" else "float64")
        with np.errstate(all="ignore"):
            values, errors = self._quotient(points)
            doubtful = ~(errors <= _ENOUGH * np.maximum(1, np.abs(values))) & np.isfinite(points)
        for place in np.argwhere(doubtful):
            values[tuple(place)] = self._exactly(points[tuple(place)])
        found = values.astype(kind).reshape(given.shape)
        if given.ndim:
            return found
        return found[()] if isinstance(z, np.generic | np.ndarray) else found.item()

    def _quotient(self, points: Any) -> tuple[Any, Any]:
        """As `_rounded`, of the rational function."""
        import numpy as np

        values, errors = self._rounded(points)
        if self._below is None:
            return values, errors
        divisors, their_errors = self._below._rounded(points)
        values = values / divisors
        errors = (errors + np.abs(values) * their_errors) / (np.abs(divisors) - their_errors)
        return values, np.where(errors >= 0, errors + np.abs(values) * 2.0**-50, np.nan)

    def _rounded(self, points: Any) -> tuple[Any, Any]:
        """Values, and bounds on their errors; NaN where floats do not reach."""
        import numpy as np

        values, sizes = np.zeros_like(points), np.zeros(points.shape)
        distances = np.abs(points)
        for a in reversed(self._floats):
            values = values * points + a
            sizes = sizes * distances + abs(a)
        return values, sizes * (8 * len(self._floats) * 2.0**-53)

    @cached_property
    def _floats(self) -> list[float]:
        return [
            float(a) if not a or _SMALLEST < abs(a) < _LARGEST else math.nan
            for a in self._coefficients
        ]

    @cached_property
    def _integers(self) -> tuple[list[int], int]:
        """The coefficients times their common denominator, which is the second."""
        common = math.lcm(*(a.denominator for a in self._coefficients))
        return [a.numerator * (common // a.denominator) for a in self._coefficients], common

    def _exactly(self, point: Any) -> complex | float:
        """The value at one point, rounded once."""
        real, imaginary, denominator = self._value(point)
        if self._below is not None:
            c, d, scale = self._below._value(point)
            real, imaginary = real * c + imaginary * d, imaginary * c - real * d
            real, imaginary = real * scale, imaginary * scale
            denominator *= c * c + d * d
        if not denominator:
            return math.inf
        value = _divided(real, denominator)
        return complex(value, _divided(imaginary, denominator)) if point.imag else value

    def _value(self, point: Any) -> tuple[int, int, int]:
        """The real and imaginary part of the polynomial's value, over a common denominator."""
        numerators, common = self._integers
        x, y = (Fraction(float(part)) for part in (point.real, point.imag))
        scale = math.lcm(x.denominator, y.denominator)
        p, q = int(x * scale), int(y * scale)
        real, imaginary, power = 0, 0, 1
        for a in reversed(numerators):
            real, imaginary = real * p - imaginary * q + a * power, real * q + imaginary * p
            power *= scale
        return real, imaginary, common * (power // scale)


def _divided(numerator: int, denominator: int) -> float:
    try:
        return numerator / denominator
    except OverflowError:
        return math.inf if numerator > 0 else -math.inf
