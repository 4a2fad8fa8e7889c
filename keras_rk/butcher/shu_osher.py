"""Shu-Osher coefficients as a Butcher tableau.

C.-W. Shu, S. Osher, Efficient implementation of essentially non-oscillatory shock-capturing
schemes, J. Comput. Phys. 77 (1988): convex combinations of Euler steps,

    y_1 = y,   y_i = sum_j alpha_ij y_j + beta_ij dt f(y_j)   for i = 2, ..., s + 1,

whose last one is the result. Row by row, with y_j = y + dt sum_k a_jk f(y_k),

    a_i = beta_i + sum_j alpha_ij a_j,

and row s + 1 holds the weights. A row of alpha sums to 1; where alpha_i1 = 0, the rest is y's.
"""

from __future__ import annotations

import contextlib
from fractions import Fraction
from typing import Any

from keras_rk.errors import TableauError, shown
from keras_rk.numbers.coefficients import exact, is_float, is_symbolic
from keras_rk.numbers.grammar import check_size

__all__ = ["LARGEST", "from_convex_combinations", "numbers", "sequence"]

LARGEST = 128  # stages
_ROUNDING = Fraction(1, 2**40)  # more than sums of float64 numbers are off
_FORMS = """`alpha` and `beta` have s columns and the rows of stages 2 to s + 1, or a shorter form;
for two stages:
    [[a21, 0], [a31, a32]]            s x s
    [[a21], [a31, a32]]               down to the diagonal
    [[0, 0], [a21, 0], [a31, a32]]    with the first stage, which is y
"""


def from_convex_combinations(alpha: Any, beta: Any) -> dict[str, Any]:
    """What `Tableau.from_dict` takes."""
    combined, float_alpha = _matrix(alpha, "alpha")
    steps, float_beta = _matrix(beta, "beta")
    if len(combined) != len(steps):
        raise TableauError(
            f"{_FORMS}Received: {len(combined)} and {len(steps)} rows, beside the first stage's."
        )
    stages = len(steps) - 1
    _check_columns(combined, steps)
    _check_sums(combined, float_alpha)
    rows: list[list[Any]] = []
    for alphas, betas in zip(combined, steps, strict=True):
        row = list(betas)
        for x, earlier in zip(alphas, rows, strict=False):
            if x:
                row = [check_size(a + x * e) if e else a for a, e in zip(row, earlier, strict=True)]
        rows.append(row)
    return {
        "A": rows[:stages],
        "b": rows[stages],
        "has_floats": float_alpha or float_beta,
    }


def _check_columns(combined: list[list[Any]], steps: list[list[Any]]) -> None:
    """The first row and a last column of zeros, which (s + 1) x (s + 1) matrices have."""
    if len(steps) > 2 and not any(steps[1]) and not any(row[-1] for row in (*combined, *steps)):
        raise TableauError(
            f"{_FORMS}Received: {len(steps) - 1} columns, of which the last are zero, and no step "
            "in the row of stage 2; where that is the row of y, leave out the last columns."
        )


def _check_sums(rows: list[list[Any]], has_floats: bool) -> None:
    allowed = _ROUNDING if has_floats else Fraction(0)
    for i, row in enumerate(rows[1:], start=2):
        sum_of_row = sum(row, Fraction(0))
        if row[0] and abs(sum_of_row - 1) > allowed:
            raise TableauError(
                f"A row of `alpha` sums to 1. Received: {shown(str(sum_of_row))} in the row of "
                f"stage {i}."
            )


def _matrix(values: Any, key: str) -> tuple[list[list[Any]], bool]:
    """Rows of s entries for stages 1 to s + 1, and whether a float was among them."""
    rows = [sequence(row, f"row {i} of `{key}`") for i, row in enumerate(sequence(values, key))]
    lengths = [len(row) for row in rows]
    stages = lengths[-1] if rows else 0
    if not 1 <= stages <= LARGEST or lengths not in (
        [stages] * stages,
        [*range(1, stages + 1)],
        [stages] * (stages + 1),
        [*range(stages + 1)],
    ):
        raise TableauError(f"{_FORMS}Received: `{key}` with rows of {shown(lengths)} entries.")
    read = [numbers(row, f"{key}[{i}]") for i, row in enumerate(rows)]
    found = [row + [Fraction(0)] * (stages - len(row)) for row, _ in read]
    if len(found) == stages:
        found.insert(0, [Fraction(0)] * stages)
    for i, row in enumerate(found):
        if any(row[i:]):
            raise TableauError(
                f"{_FORMS}Received: an entry of `{key}` beside a stage that is not yet known, in "
                f"the row of stage {i + 1}, {shown(str(next(x for x in row[i:] if x)))}."
            )
    return found, any(is_floating for _, is_floating in read)


def sequence(values: Any, what: str) -> list[Any]:
    """A list, tuple or array as a list."""
    listed = values
    if hasattr(values, "tolist"):
        with contextlib.suppress(Exception):  # whatever an array-like thing may raise
            listed = values.tolist()
    if not isinstance(listed, list | tuple):
        raise TableauError(f"{what} must be a sequence. Received: {shown(values)}.")
    return list(listed)


def numbers(values: list[Any], place: str) -> tuple[list[Any], bool]:
    """Exact numbers, and whether a float was among them."""
    found = []
    for i, value in enumerate(values):
        try:
            x = exact(value)
        except TableauError as error:
            raise TableauError(f"{place}[{i}]: {error}") from None
        if is_symbolic(x):
            raise TableauError(f"{place}[{i}]: a number is needed here. Received: {shown(value)}.")
        found.append(x)
    return found, any(map(is_float, values))
