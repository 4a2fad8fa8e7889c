"""Decimals with few digits: the fractions that they were."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from keras_rk.analysis.repair.candidates import Candidate, Clock, Place, changed, value_at
from keras_rk.analysis.repair.entries import all_places, replaced
from keras_rk.analysis.repair.fault import Fault
from keras_rk.numbers.coefficients import Coefficient, looks_like_float, simplest
from keras_rk.proof.digits import rounding_unit

__all__ = ["recovered_fractions"]

_TOLERANCES = [Fraction(1, 10**exponent) for exponent in range(12, 2, -1)]
_FINE = Fraction(1, 10**17)  # units of longer decimals: those have digits enough
_COST = 0.9
_SHOWN = 3


def recovered_fractions(fault: Fault, clock: Clock) -> Iterator[Candidate]:
    """All of them at once, with the smallest tolerance first."""
    decimals = {
        place: x
        for place in all_places(fault.tableau)
        if isinstance(x := value_at(fault.tableau, place), Fraction)
        and (looks_like_float(x) or rounding_unit(x) > _FINE)
    }
    before: dict[Place, Coefficient] = {}
    for number, tolerance in enumerate(_TOLERANCES if decimals else ()):
        if clock.is_over():
            return
        found: dict[Place, Coefficient] = {
            place: simple
            for place, x in decimals.items()
            if (simple := simplest(x, tolerance)) != x
        }
        if found and found != before:
            before = found
            weights = {place: x for place, x in found.items() if place[0] != "c"}
            if fault.form.holds(replaced(fault, weights), fault.tolerance):
                candidate = changed(fault.tableau, found)
                parts = candidate.text.split(" and ")
                rest = len(parts) - _SHOWN
                text = " and ".join(parts[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
                yield Candidate(candidate.tableau, _COST + number / 100, text)
