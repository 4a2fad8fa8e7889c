"""Low-storage (2N) coefficients as a Butcher tableau.

J. H. Williamson, Low-storage Runge-Kutta schemes, J. Comput. Phys. 35 (1980): with two registers,

    q_i = A_i q_{i-1} + dt f(y_{i-1}),   y_i = y_{i-1} + B_i q_i,   A_1 = 0,

so that a_{i+1,j} = a_ij + B_i w_ij, where w_i = A_i w_{i-1} + e_i; row s + 1 holds the weights.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from keras_rk.butcher.shu_osher import LARGEST, numbers, sequence
from keras_rk.errors import TableauError, shown
from keras_rk.numbers.grammar import check_size

__all__ = ["from_two_registers"]


def from_two_registers(A: Any, B: Any) -> dict[str, Any]:
    """What `Tableau.from_dict` takes; A has one entry per stage, or one less, as A_1 = 0."""
    factors, float_A = numbers(sequence(A, "`A`"), "A")
    steps, float_B = numbers(sequence(B, "`B`"), "B")
    if len(factors) == len(steps) - 1:
        factors = [Fraction(0), *factors]
    if len(factors) != len(steps) or not 1 <= len(steps) <= LARGEST:
        raise TableauError(
            f"Low-storage coefficients are A_i and B_i for each of at most {LARGEST} stages. "
            f"Received: len(A)={len(factors)}, len(B)={len(steps)}."
        )
    if factors[0]:
        raise TableauError(
            f"A low-storage method begins with A_1 = 0. Received: A[0]={shown(str(factors[0]))}."
        )
    rows: list[list[Any]] = [[]]
    register: list[Any] = []
    for factor, step in zip(factors, steps, strict=True):
        register = [check_size(factor * x) for x in register] + [Fraction(1)]
        last = [*rows[-1], Fraction(0)]
        rows.append([check_size(x + step * w) for x, w in zip(last, register, strict=True)])
    return {"A": rows[:-1], "b": rows[-1], "has_floats": float_A or float_B}
