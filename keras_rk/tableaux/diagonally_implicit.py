"""Singly diagonally implicit methods: A is lower triangular, with one number on its diagonal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from keras_rk.butcher.tableau import Tableau
from keras_rk.errors import TableauError, shown
from keras_rk.numbers.coefficients import whole_number
from keras_rk.numbers.real_roots import enclosed_roots, roots_by_square_roots
from keras_rk.tableaux.collocation import Matrix, decimals

__all__ = ["sdirk"]

_HALF = Fraction(1, 2)


@dataclass(frozen=True)
class _Method:
    """A published method.

    Attributes:
        polynomial: its root number `root` is gamma, the number on the diagonal.
        form: A, down to the diagonal, and b from gamma.
        b_hat: embedded weights of order one lower, or None.
    """

    source: str
    polynomial: Sequence[Fraction]
    root: int
    form: Callable[[Any], tuple[Matrix, list[Any]]]
    b_hat: tuple[str, ...] | None = None


def sdirk(stages: int, order: int | None = None, *, digits: int | None = None) -> Tableau:
    """A published singly diagonally implicit method with s stages: a_ii = gamma, a_ij = 0, j > i.

    ====== ===== ============================================================= =====================
    stages order gamma                                                         stable
    ====== ===== ============================================================= =====================
    1      1     1 (the implicit Euler method)                                 L, algebraically
    1      2     1/2 (the implicit midpoint rule)                              A, algebraically
    2      2     1 - sqrt(2)/2 (Alexander)                                     L
    2      3     (3 + sqrt(3))/6 (Norsett, Crouzeix)                           A, algebraically
    3      3     0.4358665..., a root of 6 x^3 - 18 x^2 + 9 x - 1 (Alexander)  L
    3      4     1.0685790..., a root of 24 x^3 - 36 x^2 + 12 x - 1 (Crouzeix) A, algebraically
    5      4     1/4 (Hairer, Wanner), with embedded weights of order 3        L
    ====== ===== ============================================================= =====================

    Args:
        stages: 1, 2, 3 or 5.
        order: None for the L-stable one, whose last row of A is b.
        digits: None for exact coefficients; otherwise decimals with so many digits after the
            point: then each entry of A and b is proved to be within 10**-digits of the exact one
            (from rational bounds on gamma), and c, the sums of its rows, within s 10**-digits.

    Raises:
        TableauError: where no such method is known here, and where gamma is the root of a cubic,
            which square roots do not write, and `digits` is None.

    Example:

    >>> from keras_rk import tableaux
    >>> print(tableaux.sdirk(2))
    sdirk(2)
    (2 - √2)/2 │ (2 - √2)/2           0
             1 │       √2/2  (2 - √2)/2
    ───────────┼───────────────────────
               │       √2/2  (2 - √2)/2

    Source: E. Hairer, G. Wanner, *Solving Ordinary Differential Equations II*, section IV.6.
    """
    count, wish = whole_number(stages), None if order is None else whole_number(order)
    found = [key for key in _METHODS if key[0] == count and (order is None or key[1] == wish)]
    if not found:
        known = ", ".join(f"({s}, {p})" for s, p in _METHODS)
        raise TableauError(
            f"sdirk has these (stages, order): {known}. "
            f"Received: stages={shown(stages)}, order={shown(order)}."
        )
    s, p = found[0]
    method = _METHODS[s, p]
    call = f"{s}" if order is None else f"{s}, {p}"
    if digits is None:
        roots = roots_by_square_roots(method.polynomial)
        if roots is None:
            raise TableauError(
                f"The diagonal of sdirk({call}) is the root of a cubic, not written with square "
                f"roots; decimals are given when they are asked for: sdirk({call}, digits=40). "
                f"Received: stages={s}, digits=None."
            )
        A, b = method.form(roots[method.root])
    else:

        def between_bounds(bits: int) -> tuple[Matrix, list[Any]]:
            return method.form(enclosed_roots(method.polynomial, bits)[method.root])

        A, b = decimals("sdirk", digits, between_bounds)
        call += f", digits={digits}"
    return Tableau(
        A,
        b,
        b_hat=method.b_hat,
        claimed_order=p,
        claimed_embedded_order=p - 1 if method.b_hat else None,
        name=f"sdirk({call})",
        source=method.source,
    )


def _one_stage(gamma: Any) -> tuple[Matrix, list[Any]]:
    return [[gamma]], [1]


def _alexander2(gamma: Any) -> tuple[Matrix, list[Any]]:
    b = [1 - gamma, gamma]
    return [[gamma], b], b


def _crouzeix2(gamma: Any) -> tuple[Matrix, list[Any]]:
    return [[gamma], [1 - 2 * gamma, gamma]], [_HALF, _HALF]


def _alexander3(gamma: Any) -> tuple[Matrix, list[Any]]:
    b = [
        (gamma * (16 - 6 * gamma) - 1) / 4,
        (gamma * (6 * gamma - 20) + 5) / 4,
        gamma,
    ]
    return [[gamma], [(1 - gamma) / 2, gamma], b], b


def _crouzeix3(gamma: Any) -> tuple[Matrix, list[Any]]:
    delta = 1 / (6 * (2 * gamma - 1) * (2 * gamma - 1))
    A = [[gamma], [_HALF - gamma, gamma], [2 * gamma, 1 - 4 * gamma, gamma]]
    return A, [delta, 1 - 2 * delta, delta]


def _hairer_wanner(gamma: Any) -> tuple[Matrix, list[Any]]:
    lower = (
        ("1/2",),
        ("17/50", "-1/25"),
        ("371/1360", "-137/2720", "15/544"),
        ("25/24", "-49/48", "125/16", "-85/12"),
    )
    A = [[gamma], *([*map(Fraction, row), gamma] for row in lower)]
    return A, A[-1]


def _polynomial(*coefficients: int) -> tuple[Fraction, ...]:
    return tuple(map(Fraction, coefficients))


_HW = "E. Hairer, G. Wanner, Solving Ordinary Differential Equations II, section IV.6"
_ALEXANDER = (
    f"R. Alexander, Diagonally implicit Runge-Kutta methods for stiff O.D.E.'s (1977); as in {_HW}"
)
_CROUZEIX = f"M. Crouzeix, Sur l'approximation des equations differentielles (1975); as in {_HW}"

_METHODS = {  # by (stages, order), for each number of stages the L-stable one first
    (1, 1): _Method("the implicit Euler method", _polynomial(-1, 1), 0, _one_stage),
    (1, 2): _Method("the implicit midpoint rule", _polynomial(-1, 2), 0, _one_stage),
    (2, 2): _Method(_ALEXANDER, _polynomial(1, -4, 2), 0, _alexander2),
    (2, 3): _Method(
        f"S. P. Norsett (1974), M. Crouzeix (1975); as in {_HW}",
        _polynomial(1, -6, 6),
        1,
        _crouzeix2,
    ),
    (3, 3): _Method(_ALEXANDER, _polynomial(-1, 9, -18, 6), 1, _alexander3),
    (3, 4): _Method(_CROUZEIX, _polynomial(-1, 12, -36, 24), 2, _crouzeix3),
    (5, 4): _Method(
        _HW,
        _polynomial(-1, 4),
        0,
        _hairer_wanner,
        b_hat=("59/48", "-17/96", "225/32", "-85/12", "0"),
    ),
}
