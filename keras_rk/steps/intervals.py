"""Positions within one or several intervals of time.

A position is an interval j, from times[j] to times[j + 1], and a distance from its start. Distances
are measured in the length of the interval, of which each sample may have its own, forwards or
backwards in time; with one step size for the batch, in the length of the longest.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops


def interval_at(times: Any, number: Any) -> tuple[Any, Any]:
    """Where an interval starts, and its length with its sign.

    Args:
        times: of shape (times,), or (times, batch, 1, ...).
        number: that of the interval; a scalar, or one for each sample, of shape (batch, 1, ...).
    """
    if times.shape[0] == 2:
        return times[0], times[1] - times[0]
    starts, lengths = times[:-1], times[1:] - times[:-1]
    places = np.arange(times.shape[0] - 1, dtype="int32")
    rank = max(len(times.shape) - 1, len(number.shape))
    here = ops.equal(np.reshape(places, (-1, *(1 for _ in range(rank)))), number)
    missing = rank - (len(times.shape) - 1)
    if missing:
        shape = (-1, *(1 for _ in range(missing)))
        starts, lengths = ops.reshape(starts, shape), ops.reshape(lengths, shape)

    def of(values: Any) -> Any:
        return ops.sum(ops.where(here, values, ops.zeros_like(values)), axis=0)

    return of(starts), of(lengths)


def measure(length: Any, like: Any, by_sample: bool) -> tuple[Any, Any]:
    """The size of an interval in the measure of steps, also where that would be zero.

    Args:
        length: that of the interval, with its sign.
        like: a value with the shape of the result.
        by_sample: whether each sample has its own steps.
    """
    size = ops.abs(length)
    if not by_sample:
        size = ops.max(size)
    size = size + ops.zeros_like(like)
    return size, ops.where(size > 0, size, ops.ones_like(size))
