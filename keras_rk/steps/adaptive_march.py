"""The tries of a pair whose step sizes follow from their errors: the functions of one call.

A position is the number of an interval and the distance from its start, see `intervals`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from keras_rk import loops
from keras_rk.field.vector_field import VectorField
from keras_rk.loops.common import Marching
from keras_rk.steps.intervals import interval_at, measure
from keras_rk.steps.stages import weighted_sum
from keras_rk.steps.step_control import LARGEST_NORM, SMALLEST_NORM, STRETCH, StepControl
from keras_rk.steps.unit_stages import UnitStages

_EPSILON = {name: float(np.finfo(name).eps) for name in ("float32", "float64")}


@dataclass(frozen=True)
class Rules:
    """What is the same for all calls.

    Attributes:
        tries: the stages of a try.
        steps: those of a step whose size is known.
        reuses: whether the last stage of a step is the first one of the next.
        order: the lower one of the pair.
        dtype: that of y.
        rtol, atol: the tolerances.
        by_sample: whether each sample has its own steps.
        first_size: the size of the first step; None to guess it.
    """

    tries: UnitStages
    steps: UnitStages
    reuses: bool
    order: int
    dtype: str
    rtol: float
    atol: float
    by_sample: bool
    first_size: float | None

    @property
    def evaluations_at_start(self) -> int:
        return 2 if self.first_size is None else int(self.reuses)

    @property
    def evaluations_of_a_try(self) -> int:
        return len(self.tries.plan.stages) - self.reuses


class Control(NamedTuple):
    """What is known between two tries. All but `steps` and `reached`: of each sample, or the batch.

    Attributes:
        interval: the number of the present interval; that of intervals when done.
        distance: how far into it.
        size: the size of the next step, positive, in time.
        norm: that of the error of the step before.
        rejected: whether the last try was.
        failed: whether steps have become so small that they lead nowhere.
        accepted, tried: how many steps, and tries.
        slope: f at the present position, where the method reuses it, else empty.
        reached: for each time, before which step it was reached; empty for one interval.
        steps: how many tries were kept.
    """

    interval: Any
    distance: Any
    size: Any
    norm: Any
    rejected: Any
    failed: Any
    accepted: Any
    tried: Any
    slope: tuple
    reached: tuple
    steps: Any


class Record(NamedTuple):
    """A step: its interval, and where in there it begins and how long it is, as fractions."""

    interval: Any
    start: Any
    size: Any


class _Try(NamedTuple):
    """A step that is tried.

    Attributes:
        interval: the number of its interval.
        unit: the measure of steps in there.
        is_last: whether it leads to the end of the interval.
        size: positive, in time.
        t: when it begins.
        step: its size with its sign.
    """

    interval: Any
    unit: Any
    is_last: Any
    size: Any
    t: Any
    step: Any


class AdaptiveMarch:
    """The functions that a march consists of, for one call.

    Args:
        rules: what is the same for all calls.
        field: f.
        y: the state at the beginning.
        several: whether there is more than one interval.
    """

    def __init__(self, rules: Rules, field: VectorField, y: Any, several: bool) -> None:
        self.rules = rules
        self.field = field
        self.several = several
        self._rank = len(y.shape)
        axes = tuple(range(1, self._rank)) if rules.by_sample else None
        self.control = StepControl(rules.rtol, rules.atol, rules.order, axes)
        # On PyTorch, dropout may draw from its generator, whatever the state of a seed says.
        self._generator = loops.Generator() if field.seeds else None
        if self._generator is not None:
            self._generator.before(0, y)

    def marching(self, most: int) -> Marching:
        """What a loop runs, with at most so many tries."""
        slope, reached = (0,) if self.rules.reuses else (), (0,) if self.several else ()
        return Marching(
            control=Control(0, 0, 0, 0, 0, 0, 0, 0, slope, reached, 0),
            record=Record(0, 0, 0),
            begin=self.begin,
            attempt=self.attempt,
            advance=self.advance,
            most=most,
            path=self.several,
        )

    def _f(self, constants: tuple) -> Any:
        """f(y, t), with the same random numbers each time."""
        _, state, further = constants
        field = self.field.with_constants(further)

        def evaluate(y: Any, t: Any) -> Any:
            if self._generator is not None:
                self._generator.before(2, y)  # back to where it was at first
            return field(state, y, t).k

        return evaluate

    def begin(self, y: Any, constants: tuple) -> Control:
        rules = self.rules
        times, *_ = constants
        axes = tuple(range(1, self._rank))
        zero = ops.zeros((), rules.dtype)
        if rules.by_sample:
            zero = ops.zeros_like(ops.max(y, axis=axes, keepdims=True) if axes else y)
        none, no = ops.cast(zero, "int32"), zero > 1
        start, length = interval_at(times, none)
        evaluate = self._f(constants)
        t = start + (0 * zero if rules.by_sample else 0)
        slope = evaluate(y, t) if rules.evaluations_at_start else None
        if rules.first_size is not None:
            size = zero + rules.first_size
        else:
            size = self._first_size(evaluate, y, t, slope, length, zero)
        reached: tuple = ()
        if self.several:
            between = np.zeros((times.shape[0] - 2, *(1 for _ in zero.shape)), "int32") - 1
            reached = (ops.convert_to_tensor(between) + ops.zeros_like(none)[None],)
        return Control(
            interval=none,
            distance=zero,
            size=size,
            norm=zero + SMALLEST_NORM,
            rejected=no,
            failed=no,
            accepted=none,
            tried=none,
            slope=(slope,) if rules.reuses else (),
            reached=reached,
            steps=ops.zeros((), "int32"),
        )

    def _first_size(self, evaluate: Any, y: Any, t: Any, slope: Any, length: Any, zero: Any) -> Any:
        """The size of the first step, from the slope and one after a short step of Euler's."""
        _, unit = measure(length, zero, self.rules.by_sample)
        direction = length / unit
        k = direction * slope
        guess, steepness = self.control.first_guess(y, k)
        guess = ops.minimum(guess, unit)
        change = evaluate(y + guess * k, t + guess * direction) - slope
        return self.control.first_step(y, guess, steepness, direction * change)

    def attempt(self, y: Any, before: Control, constants: tuple) -> tuple:
        before = Control(*before)
        times, *_ = constants
        last_interval = times.shape[0] - 1
        tried = self._try(times, before)
        stages = self.rules.tries
        new, slopes = stages.step(self._f(constants), y, tried.t, tried.step, before.slope)
        error = tried.step * weighted_sum(stages.plan.estimate, slopes)
        norm = self.control.norm(error, y, new)
        norm = ops.where(norm < LARGEST_NORM, norm, LARGEST_NORM)
        active = ops.logical_and(before.interval < last_interval, ops.logical_not(before.failed))
        accepted = ops.logical_and(active, norm <= 1)

        after = self._after(before, tried, norm, active, accepted)
        if self.several:
            after = after._replace(reached=self._reached(before, after, last_interval))
        slope = tuple(ops.where(accepted, slopes[-1], k) for k in before.slope)
        after = after._replace(slope=slope)
        part = tried.size / tried.unit  # zero in an empty interval
        record = Record(
            tried.interval,
            before.distance / tried.unit,
            ops.where(accepted, part, ops.zeros_like(part)),
        )
        is_on_its_way = ops.logical_and(
            after.interval < last_interval, ops.logical_not(after.failed)
        )
        y = ops.where(accepted, new, y)
        return y, after, record, ops.any(accepted), ops.any(is_on_its_way)

    def _try(self, times: Any, before: Control) -> _Try:
        """The step of the size that is wanted, cut off at the end of the interval."""
        number = ops.minimum(before.interval, times.shape[0] - 2)
        start, length = interval_at(times, number)
        size, unit = measure(length, before.distance, self.rules.by_sample)
        left = size - before.distance
        is_last = STRETCH * before.size >= left
        h = ops.where(is_last, left, before.size)
        direction = length / unit
        return _Try(number, unit, is_last, h, start + before.distance * direction, h * direction)

    def _after(
        self, before: Control, tried: _Try, norm: Any, active: Any, accepted: Any
    ) -> Control:
        """What is known after a try; not yet the slope, and which times were reached."""
        ends = ops.logical_and(accepted, tried.is_last)
        too_small = 0.1 * before.size <= _EPSILON[self.rules.dtype] * before.distance
        gives_up = ops.logical_and(ops.logical_and(active, too_small), ops.logical_not(accepted))
        distance = ops.where(accepted, before.distance + tried.size, before.distance)
        longer, shorter = self._sizes(before, tried, norm)
        return Control(
            interval=before.interval + ops.cast(ends, "int32"),
            distance=ops.where(ends, ops.zeros_like(distance), distance),
            size=ops.where(accepted, longer, ops.where(active, shorter, before.size)),
            norm=ops.where(accepted, ops.maximum(norm, SMALLEST_NORM), before.norm),
            rejected=ops.logical_and(active, ops.logical_not(accepted)),
            failed=ops.logical_or(before.failed, gives_up),
            accepted=before.accepted + ops.cast(accepted, "int32"),
            tried=before.tried + ops.cast(active, "int32"),
            slope=before.slope,
            reached=before.reached,
            steps=before.steps + ops.cast(ops.any(accepted), "int32"),
        )

    def _sizes(self, before: Control, tried: _Try, norm: Any) -> tuple[Any, Any]:
        """The size of the next step after one that is accepted, and after one that is not."""
        if_accepted, if_rejected = self.control.factors(norm, before.norm)
        longer = tried.size / if_accepted
        longer = ops.where(before.rejected, ops.minimum(longer, tried.size), longer)
        # A step that was cut off says nothing against the size that was wanted.
        longer = ops.where(tried.is_last, ops.maximum(longer, before.size), longer)
        return longer, tried.size / if_rejected

    def _reached(self, before: Control, after: Control, last_interval: int) -> tuple:
        """For each time between, before which step it was reached."""
        places = np.arange(1, last_interval, dtype="int32")
        places = np.reshape(places, (-1, *(1 for _ in after.interval.shape)))
        moved_on = after.interval > before.interval
        now = ops.logical_and(ops.equal(places, after.interval), moved_on)
        return (ops.where(now, after.steps, before.reached[0]),)

    def advance(self, y: Any, record: Record, constants: tuple) -> Any:
        record = Record(*record)
        times, *_ = constants
        start, length = interval_at(times, record.interval)
        t, step = start + record.start * length, record.size * length
        new, _ = self.rules.steps.step(self._f(constants), y, t, step)
        return ops.where(record.size > 0, new, y)
