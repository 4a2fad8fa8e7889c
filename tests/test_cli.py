"""The command keras-rk."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from keras_rk import Tableau, tableaux
from keras_rk.cli import main

RK4 = '{"A": [[], ["1/2"], [0, "1/2"], [0, 0, 1]], "b": ["1/6", "1/3", "1/3", "1/6"]%s}'


posix = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")


@pytest.fixture
def tableau_file(tmp_path):
    def write(extra=""):
        path = tmp_path / "mine.json"
        path.write_text(RK4 % extra)
        return str(path)

    return write


@pytest.mark.parametrize(
    ("arguments", "status", "shown"),
    [
        (["rk4"], 0, "claimed      4: holds"),
        (["rk4", "--order", "4"], 0, "asked for    4: holds"),
        (["rk4", "--order", "5"], 1, "FAILED order"),
        (["rk8", "--order", "8"], 0, "cooper_verner8 (11 stages)"),
        (["dormand_prince54"], 0, "embedded     4"),
        (["rk4", "--max-order", "3"], 0, "at least 4"),  # the claim asks for order 4
    ],
)
def test_check_by_name(arguments, status, shown, capsys):
    assert main(["check", *arguments]) == status
    assert shown in capsys.readouterr().out


@pytest.mark.parametrize(
    ("extra", "options", "status"),
    [
        ("", [], 0),
        (', "claimed_order": 4', [], 0),
        (', "claimed_order": 5', [], 1),
        (', "c": [0, 0, "1/2", 1]', [], 1),
        (', "c": [0, 0, "1/2", 1]', ["--no-row-sums"], 0),
        ("", ["--order", "5", "--tolerance", "0.01"], 1),  # the largest residual is 1/80
        ("", ["--order", "5", "--tolerance", "0.0126"], 1),  # no tolerance makes an order
    ],
)
def test_check_a_file(extra, options, status, tableau_file, capsys):
    assert main(["check", tableau_file(extra), *options]) == status
    assert "tableau (4 stages)" in capsys.readouterr().out


def test_check_standard_input(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((RK4 % "").encode())))
    assert main(["check", "-", "--order", "4"]) == 0
    assert "verdict      exact" in capsys.readouterr().out


@pytest.mark.parametrize("order", [4, 5])
def test_check_as_json(order, capsys):
    status = main(["check", "rk4", "--order", str(order), "--json"])
    report = json.loads(capsys.readouterr().out)
    assert report["holds"] is (status == 0) is (order == 4)
    assert report["order"] == 4


UNUSABLE = [
    ["check", "no_such_method"],
    ["check", "missing.json"],
    ["check", "some/where"],
    ["check", "rk4", "--order", "0"],
    ["check", "rk4", "--tolerance", "nan"],
    ["check", "a" * 5000],
    ["check", "a\0b"],
    ["show", "no_such_method"],
]


@pytest.mark.parametrize("arguments", UNUSABLE, ids=lambda arguments: " ".join(arguments)[:40])
def test_unusable_input(arguments, capsys):
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("keras-rk: ")
    assert "Received" in printed.err


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[1]", b"\xff\x00", b'{"A": [[]], "b": [NaN]}', b" " * 1_000_001],
    ids=lambda content: repr(content[:20]),
)
def test_files_that_are_not_tableaux(content, tmp_path, capsys):
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    assert main(["check", str(path)]) == 2
    assert "Received" in capsys.readouterr().err


def test_a_folder_is_no_tableau_file(tmp_path, capsys):
    assert main(["check", str(tmp_path)]) == 2
    assert "the folder" in capsys.readouterr().err


def test_nearest_names_are_suggested(capsys):
    assert main(["check", "dormand_prince45"]) == 2
    assert "dormand_prince54" in capsys.readouterr().err


def test_an_error_as_json(capsys):
    assert main(["check", "no_such_method", "--json"]) == 2
    assert "No method" in json.loads(capsys.readouterr().out)["error"]


@pytest.mark.parametrize(
    "arguments", [[], ["check"], ["check", "rk4", "--order", "four"], ["bogus"], ["list", "x"]]
)
def test_usage_errors(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: keras-rk" in capsys.readouterr().err


def test_list(capsys):
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["name", *tableaux.names()]
    rows = [line.split() for line in lines]
    assert next(row[1:3] for row in rows if row[0] == "dormand_prince54") == ["5(4)", "7"]


def test_aliases_are_listed(capsys):
    main(["list"])
    rows = [re.split(r" {2,}", line) for line in capsys.readouterr().out.splitlines()]
    listed = {(alias, row[0]) for row in rows[1:] for alias in row[3].split(", ")}
    assert set(tableaux.aliases().items()) <= listed


def test_list_as_json(capsys):
    assert main(["list", "--json"]) == 0
    methods = json.loads(capsys.readouterr().out)
    assert [method["name"] for method in methods] == list(tableaux.names())
    assert all(method["source"] for method in methods)


@pytest.mark.parametrize("name", tableaux.names())
def test_show(name, capsys):
    assert main(["show", name]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"{name}\n")
    assert "Source: " in printed


@pytest.mark.parametrize("name", ["rk4", "rk8", "dormand_prince54", "hairer10"])
def test_show_as_json_is_what_check_reads(name, tmp_path, capsys):
    assert main(["show", name, "--json"]) == 0
    path = tmp_path / "tableau.json"
    path.write_text(capsys.readouterr().out, encoding="utf-8")
    assert Tableau.from_json(path.read_text(encoding="utf-8")) == tableaux.get(name)
    assert main(["check", str(path)]) == 0


def test_show_as_latex(capsys):
    assert main(["show", "gill4", "--latex"]) == 0
    assert r"\sqrt{2}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("environment", "colours"),
    [({"FORCE_COLOR": "1"}, True), ({}, False), ({"NO_COLOR": "1"}, False)],
)
def test_colours(environment, colours, monkeypatch, capsys):
    for variable in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    main(["check", "rk4", "--order", "5"])
    assert ("\033[31m" in capsys.readouterr().out) is colours


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["", "json"])
@pytest.mark.parametrize(
    "error", [TypeError("a\nb"), MemoryError(), RecursionError("deep"), ImportError("no sympy")]
)
def test_an_unexpected_error_is_one_line_and_status_2(error, options, monkeypatch, capsys):
    def fails(*_args, **_options):
        raise error

    monkeypatch.setattr("keras_rk.proof.checker.check", fails)
    assert main(["check", "rk4", *options]) == 2
    printed = capsys.readouterr()
    message = json.loads(printed.out)["error"] if options else printed.err
    assert type(error).__name__ in message
    assert len((printed.out + printed.err).splitlines()) == 1


@pytest.mark.parametrize(
    "c, order", [(["sqrt(2)"], 1), (["sqrt(2)", "1/2"], 2)], ids=["one stage", "two stages"]
)
def test_nodes_with_roots_that_are_no_row_sums_do_not_hold(c, order, tmp_path, capsys):
    path = tmp_path / "roots.json"
    A, b = ([[]], [1]) if order == 1 else ([[], ["1/2"]], [0, 1])
    path.write_text(json.dumps({"A": A, "b": b, "c": c}))
    assert main(["check", str(path)]) == 1
    assert "c[0] = sqrt(2)" in capsys.readouterr().out
    assert main(["check", str(path), "--no-row-sums", "--order", str(order)]) == 0


@pytest.mark.parametrize("order, status", [(4, 0), (5, 1)])
def test_implicit_methods_are_checked_where_they_are_wanted(order, status, tmp_path, capsys):
    path = tmp_path / "gauss.json"
    path.write_text(tableaux.gauss(2).to_json())
    assert main(["check", str(path)]) == 1
    assert "FAILED explicit" in capsys.readouterr().out
    assert main(["check", str(path), "--implicit", "--order", str(order)]) == status
    assert "FAILED explicit" not in capsys.readouterr().out


def run(arguments, module="keras_rk", **options):
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        capture_output=True,
        check=False,
        timeout=60,
        **options,
    )


def test_as_a_process_without_keras_or_a_backend(tmp_path):
    hidden = tmp_path / "sitecustomize.py"
    hidden.write_text(
        "import sys\n"
        "for name in ('keras', 'tensorflow', 'jax', 'torch', 'sympy'):\n"
        "    sys.modules[name] = None\n"
    )
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = run(["check", "rk8", "--order", "8"], env={**os.environ, "PYTHONPATH": path})
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("arguments, status", [(["check", "rk4"], 0), (["check", "no"], 2)])
def test_the_package_runs_as_a_module(arguments, status):
    done = run(arguments, module="keras_rk")
    assert done.returncode == status
    assert b"rk4 (4 stages)" in done.stdout or b"No method" in done.stderr


def test_a_drawing_from_standard_input():
    drawing = b"0 |\n1 | 1\n--+--------\n  | 1/2 1/2\n"
    done = run(["check", "-", "--order", "2"], input=drawing)
    assert (done.returncode, done.stderr) == (0, b"")
    done = run(["check", "-"], input=drawing.replace(b"1/2 1/2", b"1/2"))
    assert done.returncode == 2
    assert done.stderr.startswith(b"keras-rk: standard input: A tableau is drawn like this")


def test_a_terminal_without_greek_letters():
    done = run(["check", "rk4"], env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0
    assert b"[[[[?]]]]" in done.stdout


def test_json_does_not_depend_on_the_locale():
    done = run(["check", "rk4", "--json"], env={**os.environ, "PYTHONIOENCODING": "latin-1"})
    assert json.loads(done.stdout)["next_order"][0]["tree"] == "[[[[τ]]]]"


@pytest.mark.parametrize(
    ("data", "complaint"),
    [(b"\xff\xfe{", "JSON"), ((RK4 % "").encode() + b" " * 1_000_000 + b"junk", "1000000 bytes")],
    ids=["not text", "too long"],
)
def test_standard_input_that_is_no_tableau(data, complaint):
    done = run(["check", "-"], input=data)
    assert (done.returncode, done.stdout) == (2, b"")
    assert complaint in done.stderr.decode()


@pytest.mark.parametrize("name", ['"\\u001b[31mEVIL"', '"x' + "y" * 5000 + '"'])
def test_keys_are_quoted_without_escape_sequences(name, tmp_path, capsys):
    path = tmp_path / "evil.json"
    path.write_text(f'{{"A": [[]], "b": [1], {name}: 3}}')
    assert main(["check", str(path)]) == 2
    printed = capsys.readouterr().err
    assert "\033" not in printed
    assert len(printed) < 300


@posix
@pytest.mark.parametrize(
    ("command", "status", "complaint"),
    [
        ("check rk4 --order 9 | true", 1, ""),
        ("check rk4 | true", 0, ""),
        ("check - <&-", 2, "a closed one"),
        ("check rk4 >&-", 0, ""),
        ("check rk4 --order 9 >&-", 1, ""),
        ("check nosuch 2>&-", 2, ""),
        pytest.param(
            "check rk4 >/dev/full",
            2,
            "cannot be written",
            marks=pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full"),
        ),
    ],
)
def test_closed_and_broken_streams(command, status, complaint):
    script = f"{sys.executable} -m keras_rk {command}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=False, timeout=60)
    assert done.returncode == status, done.stderr
    assert complaint in done.stderr.decode()
    assert b"Traceback" not in done.stderr


@posix
def test_a_pipe_is_read_like_a_file():
    script = f"{sys.executable} -m keras_rk check <(echo '{RK4 % ''}') --order 5"
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=False, timeout=60)
    assert done.returncode == 1
    assert b"asked for    5: does not hold" in done.stdout


@posix
def test_a_reader_that_leaves_early():
    command = f"{sys.executable} -m keras_rk list | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, check=False, timeout=60)
    assert done.stdout.startswith(b"name")
    assert done.stderr == b""


def test_the_last_column_is_wrapped_into_a_terminal(monkeypatch, capsys):
    from keras_rk.cli.tables import table

    rows = [("name", "source"), ("rk4", "Kutta, a paper with a long title of many words (1901)")]
    lines = table(rows, width=40).splitlines()
    assert max(map(len, lines)) <= 40
    assert [line[:4] for line in lines[2:]] == ["    "] * (len(lines) - 2)
    assert " ".join(line[6:].strip() for line in lines[1:]) == rows[1][1]
    assert table(rows, width=20) == table(rows) == table(rows, width=200)  # no room, or enough
    assert main(["list", "--order", "4"]) == 0
    whole = capsys.readouterr().out
    monkeypatch.setattr("keras_rk.cli.listing.terminal_width", lambda: 100)
    assert main(["list", "--order", "4"]) == 0
    assert (
        max(map(len, capsys.readouterr().out.splitlines()))
        <= 100
        < max(map(len, whole.splitlines()))
    )
