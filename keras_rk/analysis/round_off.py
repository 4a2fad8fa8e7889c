"""What large coefficients do to rounding errors.

Each evaluation of f comes with a relative error of about u, the unit round-off, or more if f was
computed in low precision. With e_i the error of k_i in units of u max|k|, and L a Lipschitz
constant of f, one step of size dt makes of them

    e_i <= 1 + dt L sum_j |a_ij| e_j,        error of the result <= dt u max|k| sum_i |b_i| e_i.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from keras_rk.analysis.arguments import numeric_tableau
from keras_rk.butcher.tableau import Tableau
from keras_rk.numbers.coefficients import public

__all__ = ["RoundOff", "round_off"]


@dataclass(frozen=True)
class RoundOff:
    """How much rounding errors grow in one step.

    Attributes:
        largest_coefficient: the largest of all |a_ij|, |b_i|, |c_i| and |b_hat_i|, exactly.
        largest_place: where it stands, such as "A[3][1]", counted from 0.
        sum_of_weights: sum_i |b_i|: the errors in units of u dt max|k| that the k_i leave in the
            result by themselves. It is 1 if no weight is negative, and then cannot be less.
        sum_of_row: max_i sum_j |a_ij|, the same for the stages.
        amplification: sum_i |b_i| e_i for dt L = 1 in the bound above, b^T (I - |A|)^-1 1 with
            |b| for b: the same with the errors that a stage passes on to later ones. Without
            negative coefficients it is R(1) - 1, about e - 1 = 1.72. None for
            implicit methods, which do not compute one stage after another.
    """

    largest_coefficient: Any
    largest_place: str
    sum_of_weights: float
    sum_of_row: float
    amplification: float | None


def round_off(tableau: Any) -> RoundOff:
    """The largest coefficient, and what it does to rounding errors.

    Args:
        tableau: a `Tableau` without symbols, a name, a file, or `(A, b[, c])`.

    Raises:
        TableauError: for a tableau with symbols.

    Example:

    >>> found = round_off("dormand_prince54")
    >>> print(found.largest_coefficient, found.largest_place)
    25360/2187 A[4][1]
    >>> f"{found.sum_of_weights:.3f} {found.sum_of_row:.1f} {found.amplification:.1f}"
    '1.645 24.7 24.5'

    Source: P. J. Prince, J. R. Dormand, High order embedded Runge-Kutta formulae (1981), for the
    largest coefficient as a criterion; the bounds are those of the module's head, Lipschitz's
    inequality applied stage by stage.
    """
    tableau = numeric_tableau(tableau, "The growth of rounding errors")
    A = [[abs(float(x)) for x in row] for row in tableau.exact_A]
    b = [abs(float(x)) for x in tableau.exact_b]
    errors: list[float] = []
    for row in A:
        errors.append(1 + sum(x * e for x, e in zip(row, errors, strict=False)))
    grown = sum(x * e for x, e in zip(b, errors, strict=True))
    largest, place = max(_places(tableau), key=lambda entry: abs(float(entry[0])))
    return RoundOff(
        largest_coefficient=public(abs(largest)),
        largest_place=place,
        sum_of_weights=sum(b),
        sum_of_row=max(map(sum, A)),
        amplification=grown if tableau.is_explicit else None,
    )


def _places(tableau: Tableau) -> Iterator[tuple[Any, str]]:
    """Every coefficient, and what it is called."""
    for i, row in enumerate(tableau.exact_A):
        yield from ((x, f"A[{i}][{j}]") for j, x in enumerate(row))
    for name, row in zip(("b", "b_hat"), tableau.exact_weights, strict=False):
        yield from ((x, f"{name}[{i}]") for i, x in enumerate(row))
    yield from ((x, f"c[{i}]") for i, x in enumerate(tableau.exact_c))
