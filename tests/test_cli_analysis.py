"""The commands keras-rk analyse, compare and list."""

from __future__ import annotations

import json
import math
from functools import cache

import pytest

from keras_rk import analyse, check, tableaux
from keras_rk.cli import main

RK4 = '{"A": [[], ["1/2"], [0, "1/2"], [0, 0, 1]], "b": ["1/6", "1/3", "1/3", "1/6"]}'
SYMBOLIC = '{"A": [[], ["x"]], "b": ["1/2", "1/2"]}'


@pytest.fixture
def rk4_file(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(RK4)
    return str(path)


analysed = cache(analyse)


def listed(capsys, *options):
    """The names that `keras-rk list` prints, in their order."""
    assert main(["list", *options]) == 0
    return [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]]


def test_analyse_prints_the_report(capsys):
    assert main(["analyse", "rk4"]) == 0
    assert capsys.readouterr().out == f"{analyse('rk4')}\n"


def test_analyse_a_file_as_json(rk4_file, capsys):
    assert main(["analyse", rk4_file, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data == {**analyse("rk4").to_dict(), "tableau": None}


@pytest.mark.parametrize("command", ["analyse", "compare"])
@pytest.mark.parametrize("method", ["no_such_method", "nowhere.json"])
def test_unusable_input(command, method, capsys):
    assert main([command, method]) == 2
    assert method in capsys.readouterr().err
    assert main([command, method, "--json"]) == 2
    assert method in json.loads(capsys.readouterr().out)["error"]


def test_compare_sets_methods_side_by_side(rk4_file, capsys):
    assert main(["compare", "rk4", "dormand_prince54", rk4_file]) == 0
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.split() == ["rk4", "dormand_prince54", rk4_file]
    rows = {line[:19].strip(): line[19:].split() for line in lines}
    assert rows["stages"] == ["4", "7", "4"]
    assert rows["order"] == ["4", "5", "4"]
    assert rows["FSAL"] == ["no", "yes", "no"]
    assert rows["embedded order"] == ["-", "4", "-"]
    assert rows["imaginary interval"] == ["2.82843", "0.997189", "2.82843"]


def test_without_a_pair_there_are_no_lines_for_one(capsys):
    assert main(["compare", "euler", "rk4"]) == 0
    assert "embedded" not in capsys.readouterr().out


def test_chosen_lines(capsys):
    assert main(["compare", "euler", "rk4", "--lines", "error norm, order"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert lines == [["error", "norm", "0.5", "0.0145046"], ["order", "1", "4"]]
    assert main(["compare", "rk4", "--lines", "colour"]) == 2
    assert "takes some of: stages, order" in capsys.readouterr().err


def test_compare_as_json(capsys):
    assert main(["compare", "euler", "heun2", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data == [analyse("euler").to_dict(), analyse("heun2").to_dict()]


FILTERS = {
    "--order 5": lambda a: a.order == 5,
    "--min-order 8": lambda a: a.order >= 8,
    "--max-order 2": lambda a: a.order <= 2,
    "--stages 7": lambda a: a.tableau.stages == 7,
    "--max-stages 4": lambda a: a.tableau.stages <= 4,
    "--embedded": lambda a: a.tableau.b_hat is not None,
    "--fsal": lambda a: a.tableau.is_fsal,
    "--ssp": lambda a: a.ssp_coefficient > 0,
    "--ssp 2": lambda a: a.ssp_coefficient >= 2,
    "--min-real 5": lambda a: a.real_interval >= 5,
    "--min-imaginary 3": lambda a: a.imaginary_interval >= 3,
    "--max-order 6 --max-error-norm 1e-3": lambda a: a.order < 7 and a.error_norm <= 1e-3,
    "--order 5 --embedded --fsal --max-stages 7": lambda a: (
        a.order == 5 and a.tableau.is_fsal and a.tableau.stages < 8 and a.pair is not None
    ),
}


@pytest.mark.parametrize("options", FILTERS)
def test_filters(options, capsys):
    candidates = [name for name in tableaux.names() if tableaux.get(name).claimed_order < 7]
    expected = [name for name in candidates if FILTERS[options](analysed(name))]
    found = listed(capsys, *options.split())
    assert [name for name in found if name in candidates] == expected
    assert found


@pytest.mark.parametrize(
    "column, field",
    [
        ("error-norm", "error_norm"),
        ("ssp", "ssp_coefficient"),
        ("real", "real_interval"),
        ("imaginary", "imaginary_interval"),
        ("dispersion", "dispersion_order"),
    ],
)
@pytest.mark.parametrize("reverse", [False, True])
def test_sorting(column, field, reverse, capsys):
    found = listed(capsys, "--max-order", "4", "--sort", column, *["--reverse"] * reverse)
    values = [getattr(analysed(name), field) for name in found]
    assert values == sorted(values, reverse=reverse)
    assert set(found) == {n for n in tableaux.names() if tableaux.get(n).claimed_order < 5}


def test_methods_without_a_value_come_last(capsys):
    found = listed(capsys, "--stages", "6", "--sort", "embedded")
    orders = [tableaux.get(name).claimed_embedded_order for name in found]
    assert orders == sorted(orders, key=lambda order: order or math.inf)
    assert None in orders


def test_what_is_filtered_by_is_shown(capsys):
    assert main(["list", "--ssp", "--sort", "error-norm"]) == 0
    heading = capsys.readouterr().out.splitlines()[0]
    assert heading.split() == "name order stages SSP error norm other names source".split()


def test_chosen_columns(capsys):
    assert main(["list", "--columns", "name, real,fsal", "--order", "4", "--max-stages", "4"]) == 0
    heading, *rows = (line.split() for line in capsys.readouterr().out.splitlines())
    assert heading == ["name", "real", "FSAL"]
    assert ["rk4", "2.785", "no"] in rows


def test_every_column_of_every_low_order(capsys):
    from keras_rk.cli.columns import COLUMNS

    assert main(["list", "--columns", ",".join(COLUMNS), "--max-order", "6"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + sum(tableaux.get(n).claimed_order < 7 for n in tableaux.names())


def test_a_column_that_nobody_knows(capsys):
    assert main(["list", "--columns", "name,weight"]) == 2
    assert "takes names of columns: name, order" in capsys.readouterr().err


def test_listed_properties_as_json(capsys):
    assert main(["list", "--order", "4", "--ssp", "--sort", "error-norm", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    by_name = {method["name"]: method for method in data}
    assert by_name["ssprk104"]["ssp"] == "6"
    assert by_name["ssprk104"]["error_norm"] == pytest.approx(0.002211223747053554)
    assert {"order", "embedded_order", "stages", "source", "aliases"} <= set(by_name["ssprk104"])


@pytest.mark.parametrize("name", ["rk4", "dormand_prince54", "ssprk43"])
def test_a_list_says_what_check_finds(name, capsys):
    assert main(["list", "--json"]) == 0
    found = {method["name"]: method for method in json.loads(capsys.readouterr().out)}[name]
    report = check(name)
    assert (found["order"], found["embedded_order"]) == (report.order, report.embedded_order)
