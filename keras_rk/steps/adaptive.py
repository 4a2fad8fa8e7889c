"""Steps of a pair whose sizes follow from their errors, over one or several intervals of time.

A position is an interval j, from times[j] to times[j + 1], and a distance from its start. Distances
are measured in the length of the interval, of which each sample may have its own, forwards or
backwards in time; with one step size for the batch, in the length of the longest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from keras_rk import loops
from keras_rk.butcher.tableau import Tableau
from keras_rk.field.vector_field import VectorField
from keras_rk.loops.common import Marching
from keras_rk.steps.stages import StagePlan, Term, stage_plan, weighted_sum
from keras_rk.steps.step_control import (
    LARGEST_NORM,
    SMALLEST_NORM,
    STRETCH,
    StepControl,
)


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


class Solved(NamedTuple):
    """Where the steps lead.

    Attributes:
        y: the state at the last time, or at all times along a new second axis; NaN where it was
            not reached.
        accepted, tried: the numbers of accepted steps and of tries, as their means over the
            samples.
        failed: how many samples did not get to the end.
        tries: how often the method was tried for the batch.
    """

    y: Any
    accepted: Any
    tried: Any
    failed: Any
    tries: Any


@dataclass(frozen=True)
class Stages:
    """The evaluations of a step, with factors for dt = 1."""

    plan: StagePlan
    nodes: tuple[float, ...]

    @classmethod
    def of(cls, tableau: Tableau, dtype: str, estimate: bool) -> Stages:
        plan = stage_plan(tableau, 1, dtype, estimate=estimate)
        return cls(plan, tuple(float(tableau.exact_c[i]) for i in plan.stages))

    def step(self, evaluate: Any, y: Any, t: Any, h: Any, first: tuple = ()) -> tuple[Any, list]:
        """y after the step from (t, y) of size h, and the stage derivatives.

        Args:
            first: the first of them, where it is known.
        """
        found: list = list(first)
        new = None
        for node, row in list(zip(self.nodes, self.plan.rows, strict=True))[len(found) :]:
            stage = _moved(y, h, row, found)
            found.append(evaluate(stage, t + node * h if node else t))
            if row == self.plan.update:  # the last stage of a FSAL method
                new = stage
        return _moved(y, h, self.plan.update, found) if new is None else new, found


def _moved(y: Any, h: Any, terms: Sequence[Term], slopes: list) -> Any:
    return y + h * weighted_sum(terms, slopes) if terms else y


class AdaptiveIntegration:
    """Steps of an embedded pair.

    Args:
        tableau: the pair.
        order: the lower of its orders.
        dtype: that of y.
        rtol, atol: the tolerances.
        most: the number of tries after which samples that are not done have failed.
        by_sample: whether each sample has its own steps.
        first_size: the size of the first step; None to guess it.
        loop: what runs the tries.
    """

    def __init__(
        self,
        tableau: Tableau,
        order: int,
        dtype: str,
        rtol: float,
        atol: float,
        most: int,
        by_sample: bool,
        first_size: float | None,
        loop: loops.Loop,
    ) -> None:
        self.dtype = dtype
        self.rtol, self.atol, self.order = rtol, atol, order
        self.most = most
        self.by_sample = by_sample
        self.first_size = first_size
        self.loop = loop
        self._tries = Stages.of(tableau, dtype, True)
        self._steps = Stages.of(tableau, dtype, False)
        stages = self._tries.plan.stages
        self._reuses = tableau.is_fsal and {0, tableau.stages - 1} <= set(stages)

    @property
    def evaluations_at_start(self) -> int:
        return 2 if self.first_size is None else int(self._reuses)

    @property
    def evaluations_of_a_try(self) -> int:
        return len(self._tries.plan.stages) - self._reuses

    def solve(
        self, field: VectorField, state: tuple, y: Any, times: Any, *, kind: Any, traceable: bool
    ) -> Solved:
        """y at the times, from the first one on.

        Args:
            state: values for the variables of the field.
            times: of shape (times,), or (times, batch, 1, ...) with as many axes after the first
                as y has.
            kind: what stands for the kind of call, for traces.
        """
        several = times.shape[0] > 2
        march = _March(self, field, y, several)
        marching = Marching(
            control=_structure(self._reuses, several),
            record=Record(0, 0, 0),
            begin=march.begin,
            attempt=march.attempt,
            advance=march.advance,
            most=self.most,
            path=several,
        )
        given = times, tuple(state), tuple(field.constants())
        key = "march", kind, self.by_sample, len(times.shape), several
        found = self.loop.march(marching, y, given, key=key, traceable=traceable)
        control = Control(*found.control)
        done = ops.equal(control.interval, times.shape[0] - 1)
        y_end = ops.where(done, found.state, float("nan"))
        if several:
            y_end = self._at_times(y, y_end, found.path, control)
        samples = ops.cast(ops.shape(y)[0], "int32") if not self.by_sample else 1
        failed = ops.sum(ops.cast(ops.logical_not(done), "int32")) * samples
        return Solved(
            y_end,
            ops.mean(ops.cast(control.accepted, self.dtype)),
            ops.mean(ops.cast(control.tried, self.dtype)),
            failed,
            ops.max(control.tried),
        )

    def _at_times(self, y: Any, y_end: Any, path: Any, control: Control) -> Any:
        """y at all times, shape (batch, times, ...), from the states before all steps."""
        (reached,) = control.reached  # (times between, [batch, 1, ...])
        index = ops.clip(reached, 0, ops.shape(path)[0] - 1)
        shape = ops.shape(y)
        if self.by_sample:
            index = ops.broadcast_to(index, (reached.shape[0], *shape))
            between = ops.take_along_axis(path, index, axis=0)
        else:
            between = ops.take(path, index, axis=0)
            reached = ops.reshape(reached, (-1, *(1 for _ in y.shape)))
        between = ops.where(reached >= 0, between, float("nan"))
        return ops.moveaxis(ops.concatenate([y[None], between, y_end[None]], axis=0), 0, 1)


def _structure(reuses: bool, several: bool) -> Control:
    slope, reached = (0,) if reuses else (), (0,) if several else ()
    return Control(0, 0, 0, 0, 0, 0, 0, 0, slope, reached, 0)


class _March:
    """The functions that a march consists of, for one call."""

    def __init__(
        self, owner: AdaptiveIntegration, field: VectorField, y: Any, several: bool
    ) -> None:
        self.owner = owner
        self.field = field
        self.several = several
        self._rank = len(y.shape)
        axes = tuple(range(1, self._rank)) if owner.by_sample else None
        self.control = StepControl(owner.rtol, owner.atol, owner.order, axes)
        # On PyTorch, dropout may draw from its generator, whatever the state of a seed says.
        self._generator = loops.Generator() if field.seeds else None
        if self._generator is not None:
            self._generator.before(0, y)

    def _f(self, constants: tuple) -> Any:
        """f(y, t), with the same random numbers each time."""
        _, state, further = constants
        field = self.field.with_constants(further)

        def evaluate(y: Any, t: Any) -> Any:
            if self._generator is not None:
                self._generator.before(2, y)  # back to where it was at first
            return field(state, y, t).k

        return evaluate

    def _interval(self, times: Any, number: Any) -> tuple[Any, Any]:
        """Where an interval starts, and its length with its sign."""
        if not self.several:
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

    def _unit(self, length: Any, number: Any) -> tuple[Any, Any]:
        """The size of an interval in the measure of steps, also where that would be zero."""
        size = ops.abs(length)
        if not self.owner.by_sample:
            size = ops.max(size)
        size = size + ops.zeros_like(number)
        return size, ops.where(size > 0, size, ops.ones_like(size))

    def begin(self, y: Any, constants: tuple) -> Control:
        owner, control = self.owner, self.control
        times, *_ = constants
        axes = tuple(range(1, self._rank))
        zero = ops.zeros((), owner.dtype)
        if owner.by_sample:
            zero = ops.zeros_like(ops.max(y, axis=axes, keepdims=True) if axes else y)
        none, no = ops.cast(zero, "int32"), zero > 1
        start, length = self._interval(times, none)
        _, unit = self._unit(length, zero)
        direction = length / unit
        evaluate = self._f(constants)
        t = start + (0 * zero if owner.by_sample else 0)
        slope = evaluate(y, t) if owner.evaluations_at_start else None
        if owner.first_size is not None:
            size = zero + owner.first_size
        else:
            k = direction * slope
            guess, steepness = control.first_guess(y, k)
            guess = ops.minimum(guess, unit)
            change = evaluate(y + guess * k, t + guess * direction) - slope
            size = control.first_step(y, guess, steepness, direction * change)
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
            slope=(slope,) if owner._reuses else (),
            reached=reached,
            steps=ops.zeros((), "int32"),
        )

    def attempt(self, y: Any, before: Control, constants: tuple) -> tuple:
        before = Control(*before)
        owner, control = self.owner, self.control
        times, *_ = constants
        last_interval = times.shape[0] - 1
        number = ops.minimum(before.interval, last_interval - 1)
        start, length = self._interval(times, number)
        size, unit = self._unit(length, before.distance)
        left = size - before.distance
        is_last = STRETCH * before.size >= left
        h = ops.where(is_last, left, before.size)
        direction = length / unit
        t = start + before.distance * direction
        step = h * direction

        stages = owner._tries
        new, slopes = stages.step(self._f(constants), y, t, step, before.slope)
        error = step * weighted_sum(stages.plan.estimate, slopes)
        norm = control.norm(error, y, new)
        norm = ops.where(norm < LARGEST_NORM, norm, LARGEST_NORM)

        active = ops.logical_and(before.interval < last_interval, ops.logical_not(before.failed))
        accepted = ops.logical_and(active, norm <= 1)
        if_accepted, if_rejected = control.factors(norm, before.norm)
        longer = h / if_accepted
        longer = ops.where(before.rejected, ops.minimum(longer, h), longer)
        # A step that was cut off says nothing against the size that was wanted.
        longer = ops.where(is_last, ops.maximum(longer, before.size), longer)
        shorter = h / if_rejected
        ends = ops.logical_and(accepted, is_last)
        too_small = 0.1 * before.size <= _EPSILON[owner.dtype] * before.distance
        gives_up = ops.logical_and(ops.logical_and(active, too_small), ops.logical_not(accepted))

        distance = ops.where(accepted, before.distance + h, before.distance)
        after_size = ops.where(accepted, longer, ops.where(active, shorter, before.size))
        interval = before.interval + ops.cast(ends, "int32")
        failed = ops.logical_or(before.failed, gives_up)
        kept = ops.any(accepted)
        steps = before.steps + ops.cast(kept, "int32")
        reached = before.reached
        if self.several:
            places = np.arange(1, last_interval, dtype="int32")
            places = np.reshape(places, (-1, *(1 for _ in interval.shape)))
            now = ops.logical_and(ops.equal(places, interval), ends)
            reached = (ops.where(now, steps, before.reached[0]),)
        after = Control(
            interval=interval,
            distance=ops.where(ends, ops.zeros_like(distance), distance),
            size=after_size,
            norm=ops.where(accepted, ops.maximum(norm, SMALLEST_NORM), before.norm),
            rejected=ops.logical_and(active, ops.logical_not(accepted)),
            failed=failed,
            accepted=before.accepted + ops.cast(accepted, "int32"),
            tried=before.tried + ops.cast(active, "int32"),
            slope=tuple(ops.where(accepted, slopes[-1], k) for k in before.slope),
            reached=reached,
            steps=steps,
        )
        part = h / unit  # zero in an empty interval
        record = Record(
            number, before.distance / unit, ops.where(accepted, part, ops.zeros_like(part))
        )
        more = ops.any(ops.logical_and(interval < last_interval, ops.logical_not(failed)))
        return ops.where(accepted, new, y), after, record, kept, more

    def advance(self, y: Any, record: Record, constants: tuple) -> Any:
        record = Record(*record)
        times, *_ = constants
        start, length = self._interval(times, record.interval)
        t, step = start + record.start * length, record.size * length
        new, _ = self.owner._steps.step(self._f(constants), y, t, step)
        return ops.where(record.size > 0, new, y)


_EPSILON = {name: float(np.finfo(name).eps) for name in ("float32", "float64")}
