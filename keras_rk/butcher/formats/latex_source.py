"""A tableau as a LaTeX array, for a paper."""

from __future__ import annotations

from collections.abc import Sequence

from keras_rk.butcher.formats.typesetting import LATEX, written
from keras_rk.errors import TableauError, shown
from keras_rk.numbers.coefficients import Coefficient, is_symbolic, to_sympy

__all__ = ["latex_array", "latex_document"]


def latex_array(
    nodes: Sequence[Coefficient],
    rows: Sequence[Sequence[Coefficient]],
    *,
    fractions: str = "frac",
    zeros: bool = True,
    labels: bool = False,
) -> str:
    """The array; what its arguments mean says `Tableau.to_latex`."""
    if fractions not in LATEX:
        raise TableauError(
            f"`fractions` is one of {', '.join(map(repr, LATEX))}. Received: {shown(fractions)}."
        )
    stages = len(nodes)
    weights = ["b", r"\hat{b}"] if labels else ["", ""]
    heads = [_entry(x, fractions) for x in nodes] + weights[: len(rows) - stages]
    lines = [
        " & ".join([head, *(_entry(x, fractions) if x or zeros else "" for x in row)]) + r" \\"
        for head, row in zip(heads, rows, strict=True)
    ]
    lines.insert(stages, r"\hline")
    return "\n".join([rf"\begin{{array}}{{c|{'c' * stages}}}", *lines, r"\end{array}"])


def _entry(x: Coefficient, fractions: str) -> str:
    if not is_symbolic(x):
        return written(x, LATEX[fractions])
    import sympy

    return str(sympy.latex(to_sympy(x)))


def latex_document(array: str, name: str | None, source: str | None) -> str:
    """A file that LaTeX compiles, with name and source as comments."""
    comments = [f"% {line}" for line in (name, source) if line]
    return "\n".join(
        [
            *comments,
            r"\documentclass{article}",
            r"\begin{document}",
            r"\renewcommand{\arraystretch}{1.3}",
            r"\[",
            array,
            r"\]",
            r"\end{document}",
            "",
        ]
    )
