"""Reports as text and for programs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any


def table(headings: Sequence[str], rows: Sequence[Sequence[Any]], indent: str = "  ") -> str:
    """Columns of text, the first one on the left and the others on the right.

    >>> print(table(["block", "error"], [["stack 0", 0.00123], ["stack 10", None]]))
      block       error
      stack 0   0.00123
      stack 10        -
    """
    cells = [list(headings), *([shown(x) for x in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for first, *others in cells:
        parts = [first.ljust(widths[0])]
        parts += [text.rjust(width) for text, width in zip(others, widths[1:], strict=True)]
        lines.append((indent + "  ".join(parts)).rstrip())
    return "\n".join(lines)


def label(block: Any) -> str:
    """What a block is called: by its layer, and its number there if it has one."""
    return block.layer if block.block is None else f"{block.layer} {block.block}"


def shown(value: Any) -> str:
    """A value for a reader, numbers with three digits.

    >>> shown(0.123456), shown(1e-7), shown(float("inf")), shown(True), shown(None)
    ('0.123', '1e-07', 'inf', 'yes', '-')
    """
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def plain(value: Any) -> Any:
    """A value as JSON has it: lists for tuples, None for a number that is not finite.

    >>> plain({"a": (1, float("nan"))})
    {'a': [1, None]}
    """
    if isinstance(value, dict):
        return {key: plain(x) for key, x in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(x) for x in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
