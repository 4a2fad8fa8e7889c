"""A tableau in enclosures: integers of a few hundred bits, each with a bound on its error.

Decimals of many digits are not exact, so nearly all their residuals differ from zero, and that
needs no exact number to be proved. An enclosure is a midpoint in units of 2**-bits and an error
that its distance from the true value is at most, in the same units. What is decided from one is
decided rigorously: bounds are integers, too, and always rounded up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import mul
from typing import Any

from keras_rk.butcher.tableau import Tableau
from keras_rk.numbers.coefficients import Coefficient
from keras_rk.numbers.linear_algebra import (
    Vector,
    Weights,
    inner_product,
    matrix_product,
    row_times_matrix,
)

__all__ = ["EnclosureForm", "told_residual"]

_DECISIVE_BITS = 60  # of a residual, with which an enclosure tells it
_GUARD_BITS = 120  # beyond the digits of the coefficients
_DEEPEST = 15  # trees may lose the bits of the largest row of A so many times
_MOST_BITS = 4096  # of a coefficient; longer ones only make the enclosures wider


@dataclass(frozen=True)
class Enclosed:
    """A vector of midpoints; `error` bounds the error of each, `size` the true absolute values."""

    midpoints: Vector
    error: int
    size: int


class EnclosureForm:
    """See `forms.Form`, for a tableau of fractions.

    Vectors are `Enclosed`, weights a midpoint and an error.

    Attributes:
        one_unit: the midpoint of 1, 2**bits.
    """

    def __init__(self, tableau: Tableau) -> None:
        rows: Any = [*tableau.exact_A, tableau.exact_c, *tableau.exact_weights]
        longest = max(x.denominator.bit_length() for row in rows for x in row)
        norm = max(int(sum(map(abs, row))) + 1 for row in rows)
        self._bits = min(longest, _MOST_BITS) + _GUARD_BITS + _DEEPEST * norm.bit_length()
        self.one_unit = 1 << self._bits
        explicit = tableau.is_explicit
        A = [
            self._rounded(row[:i] if explicit else row)
            for i, row in enumerate(rows[: tableau.stages])
        ]
        self._matrix = matrix_product(A)
        self._norm = max(map(self._size, A))
        self._stages = tableau.stages
        self.one = Enclosed([self.one_unit] * self._stages, 0, 1)
        self.nodes = self._enclosed(self._rounded(tableau.exact_c), 1)
        self._deviation = max(
            abs(x - y) for x, y in zip(tableau.exact_c, tableau.row_sums, strict=True)
        )
        self._rows = [self._weights(row, tableau.exact_A) for row in tableau.exact_weights]

    def nodes_or_row_sums(self) -> Enclosed:
        """What encloses c and A 1 alike, so that the trees with it are those of all colourings."""
        deviation = int(self._deviation * self.one_unit) + 1
        return self._enclosed(self.nodes.midpoints, self.nodes.error + deviation)

    def product(self, u: Enclosed, v: Enclosed) -> Enclosed:
        bits = self._bits
        midpoints = [x >> bits for x in map(mul, u.midpoints, v.midpoints)]
        # |uv - xy| <= |u| |v - y| + |y| |u - x|, |y| <= |v| + |v - y|, and one for the shift
        error = u.size * v.error + v.size * u.error + (u.error * v.error >> bits) + 2
        return Enclosed(midpoints, error, u.size * v.size)

    def apply(self, u: Enclosed, order: int) -> Enclosed:
        bits = self._bits
        midpoints = [x >> bits for x in self._matrix(u.midpoints)]
        return self._enclosed(midpoints, self._error(self._norm, u))

    def weights(self, order: int, row: int) -> Weights:
        return self._rows[row]

    def value(self, parts: Sequence[Any], scale: Any) -> Coefficient:
        raise TypeError("An enclosure has no exact value.")

    def _error(self, norm: int, u: Enclosed) -> int:
        """Of a rounded row times u: the row's own rounding, u's error, and one for the shift."""
        return norm * u.error + self._stages * (u.size + (u.error >> self._bits) + 1) + 1

    def _enclosed(self, midpoints: Vector, error: int) -> Enclosed:
        largest = max(map(abs, midpoints)) + error
        return Enclosed(midpoints, error, (largest >> self._bits) + 1)

    def _rounded(self, row: Iterable[Any]) -> Vector:
        """Midpoints of coefficients, wrong by at most one unit each; zero stays zero."""
        return [(x.numerator << self._bits) // x.denominator for x in row]

    def _size(self, row: Vector) -> int:
        """An integer that sum_j |a_j| does not exceed, for rounded a_j and for the true ones."""
        return (sum(abs(x) + 1 for x in row) >> self._bits) + 1

    def _weights(self, row: Any, A: Any) -> Weights:
        times_A = row_times_matrix(row, A)
        return Weights([self._functional(row)], [self._functional(times_A)], self.one_unit)

    def _functional(self, row: Iterable[Any]) -> Callable[[Enclosed], tuple[int, int]]:
        rounded = self._rounded(row)
        norm = self._size(rounded)
        product = inner_product(rounded)
        return lambda u: (product(u.midpoints) >> self._bits, self._error(norm, u))


def told_residual(weight: tuple[int, int], density: int, one_unit: int) -> int | None:
    """gamma * Phi - 1 in the units of an enclosure of Phi; None where that leaves it open."""
    midpoint, error = weight
    residual = density * midpoint - one_unit
    return residual if abs(residual) >> _DECISIVE_BITS > density * error else None
