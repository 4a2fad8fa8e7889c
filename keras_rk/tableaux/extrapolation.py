"""Extrapolation: a method of any order from Euler's, or from the explicit midpoint rule."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from keras_rk.butcher.tableau import Tableau
from keras_rk.errors import TableauError, shown
from keras_rk.numbers.coefficients import whole_number
from keras_rk.tableaux.parameters import claim, integer, refuse
from keras_rk.tableaux.step_program import StepProgram, Value

__all__ = ["extrapolated_euler", "extrapolated_midpoint"]

_HIGHEST_ORDER = 30
_MOST_STAGES = 512  # of a tableau
_SOURCE = "E. Hairer, S. P. Norsett and G. Wanner, Solving Ordinary Differential Equations I (1993)"


def extrapolated_euler(order: Any, sequence: Any = "harmonic") -> Tableau:
    """Euler's method, extrapolated to order k: its steps of size dt/n_j combined into

        y = sum_j w_j T_j,   w_j = prod_(i != j) n_j / (n_j - n_i),   j = 1, ..., k

    where T_j is the result of n_j Euler steps. All begin with the same evaluation of f. For k > 1
    the embedded weights are those of order k - 1, from n_2, ..., n_k.

    Args:
        order: k, from 1 to 30.
        sequence: the numbers of steps n_1 < n_2 < ...: "harmonic" (1, 2, 3, 4, ...), "romberg"
            (1, 2, 4, 8, ...), "bulirsch" (1, 2, 3, 4, 6, 8, 12, ...), or k integers.

    Raises:
        TableauError: where the order or the sequence is none, or there are more than 512 stages.

    Example:

    >>> print(extrapolated_euler(2))
    extrapolated_euler(2, harmonic)
      0 │
    1/2 │ 1/2
    ────┼─────────
        │   0    1
        │ 1/2  1/2

    Source: E. Hairer, S. P. Norsett, G. Wanner, *Solving Ordinary Differential Equations I*,
    section II.9.
    """
    k = integer(order, "order", 1, _HIGHEST_ORDER)
    steps = _numbers_of_steps(sequence, k, 1)
    program = StepProgram()

    def take(n: int) -> Value:
        value = program.start
        for _ in range(n):
            value = value + Fraction(1, n) * program.f(value)
        return value

    _check_stages(1 + sum(n - 1 for n in steps), order=k, sequence=sequence)
    results = [take(n) for n in steps]
    return program.tableau(
        _extrapolated(steps, results, 1),
        _extrapolated(steps[1:], results[1:], 1) if k > 1 else None,
        claimed_order=claim(k),
        claimed_embedded_order=claim(k - 1) if k > 1 else None,
        name=_called("extrapolated_euler", k, sequence),
        source=_SOURCE,
    )


def extrapolated_midpoint(order: Any, sequence: Any = "harmonic") -> Tableau:
    """The explicit midpoint rule, extrapolated to the even order 2k (Gragg, Bulirsch, Stoer).

    With n_j substeps of size h = dt/n_j, n_j even,

        y_1 = y_0 + h f(y_0),   y_(i+1) = y_(i-1) + 2 h f(y_i),   T_j = y_(n_j),

    whose error is a series in h^2, so that

        y = sum_j w_j T_j,   w_j = prod_(i != j) n_j^2 / (n_j^2 - n_i^2),   j = 1, ..., k.

    All begin with the same evaluation of f. For k > 1 the embedded weights are those of order
    2k - 2, from n_2, ..., n_k. There is no smoothing step at the end.

    Args:
        order: 2k, even, from 2 to 30.
        sequence: the numbers of substeps n_1 < n_2 < ..., even ones: "harmonic" (2, 4, 6, 8, ...),
            "romberg" (2, 4, 8, 16, ...), "bulirsch" (2, 4, 6, 8, 12, 16, 24, ...), or k integers.

    Raises:
        TableauError: where the order or the sequence is none, or there are more than 512 stages.

    Example:

    >>> print(extrapolated_midpoint(4))
    extrapolated_midpoint(4, harmonic)
      0 │
    1/2 │ 1/2
    1/4 │ 1/4     0
    1/2 │   0     0  1/2
    3/4 │ 1/4     0    0  1/2
    ────┼─────────────────────────
        │   0  -1/3  2/3    0  2/3
        │   0     0  1/2    0  1/2

    Source: E. Hairer, S. P. Norsett, G. Wanner, *Solving Ordinary Differential Equations I*,
    section II.9.
    """
    p = integer(order, "order", 2, _HIGHEST_ORDER)
    if p % 2:
        raise refuse("The midpoint rule is extrapolated to an even order.", order=p)
    steps = _numbers_of_steps(sequence, p // 2, 2)
    program = StepProgram()

    def take(n: int) -> Value:
        h = Fraction(1, n)
        before, value = program.start, program.start + h * program.f(program.start)
        for _ in range(n - 1):
            before, value = value, before + 2 * h * program.f(value)
        return value

    _check_stages(1 + sum(n - 1 for n in steps), order=p, sequence=sequence)
    results = [take(n) for n in steps]
    return program.tableau(
        _extrapolated(steps, results, 2),
        _extrapolated(steps[1:], results[1:], 2) if p > 2 else None,
        claimed_order=claim(p),
        claimed_embedded_order=claim(p - 2) if p > 2 else None,
        name=_called("extrapolated_midpoint", p, sequence),
        source=_SOURCE,
    )


def _extrapolated(steps: Sequence[int], results: Sequence[Value], power: int) -> Value:
    """The value at h = 0 of the polynomial in h^power through the results."""
    total = Value({})
    for n, result in zip(steps, results, strict=True):
        others = (m for m in steps if m != n)
        weight = math.prod((Fraction(n**power, n**power - m**power) for m in others), start=1)
        total = total + weight * result
    return total


def _numbers_of_steps(sequence: Any, length: int, unit: int) -> list[int]:
    """n_1, n_2, ..., multiples of the unit."""
    powers = [2**j for j in range(length)]
    named = {
        "harmonic": range(1, length + 1),
        "romberg": powers,
        "bulirsch": [1, *(factor * n for n in powers for factor in (2, 3))][:length],
    }
    if isinstance(sequence, str) and sequence in named:
        return [unit * n for n in named[sequence]]
    if isinstance(sequence, list | tuple) and len(sequence) == length:
        numbers = [whole_number(n) for n in sequence]
        if all(n and n > 0 and n % unit == 0 for n in numbers) and len({*numbers}) == length:
            return [n for n in numbers if n]
    raise TableauError(
        f"`sequence` is one of {', '.join(named)}, or {length} different positive "
        f"{'even ' if unit == 2 else ''}integers. Received: {shown(sequence)}."
    )


def _check_stages(stages: int, **received: Any) -> None:
    if stages > _MOST_STAGES:
        raise refuse(
            f"A tableau has at most {_MOST_STAGES} stages; this one needs {stages}.", **received
        )


def _called(family: str, order: int, sequence: Any) -> str:
    return f"{family}({order}, {sequence})" if isinstance(sequence, str) else f"{family}({order})"
