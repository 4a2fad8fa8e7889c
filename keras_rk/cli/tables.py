"""Tables as the commands print them."""

from __future__ import annotations

from collections.abc import Sequence

from keras_rk.cli.output import heading

__all__ = ["table"]


def table(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Columns of text, the first row above them.

    Args:
        right: the columns that stand on the right.

    >>> print(table([("name", "order"), ("euler", "1"), ("rk4", "4")], right=[1]))
    name   order
    euler      1
    rk4        4
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            text.rjust(width) if place in right else text.ljust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join([heading(lines[0]), *lines[1:]])
