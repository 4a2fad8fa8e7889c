"""Gauss methods: collocation at the zeros of Legendre's polynomials, of order 2 s."""

from __future__ import annotations

from keras_rk.butcher.tableau import Tableau
from keras_rk.tableaux.collocation import collocation, family_member

__all__ = ["gauss"]

_SOURCE = (
    "J. C. Butcher, Implicit Runge-Kutta processes (1964); computed from B(2s) and C(s) as in "
    "E. Hairer, G. Wanner, Solving Ordinary Differential Equations II, section IV.5"
)


def gauss(stages: int, *, digits: int | None = None) -> Tableau:
    """The Gauss method with s stages: implicit, of order 2 s.

    Its nodes are the zeros of d^s/dx^s (x^s (x - 1)^s), a shifted Legendre polynomial, and its
    coefficients those of collocation, a_ij = integral of l_j from 0 to c_i. It is A-stable but not
    L-stable, algebraically stable, symplectic and symmetric.

    Args:
        stages: s >= 1. Square roots write the nodes for s <= 5.
        digits: None for exact coefficients; otherwise decimals with so many digits after the
            point: then each entry of A and b is proved to be within 10**-digits of the exact one
            (from rational bounds on the nodes), and c, the sums of its rows, within s 10**-digits.

    Raises:
        TableauError: where square roots do not write the nodes, and `digits` is None.

    Example:

    >>> from keras_rk import tableaux
    >>> print(tableaux.gauss(2))
    gauss(2)
    (3 - √3)/6 │          1/4  (3 - 2√3)/12
    (3 + √3)/6 │ (3 + 2√3)/12           1/4
    ───────────┼───────────────────────────
               │          1/2           1/2

    Source: E. Hairer, G. Wanner, *Solving Ordinary Differential Equations II*, section IV.5.
    """
    return family_member(
        "gauss", stages, digits, ends=(), form=collocation, order=0, source=_SOURCE
    )
