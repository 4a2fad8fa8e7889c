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

In both a coefficient is text in the grammar of `coefficients`, without spaces.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from keras_rk.errors import TableauError

__all__ = ["Coefficients", "read_drawing", "read_listing"]

_ENTRY = re.compile(
    r"(?:a\[(?P<i>\d+),(?P<j>\d+)\]|(?P<vector>b|bhat|c)\[(?P<k>\d+)\])=(?P<value>\S+)"
)


class Coefficients(NamedTuple):
    """A tableau as text: strictly lower rows of `A`, weights, nodes where they are written."""

    A: list[list[str]]
    b: list[str]
    c: list[str] | None
    b_hat: list[str] | None


def read_drawing(text: str, name: str) -> Coefficients:
    """Reads a drawing: rows `c | a a a`, a line of dashes, weights `| b b b`, perhaps `| b_hat`.

    Raises:
        TableauError: where row i does not have i - 1 entries, or the weights one per stage.
    """
    lines = [line.strip() for line in text.strip().splitlines()]
    rule = next((i for i, line in enumerate(lines) if "-+-" in line), len(lines))
    rows = [line.split("|") for line in lines[:rule]]
    nodes = [row[0].strip() for row in rows]
    A = [row[-1].split() for row in rows]
    weights = [line.lstrip("|").split() for line in lines[rule + 1 :]]
    lengths = [len(row) for row in A] + [len(row) for row in weights]
    stages = len(A)
    if len(weights) not in (1, 2) or lengths != [*range(stages)] + [stages] * len(weights):
        raise TableauError(
            f"A drawing has i - 1 entries in row i and one weight per stage."
            f" Received rows of {lengths} entries (tableau {name!r})."
        )
    return Coefficients(A, weights[0], nodes, weights[1] if len(weights) == 2 else None)


def read_listing(text: str, name: str) -> Coefficients:
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
                f" Received: {entry!r} (tableau {name!r})."
            )
        i, j = int(match["i"] or match["k"]), int(match["j"] or 0)
        key = (match["vector"] or "a", i, j)
        if key in values or not j < i:
            raise TableauError(
                f"A listing has each entry once, and a[i,j] for j < i only."
                f" Received: {entry!r} (tableau {name!r})."
            )
        values[key] = match["value"]
    stages = max((i for _, i, _ in values), default=0)
    each = range(1, stages + 1)
    A = [[values.get(("a", i, j), "0") for j in range(1, i)] for i in each]
    b, b_hat, c = ([values.get((kind, i, 0), "0") for i in each] for kind in ("b", "bhat", "c"))
    listed = {kind for kind, *_ in values}
    return Coefficients(A, b, c if "c" in listed else None, b_hat if "bhat" in listed else None)
