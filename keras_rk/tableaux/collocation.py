"""Implicit methods from their nodes, which are the zeros of Legendre-like polynomials.

With Lagrange's polynomials l_j of the nodes,

    C(s):   a_ij = integral of l_j from 0 to c_i,    b_j = integral of l_j from 0 to 1,
    D(s):   a_ij = b_j (1 - a'_ji / b_i)  where a' is the matrix that C(s) gives.

Source: E. Hairer, G. Wanner, *Solving Ordinary Differential Equations II*, section IV.5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import comb
from typing import Any

from keras_rk.butcher.tableau import Tableau
from keras_rk.errors import TableauError, shown
from keras_rk.numbers.coefficients import whole_number
from keras_rk.numbers.intervals import interval
from keras_rk.numbers.real_roots import enclosed_roots, roots_by_square_roots
from keras_rk.tableaux.parameters import claim

__all__ = [
    "Matrix",
    "Nodes",
    "collocation",
    "decimals",
    "family_member",
    "integrals",
    "stage_count",
    "transposed",
]

MAX_STAGES = 16
DIGITS = (16, 100)

Nodes = Sequence[Any]
Matrix = list[list[Any]]


def family_member(
    family: str,
    stages: Any,
    digits: Any,
    *,
    ends: tuple[int, ...],
    form: Callable[[Nodes], tuple[Matrix, list[Any]]],
    order: int,
    source: str,
) -> Tableau:
    """The method of a family with so many stages, exactly or in decimals.

    Args:
        family: the name of the function that was called.
        ends: those ends of [0, 1] that are nodes; the others give the quadrature its order.
        form: A and b from the nodes.
        order: how much its order is below 2 s.
    """
    stages = stage_count(family, stages, max(1, len(ends)))
    polynomial = _inner_polynomial(stages, ends)
    if digits is None:
        inner = roots_by_square_roots(polynomial)
        if inner is None:
            raise TableauError(
                f"The nodes of {family}({stages}) are not written with square roots; decimals are "
                f"given when they are asked for: {family}({stages}, digits=40). "
                f"Received: stages={stages}, digits=None."
            )
        A, b = form(_with_ends(inner, ends))
    else:

        def rational(bits: int) -> tuple[Matrix, list[Any]]:
            return form(_with_ends(enclosed_roots(polynomial, bits), ends))

        A, b = decimals(family, digits, rational)
    call = f"{stages}" if digits is None else f"{stages}, digits={digits}"
    return Tableau(
        A, b, claimed_order=claim(2 * stages - order), name=f"{family}({call})", source=source
    )


def stage_count(family: str, stages: Any, least: int) -> int:
    """The argument `stages`, where it is one."""
    count = whole_number(stages)
    if count is None or not least <= count <= MAX_STAGES:
        raise TableauError(
            f"The number of stages of {family} is an integer between {least} and {MAX_STAGES}. "
            f"Received: stages={shown(stages)}."
        )
    return count


def decimals(
    family: str, digits: Any, form: Callable[[int], tuple[Matrix, list[Any]]]
) -> tuple[Matrix, list[Any]]:
    """A and b as decimals, each within 10**-digits of the number that intervals enclose.

    Args:
        form: A and b as intervals, from nodes enclosed to so many binary places.
    """
    places = whole_number(digits)
    if places is None or not DIGITS[0] <= places <= DIGITS[1]:
        raise TableauError(
            f"`digits` is an integer between {DIGITS[0]} and {DIGITS[1]}, or None. "
            f"Received: {family}(..., digits={shown(digits)})."
        )
    bits = 4 * places + 64
    while True:  # ends: the bounds come as close as one asks for
        A, b = form(bits)
        rows = [[interval(x).rounded(places) for x in row] for row in (*A, b)]
        if not any(x is None for row in rows for x in row):
            return rows[:-1], rows[-1]
        bits *= 2


def collocation(nodes: Nodes) -> tuple[Matrix, list[Any]]:
    """A and b with C(s) and B(s)."""
    ends = integrals(nodes, [*nodes, 1])
    return ends[:-1], ends[-1]


def transposed(nodes: Nodes) -> tuple[Matrix, list[Any]]:
    """A and b with D(s) and B(s)."""
    A, b = collocation(nodes)
    stages = range(len(b))
    return [[b[j] * (1 - A[j][i] / b[i]) for j in stages] for i in stages], b


def integrals(nodes: Nodes, ends: Sequence[Any]) -> Matrix:
    """A row for each end: the integrals from 0 to it of Lagrange's polynomials of the nodes."""
    columns = []
    for j, node in enumerate(nodes):
        polynomial: list[Any] = [Fraction(1)]
        scale: Any = Fraction(1)
        for k, other in enumerate(nodes):
            if k != j:
                times_x = [0, *polynomial]
                polynomial = [x - other * y for x, y in zip(times_x, [*polynomial, 0], strict=True)]
                scale = scale * (node - other)
        factors = [x / (n + 1) for n, x in enumerate(polynomial)]
        columns.append([_power_sum(factors, end) / scale for end in ends])
    return [list(row) for row in zip(*columns, strict=True)]


def _power_sum(factors: Sequence[Any], x: Any) -> Any:
    """factors_0 x + factors_1 x^2 + ..."""
    total: Any = Fraction(0)
    for factor in reversed(factors):
        total = (total + factor) * x
    return total


def _with_ends(inner: Nodes, ends: tuple[int, ...]) -> Nodes:
    before = [Fraction(0)] if 0 in ends else []
    return [*before, *inner, *([Fraction(1)] if 1 in ends else [])]


def _inner_polynomial(stages: int, ends: tuple[int, ...]) -> list[Fraction]:
    """The polynomial of the nodes within (0, 1).

    With all nodes that is the derivative of order n = s - len(ends) of x^m (x - 1)^k, where m and
    k are n, and n + 1 at an end that is a node.
    """
    times = stages - len(ends)
    m, k = times + (0 in ends), times + (1 in ends)
    p = [0] * m + [comb(k, i) * (-1) ** (k - i) for i in range(k + 1)]
    for _ in range(times):
        p = [i * a for i, a in enumerate(p)][1:]
    if 0 in ends:
        p = p[1:]
    if 1 in ends:  # divided by x - 1
        quotient, carry = [], 0
        for a in reversed(p[1:]):
            carry += a
            quotient.append(carry)
        p = quotient[::-1]
    return [Fraction(a) for a in p]
