"""Butcher tableaux as text, LaTeX and HTML."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from keras_rk.coefficients import Coefficient, to_sympy, to_text
from keras_rk.square_roots import Surd

if TYPE_CHECKING:
    from keras_rk.tableau import Tableau

__all__ = ["draw", "draw_html", "draw_latex"]

_WIDEST = 24


def draw(tableau: Tableau) -> str:
    """The tableau in box-drawing characters, under its name."""
    rows = [[_text(x) for x in row] for row in _rows(tableau)]
    heads = [_text(x) for x in tableau.exact_c] + [""] * (len(rows) - tableau.stages)
    left = max(map(len, heads))
    widths = [max(len(row[j]) for row in rows if j < len(row)) for j in range(tableau.stages)]
    lines = [
        f"{head:>{left}} │ " + "  ".join(f"{x:>{w}}" for x, w in zip(row, widths, strict=False))
        for head, row in zip(heads, rows, strict=True)
    ]
    rule = "─" * (left + 1) + "┼" + "─" * (sum(widths) + 2 * len(widths) - 1)
    lines.insert(tableau.stages, rule)
    title = [tableau.name] if tableau.name else []
    return "\n".join(title + [line.rstrip() for line in lines])


def draw_latex(tableau: Tableau) -> str:
    """The tableau as a LaTeX array."""
    heads = [_latex(x) for x in tableau.exact_c]
    lines = [
        " & ".join([head, *map(_latex, row)]) + r" \\"
        for head, row in zip([*heads, "", ""], _rows(tableau), strict=False)
    ]
    lines.insert(tableau.stages, r"\hline")
    columns = "c|" + "c" * tableau.stages
    return "\n".join([rf"\begin{{array}}{{{columns}}}", *lines, r"\end{array}"])


def draw_html(tableau: Tableau) -> str:
    """The tableau as an HTML table, for a notebook."""
    heads = [_text(x) for x in tableau.exact_c]
    lines = []
    for i, row in enumerate(_rows(tableau)):
        head = heads[i] if i < tableau.stages else ""
        top = "border-top:1px solid;" if i == tableau.stages else ""
        cells = [f'<td style="{top}border-right:1px solid">{html.escape(head)}</td>']
        texts = [_text(x) for x in row] + [""] * (tableau.stages - len(row))
        cells += [f'<td style="{top}">{html.escape(text)}</td>' for text in texts]
        lines.append("<tr>" + "".join(cells) + "</tr>")
    caption = f"<caption>{html.escape(tableau.name)}</caption>" if tableau.name else ""
    return "\n".join(["<table>" + caption, *lines, "</table>"])


def _rows(tableau: Tableau) -> Iterator[tuple[Coefficient, ...]]:
    """The rows of A, without the zeros of an explicit method, then b and b_hat."""
    for i, row in enumerate(tableau.exact_A):
        yield row[:i] if tableau.is_explicit else row
    yield tableau.exact_b
    if tableau.exact_b_hat is not None:
        yield tableau.exact_b_hat


def _text(x: Coefficient) -> str:
    text = re.sub(r"sqrt\(([0-9]+)\)", r"√\1", to_text(x)).replace("*√", "√")
    if len(text) <= _WIDEST or not isinstance(x, Fraction | Surd):
        return text
    return f"{float(x):.10g}…"


def _latex(x: Coefficient) -> str:
    if isinstance(x, Fraction):
        sign = "-" if x < 0 else ""
        p, q = abs(x.numerator), x.denominator
        return f"{sign}{p}" if q == 1 else rf"{sign}\frac{{{p}}}{{{q}}}"
    import sympy

    return str(sympy.latex(to_sympy(x)))
