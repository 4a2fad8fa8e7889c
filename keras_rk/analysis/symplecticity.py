"""Symplecticity: methods, and pairs of methods, that conserve quadratic invariants.

    b_i a_ij + b_j a_ji = b_i b_j    for all i, j.

Source: E. Hairer, C. Lubich, G. Wanner, *Geometric Numerical Integration*, chapter VI.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from keras_rk.analysis.properties import ROUNDING, Property, check_numbers, label
from keras_rk.errors import TableauError
from keras_rk.proof.digits import brief
from keras_rk.tableaux.as_tableau import as_tableau

__all__ = ["symplecticity"]


def symplecticity(tableau: Any, other: Any = None) -> Property:
    """Whether a method is symplectic, or two methods are as a pair.

    The condition for one method is b_i a_ij + b_j a_ji = b_i b_j for all i and j. Two methods, one
    for q' = f(q, p) and the other for p' = g(q, p), are symplectic as a pair if b = b^ and

        b_i a^_ij + b^_j a_ji = b_i b^_j    for all i and j.

    The conditions are also necessary where no stage is superfluous. Such methods conserve
    quadratic invariants, too, those that are bilinear in q and p in the case of a pair.

    Args:
        tableau: a `keras_rk.Tableau`, the name of one, or arrays `(A, b[, c])`.
        other: the other method of a pair, with the same number of stages.

    Returns:
        A `Property`, "numeric" where each condition holds to a relative 2**-40 of its terms.

    Raises:
        TableauError: for tableaux with symbols, and for two with different numbers of stages.

    Example:

    >>> from keras_rk import tableaux
    >>> print(symplecticity(tableaux.gauss(2)))
    exact: b_i a_ij + b_j a_ji = b_i b_j for all i, j
    >>> print(symplecticity(tableaux.lobatto_iiia(3)))
    failed: b_1 a_11 + b_1 a_11 - b_1 b_1 = -1/36
    >>> bool(symplecticity(tableaux.lobatto_iiia(3), tableaux.lobatto_iiib(3)))
    True

    Source: E. Hairer, C. Lubich, G. Wanner, *Geometric Numerical Integration*, chapter VI.
    """
    one = as_tableau(tableau)
    two = one if other is None else as_tableau(other)
    for method in (one, two):
        check_numbers(method, "Symplecticity")
    if one.stages != two.stages:
        raise TableauError(
            "The two methods of a pair have the same number of stages. Received: "
            f"{label(one)} with {one.stages}, {label(two)} with {two.stages}."
        )
    mark = "" if other is None else "^"
    a: Any = one.exact_A
    b: Any = one.exact_b
    a_other: Any = two.exact_A
    b_other: Any = two.exact_b
    conditions: list[tuple[str, Sequence[Any]]] = []
    for i in range(one.stages):
        if other is not None:
            conditions.append((f"b_{i + 1} - b^_{i + 1}", (b[i], -b_other[i])))
        for j in range(one.stages if other is not None else i + 1):
            n, m = i + 1, j + 1
            conditions.append(
                (
                    f"b_{n} a{mark}_{n}{m} + b{mark}_{m} a_{m}{n} - b_{n} b{mark}_{m}",
                    (b[i] * a_other[i][j], b_other[j] * a[j][i], -b[i] * b_other[j]),
                )
            )
    return _judged(conditions, mark)


def _judged(conditions: Sequence[tuple[str, Sequence[Any]]], mark: str) -> Property:
    rule = f"b_i a{mark}_ij + b{mark}_j a_ji = b_i b{mark}_j for all i, j"
    if mark:
        rule += ", and b = b^"
    is_exact = True
    for text, terms in conditions:
        residual = sum(terms, Fraction(0))
        if abs(residual) > ROUNDING * sum(map(abs, terms), Fraction(0)):
            return Property("failed", f"{text} = {brief(residual)}")
        is_exact = is_exact and not residual
    return Property("exact", rule) if is_exact else Property("numeric", f"{rule}, but for rounding")
