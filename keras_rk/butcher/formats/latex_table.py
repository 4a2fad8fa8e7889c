r"""A tableau in LaTeX: an array or tabular with a rule above the weights, or A, b, c as matrices.

    \begin{array}{c|cc}                   A = \begin{pmatrix} 0 & 0 \\ \frac12 & 0 \end{pmatrix}
    0 \\                                  b^T = \begin{pmatrix} 0 & 1 \end{pmatrix}
    \frac{1}{2} & \frac{1}{2} \\ \hline
    & 0 & 1
    \end{array}

Empty cells are zeros. What stands around the tableau is not looked at, but for what would change
it: a factor beside a matrix, or a matrix of another name. Numbers are read by `latex_numbers`.
"""

from __future__ import annotations

import re
from typing import Any, NoReturn

from keras_rk.butcher.formats.latex_numbers import number_in_latex
from keras_rk.errors import TableauError, shown

__all__ = ["read_latex"]

_EXAMPLE = r"""A tableau in LaTeX is an array with one row for each stage, \hline, and weights:
    \begin{array}{c|cc}
    0 \\
    \frac{1}{2} & \frac{1}{2} \\ \hline
    & 0 & 1
    \end{array}
or A = \begin{pmatrix} ... \end{pmatrix}, b = ... and perhaps c = ... and \hat{b} = ...
"""
_COMMENT = re.compile(r"(?<!\\)%[^\n]*")
_TABLE = re.compile(r"\\begin\s*\{(array|tabular)\}\s*(?:\[[a-z]\])?\s*")
_MATRIX = re.compile(
    r"(?:(?P<A>\bA)|(?P<c>\bc)|(?P<b_hat>\\(?:wide)?hat\s*\{?\s*b\s*\}?|\bb\s*\^\s*\{?\s*\*\s*\}?)|(?P<b>\bb))"
    r"(?:\s*\^\s*\{?\s*(?:T|\\top|\\intercal|\\(?:mathsf|mathrm|text)\s*\{?\s*T\s*\}?)\s*\}?)?"
    r"\s*&?\s*=\s*\\begin\s*\{(?P<kind>[pbBvV]?matrix|smallmatrix|array)\}"
    r"(?:\s*\{[a-z| ]*\})?"
)
_ANY_MATRIX = re.compile(r"\\begin\s*\{(?:[pbBvV]?matrix|smallmatrix)\}")
_FACTOR = re.compile(r"\s*(?:[/*]|\\(?:cdot|times|div|over|[dt]?frac)(?![A-Za-z]))")
_BEFORE = 40  # characters of what stands before a matrix, quoted
_ROW_END = re.compile(r"\\\\(?:\s*\[[^\]\n]{0,20}\])?\*?")
_RULE = re.compile(
    r"\\(?:hline|hdashline|toprule|midrule|bottomrule)(?![A-Za-z])(?:\[[^\]\n]{0,20}\])?"
    r"|\\(?:cline|cmidrule)\s*(?:\([a-z]*\))?\s*\{[0-9 -]*\}"
)
_SPACE = re.compile(r"\\(?:addlinespace(?:\[[^\]\n]{0,20}\])?|noalign\s*\{[^{}]*\})")
_LETTERS = re.compile(r"\\(?:[dtc]?frac|nicefrac|sfrac|sqrt|cdot|times|left|right|displaystyle)\b")


def read_latex(text: str) -> dict[str, Any]:
    """What `Tableau.from_dict` takes, from the one tableau in a LaTeX text.

    Raises:
        TableauError: where there is none or more than one, or its cells do not fit together.
    """
    text = re.sub(r"\s+", " ", _COMMENT.sub("", text))
    matrices = list(_MATRIX.finditer(text))
    if matrices:
        return _matrices(text, matrices)
    tables = list(_TABLE.finditer(text))
    if len(tables) != 1:
        _refuse(f"{len(tables)} of them")
    start = _after_columns(text, tables[0].end())
    end = re.compile(r"\\end\s*\{" + tables[0][1] + r"\}").search(text, start)
    if end is None:
        _refuse(f"no \\end{{{tables[0][1]}}}")
    return _table(text[start : end.start()])


def _refuse(received: str) -> NoReturn:
    raise TableauError(f"{_EXAMPLE}Received: {received}.")


def _after_columns(text: str, start: int) -> int:
    """Where the columns {c|cc} end, which may have braces in them: {c|*{4}{c}}."""
    depth = 0
    for i in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[i], 0)
        if depth == 0:
            return i + 1 if text[i] == "}" else start
    return start


def _table(body: str) -> dict[str, Any]:
    above, below = _halves(body)
    stages = len(above)
    weights = []
    for cells in below:
        if not _is_label(cells[0]):
            _refuse(f"{shown(cells[0])} left of the weights")
        weights.append(cells[1:])
    A = [_trimmed(cells[1:]) for cells in above]
    found = [len(row) for row in A], [len(row) for row in weights]
    if len(weights) not in (1, 2) or found[1] != [stages] * len(weights) or max(found[0]) > stages:
        _refuse(f"rows of {shown(found[0])} entries, weights of {shown(found[1])}")
    data: dict[str, Any] = {
        "A": [_numbers(row) + ["0"] * (stages - len(row)) for row in A],
        "b": _numbers(weights[0]),
        "c": [number_in_latex(cells[0]) for cells in above],
    }
    if len(weights) == 2:
        data["b_hat"] = _numbers(weights[1])
    return data


def _halves(body: str) -> tuple[list[list[str]], list[list[str]]]:
    """The rows above the rule and those below it; rules above the first row do not count."""
    above: list[list[str]] = []
    below: list[list[str]] = []
    ruled = False
    for row in _ROW_END.split(body):
        row = _SPACE.sub("", row)
        content = _RULE.sub("", row).strip()
        ruled |= bool(above) and content != row.strip()
        if content:
            (below if ruled else above).append(_cells(content))
    if not above or not below:
        _refuse(f"{len(above)} rows above a rule and {len(below)} below it")
    return above, below


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.split("&")]


def _trimmed(cells: list[str]) -> list[str]:
    last = max((i for i, cell in enumerate(cells) if cell), default=-1)
    return cells[: last + 1]


def _numbers(cells: list[str]) -> list[str]:
    return [number_in_latex(cell) if cell else "0" for cell in cells]


def _is_label(cell: str) -> bool:
    """Whether it is empty or a name such as b, \\hat{b}^T or y_1, and no number."""
    return not cell or any(map(str.isalpha, _LETTERS.sub("", cell)))


def _matrices(text: str, found: list[re.Match[str]]) -> dict[str, Any]:
    data: dict[str, Any] = {}
    known = {match.end() for match in found}
    for matrix in _ANY_MATRIX.finditer(text):
        if matrix.end() not in known:
            before = text[max(0, matrix.start() - _BEFORE) : matrix.end()]
            _refuse(f"a matrix that is not one of these alone, {shown(before)}")
    for match in found:
        end = re.compile(r"\\end\s*\{" + match["kind"] + r"\}").search(text, match.end())
        key = _assigned(match)
        if key == "A" and "^" in match[0]:
            _refuse(f"A transposed, {shown(match[0])}")
        if end is None or key in data:
            _refuse(f"{shown(match[0])} twice" if end else f"{shown(match[0])} without its end")
        if factor := _FACTOR.match(text, end.end()):
            _refuse(f"{shown(factor[0].strip())} behind the matrix of {shown(match[0])}")
        rows = [_cells(row) for row in _ROW_END.split(text[match.end() : end.start()])]
        rows = [row for row in rows if any(row)]
        data[key] = [_numbers(row) for row in rows]
    for key in ("b", "c", "b_hat"):
        if key in data:
            data[key] = [number for row in data[key] for number in row]
    if not {"A", "b"} <= set(data):
        _refuse(f"matrices for {shown(sorted(data))}")
    return data


def _assigned(match: re.Match[str]) -> str:
    return next(key for key in ("A", "c", "b_hat", "b") if match[key])
