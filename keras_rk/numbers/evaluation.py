"""Values of a polynomial in floating point, with an error that is controlled.

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
    """a_0 + a_1 z + ... + a_n z^n as a function of z.

    Args:
        coefficients: a_0, ..., a_n, exactly.
    """

    def __init__(self, coefficients: Sequence[Fraction]) -> None:
        self._coefficients = coefficients

    def __call__(self, z: Any) -> Any:
        """For a number or an array, real or complex; the error is below 1e-12 max(1, |value|)."""
        import numpy as np

        given = np.asarray(z)
        kind = given.dtype if given.dtype.kind in "fc" else np.dtype("float64")
        if given.dtype.kind == "O":
            kind = np.dtype("complex128" if any(map(np.iscomplexobj, given.flat)) else "float64")
        points = np.atleast_1d(given).astype("complex128" if kind.kind == "c" else "float64")
        with np.errstate(all="ignore"):
            values, errors = self._rounded(points)
            doubtful = ~(errors <= _ENOUGH * np.maximum(1, np.abs(values))) & np.isfinite(points)
        for place in np.argwhere(doubtful):
            values[tuple(place)] = self._exactly(points[tuple(place)])
        found = values.astype(kind).reshape(given.shape)
        if given.ndim:
            return found
        return found[()] if isinstance(z, np.generic | np.ndarray) else found.item()

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
        numerators, common = self._integers
        x, y = (Fraction(float(part)) for part in (point.real, point.imag))
        scale = math.lcm(x.denominator, y.denominator)
        p, q = int(x * scale), int(y * scale)
        real, imaginary, power = 0, 0, 1
        for a in reversed(numerators):
            real, imaginary = real * p - imaginary * q + a * power, real * q + imaginary * p
            power *= scale
        denominator = common * (power // scale)
        value = _divided(real, denominator)
        return complex(value, _divided(imaginary, denominator)) if q else value


def _divided(numerator: int, denominator: int) -> float:
    try:
        return numerator / denominator
    except OverflowError:
        return math.inf if numerator > 0 else -math.inf
