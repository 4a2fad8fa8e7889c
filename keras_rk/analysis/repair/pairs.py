"""Two coefficients that are wrong: one of them follows from a sum, and the other is solved for."""

from __future__ import annotations

from collections.abc import Iterator

from keras_rk.analysis.repair.candidates import Candidate, Clock, Place, value_at
from keras_rk.analysis.repair.entries import along, balanced_pairs, places
from keras_rk.analysis.repair.fault import Fault
from keras_rk.analysis.repair.rows import row_changes
from keras_rk.numbers.coefficients import Coefficient, sum_of

__all__ = ["two_coefficients"]

_EXTRA = 0.5


def two_coefficients(fault: Fault, clock: Clock) -> Iterator[Candidate]:
    """Two of one row; a row beside its node and a weight; a weight from the sum and any other."""
    if len(fault.rows_off) == 1:
        for change in row_changes(fault, fault.rows_off[0]):
            for place in places(fault):
                if place[0] != "A" and not clock.is_over():
                    yield from along(fault, {place: 1}, _EXTRA, change)
        return
    if not fault.rows_off:
        yield from balanced_pairs(fault, clock)
        yield from _with_weight_from_sum(fault, clock)
        yield from _with_other_sign(fault, clock)


def _with_weight_from_sum(fault: Fault, clock: Clock) -> Iterator[Candidate]:
    """Weights that do not sum to 1: one of them makes up for it, and another number is wrong."""
    tableau = fault.tableau
    for field, row in zip(("b", "b_hat"), tableau.exact_weights, strict=False):
        missing = 1 - sum_of(row)
        if not missing:
            continue  # then `balanced_pairs` has them
        for k, weight in enumerate(row):
            known: dict[Place, Coefficient] = {(field, 0, k): weight + missing}
            for place in places(fault):
                if clock.is_over():
                    return
                if place[0] != field:
                    yield from along(fault, {place: 1}, _EXTRA, known)
                elif place[2] > k:  # both, on the line on which the weights sum to 1
                    yield from along(fault, {place: 1, (field, 0, k): -1}, _EXTRA, known)


def _with_other_sign(fault: Fault, clock: Clock) -> Iterator[Candidate]:
    """A sign, the commonest slip, and any other coefficient."""
    for signed in places(fault):
        old = value_at(fault.tableau, signed)
        if not old:
            continue
        for place in places(fault):
            if clock.is_over():
                return
            if place != signed:
                yield from along(fault, {place: 1}, _EXTRA, {signed: -old})
