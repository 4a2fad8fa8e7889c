"""Lobatto methods: both ends of the step are nodes, and the order is 2 s - 2."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from keras_rk.butcher.tableau import Tableau
from keras_rk.tableaux.collocation import (
    Matrix,
    Nodes,
    collocation,
    family_member,
    integrals,
    transposed,
)

__all__ = ["lobatto_iiia", "lobatto_iiib", "lobatto_iiic"]

_SOURCE = (
    "{}; computed from {} as in "
    "E. Hairer, G. Wanner, Solving Ordinary Differential Equations II, section IV.5"
)
_EHLE = "B. L. Ehle, On Pade approximations to the exponential function and A-stable methods (1969)"
_CHIPMAN = "F. H. Chipman, A-stable Runge-Kutta processes (1971)"


def lobatto_iiia(stages: int, *, digits: int | None = None) -> Tableau:
    """The Lobatto IIIA method with s stages: implicit, of order 2 s - 2, its first stage explicit.

    Its nodes are the zeros of d^(s-2)/dx^(s-2) (x^(s-1) (x - 1)^(s-1)), and its coefficients those
    of collocation, a_ij = integral of l_j from 0 to c_i. It is A-stable and symmetric, but neither
    L-stable nor algebraically stable; with Lobatto IIIB it is a symplectic pair.

    Args:
        stages: s >= 2. Square roots write the nodes for s <= 7.
        digits: None for exact coefficients; otherwise decimals with so many digits after the
            point: then each entry of A and b is proved to be within 10**-digits of the exact one
            (from rational bounds on the nodes), and c, the sums of its rows, within s 10**-digits.

    Raises:
        TableauError: where square roots do not write the nodes, and `digits` is None.

    Example:

    >>> from keras_rk import tableaux
    >>> print(tableaux.lobatto_iiia(3))
    lobatto_iiia(3)
      0 │    0    0      0
    1/2 │ 5/24  1/3  -1/24
      1 │  1/6  2/3    1/6
    ────┼─────────────────
        │  1/6  2/3    1/6

    Source: E. Hairer, G. Wanner, *Solving Ordinary Differential Equations II*, section IV.5.
    """
    return _lobatto("lobatto_iiia", stages, digits, collocation, (_EHLE, "B(2s-2) and C(s)"))


def lobatto_iiib(stages: int, *, digits: int | None = None) -> Tableau:
    """The Lobatto IIIB method with s stages: implicit, of order 2 s - 2, its last stage unused.

    D(s) gives its coefficients: sum_i b_i c_i^(k-1) a_ij = b_j (1 - c_j^k) / k for k = 1, ..., s,
    at the nodes of `lobatto_iiia`. It is A-stable and symmetric, but neither L-stable nor
    algebraically stable; with Lobatto IIIA it is a symplectic pair. For s = 2, and for no other s,
    the row sums of A, which are its `c`, are not those nodes: both are 1/2.

    Args:
        stages: s >= 2. Square roots write the nodes for s <= 7.
        digits: as for `lobatto_iiia`.

    Raises:
        TableauError: where square roots do not write the nodes, and `digits` is None.

    Example:

    >>> from keras_rk import tableaux
    >>> print(tableaux.lobatto_iiib(3))
    lobatto_iiib(3)
      0 │ 1/6  -1/6    0
    1/2 │ 1/6   1/3    0
      1 │ 1/6   5/6    0
    ────┼───────────────
        │ 1/6   2/3  1/6

    Source: E. Hairer, G. Wanner, *Solving Ordinary Differential Equations II*, section IV.5.
    """
    return _lobatto("lobatto_iiib", stages, digits, transposed, (_EHLE, "B(2s-2) and D(s)"))


def lobatto_iiic(stages: int, *, digits: int | None = None) -> Tableau:
    """The Lobatto IIIC method with s stages: implicit, of order 2 s - 2, L-stable.

    a_i1 = b_1 and C(s-1) give its coefficients, at the nodes of `lobatto_iiia`. It is L-stable and
    algebraically stable, and its last row of A is b.

    Args:
        stages: s >= 2. Square roots write the nodes for s <= 7.
        digits: as for `lobatto_iiia`.

    Raises:
        TableauError: where square roots do not write the nodes, and `digits` is None.

    Example:

    >>> from keras_rk import tableaux
    >>> print(tableaux.lobatto_iiic(3))
    lobatto_iiic(3)
      0 │ 1/6  -1/3    1/6
    1/2 │ 1/6  5/12  -1/12
      1 │ 1/6   2/3    1/6
    ────┼─────────────────
        │ 1/6   2/3    1/6

    Source: E. Hairer, G. Wanner, *Solving Ordinary Differential Equations II*, section IV.5.
    """
    return _lobatto("lobatto_iiic", stages, digits, _iiic, (_CHIPMAN, "B(2s-2) and C(s-1)"))


def _lobatto(family: str, stages: Any, digits: Any, form: Any, source: tuple[str, str]) -> Tableau:
    return family_member(
        family, stages, digits, ends=(0, 1), form=form, order=2, source=_SOURCE.format(*source)
    )


def _iiic(nodes: Nodes) -> tuple[Matrix, list[Any]]:
    """b by quadrature; C(s-1) where the weight of the first node, 0, is b_1 in every row."""
    b = integrals(nodes, [1])[0]
    *others, at_0 = _integrals_and_values(nodes[1:], nodes)
    return [[b[0], *(x - b[0] * y for x, y in zip(row, at_0, strict=True))] for row in others], b


def _integrals_and_values(nodes: Nodes, ends: Nodes) -> Matrix:
    """The integrals up to each end, and last the values at 0, of Lagrange's polynomials."""
    values = []
    for j, node in enumerate(nodes):
        value: Any = Fraction(1)
        for k, other in enumerate(nodes):
            if k != j:
                value = value * (other / (other - node))
        values.append(value)
    return [*integrals(nodes, ends), values]
