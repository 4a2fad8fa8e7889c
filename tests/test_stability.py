"""Stability functions of explicit methods, and how far they are stable."""

from __future__ import annotations

import cmath
import math
from fractions import Fraction

import pytest

from keras_rk import Tableau, TableauError, check, tableaux
from keras_rk.analysis.stability import stability_function


@pytest.mark.parametrize("name", tableaux.names())
def test_it_agrees_with_the_exponential_function_up_to_the_order(name):
    tableau = tableaux.get(name)
    order = check(tableau, max_order=tableau.claimed_order).order
    coefficients = stability_function(tableau).exact_coefficients
    assert order >= 1
    for n in range(order + 1):
        assert abs(float(coefficients[n]) * math.factorial(n) - 1) < 1e-9
    assert len(coefficients) <= tableau.stages + 1


@pytest.mark.parametrize(
    "name, coefficients",
    [
        ("euler", (1, 1)),
        ("heun2", (1, 1, Fraction(1, 2))),
        ("rk4", (1, 1, Fraction(1, 2), Fraction(1, 6), Fraction(1, 24))),
        ("gill4", (1, 1, Fraction(1, 2), Fraction(1, 6), Fraction(1, 24))),
        ("dormand_prince54", (1, 1, *(Fraction(1, n) for n in (2, 6, 24, 120, 600)))),
    ],
)
def test_coefficients_are_exact(name, coefficients):
    assert stability_function(name).coefficients == coefficients


def test_irrational_coefficients_are_sympy_numbers():
    tableau = Tableau([[], ["sqrt(2)"]], ["1/2", "1/2"])
    assert str(stability_function(tableau).coefficients[2]) == "sqrt(2)/2"


@pytest.mark.parametrize(
    "name, real, imaginary",
    [
        ("euler", 2, 0),
        ("heun2", 2, 0),
        ("kutta3", 2.512745326618329, math.sqrt(3)),
        ("rk4", 2.785293563405281, math.sqrt(8)),
        ("dormand_prince54", 3.306567892634946, None),
        ("fehlberg45", None, 0),
    ],
)
def test_known_intervals(name, real, imaginary):
    R = stability_function(name)
    if real is not None:
        assert R.real_interval == pytest.approx(real, abs=1e-12)
    if imaginary is not None:
        assert R.imaginary_interval == pytest.approx(imaginary, abs=1e-7)


@pytest.mark.parametrize("axis", [-1, 1j])
@pytest.mark.parametrize("name", tableaux.names())
def test_intervals_end_where_the_first_amplification_begins(name, axis):
    R = stability_function(name)
    end = R.real_interval if axis == -1 else R.imaginary_interval
    inside = max((abs(R(axis * end * n / 2000)) for n in range(2001)), default=1)
    assert inside <= 1 + 1e-9
    beyond = [0.02] if end else [0.1, 0.2, 0.4, 0.8]  # where it begins at zero, it grows slowly
    assert max(abs(R(axis * (end + x))) for x in beyond) > 1


@pytest.mark.parametrize(
    "A, b, real, imaginary",
    [
        ([[]], [-1], 0, 0),  # against the flow
        ([[]], [0], math.inf, math.inf),  # R = 1
        # Chebyshev's method T_2(1 + z/4): touches -1 inside its interval
        ([[], ["1/4"]], ["1/2", "1/2"], 8, 0),
        ([[], ["1/2"], [-1, 2]], ["1/6", "2/3", "1/6"], 2.512745326618329, math.sqrt(3)),
        # the same in floats, whose rounding must not count as amplification
        ([[], [0.5], [-1.0, 2.0]], [1 / 6, 2 / 3, 1 / 6], 2.512745326618329, math.sqrt(3)),
    ],
)
def test_intervals_of_other_methods(A, b, real, imaginary):
    R = stability_function((A, b))
    assert (R.real_interval, R.imaginary_interval) == pytest.approx((real, imaginary), abs=1e-7)


def test_it_is_a_function_of_arrays():
    np = pytest.importorskip("numpy")
    z = np.array([[0.0, -1.0], [1j, 2.0]])
    R = stability_function("rk4")
    np.testing.assert_allclose(R(z), 1 + z + z**2 / 2 + z**3 / 6 + z**4 / 24)
    assert R(0.3j) == pytest.approx(cmath.exp(0.3j), abs=1e-4)


@pytest.mark.parametrize(
    "tableau, match",
    [
        (lambda: Tableau([["1/2"]], [1], name="implicit_midpoint"), "explicit .*implicit_midpoint"),
        (lambda: Tableau([[0, 0], [_alpha(), 0]], ["1/2", "1/2"]), r"subs\(\.\.\.\)"),
        (lambda: "no_such_method", "no_such_method"),
    ],
)
def test_refusals(tableau, match):
    with pytest.raises(TableauError, match=match):
        stability_function(tableau())


def _alpha():
    return pytest.importorskip("sympy").Symbol("alpha")
