"""A tableau over the integers: no denominators, no square roots.

Let D_i be a common denominator of the rows of A and c up to row i, and U_i(t) = D_i**(n-1) u_i(t)
for a tree t of order n. Then

    (A u)_i D_i**n = sum_j a_ij D_i (D_i/D_j)**(n-1) U_j,

where everything is an integer, so that integers decide every order condition. Early rows have
short denominators, and their numbers stay short.

A number with m coordinates over products of square roots becomes m integers, and its product
with another one an m x m integer matrix: A becomes an integer matrix of size (s m) x (s m).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from functools import cached_property
from operator import mul
from typing import Any

from keras_rk.butcher.tableau import Tableau
from keras_rk.numbers.coefficients import Coefficient
from keras_rk.numbers.linear_algebra import (
    LONG_BITS,
    Vector,
    Weights,
    inner_product,
    integer_type,
    matrix_product,
    row_times_matrix,
)
from keras_rk.numbers.quadratic_fields import Coordinates, multiply
from keras_rk.numbers.square_roots import common_field, number
from keras_rk.numbers.totals import bounded_common

__all__ = ["IntegerForm"]


class IntegerForm:
    """See `forms.Form`.

    Attributes:
        denominator_bits: the length of the common denominator; 0 where there are square roots.
    """

    def __init__(self, tableau: Tableau) -> None:
        explicit = tableau.is_explicit
        A = [row[:i] if explicit else row for i, row in enumerate(tableau.exact_A)]
        rows: list[Any] = [*A, tableau.exact_c, *tableau.exact_weights]
        self._roots, elements = common_field(x for row in rows for x in row)
        self._size = 2 ** len(self._roots)
        self._integer_roots = tuple(tuple(int(x) for x in root) for root in self._roots)
        taken = iter(elements)
        *matrix, c = [[next(taken) for _ in row] for row in (*A, tableau.exact_c)]
        weights = [[next(taken) for _ in row] for row in tableau.exact_weights]

        self._denominators = _denominators(matrix, c, explicit)
        self._scale = self._denominators[-1]
        self.denominator_bits = 0 if self._roots else self._scale.bit_length()
        self._is_uniform = self._denominators[0] == self._scale
        self._integer = integer_type(self._scale)
        self.one = [self._integer(x) for x in ([1] + [0] * (self._size - 1)) * tableau.stages]
        self.nodes = [
            self._integer(x)
            for element, scale in zip(c, self._denominators, strict=True)
            for x in _integers([element], scale)[0]
        ]
        self.product = _entrywise(self._integer_roots)
        self._matrix = [
            line
            for row, scale in zip(matrix, self._denominators, strict=True)
            for line in self._blocks(row, scale)
        ]
        self._weights = [(row, _common(row, "b or b_hat")) for row in weights]
        self._A_for_order = _Powers(self._matrix, self._ratios(self._matrix, self._denominators))
        self._products: dict[int, Callable[[Vector], Vector]] = {}
        self._found: dict[tuple[int, bool], Weights] = {}

    def apply(self, u: Vector, order: int) -> Vector:
        power = 0 if self._is_uniform else order - 1
        product = self._products.get(power)
        if product is None:
            product = self._products[power] = matrix_product(self._A_for_order(power))
        return product(u)

    def weights(self, order: int, embedded: bool) -> Weights:
        found = self._found.get((order, embedded))
        if found is None:
            rows, times_A, denominator = self._weight_rows[embedded]
            powers = (0, 0) if self._is_uniform else (order - 1, max(order - 2, 0))
            found = self._found[order, embedded] = Weights(
                [inner_product(row) for row in rows(powers[0])],
                [inner_product(row) for row in times_A(powers[1])],
                self._scale ** (order - 1) * denominator,
            )
        return found

    @cached_property
    def _weight_rows(self) -> list[tuple[_Powers, _Powers, int]]:
        """For b and b_hat: its rows, those of its product with A, and its denominator."""
        matrix = [
            [x * (self._scale // self._denominators[i // self._size]) for x in line]
            for i, line in enumerate(self._matrix)
        ]
        found = []
        for row, denominator in self._weights:
            rows = self._blocks(row, denominator)
            ratios = self._ratios(rows, [self._scale] * len(rows))
            products = [row_times_matrix(line, matrix) for line in rows]
            found.append((_Powers(rows, ratios), _Powers(products, ratios), denominator))
        return found

    def _ratios(self, rows: list[Vector], numerators: list[int]) -> list[Vector]:
        """numerator_i / D_j in the places of `rows`."""
        if self._is_uniform:
            return []
        return [
            [
                self._integer(numerators[i // self._size] // self._denominators[j // self._size])
                for j in range(len(line))
            ]
            for i, line in enumerate(rows)
        ]

    def value(self, parts: Sequence[Any], scale: Any) -> Coefficient:
        by = int(scale)
        return number(self._roots, tuple(Fraction(int(x), by) for x in parts))

    def _blocks(self, row: list[Coordinates], scale: int) -> list[Vector]:
        """The rows of [M(x_1) M(x_2) ...], where M(x) is multiplication by scale * x."""
        columns: list[Any] = []
        roots: Any = self._integer_roots
        units: list[Any] = [
            tuple(int(k == j) for k in range(self._size)) for j in range(1, self._size)
        ]
        for x in _integers(row, scale):
            columns.append(x)  # times 1, then times each product of roots
            columns.extend(multiply(tuple(x), unit, roots) if any(x) else x for unit in units)
        return [[self._integer(column[k]) for column in columns] for k in range(self._size)]


class _Powers:
    """rows_ij * ratios_ij**power for power 0, 1, ..., each from the one before."""

    def __init__(self, rows: list[Vector], ratios: list[Vector]) -> None:
        self._found = [rows]
        self._ratios = ratios

    def __call__(self, power: int) -> list[Vector]:
        while len(self._found) <= power:
            self._found.append(
                [
                    [x * ratio if x else x for x, ratio in zip(row, ratios, strict=True)]
                    for row, ratios in zip(self._found[-1], self._ratios, strict=True)
                ]
            )
        return self._found[power]


def _denominators(A: list[list[Coordinates]], c: list[Coordinates], explicit: bool) -> list[int]:
    """D_i for each stage: each a multiple of the one before, or all equal where that is cheap."""
    found = [1]
    for row, node in zip(A, c, strict=True):
        found.append(_common([*row, node], "A and c", found[-1]))
    longest = found[-1]
    if longest.bit_length() <= LONG_BITS or not explicit:
        return [longest] * len(A)
    return found[1:]


def _common(elements: Iterable[Coordinates], what: str, known: int = 1) -> int:
    denominators = (value.denominator for x in elements for value in x)
    return bounded_common((known, *denominators), what)


def _integers(elements: Iterable[Coordinates], scale: int) -> list[Any]:
    return [[v.numerator * (scale // v.denominator) for v in x] for x in elements]


def _entrywise(roots: Any) -> Callable[[Vector, Vector], Vector]:
    """Products of two vectors whose entries have a coordinate for each product of `roots`."""
    if not roots:
        return lambda u, v: list(map(mul, u, v))
    size = 2 ** len(roots)

    def product(u: Vector, v: Vector) -> Vector:
        parts = _multiply_parts(
            [u[k::size] for k in range(size)], [v[k::size] for k in range(size)], roots
        )
        result: Vector = [0] * len(u)
        for k, part in enumerate(parts):
            result[k::size] = part
        return result

    return product


def _multiply_parts(x: list[Vector], y: list[Vector], roots: Any) -> list[Vector]:
    """`quadratic_fields.multiply` for vectors of numbers, coordinate by coordinate."""
    if len(x) == 2:
        (a, b), (c, d), ((r,),) = x, y, roots
        return [
            [p * q + r * (s * t) for p, q, s, t in zip(a, c, b, d, strict=True)],
            [p * t + s * q for p, q, s, t in zip(a, c, b, d, strict=True)],
        ]
    half = len(x) // 2
    below, root = roots[:-1], roots[-1]
    a, b, c, d = x[:half], x[half:], y[:half], y[half:]
    constant = [[r] * len(a[0]) for r in root]
    bdr = _multiply_parts(_multiply_parts(b, d, below), constant, below)
    lo = _add_parts(_multiply_parts(a, c, below), bdr)
    return lo + _add_parts(_multiply_parts(a, d, below), _multiply_parts(b, c, below))


def _add_parts(x: list[Vector], y: list[Vector]) -> list[Vector]:
    return [[p + q for p, q in zip(u, v, strict=True)] for u, v in zip(x, y, strict=True)]
