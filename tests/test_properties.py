"""The checker against what does not use it: methods of known order, brute force, series, peers."""

import math
import os
import re
from fractions import Fraction

import numpy as np
import pytest
import sympy

from keras_rk import Tableau, check, check_extension, order_conditions, tableaux

from . import random_tableaux as known

QUICK = 2
ALL = int(os.environ.get("PROPERTY_SEEDS", "8"))  # more for a long run, with `-m slow`
SEEDS = [pytest.param(seed, marks=[pytest.mark.slow] * (seed >= QUICK)) for seed in range(ALL)]


def generator(seed, test):
    return np.random.default_rng([seed, *test.encode()])


def row_sums(A):
    return [sum(row, Fraction(0)) for row in A]


# --- methods whose order is known by theory ------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "family, order",
    [(known.second_order, 2), (known.third_order, 3), (known.fourth_order, 4)],
    ids=["second_order", "third_order", "fourth_order"],
)
def test_random_members_of_the_classical_families(seed, family, order):
    """s stages give order s at most, so that the order is exact."""
    A, b = family(generator(seed, family.__name__))
    report = check((A, b))
    assert (report.order, report.verdict) == (order, "exact")


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("method, order", known.KNOWN, ids="euler midpoint heun3 rk4".split())
def test_composition(seed, method, order):
    """Errors add up: of the next order, each residual is part^(p+1) that of one method plus
    (1 - part)^(p+1) that of the other."""
    random = generator(seed, "composition")
    other = {2: known.second_order, 3: known.third_order, 4: known.fourth_order}.get(order)
    second = known.EULER if other is None else other(random)
    part = known.rational(random, 2)
    A, b = known.composed(method, second, part)
    expected = {
        tree: part ** (order + 1) * known.residual(*method, tree)
        + (1 - part) ** (order + 1) * known.residual(*second, tree)
        for tree in known.trees(order + 1)
    }
    conditions = order_conditions.order_conditions((A, b), order + 1)
    assert {known.as_tuple(x.tree): x.residual for x in conditions} == expected
    assert any(expected.values())
    assert check((A, b)).order == order


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("further", [1, 2, 3])
@pytest.mark.parametrize(
    "method, order, power",
    [(known.EULER, 1, 1), (known.IMPLICIT_MIDPOINT, 2, 2)],
    ids=["euler", "implicit_midpoint"],
)
def test_extrapolation(seed, method, order, power, further):
    """Each further number of substeps removes one term of the error's expansion, for symmetric
    methods in dt^2. The results of no two orders have the same error."""
    random = generator(seed, "extrapolation")
    limit = 6 if further < 3 else 5
    counts = sorted(random.choice(range(1, limit), size=further + 1, replace=False).tolist())
    A, b = known.extrapolated(method, counts, power)
    reached = order + power * further
    report = check((A, b), max_order=reached + 1)
    assert report.order == reached
    assert report.evidence[0].verdict == "exact"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("stages", [1, 2, 3, 4])
@pytest.mark.parametrize("symmetric", [False, True])
def test_collocation(seed, stages, symmetric):
    """Random nodes: the order is that of the quadrature, and s for all theta."""
    random = generator(seed, f"collocation{stages}{symmetric}")
    nodes = sorted(Fraction(int(x), 60) for x in random.choice(61, size=stages, replace=False))
    if symmetric:
        half = [Fraction(int(x), 60) for x in random.choice(30, size=stages // 2, replace=False)]
        nodes = [*half, *[Fraction(1, 2)] * (stages % 2), *(1 - x for x in half)]
    A, b, b_theta, order = known.collocation(nodes)
    tableau = Tableau(A, b, nodes, b_theta=b_theta)
    report = check(tableau)
    assert (report.order, report.row_sums) == (order, True)
    assert report.extension.order == stages
    assert report.extension.value == "exact"
    x = Fraction(int(random.integers(1, 60)), 60)
    assert check((A, tableau.weights(x)), order=1).consistent == (x == 1)


@pytest.mark.parametrize("theta", ["1/3", "5/7"])
@pytest.mark.parametrize("name", ["bogacki_shampine32", "dormand_prince54"])
def test_an_extension_is_a_method_of_its_own(name, theta):
    """A step of theta dt: A and b(theta) over theta, which `check` proves without the extension."""
    dense, x = tableaux.continuous(name), Fraction(theta)
    A = [[a / x for a in row] for row in dense.A]
    inside = Tableau(A, [w / x for w in dense.weights(x)])
    assert check(inside).order == check_extension(dense).order


# --- brute force ---------------------------------------------------------------------------------


@pytest.mark.parametrize("order, count", enumerate([1, 1, 2, 4, 9, 20, 48, 115], start=1))
def test_the_independent_trees_are_all(order, count):
    """A000081: the numbers of rooted trees."""
    assert len(set(known.trees(order))) == len(known.trees(order)) == count


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "name", ["rk4", "rk38", "kutta3", "nystrom5", "dormand_prince54", "butcher6", "fehlberg45"]
)
def test_a_random_slip_is_caught_with_the_right_trees(seed, name):
    """One coefficient changed at random: the order and every tree that fails, by brute force."""
    random = generator(seed, name)
    tableau = tableaux.get(name)
    A, b = [list(row) for row in tableau.A], list(tableau.b)
    entries = [(row, j) for i, row in enumerate([*A, b]) for j in range(min(i, len(b)))]
    row, j = entries[random.integers(len(entries))]
    row[j] += random.choice([-1, 1]) * Fraction(1, int(random.integers(1, 1000)))
    claim = tableau.claimed_order
    report = check(Tableau(A, b, claimed_order=claim))
    order, broken = known.failing(A, b, claim + 1)
    assert report.order == order
    assert bool(report) == (order >= claim)
    conditions = report.evidence[0].broken
    found = {known.as_tuple(x.tree): x.residual for x in conditions}
    assert all(found[tree] == known.residual(A, b, tree) for tree in found)
    assert set(found) == set(broken) if order < claim else set(found) <= set(broken)
    assert found or not broken


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("order", range(1, 6))
@pytest.mark.parametrize("explicit", [True, False])
def test_residuals_of_random_tableaux(seed, order, explicit):
    """Nearly every one fails at once; the residuals of all orders are compared all the same."""
    random = generator(seed, f"{order}{explicit}")
    stages = int(random.integers(2, 7))
    A = known.square([[]] * stages)
    for i in range(stages):
        for j in range(i if explicit else stages):
            if random.random() < 0.7:
                A[i][j] = known.rational(random)
    b = [known.rational(random) for _ in range(stages)]
    conditions = order_conditions.order_conditions((A, b), order)
    found = {known.as_tuple(x.tree): x.residual for x in conditions}
    assert found == {tree: known.residual(A, b, tree) for tree in known.trees(order)}


# --- what methods do -----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_a_step_leaves_the_solution_where_the_proof_says(seed, order):
    """Of a random polynomial field, in exact power series of dt: the first wrong power is p + 1.

    Fields that do not show it exist, but are not met at random.
    """
    random = generator(seed, f"step{order}")
    family = [lambda _: known.EULER, known.second_order, known.third_order, known.fourth_order]
    A, b = family[order - 1](random)
    field = known.Field(random, order, with_time=False)
    assert known.observed_order(field, A, b, row_sums(A), order + 1) == check((A, b)).order == order


@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_slip_shows_in_a_step(seed):
    """rk4 with one coefficient changed, so that orders from 1 to 4 come up."""
    random = generator(seed, "slip")
    A, b = [list(row) for row in known.RK4[0]], list(known.RK4[1])
    i = int(random.integers(1, 4))
    A[i][int(random.integers(i))] += known.rational(random)
    field = known.Field(random, 4, with_time=False)
    assert known.observed_order(field, A, b, row_sums(A), 5) == check((A, b)).order


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("stages", [1, 2])
def test_implicit_steps_too(seed, stages):
    random = generator(seed, f"implicit{stages}")
    nodes = [Fraction(int(x), 12) for x in random.choice(13, size=stages, replace=False)]
    A, b, _, order = known.collocation(nodes)
    field = known.Field(random, order, with_time=False)
    assert known.observed_order(field, A, b, nodes, order + 1) == check((A, b)).order == order


@pytest.mark.parametrize("seed", SEEDS)
def test_time_as_a_component(seed):
    """Nodes that are row sums: y' = f(t, y) is the autonomous system with t' = 1 beside it."""
    random = generator(seed, "time")
    A, b = known.third_order(random)
    report = check((A, b))
    field = known.Field(random, 3, with_time=True)
    assert report.nonautonomous_order == report.order == 3
    assert known.observed_order(field, A, b, row_sums(A), 4) == 3


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kept", [0, 1, 2, 3])
def test_order_with_nodes_that_are_no_row_sums(seed, kept):
    """rk4 with other nodes, chosen so that the first `kept` conditions with t hold.

    sum b_i = 1 holds; sum b_i c_i = 1/2; then sum b_i c_i^2 = 1/3, sum b_i c_i sum_j a_ij = 1/3 and
    sum b_i a_ij c_j = 1/6.
    """
    random = generator(seed, f"nodes{kept}")
    A, b = known.RK4
    c = [Fraction(0), Fraction(1, 2), Fraction(1, 2), Fraction(1)]
    x = known.rational(random, 1)
    if kept == 0:
        c[1] += x
    elif kept == 1:  # the sum of b_i c_i stays
        c[1], c[3] = c[1] + x, c[3] - 2 * x
    elif kept == 2:  # b_2 = b_3: stages two and three apart, sum b_i c_i and the first sum kept
        c[1], c[2] = c[1] + x, c[2] - x
    tableau = Tableau(A, b, c)
    report = check(tableau, require_row_sums=False)
    assert report.order == 4
    field = known.Field(random, 4, with_time=True)
    observed = known.observed_order(field, A, b, c, 5)
    assert report.nonautonomous_order == observed
    assert observed == (1, 2, 2, 4)[kept]


@pytest.mark.parametrize("order", [2, 3, 4])
def test_the_slope_of_errors(order):
    """At dt = 2^-15 and 2^-16, in exact fractions: the ratio is 2^(p + 1), nearly."""
    random = generator(0, f"slope{order}")
    A, b = (known.second_order, known.third_order, known.fourth_order)[order - 2](random)
    field = known.Field(random, order, with_time=True)
    length = order + 6

    def error(dt):
        pairs = zip(solution_series, known.step(field, A, b, row_sums(A), length), strict=True)
        return max(
            abs(sum((x - y) * dt**n for n, (x, y) in enumerate(zip(*pair, strict=True))))
            for pair in pairs
        )

    solution_series = known.solution(field, length)
    ratio = error(Fraction(1, 2**15)) / error(Fraction(1, 2**16))
    assert math.log2(ratio) == pytest.approx(order + 1, abs=0.05)


# --- peers ---------------------------------------------------------------------------------------


def random_rational_tableau(seed):
    random = generator(seed, "peers")
    stages = int(random.integers(2, 7))
    A = known.square([[]] * stages)
    for i in range(stages):
        for j in range(i):
            A[i][j] = known.rational(random)
    return A, [known.rational(random) for _ in range(stages)]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("order", range(2, 7))
def test_nodepy_agrees_tree_by_tree(seed, order):
    """Elementary weights and densities of all trees, in SymPy's rationals."""
    rooted = pytest.importorskip("nodepy.rooted_trees")
    method = pytest.importorskip("nodepy.runge_kutta_method")
    A, b = random_rational_tableau(seed)

    def exact(rows):
        return np.vectorize(lambda x: sympy.Rational(x.numerator, x.denominator), [object])(rows)

    theirs = method.ExplicitRungeKuttaMethod(exact(A), exact(b))
    names = {"dot": np.dot, "A": theirs.A, "b": theirs.b, "c": theirs.c}
    others = {}
    for tree in rooted.list_trees(order):  # nodepy writes weights as Python, to be evaluated
        weight = sympy.Rational(eval(method.elementary_weight_str(tree), names))
        others[of_braces(tree)] = int(tree.density()), Fraction(weight.p, weight.q)
    assert ours(A, b, order) == others


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("order", range(1, 7))
def test_kauri_agrees_tree_by_tree(seed, order):
    """The same of kauri, in fractions."""
    kauri = pytest.importorskip("kauri")
    A, b = random_rational_tableau(seed)
    weights = kauri.RK(A, b).elementary_weights_map()
    others = {
        of_lists(tree.unlabelled_repr): (tree.factorial(), weights(tree))
        for tree in kauri.trees_of_order(order)
    }
    assert ours(A, b, order) == others


def ours(A, b, order):
    return {
        known.as_tuple(condition.tree): (condition.tree.density, condition.elementary_weight)
        for condition in order_conditions.order_conditions((A, b), order)
    }


def of_lists(tree):
    return tuple(sorted(map(of_lists, tree)))


def of_braces(text):
    """nodepy's `{T^2{T}}`: vertices T, powers for what is repeated; a single vertex is `T`."""
    if text == "T":
        return ()
    nested = [[]]
    for token, power in re.findall(r"([T{}])(?:\^([0-9]+))?", text):
        if token == "{":
            nested.append([])
        else:
            child = () if token == "T" else tuple(sorted(nested.pop()))
            nested[-1] += [child] * int(power or 1)
    ((tree,),) = nested
    return tree
