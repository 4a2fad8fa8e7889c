"""Two coefficients that are wrong: one of them follows from a sum, and the other is solved for."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import combinations
from typing import Any

from keras_rk.analysis.repair.candidates import Candidate, Clock, Place, value_at
from keras_rk.analysis.repair.entries import ONE, along, balanced_pairs, places
from keras_rk.analysis.repair.fault import Fault
from keras_rk.analysis.repair.rows import row_changes
from keras_rk.numbers.coefficients import Coefficient, sum_of
from keras_rk.numbers.totals import total

__all__ = ["two_coefficients"]

_EXTRA = 0.5


def two_coefficients(fault: Fault, clock: Clock) -> Iterator[Candidate]:
    """Two of one row; a row beside its node and a weight; two weights; two entries of A."""
    if len(fault.rows_off) == 1:
        yield from _beside_a_node(fault, clock)
    if fault.rows_off:
        return
    yield from balanced_pairs(fault, clock)
    if all(sum_of(row) == 1 for row in fault.tableau.exact_weights):
        yield from _two_entries(fault, clock)
    else:
        yield from _with_weight_from_sum(fault, clock)


def _beside_a_node(fault: Fault, clock: Clock) -> Iterator[Candidate]:
    """A row whose sum is off: what makes it right, and a weight or an entry of the same row."""
    i = fault.rows_off[0]
    for change in row_changes(fault, i):
        for place in places(fault):
            if clock.is_over():
                return
            if place[0] != "A":
                yield from along(fault, {place: ONE}, _EXTRA, change)
            elif place[1] == i:
                ((partner, _),) = change.items()
                if partner[0] == "A" and partner < place:
                    yield from along(fault, {place: ONE, partner: -ONE}, _EXTRA, change)


def _with_weight_from_sum(fault: Fault, clock: Clock) -> Iterator[Candidate]:
    """Weights that do not sum to 1: one of them makes up for it, and another number is wrong."""
    tableau = fault.tableau
    for field, row in zip(("b", "b_hat"), tableau.exact_weights, strict=False):
        missing: Any = 1 - sum_of(row)
        if not missing:
            continue
        for k, weight in enumerate(row):
            known: dict[Place, Coefficient] = {(field, 0, k): weight + missing}
            for place in places(fault):
                if clock.is_over():
                    return
                if place[0] != field:
                    yield from along(fault, {place: ONE}, _EXTRA, known)
                elif place[2] > k:  # both, on the line on which the weights sum to 1
                    yield from along(fault, {place: ONE, (field, 0, k): -ONE}, _EXTRA, known)


def _two_entries(fault: Fault, clock: Clock) -> Iterator[Candidate]:
    """Two entries of A, of which sum_i b_i c_i = 1/2 leaves one free."""
    tableau = fault.tableau
    b = tableau.exact_b
    missing: Any = Fraction(1, 2) - total(
        [x * node for x, node in zip(b, tableau.row_sums, strict=True)]
    )
    if fault.wishes[0] < 2:
        return
    entries = [place for place in places(fault) if place[0] == "A"]
    for one, other in combinations(entries, 2):
        if clock.is_over():
            return
        weights: list[Any] = [b[one[1]], b[other[1]]]
        if not any(weights) or (one[1] == other[1] and not missing):
            continue  # the condition says nothing, or `balanced_pairs` has them
        if not weights[1]:
            one, other, weights = other, one, weights[::-1]
        known: dict[Place, Coefficient] = {other: value_at(tableau, other) + missing / weights[1]}
        if weights[0]:
            yield from along(fault, {one: ONE, other: -weights[0] / weights[1]}, _EXTRA, known)
        elif missing:
            yield from along(fault, {one: ONE}, _EXTRA, known)
