"""An embedded pair as a pair: in the report, in JSON, and where a layer needs the estimate."""

from __future__ import annotations

import json

import pytest
import sympy

from keras_rk import Tableau, TableauError, check, tableaux
from keras_rk.cli import main
from keras_rk.layers import RKResidual, RKStack
from keras_rk.proof.pairs import is_blind
from tests.keras_helpers import dense

BS = tableaux.get("bogacki_shampine32")
RK4 = ([[], ["1/2"], [0, "1/2"], [0, 0, 1]], ["1/6", "1/3", "1/3", "1/6"])
PAIRS = [name for name in tableaux.names() if tableaux.get(name).b_hat is not None]


def in_floats(tableau):
    arrays = tableau.to_numpy()
    return Tableau(arrays.A, arrays.b, b_hat=arrays.b_hat)


# What public libraries shipped for Bogacki-Shampine: 1/4 for 1/8
NO_SUM = Tableau(BS.A, BS.b, b_hat=["7/24", "1/4", "1/3", "1/4"])
EQUAL = Tableau(BS.A, BS.b, b_hat=BS.b)
BLIND = Tableau(*RK4, b_hat=["1/6", "2/3", 0, "1/6"])
FAULTS = {
    "no sum": (NO_SUM, r"sum to 1.*sum\(b_hat\) = 9/8, difference 1/8"),
    "a short sum": (Tableau(*RK4, b_hat=["1/6", "1/3", "1/3", "1/7"]), r"difference -1/42"),
    "no sum in floats": (
        Tableau(*RK4, b_hat=[0.1, 0.3, 0.3, 0.1]),
        r"sum\(b_hat\) = 0\.8, difference -0\.2",
    ),
    "equal": (EQUAL, "b_hat = b"),
    "equal up to rounding": (
        Tableau(*RK4, b_hat=[1 / 6, 1 / 3, 1 / 3, 1 / 6]),
        "b_hat = b",
    ),
    "blind": (BLIND, r"y' = f\(t\).*cancel at each node"),
    "blind in floats": (in_floats(BLIND), "cancel at each node"),
    "blind at rounded nodes": (
        Tableau([[], [0.1 + 0.2], [0, 0.3]], [0, "1/2", "1/2"], b_hat=[0, 1, 0]),
        "cancel at each node",
    ),
    "blind with one node": (Tableau([[], [0]], [1, 0], b_hat=[0, 1]), "cancel at each node"),
    "blind with roots": (
        Tableau([[], ["sqrt(2)/2"], [0, "sqrt(2)/2"]], [0, "1/2", "1/2"], b_hat=[0, 1, 0]),
        "cancel at each node",
    ),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_pair_that_estimates_nothing_fails(case):
    tableau, message = FAULTS[case]
    report = check(tableau)
    assert not report
    assert report.verdict == "failed"
    assert [failure.rule for failure in report.failures] == ["pair"]
    with pytest.raises(TableauError, match=message):
        report.raise_if_failed()
    assert report.failures[0].message in str(report)
    assert report.to_dict()["failures"][0]["rule"] == "pair"


@pytest.mark.parametrize("require", ["order", "consistent", "explicit"])
@pytest.mark.parametrize("asked", [{"error_estimate": True}, {"error_weight": 0.1}], ids=str)
@pytest.mark.parametrize("make", [RKResidual, lambda f, *a, **k: RKStack(f, 2, *a, **k)])
@pytest.mark.parametrize("case", ["no sum", "equal", "blind"])
def test_a_layer_that_needs_the_estimate_refuses(case, make, asked, require):
    tableau, message = FAULTS[case]
    with pytest.raises(TableauError, match=message):
        make(dense(3), tableau, require=require, **asked)


@pytest.mark.parametrize("case", ["no sum", "equal", "blind"])
def test_a_layer_without_an_estimate_does_without_the_pair(case):
    assert RKResidual(dense(3), FAULTS[case][0]).tableau == FAULTS[case][0]


def test_symbols():
    x = sympy.Symbol("x")
    blind = Tableau([[], [x], [0, x]], [0, "1/2", "1/2"], b_hat=[0, x, 1 - x])
    assert [failure.rule for failure in check(blind).failures] == ["pair"]
    assert check(Tableau([[], [x], [0, 1]], [0, "1/2", "1/2"], b_hat=[0, x, 1 - x]))
    no_sum = Tableau([[], [x]], [0, 1], b_hat=[x, x])
    assert "sum(b_hat) = 2*x" in check(no_sum).failures[0].message


@pytest.mark.parametrize("name", PAIRS)
def test_a_named_pair_holds_and_what_may_surprise_is_said(name):
    pair = tableaux.get(name)
    for report in (check(pair), check(in_floats(pair))):
        assert report
        said = " ".join(report.remarks)
        assert ("above order" in said) is (pair.claimed_embedded_order > pair.claimed_order)
        assert ("y' = f(t)" in said) is is_blind(pair)
        assert all(f"  note         {remark}" in str(report) for remark in report.remarks)


def test_the_published_pairs_that_are_blind():
    assert {name for name in PAIRS if is_blind(tableaux.get(name))} == {
        "fehlberg56",
        "fehlberg65",
        "fehlberg67",
        "fehlberg76",
        "fehlberg78",
        "fehlberg87",
        "fehlberg89",
        "feagin10",
        "feagin1210",
        "feagin1412",
        "sayfy_aburub43",
    }


def test_an_embedded_order_above_the_main_one_is_said(capsys):
    remark = "b_hat has order 5, above order 4 of b, with which steps are taken"
    assert remark in check("fehlberg45").remarks
    assert main(["check", "fehlberg45", "--json"]) == 0
    assert remark in json.loads(capsys.readouterr().out)["remarks"]


@pytest.mark.parametrize("max_order", [1, 4])
def test_no_order_is_above_one_that_is_only_bounded(max_order):
    report = check(Tableau(*RK4, b_hat=["1/6", "1/3", "1/2", 0]), max_order=max_order)
    assert (bool(report), report.remarks) == (True, ())


def test_a_claim_for_the_embedded_weights_has_its_line():
    wrong = Tableau(BS.A, BS.b, b_hat=BS.b_hat, claimed_order=3, claimed_embedded_order=3)
    lines = str(check(wrong)).splitlines()
    assert "  claimed      3: holds" in lines
    assert "  claimed      3 for b_hat: does not hold" in lines
    assert "the error is in b_hat" in check(wrong).failures[0].message
    assert "sum b_hat_i c_i c_i = 1/3" in str(check(wrong))
    assert "  claimed      2 for b_hat: holds" in str(check(BS)).splitlines()
