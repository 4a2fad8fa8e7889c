"""Reading the arguments of `Tableau`: shapes, numbers, labels, each error with its place."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

from keras_rk.butcher.matrix_forms import FORMS, fits, is_whole, lacks_first_row, square
from keras_rk.errors import TableauError, shown
from keras_rk.numbers.coefficients import (
    Coefficient,
    exact,
    is_float,
    is_symbolic,
    sum_of,
    symbols,
    whole_number,
)
from keras_rk.numbers.grammar import check_roots
from keras_rk.numbers.square_roots import Surd, common_field
from keras_rk.numbers.totals import bounded_common

__all__ = ["Reader", "order_number"]

MAX_STAGES = 512
MAX_DEGREE = 64  # of a continuous extension; no published one has more than 8
MAX_LABEL = 1000
LARGEST_ORDER = 999


class Reader:
    """Reads coefficients, remembering whether a float was among them; errors say the place."""

    def __init__(self, name: Any) -> None:
        self.where = f" (tableau {shown(name)})" if isinstance(name, str) else ""
        self.has_floats = False
        self._lacks_first_row = False

    def square(self, A: Any, b: Any) -> tuple[tuple[Coefficient, ...], ...]:
        """A, from any of its forms; with which one it is, the number of weights decides."""
        rows = [self._row(row, i) for i, row in enumerate(self._stages(A))]
        stages = len(self._sequence(b, "`b`"))
        lengths = [len(row) for row in rows]
        if not fits(lengths, stages):
            if not is_whole(lengths):
                raise TableauError(
                    f"{FORMS}Received: {len(rows)} rows with {shown(lengths)} entries, "
                    f"len(b)={stages}{self.where}."
                )
            stages = len(rows)  # `vector` says what is wrong with b
        numbers = [
            [self._number(x, f"A[{i}][{j}]") for j, x in enumerate(row)]
            for i, row in enumerate(rows)
        ]
        self._lacks_first_row = lacks_first_row(rows, stages)
        self._check_short_form(numbers, stages)
        return tuple(map(tuple, square(numbers, stages, Fraction(0))))

    def _check_short_form(self, rows: list[list[Coefficient]], stages: int) -> None:
        """Rows of s - 1 columns, or a first row [0], are those of an explicit method."""
        if [len(row) for row in rows] in ([stages] * stages, [*range(1, stages + 1)]):
            return
        for i, row in enumerate(rows, start=self._lacks_first_row):
            if any(row[i:]):
                j = next(j for j in range(i, len(row)) if row[j])
                raise TableauError(
                    f"{FORMS}Received: {len(rows)} rows with "
                    f"{shown([len(row) for row in rows])} entries, and "
                    f"A[{i}][{j}]={row[j]} on or above the diagonal{self.where}."
                )

    def nodes(self, values: Any, stages: int) -> tuple[Coefficient, ...]:
        """c; beside rows of A that begin with the second stage, c may do so too."""
        row = self._sequence(values, "`c`")
        if self._lacks_first_row and len(row) == stages - 1:
            return (Fraction(0), *self.vector(row, "c", stages - 1, "node"))
        return self.vector(row, "c", stages, "node")

    def vector(self, values: Any, field: str, stages: int, what: str) -> tuple[Coefficient, ...]:
        row = self._sequence(values, f"`{field}`")
        if len(row) != stages:
            raise TableauError(
                f"`{field}` needs one {what} per stage. Received: len({field})={len(row)}, "
                f"stages={stages}{self.where}."
            )
        return tuple(self._number(x, f"{field}[{i}]") for i, x in enumerate(row))

    def polynomials(
        self, values: Any, field: str, stages: int
    ) -> tuple[tuple[Coefficient, ...], ...]:
        """One for each stage, the coefficients of theta, theta^2, ...; all to one degree."""
        rows = self._sequence(values, f"`{field}`")
        if len(rows) != stages:
            raise TableauError(
                f"`{field}` needs one polynomial per stage, the coefficients of theta, theta^2, "
                f"... of each. Received: len({field})={len(rows)}, stages={stages}{self.where}."
            )
        polynomials = [self._polynomial(row, f"{field}[{i}]") for i, row in enumerate(rows)]
        degree = max(1, *map(len, polynomials))
        return tuple((*row, *[Fraction(0)] * (degree - len(row))) for row in polynomials)

    def _polynomial(self, values: Any, place: str) -> list[Coefficient]:
        row = self._sequence(values, f"`{place}`")
        if len(row) > MAX_DEGREE:
            raise TableauError(
                f"`{place}` has at most degree {MAX_DEGREE}. Received: {len(row)} coefficients"
                f"{self.where}."
            )
        numbers = [self._number(x, f"{place}[{k}]") for k, x in enumerate(row)]
        while numbers and not numbers[-1]:
            numbers.pop()
        return numbers

    def check_field(self, coefficients: Iterable[Coefficient]) -> None:
        """Refuses more square roots than a tableau may have, and square roots beside symbols."""
        numbers = list(coefficients)
        symbolic = [x for x in numbers if is_symbolic(x)]
        self._check_symbols(symbolic)
        if symbolic and any(isinstance(x, Surd) for x in numbers):
            raise TableauError(
                "A tableau with symbols has rational numbers beside them; put another symbol in "
                "place of a square root, and the root in place of that symbol with `subs`. "
                f"Received: square roots beside {shown(symbolic[0])}{self.where}."
            )
        if not symbolic:
            try:
                common_field(numbers, check_roots)
            except TableauError as error:
                raise TableauError(f"{error}{self.where}") from None

    def _check_symbols(self, coefficients: list[Coefficient]) -> None:
        """A name stands for one symbol: `subs` and readers go by names."""
        named: dict[str, Any] = {}
        for symbol in (symbol for x in coefficients for symbol in symbols(x)):
            other = named.setdefault(str(symbol), symbol)
            if other != symbol:
                from sympy import srepr

                raise TableauError(
                    "A name stands for one symbol, with the same assumptions everywhere. "
                    f"Received: {' and '.join(sorted(map(srepr, (other, symbol))))}{self.where}."
                )

    def row_sums(self, rows: Sequence[Sequence[Coefficient]]) -> tuple[Coefficient, ...]:
        """The nodes where none are given; they are coefficients like others."""
        found = []
        for i, row in enumerate(rows):
            try:
                if not any(map(is_symbolic, row)):
                    _, elements = common_field(row)
                    bounded_common((x.denominator for e in elements for x in e), "a row of A")
                found.append(exact(sum_of(row)))
            except TableauError as error:
                raise TableauError(
                    f"c[{i}], as the sum of row {i} of `A`: {error}{self.where}"
                ) from None
        return tuple(found)

    def order(self, value: Any, field: str) -> int | None:
        return None if value is None else order_number(value, field)

    def label(self, value: Any, field: str) -> str | None:
        if value is None:
            return value
        if isinstance(value, str) and value.isprintable() and len(value) <= MAX_LABEL:
            return value
        raise TableauError(
            f"`{field}` must be one line of printable text, at most {MAX_LABEL} characters, or "
            f"None. Received: {shown(value)}."
        )

    def _stages(self, A: Any) -> list[Any]:
        rows = self._sequence(A, "`A`")
        if not rows:
            raise TableauError(f"A tableau has at least one stage. Received: A={A!r}{self.where}.")
        if len(rows) > MAX_STAGES:
            raise TableauError(
                f"A tableau has at most {MAX_STAGES} stages. Received: {len(rows)}{self.where}."
            )
        return rows

    def _row(self, value: Any, i: int) -> list[Any]:
        try:
            return self._sequence(value, f"row {i} of `A`")
        except TableauError as error:
            raise TableauError(f"{FORMS}{error}") from None

    def _sequence(self, value: Any, what: str) -> list[Any]:
        listed = value
        if hasattr(value, "tolist") and getattr(getattr(value, "dtype", None), "kind", "") != "M":
            with contextlib.suppress(Exception):  # whatever an array-like thing may raise
                listed = value.tolist()
        if not isinstance(listed, list | tuple):
            raise TableauError(f"{what} must be a sequence. Received: {shown(value)}{self.where}.")
        return list(listed)

    def _number(self, value: Any, place: str) -> Coefficient:
        try:
            found = exact(value)
        except TableauError as error:
            raise TableauError(f"{place}: {error}{self.where}") from None
        self.has_floats = self.has_floats or is_float(value)
        return found


def order_number(value: Any, name: str) -> int:
    """An order as an int."""
    order = whole_number(value)
    if order is None or not 1 <= order <= LARGEST_ORDER:
        raise TableauError(
            f"`{name}` must be an integer from 1 to {LARGEST_ORDER}. "
            f"Received: {name}={shown(value)}."
        )
    return order
