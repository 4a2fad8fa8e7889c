"""What a notebook shows of tableaux and reports: well-formed HTML, escaped, without colours."""

from __future__ import annotations

import re

import pytest

from keras_rk import Tableau, analyse, check, check_extension, tableaux
from keras_rk.notebook import as_html
from tests.html_helpers import parsed

HOSTILE = '<script>alert("x")</script> & </table>'


@pytest.mark.parametrize(
    "name", [one["name"] for one in tableaux.described() if one["stages"] <= 20]
)
def test_a_tableau_is_a_table_with_its_lines(name):
    tableau = tableaux.get(name)
    text = tableau._repr_html_()
    rows = parsed(text).rows
    weights = 1 + (tableau.exact_b_hat is not None)
    assert [len(row) for row in rows] == [tableau.stages + 1] * (tableau.stages + weights)
    assert rows[tableau.stages][0] == ""  # nothing stands beside the weights
    line = [row.count("border-top") for row in re.findall("<tr>.*</tr>", text)]
    assert line == [(i == tableau.stages) * (tableau.stages + 1) for i in range(len(rows))]
    assert text.count("border-right") == len(rows)


def test_numbers_of_a_tableau_are_in_their_places():
    rows = parsed(tableaux.get("bogacki_shampine32")._repr_html_()).rows
    assert rows[1] == ["1/2", "1/2", "", "", ""]
    assert rows[4] == ["", "2/9", "1/3", "4/9", "0"]


REPORTS = {
    "check that holds": lambda name: check(Tableau([[], [1]], ["1/2", "1/2"], name=name)),
    "check that fails": lambda name: check(Tableau([[], [1]], ["1/3", "1/2"], name=name), 4),
    "analysis": lambda name: analyse(Tableau([[], [1]], ["1/2", "1/2"], name=name)),
    "extension": lambda name: check_extension(
        Tableau([[], [1]], ["1/2", "1/2"], b_theta=[[1, "-1/2"], [0, "1/2"]], name=name)
    ),
}


@pytest.mark.parametrize("make", REPORTS.values(), ids=REPORTS)
def test_a_report_is_escaped_and_has_every_line(make):
    report = make(HOSTILE)
    found = parsed(report._repr_html_())
    words = str(report).split()
    assert HOSTILE in found.text
    missing = [word for word in words if word not in found.text]
    assert missing == []


def test_lines_are_sorted_into_lists_and_tables():
    rows = parsed(check("rk4")._repr_html_()).rows
    assert rows[0] == ["explicit", "yes"]
    assert rows[-1] == ["verdict", "exact"]
    text = "title\n\n  block    dt  error\n  a b    0.1      3\n\nnote\n  more <b>"
    found = parsed(as_html(text))
    assert found.rows == [["block", "dt", "error"], ["a b", "0.1", "3"]]
    assert "more <b>" in found.text
    assert parsed(as_html("")).text == ""
