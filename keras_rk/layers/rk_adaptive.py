"""RKAdaptive: a layer that follows a vector field with steps as long as their errors allow."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_rk.field.effects import Effects
from keras_rk.field.inputs import takes_time
from keras_rk.field.known_effects import KnownEffects
from keras_rk.field.vector_field import VectorField, cast
from keras_rk.layers.adaptive_times import interval_of, times_of
from keras_rk.layers.arguments import (
    one_of,
    positive_integer,
    proved_pair,
    start_time,
    tolerance,
    truth,
    vector_field_layer,
)
from keras_rk.layers.field_layer import FieldLayer
from keras_rk.layers.hints import check_keywords
from keras_rk.layers.options import fixed
from keras_rk.layers.sharing import check_not_shared
from keras_rk.layers.time_checks import array_of_numbers
from keras_rk.layers.times import concrete
from keras_rk.loops import Loop
from keras_rk.steps.adaptive import AdaptiveIntegration, Solved
from keras_rk.steps.integration import total

CONTROLS = ("sample", "batch")
FAILURES = ("error", "nan")


class StepStatistics(NamedTuple):
    """What the last call of an `RKAdaptive` has done.

    Attributes:
        accepted, rejected: steps, as the mean over the samples.
        evaluations: how often f was evaluated for the batch.
        failed: how many samples did not get to the end.
    """

    accepted: float
    rejected: float
    evaluations: int
    failed: int


@keras.saving.register_keras_serializable(package="keras_rk")
class RKAdaptive(FieldLayer, keras.layers.Wrapper):
    """Follows the vector field of a layer from one time to another, with steps of its own choice.

    y' = f(t, y) from t0 to t1 by an embedded Runge-Kutta pair (A, b, b_hat, c):

        y_1 = y_0 + h sum_i b_i k_i,    error = h sum_i (b_i - b_hat_i) k_i

    A step is taken if sqrt(mean((error / (atol + rtol max(|y_0|, |y_1|)))^2)) <= 1, and the size
    of the next one follows from that number by the controller of Hairer, Norsett and Wanner, with
    the values of their code DOPRI5 (see `keras_rk.steps.step_control`); the first step is guessed
    as they do.

    Example:

    >>> f = keras.Sequential([keras.layers.Dense(16, activation="tanh"), keras.layers.Dense(2)])
    >>> layer = RKAdaptive(f, "tsitouras54", rtol=1e-4, atol=1e-6)
    >>> layer(np.ones((3, 2))).shape == (3, 2)
    True
    >>> layer(np.ones((3, 2)), times=np.array([0, 0.5, 2.0])).shape == (3, 3, 2)
    True
    >>> layer.statistics.failed
    0

    Gradients are those of the accepted steps, exactly, for y, the weights and further arguments of
    f, and the times: each step is computed again from the state before it (rematerialisation), so
    that memory grows by one y a step, and tries that were rejected cost nothing. Step sizes, as
    fractions of the interval between two times, count as constants, like those of diffrax do.
    Gradients of gradients are not available.

    Both passes end as soon as the last sample does, on every backend, compiled or not; `max_steps`
    only bounds them, and the memory that JAX and TensorFlow set aside when compiled: `max_steps`
    times y in training, or with more than two times.

    State and randomness: f has to be the same function all the time. All evaluations of a call draw
    the same random numbers, so that dropout is one network for the whole way. An f that assigns to
    its variables in training (`BatchNormalization`, `SpectralNormalization`) is refused there; use
    `LayerNormalization`, or `RKResidual`. Losses that f adds count once, at the start.

    Args:
        layer: f, a Keras layer or model whose output has the shape of y; f(t, y) if its `call` has
            an argument `t` (see `ConcatTime`), which has shape `(batch, 1, ...)` with
            `control="sample"` or times for each sample, else `()`.
        tableau: an embedded pair: a name such as "tsitouras54", "dormand_prince54",
            "bogacki_shampine32", or a `keras_rk.Tableau` with `b_hat`.
        rtol, atol: the relative and the absolute tolerance, of which one may be zero. In float32,
            less than 1e-6 cannot be had.
        max_steps: how many tries, accepted or not, a sample has; the batch, with
            `control="batch"`.
        t0, t1: from when to when, if the call does not say. t1 < t0 integrates backwards.
        control: `"sample"`: each sample has steps of its own, so that its result does not depend
            on the others; the batch is evaluated until the last one is done. `"batch"`: all take
            the same steps, and the norm is the mean over the batch, as in torchdiffeq.
        first_step: the size of the first step; None guesses it, for two evaluations of f.
        on_failure: what happens to samples that do not get to the end. `"error"`: a RuntimeError
            where values are there at once: on PyTorch always, on JAX and TensorFlow if not
            compiled. Compiled code cannot raise; it returns NaN for these samples, and
            `keras_rk.RKMonitor` raises the error at the end of the batch. `"nan"`: NaN for
            these samples, and for them alone, with a warning at the same places.
        jit_compile: on PyTorch, whether the loop compiles a try and a step (which takes seconds).
        **kwargs: `name`, `dtype`, `trainable` and the other arguments of a Keras layer.

    Call arguments:
        inputs: y at the first time, one tensor.
        *args, **kwargs: further arguments of f, constant in time.
        times: times at which y is wanted, increasing or decreasing, beginning with that of the
            input; shape `(times,)`, or `(batch, times)` with its own for each sample. Steps end
            exactly there. Repeated times are no steps, so that ragged ones can be filled up.
        t0, t1: from when to when, in place of the configured ones; numbers, or tensors of shape
            `()`, `(batch,)` or `(batch, 1, ...)`.
        mask, training: as for `RKResidual`.

    Output shape:
        Same as the input; `(batch, times, ...)` with `times`.

    Raises:
        keras_rk.TableauError: at construction, for a tableau without its claimed order, or whose
            pair cannot estimate an error.
        ValueError: at construction, for a method without embedded weights, or another bad argument;
            when called, for times that are not monotone, a sample without an interval, a y
            that does not fit, and an f that assigns to its variables.
        RuntimeError: when called, see `on_failure`.

    Reference:
        - E. Hairer, S. P. Norsett, G. Wanner, Solving Ordinary Differential Equations I
    """

    (tableau, rtol, atol, max_steps, t0, t1) = map(
        fixed, ("tableau", "rtol", "atol", "max_steps", "t0", "t1")
    )
    (control, first_step, on_failure, jit_compile) = map(
        fixed, ("control", "first_step", "on_failure", "jit_compile")
    )

    def __init__(
        self,
        layer: keras.layers.Layer,
        tableau: Any = "tsitouras54",
        rtol: float = 1e-3,
        atol: float = 1e-6,
        max_steps: int = 1000,
        *,
        t0: Any = 0,
        t1: Any = 1,
        control: str = "sample",
        first_step: float | None = None,
        on_failure: str = "error",
        jit_compile: bool = False,
        **kwargs: Any,
    ) -> None:
        check_keywords(RKAdaptive, kwargs)
        layer = vector_field_layer(layer, type(self).__name__)
        # No scope in which times, or the state of float32, would become half precision.
        super().__init__(layer=layer, **{**kwargs, "autocast": False})
        self._tableau, self._order = proved_pair(tableau, takes_time(layer))
        self._rtol, self._atol = tolerance("rtol", rtol), tolerance("atol", atol)
        if not (self._rtol or self._atol):
            raise ValueError("One of `rtol` and `atol` must be positive. Received: 0 for both.")
        self._max_steps = positive_integer("max_steps", max_steps)
        (self._t0, start), (self._t1, end) = start_time(t0), start_time(t1, "t1")
        if start == end:
            raise ValueError(f"`t1` must differ from `t0`. Received: t0={t0!r}, t1={t1!r}.")
        self._interval = float(start), float(end)
        self._control = one_of("control", control, CONTROLS)
        self._first_step = None if first_step is None else tolerance("first_step", first_step)
        if self._first_step == 0:
            raise ValueError("`first_step` must be positive, or None. Received: first_step=0.")
        self._on_failure = one_of("on_failure", on_failure, FAILURES)
        self._jit_compile = truth("jit_compile", jit_compile)
        self.loop = Loop(self._jit_compile)
        self._counts: keras.Variable | None = None
        self._gives_times = False  # while called with `times`
        self._may_rest = False
        self._prepare()

    def _prepare(self) -> None:
        self._integration = AdaptiveIntegration(
            self._tableau,
            self._order,
            self._state_dtype,
            self._rtol,
            self._atol,
            self._max_steps,
            self._control == "sample",
            self._first_step,
            self.loop,
        )
        self._effects = KnownEffects(self._state_dtype)

    @property
    def statistics(self) -> StepStatistics | None:
        """The steps of the last call; None before the layer is built."""
        if self._counts is None:
            return None
        accepted, rejected, evaluations, failed = ops.convert_to_numpy(self._counts).tolist()
        return StepStatistics(accepted, rejected, round(evaluations), round(failed))

    @property
    def field_evaluations(self) -> int:
        return 2

    def shape_of_time(self, input_shape: Any) -> tuple:
        by_sample = self._control == "sample"
        return (input_shape[0], *(1 for _ in input_shape[1:])) if by_sample else ()

    def __call__(
        self,
        inputs: Any,
        *args: Any,
        times: Any = None,
        t0: Any = None,
        t1: Any = None,
        **kwargs: Any,
    ) -> Any:
        self.check_inputs(inputs)
        check_not_shared(self, inputs)
        self.note_further_inputs(inputs, args, kwargs)
        for name, value in (("times", times), ("t0", t0), ("t1", t1)):
            if value is not None:  # a list, too
                if not hasattr(value, "shape"):
                    value = array_of_numbers(name, value).astype(self._state_dtype)
                kwargs[name] = value
        self._gives_times = times is not None
        # Keras on PyTorch may look for shapes with tensors of ones: times that are all equal.
        given = [kwargs[name] for name in ("times", "t0", "t1") if name in kwargs]
        self._may_rest = not all(isinstance(value, np.ndarray) for value in given)
        try:
            return super().__call__(inputs, *args, **kwargs)
        finally:
            self._gives_times = False

    def build(self, input_shape: Any) -> None:
        self.build_field(self.layer, input_shape)
        self._counts = self.add_weight(
            shape=(4,),
            initializer="zeros",
            dtype="float32",
            trainable=False,
            autocast=False,
            name="step_statistics",
        )
        super().build(input_shape)

    def call(
        self,
        inputs: Any,
        *args: Any,
        times: Any = None,
        t0: Any = None,
        t1: Any = None,
        mask: Any = None,
        inputs_mask: Any = None,
        training: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        if self._integration.rules.dtype != self._state_dtype:  # the dtype policy was set anew
            self._prepare()
        if mask is not None:
            kwargs = {**kwargs, "mask": mask}
        mask = inputs_mask if mask is None else mask  # Keras fills in whichever applies
        y = cast(ops.convert_to_tensor(inputs), self._state_dtype)
        if times is None:
            start, end = self._interval
            when = interval_of(
                start if t0 is None else t0,
                end if t1 is None else t1,
                y,
                self,
                may_rest=self._may_rest,
            )
        else:
            when = times_of(times, (t0, t1), y, self, may_rest=self._may_rest)
        if y.shape[0] == 0:  # no sample: no step has a size
            if self._counts is not None:
                self._counts.assign(ops.zeros((4,), "float32"))
            shape = y.shape if times is None else (0, when.shape[0], *y.shape[1:])
            return cast(ops.reshape(y, shape), self.compute_dtype)
        field = self.field(self.layer, args, kwargs, mask, training)
        found: list[Solved] = []

        def solve(start: Any) -> Any:
            found.append(self._solve(field, start, when))
            return found[0].y

        self.loop.run(solve, y)
        self._report(found[0])
        y_end = found[0].y
        if times is not None and when.shape[0] == 2:
            y_end = ops.stack([y, y_end], axis=1)
        return cast(y_end, self.compute_dtype)

    def _solve(self, field: VectorField, y: Any, times: Any) -> Solved:
        t = times[0] if field.takes_time else None
        if field.takes_time and self._control == "sample":
            t = t + ops.zeros_like(y[(slice(None), *(slice(1) for _ in y.shape[1:]))])
        effects = self._effects.find(field, y, t=t)
        effects = effects.owning(len(field.variables), len(effects.foreign))
        field = field.owning(effects.foreign)
        self._check_is_function(field, effects)
        state = field.read(effects.written)
        if effects.losses or effects.written:
            evaluation = field(state, y, t)
            loss = total(evaluation.losses, self._state_dtype)
            if loss is not None:
                self.add_loss(loss)
            after = [
                evaluation.state[n] if n in effects.written else x for n, x in enumerate(state)
            ]
            field.write(after, state)  # seeds, as one evaluation leaves them
        return self._integration.solve(
            field, state, y, times, kind=effects.kind, traceable=effects.traceable
        )

    def _check_is_function(self, field: VectorField, effects: Effects) -> None:
        others = [field.variables[n] for n in effects.written if n not in field.seeds]
        if others:
            raise ValueError(
                "With steps that follow their errors, f must be one function of t and y during a "
                "call, and assign to no variable but seeds: in training, `BatchNormalization` and "
                "the like do. Use `LayerNormalization`, call the layer with `training=False`, or "
                "take `RKResidual`, which has a policy for such state. "
                f"Received: an assignment to {others[0].path!r} (layer {self.layer.name!r} of type "
                f"{type(self.layer).__name__})."
            )

    def _report(self, solved: Solved) -> None:
        """Keeps the statistics, and raises or warns where it is known that samples have failed."""
        rules = self._integration.rules
        evaluations = rules.evaluations_of_a_try * solved.tries
        counts = (
            solved.accepted,
            solved.tried - solved.accepted,
            rules.evaluations_at_start + evaluations,
            solved.failed,
        )
        counts = ops.stack([ops.cast(ops.stop_gradient(count), "float32") for count in counts])
        if self._counts is not None:
            self._counts.assign(counts)
        failed = concrete(solved.failed)
        if failed is not None:
            self.report_failure(int(failed))

    def report_failure(self, failed: int) -> None:
        """Raises or warns, as told at construction, if any sample has failed."""
        if not failed:
            return
        message = (
            f"{failed} sample{'s' * (failed > 1)} did not get to the end within `max_steps` tries, "
            "or with steps that can still be told from zero: f may be stiff or unbounded, or the "
            "tolerances too small for the dtype. "
            f"Received: max_steps={self._max_steps}, rtol={self._rtol}, atol={self._atol} (layer "
            f"{self.name!r})."
        )
        if self._on_failure == "error":
            raise RuntimeError(f"{message} `on_failure='nan'` returns NaN for such samples.")
        warnings.warn(f"{message} They are NaN.", RuntimeWarning, stacklevel=2)

    def compute_output_shape(self, input_shape: Any, *args: Any, **kwargs: Any) -> Any:
        return input_shape

    def compute_output_spec(self, inputs: Any, *args: Any, times: Any = None, **kwargs: Any) -> Any:
        shape = inputs.shape
        if times is not None:
            shape = (shape[0], times.shape[-1], *shape[1:])
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return None if self._gives_times else previous_mask  # it has no axis of times

    def get_config(self) -> dict[str, Any]:
        names = ("rtol", "atol", "max_steps", "t0", "t1", "control", "first_step", "on_failure")
        options = {name: getattr(self, name) for name in (*names, "jit_compile")}
        return {**super().get_config(), "tableau": self._tableau.to_dict(), **options}

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> RKAdaptive:
        return super().from_config(dict(config), custom_objects=custom_objects)  # it pops

    def save_own_variables(self, store: Any) -> None:
        """The statistics of a call are not saved."""

    def load_own_variables(self, store: Any) -> None:
        """See `save_own_variables`."""
