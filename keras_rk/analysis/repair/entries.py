"""One coefficient that is wrong, or two in a row whose sum is right: solved for, place by place."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from keras_rk.analysis.repair.candidates import Candidate, Clock, Place, changed, value_at
from keras_rk.analysis.repair.fault import Fault
from keras_rk.analysis.repair.fixed_point import Row, to_fixed
from keras_rk.analysis.repair.unknowns import nearby_fraction, roots_along
from keras_rk.analysis.repair.values import exact_root, rounded_values
from keras_rk.butcher.tableau import Tableau
from keras_rk.numbers.coefficients import Coefficient
from keras_rk.numbers.square_roots import Number, Surd

__all__ = ["ONE", "Line", "all_places", "along", "balanced_pairs", "places", "single_entries"]

Line = dict[Place, Number]  # the places that change, each by a multiple of the unknown

ONE = Fraction(1)


def places(fault: Fault) -> Iterator[Place]:
    """Weights first, then the entries of A: their conditions are the simplest."""
    stages = fault.tableau.stages
    for field in ("b", "b_hat")[: len(fault.wishes)]:
        yield from ((field, 0, i) for i in range(stages))
    yield from (("A", i, j) for i in range(stages) for j in range(i))


def all_places(tableau: Tableau) -> Iterator[Place]:
    """Every coefficient, and nodes that are not the row sums."""
    fields = ["b"] + ["b_hat"] * (tableau.exact_b_hat is not None)
    fields += [] if tableau.has_row_sums else ["c"]
    stages = range(tableau.stages)
    yield from ((field, 0, i) for field in fields for i in stages)
    yield from (("A", i, j) for i in stages for j in stages)


def single_entries(fault: Fault, clock: Clock) -> Iterator[Candidate]:
    """One coefficient, with each value that makes the conditions hold.

    Beside nodes that rows disagree with, `rows_beside_nodes` has it.
    """
    if fault.rows_off or not fault.tableau.is_explicit:
        return
    for place in places(fault):
        if clock.is_over():
            return
        yield from along(fault, {place: ONE})


def balanced_pairs(fault: Fault, clock: Clock) -> Iterator[Candidate]:
    """Two coefficients of one row, whose sum stays."""
    stages = fault.tableau.stages
    rows = [("b", 0, stages), ("b_hat", 0, stages)][: len(fault.wishes)]
    rows += [("A", i, i) for i in range(stages)]
    for field, i, length in rows:
        for j in range(length):
            for k in range(j):
                if clock.is_over():
                    return
                line: Line = {(field, i, k): ONE, (field, i, j): -ONE}
                yield from along(fault, line, extra=1.0)


def along(
    fault: Fault,
    line: Line,
    extra: float = 0.0,
    known: dict[Place, Coefficient] | None = None,
) -> Iterator[Candidate]:
    """Every candidate on a line of tableaux.

    Args:
        extra: see `changed`.
        known: values of other places, which change as well.
    """
    form, tableau = fault.form, fault.tableau
    known = known or {}
    slopes: dict[int, Row] = {}
    for place, factor in line.items():
        slopes.setdefault(row_number(fault, place), []).append(
            (place[2], to_fixed(factor, form.bits))
        )
    rows = replaced(fault, known)
    if not fault.may_hold(slopes, rows):
        return
    for z in roots_along(form, slopes, fault.tolerance, rows):
        for step in _steps(fault, line, known, rows, slopes, z):
            values = {
                place: known.get(place, value_at(tableau, place)) + factor * step
                for place, factor in line.items()
            }
            yield changed(tableau, {**known, **values}, extra)


def row_number(fault: Fault, place: Place) -> int:
    field, i, _ = place
    stages = fault.tableau.stages
    return {"A": i, "b": stages, "b_hat": stages + 1}[field]


def replaced(fault: Fault, values: dict[Place, Coefficient]) -> dict[int, Row]:
    """The rows of A, b and b_hat in which some places have these values."""
    rows: dict[int, dict[int, int]] = {}
    for place, value in values.items():
        if place[0] == "c":
            continue
        number = row_number(fault, place)
        row = rows.setdefault(number, dict(fault.form.rows[number]))
        row[place[2]] = to_fixed(value, fault.form.bits)
    return {number: sorted(row.items()) for number, row in rows.items()}


def _steps(
    fault: Fault,
    line: Line,
    known: dict[Place, Coefficient],
    rows: dict[int, Row],
    slopes: dict[int, Row],
    z: int,
) -> Iterator[Coefficient]:
    """Exact values that the root may stand for."""
    bits = fault.form.bits
    if not fault.is_strict:
        if len(line) == 1:
            ((place, _),) = line.items()
            old = known.get(place, value_at(fault.tableau, place))
            if isinstance(old, Fraction):
                for value in rounded_values(fault, old, old + Fraction(z, 1 << bits)):
                    yield value - old
    elif (step := nearby_fraction(z, bits)) is not None:
        if step:
            yield step
    elif _has_roots(fault.tableau) and (root := exact_root(fault, line, known, rows, slopes)):
        yield root


def _has_roots(tableau: Tableau) -> bool:
    return any(isinstance(x, Surd) for row in (*tableau.exact_A, tableau.exact_b) for x in row)
