"""A tableau as HTML, its numbers in MathML, which scales with the page and can be copied."""

from __future__ import annotations

import html
from collections.abc import Sequence

from keras_rk.butcher.formats.typesetting import MATHML, written
from keras_rk.numbers.coefficients import Coefficient, is_symbolic, to_text

__all__ = ["html_page", "html_table"]

_STYLE = "border-collapse:collapse;margin:1em auto"
_CELL = "padding:.2em .5em;text-align:center"


def html_table(
    nodes: Sequence[Coefficient],
    rows: Sequence[Sequence[Coefficient]],
    name: str | None,
    source: str | None,
) -> str:
    """A table element with the name as its caption; its rules need no style sheet."""
    stages = len(nodes)
    title = [f"<strong>{html.escape(name)}</strong>"] if name else []
    title += [f"<small>{html.escape(source)}</small>"] if source else []
    lines = [f"<caption>{'<br/>'.join(title)}</caption>"] if title else []
    heads = [*nodes, *[None] * (len(rows) - stages)]
    for i, (head, row) in enumerate(zip(heads, rows, strict=True)):
        rule = "border-top:1px solid;" if i == stages else ""
        cells = [f'<th style="{rule}border-right:1px solid;{_CELL}">{_math(head)}</th>']
        padded = [*row, *[None] * (stages - len(row))]
        cells += [f'<td style="{rule}{_CELL}">{_math(x)}</td>' for x in padded]
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return "\n".join([f'<table style="{_STYLE}">', *lines, "</table>"])


def html_page(table: str, name: str | None) -> str:
    """A whole document."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{html.escape(name or 'Butcher tableau')}</title>\n</head>\n"
        f"<body>\n{table}\n</body>\n</html>\n"
    )


def _math(x: Coefficient | None) -> str:
    if x is None:
        return ""
    if is_symbolic(x):
        return html.escape(to_text(x))
    return f"<math><mrow>{written(x, MATHML)}</mrow></math>"
