"""Integer matrices times integer vectors, by python-flint where that is installed and pays.

Coefficients with long denominators lead to integers with thousands of digits; python-flint
(the extra `fast`) multiplies those faster than Python. The numbers are the same.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from operator import itemgetter, mul
from typing import Any

__all__ = ["inner_product", "matrix_product", "prepare"]

Vector = list[Any]

_LONG_BITS = 64


def prepare(scale: int) -> Callable[[int], Any]:
    """The type of integer to compute with, for coefficients with this common denominator."""
    if scale.bit_length() <= _LONG_BITS or find_spec("flint") is None:
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
