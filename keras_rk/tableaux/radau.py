"""Radau methods: one end of the step is a node, and the order is 2 s - 1."""

from __future__ import annotations

from keras_rk.butcher.tableau import Tableau
from keras_rk.tableaux.collocation import collocation, family_member, transposed

__all__ = ["radau_ia", "radau_iia"]

_SOURCE_IA = (
    "B. L. Ehle, On Pade approximations to the exponential function and A-stable methods (1969); "
    "computed from B(2s-1) and D(s) as in "
    "E. Hairer, G. Wanner, Solving Ordinary Differential Equations II, section IV.5"
)
_SOURCE_IIA = (
    "B. L. Ehle, On Pade approximations to the exponential function and A-stable methods (1969); "
    "computed from B(2s-1) and C(s) as in "
    "E. Hairer, G. Wanner, Solving Ordinary Differential Equations II, section IV.5"
)


def radau_ia(stages: int, *, digits: int | None = None) -> Tableau:
    """The Radau IA method with s stages: implicit, of order 2 s - 1, with c_1 = 0.

    Its nodes are the zeros of d^(s-1)/dx^(s-1) (x^s (x - 1)^(s-1)), and D(s) gives its
    coefficients: sum_i b_i c_i^(k-1) a_ij = b_j (1 - c_j^k) / k for k = 1, ..., s. It is L-stable
    and algebraically stable.

    Args:
        stages: s >= 1. Square roots write the nodes for s <= 3.
        digits: None for exact coefficients; otherwise decimals with so many digits after the
            point: then each entry of A and b is proved to be within 10**-digits of the exact one
            (from rational bounds on the nodes), and c, the sums of its rows, within s 10**-digits.

    Raises:
        TableauError: where square roots do not write the nodes, and `digits` is None.

    Example:

    >>> from keras_rk import tableaux
    >>> print(tableaux.radau_ia(2))
    radau_ia(2)
      0 │ 1/4  -1/4
    2/3 │ 1/4  5/12
    ────┼──────────
        │ 1/4   3/4

    Source: E. Hairer, G. Wanner, *Solving Ordinary Differential Equations II*, section IV.5.
    """
    return family_member(
        "radau_ia", stages, digits, ends=(0,), form=transposed, order=1, source=_SOURCE_IA
    )


def radau_iia(stages: int, *, digits: int | None = None) -> Tableau:
    """The Radau IIA method with s stages: implicit, of order 2 s - 1, with c_s = 1.

    Its nodes are the zeros of d^(s-1)/dx^(s-1) (x^(s-1) (x - 1)^s), and its coefficients those of
    collocation, a_ij = integral of l_j from 0 to c_i. It is L-stable and algebraically stable, and
    its last row of A is b.

    Args:
        stages: s >= 1. Square roots write the nodes for s <= 3.
        digits: None for exact coefficients; otherwise decimals with so many digits after the
            point: then each entry of A and b is proved to be within 10**-digits of the exact one
            (from rational bounds on the nodes), and c, the sums of its rows, within s 10**-digits.

    Raises:
        TableauError: where square roots do not write the nodes, and `digits` is None.

    Example:

    >>> from keras_rk import tableaux
    >>> print(tableaux.radau_iia(2))
    radau_iia(2)
    1/3 │ 5/12  -1/12
      1 │  3/4    1/4
    ────┼────────────
        │  3/4    1/4

    Source: E. Hairer, G. Wanner, *Solving Ordinary Differential Equations II*, section IV.5.
    """
    return family_member(
        "radau_iia", stages, digits, ends=(1,), form=collocation, order=1, source=_SOURCE_IIA
    )
