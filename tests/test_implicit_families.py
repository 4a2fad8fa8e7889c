"""Implicit methods by number of stages, beside published tables and theory."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from keras_rk import Tableau, TableauError, check, tableaux
from keras_rk.numbers.coefficients import exact
from keras_rk.numbers.square_roots import Surd

FAMILIES = {  # function: order below 2 s, fewest stages, most stages written with square roots
    "gauss": (0, 1, 5),
    "radau_ia": (1, 1, 3),
    "radau_iia": (1, 1, 3),
    "lobatto_iiia": (2, 2, 7),
    "lobatto_iiib": (2, 2, 7),
    "lobatto_iiic": (2, 2, 7),
}
EXACT = [(f, s) for f, (_, least, most) in FAMILIES.items() for s in range(least, min(most, 6) + 1)]
ROUNDED = [(f, s) for f, (_, _, most) in FAMILIES.items() for s in (most + 1, 8)]
PUBLISHED = {  # Hairer, Wanner, Solving Ordinary Differential Equations II, section IV.5
    ("gauss", 3): [
        ["5/36", "2/9 - sqrt(15)/15", "5/36 - sqrt(15)/30"],
        ["5/36 + sqrt(15)/24", "2/9", "5/36 - sqrt(15)/24"],
        ["5/36 + sqrt(15)/30", "2/9 + sqrt(15)/15", "5/36"],
        ["5/18", "4/9", "5/18"],
    ],
    ("radau_ia", 3): [
        ["1/9", "(-1 - sqrt(6))/18", "(-1 + sqrt(6))/18"],
        ["1/9", "11/45 + 7*sqrt(6)/360", "11/45 - 43*sqrt(6)/360"],
        ["1/9", "11/45 + 43*sqrt(6)/360", "11/45 - 7*sqrt(6)/360"],
        ["1/9", "4/9 + sqrt(6)/36", "4/9 - sqrt(6)/36"],
    ],
    ("radau_iia", 3): [
        ["(88 - 7*sqrt(6))/360", "(296 - 169*sqrt(6))/1800", "(-2 + 3*sqrt(6))/225"],
        ["(296 + 169*sqrt(6))/1800", "(88 + 7*sqrt(6))/360", "(-2 - 3*sqrt(6))/225"],
        ["(16 - sqrt(6))/36", "(16 + sqrt(6))/36", "1/9"],
        ["(16 - sqrt(6))/36", "(16 + sqrt(6))/36", "1/9"],
    ],
    ("lobatto_iiia", 4): [
        ["0", "0", "0", "0"],
        ["(11+sqrt(5))/120", "(25-sqrt(5))/120", "(25-13*sqrt(5))/120", "(-1+sqrt(5))/120"],
        ["(11-sqrt(5))/120", "(25+13*sqrt(5))/120", "(25+sqrt(5))/120", "(-1-sqrt(5))/120"],
        ["1/12", "5/12", "5/12", "1/12"],
        ["1/12", "5/12", "5/12", "1/12"],
    ],
    ("lobatto_iiib", 4): [
        ["1/12", "(-1-sqrt(5))/24", "(-1+sqrt(5))/24", "0"],
        ["1/12", "(25+sqrt(5))/120", "(25-13*sqrt(5))/120", "0"],
        ["1/12", "(25+13*sqrt(5))/120", "(25-sqrt(5))/120", "0"],
        ["1/12", "(11-sqrt(5))/24", "(11+sqrt(5))/24", "0"],
        ["1/12", "5/12", "5/12", "1/12"],
    ],
    ("lobatto_iiic", 4): [
        ["1/12", "-sqrt(5)/12", "sqrt(5)/12", "-1/12"],
        ["1/12", "1/4", "(10-7*sqrt(5))/60", "sqrt(5)/60"],
        ["1/12", "(10+7*sqrt(5))/60", "1/4", "-sqrt(5)/60"],
        ["1/12", "5/12", "5/12", "1/12"],
        ["1/12", "5/12", "5/12", "1/12"],
    ],
}


def _member(family, stages, **options):
    return getattr(tableaux, family)(stages, **options)


@pytest.mark.parametrize("family, stages", PUBLISHED)
def test_published_tables(family, stages):
    *A, b = PUBLISHED[family, stages]
    assert _member(family, stages) == Tableau(A, b)


@pytest.mark.parametrize("family, stages", EXACT)
def test_the_order_is_exactly_that_of_theory(family, stages):
    tableau = _member(family, stages)
    order = 2 * stages - FAMILIES[family][0]
    report = check(tableau, max_order=order + 1)
    assert report.order == order == tableau.claimed_order
    assert [failure.rule for failure in report.failures] == ["explicit"]
    assert not report.order_is_lower_bound
    assert report.evidence[0].verdict == "exact"


@pytest.mark.parametrize(
    "family, stages",
    [
        ("radau_ia", 4),
        ("radau_iia", 5),
        ("gauss", 6),
        pytest.param("gauss", 7, marks=pytest.mark.slow),
        *(pytest.param(f"radau_{kind}", 7, marks=pytest.mark.slow) for kind in ("ia", "iia")),
        *(pytest.param(f"lobatto_iii{kind}", 8, marks=pytest.mark.slow) for kind in "abc"),
    ],
)
def test_decimals_have_the_order_but_for_rounding(family, stages):
    order = 2 * stages - FAMILIES[family][0]
    tableau = _member(family, stages, digits=40)
    report = check(tableau, max_order=order + 1)
    assert report.order == order == tableau.claimed_order
    assert not report.order_is_lower_bound
    assert report.evidence[0].verdict == "numeric"


@pytest.mark.parametrize("family, stages", ROUNDED)
def test_decimals_meet_the_conditions_that_define_them(family, stages):
    """B(2 s - k), and C(s), C(s - 1) or D(s), to forty digits; these conditions imply the order."""
    tableau = _member(family, stages, digits=40)
    A, b, c = tableau.A, tableau.b, tableau.c
    unit = Fraction(40, 10**40)
    order = 2 * stages - FAMILIES[family][0]
    for k in range(1, order + 1):
        assert abs(sum(w * x ** (k - 1) for w, x in zip(b, c, strict=True)) - Fraction(1, k)) < unit
    missed = sum(w * x**order for w, x in zip(b, c, strict=True)) - Fraction(1, order + 1)
    assert abs(missed) > 10**20 * unit
    for k in range(1, stages + (family != "lobatto_iiic")):
        for i in range(stages):
            if family in ("radau_ia", "lobatto_iiib"):
                found = sum(b[j] * c[j] ** (k - 1) * A[j][i] for j in range(stages))
                assert abs(found - b[i] * (1 - c[i] ** k) / k) < unit
            else:
                found = sum(A[i][j] * c[j] ** (k - 1) for j in range(stages))
                assert abs(found - c[i] ** k / k) < unit


@pytest.mark.parametrize("digits", [16, 40])
@pytest.mark.parametrize("family, stages", [("gauss", 4), ("radau_iia", 3), ("lobatto_iiib", 6)])
def test_decimals_are_as_close_to_the_exact_coefficients_as_promised(family, stages, digits):
    one, other = _member(family, stages), _member(family, stages, digits=digits)
    unit = Fraction(1, 10**digits)
    pairs = zip((*one.exact_A, one.exact_b), (*other.exact_A, other.exact_b), strict=True)
    assert all(abs(x - y) <= unit for row, near in pairs for x, y in zip(row, near, strict=True))
    nodes = zip(one.exact_c, other.exact_c, strict=True)
    assert all(abs(x - y) <= stages * unit for x, y in nodes)
    assert all(y.denominator <= 10**digits for row in other.exact_A for y in row)


@pytest.mark.parametrize("stages", [1, 5, 8, 13])
def test_gauss_nodes_and_weights_are_those_of_numpy(stages):
    nodes, weights = np.polynomial.legendre.leggauss(stages)
    arrays = tableaux.gauss(stages, digits=20).to_numpy()
    np.testing.assert_allclose(arrays.c, (1 + nodes) / 2, atol=1e-15)
    np.testing.assert_allclose(arrays.b, weights / 2, atol=1e-15)


def test_gauss_with_four_stages_has_nested_square_roots():
    """The zeros of 35 x^4 - 30 x^2 + 3, moved from [-1, 1] to [0, 1]."""
    nodes = tableaux.gauss(4).exact_c
    assert nodes[-1] == exact("1/2 + sqrt((15 + 2*sqrt(30))/35)/2")
    assert all(isinstance(x, Surd) for x in nodes)
    again = Tableau.from_json(tableaux.gauss(4).to_json())
    assert again == tableaux.gauss(4)


@pytest.mark.parametrize(
    "stages, order, gamma, embedded",
    [
        (1, 1, 1, None),
        (1, 2, 0.5, None),
        (2, 2, 1 - math.sqrt(0.5), None),
        (2, 3, (3 + math.sqrt(3)) / 6, None),
        (3, 3, 0.4358665215084590, None),
        (3, 4, math.cos(math.pi / 18) / math.sqrt(3) + 0.5, None),
        (5, 4, 0.25, 3),
    ],
)
def test_sdirk(stages, order, gamma, embedded):
    digits = 40 if stages == 3 else None
    tableau = tableaux.sdirk(stages, order, digits=digits)
    assert [float(tableau.A[i][i]) for i in range(stages)] == pytest.approx([gamma] * stages)
    assert not any(x for i, row in enumerate(tableau.A) for x in row[i + 1 :])
    report = check(tableau, max_order=6)
    assert (report.order, report.embedded_order) == (order, embedded)
    assert (tableau.claimed_order, tableau.claimed_embedded_order) == (order, embedded)
    assert report.evidence[0].verdict == ("numeric" if digits else "exact")


@pytest.mark.parametrize("stages, order", [(1, 1), (2, 2), (3, 3), (5, 4)])
def test_sdirk_gives_the_stiffly_accurate_one_by_default(stages, order):
    tableau = tableaux.sdirk(stages, digits=20)
    assert tableau.claimed_order == order
    assert tableau.A[-1] == tableau.b


@pytest.mark.parametrize(
    "call, match",
    [
        (lambda: tableaux.gauss(6), r"gauss\(6, digits=40\).*Received: stages=6"),
        (lambda: tableaux.radau_iia(4), r"radau_iia\(4, digits=40\)"),
        (lambda: tableaux.lobatto_iiic(8), r"lobatto_iiic\(8, digits=40\)"),
        (lambda: tableaux.sdirk(3), r"cubic.*sdirk\(3, digits=40\)"),
        (lambda: tableaux.gauss(0), "between 1 and 16. Received: stages=0"),
        (lambda: tableaux.gauss(17, digits=40), "Received: stages=17"),
        (lambda: tableaux.gauss(True), "Received: stages=True"),
        (lambda: tableaux.gauss(2.0), "Received: stages=2.0"),
        (lambda: tableaux.lobatto_iiia(1), "between 2 and 16"),
        (lambda: tableaux.gauss(6, digits=15), r"between 16 and 100, or None.*digits=15"),
        (lambda: tableaux.gauss(6, digits="40"), "digits='40'"),
        (lambda: tableaux.sdirk(4), r"\(5, 4\). Received: stages=4"),
        (lambda: tableaux.sdirk(2, 4), "Received: .*order=4"),
        (lambda: tableaux.sdirk(3, digits=1), "Received: sdirk.*digits=1"),
    ],
)
def test_refusals(call, match):
    with pytest.raises(TableauError, match=match):
        call()


@pytest.mark.parametrize("family, stages", [("gauss", 9), ("lobatto_iiib", 12)])
def test_more_stages_in_time(family, stages, deadline):
    assert _member(family, stages, digits=30).stages == stages
