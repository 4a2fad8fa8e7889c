"""Tables as the commands print them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from keras_rk.cli.output import heading

__all__ = ["table"]

_NARROWEST = 20  # that a column is made


def table(
    rows: Sequence[Sequence[str]], right: Sequence[int] = (), width: int | None = None
) -> str:
    """Columns of text, the first row above them.

    Args:
        right: the columns that stand on the right.
        width: of a terminal, into which the last columns of text are wrapped, if there is room.

    >>> print(table([("name", "order"), ("euler", "1"), ("rk4", "4")], right=[1]))
    name   order
    euler      1
    rk4        4
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    if width is not None:
        limits = _limits(widths, right, width)
        rows = [part for row in rows for part in _wrapped(row, limits)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            text.rjust(width) if place in right else text.ljust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join([heading(lines[0]), *lines[1:]])


def _limits(widths: Sequence[int], right: Sequence[int], width: int) -> list[int]:
    """How wide columns may be: the last two of text share what the others leave of a terminal."""
    limits = list(widths)
    texts = [place for place in range(len(widths)) if place not in right][1:][-2:]
    room = width - 2 * (len(widths) - 1) - sum(widths)
    for place in reversed(texts):
        if room < 0:
            least = min(widths[place], _NARROWEST)
            limits[place] = max(least, widths[place] + room)
            room += widths[place] - limits[place]
    return limits if room >= 0 else list(widths)


def _wrapped(row: Sequence[str], limits: Sequence[int]) -> Iterator[Sequence[str]]:
    """A row, and below it what of its cells needs further lines."""
    cells = [
        textwrap.wrap(text, limit) if len(text) > limit else [text]
        for text, limit in zip(row, limits, strict=True)
    ]
    yield from zip_longest(*cells, fillvalue="")
