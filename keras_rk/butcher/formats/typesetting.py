"""One exact number in another notation: LaTeX, MathML, Julia.

Every number is a sum of integers times square roots over one denominator; a notation says how
each of these is written.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from keras_rk.numbers.quadratic_fields import Coordinates, Roots
from keras_rk.numbers.square_roots import Number, Surd

__all__ = ["JULIA", "LATEX", "MATHML", "Notation", "written"]


@dataclass(frozen=True)
class Notation:
    """How the parts of a number are written.

    Attributes:
        integer: an integer >= 0.
        root: the square root of what is written already.
        product: between the factors of a product.
        minus: before a term.
        plus_minus: between terms, where + or - stands for {}.
        fraction: from numerator, denominator, and whether the numerator is a sum.
    """

    integer: Callable[[int], str]
    root: Callable[[str], str]
    product: str
    minus: str
    plus_minus: tuple[str, str]
    fraction: Callable[[str, str, bool], str]


def written(value: Number, notation: Notation) -> str:
    """The number in this notation."""
    if isinstance(value, Surd):
        return _sum(value.coordinates, value.roots, notation)
    return _sum((Fraction(value),), (), notation)


def _sum(x: Coordinates, roots: Roots, notation: Notation) -> str:
    denominator = math.lcm(*(value.denominator for value in x))
    radicals = [notation.root(_sum(r, roots[:j], notation)) for j, r in enumerate(roots)]
    terms = [
        (value < 0, _product(abs(int(value * denominator)), index, radicals, notation))
        for index, value in enumerate(x)
        if value
    ]
    below = notation.integer(denominator)
    if len(terms) <= 1:
        negative, above = terms[0] if terms else (False, notation.integer(0))
        fraction = above if denominator == 1 else notation.fraction(above, below, False)
        return f"{notation.minus if negative else ''}{fraction}"
    text = "".join(
        f"{(notation.plus_minus[negative] if i else notation.minus * negative)}{term}"
        for i, (negative, term) in enumerate(terms)
    )
    return text if denominator == 1 else notation.fraction(text, below, True)


def _product(integer: int, index: int, radicals: list[str], notation: Notation) -> str:
    factors = [radical for j, radical in enumerate(radicals) if index >> j & 1]
    if integer != 1 or not factors:
        factors.insert(0, notation.integer(integer))
    return notation.product.join(factors)


def _latex(command: str) -> Notation:
    def fraction(above: str, below: str, is_sum: bool) -> str:
        if command == "/":
            return f"({above})/{below}" if is_sum else f"{above}/{below}"
        return rf"\{command}{{{above}}}{{{below}}}"

    return Notation(str, lambda x: rf"\sqrt{{{x}}}", " ", "-", (" + ", " - "), fraction)


LATEX = {command: _latex(command) for command in ("frac", "dfrac", "tfrac", "/")}

MATHML = Notation(
    integer=lambda n: f"<mn>{n}</mn>",
    root=lambda x: f"<msqrt>{x}</msqrt>",
    product="<mo>&#8290;</mo>",  # invisible times
    minus="<mo>&#8722;</mo>",
    plus_minus=("<mo>+</mo>", "<mo>&#8722;</mo>"),
    fraction=lambda above, below, _: f"<mfrac><mrow>{above}</mrow>{below}</mfrac>",
)

JULIA = Notation(
    integer=str,
    root=lambda x: f"sqrt(big({x}))",
    product="*",
    minus="-",
    plus_minus=("+", "-"),
    # 1//2 is exact; beside a root everything is a BigFloat anyhow
    fraction=lambda above, below, is_sum: (
        f"({above})/{below}" if is_sum else f"{above}{'/' if 'sqrt' in above else '//'}{below}"
    ),
)
