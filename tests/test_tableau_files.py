"""Tableaux in files and texts: JSON, TOML, drawings and listings, in Python and in the shell."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from keras_rk import Tableau, TableauError, check, tableaux
from keras_rk.cli import main
from keras_rk.tableaux.as_tableau import as_tableau

JSON = '{"A": [[], [0.1]], "b": ["1/2", 0.5], "name": "mine", "claimed_order": 1}'
TOML = """\
# a comment
A = [[], [0.1]]
b = ["1/2", 0.5]
name = "mine"
claimed_order = 1
"""
DRAWING = """
    mine
    0   |
    0.1 | 0.1
    ----+----------
        | 1/2   0.5
"""
PRINTED = (
    "mine\n   0 │\n1/10 │ 1/10\n─────┼───────────\n     │  1/2   1/2\n\nSource: A. Author (2026)\n"
)
LISTING = "a[2,1]=0.1\nb[1]=1/2 b[2]=0.5\n"
MINE = Tableau([[], ["1/10"]], ["1/2", "1/2"])
TEXTS = {".json": JSON, ".toml": TOML, ".txt": DRAWING}
EVERY_TEXT = {**TEXTS, "printed": PRINTED, "listing": LISTING}


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def to(name, text):
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return name

    return to


@pytest.mark.parametrize("form", EVERY_TEXT)
def test_a_decimal_is_the_digits_it_shows_in_every_format(form):
    tableau = Tableau.from_text(EVERY_TEXT[form])
    assert tableau == MINE
    assert not tableau.has_floats
    assert tableau.name == ("mine" if form != "listing" else None)


@pytest.mark.parametrize("ending", [*TEXTS, ".JSON", ".text", ""])
@pytest.mark.parametrize("prefix", [b"", b"\xef\xbb\xbf"], ids=["", "byte order mark"])
def test_a_file_is_read_alike_by_from_file_check_and_the_command(ending, prefix, write, capsys):
    text = TEXTS.get(ending.lower(), PRINTED)
    name = write(f"tableau{ending}", prefix + text.encode())
    for path in (name, Path(name), str(Path(name).absolute())):
        assert Tableau.from_file(path) == as_tableau(path) == check(path).tableau == MINE
    assert main(["check", name, "--order", "1"]) == 0
    assert "mine (2 stages)" in capsys.readouterr().out


@pytest.mark.parametrize("text", EVERY_TEXT.values(), ids=EVERY_TEXT)
def test_what_a_file_holds_is_seen_where_its_name_does_not_tell(text, write):
    assert Tableau.from_file(write("tableau.dat", text)) == MINE


def test_what_a_shell_writes_as_utf_16_is_read(write):
    assert Tableau.from_file(write("mine.json", JSON.encode("utf-16"))) == MINE


@pytest.mark.parametrize("name", tableaux.names())
def test_a_drawing_is_what_is_printed(name):
    tableau = tableaux.get(name)
    printed = f"{tableau}\n\nSource: {tableau.source}"
    if "…" in printed:
        with pytest.raises(TableauError, match=r"in full.*--json"):
            Tableau.from_text(printed)
        return
    again = Tableau.from_text(printed)
    assert again == tableau
    assert (again.name, again.source) == (name, tableau.source)


@pytest.mark.parametrize(
    "tableau",
    [
        Tableau([["1/4", "1/4 - sqrt(3)/6"], ["1/4 + sqrt(3)/6", "1/4"]], ["1/2", "1/2"]),
        Tableau([[]], [1], ["-sqrt(2)"]),
        Tableau([[], ["1 - sqrt(2)"]], ["sqrt(2)*sqrt(3)", "1 - sqrt(6)"], b_hat=["-1/2", "3/2"]),
        Tableau([[], ["sqrt(1 + sqrt(2))"]], ["-1", "2"]),
    ],
    ids=["implicit", "one stage", "sums", "nested"],
)
def test_drawings_with_square_roots_are_read_back(tableau):
    assert Tableau.from_text(str(tableau)) == tableau


def test_entries_of_a_drawing_may_contain_spaces():
    text = "0|\n1 - √2 | 1 -  √2\n-+-\n | (1 + 2√ 2 )/ 3  −1/2".replace("√ 2", "√2")
    assert Tableau.from_text(text) == Tableau([[], ["1 - sqrt(2)"]], ["(1 + 2*sqrt(2))/3", "-1/2"])


UNREADABLE = {
    "empty": "",
    "words": "rk4",
    "no rule": "0 |\n1 | 1\n | 1/2 1/2",
    "no weights": "0 |\n1 | 1\n--+--",
    "three rows of weights": "0 |\n--+--\n | 1\n | 1\n | 1",
    "two weights": "0 |\n--+--\n | 1 1",
    "no node": "|\n1 | 1\n--+--\n | 1/2 1/2",
    "two nodes": "0 1 |\n--+--\n | 1",
    "two bars": "0 | |\n--+--\n | 1",
    "weights with a node": "0 |\n--+--\n1 | 1",
    "a comma": "0 |\n1,5 | 1,5\n--+--\n | 1/2 1/2",
    "code": "0 |\n--+--\n | __import__('os')",
    "a far entry": "a[999999999,1]=1 b[1]=1",
    "a long index": f"a[{'9' * 5000},1]=1 b[1]=1",
    "spaces in a listing": "a[2,1] = 1 b[1] = 1",
    "parentheses": "(" * 100_000,
    "TOML brackets": "A = " + "[" * 100_000,
    "TOML infinity": "A = [[]]\nb = [inf]",
    "TOML, a key twice": "A = [[]]\nA = [[]]\nb = [1]",
    "TOML, a fraction": "A = [[], [1/2]]\nb = [0, 1]",
    "TOML, a date": "A = [[]]\nb = [2020-01-01]",
    "TOML, many digits": "A = [[]]\nb = [" + "9" * 5000 + "]",
    "TOML, another key": "A = [[]]\nb = [1]\nd = 3",
    "too long": " " * 1_000_001,
}


@pytest.mark.parametrize("text", UNREADABLE.values(), ids=UNREADABLE)
def test_texts_that_are_no_tableau(text, deadline):
    with pytest.raises(TableauError, match="Received") as caught:
        Tableau.from_text(text)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("text", [None, 3, b"0 |", Path("x")])
def test_a_text_is_a_string(text):
    with pytest.raises(TableauError, match="A text is"):
        Tableau.from_text(text)


@pytest.mark.parametrize("path", [None, 3, [], "a\0b", "x" * 5000, "no_such.json"], ids=repr)
def test_paths_that_cannot_be_read(path):
    with pytest.raises(TableauError, match="Received") as caught:
        Tableau.from_file(path)
    assert str(caught.value).count("Received") == 1
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "name, text, message",
    [
        ("bad.json", '{"A": [[], [2/3]], "b": [0, 1]}', r"line 1, column 14, before '/3\]\]"),
        ("bad.json", '{"A": [[]],\n "b": [sqrt(4)]}', r"line 2, column 8, before 'sqrt\(4\)"),
        ("bad.toml", "A = [[]]\nb = [2/2]", "line 2"),
    ],
)
def test_a_bare_fraction_is_shown_in_its_file_with_what_to_do(name, text, message, write, capsys):
    path = write(name, text)
    with pytest.raises(TableauError, match=message) as caught:
        check(path)
    assert str(caught.value).startswith(
        f"'{name}': A tableau file is {name[4:].upper()}, with quotes"
    )
    assert '"2/3"' in str(caught.value)
    assert main(["check", path]) == 2
    assert capsys.readouterr().err == f"keras-rk: {caught.value}\n"


def test_every_error_about_a_file_names_it(write):
    with pytest.raises(TableauError, match=r"'mine.toml': `b` needs one weight per stage"):
        Tableau.from_file(write("mine.toml", "A = [[]]\nb = [1, 0]"))


@pytest.mark.parametrize(
    "written, received",
    [
        ('"4"', "'4'"),
        ("4.5", "4.5"),
        ("4.0", "4.0"),
        ("12345678901234567890", "12345678901234567890"),
        ("-4", "-4"),
        ("true", "True"),
    ],
)
@pytest.mark.parametrize("form", ["json", "toml"])
def test_claims_are_numbers_and_quoted_whole(written, received, form, write):
    text = {
        "json": f'{{"A": [[]], "b": [1], "claimed_order": {written}}}',
        "toml": f"A = [[]]\nb = [1]\nclaimed_order = {written}",
    }[form]
    with pytest.raises(TableauError) as caught:
        Tableau.from_text(text)
    assert f"Received: claimed_order={received}" in str(caught.value)


@pytest.mark.parametrize("key", ["name", "source"])
def test_a_number_is_no_name(key):
    with pytest.raises(TableauError, match=f"`{key}` must be one line"):
        Tableau.from_json(f'{{"A": [[]], "b": [1], "{key}": 3}}')


@pytest.mark.parametrize("number", ["9" * 300, "0." + "3" * 900, "1e300", "-1.50E-20"])
@pytest.mark.parametrize("text", ['{"A": [[]], "b": [%s]}', "A = [[]]\nb = [%s]"])
def test_bare_numbers_are_their_digits(number, text):
    assert Tableau.from_text(text % number).b == (Fraction(number),)


@pytest.mark.parametrize("name", ["rk4", "heun", "RK4"])
def test_a_name_wins_over_a_file_in_the_folder(name, write, capsys):
    write(name, DRAWING)
    assert main(["check", name]) == 0
    assert capsys.readouterr().out.startswith(tableaux.get(name).name)
    assert as_tableau(name) == tableaux.get(name)
    assert main(["check", f"./{name}", "--order", "1"]) == 0
    assert capsys.readouterr().out.startswith("mine (2 stages)")


@pytest.mark.parametrize("spelling", ["Dormand/Prince 5(4)", "Bogacki/Shampine 3(2)"])
def test_a_name_may_contain_a_slash(spelling):
    assert as_tableau(spelling).name == tableaux.get(spelling).name
