"""A common denominator that was forgotten: numbers that are all too large by one factor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from keras_rk.analysis.repair.candidates import Candidate, Clock, rebuilt
from keras_rk.analysis.repair.fault import Fault
from keras_rk.analysis.repair.fixed_point import Row
from keras_rk.analysis.repair.unknowns import roots_along
from keras_rk.butcher.tableau import Tableau
from keras_rk.numbers.coefficients import Coefficient, is_symbolic, sum_of

__all__ = ["forgotten_denominators"]

_COST = 1.1


def forgotten_denominators(fault: Fault, clock: Clock) -> Iterator[Candidate]:
    """Of b, of b_hat, of both, of a row of A, of all of A, and of all there is."""
    tableau = fault.tableau
    divisors: dict[str, int] = {}
    for field, row in zip(("b", "b_hat"), tableau.exact_weights, strict=False):
        total = sum_of(row)
        if not is_symbolic(total) and (divisor := _whole(total)):
            divisors[field] = divisor
            yield _divided(tableau, {field: divisor}, 1, [])
    if len(divisors) > 1:
        yield _divided(tableau, divisors, 1, [])
    if not tableau.is_explicit:
        return
    form, stages = fault.form, range(tableau.stages)
    known: dict[int, Row] = {}
    for number, field in enumerate(("b", "b_hat"), tableau.stages):
        if field in divisors:
            known[number] = [(j, x // divisors[field]) for j, x in form.rows[number]]
    for chosen in [list(stages), *([i] for i in stages if len(form.rows[i]) > 1)]:
        if clock.is_over():
            return
        slopes = {i: form.rows[i] for i in chosen if form.rows[i]}
        if not fault.may_hold(slopes, known):
            continue
        for z in roots_along(form, slopes, fault.tolerance, known):
            factor = 1 + Fraction(z, 1 << form.bits)
            if factor and (divisor := _whole(1 / factor)):
                yield _divided(tableau, divisors, divisor, chosen)


def _divided(
    tableau: Tableau, divisors: Mapping[str, int], divisor: int, rows: Sequence[int]
) -> Candidate:
    """Weights divided by theirs, and rows of A by another one."""
    fields: dict[str, Any] = {
        field: [x / by for x in getattr(tableau, f"exact_{field}")]
        for field, by in divisors.items()
    }
    words = [f"{field} divided by {by}" for field, by in divisors.items()]
    if rows:
        fields["A"] = [
            [x / divisor for x in row] if i in rows else row
            for i, row in enumerate(tableau.exact_A)
        ]
        what = "A" if len(rows) > 1 else f"row {rows[0]} of A"
        words.append(f"{what} divided by {divisor}")
    return Candidate(rebuilt(tableau, **fields), _COST, " and ".join(words))


def _whole(x: Coefficient) -> int:
    """x where it is, up to rounding, an integer above 1; otherwise 0."""
    if not isinstance(x, Fraction):
        return 0
    nearest = round(x)
    return nearest if nearest > 1 and abs(x - nearest) < Fraction(1, 10**9) else 0
