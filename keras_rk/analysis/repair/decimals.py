"""Decimals with few digits: the fractions that they were."""

from __future__ import annotations

from collections.abc import Iterator

from keras_rk.analysis.repair.candidates import Candidate, Clock, name_of, value_at
from keras_rk.analysis.repair.fault import Fault
from keras_rk.butcher.tableau import Tableau
from keras_rk.proof.digits import brief

__all__ = ["recovered_fractions"]

_TOLERANCES = tuple(f"1e-{exponent}" for exponent in range(12, 2, -1))
_COST = 0.9
_SHOWN = 3


def recovered_fractions(fault: Fault, clock: Clock) -> Iterator[Candidate]:
    """All of them at once, with the smallest tolerance first."""
    before = fault.tableau
    for number, tolerance in enumerate(_TOLERANCES):
        if clock.is_over():
            return
        better = fault.tableau.rationalize(tolerance)
        if better != before:
            cost = _COST + number / 100
            yield Candidate(better, cost, _text(fault.tableau, better, tolerance))
            before = better


def _text(tableau: Tableau, better: Tableau, tolerance: str) -> str:
    places = [("A", i, j) for i in range(tableau.stages) for j in range(tableau.stages)]
    fields = ["b"] + ["b_hat"] * (tableau.exact_b_hat is not None)
    fields += [] if tableau.has_row_sums else ["c"]
    places += [(field, 0, j) for field in fields for j in range(tableau.stages)]
    pairs = [(p, value_at(tableau, p), value_at(better, p)) for p in places]
    changes = [
        f"{name_of(place)} = {brief(new)} instead of {brief(old)}"
        for place, old, new in pairs
        if old != new
    ]
    rest = len(changes) - _SHOWN
    more = f" and {rest} more, by tableau.rationalize({tolerance!r})" if rest > 0 else ""
    return ", ".join(changes[:_SHOWN]) + more
