"""The evaluations of f within one step: what each of them sees, and what is left of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

from keras_rk import loops
from keras_rk.field.effects import Effects
from keras_rk.field.overwritten import overwritten
from keras_rk.field.scope import Foreign
from keras_rk.field.vector_field import Evaluation, VectorField, is_seed


@dataclass(frozen=True)
class StatePolicy:
    """What becomes of the state of f over its evaluations.

    What is no moving statistic and no seed is handed on from one evaluation to the next.

    Attributes:
        statistics: f's moving statistics. (Which variables f has besides may change: when it is
            given LoRA weights, or quantized.)
        state: `"per_evaluation"`: each step and stage has moving statistics of its own;
            `"shared"`: all see and update the same in turn; `"first"`: all see the same, and the
            first stage of each step updates them.
        noise: `"per_step"`: all stages of a step draw the same random numbers; `"per_stage"`: each
            draws new ones.
    """

    statistics: tuple[keras.Variable, ...]
    state: str
    noise: str

    def places(self, variables: Sequence[keras.Variable]) -> tuple[int, ...]:
        """The positions of the moving statistics among the variables of f."""
        if not self.statistics:
            return ()
        known = {id(variable): place for place, variable in enumerate(variables)}
        return tuple(known[id(variable)] for variable in self.statistics)

    def multiplied(self, variables: Sequence[keras.Variable]) -> tuple[int, ...]:
        """The positions of those that have a value for each evaluation."""
        return self.places(variables) if self.state == "per_evaluation" else ()

    def separate(self, variables: Sequence[keras.Variable]) -> tuple[int, ...]:
        """The same, and after them those of which the gradients must not add up."""
        return *self.multiplied(variables), *overwritten(variables)


class Evaluations:
    """f at the stages of one step.

    Args:
        field: f.
        state: values for the variables of the field.
        statistics: the variables with a value for each evaluation, in the order of
            `StatePolicy.separate`: those of this step.
        times: the times of the stages; empty where f does not take t.
        effects: those of the field; needed for `remat`.
        remat: whether to compute what is inside f again for its gradient.
        scale: a factor of the derivatives, in their dtype; None for one.
    """

    def __init__(
        self,
        field: VectorField,
        policy: StatePolicy,
        state: tuple,
        statistics: Sequence[Sequence[Any]],
        times: Sequence[Any],
        stages: int,
        effects: Effects | None = None,
        remat: bool = False,
        scale: Any = None,
    ) -> None:
        self.field = field
        self._scale = scale
        self.policy = policy
        self.state = state
        self.losses: list = []
        self._start = state
        self._separate = policy.separate(field.variables)
        self._statistics = statistics
        self._left: list[list] = [[] for _ in statistics]
        self._times = times
        self._foreign: dict[int, Foreign] = {}
        self._effects = effects if remat else None
        self._repeats_draws = policy.noise == "per_step" and stages > 1
        self._generator = loops.Generator() if self._repeats_draws else None

    def __call__(self, place: int, y: Any) -> Any:
        """The derivative for the stage at that place."""
        if self._generator is not None:
            self._generator.before(place, y)
        state, t = self._seen(place), self._times[place] if len(self._times) else None
        k, new, losses, foreign = self._evaluate(state, y, t)
        for left, position in zip(self._left, self._separate, strict=True):
            left.append(new[position])
        self.state = self._after(place, new)
        self.losses += losses
        for change in foreign:
            self._note(change)
        return k if self._scale is None else k * self._scale

    def _seen(self, place: int) -> tuple:
        """The values that the variables of f have at this stage."""
        state = list(self.state)
        for position, values in zip(self._separate, self._statistics, strict=True):
            state[position] = values[place]
        if place and self._repeats_draws:
            for position in self.field.seeds:
                state[position] = self._start[position]
        return tuple(state)

    def _evaluate(self, state: tuple, y: Any, t: Any) -> Any:
        foreign = [
            (variable, before if self._repeats_draws and is_seed(variable) else value)
            for variable, before, value in self._foreign.values()
        ]
        if self._effects is None:
            return self.field(state, y, t, foreign)
        return self._rematerialised(self._effects, state, y, t)

    def _rematerialised(self, effects: Effects, state: tuple, y: Any, t: Any) -> Evaluation:
        """f as a function of tensors alone, all of its variables among them."""

        def pure(y: Any, written: tuple, others: tuple, t: tuple, constants: tuple) -> tuple:
            field = self.field.with_constants(constants)
            k, new, losses, _ = field(effects.merge(written, others), y, *t)
            return k, effects.split(new)[0], tuple(losses)

        written, others = effects.split(state)
        constants = tuple(self.field.constants())
        k, written, losses = loops.remat(
            pure, y, written, others, () if t is None else (t,), constants
        )
        return Evaluation(k, effects.merge(written, others), list(losses), ())

    def _after(self, place: int, new: tuple) -> tuple:
        """What the next stage, or the next step, finds."""
        state = list(new)
        kept = set(self._separate)
        if place and self.policy.state == "first":
            kept |= set(self.policy.places(self.field.variables))
        if place and self._repeats_draws:
            kept |= set(self.field.seeds)
        for position in kept:
            state[position] = self.state[position]
        return tuple(state)

    def _note(self, change: Foreign) -> None:
        known = self._foreign.get(id(change.variable))
        if known is None:
            self._foreign[id(change.variable)] = change
        elif not (self._repeats_draws and is_seed(change.variable)):
            self._foreign[id(change.variable)] = known._replace(value=change.value)

    def finish(self) -> None:
        """Assigns to the variables that f writes without owning them."""
        if self._generator is not None:
            self._generator.finish()
        for variable, _, value in self._foreign.values():
            variable.assign(value)

    @property
    def statistics(self) -> list[list]:
        """The variables with a value for each evaluation, as each stage has left them."""
        return self._left
