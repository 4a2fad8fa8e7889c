"""Stabilised methods: as long a real stability interval as the number of stages allows.

The s stages of such a method do not raise its order; they let the step grow with s^2.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from keras_rk.butcher.tableau import Tableau
from keras_rk.tableaux.parameters import coefficient, integer, refuse
from keras_rk.tableaux.step_program import StepProgram, Value

__all__ = ["runge_kutta_chebyshev", "runge_kutta_gegenbauer"]

_MOST_STAGES = 100
_DAMPING = {1: Fraction(1, 20), 2: Fraction(2, 13)}


def runge_kutta_chebyshev(stages: Any, order: Any = 2, damping: Any = None) -> Tableau:
    """Runge-Kutta-Chebyshev (RKC) of order 1 or 2, with s stages.

    Its stability function is, with Chebyshev's polynomial T_s and w_0 = 1 + damping / s^2,

        R(z) = T_s(w_0 + w_1 z) / T_s(w_0),                w_1 = T_s(w_0) / T_s'(w_0),   order 1,
        R(z) = 1 + b_s (T_s(w_0 + w_1 z) - T_s(w_0)),      w_1 = T_s'(w_0) / T_s''(w_0),
                                                           b_s = T_s'' / (T_s')^2,       order 2,

    so that |R(z)| <= 1 along the negative real axis up to 2 s^2 for order 1, and 2/3 (s^2 - 1) for
    order 2 without damping; with it, up to about 1.93 s^2 and 0.65 (s^2 - 1). Where the undamped
    R returns to 1 within the interval (order 1: to 1 and -1), the damped one stays off by about the
    damping, and the stability region around the axis is not pinched off there.

    In a network the step dt is 1 as a rule, and a residual block y + f(y) is Euler's method: stable
    for Jacobians of f with eigenvalues from -2 to 0. Where f is steeper (its Lipschitz constant
    is larger than 2, as a trained one's may be), activations oscillate and grow from step to step.
    s stages allow 2 s^2 instead of the 2 s of s Euler steps at the same cost.

    Args:
        stages: s, from 1 (order 2: from 2) to 100. Damped, the coefficients have so many digits
            that a tableau takes them up to 55 stages for order 1 and 30 for order 2.
        order: 1 or 2.
        damping: a rational number, not negative; None means 1/20 for order 1 and 2/13 for order 2.

    Raises:
        TableauError: where an argument is none of these.

    Example:

    >>> print(runge_kutta_chebyshev(3, order=1, damping=0))
    runge_kutta_chebyshev(3, 1, 0)
      0 │
    1/9 │ 1/9
    4/9 │ 2/9  2/9
    ────┼──────────────
        │ 1/3  4/9  2/9

    Source: B. P. Sommeijer, L. F. Shampine, J. G. Verwer, *RKC: an explicit solver for parabolic
    PDEs* (1997); the recursion as in implementations of it.
    """
    p = integer(order, "order", 1, 2)
    s = integer(stages, "stages", p, _MOST_STAGES)
    epsilon = coefficient(_DAMPING[p] if damping is None else damping, "damping")
    if not isinstance(epsilon, Fraction) or epsilon < 0:
        raise refuse("The damping is a rational number, not negative.", damping=epsilon)
    program = StepProgram()
    return program.tableau(
        _step(program, s, p, Fraction(0), 1 + epsilon / s**2),
        claimed_order=p,
        name=f"runge_kutta_chebyshev({s}, {p}, {epsilon})",
        source=(
            "B. P. Sommeijer, L. F. Shampine and J. G. Verwer, RKC: An explicit solver for "
            "parabolic PDEs (1997)"
        ),
    )


def runge_kutta_gegenbauer(stages: Any, order: Any = 2, parameter: Any = "3/2") -> Tableau:
    """Runge-Kutta-Gegenbauer (RKG) of order 1 or 2, with s stages.

    As `runge_kutta_chebyshev`, with Gegenbauer's polynomials C_s of a parameter a, and w_0 = 1,

        R(z) = C_s(1 + w_1 z) / C_s(1),             w_1 = (2a + 1) / (s (s + 2a)),     order 1,
        R(z) = 1 + b_s (C_s(1 + w_1 z) - C_s(1)),   w_1 = (2a + 3) / ((s - 1) (s + 2a + 1)),
                                                    b_s = C_s''(1) / C_s'(1)^2,        order 2.

    Within the interval they are smaller than one by themselves, so that no damping is needed. The
    real stability interval is 2 / w_1 (for order 2 and odd s, at least): with a = 3/2 that is
    (s^2 + 3 s)/2 and (s - 1)(s + 4)/3. a = 1/2 is Runge-Kutta-Legendre (RKL): s^2 + s and
    (s - 1)(s + 2)/2. A smaller parameter has a longer interval, a larger one damps more.

    Args:
        stages: s, from 1 (order 2: from 2) to 100.
        order: 1 or 2.
        parameter: a, a rational number, not negative; 0 is Chebyshev without damping.

    Raises:
        TableauError: where an argument is none of these.

    Example:

    >>> print(runge_kutta_gegenbauer(3, order=1))
    runge_kutta_gegenbauer(3, 1, 3/2)
      0 │
    2/9 │  2/9
    5/9 │ 5/18  5/18
    ────┼──────────────────
        │ 3/10  7/18  14/45

    Source: S. O'Sullivan, *Runge-Kutta-Gegenbauer explicit methods for advection-diffusion
    problems* (2019), for the methods; the recursion is that of RKC.
    """
    p = integer(order, "order", 1, 2)
    s = integer(stages, "stages", p, _MOST_STAGES)
    a = coefficient(parameter, "parameter")
    if not isinstance(a, Fraction) or a < 0:
        raise refuse("Gegenbauer's parameter is rational and not negative.", parameter=a)
    program = StepProgram()
    return program.tableau(
        _step(program, s, p, a, Fraction(1)),
        claimed_order=p,
        name=f"runge_kutta_gegenbauer({s}, {p}, {a})",
        source=(
            "S. O'Sullivan, Runge-Kutta-Gegenbauer explicit methods for advection-diffusion "
            "problems (2019)"
        ),
    )


def _step(program: StepProgram, s: int, order: int, parameter: Fraction, w0: Fraction) -> Value:
    """The recursion Y_j = a_j y_0 + b_j Q_j(w_0 + w_1 z) y_0, with f where z stands."""
    Q, slopes, curvatures = _polynomials(s, w0, parameter)
    if order == 1:
        w1 = Q[s] / slopes[s]
        b = [1 / q for q in Q]
    else:
        w1 = slopes[s] / curvatures[s]
        b = [x / y**2 for x, y in zip(curvatures[2:], slopes[2:], strict=True)]
        b = [b[0], b[0], *b]
    first = program.f(program.start)
    values = [program.start, program.start + b[1] * w1 * first]
    for j in range(2, s + 1):
        forward, back = _recurrence(j, parameter)
        change = program.f(values[-1]) - (1 - b[j - 1] * Q[j - 1]) * first
        values.append(
            (forward * w0 * b[j] / b[j - 1]) * values[-1]
            - (back * b[j] / b[j - 2]) * values[-2]
            + (forward * w1 * b[j] / b[j - 1]) * change
        )
    return values[-1]


def _recurrence(j: int, parameter: Fraction) -> tuple[Fraction, Fraction]:
    """Q_j = forward x Q_(j-1) - back Q_(j-2): Gegenbauer's polynomials, scaled to Q_j(1) = 1."""
    below = j + 2 * parameter - 1
    return 2 * (j + parameter - 1) / below, (j - 1) / below


def _polynomials(s: int, x: Fraction, parameter: Fraction) -> tuple[list[Fraction], ...]:
    """Q_0(x), ..., Q_s(x), and their first and second derivatives."""
    zero, one = Fraction(0), Fraction(1)
    Q, slopes, curvatures = [one, x], [zero, one], [zero, zero]
    for j in range(2, s + 1):
        forward, back = _recurrence(j, parameter)
        curvatures.append(forward * (x * curvatures[-1] + 2 * slopes[-1]) - back * curvatures[-2])
        slopes.append(forward * (x * slopes[-1] + Q[-1]) - back * slopes[-2])
        Q.append(forward * x * Q[-1] - back * Q[-2])
    return Q, slopes, curvatures
