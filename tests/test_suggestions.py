"""What a failed check suggests: the right mend for real and for made-up slips, and never a lie."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import pickle
import random
from fractions import Fraction
from pathlib import Path

import pytest

from keras_rk import Tableau, check, tableaux
from keras_rk.analysis.repair.slips import PLAUSIBLE, apart, cost, decimal_text, neighbours
from keras_rk.cli import main

BENCHMARK = Path(__file__).parents[1] / "examples" / "benchmarks" / "mending.py"


@pytest.fixture(autouse=True)
def _time_enough(monkeypatch):
    """What is found does not depend on how busy the machine is."""
    for limit, seconds in (("SECONDS", 30), ("_FOR_PROOFS", 12), ("_LONGEST_PROOF", 15)):
        monkeypatch.setattr(f"keras_rk.analysis.repair.mending.{limit}", seconds)


def benchmark():
    spec = importlib.util.spec_from_file_location("benchmark_of_mending", BENCHMARK)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def method(name, with_nodes=False, **changes):
    """A named method with other rows: `A_3=[...]`, `b=[...]`, or single entries `b_0="3/4"`."""
    right = tableaux.get(name)
    A = [list(row) for row in right.exact_A]
    rows = {"b": list(right.exact_b), "c": list(right.exact_c)}
    if right.exact_b_hat is not None:
        rows["b_hat"] = list(right.exact_b_hat)
    for place, value in changes.items():
        field, *numbers = place.rsplit("_", place.count("_") - place.startswith("b_hat"))
        if field == "A" and len(numbers) == 1:
            A[int(numbers[0])][: len(value)] = value
        elif field == "A":
            A[int(numbers[0])][int(numbers[1])] = value
        elif numbers:
            rows[field][int(numbers[0])] = value
        else:
            rows[field] = value
    c = rows.pop("c")
    return Tableau(
        A,
        **rows,
        c=c if with_nodes else None,
        claimed_order=right.claimed_order,
        claimed_embedded_order=right.claimed_embedded_order,
        name=name,
    )


# J. H. Verner's method of 1991 with nine stages and order 6, in the decimals of public code
VERNER_1991 = {
    "A": [
        [],
        [".18"],
        [
            ".8950617283950617283950617283950617283951e-1",
            ".7716049382716049382716049382716049382716e-1",
        ],
        [".625e-1", 0, ".1875"],
        [".316516", 0, "-1.044948", "1.258432"],
        [
            ".2723261273648562625722506556667430550251",
            0,
            "-.8251336032388663967611336032388663967611",
            "1.048091767881241565452091767881241565452",
            ".1047157079927685687367911796908817762840",
        ],
        [
            "-.1669941859971651431432960727896179733320",
            0,
            ".6317085020242914979757085020242914979757",
            ".1746104455277387608214675883848816179643",
            "-1.066535645908606612252519473401868067778",
            "1.227210884353741496598639455782312925170",
        ],
        [
            ".3642375168690958164642375168690958164642",
            0,
            "-.2040485829959514170040485829959514170040",
            "-.3488373781606864313631230924464007170774",
            "3.261932303285686744333360874714258172905",
            "-2.755102040816326530612244897959183673469",
            ".6818181818181818181818181818181818181818",
        ],
    ],
    "b": [
        ".7638888888888888888888888888888888888889e-1",
        0,
        0,
        ".3694083694083694083694083694083694083694",
        0,
        ".2480158730158730158730158730158730158730",
        ".2367424242424242424242424242424242424242",
        ".6944444444444444444444444444444444444444e-1",
    ],
}  # without the ninth stage, which repeats b


def verner_1991(**changes):
    A = [list(row) for row in VERNER_1991["A"]]
    A[4][3] = changes.get("A_4_3", A[4][3])
    return Tableau(A, VERNER_1991["b"], claimed_order=6)


def lambert(row):
    """Lambert's method of order 5; nodepy 1.1.1 has 1/8, 1/8 in the third row of `Lambert65`."""
    return Tableau(
        [
            [],
            ["1/2"],
            row,
            [0, 0, "1/2"],
            [0, "-3/16", "3/8", "9/16"],
            ["1/7", "4/7", "6/7", "-12/7", "8/7"],
        ],
        ["7/90", 0, "16/45", "2/15", "16/45", "7/90"],
        claimed_order=5,
    )


REAL = {
    "a sign too many in the last row": (method("rk38", A_3=[1, -2, 1]), method("rk38"), 1),
    "a sign lost in the last row": (method("rk38", A_3=[1, 2, 1]), method("rk38"), 1),
    "3/4 for 3/40": (method("dverk65", b_0="3/4"), method("dverk65"), 0),
    "a zero missing in a row": (
        method("fehlberg78", A_7=["31/300", 0, 0, "61/225", "-2/9", "13/900", 0]),
        method("fehlberg78"),
        2,  # the row sums are right, and what multiplies the nodes is not
    ),
    "1.2584322 for 1.258432": (verner_1991(A_4_3="1.2584322"), verner_1991(), 3),
    "18574 for 18575": (
        method("cash_karp54", b_hat_2="18574/48384"),
        method("cash_karp54"),
        5,
    ),
    "c_2 = 2 for 1/5": (
        method("cash_karp54", with_nodes=True, c_1=2),
        method("cash_karp54"),
        5,
    ),
    "Lambert65 of nodepy": (lambert(["1/8", "1/8"]), lambert(["3/16", "1/16"]), 2),
}


@pytest.mark.parametrize("case", REAL)
def test_errors_found_in_public_code(case):
    wrong, right, order = REAL[case]
    failed = check(wrong)
    assert not failed
    assert failed.order == order
    assert check(right)
    assert failed.suggestions[0].tableau == right


RK4, DP, HEUN3 = tableaux.get("rk4"), tableaux.get("dormand_prince54"), tableaux.get("heun3")
GILL = tableaux.get("gill4")


def floats(tableau, **changes):
    arrays = tableau.to_numpy()
    b = arrays.b.copy()
    for place, value in changes.items():
        b[int(place[2:])] = value
    return Tableau(arrays.A, b, claimed_order=tableau.claimed_order)


MADE_UP = {
    "a sign": (method("dormand_prince54", A_3_1="56/15"), DP, "A[3][1] = -56/15 instead of 56/15"),
    "a digit": (method("dormand_prince54", A_6_2="50/1113"), DP, "A[6][2] = 500/1113"),
    "a square root": (method("gill4", A_3_2=1), GILL, "A[3][2] = (2 + sqrt(2))/2 instead of 1"),
    "a decimal": (method("heun3", A_2_1="0.666667"), HEUN3, "A[2][1] = 2/3 instead of 0.666667"),
    "decimals": (
        method("heun3", A_2_1="0.666667", A_1_0="0.333333"),
        HEUN3,
        "A[1][0] = 1/3 instead of 0.333333 and A[2][1] = 2/3 instead of 0.666667",
    ),
    "a row beside its node": (
        method("dormand_prince54", with_nodes=True, A_4_2="64448/651"),
        DP,
        "A[4][2] = 64448/6561 instead of 64448/651",
    ),
    "denominators of b": (method("rk4", b=[1, 2, 2, 1]), RK4, "b divided by 6"),
    "denominators of a row": (
        method("dormand_prince54", A_2=[3, 9]),
        DP,
        "row 2 of A divided by 40",
    ),
    "weights exchanged": (
        method("dormand_prince54", b=DP.exact_b_hat, b_hat=DP.exact_b),
        DP,
        "b and b_hat exchanged",
    ),
    "a weight of the pair": (method("dormand_prince54", b_hat_6="1/4"), DP, "b_hat[6] = 1/40"),
    "floats": (floats(DP, b_2=-500 / 1113), floats(DP), "b[2] = 0.449236298292902"),
    "two weights": (method("dverk65", b_0="3/4", b_3="2/72"), tableaux.get("dverk65"), " and "),
    "a weight and an entry": (method("rk4", b_0="1/3", A_2_1="1/4"), RK4, " and "),
}


@pytest.mark.parametrize("case", MADE_UP)
def test_the_first_suggestion_is_the_right_one(case):
    wrong, right, text = MADE_UP[case]
    (first, *_) = check(wrong).suggestions
    assert first.tableau == right
    assert text in first.text


def permuted(tableau, order):
    def put(row):
        return [row[i] for i in order]

    return Tableau(
        [put(tableau.exact_A[i]) for i in order],
        put(tableau.exact_b),
        b_hat=None if tableau.exact_b_hat is None else put(tableau.exact_b_hat),
        claimed_order=tableau.claimed_order,
        claimed_embedded_order=tableau.claimed_embedded_order,
    )


@pytest.mark.parametrize(
    ("tableau", "order"), [(RK4, [2, 0, 3, 1]), (DP, [6, 5, 4, 3, 2, 1, 0]), (GILL, [1, 0, 2, 3])]
)
def test_a_stage_order_that_makes_a_permuted_tableau_explicit(tableau, order):
    failed = check(permuted(tableau, order))
    assert not failed.explicit
    assert failed.suggestions[0].tableau == tableau


@pytest.mark.parametrize("with_nodes", [False, True])
def test_rows_of_A_exchanged(with_nodes):
    A = list(DP.exact_A)
    A[2], A[3] = A[3], A[2]
    c = DP.exact_c if with_nodes else None
    failed = check(Tableau(A, DP.exact_b, c, claimed_order=5))
    first = failed.suggestions[0]
    assert first.tableau.exact_A == DP.exact_A
    assert "rows 2 and 3 of A exchanged" in first.text


# --------------------------------------------------------------------- where no order is claimed


@pytest.mark.parametrize("order", [None, 4])
def test_an_order_is_guessed_or_asked_for(order):
    wrong = Tableau(RK4.exact_A, ["1/6", "1/3", "1/3", "1/8"])
    first = check(wrong, order=order).suggestions[0]
    assert first.tableau == RK4
    assert first.text.endswith("order 4, exactly")


def test_what_reaches_the_highest_order_alone_is_offered():
    wrong = Tableau(RK4.exact_A, ["1/6", "1/3", "1/3", "1/8"])  # three others reach order 1
    assert len(check(wrong).suggestions) == 1


# --------------------------------------------------------------------- what can be relied on


def failing():
    module = benchmark()
    small = [name for name in tableaux.names() if tableaux.get(name).stages <= 8]
    names = [name for name in small if check(name).verdict == "exact"]  # or slips hide in rounding
    draw = random.Random(16)
    for kind in module.KINDS:
        for _ in range(2):
            wrong = None
            while wrong is None or check(wrong):
                name = draw.choice(names)
                wrong = module.slipped(tableaux.get(name), kind, draw)
            yield pytest.param(module, kind, name, wrong, id=f"{kind}-{name}")


@pytest.mark.parametrize(("module", "kind", "name", "wrong"), failing())
def test_slips_of_each_kind(module, kind, name, wrong):
    """As `examples/benchmarks/mending.py` does a thousand times."""
    suggestions = check(wrong).suggestions
    assert module.is_right(suggestions[0].tableau, tableaux.get(name), kind)
    assert all(check(suggestion.tableau) for suggestion in suggestions)


@pytest.mark.parametrize("seed", range(8))
def test_nothing_is_offered_that_fails_the_same_check(seed):
    """Tableaux that no method is near: whatever comes, it was proved."""
    draw = random.Random(seed)
    A = [[Fraction(draw.randint(-4, 4), draw.randint(1, 6)) for _ in range(i)] for i in range(4)]
    b = [Fraction(draw.randint(-4, 4), draw.randint(1, 6)) for _ in range(4)]
    c = [Fraction(i, 4) for i in range(4)] if seed % 2 else None
    report = check((A, b, c) if c else (A, b), order=2)
    for suggestion in report.suggestions:
        mended = check(suggestion.tableau, order=2)
        assert mended
        assert suggestion.tableau != report.tableau


@pytest.mark.parametrize("name", ["rk4", "dormand_prince54", "gill4", "tsitouras54"])
def test_nothing_is_offered_where_nothing_failed(name):
    assert check(name).suggestions == ()


@pytest.mark.parametrize(
    "tableau",
    [
        pytest.param(([["1/2"]], [1]), id="implicit"),
        pytest.param(([[], ["1/2"], [0, "1/2"]], [0, 0, 1]), id="no such method"),
        pytest.param("alpha", id="symbols"),
    ],
)
def test_nothing_is_offered_where_nothing_helps(tableau):
    if tableau == "alpha":
        sympy = pytest.importorskip("sympy")
        tableau = ([[], [sympy.Symbol("alpha")]], [0, 1])
    report = check(tableau, order=9)  # no method of so few stages has it
    assert not report
    assert report.suggestions == ()


WRONG = method("rk4", b_0="1/3")


def test_the_tolerance_and_the_row_sums_of_the_check_count():
    tableau = Tableau(WRONG.exact_A, WRONG.exact_b, [0, 1, 1, 1], claimed_order=4)
    report = check(tableau, require_row_sums=False)
    first = report.suggestions[0].tableau
    assert first.exact_b == RK4.exact_b
    assert first.exact_c == tableau.exact_c
    assert check(first, require_row_sums=False)


# --------------------------------------------------------------------- reports


def fails(*_):
    raise AssertionError("nobody asked for suggestions")


def test_they_are_looked_for_when_somebody_asks(monkeypatch):
    monkeypatch.setattr("keras_rk.analysis.repair.mending.suggestions", fails)
    report = check(WRONG)
    assert not report
    assert "suggestions" not in report.to_dict()
    assert repr(report) == repr(check(WRONG))
    with pytest.raises(AssertionError, match="nobody asked"):
        str(report)


def test_they_are_looked_for_once():
    report = check(WRONG)
    assert report.suggestions is report.suggestions


def test_what_takes_too_long_is_left(monkeypatch):
    monkeypatch.setattr("keras_rk.analysis.repair.mending.SECONDS", 0)
    assert check(WRONG).suggestions == ()


def test_reports_stay_values():
    report, other = check(WRONG), check(WRONG)
    found = report.suggestions
    assert report == other
    assert hash(report) == hash(other)
    for copy in (pickle.loads(pickle.dumps(report)), pickle.loads(pickle.dumps(other))):
        assert copy == report
        assert copy.suggestions == found
    replaced = dataclasses.replace(report, remarks=("a remark",))
    assert replaced != report
    assert replaced.suggestions == found


def test_check_can_be_pickled():
    assert pickle.loads(pickle.dumps(check)) is check


def test_a_report_shows_the_first_three():
    wrong = Tableau([[], [1]], ["1/2", "1/4"], claimed_order=1)  # either weight may be wrong
    many = check(method("bogacki_shampine32", A_3_0="1/9"))
    assert len(many.suggestions) > 1
    lines = [line for line in str(many).splitlines() if line.startswith("  suggestion ")]
    assert [line.split(maxsplit=1)[1] for line in lines] == [s.text for s in many.suggestions[:3]]
    assert len(check(wrong).suggestions) == 2


def test_as_a_dictionary():
    (first, *_) = check(WRONG).to_dict(suggestions=True)["suggestions"]
    assert first["text"] == "b[0] = 1/6 instead of 1/3: order 4, exactly"
    assert Tableau.from_dict(first["tableau"]) == RK4
    assert json.dumps(first)


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_the_command_prints_them(options, tmp_path, capsys):
    path = tmp_path / "wrong.json"
    path.write_text(WRONG.to_json())
    assert main(["check", str(path), *options]) == 1
    assert "b[0] = 1/6 instead of 1/3: order 4, exactly" in capsys.readouterr().out


# --------------------------------------------------------------------- slips of a hand


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("3/4", "3/40"),
        ("-1/6", "1/6"),
        ("9287/24192", "18575/48384"),
        ("2", "1/5"),
        ("5", "0.5"),
        ("12/35", "21/35"),
        ("0.333333", "1/3"),
        ("3", "3/40"),
        ("1.2584322", "1.258432"),
        ("100.5", "1.5"),
        ("(3 - sqrt(2))/5", "(3 + sqrt(2))/5"),
    ],
)
def test_what_one_slip_turns_into_another(old, new):
    tableau = Tableau([[]], [old], [new])
    assert cost(tableau.exact_b[0], tableau.exact_c[0]) <= PLAUSIBLE


@pytest.mark.parametrize(
    ("old", "new"), [("1/6", "44275/110592"), ("0", "77/1440"), ("137", "22/9")]
)
def test_what_no_slip_turns_into_another(old, new):
    assert cost(Fraction(old), Fraction(new)) > PLAUSIBLE


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [("12", "12", 0), ("12", "21", 1), ("1000", "1", 1), ("12345", "19995", 3), ("0.5", "5", 1)],
)
def test_how_far_two_texts_are_apart(one, other, distance):
    assert apart(one, other) == apart(other, one) == distance


@pytest.mark.parametrize("text", ["1.258432", "-0.05", "25"])
def test_neighbours_undo_a_slip(text):
    assert text in neighbours(text.replace("5", "52"))
    assert text in neighbours(text.replace("5", ""))
    assert text in neighbours(text.replace("5", "6"))


@pytest.mark.parametrize(
    ("x", "text"), [("1/4", "0.25"), ("-7/2", "-3.5"), ("12", "12"), ("1/3", "")]
)
def test_decimals_that_end(x, text):
    assert decimal_text(Fraction(x)) == text
