"""Stability functions of explicit methods, and how far they are stable."""

from __future__ import annotations

import cmath
import math
from fractions import Fraction
from itertools import pairwise

import pytest

from keras_rk import Tableau, TableauError, check, tableaux
from keras_rk.analysis.stability import stability_function


@pytest.mark.parametrize("name", tableaux.names())
def test_it_agrees_with_the_exponential_function_up_to_the_order(name):
    tableau = tableaux.get(name)
    order = check(tableau, max_order=tableau.claimed_order).order
    coefficients = stability_function(tableau).exact_coefficients
    assert order >= 1
    for n in range(order + 1):
        assert abs(float(coefficients[n]) * math.factorial(n) - 1) < 1e-9
    assert len(coefficients) <= tableau.stages + 1


@pytest.mark.parametrize(
    "name, coefficients",
    [
        ("euler", (1, 1)),
        ("heun2", (1, 1, Fraction(1, 2))),
        ("rk4", (1, 1, Fraction(1, 2), Fraction(1, 6), Fraction(1, 24))),
        ("gill4", (1, 1, Fraction(1, 2), Fraction(1, 6), Fraction(1, 24))),
        ("dormand_prince54", (1, 1, *(Fraction(1, n) for n in (2, 6, 24, 120, 600)))),
    ],
)
def test_coefficients_are_exact(name, coefficients):
    assert stability_function(name).coefficients == coefficients


def test_irrational_coefficients_are_sympy_numbers():
    tableau = Tableau([[], ["sqrt(2)"]], ["1/2", "1/2"])
    assert str(stability_function(tableau).coefficients[2]) == "sqrt(2)/2"


@pytest.mark.parametrize(
    "name, real, imaginary",
    [
        ("euler", 2, 0),
        ("heun2", 2, 0),
        ("kutta3", 2.512745326618329, math.sqrt(3)),
        ("rk4", 2.785293563405281, math.sqrt(8)),
        ("dormand_prince54", 3.306567892634946, None),
        ("fehlberg45", None, 0),
    ],
)
def test_known_intervals(name, real, imaginary):
    R = stability_function(name)
    if real is not None:
        assert R.real_interval == pytest.approx(real, abs=1e-12)
    if imaginary is not None:
        assert R.imaginary_interval == pytest.approx(imaginary, abs=1e-7)


@pytest.mark.parametrize("axis", [-1, 1j])
@pytest.mark.parametrize("name", tableaux.names())
def test_intervals_end_where_the_first_amplification_begins(name, axis):
    R = stability_function(name)
    end = R.real_interval if axis == -1 else R.imaginary_interval
    inside = max((abs(R(axis * end * n / 2000)) for n in range(2001)), default=1)
    assert inside <= 1 + 1e-9
    beyond = [0.02] if end else [0.1, 0.2, 0.4, 0.8]  # where it begins at zero, it grows slowly
    assert max(abs(R(axis * (end + x))) for x in beyond) > 1


@pytest.mark.parametrize(
    "A, b, real, imaginary",
    [
        ([[]], [-1], 0, 0),  # against the flow
        ([[]], [0], math.inf, math.inf),  # R = 1
        # Chebyshev's method T_2(1 + z/4): touches -1 inside its interval
        ([[], ["1/4"]], ["1/2", "1/2"], 8, 0),
        ([[], ["1/2"], [-1, 2]], ["1/6", "2/3", "1/6"], 2.512745326618329, math.sqrt(3)),
        # the same in floats, whose rounding must not count as amplification
        ([[], [0.5], [-1.0, 2.0]], [1 / 6, 2 / 3, 1 / 6], 2.512745326618329, math.sqrt(3)),
    ],
)
def test_intervals_of_other_methods(A, b, real, imaginary):
    R = stability_function((A, b))
    assert (R.real_interval, R.imaginary_interval) == pytest.approx((real, imaginary), abs=1e-7)


def test_it_is_a_function_of_arrays():
    np = pytest.importorskip("numpy")
    z = np.array([[0.0, -1.0], [1j, 2.0]])
    R = stability_function("rk4")
    np.testing.assert_allclose(R(z), 1 + z + z**2 / 2 + z**3 / 6 + z**4 / 24)
    assert R(0.3j) == pytest.approx(cmath.exp(0.3j), abs=1e-4)


@pytest.mark.parametrize(
    "tableau, match",
    [
        (lambda: _dense(60), "60 stages with a common denominator"),
        (lambda: Tableau([[0, 0], [_alpha(), 0]], ["1/2", "1/2"]), r"subs\(\.\.\.\)"),
        (lambda: "no_such_method", "no_such_method"),
    ],
)
def test_refusals(tableau, match):
    with pytest.raises(TableauError, match=match):
        stability_function(tableau())


def _dense(stages):
    rows = [[Fraction(1, 10**9 + i + j) for j in range(stages)] for i in range(stages)]
    return Tableau(rows, [Fraction(1, stages)] * stages)


def _alpha():
    return pytest.importorskip("sympy").Symbol("alpha")


def _chebyshev(degree, damping=Fraction(0)):
    """The coefficients of T_s(w0 + w1 z) / T_s(w0), w0 = 1 + damping/s^2, to first order."""
    w0 = 1 + damping / degree**2
    T, slope = [Fraction(1), w0], [Fraction(0), Fraction(1)]
    for n in range(1, degree):
        T.append(2 * w0 * T[n] - T[n - 1])
        slope.append(2 * T[n] + 2 * w0 * slope[n] - slope[n - 1])
    w1 = T[degree] / slope[degree]
    before, last = [Fraction(1)], [w0, w1]
    for _ in range(degree - 1):
        following = [2 * w0 * x for x in last] + [Fraction(0)]
        for i, x in enumerate(last):
            following[i + 1] += 2 * w1 * x
        for i, x in enumerate(before):
            following[i] -= x
        before, last = last, following
    return [x / last[0] for x in last], 2 * w0 / w1


def _method(coefficients, convert=lambda x: x):
    """A method with R(z) = 1 + r_1 z + ..., each stage but the first at the one before it."""
    _, *r = map(Fraction, coefficients)
    ratios = [y / x for x, y in pairwise(r)][::-1]
    A = [[], *([0] * i + [convert(x)] for i, x in enumerate(ratios))]
    return Tableau(A, [0] * len(ratios) + [convert(r[0])])


def _exact_value(coefficients, z):
    return sum(Fraction(r) * Fraction(z) ** n for n, r in enumerate(coefficients))


@pytest.mark.parametrize("damping", [Fraction(0), Fraction(1, 20)])
@pytest.mark.parametrize("stages", [3, 10, 11, 12, 20, 30])
def test_stabilised_methods_have_the_interval_of_chebyshev(stages, damping, deadline):
    coefficients, end = _chebyshev(stages, damping)
    R = stability_function(_method(coefficients))
    assert R.real_interval == pytest.approx(float(end), rel=1e-15)
    z = -0.93 * float(end)
    assert R(z) == pytest.approx(float(_exact_value(coefficients, z)), abs=1e-12)
    assert abs(R(z)) <= 1


@pytest.mark.parametrize("stages", [50, 100])
def test_the_degree_may_be_a_hundred(stages, deadline):
    coefficients, end = _chebyshev(stages)
    R = stability_function(_method(coefficients))
    assert R.real_interval == 2 * stages**2 == end
    assert R.imaginary_interval == 0


def test_intervals_of_stabilised_methods_in_floats():
    R = stability_function(_method(_chebyshev(9)[0], float))
    assert R.real_interval == pytest.approx(162, rel=1e-6)


@pytest.mark.parametrize("excess", [1e-6, 1e-13, 1e-30])
def test_an_exact_excess_ends_the_interval_however_small(excess):
    coefficients, _ = _chebyshev(12)
    coefficients[5] *= 1 + Fraction(excess)
    first_minimum = 144 * (1 - math.cos(math.pi / 12))
    end = stability_function(_method(coefficients)).real_interval
    assert end == pytest.approx(first_minimum, rel=9 * math.sqrt(excess) + 1e-15)
    assert end <= first_minimum * (1 + 1e-15)


@pytest.mark.parametrize("stages", [11, 40, 101])
def test_interval_of_repeated_euler_steps(stages):
    coefficients = [Fraction(math.comb(stages, n), stages**n) for n in range(stages + 1)]
    R = stability_function(_method(coefficients))
    assert (R.real_interval, R.imaginary_interval) == (2 * stages, 0)
    assert R(-stages) == 0
    assert R(-stages - 0.5) == pytest.approx((-0.5 / stages) ** stages, abs=1e-12)


@pytest.mark.parametrize("order", [3, 4, 16, 20, 39, 40])
def test_imaginary_interval_of_truncated_exponentials(order):
    coefficients = [Fraction(1, math.factorial(n)) for n in range(order + 1)]
    R = stability_function(_method(coefficients))
    end = Fraction(R.imaginary_interval)

    def excess(t):
        even = [r * (-1) ** (n // 2) if n % 2 == 0 else 0 for n, r in enumerate(coefficients)]
        odd = [r * (-1) ** (n // 2) if n % 2 else 0 for n, r in enumerate(coefficients)]
        return _exact_value(even, t) ** 2 + _exact_value(odd, t) ** 2 - 1

    margin = Fraction(1, 10**12)
    assert end > 1
    assert excess(end * (1 - margin)) < 0 < excess(end * (1 + margin))
    assert all(excess(end * n / 50) <= 0 for n in range(50))


@pytest.mark.parametrize("order", [37, 38])
def test_orders_whose_imaginary_interval_is_empty(order):
    coefficients = [Fraction(1, math.factorial(n)) for n in range(order + 1)]
    assert stability_function(_method(coefficients)).imaginary_interval == 0


def test_interval_with_an_irrational_end():
    R = stability_function(([[], ["sqrt(2)/2"]], ["1/2", "1/2"]))  # 1 + z + sqrt(2)/4 z^2
    assert R.real_interval == pytest.approx(2 * math.sqrt(2), rel=1e-15)
    assert R(-1.0) == pytest.approx(math.sqrt(2) / 4, rel=1e-15)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128", "int64"])
def test_values_of_a_high_degree_are_those_of_exact_numbers(dtype):
    np = pytest.importorskip("numpy")
    coefficients, _ = _chebyshev(50)
    R = stability_function(_method(coefficients))
    z = np.linspace(-5000, 0, 6).reshape(2, 3).astype(dtype)
    values = R(z)
    assert values.dtype == (np.float64 if dtype == "int64" else dtype)
    expected = [float(_exact_value(coefficients, float(x.real))) for x in z.flat]
    np.testing.assert_allclose(values.ravel(), expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("z", [math.nan, 1e308, -1e308, 1e-320, Fraction(-1, 3), 2, 1j])
def test_values_at_extreme_and_other_numbers(z):
    R = stability_function("rk4")
    value = R(z)
    assert isinstance(value, complex if isinstance(z, complex) else float)
    if isinstance(z, Fraction | int | complex):
        assert value == pytest.approx(1 + z + z**2 / 2 + z**3 / 6 + z**4 / 24)
    elif not math.isnan(z):
        assert value == (1 if abs(z) < 1 else math.inf)


def test_coefficients_beyond_floats():
    R = stability_function(_method([1, 1, Fraction(2) ** 900, Fraction(2) ** 1800], str))
    assert R.real_interval == pytest.approx(2.0**-900)
    assert R(0.0) == 1
    assert R(1e300) == math.inf
