"""Reports in notebooks: the text that `print` shows, as HTML that takes the notebook's colours."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from itertools import groupby

__all__ = ["as_html"]

_LEFT = ' style="text-align:left"'
_TEXT = ' style="white-space:pre-wrap;margin:0"'


def as_html(text: str, width: int = 0, indent: int = 2) -> str:
    """A report as HTML: its title, lists of what was found, and tables; all text is escaped.

    Args:
        text: the report. Below the first line, a line whose columns are two spaces or more apart
            belongs to a table if there are three or more of them.
        width: of the labels, in a line such as "  order        4, exactly"; 0 for none.
        indent: of these lines; lines that begin further left stand above them.

    >>> print(as_html("rk4 (4 stages)\\n  order   4, exactly", width=7))
    <div><p><strong>rk4 (4 stages)</strong></p>
    <table>
    <tr><th style="text-align:left">order</th><td style="text-align:left">4, exactly</td></tr>
    </table></div>
    """
    title, *lines = text.splitlines() or [""]
    parts = [f"<p><strong>{html.escape(title)}</strong></p>"]
    for kind, found in groupby(lines, lambda line: _kind(line, width, indent)):
        group = list(found)
        if kind == "fact":
            parts.append(_table(_facts(group, width)))
        elif kind == "heading":
            parts += [f"<p>{html.escape(line.strip())}</p>" for line in group]
        elif kind == "table":
            parts.append(_table(_rows(group)))
        elif kind:
            parts.append(f"<pre{_TEXT}>{html.escape(chr(10).join(group))}</pre>")
    return "<div>" + "\n".join(parts) + "</div>"


def _kind(line: str, width: int, indent: int) -> str:
    """What a line belongs to; empty for one that is."""
    inner = line.lstrip()
    if not inner:
        return ""
    if len(_cells(line)) > 2:
        return "table"
    place = len(line) - len(inner)
    if width and place < indent:
        return "heading"
    is_labelled = width and len(inner) > width + 1 and inner[width] == " "
    if is_labelled and place == indent and not inner.startswith("FAILED"):
        return "fact"
    return "text"


def _cells(line: str) -> list[str]:
    return re.split(r" {2,}", line.strip())


def _facts(lines: Sequence[str], width: int) -> Iterator[str]:
    for line in lines:
        inner = line.lstrip()
        label, value = html.escape(inner[:width].strip()), html.escape(inner[width:].strip())
        yield f"<th{_LEFT}>{label}</th><td{_LEFT}>{value}</td>"


def _rows(lines: Sequence[str]) -> Iterator[str]:
    """The first line above the others; a row may lack its last cells."""
    rows = [_cells(line) for line in lines]
    count = max(map(len, rows))
    for place, row in enumerate(rows):
        tag = "td" if place else "th"
        cells = [html.escape(cell) for cell in [*row, *[""] * (count - len(row))]]
        first, *others = cells
        yield f"<{tag}{_LEFT}>{first}</{tag}>" + "".join(f"<{tag}>{x}</{tag}>" for x in others)


def _table(rows: Iterator[str]) -> str:
    return "\n".join(["<table>", *(f"<tr>{row}</tr>" for row in rows), "</table>"])
