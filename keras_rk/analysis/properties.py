"""Whether a method has a property: proved, within rounding, or not."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from keras_rk.butcher.tableau import Tableau
from keras_rk.errors import TableauError, shown
from keras_rk.proof.order_conditions import Verdict

__all__ = ["ROUNDING", "Property", "check_numbers", "label"]

ROUNDING = Fraction(1, 2**40)  # relative: less than that is what rounded coefficients leave


@dataclass(frozen=True)
class Property:
    """Whether a method has a property. It is true unless the verdict is "failed".

    Attributes:
        verdict: "exact" if the coefficients, as they are, have it, which is proved; "numeric" if
            they miss it by no more than a relative 2**-40, as floats and decimals do; "failed"
            otherwise.
        reason: what was found, in words.
    """

    verdict: Verdict
    reason: str

    def __bool__(self) -> bool:
        return self.verdict != "failed"

    def __str__(self) -> str:
        return f"{self.verdict}: {self.reason}"


def label(tableau: Tableau) -> str:
    """How an error names a tableau."""
    return f"tableau {tableau.name!r}" if tableau.name else shown(tableau)


def check_numbers(tableau: Tableau, what: str) -> None:
    """Refuses symbols."""
    if tableau.is_symbolic:
        raise TableauError(
            f"{what} is computed of numbers: put them in place of the symbols with "
            f"`tableau.subs(...)`. Received: {label(tableau)}."
        )
