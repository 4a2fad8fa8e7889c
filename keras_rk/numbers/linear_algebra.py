"""Vectors as lists of exact numbers, and integers from python-flint where that pays.

Coefficients with long denominators lead to integers with thousands of digits; python-flint
(the extra `fast`) multiplies those faster than Python. The numbers are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from operator import itemgetter, mul
from typing import Any

__all__ = [
    "LONG_BITS",
    "Vector",
    "Weights",
    "inner_product",
    "integer_type",
    "matrix_product",
    "row_times_matrix",
]

Vector = list[Any]
LONG_BITS = 64  # of a common denominator; below, Python's integers are as fast


@dataclass(frozen=True)
class Weights:
    """b or b_hat, times `scale`: its inner product with a vector u, and with A u.

    Both have a row for each coordinate of a number.
    """

    rows: Sequence[Callable[[Any], Any]]
    times_A: Sequence[Callable[[Any], Any]]
    scale: Any


def integer_type(denominator: int) -> Callable[[int], Any]:
    """The type of integer to compute with, for coefficients with this common denominator."""
    if denominator.bit_length() <= LONG_BITS or find_spec("flint") is None:
        return int
    from flint import fmpz

    return fmpz


def inner_product(row: Vector) -> Callable[[Vector], Any]:
    """u -> sum_j row_j u_j, over the entries of `row` that are not zero."""
    columns = [j for j, x in enumerate(row) if x]
    if len(columns) < 2:
        return lambda u: sum(row[j] * u[j] for j in columns)
    values = [row[j] for j in columns]
    chosen = itemgetter(*columns)
    return lambda u: sum(map(mul, values, chosen(u)))


def matrix_product(rows: list[Vector]) -> Callable[[Vector], Vector]:
    """u -> rows @ u; a row that is shorter than u stands for one that ends in zeros."""
    products = [inner_product(row) for row in rows]
    return lambda u: [product(u) for product in products]


def row_times_matrix(row: Vector, A: list[Vector]) -> Vector:
    """row @ A; rows of A may be shorter, as in `matrix_product`."""
    total: Vector = [0] * len(A)
    for weight, line in zip(row, A, strict=True):
        if weight:
            for j, entry in enumerate(line):
                total[j] += weight * entry
    return total
