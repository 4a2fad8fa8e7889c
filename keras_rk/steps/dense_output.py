"""y between the steps of a method, by its continuous extension.

u(t_n + theta h) = y_n + h sum_i b_i(theta) k_i = y_n + theta d_1 + theta^2 d_2 + ...
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rk import tableaux
from keras_rk.butcher.tableau import Tableau


def with_extension(tableau: Tableau) -> Tableau:
    """A method with its continuous extension: its own, a published one, or else cubic Hermite."""
    if tableau.exact_b_theta is not None:
        return tableau
    if tableau.name in tableaux.continuous_names() and tableaux.get(tableau.name) == tableau:
        return tableaux.continuous(tableau.name)
    return tableaux.hermite(tableau)


def interpolated(y: Any, path: Any, dense: Sequence[Any], h: Any, times: Any) -> Any:
    """The values at the times after the first, `(T - 1, *y.shape)`; NaN beyond the steps.

    Args:
        y: the state at the first time.
        path: that after each step, along a new first axis.
        dense: r_1, r_2, ... of each step, likewise.
        h: the size of the steps, a scalar or one for each sample, `(batch, 1, ...)`.
        times: `(T,)`, or `(T, batch, 1, ...)`.
    """
    rank, count = len(y.shape), path.shape[0]
    if len(times.shape) == 1:
        times = ops.reshape(times, (-1, *[1] * rank))
    position = (times[1:] - times[0]) / h
    index = ops.clip(ops.cast(position, "int32"), 0, count - 1)
    theta = position - ops.cast(index, y.dtype)
    begins = ops.concatenate([y[None], path[:-1]], axis=0)
    rows = _Rows(index)
    increment: Any = 0.0
    for place in reversed(range(len(dense))):
        increment = (rows.of(dense[place]) + increment) * (1 - theta if place % 2 else theta)
    values = rows.of(begins) + increment
    slack = 8 * float(np.finfo(keras.backend.standardize_dtype(y.dtype)).eps)
    slack = slack * (count + ops.abs(times[1:] / h))
    inside = ops.logical_and(position >= -slack, position <= count + slack)
    return ops.where(inside, values, float("nan"))


class _Rows:
    """The rows of arrays along their first axis at an index, `(T, 1, ...)` or `(T, batch, 1, ...)`.

    Which of the two is known from the static shape, except for a batch of one, where both agree.
    """

    def __init__(self, index: Any) -> None:
        self._index = index
        self._is_one = all(size == 1 for size in index.shape[1:])

    def of(self, x: Any) -> Any:
        """`(T, *x.shape[1:])`."""
        if self._is_one:
            return ops.take(x, ops.reshape(self._index, (-1,)), axis=0)
        shape = (self._index.shape[0], *ops.shape(x)[1:])
        return ops.take_along_axis(x, ops.broadcast_to(self._index, shape), axis=0)
