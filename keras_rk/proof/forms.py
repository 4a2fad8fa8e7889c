"""A tableau in the numbers that its order conditions are computed with.

Exactly, these are integers (see `integer_form`), or, for a tableau with symbols, elements of the
field of fractions that SymPy finds for it. In absolute value and in floats, a tableau bounds
what rounding its coefficients can do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import mul
from typing import Any, Protocol

from keras_rk.butcher.tableau import Tableau
from keras_rk.numbers.coefficients import Coefficient, cancelled, exact, to_sympy
from keras_rk.numbers.linear_algebra import (
    Vector,
    Weights,
    inner_product,
    matrix_product,
    row_times_matrix,
)
from keras_rk.proof.integer_form import IntegerForm

__all__ = ["Form", "absolute_form", "exact_form"]


class Form(Protocol):
    """What the elementary weights need of a tableau.

    Vectors u(t) and numbers may come scaled, by factors that depend on the order of t alone.
    What a vector is, a list or more, is the form's own affair.
    """

    @property
    def one(self) -> Any:
        """u of the single vertex."""

    @property
    def nodes(self) -> Any:
        """c, scaled like A u of the single vertex."""

    def product(self, u: Any, v: Any) -> Any:
        """The entrywise product."""

    def apply(self, u: Any, order: int) -> Any:
        """A u, for the u of a tree of this order."""

    def weights(self, order: int, embedded: bool) -> Weights:
        """b or b_hat, for the u of trees of this order."""

    def value(self, parts: Sequence[Any], scale: Any) -> Coefficient:
        """The exact number behind a scaled one."""


@dataclass(frozen=True)
class _FieldForm:
    """A tableau over a field of Python objects, without any scaling."""

    one: Vector
    nodes: Vector
    rows: list[Weights]
    matrix: Callable[[Vector], Vector]
    to_exact: Callable[[Any, int], Coefficient]

    def product(self, u: Vector, v: Vector) -> Vector:
        return list(map(mul, u, v))

    def apply(self, u: Vector, order: int) -> Vector:
        return self.matrix(u)

    def weights(self, order: int, embedded: bool) -> Weights:
        return self.rows[embedded]

    def value(self, parts: Sequence[Any], scale: Any) -> Coefficient:
        return self.to_exact(parts[0], scale)


def exact_form(tableau: Tableau) -> Form:
    """The form in which a tableau's order conditions are decided."""
    return _symbolic_form(tableau) if tableau.is_symbolic else IntegerForm(tableau)


def absolute_form(tableau: Tableau) -> Form:
    """|A|, |b| and |c| in floats."""

    def absolute(row: Iterable[Coefficient]) -> Vector:
        return [abs(float(x)) for x in row]

    A = [absolute(row) for row in tableau.exact_A]
    return _FieldForm(
        one=[1.0] * tableau.stages,
        nodes=absolute(tableau.exact_c),
        rows=[_weights(absolute(row), A) for row in tableau.exact_weights],
        matrix=matrix_product(A),
        to_exact=lambda x, scale: exact(x / scale),
    )


def _weights(row: Vector, A: list[Vector]) -> Weights:
    return Weights([inner_product(row)], [inner_product(row_times_matrix(row, A))], 1)


def _symbolic_form(tableau: Tableau) -> Form:
    from sympy.polys.constructor import construct_domain

    rows = [*tableau.exact_A, tableau.exact_c, *tableau.exact_weights]
    domain, elements = construct_domain([to_sympy(x) for row in rows for x in row], field=True)
    taken = iter(elements)
    *A, c = [[next(taken) for _ in row] for row in (*tableau.exact_A, tableau.exact_c)]
    weights = [[next(taken) for _ in row] for row in tableau.exact_weights]
    return _FieldForm(
        one=[domain.one] * tableau.stages,
        nodes=c,
        rows=[_weights(row, A) for row in weights],
        matrix=matrix_product(A),
        to_exact=lambda x, scale: cancelled(domain.to_sympy(domain.convert(x)) / scale),
    )
