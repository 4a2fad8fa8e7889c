"""Butcher tableaux as text, for people and in notebooks; other notations are `formats`."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from keras_rk.numbers.coefficients import Coefficient, is_symbolic, to_text
from keras_rk.numbers.square_roots import Surd

__all__ = ["Drawing", "as_expression"]

_WIDEST = 24


class Drawing:
    """What a drawing of a tableau shows.

    Args:
        name: the title, or None.
        nodes: c.
        rows: the rows of A as they are drawn, then b and perhaps b_hat.
    """

    def __init__(
        self, name: str | None, nodes: Sequence[Coefficient], rows: Sequence[Sequence[Coefficient]]
    ) -> None:
        self.name = name
        self.nodes = nodes
        self.rows = rows

    @property
    def _stages(self) -> int:
        return len(self.nodes)

    def text(self) -> str:
        """In box-drawing characters, under the name."""
        rows = [[_text(x) for x in row] for row in self.rows]
        heads = self._heads(_text)
        left = max(map(len, heads))
        widths = [max(len(row[j]) for row in rows if j < len(row)) for j in range(self._stages)]
        lines = [
            f"{head:>{left}} │ " + "  ".join(f"{x:>{w}}" for x, w in zip(row, widths, strict=False))
            for head, row in zip(heads, rows, strict=True)
        ]
        rule = "─" * (left + 1) + "┼" + "─" * (sum(widths) + 2 * len(widths) - 1)
        lines.insert(self._stages, rule)
        title = [self.name] if self.name else []
        return "\n".join(title + [line.rstrip() for line in lines])

    def html(self) -> str:
        """As an HTML table, for a notebook; its rules have the colour of its text."""
        lines = []
        for i, (head, row) in enumerate(zip(self._heads(_text), self.rows, strict=True)):
            top = "border-top:1px solid;" if i == self._stages else ""
            beside = f"{top}border-right:1px solid"
            cells = [f'<th scope="row" style="{beside}">{html.escape(head)}</th>']
            texts = [_text(x) for x in row] + [""] * (self._stages - len(row))
            cells += [f'<td style="{top}">{html.escape(text)}</td>' for text in texts]
            lines.append("<tr>" + "".join(cells) + "</tr>")
        caption = f"<caption>{html.escape(self.name)}</caption>" if self.name else ""
        style = ' style="border-collapse:collapse"'
        return "\n".join([f"<table{style}>{caption}", *lines, "</table>"])

    def _heads(self, write: Callable[[Coefficient], str]) -> list[str]:
        """What stands left of the rule: the nodes, and nothing beside the weights."""
        return [write(x) for x in self.nodes] + [""] * (len(self.rows) - self._stages)


def as_expression(tableau: Any, rows: Sequence[Sequence[Coefficient]]) -> str:
    """Python that gives the tableau back; beside SymPy's names, where it has symbols."""
    if tableau.has_floats and not tableau.is_symbolic:
        return f"Tableau.from_dict({tableau.to_dict()!r})"
    arguments = [_listed(rows, _listed_row), _listed_row(tableau.exact_b)]
    if not tableau.has_row_sums:
        arguments.append(_listed_row(tableau.exact_c))
    if tableau.exact_b_hat is not None:
        arguments.append(f"b_hat={_listed_row(tableau.exact_b_hat)}")
    if tableau.exact_b_theta is not None:
        arguments.append(f"b_theta={_listed(tableau.exact_b_theta, _listed_row)}")
    for field in ("claimed_order", "claimed_embedded_order", "name", "source"):
        if getattr(tableau, field) is not None:
            arguments.append(f"{field}={getattr(tableau, field)!r}")
    return f"Tableau({', '.join(arguments)})"


def _listed(items: Sequence[Any], write: Callable[[Any], str]) -> str:
    return f"[{', '.join(map(write, items))}]"


def _listed_row(row: Sequence[Coefficient]) -> str:
    return _listed(row, _constant)


def _constant(x: Coefficient) -> str:
    if is_symbolic(x):
        from sympy import srepr

        return str(srepr(x))
    is_integer = isinstance(x, Fraction) and x.denominator == 1
    return to_text(x) if is_integer else repr(to_text(x))


def _text(x: Coefficient) -> str:
    text = re.sub(r"sqrt\(([0-9]+)\)", r"√\1", to_text(x)).replace("*√", "√")
    if len(text) <= _WIDEST or not isinstance(x, Fraction | Surd):
        return text
    return f"{float(x):.10g}…"
