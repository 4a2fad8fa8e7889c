"""What layers that evaluate a vector field have in common: how f is built, called and saved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from keras_rk import loops
from keras_rk.field.copies import unfreeze
from keras_rk.field.dtypes import check_policy, check_real
from keras_rk.field.inputs import (
    NOT_FOR_BUILD,
    TIME,
    FurtherInputs,
    check_call,
    check_held_still,
    check_one_shape,
    check_one_tensor,
    evaluate,
    takes_mask,
    takes_time,
)
from keras_rk.field.statistics import find_statistics
from keras_rk.field.vector_field import VectorField, check_derivative
from keras_rk.layers.arguments import check_float64
from keras_rk.layers.description import description
from keras_rk.layers.sharing import leaving_no_trace


class FieldLayer(keras.layers.Layer):
    """The base of layers that evaluate a vector field; a subclass has f as its `layer`."""

    layer: keras.layers.Layer

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_policy(self)
        self.supports_masking = True
        self._further_inputs = FurtherInputs((), {})

    @property
    def metrics(self) -> list[keras.Metric]:
        """Those of f. A model's own, of its own `fit`, are nothing to a model around it.

        Keras leaves them out of models in models, but not of models in other layers.
        """
        return [] if isinstance(self.layer, keras.Model) else super().metrics

    @property
    def layers(self) -> list[keras.layers.Layer]:
        """f alone: what `model.summary(expand_nested=True)` shows below this layer.

        Of an `RKStack`, f is that of one block. Method and dt stand in the layer's `repr`: a
        summary shows names and classes only.
        """
        return [self.layer]

    def __dir__(self) -> list[str]:
        # Keras saves the layers that it finds so, and f has its place in a file already
        return [name for name in super().__dir__() if name != "layers"]

    def __repr__(self) -> str:
        said = f"name={self.name}, built={self.built}"
        try:
            return f"<{type(self).__name__} {said}: {description(self)}>"
        except Exception:  # a layer in the making has not all of it
            return f"<{type(self).__name__} {said}>"

    @property
    def _state_dtype(self) -> str:
        """The dtype in which y is summed up."""
        return "float64" if self.compute_dtype == "float64" else "float32"

    @property
    def field_evaluations(self) -> int:
        """How often f is evaluated in a call, as far as that is known before."""
        raise NotImplementedError

    def shape_of_time(self, input_shape: Any) -> tuple:
        """The shape of the time that f gets for y of a shape."""
        return ()

    def check_inputs(self, inputs: Any) -> None:
        """Refuses what cannot be y."""
        check_one_tensor(inputs)
        check_real(inputs, self)
        check_policy(self)  # it may have been set anew

    def note_further_inputs(self, inputs: Any, args: tuple, kwargs: dict[str, Any]) -> None:
        """Keeps what a layer that is not built yet is built for.

        Keras tells `build` the first shape only, and f may need the others.
        """
        if self.built:
            return
        check_held_still(self.layer, inputs, args, kwargs)
        constant = {key: value for key, value in kwargs.items() if key not in NOT_FOR_BUILD}
        self._further_inputs = FurtherInputs(args, constant)

    def build_like(self, other: FieldLayer) -> None:
        """Builds this layer for the inputs that another one was built for."""
        self._further_inputs = other._further_inputs
        self.build(other.built_for)

    def build_field(self, layer: keras.layers.Layer, input_shape: Any) -> None:
        """Builds f for all of its inputs, and refuses one that cannot be f."""
        check_one_shape(input_shape)
        check_float64(self._state_dtype, self)
        self.built_for = input_shape
        args, kwargs = self._further_inputs.symbolic()
        y = keras.KerasTensor(input_shape, dtype=self._state_dtype)
        check_call(layer, y, args, kwargs)
        if takes_time(layer):
            shape = self.shape_of_time(input_shape)
            kwargs[TIME] = keras.KerasTensor(shape, dtype=self._state_dtype)
        with loops.unchanged(layer), leaving_no_trace(layer):
            k = evaluate(layer, y, args, kwargs)
        check_derivative(layer, y, k)

    def _places(
        self, layer: keras.layers.Layer, copy: Callable[[], keras.layers.Layer]
    ) -> tuple[int, ...]:
        """The positions of the moving statistics among f's variables."""

        def unfrozen() -> keras.layers.Layer:
            other = copy()
            self.build_field(other, self.built_for)
            unfreeze(other)
            return other

        def field(layer: keras.layers.Layer) -> VectorField:
            return self.field(layer, *self._further_inputs.symbolic(), None, True)

        y = keras.KerasTensor(self.built_for, dtype=self._state_dtype)
        return find_statistics(layer, unfrozen, field, y)

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
        return VectorField(
            layer, args, kwargs, mask, self._state_dtype, evaluations=self.field_evaluations
        )

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
