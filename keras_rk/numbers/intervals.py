"""Numbers between rational bounds: what is computed of them lies between the bounds that come out.

Source: R. E. Moore, Interval Analysis (1966), for the method.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Union

from keras_rk.errors import TableauError

__all__ = ["Interval", "interval"]

Operand = Union["Interval", Fraction, int]


@dataclass(frozen=True)
class Interval:
    """A real number of which only the bounds low <= x <= high are known."""

    low: Fraction
    high: Fraction

    def __add__(self, other: Operand) -> Interval:
        other = interval(other)
        return Interval(self.low + other.low, self.high + other.high)

    def __neg__(self) -> Interval:
        return Interval(-self.high, -self.low)

    def __sub__(self, other: Operand) -> Interval:
        return self + -interval(other)

    def __rsub__(self, other: Operand) -> Interval:
        return -self + other

    def __mul__(self, other: Operand) -> Interval:
        other = interval(other)
        products = [x * y for x in (self.low, self.high) for y in (other.low, other.high)]
        return Interval(min(products), max(products))

    def __truediv__(self, other: Operand) -> Interval:
        other = interval(other)
        if other.low <= 0 <= other.high:
            raise TableauError(
                "A division by an interval needs one without 0. "
                f"Received: [{float(other.low):.3g}, {float(other.high):.3g}]."
            )
        return self * Interval(1 / other.high, 1 / other.low)

    def __rtruediv__(self, other: Operand) -> Interval:
        return interval(other) / self

    __radd__, __rmul__ = __add__, __mul__

    def rounded(self, digits: int) -> Fraction | None:
        """A decimal with so many digits after the point, within 10**-digits of the number.

        None where the bounds are too far apart to say so.
        """
        decimal = Fraction(round((self.low + self.high) / 2 * 10**digits), 10**digits)
        unit = Fraction(1, 10**digits)
        return decimal if self.high - unit <= decimal <= self.low + unit else None


def interval(x: Operand) -> Interval:
    """A number as the interval that holds it alone."""
    return x if isinstance(x, Interval) else Interval(Fraction(x), Fraction(x))
