"""Times that a call is given: how they are laid out beside y, and which are refused."""

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


def known(x: Any) -> np.ndarray | None:
    """The values of a tensor, where they are at hand and nobody has to wait for them."""
    if isinstance(x, keras.KerasTensor):
        return None
    return x if isinstance(x, np.ndarray) else loops.known(x)


def per_sample(h: Any, rank: int) -> Any:
    """A step size that broadcasts to y, of `rank` dimensions."""
    if len(h.shape) != 1 or rank == 1:
        return h
    shape = (-1, *[1] * (rank - 1))
    return h.reshape(shape) if isinstance(h, np.ndarray) else ops.reshape(h, shape)


def over_time(times: Any, rank: int) -> Any:
    """The times, `(T, ...)`, each of which broadcasts to y, of `rank` dimensions."""
    if len(times.shape) == 1:
        return times
    shape = (times.shape[1], -1, *[1] * (rank - 1))
    if isinstance(times, np.ndarray):
        return times.T.reshape(shape)
    return ops.reshape(ops.transpose(times), shape)


def check_shape(times: Any, y: Any, layer: keras.layers.Layer) -> None:
    """Refuses times that do not fit y."""
    shape, of_y = tuple(times.shape), tuple(y.shape)
    check_real("times", times)
    if len(shape) not in (1, 2) or (len(shape) == 2 and not agree(shape[0], of_y[0])):
        raise ValueError(
            "`times` must have shape (T,), or (batch, T) with a row for each sample. "
            f"Received: times of shape {shape}, y of shape {of_y} (layer {layer.name!r})."
        )
    if isinstance(shape[-1], int) and shape[-1] < 2:
        raise ValueError(
            "`times` must be at least two, the time of y and at least one more. "
            f"Received: times of shape {shape} (layer {layer.name!r})."
        )
    if shape[-1] is None and not isinstance(times, keras.KerasTensor):
        raise ValueError(
            "The number of `times` must be known when a graph is made: give the input of the model "
            f"a shape. Received: times of shape {shape} (layer {layer.name!r})."
        )


def check_order(values: np.ndarray, layer: keras.layers.Layer, *, may_rest: bool = False) -> None:
    """Refuses times that are not finite, not monotone or without an interval.

    Args:
        values: shape `(T,)` or `(batch, T)`.
        may_rest: whether all of them may be equal.
    """
    rows = np.atleast_2d(values)
    finite = np.all(np.isfinite(rows), axis=1)
    if not np.all(finite):
        raise ValueError(
            f"Times must be finite. Received: {row(rows, ~finite)} (layer {layer.name!r})."
        )
    steps = np.diff(rows)
    monotone = np.all(steps >= 0, axis=1) | np.all(steps <= 0, axis=1)
    if not np.all(monotone):
        raise ValueError(
            "Times must increase or decrease: those of a sample all increase, or decrease, from "
            "first to last; equal ones are no step. "
            f"Received: {row(rows, ~monotone)} (layer {layer.name!r})."
        )
    moving = np.any(steps != 0, axis=1)
    if not np.all(moving) and not (may_rest and np.ptp(rows) == 0):
        raise ValueError(
            "Each sample needs an interval to go through, two different times at least. "
            f"Received: {row(rows, ~moving)} (layer {layer.name!r})."
        )


def check_real(name: str, x: Any) -> None:
    """Refuses a tensor of truth values or complex numbers."""
    dtype = keras.backend.standardize_dtype(x.dtype)
    if "float" not in dtype and "int" not in dtype:
        raise ValueError(f"`{name}` must be real numbers. Received: {name} of dtype {dtype}.")


def agree(one: Any, other: Any) -> bool:
    """Whether two sizes are equal, as far as they are known."""
    return not (isinstance(one, int) and isinstance(other, int)) or one == other


def row(rows: np.ndarray, bad: np.ndarray) -> str:
    """The first row of times that is bad, as a message shows it."""
    place = int(np.argmax(bad))
    return f"times={brief(rows[place])}" + (f" for sample {place}" if len(rows) > 1 else "")


def brief(values: np.ndarray) -> str:
    return np.array2string(values, threshold=8, edgeitems=4, precision=6).replace("\n", "")
