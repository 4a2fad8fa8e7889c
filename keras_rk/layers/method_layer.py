"""What the layers of a Runge-Kutta method share: how they are built, called and saved."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_rk.layers.arguments import STATES, fixed, one_of, positive_integer, proved_tableau, truth
from keras_rk.layers.inputs import (
    NOT_FOR_BUILD,
    FurtherInputs,
    check_call,
    check_one_shape,
    check_one_tensor,
    evaluate,
    takes_mask,
)
from keras_rk.layers.loops import Loop
from keras_rk.layers.vector_field import VectorField, cast, check_same_shape, without_autocast


class MethodLayer(keras.layers.Layer):
    """The base of layers that take y along a vector field.

    A subclass says in `advance` where y goes, and in `length` how many states there are on the
    way after the first.
    """

    tableau, steps, order, require = map(fixed, ("tableau", "steps", "order", "require"))
    state, return_states, jit_compile = map(fixed, ("state", "return_states", "jit_compile"))

    def __init__(
        self,
        tableau: Any,
        steps: int,
        order: int | None,
        require: str,
        state: str,
        return_states: bool,
        jit_compile: bool,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._tableau, self._order = proved_tableau(tableau, order, require)
        self._steps = positive_integer("steps", steps)
        self._require = require
        self._state = one_of("state", state, STATES)
        self._return_states = truth("return_states", return_states)
        self._jit_compile = truth("jit_compile", jit_compile)
        self.supports_masking = True
        self._further_inputs = FurtherInputs((), {})
        self.loop = Loop(self.jit_compile)

    @property
    def length(self) -> int:
        """How many states there are after the first, with `return_states`."""
        raise NotImplementedError

    def advance(
        self, y: Any, args: tuple, kwargs: dict[str, Any], mask: Any, training: bool | None
    ) -> tuple[Any, Any, Any]:
        """y at the end; y on the way, along a new first axis, or None; the losses, or None."""
        raise NotImplementedError

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

    def build_like(self, other: MethodLayer) -> None:
        """Builds this layer for the inputs that another one was built for."""
        self._further_inputs = other._further_inputs
        self.build(other._built_for)

    def build_field(self, layer: keras.layers.Layer, input_shape: Any) -> None:
        """Builds f for all of its inputs, and refuses one that cannot be f."""
        check_one_shape(input_shape)
        self._check_float64()
        self._built_for = input_shape
        args, kwargs = self._further_inputs.symbolic()
        y = keras.KerasTensor(input_shape, dtype=self._state_dtype)
        check_call(layer, y, args, kwargs)
        check_derivative(layer, y, evaluate(layer, y, args, kwargs))

    def field(
        self,
        layer: keras.layers.Layer,
        args: tuple,
        kwargs: dict[str, Any],
        mask: Any,
        training: bool | None,
    ) -> VectorField:
        """`layer` as f, called with the further inputs of this call."""
        if training is not None:  # Keras passes it on by itself, except from `stateless_call`
            kwargs = {**kwargs, "training": training}
        if kwargs.get("mask", ...) is None or not takes_mask(layer):
            kwargs = {key: value for key, value in kwargs.items() if key != "mask"}
        return VectorField(layer, args, kwargs, mask, self._state_dtype)

    def call(
        self,
        inputs: Any,
        *args: Any,
        mask: Any = None,
        inputs_mask: Any = None,
        training: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        if mask is not None:
            kwargs = {**kwargs, "mask": mask}
        mask = inputs_mask if mask is None else mask  # Keras fills in whichever applies
        found: list = []

        def solve(start: Any) -> Any:
            y, path, loss = self.advance(start, args, kwargs, mask, training)
            found.append(loss)
            if not self.return_states:
                return y
            states = ops.concatenate([start[None], path], axis=0)
            return ops.moveaxis(states, 0, 1)

        def run(start: Any) -> Any:
            return self.loop.run(solve, start) if self.length > 1 else solve(start)

        y = cast(inputs, self._state_dtype)
        y = run(y) if self.compute_dtype == self._state_dtype else without_autocast(run, y)
        if found[0] is not None:
            self.add_loss(found[0])
        return cast(y, self.compute_dtype)

    def compute_output_shape(self, input_shape: Any, *args: Any, **kwargs: Any) -> Any:
        if not self.return_states:
            return input_shape
        return (input_shape[0], self.length + 1, *input_shape[1:])

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return None if self.return_states else previous_mask

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "tableau": self.tableau.to_dict(),
            "steps": self.steps,
            "order": self.order,
            "require": self.require,
            "state": self.state,
            "return_states": self.return_states,
            "jit_compile": self.jit_compile,
        }

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


def check_derivative(layer: keras.layers.Layer, y: Any, k: Any, called: str = "f") -> None:
    """Refuses what a layer returns for y unless it is shaped like y."""
    if not isinstance(k, keras.KerasTensor):
        raise ValueError(
            f"{called} must return one tensor, shaped like y. "
            f"Received: {k} from layer {layer.name!r}."
        )
    check_same_shape(layer, y.shape, k.shape)
