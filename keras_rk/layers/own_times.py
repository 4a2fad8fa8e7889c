"""`dt` and `times` of a call: how they are read, how Keras carries them, the steps they mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rk import loops
from keras_rk.layers.arguments import step_size, truth
from keras_rk.layers.time_checks import (
    array_of_numbers,
    check_call,
    check_step_size,
    check_times,
    check_within,
)
from keras_rk.layers.times import over_time, per_sample
from keras_rk.loops.common import is_tensor
from keras_rk.steps.clock import Clock, steps_between, steps_of_size
from keras_rk.steps.dense_output import interpolated


class Held:
    """A value that passes through Keras as it is: a tensor would be cast to half precision."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


@dataclass(frozen=True)
class OwnTimes:
    """The time of a call: a step size, or times at which y is wanted.

    Attributes:
        dt: an array where its numbers are given as such, or a tensor; None for the layer's.
        times: likewise; None where there is `dt` alone.
        interpolate: whether y at `times` is interpolated between steps of size `dt`.
    """

    dt: Any = None
    times: Any = None
    interpolate: bool = False

    def arguments(self, symbolic: bool) -> dict[str, Any]:
        """These as arguments of a call that Keras makes.

        Args:
            symbolic: whether the call is recorded, to be saved.
        """
        pack = _recorded if symbolic else Held
        packed: dict[str, Any] = {
            name: pack(value)
            for name, value in (("dt", self.dt), ("times", self.times))
            if value is not None
        }
        return {**packed, "interpolate": True} if self.interpolate else packed

    def clock(self, y: Any, start: float, blocks: int | None, steps: int, with_time: bool) -> Clock:
        """The steps of the call.

        Args:
            y: the state at the beginning.
            start: t_0, where `dt` alone is given.
            blocks: how many there are, each for one interval; None for a single layer.
            steps: how many steps an interval has.
            with_time: whether f takes t.
        """
        dtype = keras.backend.standardize_dtype(y.dtype)
        h, times = self._beside(y)
        first: Any = start if times is None else times[0]
        if h is None:
            sizes, starts = steps_between(times, steps, blocks is not None)
            rests = not isinstance(sizes, np.ndarray) or not np.all(sizes)
        else:
            sizes, starts = steps_of_size(h, first, blocks, steps)
            rests = times is None and not isinstance(h, np.ndarray) and _is_by_sample(h)
        sizes, starts, first = (ops.convert_to_tensor(x, dtype) for x in (sizes, starts, first))
        if not with_time:
            return Clock(sizes, None, (y,) if rests else ())
        return Clock(sizes, starts, (y, first) if rests else ())

    def interpolated(self, y: Any, path: Any, dense: Sequence[Any]) -> Any:
        """y at the times after the first, by what is known of each step."""
        h, times = self._beside(y)
        return interpolated(
            y, path, dense, *(ops.convert_to_tensor(x, y.dtype) for x in (h, times))
        )

    def _beside(self, y: Any) -> tuple[Any, Any]:
        """`dt` and `times`, `(T, ...)`, in the dtype of y and such that they broadcast to it."""
        rank, h, times = len(y.shape), self.dt, self.times
        if not all(x is None or isinstance(x, np.ndarray) for x in (h, times)):
            h, times = (None if x is None else ops.cast(x, y.dtype) for x in (h, times))
        if h is not None and times is not None and len(h.shape) < len(times.shape) - 1:
            h = h.reshape(1) if isinstance(h, np.ndarray) else ops.reshape(h, (1,))
        h = None if h is None else per_sample(h, rank)
        return h, None if times is None else over_time(times, rank)


def own_times(layer: Any, y: Any, dt: Any, times: Any, interpolate: Any) -> OwnTimes | None:
    """The time of a call, with what is known of it checked; None where none is given.

    Args:
        layer: a layer of a method.
        y: what it is called with.
    """
    if dt is None and times is None and interpolate is False:
        return None
    if isinstance(dt, Held) or isinstance(times, Held):  # checked already
        return OwnTimes(dt and dt.value, times and times.value, interpolate)
    h, t, between = _step_size(dt), _numbers("times", times), truth("interpolate", interpolate)
    check_call(layer, h, t, between)
    if between and h is None:
        h = np.array(float(layer.exact_dts[0]))
    if h is not None:
        check_step_size(h, y, layer)
    if t is not None:
        check_times(t, y, layer)
    if between:
        check_within(h, t, y, layer)
    return OwnTimes(h, t, between)


def _is_by_sample(h: Any) -> bool:
    """Whether a step size that broadcasts to y is one for each sample, and not for parts of it."""
    return len(h.shape) > 0 and all(size == 1 for size in h.shape[1:])


def _step_size(dt: Any) -> Any:
    is_array = is_tensor(dt) or isinstance(dt, (list, tuple, keras.Variable))
    return _numbers("dt", dt) if dt is None or is_array else np.array(float(step_size(dt)[1]))


def _numbers(name: str, value: Any) -> Any:
    """An array in float64 for numbers given as such, else a tensor."""
    if value is None or isinstance(value, keras.KerasTensor):
        return value
    if isinstance(value, (np.ndarray, np.generic, list, tuple)):
        return array_of_numbers(name, value)
    if isinstance(value, keras.Variable):
        return loops.value(value)
    if is_tensor(value):
        return ops.convert_to_tensor(value)
    raise ValueError(f"`{name}` must be a tensor or a list of numbers. Received: {name}={value!r}.")


def _recorded(value: Any) -> Any:
    """A value as a model's configuration can hold it."""
    if isinstance(value, keras.KerasTensor):
        return value
    return np.asarray(ops.convert_to_numpy(value), "float64").tolist()
