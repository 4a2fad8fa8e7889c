"""Continuous extensions: weights b_i(theta), their order for all theta, and how they join."""

import copy
import math
import pickle
import re
from fractions import Fraction

import numpy as np
import pytest
import sympy

from keras_rk import Tableau, TableauError, check, check_extension, rooted_trees, tableaux
from keras_rk.tableaux import continuous, continuous_names, hermite

# the order that each is published with; SciPy, Hairer's codes and Tsitouras's article agree
PUBLISHED = {"bogacki_shampine32": 3, "dormand_prince54": 4, "tsitouras54": 4, "dop853": 7}
EXACT = ("bogacki_shampine32", "dormand_prince54")

# as SciPy has them, 1.17: `RK23.P`, `RK45.P`, exactly
SCIPY = {
    "bogacki_shampine32": ("1 -4/3 5/9", "0 1 -2/3", "0 4/3 -8/9", "0 -1 1"),
    "dormand_prince54": (
        "1 -8048581381/2820520608 8663915743/2820520608 -12715105075/11282082432",
        "0 0 0 0",
        "0 131558114200/32700410799 -68118460800/10900136933 87487479700/32700410799",
        "0 -1754552775/470086768 14199869525/1410260304 -10690763975/1880347072",
        "0 127303824393/49829197408 -318862633887/49829197408 701980252875/199316789632",
        "0 -282668133/205662961 2019193451/616988883 -1453857185/822651844",
        "0 40617522/29380423 -110615467/29380423 69997945/29380423",
    ),
}
HEUN = ([[], [1]], ["1/2", "1/2"])
GAUSS = (
    [["1/4", "1/4-sqrt(3)/6"], ["1/4+sqrt(3)/6", "1/4"]],
    ["1/2", "1/2"],
)


def weights_by_hand(tableau, tree, theta):
    """sum_i b_i(theta) Phi_i(t) for one theta, by the definition, in SymPy's rationals."""

    def stage(i, tree):
        return math.prod(
            sum(a * stage(j, child) for j, a in enumerate(tableau.A[i]) if a)
            for child in tree.children
        )

    return sum(w * stage(i, tree) for i, w in enumerate(tableau.weights(theta)) if w)


# --- the field -----------------------------------------------------------------------------------


def test_weights_are_polynomials_in_theta():
    tableau = Tableau(*HEUN, b_theta=[[1, "-1/2"], [0, "1/2"]])
    assert tableau.b_theta == ((1, Fraction(-1, 2)), (0, Fraction(1, 2)))
    assert tableau.weights("1/3") == (Fraction(5, 18), Fraction(1, 18))
    assert tableau.weights(1) == tableau.b
    assert tableau.weights(0) == (0, 0)


def test_shorter_polynomials_end_in_zeros():
    short = Tableau(*HEUN, b_theta=[[1, "-1/2", 0], [0, "1/2", 0, 0]])
    assert short == Tableau(*HEUN, b_theta=[[1, "-1/2"], ["0", "1/2"]])
    assert Tableau(*HEUN, b_theta=[[], [1]]).b_theta == ((0,), (1,))


def test_weights_in_roots_and_symbols():
    gauss = Tableau(
        *GAUSS, b_theta=[["1/2+sqrt(3)/2", "-sqrt(3)/2"], ["1/2-sqrt(3)/2", "sqrt(3)/2"]]
    )
    assert gauss.weights("sqrt(3)")[0] == 3 / sympy.Integer(2) - sympy.sqrt(3)
    x = sympy.Symbol("x")
    family = Tableau(*HEUN, b_theta=[[1, -x], [0, x]])
    assert family.weights("1/2") == (sympy.Rational(1, 2) - x / 4, x / 4)
    assert family.subs(x="1/2") == Tableau(*HEUN, b_theta=[[1, "-1/2"], [0, "1/2"]])


@pytest.mark.parametrize(
    "copied",
    [
        lambda t: Tableau.from_dict(t.to_dict()),
        lambda t: Tableau.from_json(t.to_json()),
        lambda t: pickle.loads(pickle.dumps(t)),
        copy.copy,
        copy.deepcopy,
        lambda t: eval(repr(t), {"Tableau": Tableau}),
    ],
    ids="dict json pickle copy deepcopy repr".split(),
)
@pytest.mark.parametrize("name", continuous_names())
def test_copies_keep_the_extension(name, copied):
    tableau = continuous(name)
    again = copied(tableau)
    assert again == tableau
    assert hash(again) == hash(tableau)
    assert again.b_theta == tableau.b_theta


def test_the_extension_is_part_of_the_value():
    plain, dense = Tableau(*HEUN), Tableau(*HEUN, b_theta=[[1, "-1/2"], [0, "1/2"]])
    other = Tableau(*HEUN, b_theta=[["1/2"], ["1/2"]])
    assert len({plain, dense, other}) == 3
    assert plain.b_theta is None
    assert "b_theta" not in plain.to_dict()
    assert "b_theta" not in repr(plain)


def test_an_old_pickle_has_no_extension():
    state = Tableau(*HEUN).__dict__
    state = {key: value for key, value in state.items() if key != "exact_b_theta"}
    old = Tableau.__new__(Tableau)
    old.__dict__.update(state)
    assert old == Tableau(*HEUN)
    assert old.b_theta is None


def test_toml_and_floats():
    text = 'A = [[], [1]]\nb = ["1/2", "1/2"]\nb_theta = [[1, -0.5], [0, "1/2"]]\n'
    assert Tableau.from_text(text) == Tableau(*HEUN, b_theta=[[1, "-1/2"], [0, "1/2"]])
    floats = Tableau(*HEUN, b_theta=[[1, -0.3], [0, 0.3]])
    assert floats.has_floats
    assert floats.rationalize() == Tableau(*HEUN, b_theta=[[1, "-3/10"], [0, "3/10"]])
    assert hermite(Tableau([[], [0.1]], [0.5, 0.5])).has_floats


@pytest.mark.parametrize(
    "b_theta, message",
    [
        ([[1]], r"one polynomial per stage.*len\(b_theta\)=1, stages=2"),
        ([[1], 2], r"`b_theta\[1\]` must be a sequence"),
        ([[1], ["x"]], r"b_theta\[1\]\[0\]"),
        ([[1], [None]], r"b_theta\[1\]\[0\]"),
        ("theta", r"`b_theta` must be a sequence"),
        ([[1], [0] * 65], r"at most degree 64.*65 coefficients"),
        ([["sqrt(2)"], [sympy.Symbol("x")]], "square root"),
    ],
)
def test_bad_extensions_are_refused(b_theta, message):
    with pytest.raises(TableauError, match=message):
        Tableau(*HEUN, b_theta=b_theta, name="mine")


def test_weights_need_an_extension():
    with pytest.raises(TableauError, match=r"`b_theta`.*b_theta=None \(tableau 'rk4'\)"):
        tableaux.get("rk4").weights("1/2")
    with pytest.raises(TableauError, match="hermite"):
        check_extension("rk4")
    with pytest.raises(TableauError, match=r"`tolerance`.*-1"):
        check_extension(hermite("rk4"), tolerance=-1)


# --- the order for all theta ---------------------------------------------------------------------


@pytest.mark.parametrize("name, order", PUBLISHED.items())
def test_published_extensions_have_their_order(name, order):
    report = check_extension(continuous(name), order=order)
    assert report
    assert report.order == order
    assert report.continuity == 1
    assert report.verdict == ("exact" if name in EXACT else "numeric")
    assert report.broken.tree.order == order + 1
    assert not check_extension(continuous(name), order=order + 1)


def test_decimals_leave_what_their_digits_leave():
    """Tsitouras printed 16 to 19 digits, DOP853 has 30."""
    assert 0 < check_extension(continuous("tsitouras54")).largest.size < 1e-15
    assert 0 < check_extension(continuous("dop853")).largest.size < 1e-24


@pytest.mark.parametrize("name", continuous_names())
def test_the_step_itself_stays_what_it_was(name):
    report = check(continuous(name))
    method = check(name)
    assert report
    assert (report.order, report.embedded_order) == (
        method.order,
        method.embedded_order,
    )
    assert report.extension.order == PUBLISHED[name]
    assert f"order {PUBLISHED[name]} for all theta" in str(report)
    assert report.to_dict()["extension"]["order"] == PUBLISHED[name]
    assert method.extension is None
    assert "extension" not in method.to_dict()


@pytest.mark.parametrize("name, rows", SCIPY.items())
def test_published_fractions(name, rows):
    """Shampine's polynomials, as SciPy expands them, are Hairer's nested form, exactly."""
    expected = tuple(tuple(map(Fraction, row.split())) for row in rows)
    degree = len(expected[0])
    assert tuple(row[:degree] for row in continuous(name).b_theta) == expected


@pytest.mark.parametrize(
    "name, theta", [("dormand_prince54", "1/7"), ("dormand_prince54", "1/2"), ("dop853", "9/10")]
)
def test_conditions_by_hand(name, theta):
    """At some theta, tree by tree: met up to the order, and the one that fails by its residual."""
    tableau, x = continuous(name), Fraction(theta)
    report = check_extension(tableau)
    for order in range(1, min(report.order, 4) + 1):
        for tree in rooted_trees.rooted_trees(order):
            missing = weights_by_hand(tableau, tree, x) - x**order / tree.density
            assert abs(missing) < 1e-25
    broken = report.broken
    residual = sum(r * x ** (k + 1) for k, r in enumerate(broken.residual))
    tree = broken.tree
    assert weights_by_hand(tableau, tree, x) - x**tree.order / tree.density == residual != 0


@pytest.mark.parametrize("name", [*(name for name in tableaux.names())])
def test_hermite_has_order_three_at_most(name):
    dense = hermite(name)
    report = check_extension(dense)
    assert report.order == min(tableaux.get(name).claimed_order, 3)
    assert report.continuity == 1
    more = 0 if tableaux.get(name).is_fsal else 1
    assert dense.stages <= tableaux.get(name).stages + more


@pytest.mark.parametrize("name", ["fehlberg78", "fehlberg87"])
def test_hermite_of_a_pair_that_is_blind_as_published(name):
    """A stage more does not make the pair another one."""
    assert check(hermite(name))


@pytest.mark.parametrize("method", [GAUSS, ([["1"]], [1]), ([["1/2"]], [1])], ids=str)
def test_hermite_of_implicit_methods(method):
    """Where f at the start or at the result is no stage, it becomes one."""
    tableau = Tableau(*method)
    dense = hermite(tableau)
    assert dense.A[0] == (0,) * dense.stages
    assert dense.is_at_end(dense.stages - 1)
    assert check(dense).order == check(tableau).order
    report = check_extension(dense)
    assert (report.order, report.continuity) == (min(check(tableau).order, 3), 1)


def test_a_factor_of_one_is_not_written():
    assert "residual -3/2*theta^2 + theta^3" in str(check_extension(hermite("euler")))


def test_hermite_of_a_family():
    a = sympy.Symbol("a")
    family = Tableau([[], [a]], [1 - 1 / (2 * a), 1 / (2 * a)])
    report = check_extension(hermite(family))
    assert (report.order, report.continuity, report.verdict) == (2, 1, "exact")
    assert hermite(family).subs(a="2/3") == hermite(family.subs(a="2/3"))


def test_hermite_of_weights_that_do_not_sum_to_one():
    report = check_extension(hermite(Tableau([[]], ["9/10"])))
    assert (report.order, bool(report), report.continuity) == (0, False, 1)


def test_gauss_collocation():
    """Its collocation polynomial has order s for all theta: 2 of 4, and joins without slopes."""
    r = "sqrt(3)/2"
    gauss = Tableau(*GAUSS, b_theta=[[f"1/2+{r}", f"-{r}"], [f"1/2-{r}", r]])
    report = check_extension(gauss)
    assert (report.order, report.continuity, report.verdict) == (2, 0, "exact")
    assert check(gauss).order == 4


@pytest.mark.parametrize(
    "b_theta, order, continuity, text",
    [
        ([["1/2"], ["1/2"]], 1, 0, "continuous, slopes are not"),
        ([[1, "-1/2"], [0, "1/2"]], 2, 0, "continuous, slopes are not"),
        ([[1, -2, "3/2"], [0, 2, "-3/2"]], 1, 0, "continuous, slopes are not"),
        ([[1, "-1/2"], [0, "1/3"]], 0, None, r"b_1(1) = 1/3, b_1 = 1/2"),
        ([["1/2"], [0, "1/2"]], 0, 0, "off by -1/2*theta + 1/2*theta^2"),
        ([[1, -1], [0, 1]], 1, None, "b_0(1) = 0, b_0 = 1/2"),
    ],
)
def test_other_extensions_of_heuns_method(b_theta, order, continuity, text):
    tableau = Tableau(*HEUN, b_theta=b_theta)
    report = check_extension(tableau)
    assert (report.order, report.continuity) == (order, continuity)
    assert bool(report) == bool(check(tableau)) == (order > 0 and continuity is not None)
    assert text in str(check(tableau))
    if not report:
        with pytest.raises(TableauError, match=re.escape(str(report))):
            report.raise_if_failed()


@pytest.mark.parametrize("k", range(7))
@pytest.mark.parametrize("power", range(4))
def test_every_coefficient_counts(k, power):
    """A slip of one in the seventh digit of any coefficient is found."""
    dense = continuous("dormand_prince54")
    rows = [list(row) for row in dense.b_theta]
    rows[k][power] += Fraction(1, 10**7)
    slip = Tableau(dense.A, dense.b, b_theta=rows)
    report = check_extension(slip)
    assert not report
    assert report.order == 0
    assert str(report.broken.tree) == "τ"
    assert report.broken.residual[power] == Fraction(1, 10**7)


def test_a_slip_that_keeps_the_sum_costs_order_one():
    """b_3 and b_4 exchange a multiple of theta^2 (theta - 1)^2: only the order shows it."""
    dense = continuous("dormand_prince54")
    rows = [list(row) for row in dense.b_theta]
    for power, x in ((1, 1), (2, -2), (3, 1)):
        rows[2][power] += Fraction(x, 1000)
        rows[3][power] -= Fraction(x, 1000)
    report = check_extension(Tableau(dense.A, dense.b, b_theta=rows))
    assert (report.order, report.continuity) == (1, 1)
    difference = (dense.c[2] - dense.c[3]) / 1000
    assert report.broken.residual == (0, difference, -2 * difference, difference)


def test_where_the_order_is_the_degree():
    """theta^n/n asks for degree n: beyond it every extension fails, at the latest."""
    report = check_extension(Tableau([[]], [1], b_theta=[[1]]), max_order=1)
    assert report.order_is_lower_bound
    assert report.order == 1
    assert "at least 1" in str(report)
    report = check_extension(Tableau([[]], [1], b_theta=[[1]]))
    assert report.broken.residual == (0, Fraction(-1, 2))


def test_unknown_names():
    with pytest.raises(TableauError, match=r"hermite.*Received: 'rk4'"):
        continuous("rk4")
    assert continuous("dopri5") is continuous("dormand_prince54")


# --- what others compute, and convergence --------------------------------------------------------


def lorenz(t, y):
    return np.array([y[1] * y[2] - t, y[0] * y[2] / 2 - y[1], np.cos(t) - y[0] * y[1]])


def interpolated(tableau, f, t, y, dt, thetas):
    """u(theta) of one step, in floats."""
    A, c = np.array(tableau.A, float), np.array(tableau.c, float)
    k = []
    for i in range(tableau.stages):
        k.append(f(t + c[i] * dt, y + dt * sum(A[i, j] * k[j] for j in range(i))))
    return np.array(
        [y + dt * np.array(tableau.weights(x), float) @ np.array(k) for x in thetas], float
    )


@pytest.mark.parametrize(
    "name, solver",
    [("bogacki_shampine32", "RK23"), ("dormand_prince54", "RK45"), ("dop853", "DOP853")],
)
def test_scipy_interpolates_alike(name, solver):
    integrate = pytest.importorskip("scipy.integrate")
    y = np.array([0.3, -0.8, 0.5])
    step = getattr(integrate, solver)(
        lorenz, 0.2, y, 2.0, first_step=0.25, max_step=0.25, rtol=1, atol=1
    )
    step.step()
    assert step.step_size == 0.25
    thetas = [Fraction(k, 16) for k in range(17)]
    ours = interpolated(continuous(name), lorenz, 0.2, y, 0.25, thetas)
    theirs = step.dense_output()(0.2 + 0.25 * np.array(thetas, float)).T
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-14)


@pytest.mark.parametrize("name, order", PUBLISHED.items())
def test_interpolants_converge_with_their_order(name, order):
    """The local error between the ends is O(dt^(order + 1)), for a field that mixes and has t."""
    y, thetas = np.array([0.3, -0.8, 0.5]), [Fraction(1, 3), Fraction(3, 5)]
    fine = tableaux.get("dop853")
    errors = []
    steps = (0.5, 0.25) if order == 7 else (0.1, 0.05)
    for dt in steps:
        ours = interpolated(continuous(name), lorenz, 0.2, y, dt, thetas)
        exact = []
        for theta in thetas:
            at, t, small = y, 0.2, float(theta) * dt / 8
            for _ in range(8):
                at = interpolated(_whole(fine), lorenz, t, at, small, [1])[0]
                t += small
            exact.append(at)
        errors.append(np.abs(ours - np.array(exact)).max())
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order + 1, abs=0.35)


def _whole(tableau):
    """A method with the straight line as its extension: at theta = 1 it is the step."""
    return Tableau(tableau.A, tableau.b, b_theta=[[x] for x in tableau.b])


# --- what the proof finds in others' solvers -----------------------------------------------------

# torchdiffeq 0.2.5: the weights of the value in the middle of a step, `mid`
MIDDLES = {
    "adaptive_heun": ("heun2", "1/2 0"),
    "bosh3": ("bogacki_shampine32", "0 1/2 0 0"),
}


def through_the_middle(tableau, middle):
    """The quartic through both ends, their slopes, and y + dt * sum_i middle_i k_i at 1/2."""
    last = tableau.stages - 1
    rows = []
    for i, (b, m) in enumerate(zip(tableau.b, middle, strict=True)):
        f_0, f_1 = int(i == 0), int(i == last)
        rows.append(
            [
                f_0,
                f_1 - 4 * f_0 - 5 * b + 16 * m,
                5 * f_0 - 3 * f_1 + 14 * b - 32 * m,
                2 * (f_1 - f_0) - 8 * b + 16 * m,
            ]
        )
    return Tableau(tableau.A, tableau.b, b_theta=rows)


@pytest.mark.parametrize("solver", MIDDLES)
def test_a_middle_of_order_one(solver):
    """torchdiffeq interpolates through y + dt/2 f, which it calls the value in the middle: what
    `odeint` returns between steps has order 1, while the steps have order 2 and 3."""
    name, middle = MIDDLES[solver]
    tableau = through_the_middle(tableaux.get(name), [Fraction(x) for x in middle.split()])
    report = check(tableau)
    assert report.order == tableaux.get(name).claimed_order
    assert report.extension.order == 1
    assert str(report.extension.broken.tree) == "[τ]"


@pytest.mark.parametrize("name, order", [("bogacki_shampine32", 3), ("dormand_prince54", 4)])
def test_the_same_polynomial_through_a_better_middle(name, order):
    """Through the value that the published extension has in the middle, it is that extension."""
    dense = continuous(name)
    again = through_the_middle(tableaux.get(name), dense.weights("1/2"))
    assert check_extension(again).order == order
    assert again.weights("1/3") == dense.weights("1/3")


@pytest.mark.parametrize("size, verdict", [("9e-13", "numeric"), ("1.1e-12", "failed")])
def test_a_residual_counts_by_what_it_reaches(size, verdict):
    """size * (3 theta^2 - 2 theta^3) rises from 0 to `size` in [0, 1], though its coefficients add
    up to five times as much."""
    x = Fraction(size)
    straight = Tableau([[]], [1 + x], b_theta=[[1, 3 * x, -2 * x]])
    report = check_extension(straight)
    assert report.order == (verdict == "numeric")
    found = report.largest or report.broken
    assert str(found.tree) == "τ"
    assert found.size == pytest.approx(float(x))
