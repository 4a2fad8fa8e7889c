"""keras-rk check with many tableaux: one line each, JSON, JUnit, annotations."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

from keras_rk.cli import main
from keras_rk.cli.junit import document
from keras_rk.cli.many import Result
from keras_rk.progress import Progress

RIGHT = '{"A": [[], ["1/2"]], "b": [0, 1], "claimed_order": 2, "name": "right"}'
WRONG = '{"A": [[], ["2/5"]], "b": ["1/4", "3/4"], "claimed_order": 2, "name": "wrong, 50%: a"}'
DRAWING = "0 |\n1 | 1\n--+--------\n  | 1/2 1/2\n"
COLLECTION = {
    "broken.json": '{"A": [[',
    "heun.txt": DRAWING,
    "right.json": RIGHT,
    "more/wrong.json": WRONG,
    "more/deep/tenth.toml": 'A = [[]]\nb = ["1"]\n',
    "more/notes.md": "no tableau",
    ".git/config.json": "not looked at",
    ".hidden.json": "nor this",
}


@pytest.fixture
def collection(tmp_path, monkeypatch):
    """A folder of tableaux, which is the working directory."""
    for name, text in COLLECTION.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def states(text):
    """The state of each tableau in a printed list."""
    found = re.findall(r"^(ok|FAILED|UNUSABLE) +(.+?)(?:  .*)?$", text, re.MULTILINE)
    return {name: state for state, name in found}


@pytest.mark.parametrize(
    "methods, status",
    [
        (["right.json", "heun.txt"], 0),
        (["rk4", "right.json"], 0),
        (["rk4", "euler", "rk8"], 0),
        (["right.json", "more/wrong.json", "rk4"], 1),
        (["right.json", "broken.json"], 2),
        (["broken.json", "more/wrong.json"], 2),
        (["nosuch", "rk4"], 2),
        (["more"], 1),
        (["more/deep"], 0),
        (["."], 2),
    ],
    ids=str,
)
def test_the_worst_decides_the_exit_status(methods, status, collection):
    assert main(["check", *methods]) == status


def test_each_has_a_line_and_what_fails_its_report(collection, capsys):
    main(["check", ".", "rk4", "nosuch"])
    printed = capsys.readouterr()
    assert states(printed.out) == {
        "broken.json": "UNUSABLE",
        "heun.txt": "ok",
        "right.json": "ok",
        str(Path("more/wrong.json")): "FAILED",
        str(Path("more/deep/tenth.toml")): "ok",
        "rk4": "ok",
        "nosuch": "UNUSABLE",
    }
    assert "right, order 2, 2 stages, exact" in printed.out
    assert "    FAILED order: The order claimed is 2; the order is 1." in printed.out
    assert "      tree [τ]: elementary weight 3/10, 1/gamma 1/2, residual -1/5" in printed.out
    assert printed.out.endswith("s: 4 hold, 1 does not hold, 2 unusable\n")
    assert printed.out.splitlines()[-1].startswith("7 methods in ")
    assert printed.err == ""


@pytest.mark.parametrize(
    "given, found",
    [
        (["more", "more/wrong.json", "more"], ["more/deep/tenth.toml", "more/wrong.json"]),
        (["rk4", "rk4", "euler"], ["euler", "rk4"]),
        (["more", "--glob", "*.toml"], ["more/deep/tenth.toml"]),
        (["more", "--glob", "*.md"], ["more/notes.md"]),
    ],
    ids=str,
)
def test_each_file_is_checked_once(given, found, collection, capsys):
    main(["check", *given])
    text = capsys.readouterr().out
    assert sorted(Path(name).as_posix() for name in states(text)) == found
    assert text.splitlines()[-1].startswith(f"{len(found)} method")


def test_quiet_leaves_out_what_holds(collection, capsys):
    assert main(["check", "-q", "rk4", "more"]) == 1
    assert list(states(capsys.readouterr().out).values()) == ["FAILED"]
    assert main(["check", "-q", "rk4"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_the_options_are_for_all_of_them(collection, capsys):
    assert main(["check", "rk4", "right.json", "--order", "4"]) == 1
    assert states(capsys.readouterr().out) == {"rk4": "ok", "right.json": "FAILED"}


@pytest.mark.parametrize("quiet", [[], ["-q"]], ids=["", "quiet"])
def test_as_json(quiet, collection, capsys):
    assert main(["check", ".", "--json", *quiet]) == 2
    data = json.loads(capsys.readouterr().out)
    assert data["holds"] is False
    assert data["counts"] == {"holds": 3, "does not hold": 1, "unusable": 1}
    by_name = {Path(result["method"]).name: result for result in data["results"]}
    assert by_name["wrong.json"]["report"]["failures"][0]["rule"] == "order"
    assert by_name["right.json"]["status"] == "holds"
    assert by_name["right.json"]["report"]["order"] == 2
    assert "JSON" in by_name["broken.json"]["error"]


def test_a_folder_without_tableaux_among_others(collection, capsys):
    (collection / "empty").mkdir()
    assert main(["check", "empty", "rk4"]) == 2
    assert states(capsys.readouterr().out) == {"empty": "UNUSABLE", "rk4": "ok"}


def test_a_method_wins_over_a_folder_of_its_name(collection, capsys):
    (collection / "rk4").mkdir()
    shutil.copy("right.json", "rk4")
    assert main(["check", "rk4"]) == 0
    assert capsys.readouterr().out.startswith("rk4 (4 stages)")
    assert main(["check", "rk4/"]) == 0
    assert "right.json" in capsys.readouterr().out


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes and links")
def test_pipes_are_not_waited_for_and_dead_links_are_told(collection, capsys, deadline):
    os.mkfifo("more/pipe.json")
    os.symlink("nowhere", "more/link.json")
    os.symlink("..", "more/loop")
    assert main(["check", "more"]) == 2
    assert states(capsys.readouterr().out) == {
        "more/deep/tenth.toml": "ok",
        "more/wrong.json": "FAILED",
        "more/link.json": "UNUSABLE",
    }


def test_a_folder_that_cannot_be_read_is_told(collection, monkeypatch, capsys):
    scandir = os.scandir

    def fails(path):
        if str(path).endswith("deep"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", fails)
    assert main(["check", "more"]) == 2
    text = capsys.readouterr().out
    assert states(text) == {"more/wrong.json": "FAILED", "more/deep": "UNUSABLE"}
    assert "Received: Permission denied." in text


@pytest.mark.parametrize(
    "error", [MemoryError(), RecursionError("deep"), TypeError("a\nb"), OSError(5, "input/output")]
)
def test_whatever_one_of_them_breaks_the_others_are_checked(error, collection, monkeypatch, capsys):
    from keras_rk.cli import check

    read = check.read

    def fails(method):
        if method == "euler":
            raise error
        return read(method)

    monkeypatch.setattr(check, "read", fails)
    assert main(["check", "heun2", "euler", "rk4", "--junit", "report.xml"]) == 2
    text = capsys.readouterr().out
    assert states(text) == {"heun2": "ok", "euler": "UNUSABLE", "rk4": "ok"}
    assert "please report it" in text
    assert len(ElementTree.parse("report.xml").findall(".//error")) == 1


def test_standard_input_among_files(collection, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(DRAWING.encode())))
    assert main(["check", "right.json", "-"]) == 0
    assert states(capsys.readouterr().out) == {"right.json": "ok", "-": "ok"}


# JUnit: the schemas are windyroad/JUnit-Schema (of Ant's task) and junit-10.xsd of Jenkins


def junit(collection, *arguments):
    main(["check", *arguments, "--junit", "report.xml"])
    return ElementTree.parse("report.xml").getroot()


def test_junit_counts_and_messages(collection, capsys):
    root = junit(collection, ".")
    (suite,) = root
    assert (root.tag, root.attrib, suite.tag) == ("testsuites", {}, "testsuite")
    counts = {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "5", "failures": "1", "errors": "1", "skipped": "0"}
    (failure,) = suite.findall("testcase/failure")
    assert failure.get("type") == "order"
    assert failure.get("message") == "The order claimed is 2; the order is 1."
    assert failure.text.startswith("wrong, 50%: a (2 stages)\n")
    (error,) = suite.findall("testcase/error")
    assert error.get("type") == "unusable"
    assert "Received" in error.get("message")


def test_junit_obeys_the_rules_of_both_schemas(collection, capsys):
    (suite,) = junit(collection, ".", "rk4")
    required = "name package id tests failures errors time timestamp hostname".split()
    assert set(suite.keys()) >= set(required)
    assert set(suite.keys()) <= {*required, "skipped"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.get("timestamp"))
    assert re.fullmatch(r"\d+\.\d+", suite.get("time"))
    assert all(suite.get(name).strip() for name in ("name", "hostname"))
    tags = [child.tag for child in suite]
    assert tags == ["properties", *["testcase"] * 6, "system-out", "system-err"]
    for case in suite.findall("testcase"):
        assert set(case.keys()) == {"name", "classname", "time"}
        assert len(case) <= 1
        assert all(set(outcome.keys()) == {"type", "message"} for outcome in case)


@pytest.mark.parametrize(
    "text", ["\x00\x1b[31m", "\udcff", "￾", "<&>\"']]>", "a\nb\tc", "τ 𝕏", "\x85\u2028"], ids=ascii
)
def test_junit_escapes_what_xml_cannot_write(text):
    result = Result(text, True, None, f"error: {text}", 0.5)
    (case,) = ElementTree.fromstring(document([result])).iter("testcase")
    wanted = text if text.isprintable() or text in ("a\nb\tc", "\x85\u2028") else ascii(text)[1:-1]
    assert case.get("name") == wanted
    assert case.find("error").text == f"error: {wanted}"


def test_a_junit_report_that_cannot_be_written(collection, capsys):
    assert main(["check", "rk4", "--junit", "no/where.xml"]) == 2
    printed = capsys.readouterr()
    assert states(printed.out) == {"rk4": "ok"}
    assert printed.err.startswith("keras-rk: the JUnit report cannot be written: no/where.xml, ")


# annotations, as GitHub's documentation escapes them


def decoded(text):
    for code, character in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ",")):
        text = text.replace(code, character)
    return text.replace("%25", "%")


def test_annotations(collection, capsys):
    assert main(["check", ".", "nosuch", "--github"]) == 2
    lines = capsys.readouterr().out.splitlines()
    found = [re.fullmatch(r"::error (.*?)::(.*)", line) for line in lines]
    annotations = [(match[1], decoded(match[2])) for match in found if match]
    assert [properties for properties, _ in annotations] == [
        "file=broken.json,title=broken.json is unusable",
        "file=more/wrong.json,title=more/wrong.json does not hold",
        "title=nosuch is unusable",
    ]
    assert annotations[1][1].startswith("wrong, 50%: a (2 stages)\n  explicit")
    assert "FAILED order" in annotations[1][1]
    assert len(lines) == 7  # three that hold, and the summary


@pytest.mark.skipif(os.name == "nt", reason="needs odd names")
def test_a_name_cannot_write_a_command_of_its_own(collection, capsys):
    odd = "odd\n::warning::x,y%.json"
    shutil.copy("broken.json", odd)
    shutil.copy("right.json", "ok\n::warning::z.json")
    main(["check", ".", "--github"])
    lines = capsys.readouterr().out.splitlines()
    assert not any(line.startswith("::warning") for line in lines)
    (line,) = [line for line in lines if "x%2Cy" in line]
    properties = re.fullmatch(r"::error file=(.*?),title=(.*?)::.*", line)
    assert decoded(properties[1]) == odd


def test_json_and_annotations_exclude_one_another(capsys):
    with pytest.raises(SystemExit):
        main(["check", "rk4", "--json", "--github"])
    assert "not allowed with" in capsys.readouterr().err


# progress


class Terminal(io.StringIO):
    def __init__(self, is_terminal):
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self):
        return self._is_terminal


@pytest.mark.parametrize(
    "is_terminal, term, after, shown",
    [
        (True, "xterm", 0.02, True),
        (True, "xterm", 60, False),
        (True, "dumb", 0.02, False),
        (False, "xterm", 0.02, False),
    ],
    ids=["terminal", "quick", "dumb", "no terminal"],
)
def test_progress_is_shown_on_a_terminal_where_it_takes_long(
    is_terminal, term, after, shown, monkeypatch
):
    monkeypatch.setattr("keras_rk.progress._AFTER", after)
    monkeypatch.setattr("keras_rk.progress._EVERY", 0.01)
    monkeypatch.setattr(sys, "stderr", Terminal(is_terminal))
    monkeypatch.setenv("TERM", term)
    with Progress("checking 1 of 2: \x1b[31m" + "x" * 200) as progress:
        time.sleep(0.1)
        progress.text = "checking 2 of 2"
        time.sleep(0.05)
    written = sys.stderr.getvalue()
    assert bool(written) is shown
    if shown:
        assert "checking 1 of 2" in written
        assert "checking 2 of 2" in written
        assert "\x1b[31m" not in written
        assert written.endswith("\r\x1b[K")  # and the line is gone
        assert max(map(len, written.split("\r\x1b[K"))) <= 79


def test_colours_of_a_list(collection, monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    main(["check", "right.json", "more/wrong.json", "broken.json"])
    text = capsys.readouterr().out
    for code, state in (("32", "ok"), ("31", "FAILED"), ("33", "UNUSABLE")):
        assert f"\033[{code}m{state}" in text


def test_the_hooks_run_the_command_on_tableaux_only():
    text = (Path(__file__).parents[1] / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")
    assert re.findall(r"entry: (.*)", text) == ["keras-rk check"] * 2
    patterns = set(re.findall(r"files: (.*)", text))
    (pattern,) = patterns
    chosen = ["rk4.tableau.json", "a/b.tableau.toml", "tableaux/rk4.txt", "src/tableaux/x.json"]
    others = ["package.json", "tableaux/README.md", "mytableaux/x.json", "x.tableau.json.bak"]
    assert [name for name in chosen + others if re.search(pattern, name)] == chosen
