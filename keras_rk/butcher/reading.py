"""Reading the arguments of `Tableau`: shapes, numbers, labels, each error with its place."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from keras_rk.errors import TableauError, shown
from keras_rk.numbers.coefficients import Coefficient, exact, is_float, is_symbolic, whole_number
from keras_rk.numbers.grammar import check_roots
from keras_rk.numbers.square_roots import Surd, common_field

__all__ = ["Reader", "order_number", "read_json"]

MAX_STAGES = 512
MAX_LABEL = 1000
LARGEST_ORDER = 999


class Reader:
    """Reads coefficients, remembering whether a float was among them; errors say the place."""

    def __init__(self, name: Any) -> None:
        self.where = f" (tableau {shown(name)})" if isinstance(name, str) else ""
        self.has_floats = False

    def square(self, A: Any) -> tuple[tuple[Coefficient, ...], ...]:
        rows = [self._sequence(row, f"row {i} of `A`") for i, row in enumerate(self._stages(A))]
        stages = len(rows)
        lengths = [len(row) for row in rows]
        if lengths != [stages] * stages and lengths != list(range(stages)):
            raise TableauError(
                "`A` has as many columns as rows, or row i (from 0) has its i entries left of "
                f"the diagonal. Received: {stages} rows with {shown(lengths)} "
                f"entries{self.where}."
            )
        zero = (Fraction(0),)
        return tuple(
            tuple(self._number(x, f"A[{i}][{j}]") for j, x in enumerate(row))
            + zero * (stages - len(row))
            for i, row in enumerate(rows)
        )

    def vector(self, values: Any, field: str, stages: int, what: str) -> tuple[Coefficient, ...]:
        row = self._sequence(values, f"`{field}`")
        if len(row) != stages:
            raise TableauError(
                f"`{field}` needs one {what} per stage. Received: len({field})={len(row)}, "
                f"stages={stages}{self.where}."
            )
        return tuple(self._number(x, f"{field}[{i}]") for i, x in enumerate(row))

    def check_field(self, coefficients: Iterable[Coefficient]) -> None:
        """Refuses more square roots than a tableau may have, and square roots beside symbols."""
        numbers = list(coefficients)
        symbolic = [x for x in numbers if is_symbolic(x)]
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

    def _sequence(self, value: Any, what: str) -> list[Any]:
        listed = value
        if hasattr(value, "tolist") and getattr(getattr(value, "dtype", None), "kind", "") != "M":
            with contextlib.suppress(Exception):  # whatever an array-like thing may raise
                listed = value.tolist()
        if not isinstance(listed, list | tuple):
            raise TableauError(f"{what} must be a sequence. Received: {shown(value)}{self.where}.")
        return list(listed)

    def _number(self, value: Any, place: str) -> Coefficient:
        self.has_floats = self.has_floats or is_float(value)
        try:
            return exact(value)
        except TableauError as error:
            raise TableauError(f"{place}: {error}{self.where}") from None


def order_number(value: Any, name: str) -> int:
    """An order as an int."""
    order = whole_number(value)
    if order is None or not 1 <= order <= LARGEST_ORDER:
        raise TableauError(
            f"`{name}` must be an integer from 1 to {LARGEST_ORDER}. "
            f"Received: {name}={shown(value)}."
        )
    return order


def read_json(text: str | bytes) -> Any:
    """What JSON text says, its numbers as text: 0.1 is a tenth, and nothing overflows."""
    try:
        if isinstance(text, str):
            text = text.removeprefix("\ufeff")
        data = json.loads(
            text,
            parse_float=str,
            parse_int=str,
            parse_constant=_refuse_constant,
            object_pairs_hook=_without_repetition,
        )
        if isinstance(data, dict):
            for key in ("claimed_order", "claimed_embedded_order"):
                if str(data.get(key)).isdecimal():
                    data[key] = int(data[key][:9])
        return data
    except TableauError:
        raise
    except (ValueError, TypeError, RecursionError) as error:
        raise TableauError(f"A tableau file is JSON. Received: {error}.") from None


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        keys = [key for key, _ in pairs]
        raise TableauError(f"A tableau file has each key once. Received: {shown(keys)}.")
    return data


def _refuse_constant(text: str) -> None:
    raise TableauError(f"A coefficient is finite. Received: {text}.")
