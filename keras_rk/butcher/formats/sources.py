"""A tableau as source code, which its language reads: Python, Julia, C.

What is rational stays exact where the language has rationals. Names and sources, which may be any
text, stand in comments on one line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import NamedTuple

from keras_rk.butcher.formats.typesetting import JULIA, written
from keras_rk.errors import TableauError
from keras_rk.numbers.coefficients import nearest, to_text
from keras_rk.numbers.square_roots import Number, Surd

__all__ = ["Parts", "c_source", "julia_source", "python_source"]

_RESERVED = frozenset(
    "auto break case char const continue default do double else enum extern float for goto if "
    "inline int long register restrict return short signed sizeof static struct switch typedef "
    "union unsigned void volatile while".split()
)


class Parts(NamedTuple):
    """The numbers of a tableau, with all of A, and what stands in the comment above them."""

    A: Sequence[Sequence[Number]]
    b: Sequence[Number]
    c: Sequence[Number]
    b_hat: Sequence[Number] | None
    name: str | None
    comments: Sequence[str]

    def vectors(self) -> dict[str, Sequence[Number]]:
        found = {"b": self.b, "c": self.c}
        return found if self.b_hat is None else {**found, "b_hat": self.b_hat}

    def prefix(self) -> str:
        """The name as an identifier."""
        name = re.sub(r"[^A-Za-z0-9]+", "_", self.name or "").strip("_") or "tableau"
        return f"_{name}" if name[0].isdigit() or name in _RESERVED else name


def python_source(parts: Parts) -> str:
    """Lists of `Fraction`s, which need nothing but Python; a root becomes the nearest float."""
    blocks = [_commented("#", parts.comments), "from fractions import Fraction\n"]
    rows = "".join(f"    {_python_row(row)}," + _roots("#", row) + "\n" for row in parts.A)
    blocks.append(f"A = [\n{rows}]\n")
    for key, vector in parts.vectors().items():
        blocks.append(f"{key} = {_python_row(vector)}{_roots('#', vector)}\n")
    return "".join(blocks)


def _python_row(row: Sequence[Number]) -> str:
    return f"[{', '.join(map(_python, row))}]"


def _python(x: Number) -> str:
    if isinstance(x, Surd):
        return repr(nearest(x))
    return f"Fraction({x.numerator}, {x.denominator})" if x.denominator != 1 else str(x.numerator)


def _roots(mark: str, row: Sequence[Number]) -> str:
    """What the irrational numbers in a row are exactly."""
    found = dict.fromkeys(to_text(x) for x in row if isinstance(x, Surd))
    return f"  {mark} {', '.join(found)}" if found else ""


def julia_source(parts: Parts) -> str:
    """Arrays of `Rational{BigInt}`, or of `BigFloat` where there are roots."""
    numbers = [x for row in (*parts.A, *parts.vectors().values()) for x in row]
    has_roots = any(isinstance(x, Surd) for x in numbers)
    kind = "BigFloat" if has_roots else "Rational{BigInt}"
    blocks = [_commented("#", parts.comments)]
    rows = "\n".join(f"    {' '.join(map(_julia, row))}" for row in parts.A)
    # a matrix of one row or column is written like a vector, hence the shape
    s = len(parts.b)
    blocks.append(f"A = reshape({kind}[\n{rows}\n], {s}, {s})\n")
    for key, vector in parts.vectors().items():
        blocks.append(f"{key} = {kind}[{', '.join(map(_julia, vector))}]\n")
    return "".join(blocks)


def _julia(x: Number) -> str:
    return written(x, JULIA)


def c_source(parts: Parts) -> str:
    """`static const double` arrays with 17 digits, each beside its exact value."""
    prefix, s = parts.prefix(), len(parts.b)
    rows = ",\n".join(f"    {{{_listed(row, _c)}}}" for row in parts.A)
    blocks = [
        _c_comment(parts.comments),
        f"enum {{ {prefix}_stages = {s} }};\n\n",
        f"static const double {prefix}_A[{s}][{s}] = {{\n{rows}\n}};\n",
    ]
    for key, vector in parts.vectors().items():
        entries = _listed(vector, _c)
        blocks.append(f"static const double {prefix}_{key}[{s}] = {{{entries}}};\n")
    return "".join(blocks)


def _listed(row: Sequence[Number], write: Callable[[Number], str]) -> str:
    return ", ".join(map(write, row))


def _c(x: Number) -> str:
    try:
        double = nearest(x)
    except TableauError as error:
        raise TableauError(f"C source has doubles. {error}") from None
    text = f"{double:.17g}"
    text = text if set(text) & set(".e") else f"{text}.0"
    is_integer = isinstance(x, Fraction) and x.denominator == 1
    return text if is_integer and Fraction(text) == x else f"{text} /* {to_text(x)} */"


def _c_comment(lines: Sequence[str]) -> str:
    """Without what would end a comment, or what compilers warn of inside one."""
    text = "\n   ".join(lines).replace("*/", "* /").replace("/*", "/ *").replace("??/", "? ?/")
    return f"/* {text} */\n" if lines else ""


def _commented(mark: str, lines: Sequence[str]) -> str:
    return "".join(f"{mark} {line}\n" for line in lines)
