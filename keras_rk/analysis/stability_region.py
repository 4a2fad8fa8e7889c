"""The stability region {z : |R(z)| <= 1}: which z belong to it, its boundary, its area.

Membership is decided by values of R with an error below 1e-12; boundary and area are numerical.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from keras_rk.analysis.arguments import numeric_tableau
from keras_rk.analysis.stability import StabilityFunction, stability_function
from keras_rk.errors import TableauError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["StabilityRegion", "stability_region"]

_GRID = 512  # points along each side of the box around the region
_TOLERANCE = 1e-12


@dataclass(frozen=True)
class StabilityRegion:
    """The region {z : |R(z)| <= 1}; `box` and `area` of it are for explicit methods.

    Attributes:
        R: the stability function.
    """

    R: StabilityFunction

    def __contains__(self, z: complex) -> bool:
        return bool(self.contains(complex(z)))

    def contains(self, z: Any) -> Any:
        """Whether |R(z)| <= 1, for a number or an array, up to the error with which R(z) comes."""
        import numpy as np

        points = np.asarray(z, "complex128")
        if len(self.R.exact_denominator) > 1:
            return abs(self.R(z)) <= 1 + _TOLERANCE
        with np.errstate(all="ignore"):
            sizes, errors = self._rounded(points)
            inside = np.asarray(sizes <= 1 + _TOLERANCE)
            doubtful = ~(abs(sizes - 1) > errors) | ~(errors < 1e300)
        inside[doubtful] = abs(self.R(points[doubtful])) <= 1 + _TOLERANCE
        return inside if inside.ndim else bool(inside)

    def _rounded(self, points: Any) -> tuple[Any, Any]:
        """|R(z)| in floats, and bounds on its error."""
        import numpy as np

        values, sizes, distances = np.zeros_like(points), np.zeros(points.shape), abs(points)
        floats = [float(r) for r in self.R.exact_coefficients]
        for r in reversed(floats):
            values, sizes = values * points + r, sizes * distances + abs(r)
        return abs(values), sizes * (8 * len(floats) * 2.0**-53)

    def boundary(self, points: int = 360) -> np.ndarray:
        """Points z with |R(z)| = 1, in no particular order: all roots of R(z) = exp(i theta).

        Args:
            points: how many angles theta between 0 and 2 pi; each gives as many z as R has degree.
        """
        import numpy as np

        above, below = (
            np.array([float(r) for r in part], "complex128")
            for part in (self.R.exact_coefficients, self.R.exact_denominator)
        )
        found = []
        for theta in np.linspace(0, 2 * np.pi, points, endpoint=False):
            shifted = np.polynomial.polynomial.polysub(above, np.exp(1j * theta) * below)
            found.append(np.polynomial.polynomial.polyroots(shifted))
        z = np.concatenate(found) if found else np.zeros(0, "complex128")
        return z[abs(abs(self.R(z)) - 1) < 1e-6]

    def box(self) -> tuple[float, float, float]:
        """Bounds on the region, numerically: z = x + i y with low <= x <= high, |y| <= height."""
        if len(self.R.exact_denominator) > 1:
            raise TableauError(
                "The stability region of an implicit method may have no end; that of an explicit "
                f"one has an area. Received: R(z) with the denominator {self.R.denominator}."
            )
        if len(self.R.exact_coefficients) < 2:
            return (-math.inf, math.inf, math.inf)
        radius = self._radius()
        low, high, height = -radius, radius, radius
        for _ in range(6):  # each time around what is left of the last one
            x, y, inside = self._grid(low, high, height)
            columns, rows = inside.any(axis=0), inside.any(axis=1)
            if not columns.any():
                return 0.0, 0.0, 0.0
            step_x, step_y = x[1] - x[0], y[1] - y[0]
            low, high = max(low, x[columns].min() - step_x), min(high, x[columns].max() + step_x)
            height = min(height, y[rows].max() + step_y)
        return float(low), float(high), float(height)

    @property
    def area(self) -> float:
        """The area of the region, to about three digits; infinity for R = 1."""
        low, high, height = self.box()
        if not math.isfinite(low) or not height:
            return math.inf if height else 0.0
        x, y, inside = self._grid(low, high, height)
        return float(2 * inside.sum() * (x[1] - x[0]) * (y[1] - y[0]))

    def _grid(self, low: float, high: float, height: float) -> tuple[Any, Any, Any]:
        """The middles of cells of the upper half of a box, and which of them are inside."""
        import numpy as np

        x = low + (high - low) * (np.arange(_GRID) + 0.5) / _GRID
        y = height * (np.arange(_GRID) + 0.5) / _GRID
        return x, y, self.contains(x[None, :] + 1j * y[:, None])

    def _radius(self) -> float:
        """A circle around the region: beyond, the leading term is larger than all others and 1."""
        *lower, leading = (abs(float(r)) for r in self.R.exact_coefficients)
        degree, sizes = len(lower), [lower[0] + 1, *lower[1:]]
        terms = [(x / leading) ** (1 / (degree - n)) for n, x in enumerate(sizes)]
        return 2 * max(terms)


def stability_region(tableau: Any) -> StabilityRegion:
    """The stability region of a method.

    Steps of size dt damp y' = lambda y if dt lambda is in the region.

    Args:
        tableau: a `Tableau` without symbols, a name, a file, or `(A, b[, c])`.

    Raises:
        TableauError: for a tableau with symbols.

    Example:

    >>> region = stability_region("rk4")
    >>> -2.7 in region, 2.9j in region, f"{region.area:.1f}"
    (True, False, '12.7')
    """
    return StabilityRegion(stability_function(numeric_tableau(tableau, "The stability region")))
