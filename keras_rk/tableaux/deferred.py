"""Deferred correction: sweeps of Euler's method that converge to a collocation method."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from keras_rk.butcher.tableau import Tableau
from keras_rk.errors import TableauError, shown
from keras_rk.numbers.coefficients import exact
from keras_rk.tableaux.parameters import claim, coefficient, integer
from keras_rk.tableaux.step_program import StepProgram, Value

__all__ = ["deferred_correction"]

_HIGHEST_ORDER = {"equispaced": 16, "lobatto": 8}
_INNER_LOBATTO = (  # for 1, 2, ... intervals
    (),
    ("1/2",),
    ("(5 - sqrt(5))/10", "(5 + sqrt(5))/10"),
    ("(7 - sqrt(21))/14", "1/2", "(7 + sqrt(21))/14"),
)


def deferred_correction(order: Any, nodes: Any = "lobatto", theta: Any = 1) -> Tableau:
    """Explicit spectral deferred correction (integral deferred correction) of order p.

    On nodes 0 = t_0 < ... < t_m = 1, Euler's method gives first values y_0, ..., y_m. Then each
    of p - 1 sweeps, from left to right, raises the order by one:

        Y_(j+1) = Y_j + theta (t_(j+1) - t_j) dt (f(Y_j) - f(y_j)) + dt sum_i S_ji f(y_i),

    where Y are the new values, y the old ones, and S_ji = int l_i(t) dt from t_j to t_(j+1), with
    Lagrange's polynomials l_i, integrates the polynomial through the old slopes. The last value is
    the result.

    Args:
        order: p, from 1 to 8 for Lobatto's nodes, to 16 for equispaced ones.
        nodes: "lobatto" or "equispaced": as few as the order needs.
        theta: how much of Euler's method is in a sweep: 1 as a rule, 0 for Picard iterations, or
            any other number.

    Raises:
        TableauError: where an argument is none of these.

    Example:

    >>> print(deferred_correction(3, theta=0))
    deferred_correction(3, lobatto, 0)
      0 │
    1/2 │  1/2
      1 │  1/2  1/2
    1/2 │ 5/24  1/3  -1/24
      1 │  1/6  2/3    1/6    0
    ────┼───────────────────────────
        │  1/6    0      0  2/3  1/6

    Source: A. Dutt, L. Greengard, V. Rokhlin, *Spectral deferred correction methods for ordinary
    differential equations* (2000); theta as in D. Ketcheson, U. bin Waheed, *A comparison of high
    order explicit Runge-Kutta, extrapolation, and deferred correction methods* (2014).
    """
    if not isinstance(nodes, str) or nodes not in _HIGHEST_ORDER:
        raise TableauError(
            f"`nodes` is one of {', '.join(_HIGHEST_ORDER)}. Received: nodes={shown(nodes)}."
        )
    p = integer(order, "order", 1, _HIGHEST_ORDER[nodes])
    implicitness = coefficient(theta, "theta")
    times = _lobatto((p + 1) // 2) if nodes == "lobatto" else _equispaced(max(1, (p - 1) // 2 * 2))
    program = StepProgram()
    values = _euler(program, times)
    integrals = _integrals(times)
    for _ in range(p - 1):
        values = _swept(program, times, integrals, values, implicitness)
    return program.tableau(
        values[-1],
        claimed_order=claim(p),
        name=f"deferred_correction({p}, {nodes}, {implicitness})",
        source=(
            "A. Dutt, L. Greengard and V. Rokhlin, Spectral deferred correction methods for "
            "ordinary differential equations (2000)"
        ),
    )


def _euler(program: StepProgram, times: Sequence[Any]) -> list[Value]:
    values = [program.start]
    for left, right in itertools.pairwise(times):
        values.append(values[-1] + (right - left) * program.f(values[-1]))
    return values


def _swept(
    program: StepProgram,
    times: Sequence[Any],
    integrals: Sequence[Sequence[Any]],
    old: Sequence[Value],
    theta: Any,
) -> list[Value]:
    slopes = [program.f(value) for value in old]
    values = [program.start]
    for j, weights in enumerate(integrals):
        value = values[-1]
        if theta:
            change = program.f(values[-1]) - slopes[j]
            value = value + theta * (times[j + 1] - times[j]) * change
        for weight, slope in zip(weights, slopes, strict=True):
            value = value + weight * slope
        values.append(value)
    return values


def _equispaced(intervals: int) -> list[Any]:
    return [Fraction(j, intervals) for j in range(intervals + 1)]


def _lobatto(intervals: int) -> list[Any]:
    return [Fraction(0), *map(exact, _INNER_LOBATTO[intervals - 1]), Fraction(1)]


def _integrals(times: Sequence[Any]) -> list[list[Any]]:
    """S_ji: Lagrange's polynomials, integrated between neighbouring nodes."""
    antiderivatives = [_antiderivative(_lagrange(times, i)) for i in range(len(times))]
    at_nodes = [[_at(p, t) for p in antiderivatives] for t in times]
    return [
        [high - low for low, high in zip(left, right, strict=True)]
        for left, right in itertools.pairwise(at_nodes)
    ]


def _lagrange(times: Sequence[Any], i: int) -> list[Any]:
    """The polynomial that is 1 at node i and 0 at the others; its coefficients from t^0 on."""
    polynomial: list[Any] = [Fraction(1)]
    for j, t in enumerate(times):
        if j != i:
            factor = Fraction(1) / (times[i] - t)
            shifted = [Fraction(0), *polynomial]
            polynomial = [
                factor * (x - t * y)
                for x, y in zip(shifted, [*polynomial, Fraction(0)], strict=True)
            ]
    return polynomial


def _antiderivative(polynomial: Sequence[Any]) -> list[Any]:
    return [Fraction(0), *(Fraction(1, n) * x for n, x in enumerate(polynomial, start=1))]


def _at(polynomial: Sequence[Any], t: Any) -> Any:
    value: Any = Fraction(0)
    for x in reversed(polynomial):
        value = value * t + x
    return value
