"""What the loops of all backends share."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

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
