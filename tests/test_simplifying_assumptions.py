"""Simplifying assumptions and superfluous stages."""

from __future__ import annotations

from fractions import Fraction
from math import inf

import pytest

from keras_rk import Tableau, TableauError, check, tableaux
from keras_rk.analysis.reducibility import reducibility
from keras_rk.analysis.simplifying_assumptions import simplifying_assumptions, stage_order

GAUSS = ([["1/4", "1/4 - sqrt(3)/6"], ["1/4 + sqrt(3)/6", "1/4"]], ["1/2", "1/2"])
RADAU_IA = ([["1/4", "-1/4"], ["1/4", "5/12"]], ["1/4", "3/4"], [0, "2/3"])
RADAU_IIA = ([["5/12", "-1/12"], ["3/4", "1/4"]], ["3/4", "1/4"])
SIMPSON = ["1/6", "2/3", "1/6"]
LOBATTO_IIIA = ([[0, 0, 0], ["5/24", "1/3", "-1/24"], SIMPSON], SIMPSON)
LOBATTO_IIIB = (
    [["1/6", "-1/6", 0], ["1/6", "1/3", 0], ["1/6", "5/6", 0]],
    SIMPSON,
    [0, "1/2", 1],
)
LOBATTO_IIIC = (
    [["1/6", "-1/3", "1/6"], ["1/6", "5/12", "-1/12"], SIMPSON],
    SIMPSON,
    [0, "1/2", 1],
)


@pytest.mark.parametrize(
    "method, s, B, C, D",
    [  # E. Hairer and G. Wanner, Solving Ordinary Differential Equations II, chapter IV.5
        (([["1/2"]], [1]), 1, 2, 1, 1),
        (GAUSS, 2, 4, 2, 2),
        (RADAU_IA, 2, 3, 1, 2),
        (RADAU_IIA, 2, 3, 2, 1),
        (LOBATTO_IIIA, 3, 4, 3, 1),
        (LOBATTO_IIIB, 3, 4, 1, 3),
        (LOBATTO_IIIC, 3, 4, 2, 2),
    ],
)
def test_implicit_families(method, s, B, C, D):
    found = simplifying_assumptions(method)
    assert (found.B, found.C, found.D) == (B, C, D)
    assert found.stage_order == min(B, C) == stage_order(method)
    assert found.weak_stage_order >= found.stage_order
    assert found.is_exact


def by_definition(tableau, most):
    """C and D by stage and B, in Fractions, up to `most`; infinity beyond."""
    A, b, c, s = tableau.A, tableau.b, tableau.c, range(tableau.stages)

    def largest(holds):
        return next((k - 1 for k in range(1, most + 1) if not holds(k)), inf)

    def row(i, k):
        return sum(A[i][j] * c[j] ** (k - 1) for j in s) == c[i] ** k / Fraction(k)

    def column(j, k):
        left = sum(b[i] * c[i] ** (k - 1) * A[i][j] for i in s)
        return left == b[j] * (1 - c[j] ** k) / Fraction(k)

    B = largest(lambda k: sum(b[i] * c[i] ** (k - 1) for i in s) == Fraction(1, k))
    C = tuple(largest(lambda k, i=i: row(i, k)) for i in s)
    D = tuple(largest(lambda k, j=j: column(j, k)) for j in s)
    return B, C, D


@pytest.mark.parametrize(
    "name",
    [
        "euler",
        "midpoint",
        "heun3",
        "kutta3",
        "rk4",
        "rk38",
        "ssprk104",
        "fehlberg45",
        "dormand_prince54",
        "bogacki_shampine54",
        "butcher7",
        "fehlberg78",
        "verner87_1978",
    ],
)
def test_they_are_what_the_definitions_say(name):
    tableau = tableaux.get(name)
    found = simplifying_assumptions(tableau)
    expected = by_definition(tableau, 2 * tableau.stages + 2)
    assert (found.B, found.C_of_stages, found.D_of_stages) == expected


@pytest.mark.parametrize("name", [n for n in tableaux.names() if tableaux.get(n).stages < 12])
def test_floats_are_judged_as_their_originals(name):
    tableau = tableaux.get(name)
    arrays = tableau.to_numpy()
    found = simplifying_assumptions(Tableau(arrays.A, arrays.b, arrays.c))
    exact = simplifying_assumptions(tableau)
    assert (found.B, found.C_of_stages, found.D) == (exact.B, exact.C_of_stages, exact.D)
    assert found.weak_stage_order == exact.weak_stage_order


@pytest.mark.parametrize("name", [n for n in tableaux.names() if tableaux.get(n).stages > 1])
def test_explicit_methods_have_stage_order_one(name):
    """Their second stage is a step of Euler's method, unless it is the first again."""
    assert stage_order(name) == 1


@pytest.mark.parametrize("name", [n for n in tableaux.names() if tableaux.get(n).claimed_order < 9])
def test_b_is_at_least_the_order(name):
    tableau = tableaux.get(name)
    assert tableau.claimed_order <= simplifying_assumptions(tableau).B


def test_the_weak_stage_order_forgives_what_no_weight_sees():
    """The trapezoidal rule, with a stage of Euler's method that nothing needs."""
    A = [[0, 0, 0], ["1/2", "1/2", 0], [1, 0, 0]]
    found = simplifying_assumptions((A, ["1/2", "1/2", 0]))
    assert (found.stage_order, found.weak_stage_order) == (1, 2)


def test_a_small_node_does_not_pass_for_rounding():
    """c_2^3 / 3 is 3e-16 here, and missed by as much."""
    tiny = Tableau([[], ["1/100000"]], ["1/2", "1/2"])
    assert simplifying_assumptions(tiny).C_of_stages == (inf, 1)


def test_symbols_are_refused():
    sympy = pytest.importorskip("sympy")
    with pytest.raises(TableauError, match=r"subs\(\.\.\.\)"):
        simplifying_assumptions(Tableau([[], [sympy.Symbol("x")]], ["1/2", "1/2"]))


HEUN_WITH_MORE = Tableau([[], [1], [0, "1/2"], [0, 0, 1]], ["1/2", "1/2", 0, 0])
HEUN_TWICE = Tableau([[], [1], [1, 0], ["1/2", 0, 0]], ["1/2", "1/4", "1/4", 0])
DEEPLY_EQUAL = Tableau(  # stages 1, 2 are equal, and so are 3, 4, which use one of them each
    [[], ["1/2"], ["1/2", 0], [0, 1, 0], [0, 0, 1, 0]], ["1/6", "1/3", "1/3", "1/12", "1/12"]
)


@pytest.mark.parametrize(
    "tableau, unreachable, equal, stages",
    [
        (tableaux.get("rk4"), (), (), 4),
        (tableaux.get("dormand_prince54"), (), (), 7),  # its last stage is for b_hat
        (HEUN_WITH_MORE, (2, 3), (), 2),
        (HEUN_TWICE, (3,), ((1, 2),), 2),
        (DEEPLY_EQUAL, (), ((1, 2), (3, 4)), 3),
        (Tableau([[]], [0]), (0,), (), 1),
        (Tableau([["1/2", 0], ["1/4", "1/4"]], ["1/2", "1/2"]), (), ((0, 1),), 1),
    ],
)
def test_superfluous_stages(tableau, unreachable, equal, stages):
    found = reducibility(tableau)
    assert (found.unreachable, found.equal) == (unreachable, equal)
    assert found.is_irreducible is (not unreachable and not equal)
    assert found.reduced.stages == stages
    assert reducibility(found.reduced).equal == ()


@pytest.mark.parametrize("tableau", [HEUN_WITH_MORE, HEUN_TWICE, DEEPLY_EQUAL])
@pytest.mark.parametrize("seed", range(3))
def test_the_reduced_method_takes_the_same_steps(tableau, seed):
    """On y' = (a y + b)^2 + c t with random numbers, in Fractions."""
    import random

    draw = random.Random(seed)
    u, v, w = (Fraction(draw.randint(-9, 9), 7) for _ in range(3))

    def step(method):
        k = []
        for row, node in zip(method.A, method.c, strict=True):
            y = Fraction(1, 3) + sum(x * slope for x, slope in zip(row, k, strict=False))
            k.append((u * y + v) ** 2 + w * node)
        return sum(x * slope for x, slope in zip(method.b, k, strict=True))

    assert step(tableau) == step(reducibility(tableau).reduced)


@pytest.mark.parametrize("name", [n for n in tableaux.names() if tableaux.get(n).stages < 12])
def test_no_two_stages_of_a_named_method_are_equal(name):
    """Stages that nothing reaches may be there for a continuous extension."""
    assert reducibility(name).equal == ()


@pytest.mark.parametrize("name", ["rk4", "dormand_prince54", "ssprk104", "dop853", "feagin10"])
def test_no_stage_of_these_methods_is_unreachable(name):
    assert reducibility(name).is_irreducible


def test_an_embedded_stage_that_b_does_not_use():
    found = reducibility("dormand_prince54")
    assert (found.unreachable, found.unused_by_b) == ((), (6,))


def test_the_pair_is_kept_in_reducing():
    pair = Tableau([[], [1], [1, 0]], ["1/2", "1/4", "1/4"], b_hat=[1, 0, 0])
    reduced = reducibility(pair).reduced
    assert (reduced.b, reduced.b_hat) == ((Fraction(1, 2),) * 2, (1, 0))
    assert check(reduced).order == 2
    assert check(reduced).embedded_order == 1
