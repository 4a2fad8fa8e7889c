"""What a failed check says of a tableau, in the form in which changes are searched for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from fractions import Fraction
from functools import cached_property

from keras_rk.analysis.repair.fixed_point import FixedPoint, Row, to_fixed
from keras_rk.analysis.repair.unknowns import roots_along
from keras_rk.butcher.tableau import Tableau
from keras_rk.numbers.coefficients import Coefficient
from keras_rk.numbers.square_roots import Surd
from keras_rk.proof.digits import rounding_unit
from keras_rk.proof.failures import deviations_of_rows
from keras_rk.proof.report import CheckReport

__all__ = ["Fault"]

_GUARD = 288  # binary places beyond those of the coefficients
_MOST_BITS = 2400
_COARSE_BITS, _WORTH_IT = 224, 200
_TIGHT = 64  # of the places, those that rounding may spoil
_LOOSE = (0.0, 1e-12, 1e-9)  # what rounding may leave of a condition: nothing, or a bit
_TREES = (1, 1, 2, 4, 9, 20, 48, 115, 286, 719, 1842, 4766, 12486, 32973)  # of order 1, 2, ...
_FINE, _SEVERAL = Fraction(1, 10**12), 3  # units of decimals, and how many make a tableau rounded
_MOST_SCREENED = 9  # up to there are 486 trees
_SCREENED = 5  # conditions of higher orders are looked at only where lower ones say nothing


class Fault:
    """A tableau that failed, and what is known of the failure.

    Attributes:
        tableau: as it came.
        prove: does the same check to another tableau.
        wishes: the orders that b and b_hat should have, 1 where none is wished for.
        is_open: whether no order is wished for: then the highest one is looked for.
        rows_off: the stages whose node is not the row sum, if that counts.
    """

    def __init__(self, report: CheckReport, prove: Callable[[Tableau], CheckReport]) -> None:
        self._loose = _LOOSE[0]
        self._known: dict[Coefficient, int] = {}
        self.tableau = report.tableau
        self.report = report
        self.prove = prove
        wish = max(report.requested_order or 0, report.claimed_order or 0)
        self.is_open = not wish and not report.claimed_embedded_order
        self.wishes = [max(wish, 1)]
        if self.tableau.exact_b_hat is not None:
            self.wishes.append(max(report.claimed_embedded_order or 0, 1))
        counts = any(failure.rule == "row_sums" for failure in report.failures)
        deviations = deviations_of_rows(self.tableau, None) if counts else []
        self.rows_off = [d.stage for d in deviations if d.verdict == "failed"]

    @cached_property
    def form(self) -> FixedPoint:
        return FixedPoint(self.tableau, self.wishes, self._highest, self._bits)

    @cached_property
    def _coarse(self) -> FixedPoint:
        """The same with fewer places, for a first glance."""
        if self._bits < _COARSE_BITS + _WORTH_IT:
            return self.form
        return FixedPoint(self.tableau, self.wishes, self._highest, _COARSE_BITS)

    def holds(self, rows: Mapping[int, Sequence[Coefficient]]) -> bool:
        """Whether conditions seem to hold with other coefficients in some rows."""
        bits = self._coarse.bits
        fixed = {
            number: [(j, self._fixed(x)) for j, x in enumerate(row) if x]
            for number, row in rows.items()
        }
        return self._coarse.holds(fixed, self._tolerance(bits))

    def may_hold(self, slopes: Mapping[int, Row], rows: Mapping[int, Row]) -> bool:
        """Whether they seem to hold somewhere along `slopes`, with `rows` in place of others."""
        coarse = self._coarse
        if coarse is self.form:
            return True
        excess = self._bits - coarse.bits
        here, there = (
            {number: [(j, x >> excess) for j, x in row] for number, row in each.items()}
            for each in (slopes, rows)
        )
        return bool(roots_along(coarse, here, self._tolerance(coarse.bits), there))

    def _fixed(self, x: Coefficient) -> int:
        """For numbers that are moved about again and again."""
        found = self._known.get(x)
        if found is None:
            found = self._known[x] = to_fixed(x, self._coarse.bits)
        return found

    @property
    def is_strict(self) -> bool:
        return not self._loose

    @property
    def tolerance(self) -> int:
        """What counts as zero, times 2**bits."""
        return self._tolerance(self._bits)

    def _tolerance(self, bits: int) -> int:
        return int(self._loose * 2.0**60) << (bits - 60) if self._loose else 1 << _TIGHT

    def levels(self) -> Iterator[Fault]:
        """The same fault, strictly, and then as if conditions only held up to rounding."""
        for loose in _LOOSE[self._is_rounded :]:
            other = copy(self)
            other._loose = loose
            yield other

    @property
    def _is_rounded(self) -> bool:
        """Whether several coefficients are floats or long decimals: no condition holds strictly."""
        rows = (*self.tableau.exact_A, *self.tableau.exact_weights)
        long = sum(0 < rounding_unit(x) < _FINE for row in rows for x in row)
        return self.tableau.has_floats or long >= _SEVERAL

    @property
    def proof_seconds(self) -> float:
        """About how long a proof takes that goes up to the orders wished for."""
        entries = sum(bool(x) for row in self.tableau.exact_A for x in row)
        trees = sum(_TREES[: max(self.wishes)]) * 2 ** max(max(self.wishes) - len(_TREES), 0)
        return 1e-6 * entries * trees * (1 + self._longest / 500)

    @property
    def _highest(self) -> int:
        """The order up to which conditions are looked at before a proof is tried."""
        orders = [self.report.order, self.report.embedded_order or 0]
        failing = [n + 1 for n, wish in zip(orders, self.wishes, strict=False) if n < wish]
        return min(max([_SCREENED, *failing]), _MOST_SCREENED)

    @property
    def _bits(self) -> int:
        return min(_GUARD + 3 * self._longest, _MOST_BITS)

    @cached_property
    def _longest(self) -> int:
        """The bits of the longest denominator."""
        rows = (*self.tableau.exact_A, *self.tableau.exact_weights)
        parts = [
            part
            for row in rows
            for x in row
            for part in (x.coordinates if isinstance(x, Surd) else (x,))
        ]
        return max(part.denominator.bit_length() for part in parts)
