"""Orders of dispersion and dissipation."""

from __future__ import annotations

import cmath
import math
from fractions import Fraction

import pytest

from keras_rk import TableauError, tableaux
from keras_rk.analysis.dispersion import dispersion_order, dissipation_order, oscillation
from keras_rk.analysis.stability import stability_function


def taylor(order):
    """A method with R(z) = 1 + z + ... + z^order/order!."""
    A = [[], *([0] * i + [Fraction(1, order - i)] for i in range(order - 1))]
    return A, [0] * (order - 1) + [1]


@pytest.mark.parametrize("order", range(1, 13))
def test_truncated_exponentials(order):
    """R(z) exp(-z) = 1 - z^(p+1)/(p+1)! + z^(p+2)/(p! (p+2)) - ..., for which i z is put in."""
    found = oscillation(taylor(order))
    p = order
    first = {p + 1: Fraction(-1, math.factorial(p + 1))}
    second = {p + 2: Fraction(1, math.factorial(p) * (p + 2))}
    odd = next(n for n in (p + 1, p + 2) if n % 2)
    even = next(n for n in (p + 1, p + 2) if n % 2 == 0)
    terms = first | second
    assert found.dispersion_order == odd - 1 == dispersion_order(taylor(order))
    assert found.dispersion_coefficient == -terms[odd] * (-1) ** (odd // 2)
    assert found.dissipation_order == even - 1 == dissipation_order(taylor(order))
    assert found.dissipation_coefficient == -terms[even] * (-1) ** (even // 2)


@pytest.mark.parametrize(
    "name, dispersion, dissipation",
    [
        ("euler", 2, 1),
        ("heun2", 2, 3),
        ("kutta3", 4, 3),
        ("rk4", 4, 5),
        ("gill4", 4, 5),
        ("ralston4", 4, 5),
        ("ssprk54", 4, 5),
        ("dormand_prince54", 6, 5),
        ("tsitouras54", 6, 5),
        ("dop853", 8, 9),
        ("dormand_prince87", 8, 9),
    ],
)
def test_orders_of_named_methods(name, dispersion, dissipation):
    found = oscillation(name)
    assert (found.dispersion_order, found.dissipation_order) == (dispersion, dissipation)


@pytest.mark.parametrize("name", [n for n in tableaux.names() if tableaux.get(n).claimed_order < 6])
def test_the_leading_terms_are_those_of_the_stability_function(name):
    """Measured at x = 1/4 and 1/8 in floats: the rest is of two orders more."""
    found = oscillation(name)
    R = stability_function(name)

    def ratios(x):
        value = R(1j * x)
        phase = (x - cmath.phase(value)) / x ** (found.dispersion_order + 1)
        amplitude = (1 - abs(value)) / x ** (found.dissipation_order + 1)
        return phase, amplitude

    coarse, fine = ratios(0.25), ratios(0.125)
    exact = float(found.dispersion_coefficient), float(found.dissipation_coefficient)
    for c, f, e in zip(coarse, fine, exact, strict=True):
        assert abs(f - e) < 0.3 * abs(c - e) + 1e-3 * abs(e) + 1e-8


@pytest.mark.parametrize("name", ["rk4", "ralston4", "dormand_prince54", "calvo65", "dop853"])
def test_floats_have_the_same_orders(name):
    arrays = tableaux.get(name).to_numpy()
    found, exact = oscillation((arrays.A, arrays.b)), oscillation(name)
    assert found.dispersion_order == exact.dispersion_order
    assert found.dissipation_order == exact.dissipation_order


@pytest.mark.parametrize("name", [n for n in tableaux.names() if tableaux.get(n).claimed_order < 9])
def test_the_order_is_a_lower_bound_and_the_sign_decides_about_the_axis(name):
    found, order = oscillation(name), tableaux.get(name).claimed_order
    assert min(found.dispersion_order, found.dissipation_order) >= order
    assert found.dispersion_order % 2 == 0
    assert found.dissipation_order % 2 == 1
    damped = bool(found.dissipation_coefficient > 0)
    assert damped is (stability_function(name).imaginary_interval > 0)


def test_no_dissipation_at_all():
    found = oscillation(([[]], [0]))  # R = 1
    assert (found.dissipation_order, found.dissipation_coefficient) == (math.inf, 0)
    assert (found.dispersion_order, found.dispersion_coefficient) == (0, 1)


def test_refusals():
    with pytest.raises(TableauError, match="no_such_method"):
        oscillation("no_such_method")
