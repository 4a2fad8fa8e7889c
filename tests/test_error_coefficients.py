"""Error coefficients tree by tree, their norms, and what they say of pairs."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from keras_rk import Tableau, TableauError, order_conditions, rooted_trees, tableaux
from keras_rk.analysis.embedded_pairs import embedded_pair
from keras_rk.analysis.error_coefficients import error_coefficients, error_norm

# The third-order extrapolation of Euler's method; its norm is sqrt(11)/72 in nodepy's documentation
EXTRAPOLATED = ([[], ["1/2"], ["1/3", 0], ["1/3", 0, "1/3"]], [0, -2, "3/2", "3/2"])


@pytest.mark.parametrize(
    "method, norm, digits",
    [
        # one and two trees, by hand
        ("euler", 1 / 2, 15),
        ("midpoint", math.hypot(1 / 24, 1 / 6), 15),
        ("heun2", math.hypot(1 / 12, 1 / 6), 15),
        ("ralston2", 1 / 6, 15),
        # nodepy's documentation
        ("rk4", 0.014504582343198208, 12),
        ("ssprk104", 0.002211223747053554, 12),
        (EXTRAPOLATED, math.sqrt(11) / 72, 15),
        # Dormand and Prince (1980), Bogacki and Shampine (1996), in the literature since
        ("dormand_prince54", 3.99e-4, 3),
        ("bogacki_shampine54", 2.22e-5, 3),
    ],
)
def test_published_norms(method, norm, digits):
    assert error_norm(method) == pytest.approx(norm, rel=0.5 * 10.0 ** (1 - digits))


@pytest.mark.parametrize("name", ["euler", "heun3", "gill4", "rk38", "dverk65", "ssprk54"])
def test_coefficients_are_residuals_over_symmetries(name):
    found = error_coefficients(name)
    conditions = order_conditions.order_conditions(name, found.order)
    assert [x.tree for x in found] == [x.tree for x in conditions]
    assert [x.value for x in found] == [x.residual / x.tree.symmetry for x in conditions]


@pytest.mark.parametrize("name", ["luther6", "butcher7", "cooper_verner8", "dormand_prince87"])
@pytest.mark.parametrize("order", [5, 7])
def test_floats_are_the_exact_values_rounded(name, order):
    """Also where they are zero, or what rounding has left of zero."""
    found = error_coefficients(name, order)
    exact = [float(x.exact_value) for x in found]
    assert found.floats == pytest.approx(exact, rel=4e-16, abs=0)
    assert found.norm == pytest.approx(math.sqrt(math.fsum(x * x for x in exact)), rel=1e-15)


@pytest.mark.parametrize("order", range(1, 10))
def test_there_is_one_for_each_tree(order):
    found = error_coefficients("rk4", order)
    assert found.trees == tuple(rooted_trees.rooted_trees(order))
    assert len(found) == len(found.floats) == len(found.trees)


@pytest.mark.parametrize("order", range(1, 10))
def test_of_the_exact_flow_the_symmetries_remain(order):
    """One stage at c = 0 has Phi = 0 beyond order 1: tau(t) = -1 / (gamma sigma)."""
    found = error_coefficients(([[]], [1]), order)
    for x in found:
        expected = -Fraction(1, x.tree.density * x.tree.symmetry) if order > 1 else 0
        assert x.value == expected


def test_the_largest():
    largest = error_coefficients("heun2").largest
    assert (str(largest.tree), largest.value) == ("[[τ]]", Fraction(-1, 6))


def test_irrational_coefficients():
    found = error_coefficients(([[], ["sqrt(2)/2"]], [0, 1]))
    assert [str(x.value) for x in found] == ["-1/2 + sqrt(2)/2"]


@pytest.mark.parametrize(
    "call",
    [
        lambda: error_norm("rk4", embedded=True),
        lambda: error_norm("rk4", 0),
        lambda: error_norm("no_such_method"),
        lambda: embedded_pair("rk4"),
        lambda: error_norm(_symbolic()),
        lambda: embedded_pair(_symbolic()),
    ],
)
def test_refusals(call):
    with pytest.raises(TableauError, match="Received"):
        call()


def _symbolic():
    sympy = pytest.importorskip("sympy")
    return Tableau([[], [sympy.Symbol("x")]], ["1/2", "1/2"], name="with x")


@pytest.mark.parametrize("name", [n for n in tableaux.names() if tableaux.get(n).b_hat])
def test_a_pair_has_the_orders_it_claims(name):
    tableau = tableaux.get(name)
    pair = embedded_pair(tableau)
    assert pair.order == tableau.claimed_embedded_order
    assert pair.estimate_order == min(tableau.claimed_order, tableau.claimed_embedded_order)
    assert pair.steps_with_higher is (tableau.claimed_order > tableau.claimed_embedded_order)
    assert not pair.fault


def test_quality_of_a_pair_by_hand():
    """Heun and Euler: tau_low = -1/2 for order 2, and with order 3 for [τ,τ] and [[τ]]:"""
    low, high = (-1 / 6, -1 / 6), (1 / 12, -1 / 6)
    pair = embedded_pair(Tableau([[], [1]], ["1/2", "1/2"], b_hat=[1, 0]))
    assert (pair.order, pair.error_norm) == (1, 0.5)
    assert pytest.approx(math.hypot(*low) / 0.5) == pair.B
    assert pytest.approx(math.dist(low, high) / 0.5) == pair.C
    assert pytest.approx(math.hypot(*high) / 0.5) == pair.E
    assert pair.stability_function.coefficients == (1, 1)


def test_equal_orders_have_no_quality():
    pair = embedded_pair(Tableau([[], [1], ["1/2", 0]], ["1/2", "1/2", 0], b_hat=[0, 0, 1]))
    assert (pair.order, pair.estimate_order, pair.steps_with_higher) == (2, 2, False)
    assert (pair.B, pair.C, pair.E) == (None, None, None)


def test_a_pair_that_is_blind_or_faulty_says_so():
    assert embedded_pair("fehlberg78").is_blind
    assert "sum to 1" in embedded_pair(Tableau([[], [1]], ["1/2", "1/2"], b_hat=[1, 1])).fault
