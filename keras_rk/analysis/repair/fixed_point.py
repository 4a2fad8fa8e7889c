"""Order conditions along a line of tableaux, in fixed point: which changes are worth a proof.

On a line A + z D, b + z d the residual of each tree is a polynomial in z. With hundreds of
binary places it tells a root from a near miss, and an integer product costs little. What is found
here is proved by `check` afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from keras_rk.butcher.tableau import Tableau
from keras_rk.numbers.coefficients import Coefficient
from keras_rk.numbers.square_roots import Surd
from keras_rk.proof.rooted_trees import plan

__all__ = ["Condition", "FixedPoint", "Row", "Term", "to_fixed"]

Term = tuple[int, int]  # a column and a coefficient, times 2**bits
Row = list[Term]
_Entry = Any  # an int, or a polynomial in z: a list of ints, the constant first


class Condition(NamedTuple):
    """The residual of one tree along a line: a polynomial, times 2**bits."""

    order: int
    k: int
    embedded: bool
    residual: list[int]


def to_fixed(x: Coefficient, bits: int) -> int:
    """x * 2**bits, rounded down."""
    if isinstance(x, Surd):
        x = x.enclosure(bits + 16)[0]
    return (x.numerator << bits) // x.denominator


class FixedPoint:
    """The order conditions of an explicit tableau, some of whose rows may be replaced.

    Args:
        tableau: an explicit tableau without symbols.
        orders: the orders that b and b_hat should have.
        highest: the order up to which conditions are looked at.
        bits: the binary places.

    Rows are numbered: those of A by their stage, then b and b_hat.
    """

    def __init__(self, tableau: Tableau, orders: Sequence[int], highest: int, bits: int) -> None:
        self.bits = bits
        self.orders = [min(order, highest) for order in orders]
        self._stages = tableau.stages
        self.rows: list[Row] = [
            [(j, to_fixed(x, bits)) for j, x in enumerate(row) if x]
            for row in (*tableau.exact_A, *tableau.exact_weights)
        ]
        self._base = _Vectors(self, {}, {}, None)

    def conditions(
        self, rows: Mapping[int, Row], slopes: Mapping[int, Row] | None = None
    ) -> Iterator[Condition]:
        """The residuals with `rows` in place of the tableau's own, along `slopes`."""
        slopes = slopes or {}
        changed = [row for row in (*rows, *slopes) if row < self._stages]
        vectors = _Vectors(self, rows, slopes, self._base) if changed else self._base
        for order in range(1, max(self.orders) + 1):
            here = plan(order)
            for k in range(len(here.prefix)):
                u = vectors.stage(here.start + k, order)
                for embedded, highest in enumerate(self.orders):
                    if order <= highest:
                        number = self._stages + embedded
                        weights = rows.get(number, self.rows[number])
                        weight = self.dot(weights, slopes.get(number, []), u)
                        yield Condition(
                            order, k, bool(embedded), self._residual(weight, here.density[k])
                        )

    def holds(self, rows: Mapping[int, Row], tolerance: int) -> bool:
        """Whether all residuals are within the tolerance."""
        return all(abs(c.residual[0]) <= tolerance for c in self.conditions(rows))

    def _residual(self, weight: _Entry, density: int) -> list[int]:
        polynomial = list(weight) if isinstance(weight, list) else [weight]
        polynomial[0] -= (1 << self.bits) // density
        return polynomial

    def product(self, x: _Entry, y: _Entry) -> _Entry:
        bits = self.bits
        if isinstance(x, list):
            if isinstance(y, list):
                found = [0] * (len(x) + len(y) - 1)
                for i, p in enumerate(x):
                    for j, q in enumerate(y):
                        found[i + j] += p * q
                return [value >> bits for value in found]
            x, y = y, x
        if isinstance(y, list):
            return [(x * q) >> bits for q in y]
        return (x * y) >> bits

    def dot(self, row: Row, slope: Row, u: Sequence[_Entry]) -> _Entry:
        """(row + z slope) . u."""
        constant = 0
        polynomial: list[int] = []
        for j, x in row:
            entry = u[j]
            if isinstance(entry, list):
                _add(polynomial, [x * q for q in entry], 0)
            else:
                constant += x * entry
        for j, x in slope:
            entry = u[j]
            _add(polynomial, [x * q for q in (entry if isinstance(entry, list) else [entry])], 1)
        if not polynomial:
            return constant >> self.bits
        _add(polynomial, [constant], 0)
        return [value >> self.bits for value in polynomial]


class _Vectors:
    """u(t) for the trees, in the order of their numbers; the base keeps those of the tableau."""

    def __init__(
        self,
        form: FixedPoint,
        rows: Mapping[int, Row],
        slopes: Mapping[int, Row],
        base: _Vectors | None,
    ) -> None:
        self._form = form
        self._base = base
        stages = form._stages
        self._first = min((i for i in (*rows, *slopes) if i < stages), default=stages)
        if base is None:
            self._first = 0
        self._rows = [
            (rows.get(i, form.rows[i]), slopes.get(i, [])) for i in range(self._first, stages)
        ]
        self._found: dict[int, list[_Entry]] = {0: [1 << form.bits] * stages}
        self._derivatives: dict[int, list[_Entry]] = {}

    def stage(self, tree: int, order: int) -> list[_Entry]:
        """u(t) of a tree of this order, whose smaller trees have been asked for before."""
        found = self._found.get(tree)
        if found is None:
            here = plan(order)
            k = tree - here.start
            derivative, prefix = self._derivative(here.child[k]), here.prefix[k]
            if prefix:
                stem = self._found[prefix]
                product = self._form.product
                start = self._first
                found = self._head(tree, order) + [
                    product(x, y) for x, y in zip(stem[start:], derivative, strict=True)
                ]
            else:
                found = self._head(tree, order) + derivative
            self._found[tree] = found
        return found

    def _head(self, tree: int, order: int) -> list[_Entry]:
        """The stages that no change reaches."""
        return [] if self._base is None else self._base.stage(tree, order)[: self._first]

    def _derivative(self, tree: int) -> list[_Entry]:
        """A u(t), from the first changed stage on."""
        found = self._derivatives.get(tree)
        if found is None:
            u = self._found[tree]
            found = [self._form.dot(row, slope, u) for row, slope in self._rows]
            self._derivatives[tree] = found
        return found


def _add(polynomial: list[int], terms: list[int], shift: int) -> None:
    missing = len(terms) + shift - len(polynomial)
    if missing > 0:
        polynomial.extend([0] * missing)
    for i, value in enumerate(terms, shift):
        polynomial[i] += value
