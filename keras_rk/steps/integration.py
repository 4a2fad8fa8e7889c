"""A vector field followed over several steps, in one loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from typing import Any, NamedTuple

import keras
from keras import ops

from keras_rk import loops
from keras_rk.field.effects import Effects
from keras_rk.field.evaluations import Evaluations, StatePolicy
from keras_rk.field.known_effects import KnownEffects
from keras_rk.field.overwritten import for_each_evaluation, overwritten
from keras_rk.field.vector_field import VectorField, cast
from keras_rk.steps.clock import Clock, Moment
from keras_rk.steps.stages import StagePlan, dense_step

UNROLLED = 16  # evaluations of f: no more are written out, see `Loop.scan`


class Solution(NamedTuple):
    """Where the steps lead.

    Attributes:
        y: the state of the network after the last step.
        state: the variables of f after the last evaluation.
        statistics: the moving statistics after all evaluations.
        loss: the losses of f, summed over the steps, as their mean over the stages of each;
            None where f adds none.
        error: the estimate of the error, as its mean over the steps; None where there is none.
        path: y after each step, along a new first axis; None unless it was asked for.
        dense: r_1, r_2, ... of each step, likewise, where the plan has a continuous extension.
    """

    y: Any
    state: tuple
    statistics: tuple
    loss: Any
    error: Any
    path: Any
    dense: tuple = ()


class Integration:
    """`steps` steps of a method.

    Args:
        plan: the evaluations of one step.
        steps: how many steps there are, each with the same f.
        loop: what runs them.
        policy: what becomes of the state of f.
        remat: what the backward pass computes again: each `"step"`, each `"stage"`, or nothing.
    """

    def __init__(
        self, plan: StagePlan, steps: int, loop: loops.Loop, policy: StatePolicy, remat: str | None
    ) -> None:
        self.plan = plan
        self.steps = steps
        self.loop = loop
        self.policy = policy
        self.remat = remat
        self._known = KnownEffects(plan.dtype)

    @property
    def needs_effects(self) -> bool:
        """Whether `solve` has to know what evaluations of f do."""
        return self.steps > 1 or self.remat is not None

    @property
    def evaluations(self) -> int:
        """How many evaluations of f there are."""
        return self.steps * len(self.plan.stages)

    def over(self, plan: StagePlan, steps: int) -> Integration:
        """Other steps of the same field, of which the same is known."""
        other = copy(self)
        other.plan, other.steps = plan, steps
        return other

    def effects(
        self, field: VectorField, y: Any, read: Callable[[], Sequence[Any]] | None = None
    ) -> Effects:
        """What evaluations of the field do.

        Args:
            read: returns values for the variables of f; those that they have by default.
        """
        return self._known.find(field, y, read)

    def solve(
        self,
        field: VectorField,
        y: Any,
        state: tuple,
        statistics: Sequence[Any] = (),
        *,
        effects: Effects | None = None,
        factors: Sequence[Any] = (),
        times: Any = None,
        path: bool = False,
        clock: Clock | None = None,
    ) -> Solution:
        """The steps from y.

        Args:
            state: values for the variables of the field.
            statistics: for each moving statistic with a value for each evaluation, these, along a
                first axis.
            effects: those of `field`, where `needs_effects`.
            factors: other factors for the plan, in its order; none for its own.
            times: the times of all evaluations, shape `(steps, stages)`, where f takes t.
            path: whether to keep y after each step.
            clock: sizes and starts of the steps, with a plan for steps of size 1.
        """
        spread = [
            for_each_evaluation(state[place], self.evaluations)
            for place in overwritten(field.variables)
        ]
        values = [*statistics, *spread]
        if effects is not None and (self.steps > 1 or self.remat == "step"):
            found = self._in_loop(field, y, state, values, effects, factors, times, path, clock)
        else:
            found = self._one_step(field, y, state, values, effects, factors, times, path, clock)
        return found._replace(statistics=found.statistics[: len(statistics)])

    def _one_step(
        self,
        field: VectorField,
        y: Any,
        state: tuple,
        statistics: Sequence[Any],
        effects: Effects | None,
        factors: Sequence[Any],
        times: Any,
        path: bool,
        clock: Clock | None,
    ) -> Solution:
        stages = len(self.plan.stages)
        rows = [loops.rows(values, stages) for values in statistics]
        row = () if times is None else ops.unstack(times[0], stages)
        moment = None if clock is None else clock.only
        y, state, left, loss, error, dense = self._step(
            field, y, state, rows, row, factors, effects, moment
        )
        statistics = tuple(
            old if all(a is b for a, b in zip(after, before, strict=True)) else ops.stack(after)
            for after, before, old in zip(left, rows, statistics, strict=True)
        )
        return Solution(
            y,
            state,
            statistics,
            loss,
            error,
            y[None] if path else None,
            tuple(vector[None] for vector in dense),
        )

    def _in_loop(
        self,
        field: VectorField,
        y: Any,
        state: tuple,
        statistics: Sequence[Any],
        effects: Effects,
        factors: Sequence[Any],
        times: Any,
        path: bool,
        clock: Clock | None,
    ) -> Solution:
        """The steps as iterations of a loop, of which all that changes is passed on or put out."""
        stages = len(self.plan.stages)
        separate = self.policy.separate(field.variables)
        changing = [n for n, place in enumerate(separate) if place in effects.written]
        carried = effects.without(separate)
        written, others = carried.split(state)

        def body(carry: tuple, x: tuple, constants: tuple) -> tuple:
            y, written, sums = carry
            statistics, times, moment = x
            others, further, factors, rest = constants
            y, new, left, *totals, dense = self._step(
                field.with_constants(further),
                y,
                carried.merge(written, others),
                [loops.rows(values, stages) for values in statistics],
                ops.unstack(times[0], stages) if times else (),
                factors,
                effects,
                Moment.of(moment, rest) if moment else None,
            )
            found = [value for value in totals if value is not None]
            sums = tuple(so_far + value for so_far, value in zip(sums, found, strict=True))
            left = tuple(cast(ops.stack(left[n]), _dtype(statistics[n])) for n in changing)
            written = cast_like(carried.split(new)[0], written)
            return (y, written, sums), (left, (y,) if path else (), dense)

        zero = ops.zeros((), self.plan.dtype)
        has_error = bool(self.plan.estimate)
        sums = (zero,) * (effects.losses + has_error)
        by_step = tuple(
            ops.reshape(values, (self.steps, stages, *values.shape[1:])) for values in statistics
        )
        carry = y, written, sums
        columns, rest = ((), ()) if clock is None else (clock.columns, clock.rest)
        xs = by_step, () if times is None else (times,), columns
        constants = others, tuple(field.constants()), tuple(factors), rest
        if self.steps == 1:
            first = keras.tree.map_structure(lambda values: values[0], xs)
            carry, kept = loops.remat(body, carry, first, constants)
            kept = keras.tree.map_structure(lambda value: value[None], kept)
        else:
            carry, kept = self.loop.scan(
                body,
                carry,
                xs,
                constants,
                self.steps,
                outputs=(
                    tuple(by_step[n][0] for n in changing),
                    (y,) if path else (),
                    (y,) * len(self.plan.dense),
                ),
                key=("steps", effects.kind, path, len(columns), len(rest), len(self.plan.dense)),
                traceable=effects.traceable,
                unroll=self.remat is None and self.evaluations <= UNROLLED,
                remat=self.remat == "step",
            )
        y, written, sums = carry
        left, states, dense = kept
        new = list(statistics)
        for n, values in zip(changing, left, strict=True):
            new[n] = ops.reshape(values, statistics[n].shape)
        return Solution(
            y,
            carried.merge(written, others),
            tuple(new),
            sums[0] if effects.losses else None,
            sums[-1] / self.steps if has_error else None,
            states[0] if path else None,
            dense,
        )

    def _step(
        self,
        field: VectorField,
        y: Any,
        state: tuple,
        statistics: Sequence[Sequence[Any]],
        times: Sequence[Any],
        factors: Sequence[Any],
        effects: Effects | None = None,
        moment: Moment | None = None,
    ) -> tuple:
        """One step: y, what is left of state and statistics, the loss, the error, its inside."""
        plan = self.plan.with_factors(factors) if len(factors) else self.plan
        remat = self.remat == "stage"
        stages = len(plan.stages)
        before, scale = y, None
        if moment is not None:
            y, start = moment.where_f_is_evaluated(y)
            scale = moment.size
            times = plan.times_from(start, scale, learned=len(factors) > 0)
        evaluations = Evaluations(
            field, self.policy, state, statistics, times, stages, effects, remat, scale
        )
        y, error, dense = dense_step(evaluations, y, plan)
        evaluations.finish()
        if moment is not None and moment.rest:
            y = ops.where(moment.is_some, y, before)
            error = None if error is None else ops.where(moment.is_some, error, 0 * before)
        loss = total(evaluations.losses, plan.dtype)
        return (
            y,
            evaluations.state,
            evaluations.statistics,
            None if loss is None else loss / stages,
            None if error is None else root_mean_square(error),
            dense,
        )


def root_mean_square(x: Any) -> Any:
    """sqrt(mean(x^2)), whose gradient at zero is zero."""
    mean = ops.mean(ops.square(x))
    is_zero = ops.equal(mean, 0)
    return ops.where(is_zero, 0 * mean, ops.sqrt(ops.where(is_zero, ops.ones_like(mean), mean)))


def total(losses: Sequence[Any], dtype: str) -> Any:
    """The sum of losses of any shape; None where there are none."""
    sums = [ops.sum(cast(loss, dtype)) for loss in losses]
    return sum(sums[1:], start=sums[0]) if sums else None


def cast_like(values: Sequence[Any], others: Sequence[Any]) -> tuple:
    """`values` with the dtypes of `others`, as a loop needs them."""
    return tuple(cast(value, _dtype(other)) for value, other in zip(values, others, strict=True))


def _dtype(value: Any) -> str:
    return keras.backend.standardize_dtype(value.dtype)
