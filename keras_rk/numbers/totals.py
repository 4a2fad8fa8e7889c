"""Sums of many numbers over one common denominator, which is bounded before anything is added."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction

from keras_rk.errors import TableauError
from keras_rk.numbers.square_roots import Number, common_field, number

__all__ = ["MAX_COMMON_BITS", "bounded_common", "equals_total", "total"]

MAX_COMMON_BITS = 20_000  # of a common denominator; of published methods the longest has 1,256


def bounded_common(denominators: Iterable[int], what: str) -> int:
    """The least common multiple, refused as soon as it is too long."""
    common = 1
    for denominator in denominators:
        if common % denominator:
            common = math.lcm(common, denominator)
            if common.bit_length() > MAX_COMMON_BITS:
                raise TableauError(
                    f"The common denominator of {what} has at most {MAX_COMMON_BITS} bits. "
                    "Received: a longer one."
                )
    return common


def total(terms: Sequence[Number]) -> Number:
    """The sum; reduced once, which takes longer than all else where denominators are long."""
    roots, elements = common_field(terms)
    numerators, common = _over_common(elements)
    return number(roots, tuple(Fraction(x, common) for x in numerators))


def equals_total(x: Number, terms: Sequence[Number]) -> bool:
    """Whether x is the sum of the terms, without reducing it."""
    _, elements = common_field([-x, *terms])
    return not any(_over_common(elements)[0])


def _over_common(elements: Sequence[tuple[Fraction, ...]]) -> tuple[list[int], int]:
    """The sum of the elements, coordinate by coordinate, as integers over one denominator."""
    common = math.lcm(*(x.denominator for element in elements for x in element))
    columns = zip(*elements, strict=True) if elements else [()]
    return [sum(x.numerator * (common // x.denominator) for x in xs) for xs in columns], common
