"""SSP coefficients: published ones, and the definition around each."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from keras_rk import Tableau, TableauError, tableaux
from keras_rk.analysis.strong_stability import ssp_coefficient


def ssp2(stages):
    """SSP(s, 2): s - 1 steps of Euler's method, and a last one that is averaged."""
    row = Fraction(1, stages - 1)
    return [[row] * i for i in range(stages)], [Fraction(1, stages)] * stages


def ssp3(n):
    """SSP(n^2, 3), D. I. Ketcheson (2008)."""
    stages, step = n * n, Fraction(1, n * n - n)
    rows = [[step] * i for i in range(stages + 1)]
    first, last = (n - 1) * (n - 2) // 2, n * (n + 1) // 2
    for row in rows[last:]:
        row[first:last] = [step * Fraction(n - 1, 2 * n - 1)] * (last - first)
    return rows[:-1], rows[-1]


def sdirk2(stages):
    """The optimal SDIRK method of order 2: s times the implicit midpoint rule."""
    rows = [[Fraction(1, stages)] * i + [Fraction(1, 2 * stages)] for i in range(stages)]
    return [row + [0] * (stages - len(row)) for row in rows], [Fraction(1, stages)] * stages


SDIRK23 = (  # L. Ferracina and M. N. Spijker (2008)
    [["1/2 - sqrt(3)/6", 0], ["sqrt(3)/3", "1/2 - sqrt(3)/6"]],
    ["1/2", "1/2"],
)
SHU_OSHER_53 = (  # S. J. Ruuth (2006): alpha and beta of SSP(5, 3) to 15 digits
    {(1, 0): 1, (2, 1): 1, (3, 0): "0.355909775063327", (3, 2): "0.644090224936674"}
    | {(4, 0): "0.367933791638137", (4, 3): "0.632066208361863"}
    | {(5, 2): "0.237593836598569", (5, 4): "0.762406163401431"},
    {(1, 0): "0.377268915331368", (2, 1): "0.377268915331368", (3, 2): "0.242995220537396"}
    | {(4, 3): "0.238458932846290", (5, 4): "0.287632146308408"},
)


def butcher_form(alpha, beta, stages):
    rows = []
    for i in range(stages + 1):
        row = [Fraction(beta.get((i, j), 0)) for j in range(stages)]
        for m, before in enumerate(rows):
            factor = Fraction(alpha.get((i, m), 0))
            row = [x + factor * y for x, y in zip(row, before, strict=True)]
        rows.append(row)
    return rows[:-1], rows[-1]


@pytest.mark.parametrize(
    "method, expected",
    [
        ("euler", 1),
        ("heun2", 1),
        ("ralston2", Fraction(1, 2)),
        ("midpoint", 0),
        ("ssprk33", 1),
        ("ssprk43", 2),
        ("ssprk104", 6),
        ("rk4", 0),
        ("rk38", 0),
        ("dormand_prince54", 0),
        *((ssp2(stages), stages - 1) for stages in (2, 3, 5, 8, 20)),
        *((ssp3(n), n * n - n) for n in (2, 3, 4)),
        *((sdirk2(stages), 2 * stages) for stages in (1, 2, 3, 5)),
        (([[1]], [1]), math.inf),  # the implicit Euler method
        (([[0, 0], ["1/2", "1/2"]], ["1/2", "1/2"]), 2),  # the trapezoidal rule
        (([["5/12", "-1/12"], ["3/4", "1/4"]], ["3/4", "1/4"]), 0),  # Radau IIA
        (([[]], [0]), math.inf),  # y stays what it is
        (([[]], ["1/1000"]), 1000),
        (([[]], ["3/7919"]), Fraction(7919, 3)),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_exact_coefficients(method, expected):
    found = ssp_coefficient(method)
    assert found == expected
    assert isinstance(found, Fraction) is math.isfinite(expected)


@pytest.mark.parametrize(
    "method, expected, tolerance",
    [
        (SDIRK23, 1 + math.sqrt(3), 1e-15),
        ("ssprk54", 1.508180049189838, 1e-9),  # S. J. Ruuth (2006), to the digits of the method
        (butcher_form(*SHU_OSHER_53, 5), 2.650629192931, 1e-9),
    ],
    ids=["sdirk", "ssprk54", "ssprk53"],
)
def test_irrational_and_rounded_coefficients(method, expected, tolerance):
    found = ssp_coefficient(method)
    assert isinstance(found, float)
    assert found == pytest.approx(expected, rel=tolerance)


@pytest.mark.parametrize("name", ["euler", "heun2", "ssprk33", "ssprk43", "ssprk104", "rk4"])
def test_floats_lose_no_more_than_digits(name):
    """At r = 1, two conditions of ssprk33 touch zero without a change of sign."""
    arrays = tableaux.get(name).to_numpy()
    exact = float(ssp_coefficient(name))
    assert ssp_coefficient((arrays.A, arrays.b)) == pytest.approx(exact, abs=1e-9)


def violates(A, b, r):
    """Whether r K (I + r K)^-1 >= 0 or (I + r K)^-1 1 >= 0 fails, by SymPy's elimination."""
    sympy = pytest.importorskip("sympy")
    size = len(b) + 1
    K = sympy.Matrix([[*row, *[0] * (size - len(row))] for row in (*A, b)])
    inverse = (sympy.eye(size) + r * K).inv()
    entries = [*(r * K * inverse), *(inverse * sympy.ones(size, 1))]
    return any(x < 0 for x in entries)


@pytest.mark.parametrize(
    "A, b",
    [
        ([[], ["3/4"]], ["1/4", "3/4"]),
        ([[], ["1/3"], ["1/5", "1/4"]], ["1/4", "1/4", "1/2"]),
        ([[], ["1/2"], ["1/9", "2/3"]], ["1/5", "1/5", "3/5"]),
        ([[], [1], ["1/4", "1/4"]], ["1/6", "1/6", "2/3"]),
        ([[], ["1/2"], ["1/2", "1/2"], ["1/6", "1/6", "1/6"]], ["1/6", "1/6", "1/6", "1/2"]),
        ([[], ["2/7"], ["1/7", "1/3"], ["1/8", "1/4", "1/2"]], ["1/10", "1/5", "3/10", "2/5"]),
    ],
)
def test_the_conditions_hold_up_to_it_and_not_beyond(A, b):
    sympy = pytest.importorskip("sympy")
    A = [[sympy.Rational(x) for x in row] for row in A]
    b = [sympy.Rational(x) for x in b]
    found = ssp_coefficient((A, b))
    r = sympy.Rational(*Fraction(found).as_integer_ratio())
    ulp = sympy.Rational(1, 2**50)
    assert not violates(A, b, r if isinstance(found, Fraction) else r * (1 - ulp))
    assert violates(A, b, r * (1 + ulp))


@pytest.mark.parametrize(
    "method",
    [
        # the third stage, which nothing needs, is a step backwards
        ([[], [1], [0, -3]], ["1/2", "1/2", 0]),
        # the last two stages are equal, and their weights add up to 1/2
        ([[], [1], [1, 0]], ["1/2", 2, "-3/2"]),
    ],
    ids=["unreachable", "equal"],
)
def test_superfluous_stages_do_not_count(method):
    assert ssp_coefficient(method) == ssp_coefficient("heun2") == 1


def test_the_embedded_weights_do_not_count():
    pair = Tableau([[], [1], [0, -3]], ["1/2", "1/2", 0], b_hat=["1/2", "1/4", "1/4"])
    assert ssp_coefficient(pair) == 1


def test_symbols_are_refused():
    sympy = pytest.importorskip("sympy")
    with pytest.raises(TableauError, match=r"subs\(\.\.\.\)"):
        ssp_coefficient(Tableau([[], [sympy.Symbol("x")]], ["1/2", "1/2"]))
