"""Enclosures of elementary weights: what they hold, and that verdicts do not depend on them."""

import random
from dataclasses import replace
from fractions import Fraction
from unittest.mock import patch

import pytest

from keras_rk import Tableau, check, tableaux
from keras_rk.proof import order_conditions
from keras_rk.proof.elementary_weights import ElementaryWeights
from keras_rk.proof.enclosure_form import EnclosureForm
from keras_rk.proof.forms import exact_form
from keras_rk.proof.order_conditions import Residuals


def decimals(seed, stages, digits, size):
    """A tableau of decimals that satisfies nothing, with nodes that are the row sums or not."""
    draw = random.Random(seed)

    def number():
        return Fraction(draw.randint(-size * 10**digits, size * 10**digits), 10**digits)

    A = [[number() if draw.random() < 0.8 else 0 for _ in range(i)] for i in range(stages)]
    c = [sum(row, Fraction(0)) + draw.choice([0, Fraction(1, 10**digits)]) for row in A]
    return Tableau(A, [number() for _ in range(stages)], c)


def exact_weight(tableau, order, k, with_time=False):
    form = exact_form(tableau)
    weights = ElementaryWeights(form, with_time)
    return form.value(weights.weight(order, k, False), weights.scale(order, False))


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize("digits", [3, 20, 90])
@pytest.mark.parametrize("stages", [1, 2, 5])
def test_an_enclosure_holds_the_exact_weight(stages, digits, size):
    tableau = decimals(stages + digits, stages, digits, size)
    form = EnclosureForm(tableau)
    weights = ElementaryWeights(form)
    for order in range(1, 8):
        for k, ((midpoint, error),) in weights.scaled(order):
            distance = exact_weight(tableau, order, k) * form.one_unit - midpoint
            assert abs(distance) <= error
            assert error < form.one_unit >> 60  # and it is narrow


@pytest.mark.parametrize("stages", [3, 4])
def test_one_tree_holds_the_weights_of_all_its_colourings(stages):
    """The leaf t carries c_i where the other leaf carries the sum of row i."""
    tableau = decimals(stages, stages, 30, 2)
    assert not tableau.has_row_sums
    form = EnclosureForm(tableau)
    weights = ElementaryWeights(form, row_sums=form.nodes_or_row_sums())
    for order in range(2, 6):
        bounds = [(m - e, m + e) for _, ((m, e),) in weights.scaled(order)]
        coloured = Residuals(tableau, with_time=True)
        for residual in coloured.all(order):
            weight = coloured.condition(residual).exact_weight * form.one_unit
            assert any(low <= weight <= high for low, high in bounds)


def without_enclosures():
    return patch.object(order_conditions, "DEAR_BITS", 10**9)


def rounded(name, digits):
    method = tableaux.get(name)

    def short(x):
        return Fraction(
            round(Fraction(str(x.evalf(200)) if hasattr(x, "evalf") else x) * 10**digits),
            10**digits,
        )

    return Tableau(
        [[short(x) for x in row] for row in method.A],
        [short(x) for x in method.b],
        [short(x) for x in method.c],
        b_hat=None if method.b_hat is None else [short(x) for x in method.b_hat],
        claimed_order=method.claimed_order,
    )


CASES = [("cooper_verner8", 60), ("dormand_prince87", 50), ("verner98", 40), ("verner98", 90)]


@pytest.mark.parametrize("name, digits", CASES)
def test_the_report_is_the_one_of_exact_numbers(name, digits):
    tableau = rounded(name, digits)
    report = check(tableau)
    with without_enclosures():
        exact = check(tableau)
    assert report.verdict == "numeric"
    assert replace(report, evidence=()) == replace(exact, evidence=())
    for found, expected in zip(report.evidence, exact.evidence, strict=True):
        assert (found.value, found.verdict, found.broken) == (
            expected.value,
            expected.verdict,
            expected.broken,
        )
        assert float(found.largest.residual) == pytest.approx(float(expected.largest.residual))


@pytest.mark.parametrize("name, digits", CASES[:2])
def test_a_slip_fails_at_the_same_tree(name, digits):
    tableau = rounded(name, digits)
    A = [list(row) for row in tableau.A]
    A[-1][0] += Fraction(1, 10**5)
    A[-1][1] -= Fraction(1, 10**5)  # the row sum stays
    slipped = Tableau(A, tableau.b, tableau.c, claimed_order=tableau.claimed_order)
    report = check(slipped)
    with without_enclosures():
        assert check(slipped).failures == report.failures != ()


def test_sizes_are_those_of_exact_numbers():
    residuals = Residuals(rounded("cooper_verner8", 60))
    for residual in residuals.all(8):
        exact = residuals.condition(residual).exact_residual
        assert residual.size == pytest.approx(abs(float(exact)), rel=1e-12, abs=0)
        assert (residual.verdict == "exact") is (exact == 0)


def test_the_tolerance_holds_with_time_too():
    """Nodes that miss the row sums by 1e-14 or by 1e-10, of each their own verdict."""
    method = rounded("dormand_prince87", 50)
    for miss, order in (("1e-14", 8), ("1e-6", 1)):
        c = [x + Fraction(miss) * (i > 0) for i, x in enumerate(method.c)]
        report = check(Tableau(method.A, method.b, c), require_row_sums=False)
        with without_enclosures():
            exact = check(Tableau(method.A, method.b, c), require_row_sums=False)
        assert report.nonautonomous_order == exact.nonautonomous_order == order
