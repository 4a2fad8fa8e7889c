"""Which stages are evaluated, with which factors, and what a step emits."""

from fractions import Fraction

import numpy as np
import pytest
import sympy

from keras_rk import Tableau, tableaux
from keras_rk.steps.stages import Term, combine, stage_plan, step

ONE = Fraction(1)
DEAD_END = Tableau(
    [[], ["1/2"], [0, 1], ["1/3", 0, 0]], [0, 1, 0, 0]
)  # stages 3 and 4 lead nowhere
CHAIN = Tableau([[], ["1/2"], [0, "1/2"]], [0, 0, 1])  # no weight on stages 1 and 2


class Number:
    """A tensor that counts its operations."""

    operations = 0

    def __mul__(self, factor):
        type(self).operations += 1
        return self

    def __add__(self, other):
        type(self).operations += 1
        return self


@pytest.mark.parametrize(
    ("tableau", "stages"),
    [
        (tableaux.get("rk4"), (0, 1, 2, 3)),
        (DEAD_END, (0, 1)),
        (CHAIN, (0, 1, 2)),
        (Tableau([[], [0]], [0, 1]), (1,)),
        (tableaux.get("bogacki_shampine32"), (0, 1, 2)),
        (tableaux.get("dormand_prince54"), (0, 1, 2, 3, 4, 5)),
        (tableaux.hermite("rk4"), (0, 1, 2, 3)),
        (tableaux.continuous("dop853"), tuple(range(12))),
    ],
    ids=["all", "dead end", "chain", "unused first", "fsal 3", "fsal 5", "hermite", "dop853"],
)
def test_only_stages_that_reach_the_output_are_evaluated(tableau, stages):
    assert stage_plan(tableau, ONE, "float32").stages == stages


def test_zero_coefficients_leave_no_term():
    plan = stage_plan(tableaux.get("rk4"), ONE, "float64")
    assert plan.rows == ((), (Term(0, 0.5),), (Term(1, 0.5),), (Term(2, 1.0),))
    assert [term.position for term in plan.update] == [0, 1, 2, 3]


def test_positions_count_evaluated_stages_only():
    plan = stage_plan(Tableau([[], [0], [0, "1/2"]], [0, "1/4", "3/4"]), ONE, "float64")
    assert plan.stages == (1, 2)
    assert plan.rows == ((), (Term(0, 0.5),))
    assert plan.update == (Term(0, 0.25), Term(1, 0.75))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["rk4", "dormand_prince54", "cooper_verner8"])
def test_factors_are_the_nearest_numbers(name, dtype):
    tableau, dt = tableaux.get(name), Fraction(1, 10)
    plan = stage_plan(tableau, dt, dtype)
    exact = [sympy.N(sympy.sympify(weight) / 10, 50) for weight in tableau.b if weight != 0]
    assert max(_ulps(t.factor, x, dtype) for t, x in zip(plan.update, exact, strict=True)) <= 0.5


def _ulps(number, exact, dtype):
    spacing = sympy.Rational(*float(np.spacing(np.dtype(dtype).type(number))).as_integer_ratio())
    return abs((sympy.Rational(*number.as_integer_ratio()) - exact) / spacing)


def test_one_rounding_is_not_two():
    tableau = Tableau([[], ["1/7"]], [0, 1])
    (term,) = stage_plan(tableau, Fraction(1, 10), "float32").rows[1]
    assert term.factor == float(np.float32(1 / 70))
    assert term.factor != float(np.float32(1 / 10) * np.float32(1 / 7))


@pytest.mark.parametrize(
    ("terms", "operations"),
    [((), 0), ((Term(0, 1.0),), 1), ((Term(0, 0.5),), 2), ((Term(0, 1.0), Term(1, 0.5)), 3)],
    ids=["nothing", "factor one", "factor half", "two terms"],
)
def test_a_factor_of_one_and_no_terms_emit_nothing(terms, operations):
    Number.operations = 0
    combine(Number(), terms, [Number(), Number()])
    assert Number.operations == operations


def test_small_terms_are_summed_before_they_meet_y():
    terms = (Term(0, 1.0), Term(1, 1.0))
    tiny = np.float32(2.0**-24)  # half an ulp of one: added one by one, both would be lost
    assert combine(np.float32(1), terms, [tiny, tiny]) == np.float32(1) + 2 * tiny


def test_a_step_evaluates_stage_by_stage():
    places = []

    def evaluate(place, y):
        places.append(place)
        return -y

    y, error = step(evaluate, 1.0, stage_plan(tableaux.get("rk4"), ONE, "float64"))
    assert (places, error) == ([0, 1, 2, 3], None)
    assert y == pytest.approx(1 - 1 + 1 / 2 - 1 / 6 + 1 / 24)


@pytest.mark.parametrize(
    "name", [name for name in tableaux.names() if tableaux.get(name).b_hat is not None]
)
def test_the_error_estimate_is_the_difference_of_the_pair(name):
    tableau, dt = tableaux.get(name), Fraction(1, 4)
    _, error = step(lambda _, y: -y, 1.0, stage_plan(tableau, dt, "float64", estimate=True))
    embedded = Tableau(tableau.A, tableau.b_hat)
    ends = [
        step(lambda _, y: -y, 1.0, stage_plan(method, dt, "float64"))[0]
        for method in (tableau, embedded)
    ]
    assert error == pytest.approx(ends[0] - ends[1], abs=1e-14)
    assert error != 0


def test_other_factors_in_the_same_plan():
    plan = stage_plan(tableaux.get("rk4"), ONE, "float64")
    double = plan.with_factors([2 * factor for factor in plan.factors])
    assert double == stage_plan(tableaux.get("rk4"), 2 * ONE, "float64")


@pytest.mark.parametrize("dt", [10**60, Fraction(1, 10**60)], ids=["too large", "too small"])
def test_dt_has_to_fit_into_the_dtype(dt):
    with pytest.raises(ValueError, match=r"Received: dt=1e[+-]60"):
        stage_plan(tableaux.get("rk4"), Fraction(dt), "float32")
