"""Times between which steps follow their errors: given as such, or as the two ends."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rk.layers.times import agree, check_order, check_shape, concrete, over_time


def interval_of(
    t0: Any, t1: Any, y: Any, layer: keras.layers.Layer, *, may_rest: bool = False
) -> Any:
    """Two times, of shape (2,), or (2, batch, 1, ...) if one of them has one for each sample."""
    ends = [_by_sample(ops.cast(ops.convert_to_tensor(t), y.dtype), y) for t in (t0, t1)]
    for name, t in zip(("t0", "t1"), ends, strict=True):
        if len(t.shape) > 1 or (len(t.shape) == 1 and not agree(t.shape[0], y.shape[0])):
            raise ValueError(
                f"`{name}` must be a number, or one for each sample, of shape (batch,) or "
                "(batch, 1, ...). "
                f"Received: {name} of shape {tuple(t.shape)}, y of shape {tuple(y.shape)} "
                f"(layer {layer.name!r})."
            )
    if any(len(t.shape) for t in ends):
        zero = ops.zeros_like(y[(slice(None), *(0 for _ in y.shape[1:]))])
        shape = (-1, *(1 for _ in y.shape[1:]))
        ends = [ops.reshape(t + zero, shape) for t in ends]
    when = ops.stack(ends)
    _check_values(when, layer, may_rest=may_rest)
    return when


def times_of(
    times: Any, ends: tuple, y: Any, layer: keras.layers.Layer, *, may_rest: bool = False
) -> Any:
    """Times of shape (times,), or (times, batch, 1, ...) if they are given for each sample."""
    if any(t is not None for t in ends):
        raise ValueError(
            "`times` say where to begin and to end: leave out `t0` and `t1`. Received: both "
            f"(layer {layer.name!r})."
        )
    times = ops.cast(ops.convert_to_tensor(times), y.dtype)
    check_shape(times, y, layer)
    when = over_time(times, len(y.shape))
    _check_values(when, layer, may_rest=may_rest)
    return when


def _by_sample(t: Any, y: Any) -> Any:
    """Times of shape (batch, 1, ...), such as a column of data, as (batch,)."""
    is_column = 1 < len(t.shape) == len(y.shape) and all(size == 1 for size in t.shape[1:])
    return ops.reshape(t, (-1,)) if is_column else t


def _check_values(when: Any, layer: keras.layers.Layer, *, may_rest: bool) -> None:
    """Refuses times without an order, if they are known."""
    values = concrete(when)
    if values is not None:
        check_order(np.reshape(values, (len(values), -1)).T, layer, may_rest=may_rest)
