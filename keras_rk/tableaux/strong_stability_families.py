"""The families of optimal strong-stability-preserving methods that have a closed form."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from keras_rk.butcher.tableau import Tableau
from keras_rk.tableaux.parameters import integer, refuse
from keras_rk.tableaux.step_program import StepProgram

__all__ = ["ssp_second_order", "ssp_third_order"]

_MOST_STAGES = 200


def ssp_second_order(stages: Any) -> Tableau:
    """SSP(s, 2): order 2 with s stages and the largest SSP coefficient, s - 1.

    In s - 1 Euler steps of size dt/(s - 1) and one more, averaged:

        y_i = y_(i-1) + dt/(s-1) f(y_(i-1)),   y = (y_0 + (s-1) (y_(s-1) + dt/(s-1) f(y_(s-1))))/s

    so that a_ij = 1/(s - 1) below the diagonal and b_i = 1/s. s = 2 is `heun2`.

    Args:
        stages: s, from 2 to 200.

    Raises:
        TableauError: where `stages` is no integer in that range.

    Example:

    >>> print(ssp_second_order(3))
    ssp_second_order(3)
      0 │
    1/2 │ 1/2
      1 │ 1/2  1/2
    ────┼──────────────
        │ 1/3  1/3  1/3

    Source: S. Gottlieb, D. Ketcheson, C.-W. Shu, *Strong Stability Preserving Runge-Kutta and
    Multistep Time Discretizations* (2011).
    """
    s = integer(stages, "stages", 2, _MOST_STAGES)
    return Tableau(
        [[Fraction(1, s - 1)] * i for i in range(s)],
        [Fraction(1, s)] * s,
        claimed_order=2,
        name=f"ssp_second_order({s})",
        source=(
            "S. Gottlieb, D. Ketcheson and C.-W. Shu, Strong Stability Preserving Runge-Kutta and "
            "Multistep Time Discretizations (2011)"
        ),
    )


def ssp_third_order(stages: Any) -> Tableau:
    """SSP(n^2, 3): order 3 with s = n^2 stages and the SSP coefficient s - n.

    Euler steps of size h = dt/(n^2 - n), where at one place the value n (n + 1)/2 is averaged
    with the value (n - 1)(n - 2)/2:

        y_i = y_(i-1) + h f(y_(i-1)),
        y_i = n/(2n-1) y_((n-1)(n-2)/2) + (n-1)/(2n-1) (y_(i-1) + h f(y_(i-1))),  i = n(n+1)/2.

    n = 2 is `ssprk43` (without its embedded weights).

    Args:
        stages: s = n^2, from 4 to 196.

    Raises:
        TableauError: where `stages` is no square in that range.

    Example:

    >>> print(ssp_third_order(4))
    ssp_third_order(4)
      0 │
    1/2 │ 1/2
      1 │ 1/2  1/2
    1/2 │ 1/6  1/6  1/6
    ────┼───────────────────
        │ 1/6  1/6  1/6  1/2

    Source: D. I. Ketcheson, *Highly efficient strong stability preserving Runge-Kutta methods with
    low-storage implementations* (2008).
    """
    s = integer(stages, "stages", 4, _MOST_STAGES)
    n = round(s**0.5)
    if n * n != s:
        raise refuse("SSP(n^2, 3) has a square number of stages: 4, 9, 16, ...", stages=s)
    h = Fraction(1, s - n)
    program = StepProgram()
    values = [program.start]
    for i in range(1, s + 1):
        value = values[-1] + h * program.f(values[-1])
        if i == n * (n + 1) // 2:
            early = values[(n - 1) * (n - 2) // 2]
            value = Fraction(n, 2 * n - 1) * early + Fraction(n - 1, 2 * n - 1) * value
        values.append(value)
    return program.tableau(
        values[-1],
        claimed_order=3,
        name=f"ssp_third_order({s})",
        source=(
            "D. I. Ketcheson, Highly efficient strong stability preserving Runge-Kutta methods "
            "with low-storage implementations (2008)"
        ),
    )
