"""Rows of A whose sum is not their node: the node is wrong, or one entry, or a denominator."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import product

from keras_rk.analysis.repair.candidates import Candidate, Clock, Place, changed, value_at
from keras_rk.analysis.repair.entries import replaced
from keras_rk.analysis.repair.fault import Fault
from keras_rk.analysis.repair.values import rounded_values
from keras_rk.numbers.coefficients import Coefficient

__all__ = ["RowChange", "row_changes", "rows_beside_nodes"]

RowChange = dict[Place, Coefficient]
_MOST_ROWS = 3  # of those that are off; where more are, other changes explain it
_MOST_TRIED = 4000


def rows_beside_nodes(fault: Fault, clock: Clock) -> Iterator[Candidate]:
    """Each way to make the rows that are off agree with their nodes."""
    if not 0 < len(fault.rows_off) <= _MOST_ROWS or not fault.tableau.is_explicit:
        return
    options = [row_changes(fault, i) for i in fault.rows_off]
    for count, changes in enumerate(product(*options)):
        if count > _MOST_TRIED or clock.is_over():
            return
        values = {place: value for change in changes for place, value in change.items()}
        if fault.form.holds(replaced(fault, values), fault.tolerance):
            extra = 0.5 if len(changes) > 1 else 0.0
            yield changed(fault.tableau, values, extra)
            if not fault.is_strict and len(values) == 1:
                yield from _rounded(fault, values)


def row_changes(fault: Fault, i: int) -> list[RowChange]:
    """The node as the sum, and each entry as what the sum lacks."""
    tableau = fault.tableau
    node, total = tableau.exact_c[i], tableau.row_sums[i]
    found: list[RowChange] = [{("c", 0, i): total}]
    for j in range(i):
        place = ("A", i, j)
        found.append({place: value_at(tableau, place) + node - total})
    return found


def _rounded(fault: Fault, values: RowChange) -> Iterator[Candidate]:
    """The same with a value as somebody may have written it."""
    ((place, value),) = values.items()
    old = value_at(fault.tableau, place)
    if isinstance(old, Fraction) and isinstance(value, Fraction):
        for other in rounded_values(fault, old, value):
            yield changed(fault.tableau, {place: other})
