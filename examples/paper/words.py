"""Networks in words, and tables of them in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from grid import Network

Lines = list[str]
PLACES = {
    "after": "BN after",
    "none": "no BN",
    "inside": "BN in F",
    "inside_last": "BN at the end of F",
    "inside_shared": "BN in F, shared over stages",
}
WAYS = {"shortcut": "dt y + F(y)", "residual": "y + dt F(y)"}


def formula(network: Network) -> str:
    """How a network scales."""
    place = PLACES[network.normalization]
    return f"{network.method}, {WAYS[network.scaled]}, {place}, {network.activation}"


def penalty(network: Network) -> str:
    """How smooth in depth a network was made."""
    weight = f"penalty {network.smoothness:g}" if network.smoothness else "no penalty"
    return f"{network.method}, {PLACES[network.normalization]}, {weight}"


def construction(network: Network) -> str:
    """How a network is built."""
    words = [PLACES[network.normalization], network.activation]
    if network.stddev is not None:
        words.append(f"normal weights of standard deviation {network.stddev:g}")
    if network.activation_after:
        words.append(f"{network.activation} after the sum, too")
    return ", ".join(words)


def bullets(title: str, items: Sequence[str]) -> Lines:
    """A list, under a line of its own; nothing if there is nothing in it."""
    if not items:
        return []
    return [*([title, ""] if title else []), *(f"* {one}" for one in items), ""]


def table(headings: Sequence[str], rows: Iterable[Sequence[Any]], columns: str = "") -> Lines:
    """A Markdown table.

    Args:
        columns: "l" or "r" for each column; the first one on the left and all others on the right
            if not given.
    """
    rows = list(rows)
    if not rows or len(headings) < 2:
        return ["Not measured.", ""]
    columns = columns or "l" + "r" * (len(headings) - 1)
    rule = "".join({"l": "---|", "r": "---:|"}[side] for side in columns)
    lines = [f"| {' | '.join(headings)} |", f"|{rule}"]
    return [*lines, *(f"| {' | '.join(map(str, row))} |" for row in rows), ""]


def text_table(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table of words."""
    return "\n".join(table(headings, rows, "l" * len(headings)))
