"""The adjoint of a method, and methods that are their own adjoint.

The adjoint of y_1 = Phi_h(y_0) is the inverse of Phi_(-h), and a method is symmetric if it equals
its adjoint: a step back leads to where the step came from.

Source: E. Hairer, S. P. Norsett, G. Wanner, *Solving Ordinary Differential Equations I*,
section II.8.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from keras_rk.analysis.properties import ROUNDING, Property, check_numbers, label
from keras_rk.butcher.tableau import Tableau
from keras_rk.errors import TableauError
from keras_rk.numbers.coefficients import sum_of
from keras_rk.tableaux.as_tableau import as_tableau

__all__ = ["adjoint", "symmetry"]

_MOST_TRIALS = 100_000


def adjoint(tableau: Any) -> Tableau:
    """The adjoint method, the inverse of the method with step -h:

        a*_ij = b_(s+1-j) - a_(s+1-i, s+1-j),    b*_i = b_(s+1-i),    c*_i = 1 - c_(s+1-i).

    It has the same order. That of an explicit method is implicit. Embedded weights are left out,
    since their method has an adjoint with another A.

    Args:
        tableau: a `keras_rk.Tableau`, the name of one, or arrays `(A, b[, c])`; symbols may stay.

    Returns:
        A `Tableau`, which claims no order.

    Example:

    >>> from keras_rk import tableaux
    >>> adjoint("euler") == tableaux.radau_iia(1)
    True
    >>> adjoint(tableaux.lobatto_iiia(3)) == tableaux.lobatto_iiia(3)
    True

    Source: E. Hairer, S. P. Norsett, G. Wanner, *Solving Ordinary Differential Equations I*,
    section II.8.
    """
    tableau = as_tableau(tableau)
    A, b = tableau.exact_A[::-1], tableau.exact_b[::-1]
    c = [sum_of([Fraction(1), -x]) for x in tableau.exact_c[::-1]]
    return Tableau(
        [[sum_of([y, -x]) for x, y in zip(row[::-1], b, strict=True)] for row in A],
        b,
        None if tableau.has_row_sums else c,
        name=f"adjoint of {tableau.name}" if tableau.name else None,
        source=tableau.source,
    )._with_floats(tableau.has_floats)


def symmetry(tableau: Any) -> Property:
    """Whether a method is its own adjoint, up to a permutation of its stages.

    Methods without superfluous stages are the same method only where a permutation of the stages
    takes one tableau to the other. (One with superfluous stages may be symmetric without that.)

    Args:
        tableau: a `keras_rk.Tableau`, the name of one, or arrays `(A, b[, c])`.

    Returns:
        A `Property`, "numeric" where the coefficients agree to 2**-40 of the largest.

    Raises:
        TableauError: for a tableau with symbols.

    Example:

    >>> from keras_rk import tableaux
    >>> print(symmetry(tableaux.gauss(3)))
    exact: the adjoint has the stages in the order 1, 2, 3
    >>> print(symmetry("rk4"))
    failed: no order of its stages makes the adjoint the method itself

    Source: E. Hairer, S. P. Norsett, G. Wanner, *Solving Ordinary Differential Equations I*,
    section II.8.
    """
    tableau = as_tableau(tableau)
    check_numbers(tableau, "Symmetry")
    other = adjoint(tableau)
    rows: Any = (*tableau.exact_A, tableau.exact_b)
    margin = ROUNDING * max(abs(x) for row in rows for x in row)
    if order := _permutation(tableau, other, 0):
        return Property("exact", f"the adjoint has the stages in the order {_listed(order)}")
    if order := _permutation(tableau, other, margin):
        found = f"the adjoint has the stages in the order {_listed(order)}, but for rounding"
        return Property("numeric", found)
    return Property("failed", "no order of its stages makes the adjoint the method itself")


def _listed(order: Sequence[int]) -> str:
    return ", ".join(str(i + 1) for i in order)


def _permutation(one: Tableau, two: Tableau, margin: Any) -> Sequence[int] | None:
    """An order of the second tableau's stages in which it is the first, to within a margin.

    Stages are placed one after the other, each where its coefficients fit to those before it.
    """
    trials = 0
    placed: list[int] = []

    def same(x: Any, y: Any) -> bool:
        return x == y if not margin else abs(x - y) <= margin

    def fits(i: int, k: int) -> bool:
        A, B = one.exact_A, two.exact_A
        return (
            same(one.exact_b[i], two.exact_b[k])
            and same(one.exact_c[i], two.exact_c[k])
            and same(A[i][i], B[k][k])
            and all(same(A[i][j], B[k][m]) and same(A[j][i], B[m][k]) for j, m in enumerate(placed))
        )

    def place() -> bool:
        nonlocal trials
        if len(placed) == one.stages:
            return True
        for k in set(range(one.stages)) - set(placed):
            trials += 1
            if trials > _MOST_TRIALS:
                raise TableauError(
                    f"Stages are matched in {_MOST_TRIALS} trials at most. "
                    f"Received: {label(one)}, with too many stages that are alike."
                )
            if fits(len(placed), k):
                placed.append(k)
                if place():
                    return True
                placed.pop()
        return False

    return placed if place() else None
