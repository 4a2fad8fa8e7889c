"""What the layers of a Runge-Kutta method share: how they are called."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_rk.field.copies import copy_of
from keras_rk.field.vector_field import VectorField, cast, is_seed, without_autocast
from keras_rk.layers.held_method import HeldMethod
from keras_rk.layers.own_times import Held, OwnTimes, own_times
from keras_rk.steps.order_penalty import order_penalty


class Passage(NamedTuple):
    """Where a call leads.

    Attributes:
        y: the state at the end.
        path: the states on the way, along a new first axis; None unless they are the result.
        loss: the losses of f; None where it adds none.
        error: the estimate of the error of each block; None where there is none.
    """

    y: Any
    path: Any
    loss: Any
    error: Any


class MethodLayer(HeldMethod):
    """The base of layers that take y along a vector field.

    A subclass says in `advance` where y goes, and in `length` how many states there are on the
    way after the first.
    """

    _gives_times = False  # while called with `times`

    @property
    def length(self) -> int:
        """How many states there are after the first, with `return_states`."""
        raise NotImplementedError

    @property
    def intervals(self) -> int | None:
        """How many intervals there are between the `times` of a call; None for any number."""
        return self._blocks

    def advance(
        self,
        y: Any,
        args: tuple,
        kwargs: dict[str, Any],
        mask: Any,
        training: bool | None,
        own: OwnTimes | None = None,
    ) -> Passage:
        """Where y goes.

        Args:
            own: the time of this call, where it is not the layer's.
        """
        raise NotImplementedError

    def method_of_a_call(self, field: VectorField) -> tuple[Any, Any]:
        """The factors of the plan, and the times of the evaluations where f takes t."""
        if self._integration.plan.dtype != self._state_dtype:  # the dtype policy was set anew
            self._prepare()
        times = self._method.times(*self._learned) if field.takes_time else None
        return self._method.factors(*self._learned), times

    def steps_of_a_call(self, field: VectorField, y: Any, own: OwnTimes) -> tuple:
        """The same for times of a call's own: the steps, the factors of their plan, the clock."""
        if self._integration.plan.dtype != self._state_dtype:
            self._prepare()
        start = float(self._exact_t0)
        clock = own.clock(y, start, self._blocks, self.steps, field.takes_time)
        steps = self.steps if self._blocks is not None else clock.sizes.shape[0]
        plan = self._method.dense_plan if own.interpolate else self._method.unit_plan
        integration = self._integration.over(plan, steps)
        self._check_evaluations(integration.evaluations)
        learned = self._learned.tableau
        factors = () if learned is None else learned.factors()
        return integration, [ops.cast(x, self._state_dtype) for x in factors], clock

    def _check_evaluations(self, number: int) -> None:
        """Refuses more or fewer evaluations than there are moving statistics for."""
        own = self._integration.evaluations
        if number == own or self.state != "per_evaluation":
            return
        has_one_set = self.statistics is None
        copy = partial(copy_of, self.layer)
        if has_one_set and (own > 1 or not self._places(self.layer, copy)):
            return
        raise ValueError(
            "f has moving statistics, of which each evaluation has its own with "
            "`state='per_evaluation'`, and `times` of a call make other evaluations than the layer "
            "was built for: choose `state='first'` or `state='shared'`. "
            f"Received: {number} evaluations in a call, statistics for {own} "
            f"(layer {self.name!r})."
        )

    def __call__(
        self,
        inputs: Any,
        *args: Any,
        dt: Any = None,
        times: Any = None,
        interpolate: bool = False,
        **kwargs: Any,
    ) -> Any:
        self.check_inputs(inputs)
        own = own_times(self, inputs, dt, times, interpolate)
        self.note_further_inputs(inputs, args, kwargs)
        if own is None:
            return super().__call__(inputs, *args, **kwargs)
        given = keras.tree.flatten((inputs, args, kwargs, own.dt, own.times))
        symbolic = any(isinstance(x, keras.KerasTensor) for x in given)
        self._gives_times = own.times is not None
        try:
            return super().__call__(inputs, *args, **kwargs, **own.arguments(symbolic))
        finally:
            self._gives_times = False

    def call(
        self,
        inputs: Any,
        *args: Any,
        dt: Any = None,
        times: Any = None,
        interpolate: bool = False,
        mask: Any = None,
        inputs_mask: Any = None,
        training: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        own = own_times(self, inputs, dt, times, interpolate)
        if mask is not None:
            kwargs = {**kwargs, "mask": mask}
        mask = inputs_mask if mask is None else mask  # Keras fills in whichever applies
        found: list[Passage] = []

        def solve(start: Any) -> Any:
            passage = self.advance(start, args, kwargs, mask, training, own)
            found.append(passage)
            if passage.path is None:
                return passage.y
            states = ops.concatenate([start[None], passage.path], axis=0)
            return ops.moveaxis(states, 0, 1)

        def run(start: Any) -> Any:
            is_long = own is not None or self._needs_python
            return self.loop.run(solve, start) if is_long else solve(start)

        # What is on another device than the weights is brought there, as Keras's operations do it.
        y = cast(ops.convert_to_tensor(inputs), self._state_dtype)
        y = run(y) if self.compute_dtype == self._state_dtype else without_autocast(run, y)
        self._add_losses(found[0])
        return cast(y, self.compute_dtype)

    @property
    def _needs_python(self) -> bool:
        """Whether there are loops, or random numbers to be drawn again at every stage."""
        draws = self.noise == "per_step" and len(self._method.plan.stages) > 1
        return self.length > 1 or (draws and any(map(is_seed, self.variables)))

    def _add_losses(self, passage: Passage) -> None:
        if passage.loss is not None:
            self.add_loss(passage.loss)
        if passage.error is not None and self._error is not None:
            self._error.assign(ops.stop_gradient(passage.error))
            if self.error_weight:
                self.add_loss(self.error_weight * ops.sum(passage.error))
        if self.order_penalty is not None and self._learned.tableau is not None:
            order, weight = self.order_penalty
            coefficients = self._learned.tableau.coefficients()
            self.add_loss(weight * order_penalty(*coefficients, self._tableau.stages, order))

    def compute_output_shape(
        self, input_shape: Any, *args: Any, times_shape: Any = None, **kwargs: Any
    ) -> Any:
        if times_shape is not None:
            return (input_shape[0], times_shape[-1], *input_shape[1:])
        if not self.return_states:
            return input_shape
        return (input_shape[0], self.length + 1, *input_shape[1:])

    def compute_output_spec(self, inputs: Any, *args: Any, times: Any = None, **kwargs: Any) -> Any:
        # `times` may be numbers, in whose shape Keras takes no interest
        times = times.value if isinstance(times, Held) else times
        times_shape = getattr(times, "shape", None if times is None else np.shape(times))
        shape = self.compute_output_shape(inputs.shape, times_shape=times_shape)
        return keras.KerasTensor(tuple(shape), dtype=self.compute_dtype)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return None if self.return_states or self._gives_times else previous_mask
