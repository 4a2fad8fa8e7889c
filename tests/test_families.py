"""Families of methods by function: their order for all parameters, and what they equal."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction

import pytest
import sympy

from keras_rk import Tableau, TableauError, check, tableaux
from keras_rk.analysis.stability import stability_function
from keras_rk.tableaux.composition import with_two_halves

F = Fraction
HALF, QUARTER = F(1, 2), F(1, 4)
U, V, W = sympy.symbols("u v w")
ROOT5 = "sqrt(5)"


def field(t, y):
    """Nonlinear, not autonomous, and rational: steps are taken exactly."""
    return 1 + t * y - y * y / 3


def step(tableau, f=field, t=0, y=HALF, dt=QUARTER):
    """One step of an explicit method, exactly, from its tableau: with b, and with b_hat."""
    k = []
    for row, c in zip(tableau.A, tableau.c, strict=True):
        k.append(f(t + c * dt, y + dt * sum(a * x for a, x in zip(row, k, strict=False))))
    weights = (tableau.b, tableau.b_hat or tableau.b)
    return tuple(y + dt * sum(b * x for b, x in zip(bs, k, strict=True)) for bs in weights)


# free parameters


@pytest.mark.parametrize(
    ("alpha", "name"), [("1/2", "midpoint"), ("2/3", "ralston2"), (1, "heun2")]
)
def test_second_order_methods_of_the_literature(alpha, name):
    assert tableaux.second_order(alpha) == tableaux.get(name)


@pytest.mark.parametrize(
    ("nodes", "name"),
    [
        (("1/2", 1), "kutta3"),
        (("1/3", "2/3"), "heun3"),
        (("1/2", "3/4"), "ralston3"),
        ((1, "1/2"), "ssprk33"),
    ],
)
def test_third_order_methods_of_the_literature(nodes, name):
    assert tableaux.third_order(*nodes) == tableaux.get(name)


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        (("1/2", "1/2", "1/3"), "rk4"),
        (("1/2", "1/2", "(2 + sqrt(2))/6"), "gill4"),
        (("1/3", "2/3"), "rk38"),
        (("2/5", f"7/8 - 3*{ROOT5}/16"), "ralston4"),
    ],
)
def test_fourth_order_methods_of_the_literature(parameters, name):
    assert tableaux.fourth_order(*parameters) == tableaux.get(name)


@pytest.mark.parametrize(
    ("family", "parameters", "order", "stages"),
    [
        ("second_order", ("-7/3",), 2, 2),
        ("second_order", ("sqrt(2)",), 2, 2),
        ("third_order", ("1/5", "-3/7"), 3, 3),
        ("third_order", ("sqrt(2)/2", 3), 3, 3),
        ("third_order", ("2/3", "2/3", "1/7"), 3, 3),
        ("third_order", ("2/3", 0, "-2/5"), 3, 3),
        ("fourth_order", ("2/7", "3/5"), 4, 4),
        ("fourth_order", ("-1/3", "5/4"), 4, 4),
        ("fourth_order", ("1/4", "1/2"), 4, 4),
        ("fourth_order", ("1/2", "1/2", "sqrt(3)/5"), 4, 4),
        ("fourth_order", ("1/2", 0, "1/9"), 4, 4),
        ("fourth_order", (1, "1/2", "-2/9"), 4, 4),
    ],
)
def test_free_parameters_leave_the_order(family, parameters, order, stages):
    tableau = getattr(tableaux, family)(*parameters)
    report = check(tableau)
    assert report
    assert (report.order, report.verdict, tableau.stages) == (order, "exact", stages)
    assert tableau.claimed_order == order
    assert tableau.source
    assert tableau.name.startswith(family)


@pytest.mark.parametrize(
    ("family", "parameters", "values", "name"),
    [
        ("second_order", (U,), {"u": "2/3"}, "ralston2"),
        ("third_order", (U, V), {"u": "1/2", "v": 1}, "kutta3"),
        ("third_order", (U, 1 - U), {"u": "1/3"}, "heun3"),
        ("fourth_order", (U, V), {"u": "1/3", "v": "2/3"}, "rk38"),
        ("fourth_order", ("1/2", "1/2", W), {"w": "1/3"}, "rk4"),
    ],
)
def test_parameters_may_be_symbols(family, parameters, values, name):
    tableau = getattr(tableaux, family)(*parameters)
    assert tableau.is_symbolic
    assert tableau.subs(**values) == tableaux.get(name)


@pytest.mark.parametrize(
    ("family", "arguments", "message"),
    [
        ("second_order", (0,), "not zero.*alpha=0"),
        ("second_order", ("x",), "`alpha`"),
        ("second_order", (None,), "`alpha`"),
        ("third_order", ("1/2", "1/2"), "differ.*c2=1/2, c3=1/2"),
        ("third_order", ("2/3", "1/2"), "c2 is not 2/3"),
        ("third_order", ("1/2", 0), "not zero"),
        ("third_order", ("2/3", "2/3"), "weight=None"),
        ("third_order", ("2/3", 0, 0), "free weight is not zero"),
        ("third_order", ("1/2", 1, "1/2"), "only for them.*weight=1/2"),
        ("fourth_order", ("1/2", "3/4"), "c2 not 1/2"),
        ("fourth_order", ("1/3", 1), "neither 0 nor 1"),
        ("fourth_order", ("1/3", "5/6"), "not 0"),  # 6 c2 c3 - 4 (c2 + c3) + 3
        ("fourth_order", (1, "1/2"), "weight=None"),
        ("fourth_order", ("1/3", "2/3", "1/8"), "only for them"),
        ("ssp_second_order", (1,), "from 2 to 200.*stages=1"),
        ("ssp_second_order", (2.5,), "integer"),
        ("ssp_second_order", (True,), "integer"),
        ("ssp_third_order", (5,), "square.*stages=5"),
        ("extrapolated_euler", (0,), "order=0"),
        ("extrapolated_euler", (3, "fibonacci"), "harmonic, romberg, bulirsch.*'fibonacci'"),
        ("extrapolated_euler", (3, (1, 2)), "3 different positive integers"),
        ("extrapolated_euler", (3, (1, 2, 2)), "different"),
        ("extrapolated_euler", (12, "romberg"), "512 stages; this one needs 4084"),
        ("extrapolated_midpoint", (3,), "even order.*order=3"),
        ("extrapolated_midpoint", (4, (2, 3)), "even integers"),
        ("deferred_correction", (3, "chebyshev"), "equispaced, lobatto.*'chebyshev'"),
        ("deferred_correction", (9,), "from 1 to 8"),
        ("deferred_correction", (3, "lobatto", U), "`theta` must be a number"),
        ("runge_kutta_chebyshev", (1,), "from 2 to 100"),
        ("runge_kutta_chebyshev", (3, 3), "`order`.*from 1 to 2"),
        ("runge_kutta_chebyshev", (3, 2, -1), "not negative.*damping=-1"),
        ("runge_kutta_chebyshev", (3, 2, "sqrt(2)"), "rational"),
        ("runge_kutta_chebyshev", (40, 2), "bits"),
        ("runge_kutta_gegenbauer", (3, 2, "-1/2"), "not negative.*parameter=-1/2"),
        ("scaled", ("rk4", 0), "size zero"),
        ("scaled", ("rk44", 1), "Did you mean"),
        ("richardson", (Tableau([[]], [1]),), "pass `order=`"),
        ("richardson", ("rk4", 0), "`order`"),
        ("compose", ("rk4",), "at least two"),
    ],
)
def test_bad_parameters_are_refused_with_the_rule(family, arguments, message):
    with pytest.raises(TableauError, match=message) as error:
        getattr(tableaux, family)(*arguments)
    assert "Received" in str(error.value)


# strong stability


def is_absolutely_monotonic(tableau, r):
    """(I + r K)^-1 and r K (I + r K)^-1 1 are not negative where K is A with the row b below it."""
    s = tableau.stages
    K = sympy.Matrix(s + 1, s + 1, lambda i, j: [*tableau.A, tableau.b][i][j] if j < s else 0)
    inverse = (sympy.eye(s + 1) + r * K).inv(method="LU")
    return all(x >= 0 for x in (*(r * K * inverse), *(inverse * sympy.ones(s + 1, 1))))


@pytest.mark.parametrize(
    ("family", "stages", "coefficient", "order"),
    [
        ("ssp_second_order", 2, 1, 2),
        ("ssp_second_order", 5, 4, 2),
        ("ssp_third_order", 4, 2, 3),
        ("ssp_third_order", 9, 6, 3),
    ],
)
def test_the_ssp_coefficient_is_the_published_one(family, stages, coefficient, order):
    tableau = getattr(tableaux, family)(stages)
    assert (check(tableau).order, tableau.stages) == (order, stages)
    assert is_absolutely_monotonic(tableau, coefficient)
    assert not is_absolutely_monotonic(tableau, coefficient + F(1, 1000))


@pytest.mark.parametrize("stages", [16, 25, 100])
def test_many_stages_of_ssp_third_order(stages):
    assert check(tableaux.ssp_third_order(stages), order=3)


def test_ssp_families_begin_with_named_methods():
    assert tableaux.ssp_second_order(2) == tableaux.get("heun2")
    ssprk43, four = tableaux.get("ssprk43"), tableaux.ssp_third_order(4)
    assert (four.A, four.b) == (ssprk43.A, ssprk43.b)


# extrapolation


def euler_steps(n, dt):
    y = HALF
    for i in range(n):
        y += dt / n * field(dt * i / n, y)
    return y


def midpoint_steps(n, dt):
    h = dt / n
    before, y = HALF, HALF + h * field(F(0), HALF)
    for i in range(1, n):
        before, y = y, before + 2 * h * field(i * h, y)
    return y


def aitken_neville(steps, column, power):
    """The extrapolated value, and the one of an order less."""
    rows = [column]
    for k in range(1, len(steps)):
        last = rows[-1]
        rows.append(
            [
                last[j + 1] + (last[j + 1] - last[j]) / (F(steps[j + k], steps[j]) ** power - 1)
                for j in range(len(last) - 1)
            ]
        )
    return rows[-1][0], rows[-2][-1]


@pytest.mark.parametrize(
    ("order", "sequence", "steps"),
    [
        (2, "harmonic", (1, 2)),
        (4, "harmonic", (1, 2, 3, 4)),
        (4, "romberg", (1, 2, 4, 8)),
        (6, "bulirsch", (1, 2, 3, 4, 6, 8)),
        (3, (2, 5, 3), (2, 5, 3)),
    ],
)
def test_extrapolated_euler_is_aitken_and_nevilles_scheme(order, sequence, steps):
    tableau = tableaux.extrapolated_euler(order, sequence)
    results = [euler_steps(n, F(1, 4)) for n in steps]
    assert step(tableau) == aitken_neville(steps, results, 1)
    assert tableau.stages <= 1 + sum(n - 1 for n in steps)


@pytest.mark.parametrize(
    ("order", "sequence", "steps"),
    [
        (4, "harmonic", (2, 4)),
        (6, "romberg", (2, 4, 8)),
        (10, "bulirsch", (2, 4, 6, 8, 12)),
        (6, (2, 6, 8), (2, 6, 8)),
    ],
)
def test_extrapolated_midpoint_is_aitken_and_nevilles_scheme(order, sequence, steps):
    tableau = tableaux.extrapolated_midpoint(order, sequence)
    results = [midpoint_steps(n, F(1, 4)) for n in steps]
    assert step(tableau) == aitken_neville(steps, results, 2)


@pytest.mark.parametrize("order", range(1, 11))
def test_extrapolated_euler_has_its_orders_and_stages(order):
    tableau = tableaux.extrapolated_euler(order)
    report = check(tableau)
    assert report
    assert (report.order, report.embedded_order) == (order, order - 1 or None)
    assert tableau.stages == order * (order - 1) // 2 + 1


@pytest.mark.parametrize("order", [2, 4, 6, 8, 10, 12])
def test_extrapolated_midpoint_has_its_orders_and_stages(order):
    tableau = tableaux.extrapolated_midpoint(order)
    report = check(tableau)
    assert report
    assert (report.order, report.embedded_order) == (order, order - 2 or None)
    assert tableau.stages == (order // 2) ** 2 + 1


# deferred correction


@pytest.mark.parametrize("theta", [1, 0, "2/3"])
@pytest.mark.parametrize("nodes", ["equispaced", "lobatto"])
@pytest.mark.parametrize("order", range(1, 7))
def test_each_sweep_raises_the_order(order, nodes, theta):
    report = check(tableaux.deferred_correction(order, nodes, theta))
    assert report
    assert report.order == order


@pytest.mark.parametrize(("order", "nodes"), [(8, "lobatto"), (10, "equispaced")])
def test_deferred_correction_of_high_order(order, nodes):
    assert check(tableaux.deferred_correction(order, nodes)).order == order


def test_deferred_correction_is_the_sweep_that_is_written_down():
    """Order 4 on 0, 1/2, 1: Simpson's rule and its half (5, 8, -1)/24."""
    halves = ((F(5, 24), F(1, 3), F(-1, 24)), (F(-1, 24), F(1, 3), F(5, 24)))
    dt, times = F(1, 4), (F(0), F(1, 8), F(1, 4))
    y = [HALF, HALF + dt / 2 * field(F(0), HALF)]
    y.append(y[1] + dt / 2 * field(times[1], y[1]))
    for _ in range(3):
        old = [field(t, x) for t, x in zip(times, y, strict=True)]
        new = [HALF]
        for j in range(2):
            change = dt / 2 * (field(times[j], new[j]) - old[j])
            integral = dt * sum(w * k for w, k in zip(halves[j], old, strict=True))
            new.append(new[j] + change + integral)
        y = new
    assert step(tableaux.deferred_correction(4))[0] == y[-1]


@pytest.mark.parametrize(
    ("order", "theta", "stages"), [(4, 1, 8), (4, 0, 7), (6, 1, 18), (6, 0, 16)]
)
def test_deferred_correction_evaluates_each_node_once_a_sweep(order, theta, stages):
    """First values and p - 2 sweeps at m nodes, the start, and m - 1 more in the last sweep."""
    assert tableaux.deferred_correction(order, theta=theta).stages == stages


# composition, scaling, Richardson


@pytest.mark.parametrize(
    ("first", "second", "weights"),
    [("rk4", "heun3", None), ("kutta3", "rk38", ("2/3", "1/3")), ("merson43", "rk4", (2, -1))],
)
def test_a_composition_is_one_step_after_another(first, second, weights):
    dt = F(1, 4)
    shares = [F(w) for w in weights or (HALF, HALF)]
    middle, _ = step(tableaux.get(first), dt=shares[0] * dt)
    end, _ = step(tableaux.get(second), t=shares[0] * dt, y=middle, dt=shares[1] * dt)
    assert step(tableaux.compose(first, second, weights=weights))[0] == end


@pytest.mark.parametrize(
    ("names", "orders", "stages"),
    [
        (("rk4", "rk4"), (4, None), 8),
        (("rk4", "euler"), (1, None), 5),
        (("bogacki_shampine32", "bogacki_shampine32"), (3, 2), 7),  # FSAL
        (("dormand_prince54", "bogacki_shampine32", "merson43"), (3, 2), 7 + 3 + 4),
        (("ralston4", "gill4"), (4, None), 8),
    ],
)
def test_orders_and_stages_of_a_composition(names, orders, stages):
    tableau = tableaux.compose(*names)
    report = check(tableau)
    assert report
    assert (report.order, report.embedded_order) == orders
    assert (tableau.claimed_order, tableau.claimed_embedded_order) == orders
    assert tableau.stages == stages


def test_the_stability_function_of_a_composition_is_the_product():
    composed = stability_function(tableaux.compose("rk4", "heun3", weights=("1/4", "3/4")))
    parts = stability_function("rk4"), stability_function("heun3")
    product = sympy.prod(
        sum(sympy.Rational(r) * (share * U) ** n for n, r in enumerate(part.coefficients))
        for part, share in zip(parts, (sympy.Rational(1, 4), sympy.Rational(3, 4)), strict=True)
    )
    expected = sympy.Poly(product, U).all_coeffs()[::-1]
    assert list(map(sympy.Rational, composed.coefficients)) == expected


def test_a_composition_keeps_nodes_that_are_no_row_sums():
    late = Tableau([[]], [1], c=["1/2"], name="late")
    assert tableaux.compose(late, late).c == (F(1, 4), F(3, 4))


def test_steps_that_do_not_sum_to_one_claim_no_order():
    tableau = tableaux.compose("rk4", "rk4", weights=(1, 1))
    assert tableau.claimed_order is None
    assert tableaux.scaled(tableau, "1/2") == tableaux.compose("rk4", "rk4")


def test_implicit_methods_are_composed():
    implicit_midpoint = Tableau([["1/2"]], [1], claimed_order=2)
    report = check(tableaux.compose(implicit_midpoint, implicit_midpoint))
    assert (report.order, report.tableau.stages, report.explicit) == (2, 2, False)
    assert ((F(1, 4), 0), (HALF, F(1, 4))) == report.tableau.A


def test_symbols_and_floats_pass_through():
    family = tableaux.compose(tableaux.second_order(U), "euler", weights=(V, 1 - V))
    numbers = tableaux.compose("midpoint", "euler", weights=("1/3", "2/3"))
    assert family.subs(u="1/2", v="1/3") == numbers
    floats = Tableau([[], [0.1]], [-4.0, 5.0])
    assert tableaux.compose(floats, "euler").has_floats
    assert tableaux.scaled(floats, 2).has_floats
    assert tableaux.richardson(floats, 1).has_floats


@pytest.mark.parametrize("weights", [(1,), ("1/2", "1/2", 0), "ab", ("1/2", 0), (None, 1)])
def test_weights_of_a_composition_are_checked(weights):
    with pytest.raises(TableauError, match="Received"):
        tableaux.compose("rk4", "rk4", weights=weights)


def test_scaled_by_one_keeps_the_claims_and_otherwise_none():
    pair = tableaux.get("dormand_prince54")
    assert tableaux.scaled(pair, 1) == pair
    assert check(tableaux.scaled(pair, 1)).claimed_order == 5
    assert tableaux.scaled(pair, 2).claimed_order is None
    assert step(tableaux.scaled(pair, 2), dt=F(1, 8)) == step(pair)


@pytest.mark.parametrize(
    ("name", "order"),
    [("euler", 1), ("midpoint", 2), ("heun3", 3), ("ralston4", 4), ("dormand_prince54", 5)],
)
def test_richardson_extrapolation_raises_the_order(name, order):
    tableau = tableaux.richardson(name)
    report = check(tableau)
    assert report
    assert (report.order, report.embedded_order) == (order + 1, order)
    # the two halves of a FSAL method have another stage in common
    assert tableau.stages == 3 * tableaux.get(name).stages - 1 - tableaux.get(name).is_fsal


def test_richardson_extrapolation_of_a_step():
    rk4, dt = tableaux.get("rk4"), F(1, 4)
    coarse, _ = step(rk4, dt=dt)
    middle, _ = step(rk4, dt=dt / 2)
    fine, _ = step(rk4, t=dt / 2, y=middle, dt=dt / 2)
    assert step(tableaux.richardson("rk4")) == (fine + (fine - coarse) / 15, fine)


@pytest.mark.parametrize("name", ["euler", "heun2", "rk4"])
def test_step_doubling_is_a_pair_of_the_step_and_two_halves(name):
    tableau = tableaux.get(name)
    pair = with_two_halves(tableau)
    halves = tableaux.compose(tableau, tableau)
    assert pair.stages == 3 * tableau.stages - 1
    assert step(pair)[0] == step(tableau)[0]
    assert step(pair)[1] == step(halves)[0]
    assert check(pair).order == check(Tableau(pair.A, pair.b_hat)).order == tableau.claimed_order


def test_richardson_of_euler_is_the_midpoint_rule():
    found = tableaux.richardson(tableaux.get("euler"))
    assert (found.A, found.b) == (tableaux.get("midpoint").A, tableaux.get("midpoint").b)


# stabilised methods


def chebyshev(s, order, damping):
    """R(z) with SymPy's Chebyshev polynomials."""
    z = sympy.Symbol("z")
    T = sympy.chebyshevt_poly(s, U, polys=True)
    w0 = 1 + sympy.Rational(damping) / s**2
    values = [T.diff((U, n)).eval(w0) if n else T.eval(w0) for n in range(3)]
    w1 = values[order - 1] / values[order]
    inner = T.as_expr().subs(U, w0 + w1 * z)
    scale = 1 / values[0] if order == 1 else values[2] / values[1] ** 2
    R = 1 + scale * (inner - values[0])
    return sympy.Poly(sympy.expand(R), z).all_coeffs()[::-1]


@pytest.mark.parametrize("damping", ["0", "1/20", "2/13"])
@pytest.mark.parametrize(("stages", "order"), [(2, 1), (5, 1), (2, 2), (3, 2), (6, 2)])
def test_stability_function_of_chebyshev(stages, order, damping):
    tableau = tableaux.runge_kutta_chebyshev(stages, order, damping)
    found = list(map(sympy.Rational, stability_function(tableau).coefficients))
    assert found == chebyshev(stages, order, damping)


@pytest.mark.parametrize("parameter", ["1/2", "3/2", "5/2"])
@pytest.mark.parametrize("stages", [1, 2, 5])
def test_stability_function_of_gegenbauer(stages, parameter):
    tableau = tableaux.runge_kutta_gegenbauer(stages, 1, parameter)
    a, z = sympy.Rational(parameter), sympy.Symbol("z")
    C = sympy.Poly(sympy.gegenbauer(stages, a, U), U)
    at_one = C.eval(1)
    R = C.as_expr().subs(U, 1 + at_one / C.diff(U).eval(1) * z) / at_one
    found = list(map(sympy.Rational, stability_function(tableau).coefficients))
    assert found == sympy.Poly(sympy.expand(R), z).all_coeffs()[::-1]


def interval(tableau):
    return stability_function(tableau).real_interval


@pytest.mark.parametrize("stages", [1, 2, 3, 7, 12, 20])
def test_real_interval_of_first_order_methods(stages):
    s = stages
    chebyshev = tableaux.runge_kutta_chebyshev
    gegenbauer = tableaux.runge_kutta_gegenbauer
    assert interval(chebyshev(s, 1, damping=0)) == pytest.approx(2 * s**2, rel=1e-12)
    assert interval(chebyshev(s, 1)) == pytest.approx((2 - F(4, 3) / 20) * s**2, rel=0.04)
    assert interval(gegenbauer(s, 1)) == pytest.approx((s**2 + 3 * s) / 2, rel=1e-12)
    assert interval(gegenbauer(s, 1, "1/2")) == pytest.approx(s**2 + s, rel=1e-12)


@pytest.mark.parametrize("stages", [2, 4, 8, 14, 20])
def test_real_interval_of_second_order_methods(stages):
    s = stages
    chebyshev = tableaux.runge_kutta_chebyshev
    gegenbauer = tableaux.runge_kutta_gegenbauer
    assert interval(chebyshev(s, damping=0)) == pytest.approx(2 * (s**2 - 1) / 3, rel=1e-12)
    published = F(2, 3) * (s**2 - 1) * (1 - F(2, 15) * F(2, 13))
    assert interval(chebyshev(s)) == pytest.approx(float(published), rel=0.03)
    assert interval(gegenbauer(s)) == pytest.approx((s - 1) * (s + 4) / 3, rel=1e-12)
    assert interval(gegenbauer(s, 2, "1/2")) == pytest.approx((s - 1) * (s + 2) / 2, rel=1e-12)


@pytest.mark.parametrize("stages", [3, 5, 11])
def test_an_odd_number_of_stages_reaches_further(stages):
    s = stages
    assert interval(tableaux.runge_kutta_chebyshev(s, damping=0)) > 2 * (s**2 - 1) / 3
    assert interval(tableaux.runge_kutta_gegenbauer(s)) > (s - 1) * (s + 4) / 3


@pytest.mark.parametrize("stages", [2, 3, 9, 20])
def test_damping_keeps_the_stability_function_below_one(stages):
    """Undamped, |R| returns to 1 between 0 and the end of the interval; damped, to 0.95."""
    R = stability_function(tableaux.runge_kutta_chebyshev(stages, 1))
    end = R.real_interval
    inner = [abs(R(-end * x / 400)) for x in range(60, 396)]
    assert max(inner) < 0.96


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("family", ["runge_kutta_chebyshev", "runge_kutta_gegenbauer"])
@pytest.mark.parametrize("stages", [2, 3, 10, 30])
def test_stabilised_methods_have_their_order_and_it_is_not_higher(family, stages, order):
    report = check(getattr(tableaux, family)(stages, order))
    assert report
    assert report.order == order


@pytest.mark.parametrize(
    ("family", "order"), [("runge_kutta_gegenbauer", 1), ("runge_kutta_gegenbauer", 2)]
)
def test_a_hundred_stages(family, order):
    assert check(getattr(tableaux, family)(100, order), order=order)


@pytest.mark.parametrize(
    "family, order", [("extrapolated_midpoint", 30), ("extrapolated_euler", 16)]
)
def test_an_order_that_no_proof_reaches_is_not_claimed(family, order):
    """Every layer proves what is claimed; trees of order 30 are 3 * 10^11."""
    tableau = getattr(tableaux, family)(order)
    assert tableau.claimed_order is None
    assert check(tableau, max_order=6).order == 6


# how they are found


def test_families_are_listed_and_found():
    families = set(tableaux._HOME)
    assert families < set(tableaux.__all__)
    assert families < set(dir(tableaux))
    assert all(callable(getattr(tableaux, family)) for family in families)
    with pytest.raises(AttributeError, match="no attribute 'decompose'"):
        tableaux.decompose  # noqa: B018


def test_families_and_their_modules_are_imported_when_first_asked_for():
    code = (
        "import sys; from keras_rk import tableaux; tableaux.names();"
        "print([m for m in sys.modules if m.startswith('keras_rk.butcher.tableau')"
        " or m in ('sympy', 'keras_rk.tableaux.composition')])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert result.stdout.strip() == "[]"
