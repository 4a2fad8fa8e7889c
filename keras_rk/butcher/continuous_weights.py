"""The weights of a continuous extension: polynomials b_i(theta) without constant term.

A row (x_1, ..., x_d) stands for x_1 theta + ... + x_d theta^d.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from keras_rk.numbers.coefficients import Coefficient, exact, is_symbolic, reduced, sum_of, to_sympy

__all__ = ["slopes_at_end", "values_at", "values_at_end"]


def values_at(rows: Sequence[Sequence[Coefficient]], theta: Any) -> list[Any]:
    """b_i(theta), exactly; theta is a coefficient."""
    x: Any = exact(theta)
    if not is_symbolic(x) and not any(is_symbolic(y) for row in rows for y in row):
        return [_horner(row, x) for row in rows]
    return [reduced(_horner([to_sympy(y) for y in row], to_sympy(x))) for row in rows]


def values_at_end(rows: Sequence[Sequence[Coefficient]]) -> list[Coefficient]:
    """b_i(1)."""
    return list(map(sum_of, rows))


def slopes_at_end(rows: Sequence[Sequence[Coefficient]]) -> list[Coefficient]:
    """b_i'(1)."""
    return [sum_of([power * x for power, x in enumerate(row, start=1)]) for row in rows]


def _horner(row: Sequence[Any], x: Any) -> Any:
    value: Any = Fraction(0)
    for coefficient in reversed(row):
        value = (value + coefficient) * x
    return value
