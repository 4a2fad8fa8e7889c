"""How large a rational function is when it is expanded, bounded without expanding it.

A sum, product or power is a numerator over factors, each with its power:

    a/(p q) + b/p^2 = (a p + b q)/(p^2 q).

Degrees, terms and lengths of numbers are bounded at each step, so that nothing grows on the way.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from keras_rk.errors import TableauError
from keras_rk.numbers.grammar import MAX_BITS

if TYPE_CHECKING:
    import sympy

__all__ = ["check_expansion"]

MAX_DEGREE = 48  # of numerator and denominator; of published families the largest has 8
MAX_TERMS = 500  # of each of them
_BITS = 4 * MAX_BITS  # on the way to numbers that are short enough


class _Size(NamedTuple):
    """Bounds on a polynomial: its degree, its number of terms, the bits of its numbers."""

    degree: int
    terms: int
    bits: int


class _Fraction(NamedTuple):
    """A numerator, and the factors below it: by expression, their size and power."""

    above: _Size
    below: Mapping[Any, tuple[_Size, int]]


_ONE = _Size(0, 1, 1)


def check_expansion(value: sympy.Expr) -> None:
    """Refuses a rational function whose numerator or denominator may be too large, expanded."""
    _Bounds(len(value.free_symbols)).of(value)


class _Bounds:
    """Bounds for expressions in so many symbols."""

    def __init__(self, symbols: int) -> None:
        self.symbols = symbols

    def of(self, part: Any) -> _Fraction:
        if part.is_Symbol:
            return _Fraction(_Size(1, 1, 1), {})
        if part.is_Rational:
            return _Fraction(_Size(0, 1, int(part.p).bit_length() + int(part.q).bit_length()), {})
        if part.is_Pow:
            return self.power(part.base, int(part.exp))
        parts = [self.of(inner) for inner in part.args]
        return self.product(parts) if part.is_Mul else self.sum(parts)

    def product(self, parts: list[_Fraction]) -> _Fraction:
        below: dict[Any, tuple[_Size, int]] = {}
        for part in parts:
            for factor, (size, power) in part.below.items():
                below[factor] = (size, power + (below[factor][1] if factor in below else 0))
        return self.checked(self.multiplied((part.above, 1) for part in parts), below)

    def sum(self, parts: list[_Fraction]) -> _Fraction:
        below: dict[Any, tuple[_Size, int]] = {}
        for part in parts:
            for factor, (size, power) in part.below.items():
                below[factor] = (size, max(power, below[factor][1] if factor in below else 0))
        terms = []
        for part in parts:
            missing = [
                (size, power - (part.below[factor][1] if factor in part.below else 0))
                for factor, (size, power) in below.items()
            ]
            terms.append(self.multiplied([(part.above, 1), *missing]))
        above = self.limited(
            max(term.degree for term in terms),
            sum(term.terms for term in terms),
            max(term.bits for term in terms) + len(terms).bit_length(),
        )
        return self.checked(above, below)

    def power(self, base: Any, exponent: int) -> _Fraction:
        above, below = self.of(base)
        times = abs(exponent)
        if exponent >= 0:
            raised = {factor: (size, power * times) for factor, (size, power) in below.items()}
            return self.checked(self.multiplied([(above, times)]), raised)
        turned = self.multiplied((size, power * times) for size, power in below.values())
        return self.checked(turned, {base: (above, times)})

    def checked(self, above: _Size, below: Mapping[Any, tuple[_Size, int]]) -> _Fraction:
        self.multiplied(below.values())
        return _Fraction(above, below)

    def multiplied(self, factors: Iterable[tuple[_Size, int]]) -> _Size:
        """The size of a product of powers."""
        found = _ONE
        for size, power in factors:
            degree = found.degree + size.degree * power
            bits = found.bits + (size.bits + size.terms.bit_length()) * power
            self.limited(degree, 1, bits)  # before a power of the terms is computed
            many = self.dense(degree) if power > MAX_DEGREE else found.terms * size.terms**power
            found = self.limited(degree, many, bits)
        return found

    def limited(self, degree: int, terms: int, bits: int) -> _Size:
        if degree <= MAX_DEGREE:
            terms = min(terms, self.dense(degree))
        if degree > MAX_DEGREE or terms > MAX_TERMS or bits > _BITS:
            too_much = (
                f"a degree of up to {degree}"
                if degree > MAX_DEGREE
                else f"up to {terms} terms"
                if terms > MAX_TERMS
                else f"numbers of up to {bits} bits"
            )
            raise TableauError(
                "A symbolic coefficient, and a sum of them, has a numerator and a denominator of "
                f"degree {MAX_DEGREE} at most, with at most {MAX_TERMS} terms and numbers of "
                f"{_BITS} bits, expanded. Received: {too_much}; put symbols in place of parts."
            )
        return _Size(degree, terms, bits)

    def dense(self, degree: int) -> int:
        """The terms of the densest polynomial of this degree."""
        return math.comb(degree + self.symbols, self.symbols)
