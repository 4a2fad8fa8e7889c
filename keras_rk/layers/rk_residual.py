"""RKResidual: a residual connection that is a step of a Runge-Kutta method."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_rk.layers.arguments import (
    STATES,
    fixed,
    one_of,
    positive_integer,
    proved_tableau,
    step_size,
    vector_field_layer,
)
from keras_rk.layers.inputs import (
    NOT_FOR_BUILD,
    FurtherInputs,
    check_call,
    check_one_shape,
    check_one_tensor,
    evaluate,
    takes_mask,
)
from keras_rk.layers.stages import StagePlan, integrate, stage_plan
from keras_rk.layers.vector_field import VectorField, cast, check_same_shape, without_autocast


@keras.saving.register_keras_serializable(package="keras_rk")
class RKResidual(keras.layers.Wrapper):
    """Steps of an explicit Runge-Kutta method along the vector field that a layer defines.

    The residual connection y + f(y) is a step of Euler's method for y' = f(y) with dt = 1. This
    layer takes such steps with any explicit method, given by its Butcher tableau (A, b, c):

        k_i    = f(y + dt * sum_j a_ij k_j),    i = 1, ..., s
        y_next = y + dt * sum_i b_i k_i

    `steps` of them with the same f, so with shared weights. The number of weights is that of f,
    whatever the method. Euler with dt = 1 gives what y + f(y) gives, to the last bit.

    Example:

    >>> block = keras.Sequential(
    ...     [keras.layers.Dense(16, activation="tanh"), keras.layers.Dense(8)]
    ... )
    >>> model = keras.Sequential([keras.Input((8,)), RKResidual(block, "rk4", dt=0.5, steps=2)])
    >>> model.predict(np.ones((3, 8)), verbose=0).shape
    (3, 8)

    A layer that needs its input more than once, such as self-attention, becomes one with a
    single input by a small model:

    >>> y = keras.Input((None, 8))
    >>> attention = keras.Model(y, keras.layers.MultiHeadAttention(2, 4)(y, y))
    >>> model = keras.Model(y, RKResidual(attention, "heun2")(y))
    >>> model.predict(np.ones((3, 5, 8)), verbose=0).shape
    (3, 5, 8)

    Args:
        layer: f, a Keras layer or model whose output has the shape of y. A functional model may
            have several inputs, `keras.Model([y, context], ...)`. f belongs to this wrapper
            alone: Keras cannot load a layer back that two wrappers share. It may use variables of
            the model around it (a layer called in a `Lambda`), but on JAX no seed that belongs to
            neither: give `keras.random` a `SeedGenerator`.
        tableau: the method: a name (`keras_rk.tableaux.names()`), a `keras_rk.Tableau`, or
            arrays `(A, b)` or `(A, b, c)`.
        dt: the step size, a number other than zero. Text and fractions (`"1/10"`) are exact.
            Negative steps integrate backwards.
        steps: how many steps, each of size dt.
        order: an order that the method must be proved to have.
        require: what must be proved before anything is built. `"order"`: explicit, consistent,
            row sums (c = A·1), and `order` or the order that the tableau claims; `"consistent"`:
            explicit and consistent; `"explicit"`: explicit only.
        state: what becomes of non-trainable state in f (moving statistics, seeds) over the
            evaluations of f. `"shared"`: there is one state, which every evaluation sees and
            updates in turn; so batch normalization in f averages over all stages.
        **kwargs: `name`, `dtype`, `trainable` and the other arguments of a Keras layer.

    Call arguments:
        inputs: y, one tensor.
        *args, **kwargs: further arguments of f, constant over the stages and steps:
            `layer(y, context)` or `layer(y, context=context)`; those of a functional model by
            position, in the order of its inputs, or by their names. (Keras takes no tensors and
            other values together by keyword: pass the tensors by position then.)
        mask: a mask for y; it reaches every evaluation of f.
        training: reaches f as it reaches any layer.

    Input shape:
        Any that f takes, for instance `(batch, features)` or `(batch, time, features)`, with
        dynamic dimensions where f allows them.

    Output shape:
        Same as the input.

    f runs in its own dtype policy; y is summed up in at least float32, and returned in this
    layer's compute dtype. (In float64, too, f is only as exact as its operations: on JAX and
    PyTorch most of `keras.ops`, and so `keras.layers.Dense`, return float32 for float64.) Losses
    that f adds in a call count once per step, as their mean over the evaluated stages;
    regularizers of weights count once. Stages that cannot reach the output are not evaluated.
    What f assigns to its own weights in a call, as `SpectralNormalization` does, is differentiated
    through, also on TensorFlow, where a loop written by hand stops the gradient there.

    The arguments are fixed at construction: for another `dt`, build a new layer with
    `RKResidual.from_config({**layer.get_config(), "dt": 0.5})`.

    Raises:
        keras_rk.TableauError: at construction, for a tableau without the required properties.
        ValueError: at construction, for a bad `layer`, `dt`, `steps`, `require` or `state`; when
            built, for an f that changes the shape; when called, for a y that is not one tensor.
        TypeError: when built, for further arguments that f does not take.
        AttributeError: for setting an argument after construction.

    Reference:
        - From ResNets to Runge-Kutta Networks
        - E. Hairer, S. P. Norsett, G. Wanner, Solving Ordinary Differential Equations I (for the
          notation)
    """

    tableau, dt, steps = fixed("tableau"), fixed("dt"), fixed("steps")
    order, require, state = fixed("order"), fixed("require"), fixed("state")

    def __init__(
        self,
        layer: keras.layers.Layer,
        tableau: Any = "rk4",
        dt: Any = 1.0,
        steps: int = 1,
        *,
        order: int | None = None,
        require: str = "order",
        state: str = "shared",
        **kwargs: Any,
    ) -> None:
        super().__init__(vector_field_layer(layer, type(self).__name__), **kwargs)
        self._tableau, self._order = proved_tableau(tableau, order, require)
        self._dt, self._exact_dt = step_size(dt)
        self._steps = positive_integer("steps", steps)
        self._require = require
        self._state = one_of("state", state, STATES)
        self.supports_masking = True
        self._plan = stage_plan(self.tableau, self._exact_dt, self._state_dtype)
        self._further_inputs = FurtherInputs((), {})

    @property
    def _state_dtype(self) -> str:
        """The dtype in which y is summed up."""
        return "float64" if self.compute_dtype == "float64" else "float32"

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        check_one_tensor(inputs)
        if not self.built:  # Keras tells `build` the first shape only; f may need the others
            constant = {key: value for key, value in kwargs.items() if key not in NOT_FOR_BUILD}
            self._further_inputs = FurtherInputs(args, constant)
        return super().__call__(inputs, *args, **kwargs)

    def build(self, input_shape: Any) -> None:
        check_one_shape(input_shape)
        self._check_float64()
        args, kwargs = self._further_inputs.symbolic()
        y = keras.KerasTensor(input_shape, dtype=self._state_dtype)
        check_call(self.layer, y, args, kwargs)
        k = evaluate(self.layer, y, args, kwargs)  # a symbolic call builds f for all of its inputs
        if not isinstance(k, keras.KerasTensor):
            raise ValueError(
                "f in y + dt * f(y) must return one tensor. "
                f"Received: {k} from layer {self.layer.name!r}."
            )
        check_same_shape(self.layer, y.shape, k.shape)
        super().build(input_shape)

    def call(
        self,
        inputs: Any,
        *args: Any,
        mask: Any = None,
        inputs_mask: Any = None,
        training: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        if training is not None:  # Keras passes it on by itself, except from `stateless_call`
            kwargs = {**kwargs, "training": training}
        if mask is not None and takes_mask(self.layer):
            kwargs = {**kwargs, "mask": mask}
        mask = inputs_mask if mask is None else mask  # Keras fills in whichever applies
        field = VectorField(self.layer, args, kwargs, mask, self._state_dtype)
        losses: list = []

        def solve(y: Any) -> Any:
            before = field.read()
            y, after, new_losses = integrate(field, y, before, self._current_plan(), self.steps)
            field.write(after, before)
            losses.extend(new_losses)
            return y

        y = cast(inputs, self._state_dtype)
        y = solve(y) if self.compute_dtype == self._state_dtype else without_autocast(solve, y)
        self._add_mean_loss(losses)
        return cast(y, self.compute_dtype)

    def _current_plan(self) -> StagePlan:
        if self._plan.dtype != self._state_dtype:  # the dtype policy was set after construction
            self._plan = stage_plan(self.tableau, self._exact_dt, self._state_dtype)
        return self._plan

    def _add_mean_loss(self, losses: list) -> None:
        """Adds, summed over the steps, the mean of the losses over the stages of each."""
        if not losses:
            return
        sums = [ops.sum(cast(loss, self._state_dtype)) for loss in losses]
        total = sums[0]
        for loss in sums[1:]:
            total = total + loss
        self.add_loss(total / len(self._current_plan().stages))

    def compute_output_shape(self, input_shape: Any, *args: Any, **kwargs: Any) -> Any:
        return input_shape

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return previous_mask

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "tableau": self.tableau.to_dict(),
            "dt": self.dt,
            "steps": self.steps,
            "order": self.order,
            "require": self.require,
            "state": self.state,
        }

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> RKResidual:
        return super().from_config(dict(config), custom_objects=custom_objects)  # it pops

    def get_build_config(self) -> dict[str, Any] | None:
        config = super().get_build_config()
        if config is None:
            return None
        args, kwargs = self._further_inputs.symbolic()
        return {**config, "args": list(args), "kwargs": kwargs}

    def build_from_config(self, config: dict[str, Any]) -> None:
        self._further_inputs = FurtherInputs(
            tuple(keras.saving.deserialize_keras_object(config.get("args", []))),
            keras.saving.deserialize_keras_object(config.get("kwargs", {})),
        )
        self.build(config["input_shape"])

    def _check_float64(self) -> None:
        if self._state_dtype != "float64":
            return
        available = keras.backend.standardize_dtype(ops.zeros((), dtype="float64").dtype)
        if available != "float64":
            raise ValueError(
                "JAX computes in float64 only where it is told to: set the environment variable "
                "JAX_ENABLE_X64=1, or call `jax.config.update('jax_enable_x64', True)` first. "
                f"Received: dtype='float64' (layer {self.name!r}), which JAX makes {available}."
            )
