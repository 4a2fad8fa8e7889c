"""Two ways to write a tableau down as text, both as it is printed in the literature.

A drawing, for tableaux that fit on a page:

    0   |
    1/2 | 1/2
    1/2 | 0    1/2
    1   | 0    0    1
    ----+--------------------
        | 1/6  1/3  1/3  1/6

A listing of the coefficients that are not zero, numbered from 1, for those that do not:

    a[2,1]=1/2
    a[3,2]=1/2
    a[4,3]=1
    b[1]=1/6 b[2]=1/3 b[3]=1/3 b[4]=1/6

In both a coefficient is text in the grammar of `coefficients`; in a drawing it may contain the
spaces and the signs √ │ ─ ┼ with which a tableau is printed.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from keras_rk.butcher.matrix_forms import fits
from keras_rk.errors import TableauError, shown

__all__ = ["Coefficients", "read_drawing", "read_listing", "read_text"]

_ENTRY = re.compile(
    r"(?:a\[(?P<i>[0-9]{1,3}),(?P<j>[0-9]{1,3})\]|(?P<vector>b|bhat|c)\[(?P<k>[0-9]{1,3})\])="
    r"(?P<value>\S+)"
)
_PRINTED = str.maketrans("│|┼─−", "||+--")
_RULE = re.compile(r"(?=[^-]*-)[-+|=_ ]*")
_SOURCE = "Source:"
_MOST_LINES = 2000
_EXAMPLE = """A tableau is drawn like this (a second line of weights is b_hat):
    0   |
    1/2 | 1/2
    ----+--------
        | 0    1
"""


def _of(name: str | None) -> str:
    return "" if name is None else f" (tableau {shown(name)})"


class Coefficients(NamedTuple):
    """A tableau as text: strictly lower rows of `A`, weights, nodes where they are written."""

    A: list[list[str]]
    b: list[str]
    c: list[str] | None
    b_hat: list[str] | None


def read_text(text: str) -> dict[str, Any]:
    """What `Tableau.from_dict` takes, from a drawing, which may have a name above it and a line
    `Source: ...` below, as `keras-rk show` prints it, or from a listing."""
    if re.match(r"\s*(a|b|bhat|c)\[", text):
        return _as_dict(read_listing(text, None))
    title, drawing, source = _parts(text)
    return {**_as_dict(read_drawing(drawing, title)), "name": title, "source": source}


def _as_dict(coefficients: Coefficients) -> dict[str, Any]:
    return {key: x for key, x in coefficients._asdict().items() if x is not None}


def _parts(text: str) -> tuple[str | None, str, str | None]:
    """The name above a drawing, the drawing, and its source."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    source = None
    if lines and lines[-1].startswith(_SOURCE):
        source = lines.pop().removeprefix(_SOURCE).strip()
    title = None
    if lines and not set(lines[0].translate(_PRINTED)) & set("|"):
        title = lines.pop(0)
    return title, "\n".join(lines), source


def read_drawing(text: str, name: str | None) -> Coefficients:
    """Reads a drawing: rows `c | a a a`, a line of dashes, weights `| b b b`, perhaps `| b_hat`.

    Raises:
        TableauError: where the entries are not those of A and one weight per stage.
    """
    lines = [line.strip() for line in text.translate(_PRINTED).splitlines() if line.strip()]
    if "…" in text:
        raise TableauError(
            "A drawing that is read shows its numbers in full; those that are too long to be "
            "printed are in the JSON of `keras-rk show --json` or `to_json()`. Received: a number "
            f"cut off with …{_of(name)}."
        )
    if len(lines) > _MOST_LINES:
        raise TableauError(f"{_EXAMPLE}Received: {len(lines)} lines{_of(name)}.")
    rule = next((i for i, line in enumerate(lines) if _RULE.fullmatch(line)), len(lines))
    rows = [line.split("|") for line in lines[:rule]]
    below = [line.split("|") for line in lines[rule + 1 :]]
    nodes = [_entries(row[0]) for row in rows]
    A = [_entries(row[-1]) for row in rows]
    weights = [_entries(row[-1]) for row in below]
    stages = len(A)
    if (
        any(len(row) != 2 for row in (*rows, *below))
        or any(len(node) != 1 for node in nodes)
        or any(row[0].strip() for row in below)
        or len(weights) not in (1, 2)
        or [len(row) for row in weights] != [stages] * len(weights)
        or not fits([len(row) for row in A], stages)
    ):
        raise TableauError(
            f"{_EXAMPLE}Received: rows of {shown([len(row) for row in A])} entries, weights of "
            f"{shown([len(row) for row in weights])}{_of(name)}."
        )
    b_hat = weights[1] if len(weights) == 2 else None
    return Coefficients(A, weights[0], [node for (node,) in nodes], b_hat)


def _entries(text: str) -> list[str]:
    """The coefficients in a row: spaces end one, but not within parentheses or beside an operator.

    `(18 + 4√21)/63  1 - √2  -1/2` are three.
    """
    entries: list[list[str]] = []
    depth, goes_on = 0, False
    for part in text.split():
        if goes_on or depth > 0 or (entries and part[0] in "+-*/" and len(part) == 1):
            entries[-1].append(part)
        else:
            entries.append([part])
        depth += part.count("(") - part.count(")")
        goes_on = part[-1] in "+-*/"
    return [_in_grammar(" ".join(parts)) for parts in entries]


def _in_grammar(entry: str) -> str:
    """√21 as sqrt(21), and 4√21 as 4*sqrt(21)."""
    if "√" not in entry:
        return entry
    entry = re.sub(r"(?<=[0-9)]) ?√", "*√", entry)
    return re.sub(r"√([0-9]+)", r"sqrt(\1)", entry).replace("√(", "sqrt(")


def read_listing(text: str, name: str | None) -> Coefficients:
    """Reads a listing: `a[i,j]=value`, `b[i]=value`, `bhat[i]=value`, `c[i]=value`.

    What is not listed is zero; where no node is listed, the nodes are the row sums.

    Raises:
        TableauError: where an entry is written differently, twice, or not below the diagonal.
    """
    values: dict[tuple[str, int, int], str] = {}
    for entry in text.split():
        match = _ENTRY.fullmatch(entry)
        if match is None:
            raise TableauError(
                f"A listing has entries a[i,j]=, b[i]=, bhat[i]= and c[i]=."
                f" Received: {shown(entry)}{_of(name)}."
            )
        i, j = int(match["i"] or match["k"]), int(match["j"] or 0)
        key = (match["vector"] or "a", i, j)
        if key in values or not j < i:
            raise TableauError(
                f"A listing has each entry once, and a[i,j] for j < i only."
                f" Received: {shown(entry)}{_of(name)}."
            )
        values[key] = match["value"]
    stages = max((i for _, i, _ in values), default=0)
    each = range(1, stages + 1)
    A = [[values.get(("a", i, j), "0") for j in range(1, i)] for i in each]
    b, b_hat, c = ([values.get((kind, i, 0), "0") for i in each] for kind in ("b", "bhat", "c"))
    listed = {kind for kind, *_ in values}
    return Coefficients(A, b, c if "c" in listed else None, b_hat if "bhat" in listed else None)
