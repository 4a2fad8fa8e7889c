"""A vector field followed over several steps, in one loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from keras_rk.layers.loops import Loop
from keras_rk.layers.stages import StagePlan, step
from keras_rk.layers.vector_field import Effects, VectorField, cast

UNROLLED = 64  # evaluations of f: fewer are written out, see `Loop.scan`


class Solution(NamedTuple):
    """Where the steps lead.

    Attributes:
        y: the state of the network after the last step.
        state: the variables of f after the last evaluation.
        loss: the losses of f, summed over the steps, as their mean over the stages of each;
            None where f adds none.
        path: y after each step, along a new first axis; None unless it was asked for.
    """

    y: Any
    state: tuple
    loss: Any
    path: Any


class Integration:
    """`steps` steps of a method.

    Args:
        plan: the evaluations of one step.
        steps: how many steps there are, each with the same f.
        loop: what runs them.
    """

    def __init__(self, plan: StagePlan, steps: int, loop: Loop) -> None:
        self.plan = plan
        self.steps = steps
        self.loop = loop
        self._effects: dict = {}

    def effects(
        self, field: VectorField, y: Any, read: Callable[[], Sequence[Any]] | None = None
    ) -> Effects:
        """What evaluations of the field do; looked up once for each kind of call.

        Args:
            read: returns values for the variables of f; those that they have by default.
        """
        if field.key not in self._effects:
            self._effects[field.key] = field.effects(y, (read or field.read)())
        return self._effects[field.key]

    def step(self, field: VectorField, y: Any, state: tuple, factors: Any) -> tuple:
        """One step: y, the variables of f, and the mean of its losses over the stages."""
        plan = self.plan
        if factors is not None:
            plan = plan.with_factors(ops.unstack(factors, len(plan.factors)))
        y, state, losses = step(field, y, state, plan)
        loss = total(losses, plan.dtype)
        return y, state, None if loss is None else loss / len(plan.stages)

    def solve(
        self,
        field: VectorField,
        y: Any,
        state: tuple,
        *,
        effects: Effects | None = None,
        factors: Any = None,
        path: bool = False,
    ) -> Solution:
        """The steps from y.

        Args:
            effects: those of `field`, needed for more than one step.
            factors: a vector of other factors for the plan.
            path: whether to keep y after each step.
        """
        if self.steps == 1 or effects is None:
            y, state, loss = self.step(field, y, state, factors)
            return Solution(y, state, loss, y[None] if path else None)
        written, others = effects.split(state)

        def body(carry: tuple, _x: tuple, constants: tuple) -> tuple:
            y, written, losses = carry
            others, further, factors = constants
            block, state = field.with_constants(further), effects.merge(written, others)
            y, state, loss = self.step(block, y, state, factors[0] if factors else None)
            losses = tuple(sum_so_far + loss for sum_so_far in losses)
            written = cast_like(effects.split(state)[0], written)
            return (y, written, losses), ((y,) if path else ())

        losses = (ops.zeros((), self.plan.dtype),) if effects.losses else ()
        constants = others, tuple(field.constants()), () if factors is None else (factors,)
        (y, written, losses), kept = self.loop.scan(
            body,
            (y, written, losses),
            (),
            constants,
            self.steps,
            outputs=(y,) if path else (),
            key=("steps", field.key, path),
            traceable=not effects.reads_foreign,
            unroll=self.steps * len(self.plan.stages) <= UNROLLED,
        )
        loss = losses[0] if losses else None
        return Solution(y, effects.merge(written, others), loss, kept[0] if path else None)


def total(losses: Sequence[Any], dtype: str) -> Any:
    """The sum of losses of any shape; None where there are none."""
    sums = [ops.sum(cast(loss, dtype)) for loss in losses]
    return sum(sums[1:], start=sums[0]) if sums else None


def cast_like(values: Sequence[Any], others: Sequence[Any]) -> tuple:
    """`values` with the dtypes of `others`, as a loop needs them."""
    return tuple(
        cast(value, keras.backend.standardize_dtype(other.dtype))
        for value, other in zip(values, others, strict=True)
    )
