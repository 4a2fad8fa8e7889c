"""`analyse`: one call, its report, and what it takes for granted."""

from __future__ import annotations

import json
import math
from fractions import Fraction

import pytest

import keras_rk
from keras_rk import Tableau, TableauError, analyse, check, tableaux
from keras_rk.analysis.entries import ENTRIES
from keras_rk.analysis.round_off import round_off
from keras_rk.analysis.stability_region import stability_region

TO_ORDER_8 = [name for name in tableaux.names() if tableaux.get(name).claimed_order < 9]


@pytest.mark.parametrize("name", TO_ORDER_8)
def test_the_report_of_a_named_method(name):
    tableau = tableaux.get(name)
    found = analyse(name)
    lines = str(found).splitlines()
    assert lines[0] == f"{name} ({tableau.stages} stage{'s' * (tableau.stages > 1)})"
    assert not any(line.endswith(" -") for line in lines if "quality" not in line)
    data = json.loads(json.dumps(found.to_dict()))
    assert data["order"] == found.order == tableau.claimed_order
    assert data.get("embedded_order") == tableau.claimed_embedded_order
    assert data["verdict"] == check(tableau).evidence[0].verdict
    assert math.hypot(*data["error_coefficients"].values()) == pytest.approx(found.error_norm)


def test_the_fields():
    found = analyse("bogacki_shampine32")
    assert (found.order, found.embedded_order, found.stage_order) == (3, 2, 1)
    assert found.stability_function.coefficients == (1, 1, Fraction(1, 2), Fraction(1, 6))
    assert found.real_interval == pytest.approx(2.512745326618329)
    assert found.imaginary_interval == pytest.approx(math.sqrt(3))
    assert found.ssp_coefficient == 0
    assert found.simplifying_assumptions.C_of_stages == (math.inf, 1, 1, 3)
    assert (found.dispersion_order, found.dissipation_order) == (4, 3)
    assert found.tableau.is_fsal
    assert found.reducibility.is_irreducible
    assert found.pair.estimate_order == 2
    assert found.report.order == 3
    assert -2 in found.stability_region
    assert len(found.error_coefficients) == 4


def test_it_is_lazy(monkeypatch):
    def forbidden(*_):
        raise AssertionError("computed unasked")

    monkeypatch.setattr("keras_rk.analysis.analyse.ssp_coefficient", forbidden)
    monkeypatch.setattr("keras_rk.analysis.analyse.prove", forbidden)
    assert analyse("rk4").real_interval > 2.78


@pytest.mark.parametrize(
    "name, line",
    [
        ("rk4", "    order                4, exactly"),
        ("rk4", "    assumptions          B(4), C(1), D(1)"),
        ("rk4", "    C by stage           inf 1 1 2"),
        ("rk4", "    R(z)                 1 + z + 1/2 z^2 + 1/6 z^3 + 1/24 z^4"),
        ("rk4", "    imaginary interval   2.82843"),
        ("rk4", "    dissipation          order 5, coefficient 1/144"),
        ("ssprk104", "    SSP coefficient      6, 3/5 for each stage"),
        ("dop853", "    order                8, up to the rounding of its numbers"),
        ("dormand_prince54", "    largest coefficient  25360/2187 at A[4][1]"),
        ("dormand_prince54", "    estimate quality     B 1.54, C 1.67, E 0.337"),
        ("fehlberg45", "    error estimate       order 4; steps are taken with the lower order"),
    ],
)
def test_lines(name, line):
    assert line in str(analyse(name)).splitlines()


def test_superfluous_stages_and_faults_are_told():
    pair = Tableau([[], [1], [0, "1/2"], [1, 0, 0]], ["1/2", "1/4", 0, "1/4"], b_hat=[1, 1, 0, 0])
    text = str(analyse(pair))
    assert "    superfluous          unreachable: k_3; always equal: k_2, k_4" in text
    assert "    fault                The embedded weights of a pair sum to 1" in text


def test_nodes_that_are_no_row_sums():
    assert "order                4, exactly; 2 for y' = f(t, y)" in str(
        analyse((tableaux.get("rk4").A, tableaux.get("rk4").b, [0, 1, 0, 1]))
    )


@pytest.mark.parametrize(
    "name",
    ["rk4", "ralston4", "dormand_prince54", "tsitouras54", "calvo65", "verner87_1978", "dop853"],
)
def test_float64_copies_have_the_intervals_of_their_originals(name):
    """nodepy 1.1.1 gives these an imaginary interval of 0 or nearly so (findings/)."""
    arrays = tableaux.get(name).to_numpy()
    copy, original = analyse((arrays.A, arrays.b)), analyse(name)
    assert copy.imaginary_interval == pytest.approx(original.imaginary_interval, abs=1e-6)
    assert copy.real_interval == pytest.approx(original.real_interval, abs=1e-6)


def test_an_inconsistent_method():
    found = analyse(([[]], ["1/2"]))
    assert (found.order, found.error_norm) == (0, 0.5)
    assert str(found)


def test_an_implicit_method():
    found = analyse(([["5/12", "-1/12"], ["3/4", "1/4"]], ["3/4", "1/4"]))
    assert (found.order, found.stage_order, found.ssp_coefficient) == (3, 2, 0)
    assert "explicit             no" in str(found)
    assert found.to_dict()["amplification"] is None


@pytest.mark.parametrize("argument", [None, 3, "no_such_method", ([[], [1]], [1])])
def test_refusals(argument):
    with pytest.raises(TableauError, match="Received"):
        analyse(argument)


def test_symbols_are_refused():
    sympy = pytest.importorskip("sympy")
    with pytest.raises(TableauError, match=r"subs\(\.\.\.\)"):
        analyse(Tableau([[], [sympy.Symbol("x")]], ["1/2", "1/2"]))


def test_each_entry_gives_a_program_names_of_its_own():
    names = [name for entries in ENTRIES.values() for entry in entries for name in entry.values]
    assert len(names) == len(set(names))


def test_an_infinite_value_in_json():
    data = analyse("euler").to_dict()
    assert data["C_of_stages"] == ["inf"]
    assert analyse(([[]], [0])).to_dict()["ssp_coefficient"] == "inf"


def test_it_is_public():
    assert keras_rk.analyse is analyse
    assert isinstance(analyse("rk4"), keras_rk.Analysis)


@pytest.mark.parametrize(
    "method, largest, place, weights, rows, amplification",
    [
        ("euler", 1, "b[0]", 1, 0, 1),
        ("heun2", 1, "A[1][0]", 1, 1, 1.5),
        ("rk4", 1, "A[3][2]", 1, 1, 41 / 24),  # R(1) - 1: nothing is negative
        ("kutta3", 2, "A[2][1]", 1, 3, 1 / 6 + 2 / 3 * 1.5 + 1 / 6 * 5),
        (
            ([[], ["sqrt(2)"]], ["-sqrt(2)", 1]),
            "sqrt(2)",
            "A[1][0]",
            2.414213562,
            1.414213562,
            None,
        ),
    ],
)
def test_round_off(method, largest, place, weights, rows, amplification):
    found = round_off(method)
    assert (str(found.largest_coefficient), found.largest_place) == (str(largest), place)
    assert found.sum_of_weights == pytest.approx(weights)
    assert found.sum_of_row == pytest.approx(rows)
    if amplification is not None:
        assert found.amplification == pytest.approx(amplification)


@pytest.mark.parametrize("name", ["rk4", "kutta3", "dormand_prince54", "verner65", "rk38"])
def test_rounding_errors_are_within_the_bound_and_reach_it(name):
    """Errors of f with the worst signs, on y' = y with |k| <= 1 put in by hand."""
    A, b, *_ = tableaux.get(name).to_numpy()
    bound = round_off(name).amplification
    errors = []
    for row in A:  # each stage's own error is one, and all of those before add up
        errors.append(1 + sum(abs(x) * e for x, e in zip(row, errors, strict=False)))
    assert sum(abs(x) * e for x, e in zip(b, errors, strict=True)) == pytest.approx(bound)


@pytest.mark.parametrize(
    "method, area",
    [
        ("euler", math.pi),  # a disc of radius one
        (([[], ["1/4"]], ["1/2", "1/2"]), None),
        ("rk4", 12.70),
    ],
)
def test_the_area_of_the_region(method, area):
    region = stability_region(method)
    low, high, height = region.box()
    assert low <= -region.R.real_interval
    assert high >= 0
    assert height >= region.R.imaginary_interval
    if area is not None:
        assert region.area == pytest.approx(area, rel=2e-3)


@pytest.mark.parametrize("name", ["euler", "rk4", "dormand_prince54", "ssprk104"])
def test_the_boundary_of_the_region(name):
    np = pytest.importorskip("numpy")
    region = stability_region(name)
    points = region.boundary(24)
    assert len(points) == 24 * (len(region.R.coefficients) - 1)
    np.testing.assert_allclose(abs(region.R(points)), 1, atol=1e-9)
    np.testing.assert_array_equal(region.contains(0.0 * points), True)
    assert not region.contains(20 * points[abs(points) > 1]).any()


def test_membership_where_floats_cancel():
    """T_20(1 + z/400): in the whole of [-800, 0], with terms up to 1e13."""
    np = pytest.importorskip("numpy")
    from tests.test_stability import _chebyshev, _method

    region = stability_region(_method(_chebyshev(20)[0]))
    assert region.contains(np.linspace(-800, 0, 33)).all()
    assert -800.1 not in region
    assert 0.1 not in region


def test_the_region_of_a_constant():
    assert stability_region(([[]], [0])).area == math.inf
