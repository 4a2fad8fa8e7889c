"""Algebraic stability, symplecticity, adjoints and symmetry, beside theory."""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
import pytest

from keras_rk import Tableau, TableauError, check, tableaux
from keras_rk.analysis.algebraic_stability import algebraic_stability, algebraic_stability_matrix
from keras_rk.analysis.stability import stability_function
from keras_rk.analysis.symmetry import adjoint, symmetry
from keras_rk.analysis.symplecticity import symplecticity

PROPERTIES = {  # algebraically stable, symplectic, symmetric
    "gauss": (True, True, True),
    "radau_ia": (True, False, False),
    "radau_iia": (True, False, False),
    "lobatto_iiia": (False, False, True),
    "lobatto_iiib": (False, False, True),
    "lobatto_iiic": (True, False, False),
}
MEMBERS = [
    *(("gauss", s) for s in range(1, 6)),
    *(("radau_ia", s) for s in range(1, 4)),
    *(("radau_iia", s) for s in range(1, 4)),
    *((f"lobatto_iii{kind}", s) for kind in "abc" for s in range(2, 6)),
]


@pytest.mark.parametrize("family, stages", MEMBERS)
def test_the_table_of_hairer_and_wanner(family, stages):
    tableau = getattr(tableaux, family)(stages)
    found = algebraic_stability(tableau), symplecticity(tableau), symmetry(tableau)
    expected = PROPERTIES[family]
    assert tuple(map(bool, found)) == expected
    assert [x.verdict for x in found] == ["exact" if holds else "failed" for holds in expected]


@pytest.mark.parametrize("copy", ["decimals", "floats"])
@pytest.mark.parametrize("family", PROPERTIES)
def test_rounded_coefficients_have_the_same_but_for_rounding(family, copy):
    tableau = getattr(tableaux, family)(6, digits=40)
    if copy == "floats":
        A, b, _, _ = tableau.to_numpy()
        tableau = Tableau(A, b)
    found = algebraic_stability(tableau), symplecticity(tableau), symmetry(tableau)
    assert tuple(map(bool, found)) == PROPERTIES[family]
    assert all(x.verdict in ("numeric", "failed") for x in found[1:])


@pytest.mark.parametrize(
    "stages, order, holds", [(1, 1, True), (1, 2, True), (2, 2, False), (2, 3, True), (3, 4, True)]
)
def test_algebraic_stability_of_sdirk(stages, order, holds):
    tableau = tableaux.sdirk(stages, order, digits=40 if stages == 3 else None)
    assert bool(algebraic_stability(tableau)) == holds


@pytest.mark.parametrize("gamma, holds", [("1/4", True), ("249/1000", False), ("2", True)])
def test_the_boundary_of_algebraic_stability(gamma, holds):
    """For this method M = (gamma - 1/4) (1 -1; -1 1)."""
    tableau = Tableau([[gamma, 0], [1 - 2 * Fraction(gamma), gamma]], ["1/2", "1/2"])
    x = Fraction(gamma) - Fraction(1, 4)
    assert algebraic_stability_matrix(tableau) == ((x, -x), (-x, x))
    assert bool(algebraic_stability(tableau)) == holds


def test_a_negative_weight_is_named():
    assert "b_2 = -49/48 is negative" in str(algebraic_stability(tableaux.sdirk(5)))


@pytest.mark.parametrize(
    "A, b, reason",
    [
        ([[0, 0], [1, 1]], [0, 1], "m_11 = 0 beside m_12 = 1"),
        ([[1, 0], [3, 1]], ["1/2", "1/2"], "after 1 steps of elimination, m_22 = -"),
        ([[0]], [1], "m_11 = -1"),
    ],
)
def test_what_shows_that_a_matrix_is_not_semidefinite(A, b, reason):
    found = algebraic_stability(Tableau(A, b))
    assert found.verdict == "failed"
    matrix = np.array(algebraic_stability_matrix(Tableau(A, b)), dtype=float)
    assert np.linalg.eigvalsh(matrix)[0] < 0
    assert reason in found.reason


@pytest.mark.parametrize("name", tableaux.names())
def test_no_explicit_method_has_any_of_it(name):
    tableau = tableaux.get(name)
    assert not algebraic_stability(tableau)
    assert not symplecticity(tableau)
    assert not symmetry(tableau)


@pytest.mark.parametrize("stages", range(2, 8))
def test_lobatto_iiia_and_iiib_are_a_symplectic_pair(stages):
    pair = tableaux.lobatto_iiia(stages), tableaux.lobatto_iiib(stages)
    assert symplecticity(*pair).verdict == "exact"
    assert symplecticity(*pair[::-1]).verdict == "exact"
    assert not symplecticity(pair[0], tableaux.lobatto_iiic(stages))


@pytest.mark.parametrize("seed", range(24))
def test_random_methods_beside_floats(seed):
    """A- and algebraic stability beside eigenvalues and values on the axis, where those are clear;
    the second implies the first."""
    generator = random.Random(seed)
    stages = generator.choice((1, 2, 2, 3))
    A = [
        [Fraction(generator.randint(0, 6), generator.randint(1, 5)) for _ in range(i + 1)]
        for i in range(stages)
    ]
    tableau = Tableau(A, A[-1])
    R, found = stability_function(tableau), algebraic_stability(tableau)
    smallest = np.linalg.eigvalsh(np.array(algebraic_stability_matrix(tableau), float))[0]
    if abs(smallest) > 1e-9:
        assert bool(found) == (smallest > 0)
    if R.coefficients == R.denominator:
        return
    y = np.geomspace(1e-2, 1e4, 2000)
    excess = np.abs(R(1j * y)).max() - 1
    poles = np.roots([float(x) for x in R.denominator[::-1]])
    if abs(excess) > 1e-9:
        assert R.is_a_stable == (excess < 0 and (poles.real > 0).all())
    assert R.is_a_stable or not found


def test_other_pairs():
    assert symplecticity("euler", tableaux.radau_iia(1)).verdict == "exact"  # symplectic Euler
    assert symplecticity(tableaux.gauss(3), tableaux.gauss(3)).verdict == "exact"
    assert "b_1 - b^_1" in symplecticity(([[0]], [1]), ([[1]], [2])).reason
    with pytest.raises(TableauError, match=r"same number of stages.*with 2, .*with 3"):
        symplecticity(tableaux.gauss(2), tableaux.gauss(3))


@pytest.mark.parametrize("name", ["euler", "heun2", "rk4", "kutta3", "dormand_prince54"])
def test_the_adjoint_has_the_same_order_and_is_an_involution(name):
    tableau = tableaux.get(name)
    other = adjoint(tableau)
    assert check(other, max_order=5).order == check(tableau, max_order=5).order
    assert adjoint(other) == Tableau(tableau.A, tableau.b, tableau.c)


@pytest.mark.parametrize("family, stages", [("radau_ia", 2), ("radau_iia", 3), ("lobatto_iiic", 4)])
def test_a_step_of_the_adjoint_undoes_a_step_back(family, stages):
    """R*(z) R(-z) = 1."""
    tableau = getattr(tableaux, family)(stages)
    R, adjoints = stability_function(tableau), stability_function(adjoint(tableau))
    for z in (0.3, -1.5, 0.7j):
        assert adjoints(z) * R(-z) == pytest.approx(1, rel=1e-12)


def test_symmetry_up_to_a_permutation_of_the_stages():
    A, b = tableaux.gauss(3).A, tableaux.gauss(3).b
    order = (1, 2, 0)
    permuted = Tableau([[A[i][j] for j in order] for i in order], [b[i] for i in order])
    assert symmetry(permuted).verdict == "exact"
    assert symmetry(permuted).reason == "the adjoint has the stages in the order 3, 1, 2"


def test_the_adjoint_keeps_nodes_and_symbols():
    sympy = pytest.importorskip("sympy")
    theta = sympy.Symbol("theta")
    other = adjoint(Tableau([[0, 0], [1 - theta, theta]], [1 - theta, theta]))
    assert other == Tableau([[0, 0], [theta, 1 - theta]], [theta, 1 - theta])
    assert adjoint(Tableau([[0]], [1], ["1/4"])).c == (Fraction(3, 4),)


@pytest.mark.parametrize("function", [algebraic_stability, symplecticity, symmetry])
def test_symbols_are_refused(function):
    sympy = pytest.importorskip("sympy")
    with pytest.raises(TableauError, match=r"subs\(\.\.\.\).*'family'"):
        function(Tableau([[sympy.Symbol("theta")]], [1], name="family"))


def test_stages_that_are_alike_are_matched_at_once(deadline):
    stages = 40
    assert not symmetry(Tableau([[0] * stages] * stages, [Fraction(1, stages)] * stages))
