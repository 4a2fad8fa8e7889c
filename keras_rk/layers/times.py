"""Times that a call is given: how they are laid out, and which are refused."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rk import loops


def concrete(values: Any) -> np.ndarray | None:
    """The numbers that a tensor holds; None where it is symbolic, or a graph is being made."""
    if isinstance(values, keras.KerasTensor) or loops.is_making_graph(values):
        return None
    try:
        return np.asarray(ops.convert_to_numpy(values))
    except Exception:  # each backend has its own way to say that there are no values
        return None


def interval_of(t0: Any, t1: Any, y: Any, layer: keras.layers.Layer) -> Any:
    """Two times, of shape (2,), or (2, batch, 1, ...) if one of them has one for each sample."""
    ends = [_tensor(_number(t), y) for t in (t0, t1)]
    for name, t in zip(("t0", "t1"), ends, strict=True):
        if len(t.shape) > 1 or (len(t.shape) == 1 and _differ(t.shape[0], y.shape[0])):
            raise ValueError(
                f"`{name}` must be a number, or one for each sample, of shape (batch,). "
                f"Received: {name} of shape {tuple(t.shape)}, y of shape {tuple(y.shape)} "
                f"(layer {layer.name!r})."
            )
    if any(len(t.shape) for t in ends):
        zero = ops.zeros_like(y[(slice(None), *(0 for _ in y.shape[1:]))])
        shape = (-1, *(1 for _ in y.shape[1:]))
        ends = [ops.reshape(t + zero, shape) for t in ends]
    return ops.stack(ends)


def shaped_for(times: Any, ends: tuple, y: Any, layer: keras.layers.Layer) -> Any:
    """Times of shape (times,), or (times, batch, 1, ...) if they are given for each sample."""
    if any(t is not None for t in ends):
        raise ValueError(
            "`times` say where to begin and to end: leave out `t0` and `t1`. Received: both "
            f"(layer {layer.name!r})."
        )
    times = _tensor(times, y)
    shape = tuple(times.shape)
    if len(shape) not in (1, 2) or shape[-1] is None or shape[-1] < 2:
        raise ValueError(
            "`times` must be at least two, of shape (times,) or (batch, times), where the number "
            f"of times is known. Received: times of shape {shape} (layer {layer.name!r})."
        )
    if len(shape) == 1:
        return times
    if _differ(shape[0], y.shape[0]):
        raise ValueError(
            "`times` of shape (batch, times) must have a row for each sample. "
            f"Received: times of shape {shape}, y of shape {tuple(y.shape)} (layer {layer.name!r})."
        )
    by_sample = ops.transpose(times)
    return ops.reshape(by_sample, (shape[1], -1, *(1 for _ in y.shape[1:])))


def check_times(times: Any, layer: keras.layers.Layer) -> None:
    """Refuses times that are not finite, not monotone or without an interval, if they are known."""
    values = concrete(times)
    if values is None:
        return
    if not np.all(np.isfinite(values)):
        raise ValueError(
            f"Times must be finite. Received: {_shown(values)} (layer {layer.name!r})."
        )
    steps = np.diff(values.reshape(len(values), -1), axis=0)
    if np.any((steps > 0).any(axis=0) & (steps < 0).any(axis=0)):
        raise ValueError(
            "Times must increase or decrease, all of those of a sample; they may be repeated. "
            f"Received: {_shown(values)} (layer {layer.name!r})."
        )
    if not np.all(steps.any(axis=0)):
        raise ValueError(
            "Each sample needs an interval: a last time that differs from the first. "
            f"Received: {_shown(values)} (layer {layer.name!r})."
        )


def _number(t: Any) -> Any:
    """A configured time, which may be exact text."""
    if isinstance(t, str):
        from keras_rk.numbers.coefficients import exact

        return float(exact(t))
    return t


def _tensor(times: Any, y: Any) -> Any:
    return ops.cast(ops.convert_to_tensor(times), y.dtype)


def _differ(one: int | None, other: int | None) -> bool:
    return isinstance(one, int) and isinstance(other, int) and one != other


def _shown(values: np.ndarray) -> str:
    rows = values.reshape(len(values), -1).T
    return np.array2string(rows[0] if len(rows) == 1 else rows, threshold=8, precision=6)
