"""CSV, as spreadsheets write it: c and A in the rows of the stages, then the weights.

    0,
    1/2,1/2
    1,-1,2
    b,1/6,2/3,1/6
    name,kutta3
    claimed_order,3

The first cell of the row of weights is `b` or empty, that of embedded weights `b_hat` or empty.
Rows that begin with another key of `Tableau.from_dict` are optional (`b_theta`: one for each
stage), and so is a first row of headings that begins with `c`. Cells that are empty or missing to
the right are zero in A. Semicolons and tabulators serve as well as commas, and beside them 0,5 is
a half. Rows of s full cells for s stages are read beside headings only: without any they may be A
alone, or c and A without its last column.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from typing import Any, NoReturn

from keras_rk.butcher.formats.numerals import Numeral, plain_outside_coefficients
from keras_rk.errors import TableauError, shown

__all__ = ["read_csv", "write_csv"]

_LABELS = ("claimed_order", "claimed_embedded_order", "name", "source", "has_floats")
_WEIGHTS = {"": (0, 1), "b": (0,), "b_hat": (1,), "bhat": (1,)}  # rows of weights before it
_RULE = (
    "A tableau in CSV has a row c,a,a,... for each stage, then a row of weights that begins with b "
    "or an empty cell, and perhaps one that begins with b_hat"
)
_MOST_ROWS = 2000  # beside the stages there are empty ones, and those of b_theta
_DELIMITERS = ",;\t"
_DECIMAL_COMMA = re.compile(r"(?<=[0-9]),(?=[0-9])")


def read_csv(text: str) -> dict[str, Any]:
    """What `Tableau.from_dict` takes, from rows of cells."""
    labels: dict[str, Any] = {}
    nodes: list[str] = []
    A: list[list[str]] = []
    weights: list[list[str]] = []
    extension: list[list[str]] = []
    full: list[int] = []  # how many cells the rows of stages have, if none of them is empty
    has_headings = False
    delimiter, rows = _rows(text)
    for number, row in enumerate(rows, start=1):
        key = row[0].strip().lower()
        if key in _LABELS:
            if key in labels or any(row[2:]):
                _refuse(f"row {number}, {shown(row)}")
            labels[key] = _label(key, row[1] if len(row) > 1 else "")
        elif key == "b_theta":
            extension.append(_trimmed(_coefficients(row[1:], delimiter)))
        elif key in _WEIGHTS:
            if len(weights) not in _WEIGHTS[key]:
                _refuse(f"weights after {len(weights)} other rows of them, {shown(row)}")
            weights.append(_coefficients(row[1:], delimiter))
        elif key == "c" and not A and not weights:
            has_headings = True
        elif weights:
            _refuse(f"row {number} below the weights, {shown(row)}")
        else:
            head, *cells = _coefficients(row, delimiter)
            nodes.append(head)
            A.append(_trimmed(cells))
            full.append(len(row) if all(map(str.strip, row)) else 0)
    if weights and not has_headings:
        _check_columns(nodes, full)
    if extension:
        labels["b_theta"] = extension
    return _tableau(nodes, A, weights, labels)


def _check_columns(nodes: list[str], full: list[int]) -> None:
    """Whether the first column is c, which the number of columns leaves open in one case."""
    stages = len(nodes)
    if full == [stages] * stages and nodes != ["0"]:
        _refuse(
            f"{stages} rows of {stages} cells, which may be A without c, or c and A without its "
            "last column; a first row of headings, c,a,..., says the latter"
        )


def _rows(text: str) -> tuple[str, list[list[str]]]:
    """What separates the cells, and the rows that are not empty."""
    first = next((line for line in text.splitlines() if set(line) & set(_DELIMITERS)), "")
    delimiter = ";" if ";" in first else "\t" if "\t" in first else ","
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise TableauError(f"{_RULE}. Received: {error}.") from None
    if len(rows) > _MOST_ROWS:
        _refuse(f"{len(rows)} rows")
    return delimiter, [row for row in rows if any(map(str.strip, row))]


def _coefficients(row: list[str], delimiter: str) -> list[str]:
    cells = [cell.strip() for cell in row]
    return cells if delimiter == "," else [_DECIMAL_COMMA.sub(".", cell) for cell in cells]


def _trimmed(cells: list[str]) -> list[str]:
    """Without the empty cells to the right; others are zeros."""
    last = max((i for i, cell in enumerate(cells) if cell), default=-1)
    return [cell or "0" for cell in cells[: last + 1]]


def _label(key: str, text: str) -> Any:
    if key in ("name", "source"):
        return text
    if key == "has_floats":
        return {"true": True, "false": False}.get(text.lower(), text)
    return Numeral(text) if re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text) else text or None


def _tableau(
    nodes: list[str], A: list[list[str]], weights: list[list[str]], labels: dict[str, Any]
) -> dict[str, Any]:
    stages = len(A)
    found = [len(row) for row in A], [len(row) for row in weights]
    if not weights or max(found[0], default=1) > stages or min(found[1]) < stages:
        _refuse(f"{stages} stages with {shown(found[0])} entries, weights with {shown(found[1])}")
    if any(any(row[stages:]) for row in weights):
        _refuse(f"more weights than {stages} stages, {shown(weights)}")

    def row(cells: list[str]) -> list[str]:
        return [cell or "0" for cell in cells[:stages]] + ["0"] * (stages - len(cells))

    data = {"A": [row(cells) for cells in A], "b": row(weights[0]), "c": nodes}
    if len(weights) > 1:
        data["b_hat"] = row(weights[1])
    return plain_outside_coefficients({**data, **labels})


def _refuse(received: str) -> NoReturn:
    raise TableauError(f"{_RULE}. Received: {received}.")


def write_csv(data: Mapping[str, Any], nodes: list[str]) -> str:
    """The rows of a tableau, from `Tableau.to_dict` and the nodes, which are always written."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    for node, row in zip(nodes, data["A"], strict=True):
        writer.writerow([node, *row, *[""] * (len(nodes) - len(row))])
    for key in ("b", "b_hat"):
        if key in data:
            writer.writerow([key, *data[key]])
    for row in data.get("b_theta", ()):
        writer.writerow(["b_theta", *row])
    for key in _LABELS:
        if key in data:
            value = data[key]
            writer.writerow([key, str(value).lower() if isinstance(value, bool) else value])
    return out.getvalue()
