"""Shu-Osher and low-storage coefficients as tableaux."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from keras_rk import Tableau, TableauError, check, tableaux
from keras_rk.tableaux import from_low_storage, from_shu_osher
from keras_rk.tableaux.as_tableau import as_tableau

SSP33 = ([[1], ["3/4", "1/4"], ["1/3", 0, "2/3"]], [[1], [0, "1/4"], [0, 0, "2/3"]])
SSP43 = (
    [[1], [0, 1], ["2/3", 0, "1/3"], [0, 0, 0, 1]],
    [["1/2"], [0, "1/2"], [0, 0, "1/6"], [0, 0, 0, "1/2"]],
)


def ssp104():
    """D. I. Ketcheson (2008): ten stages of 1/6, with two combinations of earlier ones."""
    alpha = [[0] * i + [1] for i in range(10)]
    beta = [[0] * i + ["1/6"] for i in range(10)]
    alpha[4] = ["3/5", 0, 0, 0, "2/5"]
    beta[4] = [0, 0, 0, 0, "1/15"]
    alpha[9] = ["1/25", 0, 0, 0, "9/25", 0, 0, 0, 0, "3/5"]
    beta[9] = [0, 0, 0, 0, "3/50", 0, 0, 0, 0, "1/10"]
    return alpha, beta


@pytest.mark.parametrize(
    "name, forms", [("ssprk33", SSP33), ("ssprk43", SSP43), ("ssprk104", ssp104())]
)
def test_published_combinations_are_the_named_methods(name, forms):
    found, named = from_shu_osher(*forms), tableaux.get(name)
    assert (found.A, found.b, found.c) == (named.A, named.b, named.c)


def square(rows):
    return [row + [0] * (len(rows) - len(row)) for row in rows]


@pytest.mark.parametrize(
    "form",
    [lambda rows: rows, square, lambda rows: [[], *rows], lambda rows: [[0] * 3, *square(rows)]],
)
@pytest.mark.parametrize("other", [lambda rows: rows, square])
def test_shapes_of_combinations(form, other):
    alpha, beta = SSP33
    assert from_shu_osher(form(alpha), other(beta)) == tableaux.get("ssprk33")


def test_the_rest_of_a_row_is_the_first_stage():
    """As nodepy writes it: the first column of alpha may be left out."""
    alpha = [[0], [0, "1/4"], [0, 0, "2/3"]]
    assert from_shu_osher(alpha, SSP33[1]) == tableaux.get("ssprk33")


def test_arrays_and_roots():
    third = np.array([[1, 0], [0.5, 0.5]])
    tableau = from_shu_osher(third, np.array([[1, 0], [0, 0.5]]), name="ssp22", claimed_order=2)
    assert tableau == tableaux.get("heun2")
    assert tableau.has_floats
    assert tableau.name == "ssp22"
    assert check(tableau)
    root = from_shu_osher([["1"], ["sqrt(2)/2", "1 - sqrt(2)/2"]], [["sqrt(2)"], [0, 1]])
    assert str(root.b[0]) == "-1 + sqrt(2)"


CARPENTER_KENNEDY = (  # M. H. Carpenter, C. A. Kennedy (1994), five stages, order 4
    [
        "0",
        "-567301805773/1357537059087",
        "-2404267990393/2016746695238",
        "-3550918686646/2091501179385",
        "-1275806237668/842570457699",
    ],
    [
        "1432997174477/9575080441755",
        "5161836677717/13612068292357",
        "1720146321549/2090206949498",
        "3134564353537/4481467310338",
        "2277821191437/14882151754819",
    ],
)
CARPENTER_KENNEDY_NODES = [
    "0",
    "1432997174477/9575080441755",
    "2526269341429/6820363962896",
    "2006345519317/3224310063776",
    "2802321613138/2924317926251",
]


def test_williamson():
    """Case 7 of Williamson (1980), in Butcher's form as it is printed elsewhere."""
    tableau = from_low_storage(["0", "-5/9", "-153/128"], ["1/3", "15/16", "8/15"])
    assert tableau == Tableau([[], ["1/3"], ["-3/16", "15/16"]], ["1/6", "3/10", "8/15"])
    assert from_low_storage(["-5/9", "-153/128"], ["1/3", "15/16", "8/15"]) == tableau


def test_carpenter_and_kennedy():
    tableau = from_low_storage(*CARPENTER_KENNEDY)
    report = check(tableau, 4)
    assert (bool(report), report.order) == (True, 4)
    for found, published in zip(tableau.c, CARPENTER_KENNEDY_NODES, strict=True):
        assert abs(found - Fraction(published)) < Fraction(1, 10**12)


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_low_storage_by_its_definition(steps):
    """On y' = y, of which every step is rational."""
    A, B = [Fraction(-i, 3) for i in range(steps)], [Fraction(1, i + 2) for i in range(steps)]
    y, register, dt = Fraction(1), Fraction(0), Fraction(1, 7)
    for a, b in zip(A, B, strict=True):
        register = a * register + dt * y
        y += b * register
    tableau = from_low_storage(A, B)
    k = []
    for row in tableau.A:
        k.append(1 + dt * sum(a * x for a, x in zip(row, k, strict=False)))
    assert 1 + dt * sum(b * x for b, x in zip(tableau.b, k, strict=True)) == y


@pytest.mark.parametrize(
    "data",
    [
        {"alpha": SSP33[0], "beta": SSP33[1]},
        '{"alpha": [[1], ["3/4", 0.25], ["1/3", 0, "2/3"]],'
        '  "beta": [[1], [0, 0.25], [0, 0, "2/3"]]}',
        'alpha = [[1], ["3/4", 0.25], ["1/3", 0, "2/3"]]\nbeta = [[1], [0, 0.25], [0, 0, "2/3"]]',
        "alpha: [[1], [3/4, 1/4], [1/3, 0, 2/3]]\nbeta: [[1], [0, 1/4], [0, 0, 2/3]]\n",
    ],
    ids=["dictionary", "JSON", "TOML", "YAML"],
)
def test_in_files_by_their_keys(data):
    tableau = as_tableau(data) if isinstance(data, dict) else Tableau.from_text(data)
    assert tableau == tableaux.get("ssprk33")
    assert not tableau.has_floats


def test_low_storage_in_a_file():
    text = 'A_2N = ["-5/9", "-153/128"]\nB_2N = ["1/3", "15/16", "8/15"]\nclaimed_order = 3'
    tableau = Tableau.from_text(text)
    assert tableau.claimed_order == 3
    assert check(tableau)


UNUSABLE = {
    "rows that sum to 5/4": lambda: from_shu_osher([[1], ["3/4", "1/2"]], [[1], [0, 1]]),
    "implicit": lambda: from_shu_osher([[1, 0], [0, 1]], [[1, 1], [0, 1]]),
    "shapes": lambda: from_shu_osher([[1], [0, 1]], [[1]]),
    "ragged": lambda: from_shu_osher([[1, 0], [1]], [[1], [0, 1]]),
    "no stages": lambda: from_shu_osher([], []),
    "a row and a column too many": lambda: from_shu_osher(
        [[1, 0, 0], [1, 0, 0], ["1/2", "1/2", 0]], [[0, 0, 0], [1, 0, 0], [0, "1/2", 0]]
    ),
    "no numbers": lambda: from_shu_osher([["x"]], [[1]]),
    "no rows": lambda: from_shu_osher([1], [1]),
    "text": lambda: from_shu_osher("11", "11"),
    "symbols": lambda: from_shu_osher([[1]], [[pytest.importorskip("sympy").Symbol("a")]]),
    "too many stages": lambda: from_shu_osher([[0] * i + [1] for i in range(200)], [[1]]),
    "long numbers": lambda: from_shu_osher(
        [[0] * i + [1] for i in range(100)], [[f"1/{3**i + 10**60}"] * (i + 1) for i in range(100)]
    ),
    "A_1": lambda: from_low_storage([1, 1], [1, 1]),
    "lengths": lambda: from_low_storage([0], [1, 1, 1]),
    "nothing": lambda: from_low_storage([], []),
    "no sequence": lambda: from_low_storage(0, 1),
    "a label": lambda: from_low_storage([], [1], colour="red"),
    "half of them": lambda: Tableau.from_dict({"alpha": [[1]]}),
    "both": lambda: Tableau.from_dict({"alpha": [[1]], "beta": [[1]], "A": [[]], "b": [1]}),
}


@pytest.mark.parametrize("make", UNUSABLE.values(), ids=UNUSABLE)
def test_what_is_refused(make, deadline):
    with pytest.raises(TableauError, match="Received"):
        make()
