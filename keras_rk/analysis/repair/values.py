"""The exact number behind a root that was found in fixed point."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from keras_rk.analysis.repair.candidates import Place, changed, value_at
from keras_rk.analysis.repair.fault import Fault
from keras_rk.analysis.repair.fixed_point import Row
from keras_rk.analysis.repair.slips import decimal_text, neighbours
from keras_rk.numbers.coefficients import Coefficient, looks_like_float, simplest
from keras_rk.proof.order_conditions import Residuals

if TYPE_CHECKING:
    from keras_rk.numbers.square_roots import Number

__all__ = ["exact_root", "rounded_values"]

_NEAR = Fraction(1, 10**8)
_ROUNDED = Fraction(1, 10**11)
_MOST = 2  # neighbours that are tried


def exact_root(
    fault: Fault,
    line: Mapping[Place, int],
    known: dict[Place, Coefficient],
    rows: dict[int, Row],
    slopes: dict[int, Row],
) -> Number | None:
    """The root where a residual is r + z s, from the exact values at z = 0 and z = 1."""
    tight = fault.tolerances()[0]
    for condition in fault.form.conditions(rows, slopes):
        polynomial = condition.residual
        if len(polynomial) > 1 and abs(polynomial[1]) > tight:
            if any(abs(x) > tight for x in polynomial[2:]):
                continue
            values = []
            for z in (0, 1):
                moved = {
                    place: known.get(place, value_at(fault.tableau, place)) + factor * z
                    for place, factor in line.items()
                }
                tableau = changed(fault.tableau, {**known, **moved}).tableau
                values.append(_residual(tableau, condition.order, condition.k, condition.embedded))
            return -values[0] / (values[1] - values[0])
    return None


def _residual(tableau: Any, order: int, k: int, embedded: bool) -> Any:
    residuals = Residuals(tableau)
    for residual in residuals.all(order, embedded):
        if residual.k == k:
            return residuals.condition(residual).exact_residual
    raise LookupError(f"no tree {k} of order {order}")


def rounded_values(fault: Fault, old: Fraction, root: Fraction) -> Iterator[Fraction]:
    """Numbers near a root that is only known up to rounding, the likeliest first."""
    near = _NEAR * max(Fraction(1), abs(root))
    text = decimal_text(old)
    found: dict[Fraction, Fraction] = {}
    for other in neighbours(text) if text else ():
        try:
            value = Fraction(other)
        except ValueError:
            continue
        if abs(value - root) <= near:
            found[value] = abs(value - root)
    values = sorted(found, key=found.__getitem__)[:_MOST]
    simple = simplest(root, _ROUNDED)
    if simple != root:
        values.append(simple)
    is_float = looks_like_float(old) or fault.tableau.has_floats
    yield from dict.fromkeys(Fraction(float(x)) if is_float else x for x in values)
    yield Fraction(float(root)) if is_float else root.limit_denominator(10**20)
