"""What the loops of all backends share."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
from keras import ops

LIBRARIES = frozenset(("jax", "jaxlib", "tensorflow", "torch", "torchvision", "scipy"))
Body = Callable[[Any, Any, Any], tuple[Any, Any]]
flatten, pack = keras.tree.flatten, keras.tree.pack_sequence_as


def scan_in_python(
    body: Body, carry: Any, xs: Any, constants: Any, length: int, outputs: Any
) -> tuple[Any, Any]:
    columns = [rows(x, length) for x in flatten(xs)]
    collected = []
    for x in zip(*columns, strict=True) if columns else itertools.repeat((), length):
        carry, results = body(carry, pack(xs, x), constants)
        collected.append(flatten(results))
    return carry, pack(outputs, [ops.stack(column) for column in zip(*collected, strict=True)])


def rematerialised(body: Body, remat: Callable[[Body, tuple], Any]) -> Body:
    """A body of a loop whose intermediate values the backward pass computes again."""
    return lambda carry, x, constants: remat(body, (carry, x, constants))


def rows(x: Any, number: int) -> list:
    """The slices of x along its first axis."""
    if keras.backend.backend() == "torch":
        import torch

        if torch.jit.is_tracing():  # it loses what is computed from unbound constants
            return [x[n] for n in range(number)]
    return ops.unstack(x, number)


def symbolic(value: Any) -> Any:
    """A symbolic tensor in the place of a tensor; other values as they are."""
    if is_tensor(value):
        dtype = keras.backend.standardize_dtype(value.dtype)
        return keras.KerasTensor(value.shape, dtype=dtype)
    return value


def is_tensor(value: Any) -> bool:
    """Whether `value` is one array or tensor, symbolic or not."""
    return hasattr(value, "shape") and hasattr(value, "dtype")


class March(NamedTuple):
    """Where `Loop.march` leads.

    Attributes:
        state: after the last step.
        control: after the last try.
        path: the state before each step, along a new first axis, as long as the first `most` steps
            or as there are; what comes after the last step means nothing. None unless asked for.
    """

    state: Any
    control: Any
    path: Any


class Marching(NamedTuple):
    """What a march is made of: see `Loop.march`; `control` and `record` stand for a structure."""

    control: Any
    record: Any
    begin: Callable[[Any, Any], Any]
    attempt: Callable[[Any, Any, Any], tuple]
    advance: Callable[[Any, Any, Any], Any]
    most: int
    path: bool


def march_in_python(marching: Marching, state: Any, constants: Any) -> tuple[March, list, list]:
    """The march, and the states and the records of all steps; it ends as soon as it can."""
    control = marching.begin(state, constants)
    states, records, more, tries = [], [], True, 0
    while more and tries < marching.most:
        before = state
        state, control, record, kept, go_on = marching.attempt(state, control, constants)
        more, tries = bool(go_on), tries + 1
        if kept:
            states.append(before)
            records.append(record)
    path = stacked(states or [state]) if marching.path else ()
    return March(state, control, path), states, records


def stacked(values: list) -> Any:
    """Nested tuples of tensors as one, along a new first axis."""
    columns = zip(*map(flatten, values), strict=True)
    return pack(values[0], [ops.stack(column) for column in columns])


def row(values: Any, place: int) -> Any:
    """The nested tuple at a place of what is stacked."""
    return pack(values, [x[place] for x in flatten(values)])
