"""The exact number behind a root that was found in fixed point."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
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
_LONGEST = 10**20
_LARGEST_FACTOR = 24
_READABLE = 10**6  # decimals of more places are no fractions


def exact_root(
    fault: Fault,
    line: Mapping[Place, Number],
    known: dict[Place, Coefficient],
    rows: dict[int, Row],
    slopes: dict[int, Row],
) -> Number | None:
    """The root of a residual r + s z, or the double one of r + s z + t z**2."""

    def at(z: int) -> Any:
        moved = {
            place: known.get(place, value_at(fault.tableau, place)) + factor * z
            for place, factor in line.items()
        }
        tableau = changed(fault.tableau, {**known, **moved}).tableau
        return _residual(tableau, condition.order, condition.k, condition.embedded)

    def size(number: int) -> int:
        return abs(condition.residual[number]) if len(condition.residual) > number else 0

    double = None
    for condition in fault.form.conditions(rows, slopes):
        is_cubic = any(abs(x) > fault.tolerance for x in condition.residual[3:])
        if is_cubic or max(size(1), size(2)) <= fault.tolerance:
            continue
        if size(2) <= fault.tolerance:
            return -at(0) / (at(1) - at(0))
        if double is None:
            here, forth, back = at(0), at(1), at(-1)
            s, t = (forth - back) / 2, (forth + back) / 2 - here
            if t and s * s == 4 * here * t:
                double = -s / (2 * t)
    return double


def _residual(tableau: Any, order: int, k: int, embedded: bool) -> Any:
    residuals = Residuals(tableau)
    for residual in residuals.all(order, embedded):
        if residual.k == k:
            return residuals.condition(residual).exact_residual
    raise LookupError(f"no tree {k} of order {order}")


def rounded_values(fault: Fault, old: Fraction, root: Fraction) -> Iterator[Fraction]:
    """Numbers near a root that is only known up to rounding, the likeliest first."""
    distances = {x: abs(x - root) for x in _neighbours(old, root)}
    values = sorted(distances, key=distances.__getitem__)[:_MOST]
    simple = simplest(root, _ROUNDED)
    if simple != root:
        values.append(simple)
    is_float = looks_like_float(old) or fault.tableau.has_floats
    yield from dict.fromkeys(Fraction(float(x)) if is_float else x for x in values)
    yield Fraction(float(root)) if is_float else root.limit_denominator(_LONGEST)


def _neighbours(old: Fraction, root: Fraction) -> Iterator[Fraction]:
    """Those near the root that one slip may have turned into `old`, decimal or fraction."""
    if not old or not root:
        return
    near = max(_NEAR, _NEAR / abs(root))
    decimal = decimal_text(old)
    yield from map(Fraction, _alike(decimal, root, near))
    if old.denominator == 1 or (decimal and old.denominator > _READABLE):
        return
    for factor in range(1, _LARGEST_FACTOR + 1):  # the fraction as it may have been before
        p, q = factor * old.numerator, factor * old.denominator
        yield from (Fraction(text) / q for text in _alike(str(p), root * q, near))
        yield from (p / Fraction(text) for text in _alike(str(q), p / root, near))


def _alike(text: str, target: Fraction, near: Fraction) -> Iterator[str]:
    """Slips of a text that come near a number, relatively."""
    try:
        aim = float(target)
        margin = float(near * abs(target))
    except OverflowError:
        return
    for other in neighbours(text) if text else ():
        with suppress(ValueError):  # no number
            if abs(float(other) - aim) <= margin:
                yield other
