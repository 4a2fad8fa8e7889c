"""Steps of a call's own: their sizes, and the times at which they begin.

    t_(i,m) = t_i + m h_i,    h_i = (t_(i+1) - t_i) / steps        between the times of a call
    t_n     = t_0 + n h                                            with a step size of a call

Each is one number for all samples, or one for each, of shape `(batch, 1, ...)`, which broadcasts
to y. A step of size h along f is one of size 1 along h f.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from keras import ops


class Moment(NamedTuple):
    """One step of a clock: its size, and the time at which it begins."""

    size: Any
    start: Any = None
    rest: tuple = ()

    @classmethod
    def of(cls, columns: tuple, rest: tuple) -> Moment:
        """A step from what a loop slices."""
        return cls(*columns)._replace(rest=rest)

    @property
    def is_some(self) -> Any:
        """Whether the step is one, and leads anywhere."""
        return ops.not_equal(self.size, 0)

    def where_f_is_evaluated(self, y: Any) -> tuple[Any, Any]:
        """The y and the t from which the step is taken; those of rest where it is none."""
        if not self.rest:
            return y, self.start
        start = self.start
        if start is not None:
            start = ops.where(self.is_some, start, self.rest[1])
        return ops.where(self.is_some, y, self.rest[0]), start


class Clock(NamedTuple):
    """The steps of a call.

    Attributes:
        sizes: h of each step, shape `(steps, ...)`; in a stack `(blocks, steps, ...)`.
        starts: the time at which each begins, likewise; None where f does not take t.
        rest: y and t of the beginning, where some steps may be none (h = 0); else empty. A sample
            rests for such a step: f is evaluated where the sample has started, since it may be
            singular where it has arrived (at the end of the time), and the result is dropped.
    """

    sizes: Any
    starts: Any = None
    rest: tuple = ()

    @classmethod
    def of(cls, columns: tuple, rest: tuple) -> Clock:
        """A clock from what a loop slices."""
        return cls(*columns)._replace(rest=rest)

    @property
    def columns(self) -> tuple:
        """What a loop over the steps, or the blocks, slices."""
        return (self.sizes,) if self.starts is None else (self.sizes, self.starts)

    @property
    def only(self) -> Moment:
        """The step of a clock that has one."""
        return Moment.of(tuple(column[0] for column in self.columns), self.rest)


def steps_between(times: Any, steps: int, by_interval: bool) -> tuple[Any, Any]:
    """Sizes and starts of `steps` equal steps in each interval.

    Args:
        times: shape `(T, ...)`, an array or a tensor.
        by_interval: whether the intervals have an axis of their own, before that of the steps.
    """
    starts = times[:-1]
    sizes = (times[1:] - starts) / steps
    sizes, starts = (x[:, None] * _beside(np.ones((1, steps)), x, 1) for x in (sizes, starts))
    starts = starts + sizes * _beside(np.arange(steps)[None], sizes, 2)
    if by_interval:
        return sizes, starts
    shape = (sizes.shape[0] * steps, *([-1] + [1] * len(sizes.shape))[: len(sizes.shape) - 2])
    numbers = np if isinstance(sizes, np.ndarray) else ops
    return numbers.reshape(sizes, shape), numbers.reshape(starts, shape)


def steps_of_size(h: Any, start: Any, blocks: int | None, steps: int) -> tuple[Any, Any]:
    """Sizes and starts of steps of one size, `blocks * steps` of them; without blocks, `steps`."""
    shape = (steps,) if blocks is None else (blocks, steps)
    place = np.arange(np.prod(shape)).reshape(shape)
    sizes = h * _beside(np.ones(shape), h, 0)
    return sizes, start + sizes * _beside(place, sizes, len(shape))


def _beside(numbers: np.ndarray, x: Any, axes: int) -> Any:
    """Numbers of steps as factors of x, whose first axes are theirs."""
    numbers = numbers.reshape(*numbers.shape, *[1] * (len(x.shape) - axes))
    return numbers if isinstance(x, np.ndarray) else ops.convert_to_tensor(numbers, dtype=x.dtype)
