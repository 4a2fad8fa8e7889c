"""Tables as the commands print them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from keras_rk.cli.output import heading

__all__ = ["table"]

_NARROWEST = 20  # a last column that is wrapped


def table(
    rows: Sequence[Sequence[str]], right: Sequence[int] = (), width: int | None = None
) -> str:
    """Columns of text, the first row above them.

    Args:
        right: the columns that stand on the right.
        width: of a terminal, into which the last column is wrapped, if that leaves room for it.

    >>> print(table([("name", "order"), ("euler", "1"), ("rk4", "4")], right=[1]))
    name   order
    euler      1
    rk4        4
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    room = None if width is None else width - sum(widths[:-1]) - 2 * len(widths[:-1])
    if room is not None and _NARROWEST <= room < widths[-1]:
        rows = [part for row in rows for part in _wrapped(row, room)]
    lines = [
        "  ".join(
            text.rjust(width) if place in right else text.ljust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join([heading(lines[0]), *lines[1:]])


def _wrapped(row: Sequence[str], room: int) -> Iterator[Sequence[str]]:
    """A row, and below it what of its last cell needs further lines."""
    *before, last = row
    first, *others = textwrap.wrap(last, room) or [""]
    yield [*before, first]
    yield from ([*[""] * len(before), line] for line in others)
