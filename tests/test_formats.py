"""Formats of tableaux: which one a text is, what is read from it, and what is written."""

from __future__ import annotations

import io
import pickle
import re
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
import zipfile
from fractions import Fraction
from math import sqrt

import numpy as np
import pytest

from keras_rk import Tableau, TableauError, check, tableaux
from keras_rk.butcher.formats import recognised
from keras_rk.cli import main
from keras_rk.tableaux.as_tableau import as_tableau

KUTTA3 = Tableau([[], ["1/2"], [-1, 2]], ["1/6", "2/3", "1/6"])
PAIR = Tableau([[], [1]], ["1/2", "1/2"], b_hat=[1, 0])
GAUSS = Tableau(
    [["1/4", "(3 - 2*sqrt(3))/12"], ["(3 + 2*sqrt(3))/12", "1/4"]],
    ["1/2", "1/2"],
    name="gauss_4",
    source='a, b; "c" \\frac | */ % # <i>',
)
NESTED = Tableau([[], ["sqrt(1 + sqrt(2))/3"]], ["-1/7", "8/7"], b_hat=["-sqrt(2)", "1 + sqrt(2)"])
NODES = Tableau([[], ["1/2"]], [0, 1], [0, "sqrt(2)/2"], name="1, 2", claimed_order=2)
FLOATS = Tableau([[], [0.1]], [0.5, 0.5], b_hat=[1, 0], claimed_embedded_order=1)
OWN = {"roots": GAUSS, "nested": NESTED, "nodes": NODES, "floats": FLOATS, "pair": PAIR}
EVERY = {**{name: lambda name=name: tableaux.get(name) for name in tableaux.names()}}
EVERY.update({name: lambda tableau=tableau: tableau for name, tableau in OWN.items()})
LABELS = ("name", "source", "claimed_order", "claimed_embedded_order", "has_floats")


def every(function):
    return pytest.mark.parametrize("name", EVERY)(function)


@every
def test_json_and_csv_give_everything_back(name):
    tableau = EVERY[name]()
    for text in (tableau.to_json(), tableau.to_csv()):
        again = Tableau.from_text(text)
        assert again == tableau
        assert [getattr(again, label) for label in LABELS] == [
            getattr(tableau, label) for label in LABELS
        ]


@every
def test_latex_gives_the_coefficients_back(name):
    tableau = EVERY[name]()
    assert Tableau.from_text(tableau.to_latex()) == tableau
    text = tableau.to_latex(fractions="/", zeros=False, labels=True, document=True)
    assert Tableau.from_text(text) == tableau


@pytest.mark.parametrize("fractions", ["frac", "dfrac", "tfrac", "/"])
@pytest.mark.parametrize("tableau", OWN.values(), ids=OWN)
def test_fractions_in_latex(fractions, tableau):
    text = tableau.to_latex(fractions=fractions)
    assert Tableau.from_text(text) == tableau
    assert ("frac" in text.replace(f"\\{fractions}", "")) is False


def test_latex_as_it_is_printed():
    text = NESTED.to_latex(labels=True, zeros=False)
    assert text.splitlines() == [
        r"\begin{array}{c|cc}",
        r"0 \\",
        r"\frac{\sqrt{1 + \sqrt{2}}}{3} & \frac{\sqrt{1 + \sqrt{2}}}{3} \\",
        r"\hline",
        r"b & -\frac{1}{7} & \frac{8}{7} \\",
        r"\hat{b} & -\sqrt{2} & 1 + \sqrt{2} \\",
        r"\end{array}",
    ]
    with pytest.raises(TableauError, match="`fractions` is one of"):
        NESTED.to_latex(fractions="nicefrac")


@pytest.mark.parametrize("fractions", ["frac", "dfrac", "/"])
@pytest.mark.parametrize("name", ["cooper_verner8", "nested"])
def test_every_entry_is_mathematics_to_others(name, fractions):
    parser = pytest.importorskip("matplotlib.mathtext").MathTextParser("path")
    text = EVERY[name]().to_latex(fractions=fractions, labels=True)
    entries = {x.strip() for x in re.split(r"&|\\\\|\n", text) if x.strip()}
    for entry in entries - {text.splitlines()[0], r"\hline", r"\end{array}"}:
        parser.parse(f"${entry}$")


LATEX = {
    "as in text-books": (
        r"""
        The method of Kutta is
        \begin{equation} % a comment & \\ \hline
        \renewcommand\arraystretch{1.2}
        \begin{array}
        {c|ccc}
        0\\
        \frac{1}{2} & \frac{1}{2}\\
        1& -1& 2\\
        \hline
        & \frac{1}{6} &\frac{2}{3} &\frac{1}{6}
        \end{array}
        \end{equation}""",
        KUTTA3,
    ),
    "tabular with dollars": (
        r"\begin{tabular}[t]{c|*{3}{c}} \toprule $0$ & & & \\[2pt] $\frac12$ & $\tfrac12$ & & \\"
        r"\addlinespace[3pt] $1$ & $-1$ & $2$ & \\ \midrule $b^T$ & $\dfrac{1}{6}$ & "
        r"$\displaystyle \frac 2 3$ & ${1}/{6}$ \\ \bottomrule \end{tabular}",
        KUTTA3,
    ),
    "matrices": (
        r"\[ A = \begin{pmatrix} 0 & 0 & 0 \\ \tfrac12 & 0 & 0 \\ -1 & 2 & 0 \end{pmatrix}, \quad"
        r" b^{\mathsf{T}} = \begin{pmatrix} \frac16 & \frac23 & \frac16 \end{pmatrix}, c = "
        r"\begin{bmatrix} 0 \\ \frac12 \\ 1 \end{bmatrix} \]",
        KUTTA3,
    ),
    "matrices without c": (
        r"\begin{align} A &= \left(\begin{array}{cc} 0 & 0 \\ 1 & 0 \end{array}\right) \\"
        r"b &= \begin{pmatrix} \frac12 \\ \frac12 \end{pmatrix}, \widehat{b} = "
        r"\begin{pmatrix} 1 \\ 0 \end{pmatrix} \end{align}".replace(r"= \left(", "= "),
        PAIR,
    ),
    "embedded, with cline": (
        r"\begin{array}{c|cc} 0 & & \\ 1 & 1 & \\ \cline{1-3} \hat y & 1/2 & 0.5 \\"
        r"\hline y & 1 & \end{array}",
        PAIR,
    ),
    "roots": (
        r"\begin{array}{c|cc} \frac{1}{2}-\frac{1}{6}\sqrt{3} & \frac{1}{4} & "
        r"\frac14-\frac16\sqrt3 \\ \frac{1}{2}+\frac{\sqrt{3}}{6} & \frac14 + \frac{\sqrt{3}}{6} &"
        r"\left( 1 \right) / 4 \\ \hline & \frac12 & \frac{3}{2\cdot 3} \end{array}".replace(
            r"\frac{1}{6}\sqrt{3}", r"\frac{\sqrt{3}}{6}"
        ).replace(r"\frac16\sqrt3", r"\sqrt{3} \times \frac16"),
        GAUSS,
    ),
}


@pytest.mark.parametrize("text, tableau", LATEX.values(), ids=LATEX)
def test_latex_as_people_write_it(text, tableau):
    assert Tableau.from_text(text) == tableau


@pytest.mark.parametrize(
    "written, value",
    [
        (r"\frac12", "1/2"),
        (r"\frac1{12}", "1/12"),
        (r"-\tfrac{3}{4}", "-3/4"),
        (r"\frac{-3}{4}", "-3/4"),
        (r"\sqrt2", "sqrt(2)"),
        (r"4\sqrt{21}", "4*sqrt(21)"),
        (r"\frac{18+4\sqrt{21}}{63}", "(18 + 4*sqrt(21))/63"),
        (r"2(1 - \sqrt{2})", "2*(1 - sqrt(2))"),
        (r"\frac12/\frac34", "2/3"),
        (r"1/2 \cdot \frac34", "3/8"),
        (r"16\,393\,803", "16393803"),
        (r"\;-\,0.25~", "-1/4"),
        (r"1/2 - 1/3", "1/6"),
        (r"\frac{\frac12}{\frac13}", "3/2"),
        (r"\sqrt{\frac{1}{2}}", "sqrt(2)/2"),
        (r"\bigl( 1 \bigr)", "1"),
        ("−1", "-1"),
    ],
)
def test_numbers_in_latex(written, value):
    text = rf"\begin{{array}}{{c|c}} 0 & {written} \\ \hline & 1 \end{{array}}"
    assert Tableau.from_text(text).A[0][0] == Tableau([[value]], [1]).A[0][0]


@pytest.mark.parametrize(
    "written",
    [
        r"1\frac{1}{2}",  # one and a half, or a half
        r"1/2\sqrt{3}",  # over the root, or times it
        r"1 2",
        r"1{,}5",
        r"\sqrt[3]{2}",
        r"\pi",
        r"2^{2}",
        r"\frac{1}",
        r"\frac{1}{0}",
        r"\frac",
        r"(1",
        r"1)",
        r"{1",
        r"--",
        r"\alpha",
        r"\input{/etc/passwd}",
        r"\frac" * 200,
        "(" * 200,
        r"\sqrt" * 200,
        "1" * 30_000,
    ],
)
def test_what_is_no_number_in_latex(written, deadline):
    text = rf"\begin{{array}}{{c|c}} 0 & {written} \\ \hline & 1 \end{{array}}"
    with pytest.raises(TableauError, match="Received") as caught:
        Tableau.from_text(text)
    assert "It was read as LaTeX." in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        r"\begin{array}{c|c} 0 & 0 \\ & 1 \end{array}",  # no rule
        r"\begin{array}{c|c} 0 & 0 \\ \hline",
        r"\begin{array}{c|c} 0 & 0 \\ \hline 1/2 & 1 \end{array}",  # a number left of the weights
        r"\begin{array}{c|c} 0 & 0 & 0 \\ \hline & 1 \end{array}",
        r"\begin{array}{c|c} 0 & 0 \\ \hline & 1 & 1 \end{array}",
        r"\begin{array}{c|c} 0 \\ 1 & 1 \\ \hline & 1 \end{array}",  # a weight is missing
        r"\begin{array}{c|c} c & A \\ \hline & b^T \end{array}",
        KUTTA3.to_latex() + KUTTA3.to_latex(),  # two of them
        r"A = \begin{pmatrix} 0 \end{pmatrix}",
        r"A^T = \begin{pmatrix} 0 \end{pmatrix}, b = \begin{pmatrix} 1 \end{pmatrix}",
        r"A = \begin{pmatrix} 0 \end{pmatrix} A = \begin{pmatrix} 0 \end{pmatrix}",
        r"\frac{1}{2}",
        r"A = \begin{pmatrix} 1 \end{pmatrix} / 2, b = \begin{pmatrix} 1 \end{pmatrix}",
        r"A = \begin{pmatrix} 1 \end{pmatrix}, b = \begin{pmatrix} 2 \end{pmatrix} \cdot \frac12",
        r"A = \begin{pmatrix} 1 \end{pmatrix}, b = \begin{pmatrix} 1 \end{pmatrix}, "
        r"\mathbf{c} = \begin{pmatrix} 1/2 \end{pmatrix}",
        r"A = \begin{pmatrix} 1 \end{pmatrix}, b = \begin{pmatrix} 1 \end{pmatrix}, "
        r"\bar{b} = \begin{pmatrix} 1 \end{pmatrix}",
    ],
)
def test_what_is_no_tableau_in_latex(text):
    with pytest.raises(TableauError, match=r"Received[\s\S]*It was read as LaTeX"):
        Tableau.from_text(text)


CSV = {
    "commas": "0,,\n1/2,1/2,\n1,-1,2\n,1/6,2/3,1/6\n",
    "headings": "c,a1,a2,a3\r\n0,0,0,0\r\n1/2,1/2,0,0\r\n1,-1,2,0\r\nb,1/6,2/3,1/6\r\n",
    "semicolons": "0;;;\n0,5;0,5;;\n1;-1;2;\nb;1/6;2/3;1/6\n",
    "tabulators": "0\n1/2\t1/2\n1\t-1.0\t2\n\t1/6\t2/3\t1/6",
    "quotes": '"0"\n"1/2","1/2"\n"1","-1","2"\n\n"b","1/6","2/3","1/6"\n',
    "without the last column": "c,a1,a2\n0,0,0\n1/2,1/2,0\n1,-1,2\nb,1/6,2/3,1/6\n",
}


@pytest.mark.parametrize("text", CSV.values(), ids=CSV)
def test_csv(text):
    assert Tableau.from_text(text) == KUTTA3


@pytest.mark.parametrize(
    "text",
    [
        "0,0\n,1\n,1\n,1",  # three rows of weights
        "0,0,0\n1,1,0\nb,1",  # a weight is missing
        "0,0\nb,1,1",
        "0,0,0\nb,1",
        "b_hat,1\n0,0\nb,1",
        "0,0\nb,1\n0,0",  # a stage below the weights
        "0,0\nb,1\nname,x\nname,y",
        "0,0\nb,1\nclaimed_order,four",
        "0,0\nb,1\nclaimed_order,-1",
        "0,=1+1\nb,1",
        "0,0\n1/2,0\nb,0,1",  # A alone, or c and A without its last column
        "0,0,0\n1/2,0,0\n-1,2,0\n,1/6,2/3,1/6",
        "1/2\n,1",
        "0.0,0.0\n1,1.0",  # whole tableaux as numbers: is 1 a node or an order?
        ",,,\n;;;",
    ],
)
def test_what_is_no_tableau_in_csv(text):
    with pytest.raises(TableauError, match=r"Received[\s\S]*It was read as CSV"):
        Tableau.from_text(text)


def test_a_decimal_comma_is_none_where_commas_separate():
    assert Tableau.from_text("0,0\nb,1").stages == 1
    with pytest.raises(TableauError):
        Tableau.from_text('0,0\nb,"1,0"')


YAML = {
    "flow": "A: [[], [1/2], [-1, 2]]\nb: [1/6, 2/3, 1/6]",
    "blocks": "---\nA:\n  - []\n  - - 1/2\n  - - -1\n    - 2.0\nb:\n- 1/6 # sixth\n- 2/3\n- '1/6'",
    "lines": 'b: [1/6,\n    2/3,\n    "1/6"]\nA: [\n  [],\n  [0.5],\n  [-1, 2]\n]\nb_hat: null\n',
    "comments": "# Kutta's\n\nA: [[], [1/2], [-1, 2]]   # 'A\nb: [1/6, 2/3, 1/6]\nname: Kutta's #1",
}


@pytest.mark.parametrize("text", YAML.values(), ids=YAML)
def test_yaml(text):
    assert Tableau.from_text(text) == KUTTA3


def test_labels_in_yaml():
    tableau = Tableau.from_text(
        "A: [[]]\nb: [1]\nclaimed_order: 1\nname: 'it''s'\nsource: L. Euler, E342: 1768 # note"
    )
    assert (tableau.claimed_order, tableau.name) == (1, "it's")
    assert tableau.source == "L. Euler, E342: 1768"


@pytest.mark.parametrize(
    "text",
    [
        "A: &x [[]]\nb: [1]",
        "A: !!python/object/apply:os.system [x]\nb: [1]",
        "A: [[]\nb: [1]",
        "A: [[]]]\nb: [1]",
        "A: {x: 1}\nb: [1]",
        "A: [[]]\nb: [1]\nb: [1]",
        "A: [[[[[[[[]]]]]]]]\nb: [1]",
        "A: [1 2]\nb: [1,, 2]",
        "A:\n - - - - - - - 1\nb: [1]",
        "A: [[]]\nb: [1]\nclaimed_order: '1'",
        'A: [[]]\nb: ["\\x"]',
        "A: |\n  x\nb: [1]",
        "  A: [[]]\nb: [1]",
        "A: [[]]\nb: [.inf]",
    ],
)
def test_what_is_no_tableau_in_yaml(text):
    with pytest.raises(TableauError, match=r"Received[\s\S]*It was read as YAML"):
        Tableau.from_text(text)


LOOKS = {
    "JSON": ["{", " [1]", '["A"]'],
    "TOML": ["A = 1", "# x\n\nA=1", "[tableau]\nA = [[]]", "[[tableaux]] # one"],
    "YAML": ["A: 1", "# x\nb:\n- 1", "---\nA: 1"],
    "LaTeX": [r"\begin{array}", r"a, b, \frac12", r"so: \[A = \begin{pmatrix}", r"A = \begin{"],
    "CSV": ["0,1", "c;a", "0\n1/2\t1", "(1 + sqrt(2))/2,1", "0,1\nname,\\begin{array}"],
    "a drawing": ["0 |\n--+--\n  |", "rk4", "", "a, b: c = d\n0 │\n──┼──\n  │", "0 | 1"],
    "a listing a[i,j]=...": ["a[2,1]=x", " b[1]=1 b[1]=2"],
}


@pytest.mark.parametrize(
    "called, text", [(called, text) for called, texts in LOOKS.items() for text in texts]
)
def test_the_look_of_a_text_tells_its_format(called, text):
    assert recognised(text).called == called
    with pytest.raises(TableauError, match=f"It was read as {re.escape(called)}"):
        Tableau.from_text(text)


def test_toml_with_a_table_is_no_json(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'[method]\nA = [["x]]')))
    assert main(["check", "-"]) == 2
    assert "standard input: A tableau file is TOML" in capsys.readouterr().err


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".tex", ".yaml", ".yml", ".npz"])
def test_files_are_read_by_name_and_content(ending, tmp_path, capsys):
    path = tmp_path / f"kutta{ending}"
    if ending == ".npz":
        np.savez(path, A=[["0", "0", "0"], ["1/2", "0", "0"], ["-1", "2", "0"]], b=KUTTA3_B)
    else:
        form = {"tsv": "csv", "yml": "yaml"}.get(ending[1:], ending[1:])
        path.write_text(
            {"csv": KUTTA3.to_csv(), "tex": KUTTA3.to_latex(), "yaml": YAML["flow"]}[form]
        )
    assert Tableau.from_file(path) == KUTTA3
    assert as_tableau(str(path)) == KUTTA3
    (tmp_path / "unknown").write_bytes(path.read_bytes())
    assert Tableau.from_file(tmp_path / "unknown") == KUTTA3
    assert main(["check", str(path), "--order", "3"]) == 0


KUTTA3_B = ["1/6", "2/3", "1/6"]


def npz(**arrays):
    data = io.BytesIO()
    np.savez(data, **arrays)
    return data.getvalue()


def npy(array):
    data = io.BytesIO()
    np.save(data, array)
    return data.getvalue()


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "U3"])
def test_arrays_in_files(dtype, tmp_path):
    (tmp_path / "x.npz").write_bytes(
        npz(
            A=np.array([[0, 0], [1, 0]], dtype),
            b=np.array([0, 1], dtype),
            b_hat=np.array([1, 0], dtype),
            name=np.array("mine"),
            claimed_order=np.array(1),
        )
    )
    tableau = Tableau.from_file(tmp_path / "x.npz")
    assert tableau == Tableau([[], [1]], [0, 1], b_hat=[1, 0])
    assert (tableau.name, tableau.claimed_order) == ("mine", 1)
    assert tableau.has_floats is dtype.startswith("float")


NAN = float("nan")


@pytest.mark.parametrize(
    "weights, b_hat", [([[NAN, 0.5, 0.5]], None), ([[NAN, 0.5, 0.5], [NAN, 1, 0]], [1, 0])]
)
def test_a_whole_tableau_in_one_array(weights, b_hat, tmp_path):
    array = np.array([[0, 0, 0], [1, 1, 0], *weights])
    (tmp_path / "x.npy").write_bytes(npy(array))
    expected = Tableau([[], [1]], ["1/2", "1/2"], b_hat=b_hat)
    assert Tableau.from_file(tmp_path / "x.npy") == as_tableau(array) == expected


class Executed:
    def __reduce__(self):
        return exec, ("raise SystemExit('executed')",)


def bomb():
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("A.npy", b"\0" * 50_000_000)
    return data.getvalue()


BINARY = {
    "objects": lambda: npz(A=np.array([[Executed()]], object), b=np.array([1.0])),
    "one object": lambda: npy(np.array([Executed()], object)),
    "a pickle in an npz": lambda: b"PK\x03\x04" + pickle.dumps(Executed()),
    "cut off": lambda: npz(A=np.zeros((2, 2)), b=np.ones(2))[:300],
    "no b": lambda: npz(A=np.zeros((2, 2))),
    "another array": lambda: npz(A=np.zeros((1, 1)), b=np.ones(1), d=np.ones(1)),
    "complex": lambda: npz(A=np.zeros((1, 1), complex), b=np.ones(1)),
    "dates": lambda: npz(A=np.zeros((1, 1), "M8[s]"), b=np.ones(1)),
    "no NaN": lambda: npy(np.zeros((3, 3))),  # A of three stages, perhaps
    "a vector": lambda: npy(np.zeros(3)),
    "no axes": lambda: npy(np.float64(3)),
    "a huge shape": lambda: npy(np.zeros((1, 1))).replace(b"(1, 1)", b"(9**9, 1)"[:6]),
    "a shape beyond the data": lambda: npy(np.zeros((11, 1))).replace(
        b"(11, 1)", b"(99999999999, 1)"[:7]
    ),
    "a bomb": bomb,
    "NaN": lambda: npz(A=[[0.0]], b=[NAN]),
}


@pytest.mark.parametrize("data", BINARY.values(), ids=BINARY)
def test_binary_files_that_are_no_tableau(data, tmp_path, deadline):
    (tmp_path / "x.npz").write_bytes(data())
    with pytest.raises(TableauError, match="Received") as caught:
        Tableau.from_file(tmp_path / "x.npz")
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize("dtype, tolerance", [("float32", "1e-7"), ("float16", "1e-3")])
def test_arrays_with_few_digits_are_their_binary_values(dtype, tolerance):
    arrays = tableaux.get("ralston2").to_numpy(dtype)
    tableau = Tableau(arrays.A, arrays.b)
    assert tableau.has_floats
    assert tableau.A[1][0] == Fraction(float(np.dtype(dtype).type(2 / 3)))
    assert not check(tableau, 2)
    assert tableau.rationalize(tolerance) == tableaux.get("ralston2")


# what is written, read by others


@pytest.mark.parametrize("name", ["rk4", "cooper_verner8", "dormand_prince54", *OWN])
def test_python_source_is_python(name):
    tableau = EVERY[name]()
    found = {}
    exec(compile(tableau.to_python(), name, "exec"), found)
    arrays = tableau.to_numpy()
    for key in ("A", "b", "c", "b_hat"):
        exact = getattr(tableau, f"exact_{key}")
        assert (key in found) is (exact is not None)
        if exact is None:
            continue
        np.testing.assert_array_equal(np.array(found[key], float), getattr(arrays, key))
        if name in ("rk4", "dormand_prince54"):
            assert [list(x) if key == "A" else x for x in exact] == found[key]


def c_program(tableau):
    prefix = re.search(r"enum { (\w+)_stages", tableau.to_c())[1]
    keys = ["b", "c"] + ["b_hat"] * (tableau.b_hat is not None)
    loops = "".join(
        f'for (int i = 0; i < {prefix}_stages; i++) printf("%.17g\\n", {prefix}_{key}[i]);\n'
        for key in keys
    )
    return (
        f"#include <stdio.h>\n{tableau.to_c()}int main(void) {{\n"
        f"for (int i = 0; i < {prefix}_stages; i++) for (int j = 0; j < {prefix}_stages; j++) "
        f'printf("%.17g\\n", {prefix}_A[i][j]);\n{loops}return 0; }}\n'
    )


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
@pytest.mark.parametrize("name", ["dormand_prince54", "cooper_verner8", "roots", "nodes"])
def test_c_source_is_compiled(name, tmp_path):
    tableau = EVERY[name]()
    (tmp_path / "x.c").write_text(c_program(tableau), encoding="utf-8")
    flags = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-O0"]
    subprocess.run(["gcc", *flags, "x.c", "-o", "x"], cwd=tmp_path, check=True, timeout=60)
    done = subprocess.run([tmp_path / "x"], capture_output=True, check=True, timeout=60)
    arrays = tableau.to_numpy()
    expected = [*arrays.A.ravel(), *arrays.b, *arrays.c]
    expected += [] if arrays.b_hat is None else [*arrays.b_hat]
    assert list(map(float, done.stdout.split())) == expected


def test_numbers_that_doubles_cannot_hold():
    tableau = Tableau([[0]], ["1" + "0" * 301])
    assert float(re.search(r"_b\[1\] = \{(\S+)", tableau.to_c())[1]) == 1e301
    with pytest.raises(TableauError, match="cannot become source code"):
        Tableau([[pytest.importorskip("sympy").Symbol("a")]], [1]).to_c()


def julia_values(text, key):
    """The numbers of one array, read by Python, where // divides and integers are long."""
    body = re.search(rf"^{key} = (?:reshape\()?[\w{{}}]+\[([^\]]*)\]", text, re.MULTILINE)[1]
    numbers = []
    for entry in re.split(r",? +|\n", body.strip().replace(",", " ")):
        if entry:
            code = entry.replace("big(", "(").replace("//", "/")
            numbers.append(
                eval(
                    re.sub(r"[0-9]+", r"Fraction(\g<0>)", code),
                    {"sqrt": sqrt, "Fraction": Fraction},
                )
            )
    return numbers


@pytest.mark.parametrize("name", ["rk4", "dormand_prince54", "verner98", "cooper_verner8", *OWN])
def test_julia_source(name):
    tableau = EVERY[name]()
    text = tableau.to_julia()
    rows = (*tableau.A, tableau.b, tableau.c, tableau.b_hat or ())
    exact = all(isinstance(x, Fraction) for row in rows for x in row)
    assert ("Rational{BigInt}[" in text) is exact
    for key in ("A", "b", "c", "b_hat"):
        expected = getattr(tableau.to_numpy(), key)
        if expected is not None:
            found = julia_values(text, key)
            np.testing.assert_allclose(np.array(found, float), expected.ravel(), rtol=1e-13)


@pytest.mark.skipif(shutil.which("julia") is None, reason="needs julia")
@pytest.mark.slow
@pytest.mark.parametrize("name", ["euler", "dormand_prince54", "cooper_verner8", "roots"])
def test_julia_source_runs(name, tmp_path):
    tableau = EVERY[name]()
    show = "for x in Iterators.flatten((permutedims(A), b, c)) println(Float64(x)) end"
    (tmp_path / "x.jl").write_text(f"{tableau.to_julia()}\n{show}\n", encoding="utf-8")
    done = subprocess.run(
        ["julia", tmp_path / "x.jl"], capture_output=True, check=True, timeout=300
    )
    arrays = tableau.to_numpy()
    assert list(map(float, done.stdout.split())) == [*arrays.A.ravel(), *arrays.b, *arrays.c]


def value_of(node):
    """The number that MathML shows."""
    if node.tag == "mn":
        return int(node.text)
    if node.tag == "msqrt":
        return sqrt(value_of_row(list(node)))
    if node.tag == "mfrac":
        above, below = node
        return value_of(above) / value_of(below)
    return value_of_row(list(node))


def value_of_row(parts):
    total, sign, factor = 0.0, 1, 1.0
    for part in parts:
        if part.tag != "mo":
            factor *= value_of(part)
        elif part.text in "+−":
            if part is not parts[0]:
                total += sign * factor
            sign, factor = (1 if part.text == "+" else -1), 1.0
    return total + sign * factor


@pytest.mark.parametrize("name", ["dormand_prince54", "cooper_verner8", "roots", "nested", "nodes"])
def test_html_shows_the_numbers_in_mathml(name):
    tableau = EVERY[name]()
    page = ElementTree.fromstring(tableau.to_html())
    rows = [[cell.find("math") for cell in row] for row in page.iter("tr")]
    values = [[None if x is None else value_of_row(list(x[0])) for x in row] for row in rows]
    arrays = tableau.to_numpy()
    s = tableau.stages
    assert [row[0] for row in values[:s]] == pytest.approx(list(arrays.c), abs=1e-14)
    for i, row in enumerate(values[:s]):
        shown = [x for x in row[1:] if x is not None]
        assert shown == pytest.approx(list(arrays.A[i][: len(shown)]), abs=1e-14)
        assert not any(arrays.A[i][len(shown) :])
    for weights, expected in zip(values[s:], (arrays.b, arrays.b_hat), strict=False):
        assert weights[0] is None
        assert weights[1:] == pytest.approx(list(expected), rel=1e-13)
    assert page.find("caption") is None or tableau.name in "".join(page.find("caption").itertext())


def test_an_html_page_escapes_names():
    page = GAUSS.to_html(document=True)
    assert page.startswith("<!DOCTYPE html>")
    assert "<i>" not in page
    assert "&lt;i&gt;" in page


WRITERS = ("text", "latex", "html", "json", "csv", "python", "julia", "c")


@pytest.mark.parametrize("form", WRITERS)
def test_show_in_every_format(form, capsys):
    tableau = tableaux.get("fehlberg45")
    assert main(["show", "fehlberg45", "--format", form]) == 0
    printed = capsys.readouterr().out
    expected = str(tableau) if form == "text" else getattr(tableau, f"to_{form}")()
    assert printed.startswith(expected.rstrip("\n"))
    if form in ("text", "latex", "json", "csv"):
        assert Tableau.from_text(printed) == tableau


@pytest.mark.parametrize("flag", ["latex", "json"])
def test_show_has_kept_its_flags(flag, capsys):
    assert main(["show", "rk4", f"--{flag}"]) == 0
    kept = capsys.readouterr().out
    assert main(["show", "rk4", "--format", flag]) == 0
    assert capsys.readouterr().out == kept
    with pytest.raises(SystemExit):
        main(["show", "rk4", "--latex", "--json"])


MANY = 300_000  # characters
LONG = {
    "commas": "0" + "," * MANY + "\nb,1",
    "rows": "0,\n" * (MANY // 3) + "b,1",
    "quotes": '0,"' + '""' * (MANY // 2),
    "cells": r"\begin{array}{c|c} 0 " + "&" * MANY + r"\\ \hline & 1 \end{array}",
    "lines": r"\begin{array}{c|c} 0 " + r"\\" * (MANY // 2) + r"\hline & 1 \end{array}",
    "beginnings": r"\begin{array}" * (MANY // 13),
    "matrices": r"A = \begin{pmatrix}" * (MANY // 19),
    "hats": r"\frac \hat" + " " * MANY,
    "braces": r"\begin{array}" + "{" * MANY,
    "percents": r"\begin{array}" + "%" * MANY,
    "dashes": "0 | 1\n" + "-" * MANY + "x",
    "bars": "-+" + "|" * MANY + "x",
    "brackets": "A: " + "[" * MANY,
    "items": "A:\n" + "- " * (MANY // 2),
    "list": "A: [" + "1, " * (MANY // 3) + "]\nb: [1]",
    "open quotes": "A: [" + "'\"\\" * (MANY // 3) + " #",
    "comments": "#\n" * (MANY // 2) + "x",
    "keys": "a: 1\n" + "".join(f"k{i}: 1\n" for i in range(MANY // 12)),
    "spaces": " " * MANY + "x",
    "line ends": "\n" * MANY + "x",
    "tabulators": "\t" * MANY,
    "headers": "[" + "a." * (MANY // 2) + "]\nA=1",
    "signs": r"\begin{array}{c|c} 0 & " + "-" * 9_000 + r"1 \\ \hline & 1 \end{array}",
}


@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
def test_long_texts_are_done_with_at_once(text):
    start = time.process_time()
    try:
        message = f"Received: {Tableau.from_text(text).stages} stages"
    except TableauError as error:
        message = str(error)
    assert time.process_time() - start < 2  # quadratic ones take hours
    assert "Received" in message
    assert len(message) < 1000


def test_symbols_are_printed_but_not_written_to_files():
    alpha = pytest.importorskip("sympy").Symbol("alpha")
    family = Tableau([[], [alpha]], [1 - 1 / (2 * alpha), 1 / (2 * alpha)], name="second order")
    assert r"\frac{1}{2 \alpha}" in family.to_latex(zeros=False)
    assert "1/(2*alpha)" in family.to_html()
    for write in (family.to_csv, family.to_json, family.to_python, family.to_julia, family.to_c):
        with pytest.raises(TableauError, match="Received: the symbols alpha"):
            write()
