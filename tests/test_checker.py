"""check: explicit, consistent, row sums, orders, claims, verdicts, and what it prints."""

from __future__ import annotations

import json
import math
from fractions import Fraction

import numpy as np
import pytest
import sympy

from keras_rk import CheckReport, Tableau, TableauError, check, tableaux
from keras_rk.proof.order_conditions import Residuals

RK4 = ([[], ["1/2"], [0, "1/2"], [0, 0, 1]], ["1/6", "1/3", "1/3", "1/6"])
GAUSS2 = ([["1/4", "1/4 - sqrt(3)/6"], ["1/4 + sqrt(3)/6", "1/4"]], ["1/2", "1/2"])
ALPHA = sympy.Symbol("alpha")


def scaled_floats(name):
    """The float64 copy of a named method."""
    arrays = tableaux.get(name).to_numpy()
    return Tableau(arrays.A, arrays.b, b_hat=arrays.b_hat, name=f"{name} in floats")


@pytest.mark.parametrize("order", [4, np.int64(4)])
def test_a_sound_method(order):
    report = check(RK4, order=order)
    assert isinstance(report, CheckReport)
    assert report
    assert (report.explicit, report.consistent, report.row_sums) == (True, True, True)
    assert (report.order, report.nonautonomous_order, report.embedded_order) == (4, 4, None)
    assert (report.verdict, report.failures) == ("exact", ())
    assert report.raise_if_failed() is None


@pytest.mark.parametrize("order", [5, 8, 40])
def test_an_order_it_does_not_have(order):
    report = check(RK4, order=order)
    assert not report
    assert (report.order, report.verdict) == (4, "failed")
    (failure,) = report.failures
    assert failure.rule == "order"
    assert len(failure.conditions) == 9  # every tree of order 5 fails for rk4
    bushy = failure.conditions[0]
    assert str(bushy.tree) == "[τ,τ,τ,τ]"
    assert bushy.elementary_weight == Fraction(5, 24)
    assert bushy.required == Fraction(1, 5)
    assert bushy.residual == Fraction(1, 120)
    with pytest.raises(TableauError, match=rf"(?s)asked for is {order}; the order is 4.*1/120"):
        report.raise_if_failed()


def test_a_claim_is_verified_and_never_trusted():
    report = check(Tableau(*RK4, claimed_order=5))
    assert not report
    assert (report.order, report.claimed_order) == (4, 5)
    assert "claimed is 5" in report.failures[0].message


def test_an_embedded_claim_is_verified():
    pair = tableaux.get("dormand_prince54")
    wrong = Tableau(pair.exact_A, pair.exact_b, b_hat=pair.exact_b_hat, claimed_embedded_order=5)
    report = check(wrong)
    assert (report.order, report.embedded_order) == (5, 4)
    assert [failure.rule for failure in report.failures] == ["embedded_order"]


def test_embedded_weights_of_higher_order_than_the_main_ones():
    report = check("fehlberg45")
    assert (report.order, report.embedded_order) == (4, 5)


def test_inconsistent():
    report = check(([[], ["1/2"]], [0, "0.999"]))
    assert not report.consistent
    assert report.order == 0
    assert [failure.rule for failure in report.failures] == ["consistent"]
    assert "sum(b) = 999/1000" in report.failures[0].message


def test_implicit():
    report = check(GAUSS2)
    assert not report.explicit
    assert report.order == 4
    assert [failure.rule for failure in report.failures] == ["explicit"]
    assert "A[0][0] = 1/4" in report.failures[0].message


@pytest.mark.parametrize(
    ("A", "b", "c", "order", "nonautonomous"),
    [
        (*RK4, [0, 0, "1/2", 1], 4, 1),
        # as torchdyn 1.0.6 evaluates f: findings/torchdyn_rk4_with_time.sh
        (*RK4, [0, 0, "1/2", "1/2"], 4, 1),
        ([[], [1]], ["1/2", "1/2"], ["1/2", "1/2"], 2, 2),
        ([[], [1]], ["1/2", "1/2"], [0, 0], 2, 1),
        ([[]], [1], ["1/2"], 1, 1),
    ],
)
def test_nodes_that_are_not_row_sums(A, b, c, order, nonautonomous):
    report = check((A, b, c))
    assert not report
    assert (report.row_sums, report.order) == (False, order)
    assert report.nonautonomous_order == nonautonomous
    assert {failure.rule for failure in report.failures} == {"row_sums"}
    waived = check((A, b, c), require_row_sums=False)
    assert waived
    assert not waived.row_sums


def test_an_implicit_method_where_that_is_no_failure():
    implicit = (["1/4", "1/4 - sqrt(3)/6"], ["1/4 + sqrt(3)/6", "1/4"]), ["1/2", "1/2"]
    assert [failure.rule for failure in check(implicit, 4).failures] == ["explicit"]
    report = check(implicit, 4, require_explicit=False)
    assert report
    assert (report.explicit, report.order, report.verdict) == (False, 4, "exact")
    assert not check(implicit, 5, require_explicit=False)


@pytest.mark.parametrize(
    ("c", "slope"), [([0, "1/2", "1/2", 1], 4), ([0, 0, "1/2", 1], 1), (["1/2"] * 4, 2)]
)
def test_nonautonomous_order_is_what_integration_shows(c, slope):
    # y' = y cos(t) + y**2 sin(2 t)/4 and its own t: nonlinear and time-dependent
    tableau = Tableau(*RK4, c)
    arrays = tableau.to_numpy()

    def f(t, y):
        return y * np.cos(t) + y**2 * np.sin(2 * t) / 4

    def integrate(steps, arrays):
        y, dt = 1.0, 1 / steps
        for n in range(steps):
            k = np.zeros(4)
            for i in range(4):
                k[i] = f((n + arrays.c[i]) * dt, y + dt * arrays.A[i] @ k)
            y += dt * arrays.b @ k
        return y

    truth = integrate(4000, Tableau(*RK4).to_numpy())
    errors = [abs(integrate(steps, arrays) - truth) for steps in (40, 80)]
    assert check(tableau, require_row_sums=False).nonautonomous_order == slope
    assert np.log2(errors[0] / errors[1]) == pytest.approx(slope, abs=0.15)


def test_three_verdicts_for_a_third():
    def verdict(third, two_thirds):
        return check(([[], [third], [0, two_thirds]], ["1/4", 0, "3/4"]), order=3).verdict

    assert verdict("1/3", "2/3") == "exact"
    assert verdict(0.3333333333333333, 0.6666666666666666) == "numeric"
    assert verdict("0.3333333", "0.6666667") == "failed"


def test_short_decimals_get_a_hint():
    report = check(([[], ["0.3333333"], [0, "0.6666667"]], ["1/4", 0, "3/4"]), order=3)
    assert "rationalize" in report.failures[0].message
    assert "rationalize" not in check(RK4, order=5).failures[0].message


@pytest.mark.parametrize("name", tableaux.names())
def test_float_copies_have_the_same_order_numerically(name):
    report = check(scaled_floats(name))
    assert report
    assert report.order == tableaux.get(name).claimed_order
    assert report.embedded_order == tableaux.get(name).claimed_embedded_order


def test_numeric_verdict_prints_its_residual():
    report = check(([[], [2 / 3]], [0.25, 0.75]), order=2)
    assert report.verdict == "numeric"
    assert "largest residual 2.8e-17" in str(report)
    assert report.to_dict()["largest_residual"] == pytest.approx(-2.8e-17, rel=0.1)


def test_a_tolerance_of_ones_own():
    short = ([[], ["0.667"]], ["0.25", "0.75"])
    assert check(short).order == 1
    assert check(short, tolerance=1e-3).order == 2
    assert check(short, tolerance=1e-3).verdict == "numeric"
    assert check(([[], [2 / 3]], [0.25, 0.75]), tolerance=0).order == 1


@pytest.mark.parametrize("name", tableaux.names())
@pytest.mark.parametrize("tolerance", [1e-3, 0.5, 0.999])
def test_no_tolerance_makes_an_order(name, tolerance):
    method = tableaux.get(name)
    if method.claimed_order > 8 and tolerance != 0.999:
        return
    report = check(name, tolerance=tolerance)
    assert report
    assert report.order == method.claimed_order
    assert report.embedded_order == method.claimed_embedded_order
    assert not check(name, method.claimed_order + 1, tolerance=tolerance)


def test_a_tolerance_that_is_capped_is_said():
    report = check("euler", order=9, tolerance=0.5)
    assert (bool(report), report.order) == (False, 1)
    (remark,) = report.remarks
    assert remark == (
        "the tolerance of 0.5 is capped at 0.001/gamma: tree [τ] misses 1/gamma = 1/2 by -1/2"
    )
    assert remark in str(report)
    assert report.to_dict()["remarks"] == [remark]
    assert not check("euler", order=9, tolerance=0.4).remarks  # it would not have mattered


def test_nodes_are_not_anything_within_a_tolerance():
    report = check((*RK4, [0, "1/2", "1/3", 1]), tolerance=0.5)
    assert not report.row_sums
    assert report.nonautonomous_order == 1
    assert check((*RK4, [0, "1/2", "0.4999", 1]), order=4, tolerance=1e-3).row_sums


@pytest.mark.parametrize(
    ("half", "difference"), [("0.4", "1/10"), ("sqrt(6)/6", "(3 - sqrt(6))/6")]
)
def test_a_tolerance_on_nodes_that_is_capped_is_said(half, difference):
    report = check((*RK4, [0, "1/2", half, 1]), max_order=4, tolerance=0.1)
    (remark,) = report.remarks
    assert remark == (
        "the tolerance of 0.1 is capped at 0.001 for nodes: c[2] misses the sum of row 2 by "
        + difference
    )


def test_large_exact_coefficients_do_not_widen_the_tolerance_without_bound():
    # Phi(|A|, |b|) is 2e16 here, so that n eps Phi alone would let 1e-3 pass
    report = check(([[], [0]], [10**16, Fraction(1001, 1000) - 10**16]))
    assert not report.consistent


def test_symbols_hold_for_all_their_values():
    family = Tableau([[], [ALPHA]], [1 - 1 / (2 * ALPHA), 1 / (2 * ALPHA)], claimed_order=2)
    report = check(family)
    assert report
    assert (report.order, report.verdict) == (2, "exact")
    failing = check(family, order=3).failures[0].conditions
    assert failing[0].residual == ALPHA / 2 - sympy.Rational(1, 3)
    assert failing[1].residual == sympy.Rational(-1, 6)
    assert "alpha" in str(check(family, order=3))
    assert check(family.subs(alpha="2/3"), order=2)


def test_the_two_parameter_family_of_order_4():
    u, v = sympy.symbols("u v")
    w = 6 * u * v - 4 * (u + v) + 3
    a32 = v * (v - u) / (2 * u * (1 - 2 * u))
    a42 = (1 - u) * (u + v - 1 - (2 * v - 1) ** 2) / (2 * u * (v - u) * w)
    a43 = (1 - 2 * u) * (1 - u) * (1 - v) / (v * (v - u) * w)
    b2 = (2 * v - 1) / (12 * u * (v - u) * (1 - u))
    b3 = (1 - 2 * u) / (12 * v * (v - u) * (1 - v))
    b4 = sympy.Rational(1, 2) + (2 * (u + v) - 3) / (12 * (1 - u) * (1 - v))
    family = Tableau(
        [[], [u], [v - a32, a32], [1 - a42 - a43, a42, a43]], [1 - b2 - b3 - b4, b2, b3, b4]
    )
    report = check(family, order=4)
    assert report
    assert (report.order, report.verdict) == (4, "exact")
    assert check(family, order=5).failures[0].conditions[0].elementary_weight.free_symbols
    assert check(family.subs(u="1/3", v="2/3")).tableau == tableaux.get("rk38")


def test_max_order_is_a_lower_bound():
    report = check(RK4, max_order=3)
    assert (report.order, report.order_is_lower_bound) == (3, True)
    assert "at least 3" in str(report)
    assert not check(RK4).order_is_lower_bound
    assert check(RK4, order=4, max_order=2).order == 4


def test_order_of_a_high_order_method_is_not_cut_short():
    assert check("hairer10", max_order=10).order_is_lower_bound
    assert not check("hairer10").order_is_lower_bound


@pytest.mark.parametrize(
    "options",
    [
        {"order": 0},
        {"order": 4.0},
        {"order": True},
        {"order": "4"},
        {"order": 1000},
        {"order": 10**5000},
        {"max_order": 0},
        {"max_order": None},
        {"tolerance": -1},
        {"tolerance": float("nan")},
        {"tolerance": float("inf")},
        {"tolerance": "small"},
        {"tolerance": True},
    ],
    ids=lambda options: repr(list(options)),
)
def test_bad_options(options):
    with pytest.raises(TableauError, match="Received"):
        check(RK4, **options)


@pytest.mark.parametrize(
    "tableau", [None, 4, "no such method", (1,), ([[]], [float("nan")]), {}, b"rk4"], ids=repr
)
def test_bad_tableaux(tableau):
    with pytest.raises(TableauError):
        check(tableau)


def test_a_claim_of_order_40_ends_at_the_first_order_that_fails(deadline):
    assert check("euler", order=40).order == 1  # there are 10**14 trees of order 40


def test_the_common_denominator_has_a_limit(deadline):
    rows = [[Fraction(1, 10**100 + i)] * i for i in range(100)]
    with pytest.raises(TableauError, match="common denominator"):
        check((rows, [1] + [0] * 99))


def test_numbers_beyond_floats_in_the_order_conditions():
    huge = 10**300
    report = check(([[], [huge], [0, huge], [0, 0, huge]], [1 - huge, 0, 0, huge]), order=4)
    assert report.order == 1
    assert "2**" in str(check(([[], [huge]], [1 - huge, huge]), order=2))
    json.dumps(report.to_dict())


def test_embedded_weights_count_for_the_verdict():
    report = check(Tableau([[], [1], [1, 1]], ["1/2", "1/2", 0], b_hat=[0.1, 0.2, 0.7]))
    assert report.evidence[0].verdict == "exact"
    assert report.verdict == "numeric"


def test_large_entries_do_not_let_any_node_pass_as_a_row_sum():
    report = check(Tableau([[], [0], ["1e16", "1/2 - 1e16"]], [0, 0, 1], [0, 0, 5]), order=2)
    assert not report.row_sums
    assert report.nonautonomous_order == 1


def test_rounded_nodes_are_numeric():
    report = check(([[], ["1/3"]], ["-1/2", "3/2"], [0, 1 / 3]))
    assert report
    assert (report.row_sums, report.nonautonomous_order, report.verdict) == (True, 2, "numeric")


def test_symbolic_residuals_that_are_numbers_follow_the_tolerance():
    family = Tableau([[], [ALPHA]], [1 / 3, 2 / 3])
    assert check(family).order == 1
    assert check(family).verdict == "numeric"


def test_floats_beside_symbols_are_exact():
    x = ALPHA
    report = check(Tableau([[], [0], [0, 0]], [0.1 * x, 0.2 * x, 1 - (0.1 + 0.2) * x]))
    assert report.order == 0  # 0.1 + 0.2 is not 0.30000000000000004


@pytest.mark.parametrize("order", [9, 10])
def test_exact_methods_get_no_hint_about_digits(order):
    assert "rationalize" not in check("dormand_prince87_exact", order).failures[0].message


def test_no_tolerance_lets_a_vanishing_weight_pass():
    # 1/15! is below 1e-12
    tall = Residuals(Tableau([[]], [1]))._verdict(15, -1, False, 1 / math.factorial(15))
    assert tall == "failed"


def test_printed_report():
    assert str(check(RK4, order=4)).splitlines() == [
        "tableau (4 stages)",
        "  explicit     yes",
        "  consistent   yes",
        "  row sums     yes",
        "  order        4, exactly; order 5 fails at tree [[[[τ]]]]: elementary weight 0, "
        "1/gamma 1/120, residual -1/120",
        "  asked for    4: holds",
        "  verdict      exact",
    ]


def test_printed_failure_names_tree_weight_density_and_residual():
    text = str(check(RK4, order=5))
    assert "FAILED order: The order asked for is 5; the order is 4." in text
    assert "tree [τ,τ,τ,τ]: elementary weight 5/24, 1/gamma 1/5, residual 1/120" in text
    assert "sum b_i c_i c_i c_i c_i = 1/5, levels 0 1 1 1 1" in text
    assert "and 4 more trees of order 5" in text


@pytest.mark.parametrize("name", ["euler", "rk8", "hairer10", "dormand_prince87", "verner98"])
@pytest.mark.parametrize("order", [None, 11])
def test_reports_are_ready_for_json(name, order):
    data = json.loads(json.dumps(check(name, order).to_dict()))
    assert data["holds"] is (order is None)
    assert data["order"] == tableaux.get(name).claimed_order
    assert data["next_order"][0]["order"] == data["order"] + 1
    assert bool(data["failures"]) is (order is not None)


@pytest.mark.parametrize(
    ("tableau", "rules"),
    [
        (([[]], [1], ["sqrt(2)"]), ["row_sums"]),
        (([[], ["1/2"]], [0, 1], [0, "sqrt(2)/2"]), ["row_sums"]),
        (([[], ["sqrt(2)/2"]], [0, 1], [0, "1/2"]), ["row_sums"]),
        (([[], ["sqrt(2)/2"]], [0, 1], ["sqrt(3)", "sqrt(3)/2"]), ["row_sums", "row_sums"]),
        (
            ([[], ["1/2", "sqrt(2) - 665857/470832"]], ["1/2", "1/2"], [0, "1/2"]),
            ["explicit", "row_sums"],  # 1.6e-12 is more than rounding explains
        ),
        (([[], ["1/2"]], [0, 1], [0, "1/2 + sqrt(2)/1e20"]), []),
    ],
)
@pytest.mark.parametrize("options", [{}, {"tolerance": 1e-15}], ids=["", "tolerance"])
def test_nodes_with_square_roots_that_are_not_row_sums(tableau, rules, options):
    A, b, c = tableau
    A = [row + [0] * (len(A) - len(row)) for row in A]
    report = check((A, b, c), **options)
    assert [failure.rule for failure in report.failures] == rules
    assert report.row_sums is ("row_sums" not in rules)
    waived = check((A, b, c), require_row_sums=False, **options)
    assert [failure.rule for failure in waived.failures] == [r for r in rules if r == "explicit"]


@pytest.mark.parametrize(
    "A, b",
    [
        ([[], ["2/3"]], ["1/4", "3/4"]),
        ([[], [1]], ["1/2", "1/2"]),
        ([["0", "0"], ["1", "0"]], ["1/2", "1/2"]),
        ([[], ["1/2"], [-1, 2]], ["1/6", "2/3", "1/6"]),
        (np.array([[0, 0], [1, 0]]), np.array([0.5, 0.5])),
        ([[]], [1]),
    ],
    ids=lambda value: str(value).replace("\n", ""),
)
def test_check_of_A_and_b_in_two_arguments_says_how_to_give_them(A, b):
    with pytest.raises(TableauError, match=r"in one argument: check\(\(A, b\)\)\. Received"):
        check(A, b)
    assert check((A, b)).consistent


@pytest.mark.parametrize("one", ["1+1e-400", "1-1e-400", "1+sqrt(2)*1e-400"])
@pytest.mark.parametrize("field", ["b", "b_hat"])
def test_a_residual_beneath_all_floats_is_not_zero(one, field):
    """2**-1074 is the smallest float; what is closer to zero is not exact all the same."""
    tableau = Tableau([[], ["1/2"]], ["1/2", "1/2"], b_hat=[one, 0]) if field == "b_hat" else None
    report = check(tableau or Tableau([[]], [one]))
    order = report.evidence[field == "b_hat"]
    assert (order.value, order.verdict) == (1, "numeric")
    assert order.largest.residual != 0
