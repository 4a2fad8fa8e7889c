"""What is likely to be wrong with a tableau that fails, and what helps.

One row or one coefficient that is off is a typing error; where all are a little off, they have
too few digits. Without nodes c, rows cannot be compared; then what `rationalize` has to change
for the conditions to hold tells the two apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from operator import le
from typing import NamedTuple

from keras_rk.butcher.tableau import Tableau
from keras_rk.numbers.coefficients import Coefficient, is_symbolic
from keras_rk.numbers.square_roots import Number
from keras_rk.proof.digits import brief, can_be_rounded, is_fraction, is_tiny, rounding_unit
from keras_rk.proof.order_conditions import OrderCondition, Residuals

__all__ = ["digits_advice", "location_advice", "row_sums_advice"]

_SMALL = Fraction(1, 100)  # as much as two digits leave
_ALL_DIGITS = Fraction(1, 10**14)  # as small is one in the last digit of a float64
_TOLERANCES = tuple(f"1e-{exponent}" for exponent in range(12, 3, -1))  # beyond, all is a chance
_LONGEST_REPAIR = 8  # the highest order for which a repair is tried
_TOO_FEW = (
    ": write fractions or more digits, or recover fractions with tableau.rationalize(tolerance={})."
)


def row_sums_advice(tableau: Tableau, off: Sequence[int]) -> str:
    """What the rows whose sum is not their node have in common.

    Args:
        off: their indices.
    """
    rows = [(*row, node) for row, node in zip(tableau.exact_A, tableau.exact_c, strict=True)]
    if any(is_symbolic(x) for row in rows for x in row):
        return ""
    sizes = [_rational(abs(tableau.exact_c[i] - tableau.row_sums[i])) for i in off]
    others = [row for i, row in enumerate(rows) if i not in off]
    if max(sizes) <= _SMALL:
        telling = sum(any(map(can_be_rounded, row)) for row in others)
        bounds = [_rounding(rows[i], size) for i, size in zip(off, sizes, strict=True)]
        repair = _repair(tableau, lambda better: better.has_row_sums)
        if len(off) > 1:
            short = all(map(le, sizes, bounds)) or telling <= len(off)
        else:  # several rounded coefficients rarely are all half a unit off in one direction
            short = _are_rounded(repair.changes) if repair else 2 * sizes[0] < bounds[0]
        if short:
            return f" Rows that are a little off have too few digits{_too_few(repair)}"
    agree = sum(any(row[:-1]) for row in others)
    if len(off) == 1 and agree:
        return f" The other rows agree: a typing error in row {off[0]} of A or in c[{off[0]}]."
    if len(off) <= agree:
        return " The other rows agree: typing errors in these."
    return ""


def digits_advice(
    tableau: Tableau,
    broken: Sequence[OrderCondition],
    embedded: bool = False,
    wish: int | None = None,
) -> str:
    """Too few digits, or one wrong one far behind: where conditions fail by little.

    Args:
        broken: the conditions.
        embedded: whether they are those of b_hat.
        wish: the order that the method should have, if it depends on A.
    """
    if any(is_symbolic(condition.exact_residual) for condition in broken):
        return ""
    units = [unit / max(abs(x), 1) for _, x in _places(tableau) if (unit := rounding_unit(x))]
    if min(units, default=1) < _ALL_DIGITS or any(is_fraction(x) for _, x in _places(tableau)):
        units = [unit for unit in units if unit < _ALL_DIGITS]  # who writes 214/891 means 189/800
    order = broken[0].tree.order
    explained = min(_SMALL, 100 * order * max(units, default=Fraction(0)))
    if any(abs(c.exact_residual) > explained * c.required for c in broken):
        return ""

    def holds(better: Tableau) -> bool:
        residuals = Residuals(better)
        return all(
            residual.verdict != "failed"
            for below in range(1, order + 1)
            for residual in residuals.unmet(below, embedded)
        )

    repair = _repair(tableau, holds) if order <= _LONGEST_REPAIR else None
    if repair and len(repair.changes) == 1 and not _are_rounded(repair.changes):
        ((place, x, better),) = repair.changes
        return (
            f" One coefficient explains it, a typing error: {place} = {brief(x)}, where "
            f"{brief(better)} meets the conditions of order {order}."
        )
    doubt = "" if repair or wish is None else location_advice(tableau, wish)
    return (
        f" The residuals are small, as coefficients with few digits leave them{_too_few(repair)}"
        f"{doubt}"
    )


def location_advice(tableau: Tableau, wish: int) -> str:
    """How to find a typing error in A, where the rows have not been compared with nodes.

    Args:
        wish: the order that the method should have.
    """
    rows = sum(any(row) for row in tableau.exact_A)
    if rows < 2 or not tableau.has_row_sums:
        return ""
    if tableau.is_explicit and wish > tableau.stages:
        return ""  # no explicit method of so few stages has that order
    return (
        " If a coefficient of A was mistyped, the nodes c would locate it: give c as it was "
        "published, and each row of A is compared with its node."
    )


class _Repair(NamedTuple):
    """What `rationalize` changes, by more than round-off, for a tableau to hold.

    Attributes:
        tolerance: the smallest one that does it.
        changes: the place, the coefficient and the fraction in its place, one by one.
    """

    tolerance: str
    changes: list[tuple[str, Fraction, Fraction]]


def _repair(tableau: Tableau, holds: Callable[[Tableau], bool]) -> _Repair | None:
    before = tableau
    for tolerance in _TOLERANCES:
        better = tableau.rationalize(tolerance)
        if better != before and holds(better):
            return _Repair(tolerance, list(_changes(tableau, better)))
        before = better
    return None


def _changes(tableau: Tableau, better: Tableau) -> Iterator[tuple[str, Fraction, Fraction]]:
    for (place, x), (_, y) in zip(*map(_places, (tableau, better)), strict=True):
        if isinstance(x, Fraction) and isinstance(y, Fraction) and not is_tiny(x - y, x):
            yield place, x, y


def _places(tableau: Tableau) -> Iterator[tuple[str, Coefficient]]:
    """Every coefficient, with its place."""
    for i, row in enumerate(tableau.exact_A):
        yield from ((f"A[{i}][{j}]", x) for j, x in enumerate(row))
    for name, vector in zip(("b", "b_hat"), tableau.exact_weights, strict=False):
        yield from ((f"{name}[{i}]", x) for i, x in enumerate(vector))


def _rational(x: Number) -> Fraction:
    return x if isinstance(x, Fraction) else Fraction(float(x))


def _rounding(row: Sequence[Coefficient], size: Fraction) -> Fraction:
    """How far a sum may be off whose terms are cut to their digits, if it is off by `size`."""
    units = map(rounding_unit, row)
    return sum((unit for unit in units if unit <= 100 * size), Fraction(0))  # others show more


def _are_rounded(changes: Sequence[tuple[str, Fraction, Fraction]]) -> bool:
    """Whether each coefficient is a fraction cut to its digits, which those do not express."""
    return all(
        abs(x - better) <= (unit := rounding_unit(x)) and (better / unit).denominator > 1
        for _, x, better in changes
    )


def _too_few(repair: _Repair | None) -> str:
    return _TOO_FEW.format("..." if repair is None else repr(repair.tolerance))
