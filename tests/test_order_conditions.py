"""Residuals of the order conditions, against sums written out from their definition."""

from __future__ import annotations

from fractions import Fraction
from unittest import mock

import numpy as np
import pytest
import sympy

from keras_rk import Tableau, TableauError, check, tableaux
from keras_rk.proof.order_conditions import Residuals, order_conditions
from keras_rk.proof.rooted_trees import RootedTree, rooted_trees

ALPHA, BETA = sympy.symbols("alpha beta")
RADICALS = Tableau(
    [[], ["sqrt(2)/3"], ["sqrt(3)", "1/2 - sqrt(2)"], ["sqrt(1 + sqrt(2))", 0, "sqrt(6)/5"]],
    ["1 - sqrt(5)", "sqrt(5)/2", "sqrt(5)/4", "sqrt(5)/4"],
    name="square roots",
)
GAUSS2 = Tableau(
    [["1/4", "1/4 - sqrt(3)/6"], ["1/4 + sqrt(3)/6", "1/4"]], ["1/2", "1/2"], name="gauss2"
)
FAMILY = Tableau([[], [ALPHA]], [1 - 1 / (2 * ALPHA), 1 / (2 * ALPHA)], name="family")
MIXED_FAMILY = Tableau(
    [[], [ALPHA], [0.1 * BETA, BETA / (1 + ALPHA)]], [ALPHA, 1 - 2 * ALPHA, BETA], name="mixed"
)
TABLEAUX = [tableaux.get("rk4"), tableaux.get("fehlberg45"), tableaux.get("gill4"), RADICALS]
TABLEAUX += [GAUSS2, FAMILY, MIXED_FAMILY]


def sympy_rows(rows):
    return [[sympy.nsimplify(x) if isinstance(x, Fraction) else x for x in row] for row in rows]


def weight_by_definition(tree: RootedTree, A, b, c):
    """sum_i b_i prod ..., recursing over the tree as the definition does."""
    stages = range(len(b))

    def stage(tree, i):
        product = sympy.Integer(1)
        for child in tree.children:
            product *= c[i] if child.is_time else sum(A[i][j] * stage(child, j) for j in stages)
        return product

    return sum(b[i] * stage(tree, i) for i in stages)


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("tableau", TABLEAUX, ids=lambda tableau: tableau.name)
def test_elementary_weights_equal_the_definition(tableau, order):
    A, (b, c) = sympy_rows(tableau.A), sympy_rows([tableau.b, tableau.c])
    expected = [weight_by_definition(tree, A, b, c) for tree in rooted_trees(order)]
    found = order_conditions(tableau, order)
    assert [condition.tree for condition in found] == list(rooted_trees(order))
    differences = [
        sympy.simplify(sympy.nsimplify(condition.elementary_weight) - weight)
        for condition, weight in zip(found, expected, strict=True)
    ]
    assert differences == [0] * len(found)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_weights_with_time_equal_the_definition(order):
    tableau = Tableau([[], ["1/2"], [-1, 2]], ["1/6", "2/3", "1/6"], ["1/7", "2/5", "3/4"])
    A, (b, c) = sympy_rows(tableau.A), sympy_rows([tableau.b, tableau.c])
    residuals = Residuals(tableau, with_time=True)
    conditions = [residuals.condition(residual) for residual in residuals.all(order)]
    expected = [weight_by_definition(condition.tree, A, b, c) for condition in conditions]
    assert [sympy.nsimplify(x.elementary_weight) for x in conditions] == expected
    assert len({condition.tree for condition in conditions}) == len(conditions)


@pytest.mark.parametrize(("order", "count"), [(1, 1), (2, 2), (3, 5), (4, 13), (5, 37)])
def test_number_of_trees_with_time(order, count):
    # Trees whose leaves have two colours; the single vertex as a whole tree has one.
    assert sum(1 for _ in Residuals(tableaux.get("rk4"), with_time=True).all(order)) == count


@pytest.mark.parametrize("name", ["dormand_prince54", "verner65", "fehlberg78"])
def test_embedded_weights_have_conditions_of_their_own(name):
    tableau = tableaux.get(name)
    alone = Tableau(
        tableau.exact_A, tableau.exact_b_hat, tableau.exact_c, name="embedded weights alone"
    )
    found = order_conditions(tableau, 4, embedded=True)
    assert found == order_conditions(alone, 4)
    assert found != order_conditions(Tableau(tableau.exact_A, [1] * tableau.stages), 4)


@pytest.mark.parametrize("name", ["dormand_prince87_exact", "hairer10", "verner98"])
def test_residuals_do_not_depend_on_python_flint(name):
    pytest.importorskip("flint")
    tableau = tableaux.get(name)
    with_flint = order_conditions(tableau, 6)
    with mock.patch("keras_rk.numbers.linear_algebra.find_spec", return_value=None):
        assert order_conditions(tableau, 6) == with_flint


@pytest.mark.parametrize("name", tableaux.names())
def test_exact_weights_agree_with_floating_point(name):
    tableau = tableaux.get(name)
    arrays = tableau.to_numpy()

    def stage(tree):
        product = np.ones(tableau.stages)
        for child in tree.children:
            product = product * (arrays.A @ stage(child))
        return product

    found = [float(condition.elementary_weight) for condition in order_conditions(tableau, 4)]
    expected = [arrays.b @ stage(tree) for tree in rooted_trees(4)]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_verdicts():
    exact = order_conditions(([[], ["2/3"]], ["1/4", "3/4"]), 2)
    numeric = order_conditions(([[], [2 / 3]], [0.25, 0.75]), 2)
    failed = order_conditions(([[], ["0.6666667"]], ["1/4", "3/4"]), 2)
    assert [c.verdict for c in exact + numeric + failed] == ["exact", "numeric", "failed"]
    assert exact[0].residual == 0
    assert 0 < abs(numeric[0].residual) < 1e-16
    assert failed[0].residual == Fraction(1, 40_000_000)


@pytest.mark.parametrize("order", [0, -1, 1.5, True, None, "2"])
def test_bad_orders(order):
    with pytest.raises(TableauError, match="`order` must be"):
        order_conditions("rk4", order)


def test_embedded_conditions_need_embedded_weights():
    with pytest.raises(TableauError, match="needs embedded weights"):
        order_conditions("rk4", 2, embedded=True)


@pytest.mark.parametrize("change", ["0.1", "1e-20", "1e-200", "1e-320", "1e-999"])
def test_sizes_beside_roots_with_long_denominators(change):
    """A residual's size is rounded once, from its leading bits alone."""
    method = tableaux.get("cooper_verner8").to_dict()
    method["A"][4][3] += f" + {change} - 1/{2**1500}"
    residuals = Residuals(Tableau(method["A"], method["b"]))
    unmet = [r for order in range(1, 6) for r in residuals.unmet(order)]
    assert unmet
    for residual in unmet:
        exact = residuals.condition(residual).exact_residual
        assert residual.size == pytest.approx(abs(float(exact)), rel=1e-15, abs=5e-324)


@pytest.mark.parametrize("tiny", ["1e-300", "1e-400", "1e-999"])
@pytest.mark.parametrize("name", ["rk4", "cooper_verner8", "ono10"])
def test_what_a_float_would_round_to_zero_is_not_exact(name, tiny):
    method = tableaux.get(name).to_dict()
    method["b"][0] += f" + {tiny}"
    tableau = Tableau(method["A"], method["b"])
    assert [r.verdict for r in Residuals(tableau).unmet(1)] == ["numeric"]
    assert check(tableau, max_order=4).verdict == "numeric"
