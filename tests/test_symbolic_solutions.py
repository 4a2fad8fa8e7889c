"""Order conditions as equations, and their solutions beside the classification of text-books."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest

from keras_rk import Tableau, TableauError, check, solve_order_conditions, tableaux
from keras_rk.analysis.elimination import Elimination
from keras_rk.analysis.symbolic_solutions import _distinct
from keras_rk.proof.order_conditions import order_conditions

sympy = pytest.importorskip("sympy")
a21, a31, a32, b1, b2, b3 = sympy.symbols("a21 a31 a32 b1 b2 b3")
c2, c3, x, y = sympy.symbols("c2 c3 x y")
THREE_STAGES = Tableau([[], [a21], [a31, a32]], [b1, b2, b3], name="three stages")


@pytest.fixture(scope="module")
def families():
    """Those of s stages and order s, solved once."""
    return {stages: solve_order_conditions(stages, stages) for stages in range(1, 5)}


def _contains(family, tableau):
    """The member with the same values of the parameters, if it is the tableau."""
    nodes = {f"c{i + 1}": value for i, value in enumerate(tableau.c)}
    entries = {
        f"a{i + 1}{j + 1}": value for i, row in enumerate(tableau.A) for j, value in enumerate(row)
    }
    known = {**nodes, **entries}
    try:
        member = family.tableau.subs(**{str(s): known[str(s)] for s in family.parameters})
    except TableauError:  # a pole
        return False
    return (member.A, member.b) == (tableau.A, tableau.b)


def test_check_gives_the_conditions_as_equations():
    """The conditions of order 3 for three stages, as text-books have them."""
    report = check(THREE_STAGES, order=3)
    nodes = {a21: c2, a31: c3 - a32}
    expected = [
        (b1 + b2 + b3, 1),
        (b2 * c2 + b3 * c3, sympy.Rational(1, 2)),
        (b2 * c2**2 + b3 * c3**2, sympy.Rational(1, 3)),
        (b3 * a32 * c2, sympy.Rational(1, 6)),
    ]
    assert len(report.conditions) == 4
    for equation, (left, right) in zip(report.conditions, expected, strict=True):
        assert sympy.expand(equation.lhs.subs(nodes) - left) == 0
        assert equation.rhs == right


def test_conditions_end_at_the_order_asked_for_or_the_first_that_fails():
    family = Tableau([[], [x]], [1 - 1 / (2 * x), 1 / (2 * x)])
    assert check(family, order=2).conditions == ()
    assert check(family).conditions == (sympy.Eq(x / 2, sympy.Rational(1, 3)), sympy.false)
    assert len(check(THREE_STAGES).conditions) == 1
    assert len(check(THREE_STAGES, order=4).conditions) == 8


def test_conditions_include_nodes_and_embedded_weights():
    tableau = Tableau([[], [x]], [0, 1], [0, y], b_hat=[1 - a21, a21], claimed_embedded_order=2)
    assert check(tableau).conditions[0] == sympy.Eq(y, x)
    assert check(tableau).conditions[-1] == sympy.Eq(a21 * x, sympy.Rational(1, 2))
    assert check("rk4", order=5).conditions == ()


def test_an_equation_of_numbers_is_true_or_false():
    assert [condition.equation for condition in order_conditions("rk4", 4)] == [sympy.true] * 4
    assert sympy.false in [condition.equation for condition in order_conditions("rk4", 5)]


def test_orders_of_equations_are_limited():
    with pytest.raises(TableauError, match=r"up to order 6\. Received: order 7.*three stages"):
        _ = check(THREE_STAGES, order=7).conditions


@pytest.mark.parametrize("stages, count", [(1, 1), (2, 1), (3, 3), (4, 4)])
def test_the_number_of_families(families, stages, count):
    """Butcher's cases of order 3, and Kutta's of order 4 that the general family leaves out."""
    assert len(families[stages]) == count
    assert len(families[stages][0].parameters) == stages - 1 - (stages == 4)


def test_the_family_of_order_2(families):
    (family,) = families[2]
    assert family.tableau == Tableau([[], [c2]], [1 - 1 / (2 * c2), 1 / (2 * c2)])
    assert family.conditions == (sympy.Ne(c2, 0),)
    assert family.values[sympy.Symbol("b2")] == 1 / (2 * c2)


def test_the_families_of_order_3(families):
    general, *special = families[3]
    third = sympy.Rational(1, 3)
    assert general.parameters == (c2, c3)
    expected = {
        b2: (third - c3 / 2) / (c2 * (c2 - c3)),
        b3: (third - c2 / 2) / (c3 * (c3 - c2)),
        a32: c3 * (c3 - c2) / (c2 * (2 - 3 * c2)),
    }
    assert all(sympy.simplify(general.values[s] - value) == 0 for s, value in expected.items())
    excluded = {sympy.factor_list(condition.lhs)[1][0][0] for condition in general.conditions}
    assert excluded == {c2, c3, 3 * c2 - 2, c2 - c3}
    nodes = {(family.values[c2], family.values[c3]) for family in special}
    assert nodes == {(2 * third, 0), (2 * third, 2 * third)}
    for family in special:
        assert family.values[b3] == 1 / (4 * a32)
        assert family.conditions == (sympy.Ne(a32, 0),)


def test_the_families_of_order_4(families):
    """Kutta's: c4 = 1 in all; general, and (c2, c3) = (1/2, 1/2), (1/2, 0), (1, 1/2)."""
    general, *special = families[4]
    assert general.parameters == (c2, c3)
    assert general.values[sympy.Symbol("c4")] == 1
    expected = (2 * c3 - 1) / (12 * c2 * (c3 - c2) * (1 - c2))
    assert sympy.simplify(general.values[b2] - expected) == 0
    excluded = sympy.prod(condition.lhs for condition in general.conditions)
    known = c2 * c3 * (c2 - c3) * (c2 - 1) * (c3 - 1) * (2 * c2 - 1)
    known *= 6 * c2 * c3 - 4 * (c2 + c3) + 3
    assert sympy.expand(excluded / known).is_number
    half = sympy.Rational(1, 2)
    nodes = {(family.values[c2], family.values[c3]) for family in special}
    assert nodes == {(half, half), (half, 0), (1, half)}
    assert all(len(family.parameters) == 1 for family in special)
    assert all(family.values[sympy.Symbol("c4")] == 1 for family in special)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "stages, number", [(2, 0), (3, 0), (3, 1), (3, 2), (4, 0), (4, 1), (4, 2), (4, 3)]
)
def test_members_at_random_parameters_have_the_order(families, stages, number, seed):
    family = families[stages][number]
    generator = random.Random(seed)
    chosen = {
        str(symbol): Fraction(generator.randint(-30, 30), generator.choice((7, 11, 13)))
        for symbol in family.parameters
    }
    places = {symbol: sympy.Rational(chosen[str(symbol)]) for symbol in family.parameters}
    if all(condition.subs(places) == sympy.true for condition in family.conditions):
        member = family.tableau.subs(**chosen)
        assert check(member, order=stages)
        assert check(member).verdict == "exact"
    else:
        with pytest.raises(TableauError, match="pole"):
            family.tableau.subs(**chosen)


@pytest.mark.parametrize(
    "name, is_general",
    [
        ("rk4", False),
        ("rk38", True),
        ("kutta3", True),
        ("heun3", True),
        ("ralston3", True),
        ("ssprk33", True),
        ("heun2", True),
        ("ralston2", True),
        ("midpoint", True),
    ],
)
def test_named_methods_are_in_one_family_each(families, name, is_general):
    tableau = tableaux.get(name)
    found = [family for family in families[tableau.stages] if _contains(family, tableau)]
    assert len(found) == 1
    assert (found[0] is families[tableau.stages][0]) == is_general


@pytest.mark.parametrize("stages, order", [(1, 2), (2, 3), (3, 4)])
def test_orders_that_no_explicit_method_has(stages, order):
    assert solve_order_conditions(stages, order) == ()


def test_a_tableau_in_its_own_symbols(families):
    found = solve_order_conditions(THREE_STAGES, 3)
    assert [family.tableau for family in found] == [family.tableau for family in families[3]]
    assert found[0].values[a21] == c2
    assert sympy.simplify(found[0].values[a31] + found[0].values[a32] - c3) == 0
    assert found[0].tableau.name == "three stages"
    assert "where c2 != 0" in str(found[0])


@pytest.mark.parametrize(
    "A, b, order, values",
    [
        ([[x]], [1], 2, [{x: sympy.Rational(1, 2)}]),
        ([[], [x]], [1 - y, y], 2, [{x: c2, y: 1 / (2 * c2)}]),
        ([[0, 0], [1 - x, x]], [1 - x, x], 2, [{x: sympy.Rational(1, 2)}]),
        ([[], [1 / x]], [1 - y, y], 2, [{x: x, y: x / 2}]),
        ([[], ["1/2"]], [0, 1], 2, [{}]),
        ([[], ["1/2"]], [0, 1], 3, []),
        ([[], ["1/2"]], [x, 1 - x], 3, []),
        ([[], [x], [0, y]], ["1/6", "1/3", "1/2"], 2, [{x: (3 - 3 * y) / 2, y: y}]),
    ],
)
def test_other_tableaux(A, b, order, values):
    found = solve_order_conditions(Tableau(A, b), order)
    assert len(found) == len(values)
    for family, expected in zip(found, values, strict=True):
        assert {
            s: sympy.simplify(family.values[s] - v) for s, v in expected.items()
        } == dict.fromkeys(expected, 0)
        assert check(family.tableau, max_order=order).order >= order


def test_given_nodes_are_solved_for_as_well():
    (family,) = solve_order_conditions(Tableau([[], [x]], [1 - y, y], [0, c2]), 2)
    assert family.tableau.has_row_sums
    assert family.values[x] == c2


def test_symbols_of_embedded_weights_remain():
    tableau = Tableau([[], [x]], [1 - y, y], b_hat=[b1, 1 - b1])
    (family,) = solve_order_conditions(tableau, 2)
    assert family.parameters == (b1, c2)
    assert family.tableau.b_hat == (b1, 1 - b1)


def _cubic():
    """Alexander's method of order 3, whose gamma is the root of a cubic."""
    last = [1 - x - y, y, x]
    return Tableau([[x], [a21, x], last], last)


@pytest.mark.parametrize(
    "A, b, order, members",
    [
        (
            [[sympy.Symbol("a11"), sympy.Symbol("a12")], [a21, sympy.Symbol("a22")]],
            [b1, b2],
            4,
            [tableaux.gauss(2)],
        ),
        ([[x], [y, x]], [1 - b2, b2], 3, [tableaux.sdirk(2, 3)]),
        ([[x], [y, x]], [y, x], 2, [tableaux.sdirk(2)]),
    ],
    ids=["gauss", "crouzeix", "alexander"],
)
def test_implicit_methods_whose_coefficients_are_roots(A, b, order, members):
    """Both roots of a quadratic equation, which for Gauss are one method."""
    found = [family.tableau for family in solve_order_conditions(Tableau(A, b), order)]
    assert len(found) == 2
    assert all(member in found for member in members)
    assert all(check(tableau, max_order=order).order == order for tableau in found)


@pytest.mark.slow
def test_conditions_that_grow_too_long():
    with pytest.raises(TableauError, match=r"at most 100 terms\. Received: one of"):
        solve_order_conditions(5, 4)


@pytest.mark.parametrize(
    "call, match",
    [
        (lambda: solve_order_conditions(4, 4, seconds=0.01), "0.01 seconds"),
        (lambda: solve_order_conditions(7, 7), "up to order 6. Received: order=7"),
        (lambda: solve_order_conditions(10, 2), "between 1 and 9.*Received: 10"),
        (lambda: solve_order_conditions(True, 2), "Received: True"),
        (lambda: solve_order_conditions(2, 0), "order"),
        (lambda: solve_order_conditions(2, 2, seconds=0), "`seconds`.*Received: seconds=0"),
        (lambda: solve_order_conditions(Tableau([[], ["sqrt(2)"]], [x, y]), 2), "square root"),
        (lambda: solve_order_conditions(_cubic(), 3), r"quadratic one in one symbol.* = 0; put"),
    ],
)
def test_refusals(call, match):
    with pytest.raises(TableauError, match=match):
        call()


def test_an_equation_without_real_roots_has_no_solution():
    assert list(Elimination([x, y], 10).solutions([x**2 + 1, y - x])) == []
    assert list(Elimination([x, y], 10).solutions([x * y - 1, x], [y])) == []


def test_a_product_and_a_vanishing_pivot_open_cases_that_exclude_one_another():
    assert list(Elimination([y, x], 10).solutions([x * y - x])) == [{y: y, x: 0}, {y: 1, x: x}]
    equations = [a21 * x + a31 * y - a21 - a31, a31 * x + a21 * y - a21 - a31]
    found = list(Elimination([x, y, a21, a31], 10).solutions(equations))
    assert {x: 1, y: 1, a21: a21, a31: a31} in found
    assert {x: 1, y: 1, a21: 0, a31: a31} in found  # where a pivot vanished, and nothing else
    kept = _distinct(found)
    assert {x: 1, y: 1, a21: 0, a31: a31} not in kept
    assert {x: x, y: y, a21: 0, a31: 0} in kept
    assert {x: 2 - y, y: y, a21: a31, a31: a31} in kept
    assert len(kept) == 4
