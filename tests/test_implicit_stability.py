"""R(z) of implicit methods, A- and L-stability: beside Pade approximations and known boundaries."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import numpy as np
import pytest

from keras_rk import Tableau, tableaux
from keras_rk.analysis.implicit_stability import a_stability, l_stability
from keras_rk.analysis.resolvent import reduced_fraction
from keras_rk.analysis.stability import stability_function
from keras_rk.numbers import polynomials, sturm
from keras_rk.numbers.coefficients import exact

PADE = {  # family: by how much the degrees of numerator and denominator are below s
    "gauss": (0, 0),
    "radau_ia": (1, 0),
    "radau_iia": (1, 0),
    "lobatto_iiia": (1, 1),
    "lobatto_iiib": (1, 1),
    "lobatto_iiic": (2, 0),
}
MEMBERS = [
    *(("gauss", s) for s in range(1, 6)),
    *(("radau_ia", s) for s in range(1, 4)),
    *(("radau_iia", s) for s in range(1, 4)),
    *((f"lobatto_iii{kind}", s) for kind in "abc" for s in range(2, 6)),
]


def _pade(k, j):
    """Numerator of degree k and denominator of degree j of the approximation to exp(z)."""

    def part(n, m, sign):
        return tuple(
            Fraction(math.comb(n, i) * math.factorial(n + m - i) * sign**i, math.factorial(n + m))
            for i in range(n + 1)
        )

    return part(k, j, 1), part(j, k, -1)


@pytest.mark.parametrize("family, stages", MEMBERS)
def test_the_stability_function_is_a_pade_approximation(family, stages):
    above, below = PADE[family]
    R = stability_function(getattr(tableaux, family)(stages))
    assert (R.coefficients, R.denominator) == _pade(stages - above, stages - below)


@pytest.mark.parametrize("family, stages", MEMBERS)
def test_all_of_them_are_a_stable_and_radau_and_lobatto_iiic_l_stable(family, stages):
    R = stability_function(getattr(tableaux, family)(stages))
    assert R.a_stability.verdict == "exact"
    assert R.l_stability.verdict == (
        "exact" if family in ("radau_ia", "radau_iia", "lobatto_iiic") else "failed"
    )
    assert (R.is_a_stable, R.is_l_stable) == (True, bool(R.l_stability))
    assert (R.real_interval, R.imaginary_interval) == (math.inf, math.inf)


@pytest.mark.parametrize("family, stages", [(family, 8) for family in PADE] + [("gauss", 6)])
def test_decimals_are_stable_but_for_rounding(family, stages):
    R = stability_function(getattr(tableaux, family)(stages, digits=40))
    assert R.is_a_stable
    assert R.is_l_stable == (family in ("radau_ia", "radau_iia", "lobatto_iiic"))
    p, q = _pade(stages - PADE[family][0], stages - PADE[family][1])
    for found, expected in ((R.coefficients, p), (R.denominator, q)):
        assert all(abs(x - y) < Fraction(1, 10**38) for x, y in zip(found, expected, strict=False))
    assert (R.real_interval, R.imaginary_interval) == (math.inf, math.inf)


@pytest.mark.parametrize("family, stages", [("gauss", 4), ("lobatto_iiia", 5), ("radau_iia", 3)])
def test_copies_in_floats_are_stable_but_for_rounding(family, stages):
    A, b, _, _ = getattr(tableaux, family)(stages).to_numpy()
    R = stability_function((A, b))
    assert R.is_a_stable
    assert R.is_l_stable == (family == "radau_iia")
    assert (R.real_interval, R.imaginary_interval) == (math.inf, math.inf)


@pytest.mark.parametrize(
    "stages, order, a_stable, l_stable",
    [
        (1, 1, True, True),
        (1, 2, True, False),
        (2, 2, True, True),
        (2, 3, True, False),
        (3, 3, True, True),
        (3, 4, True, False),
        (5, 4, True, True),
    ],
)
def test_sdirk(stages, order, a_stable, l_stable):
    R = stability_function(tableaux.sdirk(stages, order, digits=40 if stages == 3 else None))
    assert (R.is_a_stable, R.is_l_stable) == (a_stable, l_stable)
    assert R.a_stability.verdict == ("numeric" if stages == 3 else "exact")


@pytest.mark.parametrize(
    "theta, verdict, real",
    [
        ("1/2", "exact", math.inf),
        (Fraction(1, 2) + Fraction(1, 10**40), "exact", math.inf),
        ("1", "exact", math.inf),
        ("499999/1000000", "failed", 10**6),
        (Fraction(1, 2) - Fraction(1, 10**20), "numeric", math.inf),
        ("1/4", "failed", 4),
        ("0", "failed", 2),
        ("sqrt(2)/2", "exact", math.inf),
        ("sqrt(2)/3", "failed", 2 / (1 - 2 * math.sqrt(2) / 3)),
    ],
)
def test_theta_method(theta, verdict, real):
    """R(z) = (1 + (1 - theta) z) / (1 - theta z): A-stable for theta >= 1/2."""
    theta = exact(theta)
    R = stability_function(([[0, 0], [1 - theta, theta]], [1 - theta, theta]))
    assert R.a_stability.verdict == verdict
    assert R.is_l_stable == (theta == 1)
    if verdict != "numeric":
        assert R.real_interval == pytest.approx(real, rel=1e-12)


@pytest.mark.parametrize("root", [False, True])
@pytest.mark.parametrize(
    "gamma, verdict",
    [("1/4", "exact"), ("1/3", "exact"), ("249/1000", "failed"), ("1/5", "failed")],
)
def test_two_stage_sdirk_of_order_two(gamma, verdict, root):
    """E(y) = (2 gamma - 1)^2 (4 gamma - 1) y^4: A-stable for gamma >= 1/4."""
    gamma = exact(f"{gamma} + (sqrt(2) - 7/5)/10000") if root else exact(gamma)
    R = stability_function(([[gamma, 0], [1 - 2 * gamma, gamma]], ["1/2", "1/2"]))
    assert R.a_stability.verdict == verdict


def test_a_double_root_of_e_only_touches():
    """P = sqrt(3)/2, Q = 1 - z + z^2: E = (y^2 - 1/2)^2."""
    q = [Fraction(1), Fraction(-1), Fraction(1)]
    assert a_stability([exact("sqrt(3)/2")], q).verdict == "exact"
    assert a_stability([exact("sqrt(3)/2 + 1/1000")], q).verdict == "failed"
    assert a_stability([exact("sqrt(3)/2 - 1/1000")], q).verdict == "exact"


@pytest.mark.parametrize(
    "q, verdict",
    [
        ([1, -1], "exact"),
        ([1, 1], "failed"),  # a pole at -1
        ([1, 0, 1], "failed"),  # poles at +-i
        ([1, -1, -1], "failed"),  # poles on both sides
        ([1, -3, 4, -4, 2], "exact"),  # (1 - 2z + 2z^2) (1 - z + z^2)
        ([1], "exact"),
    ],
)
def test_poles(q, verdict):
    p = [Fraction(1, 2)]
    assert a_stability(p, list(map(Fraction, q))).verdict == verdict
    assert l_stability(p, list(map(Fraction, q))).verdict == (verdict if len(q) > 1 else "failed")


def test_a_pole_that_is_cancelled_does_not_count():
    """The implicit Euler method beside a stage with weight 0 that has its own pole."""
    R = stability_function(([[1, 0], [0, -1]], [1, 0]))
    assert (R.coefficients, R.denominator) == ((1,), (1, -1))
    assert R.is_l_stable
    one, minus = exact("sqrt(2)"), exact("-sqrt(2)")
    R = stability_function(([[one, 0], [0, minus]], [1, 0]))
    assert R.denominator == (1, minus.to_sympy())
    p, q = reduced_fraction([one, Fraction(1)], [Fraction(2), Fraction(0), Fraction(-1)])
    assert (p, q) == ([1 / one], [Fraction(1), -1 / one])  # (2 - z^2) = (sqrt(2) - z)(...)


@pytest.mark.parametrize("z", [-1.0, 0.5, 2j, -3 + 1j, 1e6j, -1e12, 1e-9])
@pytest.mark.parametrize("family, stages", [("gauss", 3), ("radau_iia", 3), ("lobatto_iiic", 4)])
def test_values_are_those_of_linear_algebra(family, stages, z):
    tableau = getattr(tableaux, family)(stages)
    A, b, _, _ = tableau.to_numpy()
    expected = 1 + z * b @ np.linalg.solve(np.eye(stages) - z * A, np.ones(stages))
    R = stability_function(tableau)
    assert R(z) == pytest.approx(expected, abs=1e-5 if abs(z) > 100 else 1e-12)
    np.testing.assert_allclose(R(np.array([z, -z])), [R(z), R(-z)])


def test_values_near_a_pole_are_exact():
    R = stability_function(tableaux.radau_iia(1))  # 1 / (1 - z)
    assert R(1 - 2.0**-50) == 2.0**50
    assert R(1.0) == math.inf


def _random_polynomials():
    generator = random.Random(1)
    for degree in range(1, 8):
        for _ in range(6):
            yield [Fraction(generator.randint(-9, 9)) for _ in range(degree)] + [Fraction(1)]


def _times(p, q):
    found = [Fraction(0)] * (len(p) + len(q) - 1)
    for i, x in enumerate(p):
        for j, y in enumerate(q):
            found[i + j] += x * y
    return found


@pytest.mark.parametrize("p", _random_polynomials(), ids=lambda p: ",".join(map(str, p)))
def test_counting_roots_agrees_with_descartes_and_with_floats(p):
    for candidate in (
        p,
        _times(p, p),
        _times(_times(p, p), p),
        _times(p, [-p[0] or 1, Fraction(1)]),
    ):
        found = sturm.is_never_negative(candidate)
        negative = polynomials.integers([-x for x in candidate])
        assert found == polynomials.is_never_positive(negative)
        if p is candidate:
            roots = np.roots([float(x) for x in p[::-1]])
            clear = not any(abs(r.imag) < 1e-4 and r.real > -1e-4 for r in roots)
            assert found or not clear or p[0] < 0
        else:
            surd = [x * exact("sqrt(2)") for x in candidate]
            assert found == sturm.is_never_negative(surd)
    assert sturm.is_never_negative(_times(p, p))


@pytest.mark.parametrize("p", _random_polynomials(), ids=lambda p: ",".join(map(str, p)))
def test_routh_agrees_with_roots_in_floats(p):
    shifted = _times(p, [Fraction(3), Fraction(1)])
    roots = np.roots([float(x) for x in shifted[::-1]])
    if min(abs(roots.real)) > 1e-6:
        assert sturm.is_hurwitz(shifted) == bool((roots.real < 0).all())


@pytest.mark.parametrize(
    "p, holds",
    [
        ([6, 11, 6, 1], True),  # (x + 1)(x + 2)(x + 3)
        ([1, 1, 1, 1], False),  # i is a root
        ([1, 2, 1, 4, 1], False),
        ([4, 5, 6, 4, 1], True),
        ([1, 0, 1], False),
        ([5], True),
        ([-1, -1], True),
        ([0, 1], False),
    ],
)
def test_hurwitz(p, holds):
    assert sturm.is_hurwitz([Fraction(x) for x in p]) == holds


def test_the_numerator_of_an_implicit_method_without_order():
    R = stability_function(Tableau([[1]], [0]))
    assert (R.coefficients, R.denominator) == ((1,), (1,))
    assert R.is_a_stable
    assert not R.is_l_stable
