"""A method written down as the program that takes one of its steps; the tableau is read off.

Every value of an explicit method is y0 + dt * sum_j x_j k_j. So a `Value` is its coefficients x,
and what a program does with values (Euler steps, averages, differences of fine and coarse) is
linear algebra on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from keras_rk.butcher.tableau import Tableau

__all__ = ["StepProgram", "Value"]


class Value:
    """y0 + dt * sum_j x_j k_j, where weights of values sum to one; or dt * sum_j x_j k_j."""

    def __init__(self, coefficients: Mapping[int, Any]) -> None:
        self.coefficients = {j: x for j, x in coefficients.items() if x}

    def __add__(self, other: Value) -> Value:
        found = dict(self.coefficients)
        for j, x in other.coefficients.items():
            found[j] = found[j] + x if j in found else x
        return Value(found)

    def __sub__(self, other: Value) -> Value:
        return self + (-1) * other

    def __rmul__(self, factor: Any) -> Value:
        return Value({j: factor * x for j, x in self.coefficients.items()})

    def row(self, length: int) -> list[Any]:
        """The coefficients of k_1, k_2, ..."""
        return [self.coefficients.get(j, Fraction(0)) for j in range(length)]


class StepProgram:
    """Evaluates f where it is told to, each value once, and remembers in which order.

    >>> program = StepProgram()
    >>> half = program.start + Fraction(1, 2) * program.f(program.start)
    >>> print(program.tableau(program.start + program.f(half), name="midpoint"))
    midpoint
      0 │
    1/2 │ 1/2
    ────┼───────
        │   0  1
    """

    def __init__(self) -> None:
        self.start = Value({})
        self._stages: list[Value] = []

    def f(self, value: Value) -> Value:
        """The stage derivative at a value."""
        for j, known in enumerate(self._stages):
            if known.coefficients == value.coefficients:
                return Value({j: Fraction(1)})
        self._stages.append(value)
        return Value({len(self._stages) - 1: Fraction(1)})

    def tableau(self, result: Value, embedded: Value | None = None, **about: Any) -> Tableau:
        """The tableau with these results of a step; `about` goes to `Tableau`."""
        stages = len(self._stages)
        return Tableau(
            [value.row(i) for i, value in enumerate(self._stages)],
            result.row(stages),
            b_hat=None if embedded is None else embedded.row(stages),
            **about,
        )
