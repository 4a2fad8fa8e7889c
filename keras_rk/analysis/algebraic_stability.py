"""Algebraic stability, from which B-stability follows.

    M = B A + A^T B - b b^T,    m_ij = b_i a_ij + b_j a_ji - b_i b_j,    B = diag(b).

A method is algebraically stable if b_i >= 0 for all i and M is positive semidefinite. Then the
distance of two solutions never grows where <f(y) - f(z), y - z> <= 0 (B-stability), and A-stability
follows. For methods whose nodes c_i differ, B-stability implies it, too.

Source: E. Hairer, G. Wanner, *Solving Ordinary Differential Equations II*, section IV.12.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from keras_rk.analysis.properties import ROUNDING, Property, check_numbers
from keras_rk.butcher.tableau import Tableau
from keras_rk.numbers.coefficients import public
from keras_rk.numbers.square_roots import Number
from keras_rk.proof.digits import brief
from keras_rk.tableaux.as_tableau import as_tableau

__all__ = ["algebraic_stability", "algebraic_stability_matrix"]

_WHAT = "Algebraic stability"


def algebraic_stability(tableau: Any) -> Property:
    """Whether a method is algebraically stable, and so B-stable.

    That is b_i >= 0 and M = B A + A^T B - b b^T positive semidefinite with B = diag(b), which
    elimination decides in exact numbers. The verdict is "numeric" where M and b miss that by no
    more than what a relative 2**-40 of their terms explains.

    Args:
        tableau: a `keras_rk.Tableau`, the name of one, or arrays `(A, b[, c])`.

    Returns:
        A `Property`, with `verdict` and `reason`.

    Raises:
        TableauError: for a tableau with symbols.

    Example:

    >>> from keras_rk import tableaux
    >>> print(algebraic_stability(tableaux.lobatto_iiic(2)))
    exact: b >= 0, and M is positive semidefinite, of rank 1
    >>> print(algebraic_stability(tableaux.lobatto_iiia(2)))
    failed: M is not positive semidefinite: m_11 = -1/4

    Source: E. Hairer, G. Wanner, *Solving Ordinary Differential Equations II*, section IV.12.
    """
    tableau = as_tableau(tableau)
    check_numbers(tableau, _WHAT)
    b: Sequence[Any] = tableau.exact_b
    matrix, sizes = _matrix_and_sizes(tableau)
    for i, weight in enumerate(b):
        if weight < -ROUNDING:
            return Property("failed", f"b_{i + 1} = {brief(weight)} is negative")
    rank, fault = _semidefinite(matrix)
    if not fault and all(weight >= 0 for weight in b):
        if not rank:
            return Property("exact", "b >= 0, and M = 0")
        return Property("exact", f"b >= 0, and M is positive semidefinite, of rank {rank}")
    for i, size in enumerate(sizes):
        matrix[i][i] += ROUNDING * size
    if not _semidefinite(matrix)[1]:
        return Property(
            "numeric", "b >= 0, and M is positive semidefinite but for what rounding explains"
        )
    return Property("failed", f"M is not positive semidefinite: {fault}")


def algebraic_stability_matrix(tableau: Any) -> tuple[tuple[Any, ...], ...]:
    """M = B A + A^T B - b b^T, exactly: a `Fraction` where rational, a SymPy number otherwise.

    Example:

    >>> algebraic_stability_matrix("euler")
    ((Fraction(-1, 1),),)
    """
    tableau = as_tableau(tableau)
    check_numbers(tableau, _WHAT)
    return tuple(tuple(public(x) for x in row) for row in _matrix_and_sizes(tableau)[0])


def _matrix_and_sizes(tableau: Tableau) -> tuple[list[list[Any]], list[Any]]:
    """M, and for each row the sum of its terms' absolute values.

    A matrix whose entries are no larger than those sums' terms is no larger than their diagonal.
    """
    A: Sequence[Sequence[Any]] = tableau.exact_A
    b: Sequence[Any] = tableau.exact_b
    stages = range(tableau.stages)
    matrix: list[list[Any]] = [[Fraction(0)] * len(b) for _ in stages]
    sizes: list[Any] = [Fraction(0)] * len(b)
    for i in stages:
        for j in range(i + 1):
            terms = (b[i] * A[i][j], b[j] * A[j][i], -b[i] * b[j])
            matrix[i][j] = matrix[j][i] = sum(terms, Fraction(0))
            size = sum(map(abs, terms), Fraction(0))
            for row in {i, j}:
                sizes[row] += size
    return matrix, sizes


def _semidefinite(symmetric: Sequence[Sequence[Number]]) -> tuple[int, str]:
    """The rank of a positive semidefinite matrix; or what shows that it is none.

    Elimination with the diagonal entries as pivots: one that is zero needs a row of zeros, and
    one that is negative, here or in what is left, is a negative value of the quadratic form.
    """
    rest: dict[tuple[int, int], Any] = {
        (i, j): x for i, row in enumerate(symmetric) for j, x in enumerate(row) if x
    }
    rank = 0
    for k in range(len(symmetric)):
        pivot = rest.get((k, k), Fraction(0))
        others = [j for j in range(k + 1, len(symmetric)) if (k, j) in rest]
        if pivot < 0:
            where = f"after {rank} steps of elimination, " if rank else ""
            return rank, f"{where}m_{k + 1}{k + 1} = {brief(pivot)}"
        if not pivot and others:
            names = f"m_{k + 1}{k + 1} = 0 beside m_{k + 1}{others[0] + 1}"
            return rank, f"{names} = {brief(rest[k, others[0]])}"
        rank += bool(pivot)
        for i in others:
            factor = rest[k, i] / pivot
            for j in others:
                entry = rest.pop((i, j), Fraction(0)) - factor * rest[k, j]
                if entry:
                    rest[i, j] = entry
    return rank, ""
