"""The text form of a coefficient: a small grammar, parsed by hand and bounded in every direction.

    sum     = product { ("+" | "-") product }
    product = signed { ("*" | "/") signed }
    signed  = { "+" | "-" } atom
    atom    = number | "sqrt" "(" sum ")" | "(" sum ")"
    number  = digits [ "." digits ] [ ("e" | "E") [ "+" | "-" ] digits ]

Text never reaches Python's evaluator or a computer algebra system's parser.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import NoReturn

from keras_rk.errors import TableauError
from keras_rk.numbers.square_roots import Number, Surd, square_root

__all__ = ["check_range", "check_roots", "check_size", "parse"]

MAX_LENGTH = 4000
MAX_DEPTH = 50
MAX_EXPONENT = 1000
MAX_BITS = 6400  # twice as many, as a fraction, are written with less than MAX_LENGTH characters
MAX_ROOTS = 4  # 16 coordinates; published methods need one root, rarely two
_QUOTED = 60
_TOO_LARGE = Fraction(2) ** 1000

_TOKEN = re.compile(
    r"[ \t]*(?:(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<sqrt>sqrt(?![A-Za-z0-9_]))|(?P<symbol>[-+*/()]))"
)
_RULE = "A coefficient is written with integers, decimals, + - * / ( ) and sqrt"


def parse(text: str) -> Number:
    """The exact value of `text`; raises `TableauError` where it is not in the grammar."""
    if len(text) > MAX_LENGTH:
        raise TableauError(
            f"A coefficient's text has at most {MAX_LENGTH} characters. "
            f"Received: {len(text)} characters, {_quote(text)}."
        )
    parser = _Parser(text)
    value = parser.sum(depth=0)
    if parser.kind != "end":
        parser.fail("an operator or the end")
    return value


def check_size(value: Number) -> Number:
    """`value`, unless it has more digits or square roots than any method needs."""
    roots = value.roots if isinstance(value, Surd) else ()
    check_roots(len(roots))
    parts = value.coordinates if isinstance(value, Surd) else (value,)
    for part in parts:
        if max(part.numerator.bit_length(), part.denominator.bit_length()) > MAX_BITS:
            raise TableauError(
                f"A coefficient's numerator and denominator have at most {MAX_BITS} bits each "
                f"(about {MAX_BITS * 3 // 10} digits). Received: a larger one."
            )
    return value


def check_roots(count: int) -> None:
    """Refuses more independent square roots, in one coefficient or tableau, than are needed."""
    if count > MAX_ROOTS:
        raise TableauError(
            f"There are at most {MAX_ROOTS} independent square roots in a tableau. "
            f"Received: {count} of them."
        )


def check_range(value: Number) -> Number:
    """`value`, unless it is beyond floating-point numbers or too long to be written as text."""
    low, high = value.enclosure(64) if isinstance(value, Surd) else (value, value)
    if max(-low, high) >= _TOO_LARGE:
        raise TableauError(
            "A coefficient lies between -2**1000 and 2**1000. Received: a larger one."
        )
    if isinstance(value, Surd) and (_is_too_long(value) or len(str(value)) > MAX_LENGTH):
        raise TableauError(
            f"A coefficient can be written with {MAX_LENGTH} characters. Received: a longer one."
        )
    return value


def _is_too_long(value: Surd) -> bool:
    """Whether the common denominator alone rules out writing the number."""
    denominator = math.lcm(*(x.denominator for x in value.coordinates))
    return denominator.bit_length() > MAX_BITS


class _Parser:
    """Recursive descent over the tokens of one text; `kind` and `token` are the next one."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.kind: str | None = None
        self.token = ""
        self.start = 0
        self.advance()

    def advance(self) -> None:
        match = _TOKEN.match(self.text, self.position)
        if match:
            self.kind = match.lastgroup
            self.token = match[match.lastgroup or 0]
            self.start = match.end() - len(self.token)
            self.position = match.end()
            return
        rest = self.text[self.position :].lstrip(" \t")
        self.start = len(self.text) - len(rest)
        self.kind, self.token = ("unknown", rest[0]) if rest else ("end", "")

    def fail(self, expected: str) -> NoReturn:
        found = f"{self.token!r}" if self.token else "the end"
        hint = ""
        if self.token == "," and self.start:
            hint = " A decimal point is a point, not a comma."
        if self.token == "*" and self.text[: self.start].endswith("*"):
            hint = " There are no powers."
        raise TableauError(
            f"{_RULE}; expected {expected} at character {self.start + 1}, found {found}.{hint} "
            f"Received: {_quote(self.text)}."
        )

    def sum(self, depth: int) -> Number:
        if depth > MAX_DEPTH:
            raise TableauError(
                f"A coefficient's parentheses nest at most {MAX_DEPTH} deep. "
                f"Received: {_quote(self.text)}."
            )
        value = self.product(depth)
        while self.token in ("+", "-") and self.kind == "symbol":
            minus = self.token == "-"
            self.advance()
            term = self.product(depth)
            value = check_size(value - term if minus else value + term)
        return value

    def product(self, depth: int) -> Number:
        value = self.signed(depth)
        while self.token in ("*", "/") and self.kind == "symbol":
            divide = self.token == "/"
            self.advance()
            factor = self.signed(depth)
            if divide and factor == 0:
                raise TableauError(
                    f"A division by zero in a coefficient. Received: {_quote(self.text)}."
                )
            value = check_size(value / factor if divide else value * factor)
        return value

    def signed(self, depth: int) -> Number:
        negative = False
        while self.token in ("+", "-") and self.kind == "symbol":
            negative ^= self.token == "-"
            self.advance()
        value = self.atom(depth)
        return -value if negative else value

    def atom(self, depth: int) -> Number:
        kind, token = self.kind, self.token
        if kind == "number":
            self.advance()
            return self.number(token)
        if kind == "sqrt":
            self.advance()
            if self.token != "(":
                self.fail("'(' after sqrt")
            return check_size(square_root(self.parenthesis(depth)))
        if token == "(":
            return self.parenthesis(depth)
        self.fail("a number, sqrt or '('")

    def parenthesis(self, depth: int) -> Number:
        self.advance()
        value = self.sum(depth + 1)
        if self.token != ")":
            self.fail("')'")
        self.advance()
        return value

    def number(self, token: str) -> Fraction:
        exponent = re.search(r"[eE]([+-]?[0-9]+)", token)
        if exponent and (len(exponent[1]) > 8 or abs(int(exponent[1])) > MAX_EXPONENT):
            raise TableauError(
                f"A decimal exponent lies between -{MAX_EXPONENT} and {MAX_EXPONENT}. "
                f"Received: {_quote(self.text)}."
            )
        value = Fraction(token)
        check_size(value)
        return value


def _quote(text: str) -> str:
    return repr(text if len(text) <= _QUOTED else text[:_QUOTED] + "...")
