"""keras-rk plot."""

from __future__ import annotations

import sys
from xml.etree import ElementTree

import pytest

from keras_rk import TableauError, plots
from keras_rk.cli import main

COMMANDS = {
    "regions": ["euler", "rk4"],
    "star": ["rk4"],
    "trees": ["--order", "2"],
    "errors": ["heun2", "--order", "3"],
    "work": ["euler", "--problem", "cosine"],
}


@pytest.mark.parametrize("kind", COMMANDS)
def test_every_picture_is_written(kind, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    path = tmp_path / "picture.svg"
    assert main(["plot", kind, *COMMANDS[kind], "-o", str(path)]) == 0
    assert capsys.readouterr().out == f"{path}\n"
    assert ElementTree.parse(path).getroot().tag.endswith("svg")


@pytest.mark.parametrize("ending", ["png", "svg", "PNG", "pdf"])
def test_a_picture_is_the_same_every_time(ending, tmp_path):
    pytest.importorskip("matplotlib")
    paths = [tmp_path / f"{k}.{ending}" for k in range(2)]
    for path in paths:
        assert main(["plot", "trees", "--order", "1", "--output", str(path)]) == 0
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_a_file_is_drawn_and_its_failures_stand_out(tmp_path):
    pytest.importorskip("matplotlib")
    tableau = tmp_path / "mine.json"
    tableau.write_text('{"A": [[], [1]], "b": [1, 0], "name": "mine"}')
    path = tmp_path / "mine.svg"
    assert main(["plot", "trees", str(tableau), "--order", "2", "-o", str(path)]) == 0
    assert "#d55e00" in path.read_text().lower()


@pytest.mark.parametrize(
    "arguments, complaint",
    [
        (["regions", "-o", "x.png"], "needs a method"),
        (["star", "-o", "x.png"], "needs a method"),
        (["regions", "rk4", "-o", "x.gif"], "Received: 'x.gif'"),
        (["regions", "rk4", "-o", "x"], ".png, .svg, .pdf"),
        (["regions", "nosuch", "-o", "x.png"], "No method"),
        (["regions", "rk4", "--order", "4", "-o", "x.png"], "takes no `--order`"),
        (["trees", "--problem", "kepler", "-o", "x.png"], "takes no `--problem`"),
        (["trees", "rk4", "euler", "-o", "x.png"], "one method at most"),
    ],
)
def test_what_cannot_be_drawn(arguments, complaint, capsys):
    assert main(["plot", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert complaint in printed.err
    assert "unexpected" not in printed.err


@pytest.mark.parametrize(
    "arguments",
    [["plot"], ["plot", "regions", "rk4"], ["plot", "pie", "rk4", "-o", "x.png"]],
)
def test_usage(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: keras-rk plot" in capsys.readouterr().err


def test_a_folder_that_is_not_there(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    path = tmp_path / "no" / "x.png"
    assert main(["plot", "trees", "--order", "1", "-o", str(path)]) == 2
    assert "cannot be written" in capsys.readouterr().err


@pytest.fixture
def without_matplotlib(monkeypatch):
    for name in list(sys.modules):
        if name.partition(".")[0] == "matplotlib":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)


@pytest.mark.parametrize("kind", COMMANDS)
def test_the_command_says_what_to_install(kind, without_matplotlib, tmp_path, capsys):
    assert main(["plot", kind, *COMMANDS[kind], "-o", str(tmp_path / "x.png")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("keras-rk: Pictures need Matplotlib: `pip install 'keras-rk[plots]'`")


def test_a_function_says_what_to_install(without_matplotlib):
    with pytest.raises(ImportError, match=r"pip install 'keras-rk\[plots\]'"):
        plots.stability_regions("rk4")
    with pytest.raises(TableauError, match="No method"):  # which needs no Matplotlib to be wrong
        plots.rooted_trees(3, "nosuch")
