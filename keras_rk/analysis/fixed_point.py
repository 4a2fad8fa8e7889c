"""A tableau in fixed-point numbers: elementary weights to many digits, in a fraction of the time.

Numbers stand for multiples of 2^-bits, with so many bits that what a sum of products of
coefficients loses by rounding stays below 2^-180 times the number of its terms.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cached_property
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
from keras_rk.numbers.square_roots import Surd

__all__ = ["FixedPointForm"]

_BITS = 192
_HIGHEST_ORDER = 16  # up to which the rounding stays that small


class FixedPointForm:
    """See `proof.forms.Form`."""

    def __init__(self, tableau: Tableau) -> None:
        rows = (*tableau.exact_A, *tableau.exact_weights)
        largest = max(float(sum(abs(float(x)) for x in row)) for row in (*rows, tableau.exact_c))
        self.bits = _BITS + _HIGHEST_ORDER * max(math.ceil(largest), 1).bit_length()
        self.one: Vector = [1 << self.bits] * tableau.stages
        self.nodes = self._rounded(tableau.exact_c)
        self._A = [self._rounded(row) for row in tableau.exact_A]
        self._weights = [self._rounded(row) for row in tableau.exact_weights]

    def _rounded(self, row: Iterable[Coefficient]) -> Vector:
        found = []
        for x in row:
            near = x.enclosure(2 * self.bits)[0] if isinstance(x, Surd) else x
            found.append((near.numerator << self.bits) // near.denominator)
        return found

    def product(self, u: Vector, v: Vector) -> Vector:
        bits = self.bits
        return [x * y >> bits for x, y in zip(u, v, strict=True)]

    @cached_property
    def _matrix(self) -> Any:
        return matrix_product(self._A)

    def apply(self, u: Vector, order: int) -> Vector:
        bits = self.bits
        return [x >> bits for x in self._matrix(u)]

    def weights(self, order: int, embedded: bool) -> Weights:
        return self._found[embedded]

    @cached_property
    def _found(self) -> list[Weights]:
        found = []
        for row in self._weights:
            times_A = [x >> self.bits for x in row_times_matrix(row, self._A)]
            found.append(
                Weights([inner_product(row)], [inner_product(times_A)], 1 << 2 * self.bits)
            )
        return found

    def value(self, parts: Sequence[Any], scale: Any) -> Coefficient:
        raise NotImplementedError  # these numbers decide nothing
