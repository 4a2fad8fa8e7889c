"""How failures show numbers, and what they advise: a typing error, or too few digits."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from keras_rk import Tableau, check, tableaux
from keras_rk.cli import main
from keras_rk.proof.digits import brief, rounding_unit

DP = tableaux.get("dormand_prince54")
CK = tableaux.get("cash_karp54")
WEIGHTS = ["0.1", "0.2", "0.3", "0.4"]
DIGITS, SLIP, WHERE = "few digits", "typing error", "the nodes c would locate it"


def messages(tableau, **options):
    return "\n".join(failure.message for failure in check(tableau, **options).failures)


def rounded(tableau, digits, kind=str):
    """A method in decimals, with its nodes, as a table may print it."""

    def short(x):
        return kind(f"{float(x):.{digits}f}")

    return (
        [[short(x) for x in row] for row in tableau.A],
        [short(x) for x in tableau.b],
        [short(x) for x in tableau.c],
    )


def with_slip(tableau, i, j, change):
    rows = [list(row) for row in tableau.A]
    rows[i][j] += change
    return rows


@pytest.mark.parametrize("kind", [str, float, Decimal, np.float64])
def test_decimals_are_shown_as_such_with_the_difference(kind):
    rows = [[], ["0.3"], ["0.1", "0.43"], ["0.2300002", "0.2", "0.1"]]
    A = [[kind(x) for x in row] for row in rows]
    report = check((A, list(map(kind, WEIGHTS)), [0, *map(kind, ("0.3", "0.53", "0.53"))]))
    (failure,) = [failure for failure in report.failures if failure.rule == "row_sums"]
    assert "c[3] = 0.53, sum of row 3 = 0.5300002, difference -2e-07." in failure.message
    assert SLIP in failure.message
    assert failure.message in json.dumps(report.to_dict())


def test_fractions_are_shown_as_such_with_the_difference():
    text = messages(([[], ["1/2"], ["1/4", "1/4"]], ["1/3", "1/3", "1/3"], [0, "1/3", "1/2"]))
    assert "c[1] = 1/3, sum of row 1 = 1/2, difference -1/6." in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Fraction(1, 3), "1/3"),
        (Fraction(999, 1000), "999/1000"),
        (Fraction("0.5300002"), "0.5300002"),
        (Fraction(0.53), "0.53"),
        (Fraction(0.53) + Fraction(2e-7), "0.5300002"),
        (Fraction(1, 3) + Fraction(1, 10**30), "0.333333"),
        (Fraction(1, 1024), "1/1024"),
    ],
)
def test_brief(value, text):
    assert brief(value) == text


@pytest.mark.parametrize(
    ("x", "unit"),
    [
        (Fraction(2, 3), 0),
        (Fraction(1, 2), 0),
        (Fraction(0.075), 0),
        (Fraction("0.6667"), Fraction(1, 10**4)),
        (Fraction(0.6667), Fraction(1, 10**4)),
        (Fraction("0.123450001"), Fraction(1, 10**9)),
        (Fraction(float(np.float32(0.5))), 0),
    ],
)
def test_the_unit_of_the_last_digit(x, unit):
    assert rounding_unit(x) == unit


def test_the_unit_of_single_precision():
    third = Fraction(float(np.float32(1 / 3)))
    assert abs(third - Fraction(1, 3)) <= rounding_unit(third) < Fraction(1, 10**7)


# ------------------------------------------------------------------------------- row sums


@pytest.mark.parametrize("kind", [str, float])
@pytest.mark.parametrize("digits", [3, 4, 6, 9])
@pytest.mark.parametrize("method", [DP, CK], ids=["dp", "ck"])
def test_rows_that_are_all_a_little_off_have_too_few_digits(method, digits, kind):
    text = messages(rounded(method, digits, kind), order=5)
    assert DIGITS in text
    assert "rationalize" in text
    assert SLIP not in text


@pytest.mark.parametrize("change", [Fraction(1, 100), Fraction(2, 10**7), Fraction(-3)])
@pytest.mark.parametrize(("i", "j"), [(2, 1), (4, 2), (5, 0)])
@pytest.mark.parametrize("in_floats", [False, True])
def test_one_row_that_is_off_is_a_typing_error(i, j, change, in_floats):
    A, c = with_slip(CK, i, j, change), CK.c
    if in_floats:
        A, c = [[float(x) for x in row] for row in A], [float(x) for x in c]
    text = messages(Tableau(A, CK.b, c, claimed_order=5))
    assert f"a typing error in row {i} of A or in c[{i}]" in text
    assert DIGITS not in text


def test_two_typing_errors():
    A = with_slip(DP, 3, 1, Fraction(1, 10))
    A[5][2] += 1
    text = messages((A, DP.b, DP.c))
    assert "typing errors in these" in text
    assert text.count("sum of row") == 2


def test_nodes_of_another_method_get_no_advice():
    text = messages((DP.A, DP.b, list(range(7))))
    assert SLIP not in text
    assert DIGITS not in text


# ------------------------------------------------------------------------------- orders


@pytest.mark.parametrize("third", ["0.6667", "0.6666", "0.667", "0.66667", "0.66666667"])
@pytest.mark.parametrize("kind", [str, float, Decimal])
def test_a_short_third_gets_a_word_about_rationalize(third, kind):
    text = messages(([[], [kind(third)]], ["1/4", "3/4"]), order=2)
    assert DIGITS in text
    assert "tableau.rationalize(tolerance=" in text


@pytest.mark.parametrize("third", ["0.6667", "0.66667", "0.66666667"])
def test_the_tolerance_that_is_named_recovers_the_method(third):
    tableau = Tableau([[], [third]], ["1/4", "3/4"], claimed_order=2)
    tolerance = messages(tableau).split("rationalize(tolerance='")[1].split("'")[0]
    assert check(tableau.rationalize(tolerance))


def test_single_precision_has_too_few_digits():
    A, b = ([[], [np.float32(2 / 3)]], [np.float32(0.25), np.float32(0.75)])
    assert DIGITS in messages((A, b), order=2)


def test_one_coefficient_that_explains_it_is_a_typing_error():
    wrong = ([[], ["1/2"], [0, "0.5000003"], [0, 0, 1]], ["1/6", "1/3", "1/3", "1/6"])
    text = messages(wrong, order=4)
    assert "a typing error: A[2][1] = 0.5000003, where 1/2 meets the conditions of order" in text
    assert DIGITS not in text


@pytest.mark.parametrize("weight", ["0.333", "0.3333", 0.3333])
def test_weights_with_few_digits(weight):
    report = check(([[], ["1/2"], [0, "1/2"]], [weight] * 3))
    assert [failure.rule for failure in report.failures] == ["consistent"]
    assert DIGITS in report.failures[0].message


def test_embedded_weights_with_few_digits():
    pair = Tableau([[], ["1/2"], [0, 1]], [0, 1, 0], b_hat=["0.3333"] * 3)
    (failure,) = check(pair).failures
    assert failure.rule == "pair"
    assert "rationalize(tolerance='1e-4')" in failure.message


def test_without_nodes_a_typing_error_cannot_be_located_and_the_report_says_so():
    wrong = Tableau(with_slip(DP, 4, 2, Fraction(1, 100)), DP.b, claimed_order=5)
    report = check(wrong)
    assert report.order == 1
    assert WHERE in report.failures[0].message
    assert WHERE in messages((wrong.A, wrong.b), order=5)
    located = Tableau(wrong.A, DP.b, DP.c, claimed_order=5)
    assert WHERE not in messages(located)
    assert "row 4 of A" in messages(located)


def test_it_is_said_once():
    A = with_slip(DP, 4, 2, Fraction(1, 100))
    wrong = Tableau(A, DP.b, b_hat=DP.b_hat, claimed_order=5, claimed_embedded_order=4)
    text = messages(wrong, order=6)
    assert text.count("the order is 1") == 3
    assert text.count(WHERE) == 1


@pytest.mark.parametrize(("name", "order"), [("rk4", 5), ("euler", 9), ("dormand_prince54", 6)])
def test_an_order_that_a_method_never_had_is_no_typing_error(name, order):
    assert messages(name, order=order) == (
        f"The order asked for is {order}; the order is {order - 1 if name != 'euler' else 1}."
    )


def test_weights_that_were_exchanged():
    swapped = Tableau(DP.A, DP.b_hat, b_hat=DP.b, claimed_order=5, claimed_embedded_order=4)
    assert "exchange the two" in messages(swapped)


def test_the_advice_reaches_the_command(tmp_path, capsys):
    path = tmp_path / "ralston.json"
    path.write_text('{"A": [[], [0.6667]], "b": [0.25, 0.75], "claimed_order": 2}')
    assert main(["check", str(path), "--json"]) == 1
    assert "rationalize" in json.loads(capsys.readouterr().out)["failures"][0]["message"]


@pytest.mark.parametrize("name", tableaux.names())
def test_a_sound_method_is_never_said_to_lack_digits(name):
    method = tableaux.get(name)
    if method.claimed_order < 8:
        floats = method.to_numpy()
        for tableau in (method, (floats.A, floats.b)):
            text = messages(tableau, order=method.claimed_order + 1)
            assert DIGITS not in text
            assert SLIP not in text
