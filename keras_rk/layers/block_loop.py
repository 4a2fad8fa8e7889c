"""The blocks of a stack as iterations of one loop: what goes in, one block, what comes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
from keras import ops

from keras_rk import loops
from keras_rk.field.effects import Effects
from keras_rk.field.vector_field import VectorField
from keras_rk.layers.stacked_layer import StackedLayer
from keras_rk.steps.clock import Clock
from keras_rk.steps.integration import Integration, cast_like, total


class Part(NamedTuple):
    """The vector field of a stack, or the layer after each block, in one call.

    Attributes:
        effects: what evaluations do.
        own: the same without moving statistics that are kept for each evaluation.
    """

    stacked: StackedLayer
    field: VectorField
    effects: Effects
    own: Effects

    def changed(self, state: Sequence[Any], before: Sequence[Any]) -> tuple:
        """What evaluations have assigned to the variables of a block, as these are typed."""
        return cast_like(self.own.split(state)[0], self.own.split(before)[0])


def parts_of_a_call(
    stacked: Sequence[StackedLayer],
    fields: Sequence[VectorField],
    integration: Integration,
    multiplied: Sequence[int],
    y: Any,
) -> list[Part]:
    """f and, if there is one, the layer after each block, with what they do at y.

    Args:
        multiplied: which of f's variables have a value for each evaluation.
    """
    effects = [
        integration.effects(field, y, part.first_block)
        for part, field in zip(stacked, fields, strict=True)
    ]
    foreign = list({id(variable): variable for e in effects for variable in e.foreign}.values())
    return [
        Part(part, field.owning(foreign), e, e.without(() if n else multiplied))
        for n, (part, field, e) in enumerate(zip(stacked, fields, effects, strict=True))
    ]


@dataclass(frozen=True)
class BlockLoop:
    """All blocks in one call.

    Attributes:
        parts: f, and the layer after each block.
        integration: the steps of a block.
        statistics: the moving statistics that are kept for each evaluation, of all blocks.
        changing: which of these the call assigns to.
        dtype: that of the state y.
        path: whether to keep y after each block.
    """

    parts: Sequence[Part]
    integration: Integration
    statistics: Sequence[Any]
    changing: Sequence[int]
    dtype: str
    path: bool

    @property
    def foreign(self) -> Sequence[keras.Variable]:
        """The variables that the blocks use and do not own."""
        return self.parts[0].field.foreign

    @property
    def written(self) -> list[keras.Variable]:
        """The stacked variables that the blocks assign to."""
        return [variable for part in self.parts for variable in part.stacked.written(part.own)]

    def run(
        self,
        loop: loops.Loop,
        y: Any,
        depth: int,
        factors: Any,
        times: Any,
        clock: Clock | None = None,
        common_factors: Sequence[Any] = (),
    ) -> tuple:
        """The last carry (y, foreign values, losses), and what each block puts out, stacked.

        Args:
            clock: sizes and starts of the steps of all blocks.
            common_factors: factors of the plan that all blocks have in common.
        """
        zero = ops.zeros((), self.dtype)
        steps, plan = self.integration.steps, self.integration.plan
        carry = (
            y,
            tuple(loops.value(variable, written=True) for variable in self.foreign),
            (zero,) if any(part.effects.losses for part in self.parts) else (),
        )
        columns, rest = ((), ()) if clock is None else (clock.columns, clock.rest)
        xs = (
            tuple(part.stacked.values(part.effects) for part in self.parts),
            tuple(self.statistics),
            () if factors is None else (factors,),
            () if times is None else (times,),
            columns,
        )
        outputs = (
            tuple(_one_block(variable) for variable in self.written),
            tuple(_one_block(self.statistics[n]) for n in self.changing),
            (zero,) if plan.estimate else (),
            (y,) if self.path else (),
        )
        return loop.scan(
            self._block,
            carry,
            xs,
            (
                tuple(tuple(part.field.constants()) for part in self.parts),
                (tuple(common_factors), rest),
            ),
            depth,
            outputs=outputs,
            key=(*(part.effects.kind for part in self.parts), self.path, len(columns), len(rest)),
            traceable=steps == 1 and all(part.effects.traceable for part in self.parts),
            remat=self.integration.remat == "step" and steps == 1,
        )

    def _block(self, carry: tuple, x: tuple, constants: tuple) -> tuple:
        """One iteration: the steps of a block, and the layer after it."""
        f, *after = self.parts
        y, foreign, losses = carry
        values, statistics, factors, times, columns = x
        further_inputs, (common_factors, rest) = constants
        if factors:
            common_factors = ops.unstack(factors[0], factors[0].shape[0])
        solution = self.integration.solve(
            f.field.with_constants(further_inputs[0]),
            y,
            (*values[0], *foreign),
            statistics,
            effects=f.effects.owning(len(values[0]), len(foreign)),
            factors=common_factors,
            times=times[0] if times else None,
            clock=Clock.of(columns, rest) if columns else None,
        )
        y, state = solution.y, solution.state
        written = f.changed(state, values[0])
        foreign = cast_like(state[len(values[0]) :], foreign)
        found = [] if solution.loss is None else [solution.loss]
        for part, own, further in zip(after, values[1:], further_inputs[1:], strict=True):
            y, state, added, _ = part.field.with_constants(further)((*own, *foreign), y)
            written += part.changed(state, own)
            foreign = cast_like(state[len(own) :], foreign)
            found += added
        if found:
            losses = (losses[0] + total(found, self.dtype),)
        left = [solution.statistics[n] for n in self.changing]
        outputs = (
            written,
            cast_like(left, [statistics[n] for n in self.changing]),
            () if solution.error is None else (solution.error,),
            (y,) if self.path else (),
        )
        return (y, foreign, losses), outputs


def _one_block(stacked: Any) -> keras.KerasTensor:
    dtype = keras.backend.standardize_dtype(stacked.dtype)
    return keras.KerasTensor(stacked.shape[1:], dtype=dtype)
