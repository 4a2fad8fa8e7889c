r"""A coefficient in LaTeX as text in the grammar of coefficients: \frac{1}{2} is 1/2.

    sum     = { "+" | "-" } product { ("+" | "-") product }
    product = atom { [ * | / | \cdot | \times ] atom }
    atom    = number | "(" sum ")" | "{" sum "}" | \frac argument argument | \sqrt argument

with \dfrac, \tfrac, \cfrac, \nicefrac and \sfrac like \frac; as in TeX, \frac12 is
\frac{1}{2}.
Nothing is guessed: 1/2\sqrt{3} and 1\frac{1}{2}, which people read in two ways, are refused.
"""

from __future__ import annotations

import re
from typing import NoReturn

from keras_rk.errors import TableauError, shown
from keras_rk.numbers.grammar import MAX_DEPTH

__all__ = ["number_in_latex"]

_LONGEST = 10_000  # characters; beside a number's own there are commands and spaces
_FRACTIONS = ("\\frac", "\\dfrac", "\\tfrac", "\\cfrac", "\\nicefrac", "\\sfrac")
_SPACES = ("\\;", "\\:", "\\!", "\\ ", "~", "\\quad", "\\qquad", "\\displaystyle", "\\textstyle")
_SIZES = ("\\left", "\\right", "\\big", "\\Big", "\\bigl", "\\bigr", "\\Bigl", "\\Bigr")
_SIGNS = {"\\cdot": "*", "\\times": "*", "−": "-", "–": "-"}
_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|\s+|.", re.DOTALL)
_GROUPED = re.compile(r"(?<=[0-9])\\,(?=[0-9]{3}(?![0-9]))")  # 16\,393\,803
_PLAIN = re.compile(r"[0-9.]+|sqrt\([0-9]+\)|\([^()]*\)")


def number_in_latex(text: str) -> str:
    """The same number in the grammar of coefficients.

    Raises:
        TableauError: for commands that are no part of a number, and for what is ambiguous.
    """
    reader = _Reader(text)
    found = reader.sum(0)
    if reader.token:
        reader.refuse(f"{shown(reader.token)} in a number")
    return found


class _Reader:
    """Recursive descent; `token` is the next one, "" at the end."""

    def __init__(self, text: str) -> None:
        self.text = text
        if len(text) > _LONGEST:
            self.refuse(f"{len(text)} characters")
        tokens = _TOKEN.findall(_GROUPED.sub("", text))
        self.tokens = [token for token in tokens if token not in _SIZES]
        self.tokens.reverse()
        self.token = ""
        self.spaced = False
        self.advance()

    def advance(self) -> None:
        """To the next token; `spaced` says whether a space lies between."""
        self.spaced = False
        while self.tokens:
            token = self.tokens.pop()
            if not token.isspace() and token not in _SPACES and token not in ("\\,", "$"):
                self.token = _SIGNS.get(token, token)
                return
            self.spaced = True
        self.token = ""

    def refuse(self, received: str) -> NoReturn:
        raise TableauError(
            "A coefficient in LaTeX is written with digits, + - * / ( ), \\cdot, \\frac and "
            f"\\sqrt, so that it can be read in one way only. Received: {received}, in "
            f"{shown(self.text)}."
        )

    def sum(self, depth: int) -> str:
        parts = []
        while True:
            while self.token and self.token in "+-":
                parts.append(self.token)
                self.advance()
            parts.append(self.product(depth))
            if not self.token or self.token not in "+-":
                return "".join(parts)

    def product(self, depth: int) -> str:
        kind = self.kind()
        parts = [self.atom(depth)]
        divided = False
        while True:
            if self.token and self.token in "*/":
                divided |= self.token == "/"
                parts.append(self.token)
                self.advance()
            elif not self.kind():
                return "".join(parts)
            elif divided or self.kind() == "number" or (kind, self.kind()) == ("number", "\\frac"):
                self.refuse("two numbers side by side")
            else:
                parts.append("*")
            kind = self.kind()
            atom = self.atom(depth)
            parts.append(_factor(atom) if parts[-1] == "/" else atom)

    def kind(self) -> str:
        """What kind of atom begins here; "" for none."""
        if self.token in _FRACTIONS:
            return "\\frac"
        if self.token[:1].isdigit() or self.token == ".":
            return "number"
        return self.token if self.token and self.token in ("(", "{", "\\sqrt") else ""

    def atom(self, depth: int) -> str:
        kind, token = self.kind(), self.token
        if depth > MAX_DEPTH:
            self.refuse(f"parentheses nested more than {MAX_DEPTH} deep")
        if kind == "number":
            return self.number()
        if not kind:
            self.refuse(f"{shown(token)} where a number is needed" if token else "no number")
        self.advance()
        if kind in "({":
            return f"({self.closed(')' if kind == '(' else '}', depth)})"
        if kind == "\\sqrt":
            if self.token == "[":
                self.refuse("a root with an index")
            return f"sqrt({self.argument(depth)})"
        above, below = self.argument(depth), self.argument(depth)
        return f"{_factor(above)}/{_factor(below)}"

    def number(self) -> str:
        digits = ""
        while True:
            digits += self.token
            self.advance()
            if self.spaced or not (self.token[:1].isdigit() or self.token == "."):
                return digits

    def argument(self, depth: int) -> str:
        """What a command applies to: a group in braces, or one digit."""
        if self.token == "{":
            self.advance()
            return self.closed("}", depth)
        token = self.token
        if token == "\\sqrt" or (len(token) > 1 and token[:1] == "\\"):
            return self.atom(depth + 1)
        if not token.isdigit():
            self.refuse(f"{shown(token)} where a group in braces is needed")
        self.advance()
        return token

    def closed(self, end: str, depth: int) -> str:
        inner = self.sum(depth + 1)
        if self.token != end:
            self.refuse(
                f"{shown(self.token)} where {end!r} is needed" if self.token else f"no {end!r}"
            )
        self.advance()
        return inner


def _factor(text: str) -> str:
    """In parentheses, unless it is one number or root."""
    return text if _PLAIN.fullmatch(text) else f"({text})"
