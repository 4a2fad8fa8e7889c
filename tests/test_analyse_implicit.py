"""`analyse` of implicit methods: what their families are known for."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from keras_rk import TableauError, analyse, tableaux
from keras_rk.analysis.dispersion import oscillation
from keras_rk.analysis.stability_region import stability_region

MIDPOINT = ([["1/2"]], [1])
EULER = ([[1]], [1])
TRAPEZOID = ([[0, 0], ["1/2", "1/2"]], ["1/2", "1/2"])


@pytest.mark.parametrize(
    "method, A, L, algebraic, symplectic, symmetric",
    [  # E. Hairer and G. Wanner, Solving Ordinary Differential Equations II, chapter IV
        (lambda: EULER, True, True, True, False, False),
        (lambda: MIDPOINT, True, False, True, True, True),
        (lambda: TRAPEZOID, True, False, False, False, True),
        (lambda: tableaux.gauss(2), True, False, True, True, True),
        (lambda: tableaux.radau_iia(2), True, True, True, False, False),
        (lambda: tableaux.lobatto_iiic(3), True, True, True, False, False),
    ],
)
def test_properties(method, A, L, algebraic, symplectic, symmetric):
    found = analyse(method())
    data = found.to_dict()
    expected = {"a_stable": A, "l_stable": L, "algebraically_stable": algebraic}
    expected |= {"symplectic": symplectic, "symmetric": symmetric}
    assert {name: data[name] for name in expected} == expected
    assert {name: bool(getattr(found, name)) for name in expected} == expected
    assert f"A-stable             {'yes' if A else 'no'}: " in str(found)
    assert not any(line.endswith(" -") for line in str(found).splitlines() if "ampl" not in line)


def test_explicit_methods_have_no_such_lines():
    assert "A-stable" not in str(analyse("rk4"))
    assert not analyse("rk4").a_stable


def test_a_rational_stability_function_is_printed():
    text = str(analyse(tableaux.radau_iia(2)))
    assert "R(z)                 (1 + 1/3 z) / (1 - 2/3 z + 1/6 z^2)" in text


@pytest.mark.parametrize(
    "method, dispersion, dissipation",
    [
        # |R(i x)| = 1, and x - 2 arctan(x / 2) = x^3 / 12 - ...
        (MIDPOINT, (2, Fraction(1, 12)), (math.inf, 0)),
        (TRAPEZOID, (2, Fraction(1, 12)), (math.inf, 0)),
        # R = 1 / (1 - z): x - arctan x = x^3 / 3 - ..., 1 - (1 + x^2)^(-1/2) = x^2 / 2 - ...
        (EULER, (2, Fraction(1, 3)), (1, Fraction(1, 2))),
    ],
)
def test_oscillations_by_hand(method, dispersion, dissipation):
    found = oscillation(method)
    assert (found.dispersion_order, found.dispersion_coefficient) == dispersion
    assert (found.dissipation_order, found.dissipation_coefficient) == dissipation


@pytest.mark.parametrize("stages", [1, 2, 3])
def test_gauss_methods_have_no_dissipation_and_dispersion_of_their_order(stages):
    found = oscillation(tableaux.gauss(stages))
    assert (found.dispersion_order, found.dissipation_order) == (2 * stages, math.inf)


def test_the_region_of_an_implicit_method():
    np = pytest.importorskip("numpy")
    region = stability_region(EULER)  # all but the disc around 1
    assert region.contains(np.array([-1e6, 1j, 2.1, -0.1])).all()
    assert not region.contains(np.array([0.1, 1.0 + 0.9j, 1.9])).any()
    np.testing.assert_allclose(abs(region.boundary(8) - 1), 1)
    with pytest.raises(TableauError, match="may have no end"):
        region.box()
