"""What the layers of a Runge-Kutta method share: how they are built, called and saved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_rk.field.copies import copy_of
from keras_rk.field.evaluations import StatePolicy
from keras_rk.field.inputs import takes_time
from keras_rk.field.statistics import ERROR_ESTIMATE, EvaluationStatistics
from keras_rk.field.vector_field import (
    VectorField,
    cast,
    is_seed,
    own_variables,
    without_autocast,
)
from keras_rk.layers.arguments import check_learning, proved_tableau, start_time
from keras_rk.layers.field_layer import FieldLayer
from keras_rk.layers.options import OPTIONS, fixed
from keras_rk.layers.own_times import Held, OwnTimes, own_times
from keras_rk.loops import Loop
from keras_rk.steps.integration import Integration
from keras_rk.steps.learned import Learned, LearnedTableau, learned_step
from keras_rk.steps.method import Method
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


class MethodLayer(FieldLayer):
    """The base of layers that take y along a vector field.

    A subclass says in `advance` where y goes, and in `length` how many states there are on the
    way after the first.

    Args:
        field: the layer that computes f.
        tableau: the method, as a user gives it.
        dts: the exact step sizes, one for all blocks or one for each.
        blocks: the number of blocks; None for a single one.
        options: the arguments that all layers have in common, as a user gives them.
    """

    _method: Method
    steps, order, require, state, noise, t0, remat = map(fixed, list(OPTIONS)[:7])
    trainable_dt, trainable_tableau, order_penalty = map(fixed, list(OPTIONS)[7:10])
    error_estimate, error_weight, return_states, jit_compile = map(fixed, list(OPTIONS)[10:])

    def __init__(
        self,
        field: keras.layers.Layer,
        tableau: Any,
        dts: Sequence[Any],
        blocks: int | None,
        options: dict[str, Any],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        with_time = takes_time(field)
        self._tableau = proved_tableau(tableau, options["order"], options["require"], with_time)
        for name, read in OPTIONS.items():
            setattr(self, f"_{name}", read(options[name]))
        self._error_estimate = bool(self.error_estimate or self.error_weight > 0)
        check_learning(self, self._tableau, with_time)
        self._exact_dts, self._blocks = list(dts), blocks
        self._exact_t0 = start_time(self.t0)[1]
        self._policy = StatePolicy((), "shared", self.noise)
        self.statistics: EvaluationStatistics | None = None
        self._error: keras.Variable | None = None
        self._gives_times = False  # while called with `times`
        self.loop = Loop(self.jit_compile)
        self._prepare()
        self._learned = Learned(
            LearnedTableau(self._tableau, self._method.plan) if self.trainable_tableau else None,
            learned_step(self.trainable_dt, blocks, self._exact_dts),
        )

    @property
    def tableau(self) -> Any:
        """The method; with `trainable_tableau`, what has become of it."""
        learned = self._learned.tableau
        return self._tableau if learned is None else learned.tableau

    @tableau.setter
    def tableau(self, value: Any) -> None:
        fixed("tableau").__set__(self, value)

    @property
    def step_sizes(self) -> np.ndarray:
        """The present dt, as learned so far, shape `([blocks] [, channels])`."""
        dts = np.array([float(dt) for dt in self._exact_dts])
        dts = dts[0] if self._blocks is None else np.broadcast_to(dts, (self._blocks,))
        if self._learned.step is None or not self.built:
            return dts
        ratio = ops.convert_to_numpy(self._learned.step.ratio())
        return dts[..., None] * ratio if self._learned.step.by_channel else dts * ratio

    @property
    def exact_dts(self) -> list:
        """dt as a layer is made with it, exactly: one number, or one for each block."""
        dts, blocks = self._exact_dts, self._blocks or 1
        return dts * blocks if len(dts) == 1 else dts

    @property
    def evaluations(self) -> int:
        """How often f is evaluated for each block in a call."""
        return self._integration.evaluations

    @property
    def estimated_error(self) -> np.ndarray | None:
        """The error estimate of the last call, one number or one for each block."""
        return None if self._error is None else np.asarray(ops.convert_to_numpy(self._error))

    @property
    def _multiplied(self) -> tuple[int, ...]:
        """Which of f's variables have a value for each evaluation."""
        return self._policy.multiplied(own_variables(self.layer))

    @property
    def block_weights(self) -> list[keras.Variable]:
        """What each block has beside the variables of f."""
        weights = self._learned._replace(tableau=None).weights
        weights += [] if self._error is None else [self._error]
        return weights + ([] if self.statistics is None else self.statistics.weights)

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

    def _prepare(self) -> None:
        """Rounds the coefficients to the dtype of the state."""
        self._method = Method(
            self._tableau,
            self._exact_dts,
            self.steps,
            self._blocks,
            self._exact_t0,
            self._state_dtype,
            self.error_estimate,
        )
        self._integration = Integration(
            self._method.plan, self.steps, self.loop, self._policy, self.remat
        )

    def method_of_a_call(self, field: VectorField) -> tuple[Any, Any]:
        """The factors of the plan, and the times of the evaluations where f takes t."""
        if self._integration.plan.dtype != self._state_dtype:  # the dtype policy was set anew
            self._prepare()
        times = self._method.times(*self._learned) if field.takes_time else None
        return self._method.factors(*self._learned), times

    @property
    def field_evaluations(self) -> int:
        return self._integration.evaluations * (self._blocks or 1)

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

    def build_method(
        self,
        layer: keras.layers.Layer,
        variables: Sequence[keras.Variable],
        copy: Callable[[], keras.layers.Layer],
    ) -> None:
        """Adds what f does not have itself: statistics, learned weights, and the estimated error.

        Args:
            layer: f, built.
            variables: those of f, or those of all blocks, stacked.
            copy: makes another layer like f, not built.
        """
        places = self._own_statistics(layer, copy)
        if places and self.state == "per_evaluation":
            self.statistics = EvaluationStatistics(
                [variables[place] for place in places],
                self.steps,
                len(self._method.plan.stages),
                self._blocks,
                name="statistics",
                dtype="float32",
            )
        own = own_variables(layer)
        statistics = tuple(own[place] for place in places)
        self._policy = StatePolicy(statistics, self.state if places else "shared", self.noise)
        self._learned.build(self, self.built_for[-1], self._state_dtype)
        if self.error_estimate:
            self._error = self.add_weight(
                shape=() if self._blocks is None else (self._blocks,),
                initializer="zeros",
                dtype=self._state_dtype,
                trainable=False,
                autocast=False,
                name=ERROR_ESTIMATE,
            )
        self._prepare()

    def _own_statistics(
        self, layer: keras.layers.Layer, copy: Callable[[], keras.layers.Layer]
    ) -> tuple[int, ...]:
        """Which of f's variables are moving statistics; none where one set of them is all right."""
        is_one = self._integration.evaluations == 1 and self.state == "per_evaluation"
        return () if self.state == "shared" or is_one else self._places(layer, copy)

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

    def get_config(self) -> dict[str, Any]:
        options = {name: getattr(self, name) for name in OPTIONS}
        return {**super().get_config(), "tableau": self._tableau.to_dict(), **options}

    @property
    def saved_weights(self) -> list[keras.Variable]:
        """What is saved of the variables that belong to no layer inside: not the last error."""
        return self._learned.weights

    def save_own_variables(self, store: Any) -> None:
        for place, variable in enumerate(self.saved_weights):
            store[str(place)] = variable

    def load_own_variables(self, store: Any) -> None:
        weights = self.saved_weights
        if len(store.keys()) != len(weights):
            raise ValueError(
                f"Layer {self.name!r} of type {type(self).__name__} has {len(weights)} weights "
                "of its own. (A file with another `trainable_dt` or `trainable_tableau` is loaded "
                "into a layer like the one saved, which `keras_rk.with_method` then changes.) "
                f"Received: {len(store.keys())} in the file."
            )
        for place, variable in enumerate(weights):
            variable.assign(store[str(place)])
