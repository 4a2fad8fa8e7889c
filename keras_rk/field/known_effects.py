"""What is remembered of f between two calls, and when it is no longer true."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from keras import ops

from keras_rk import loops
from keras_rk.field.attributes import Attributes, Row
from keras_rk.field.effects import Effects
from keras_rk.field.vector_field import VectorField

MOST_KINDS = 32  # of calls that are remembered
MOST_RECENT = 4  # of which is asked first whether nothing has changed


class _Kind(NamedTuple):
    """Calls that differ in tensors alone.

    Attributes:
        form: what f is called with, without numbers.
        attributes: the numbers, and the attributes of f's layers.
        effects: what f does.
    """

    form: Hashable
    attributes: Attributes
    effects: Effects


class KnownEffects:
    """What evaluations of f do, looked up once for each kind of call.

    Where a graph is being made nothing is remembered: looking again costs time only while it is
    made, and whoever changes a layer has to have it made again. Elsewhere the attributes of f's
    layers tell whether what was seen is still true. Those that an evaluation changes by itself (a
    counter of calls) are left out: no compiled function would repeat that.

    Args:
        dtype: that of the time.
    """

    def __init__(self, dtype: str) -> None:
        self._dtype = dtype
        self._kinds: list[_Kind] = []
        self._left_out: set[Row] = set()

    def __reduce__(self) -> tuple:  # a copy has other objects to look at
        return KnownEffects, (self._dtype,)

    def find(
        self,
        field: VectorField,
        y: Any,
        read: Callable[[], Sequence[Any]] | None = None,
        t: Any = None,
    ) -> Effects:
        """What evaluations of the field at y do.

        Args:
            read: returns values for the variables of f; those that they have by default.
            t: a time, for an f that takes it; a single zero by default.
        """
        if loops.is_making_graph(y):
            return self._look(field, y, read, t)
        return loops.in_python(self._remembered, field, y, read, t)

    def _remembered(
        self, field: VectorField, y: Any, read: Callable[[], Sequence[Any]] | None, t: Any
    ) -> Effects:
        form, values = field.kind_of_call()
        for kind in self._kinds[:MOST_RECENT]:
            if kind.form == form and kind.attributes.are_untouched(values):
                return kind.effects
        attributes = Attributes(values, self._left_out)
        for kind in self._kinds:
            if kind.form == form and kind.attributes.rows == attributes.rows:
                self._put_first(kind._replace(attributes=attributes), kind)
                return kind.effects
        # Of numbers that change with each call, none is worth what a trace costs.
        is_lasting = all(kind.form != form for kind in self._kinds)
        effects = replace(self._look(field, y, read, t), kind=object())
        self._put_first(_Kind(form, attributes, effects))
        self._leave_out(Attributes(values, self._left_out).changed_since(attributes))
        return replace(effects, is_lasting=is_lasting)

    def _look(
        self, field: VectorField, y: Any, read: Callable[[], Sequence[Any]] | None, t: Any
    ) -> Effects:
        if t is None and field.takes_time:
            t = ops.zeros((), self._dtype)
        return field.effects(y, (read or field.read)(), t)

    def _put_first(self, kind: _Kind, instead: _Kind | None = None) -> None:
        others = [other for other in self._kinds if other is not instead]
        self._kinds = [kind, *others[: MOST_KINDS - 1]]

    def _leave_out(self, rows: set[Row]) -> None:
        self._left_out |= rows
        for kind in self._kinds:
            kind.attributes.leave_out(rows)
