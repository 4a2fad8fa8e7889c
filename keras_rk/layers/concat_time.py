"""ConcatTime: makes any layer depend on time."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_rk.field.inputs import takes_mask
from keras_rk.layers.arguments import vector_field_layer, whole_axis


@keras.saving.register_keras_serializable(package="keras_rk")
class ConcatTime(keras.layers.Wrapper):
    """f(t, y) = g([y, t]): a layer g, given the time t as one more channel of y.

    With it, `RKResidual` and `RKStack` follow y' = f(t, y): any `Dense`, `Conv` or model of them
    becomes dependent on time.

    Example:

    >>> from keras_rk.layers import RKResidual
    >>> f = ConcatTime(keras.layers.Dense(8, activation="tanh"))
    >>> model = keras.Sequential([keras.Input((8,)), RKResidual(f, "rk4", dt=0.1, steps=10)])
    >>> model.predict(np.ones((3, 8)), verbose=0).shape
    (3, 8)

    Args:
        layer: g, a Keras layer or model.
        axis: the axis of the channels: -1, or 1 for `channels_first` data.
        **kwargs: `name`, `dtype`, `trainable` and the other arguments of a Keras layer.

    Call arguments:
        inputs: y.
        t: the time, a scalar, or one for each sample that broadcasts to y, `(batch, 1, ...)`;
            inside `RKResidual` and `RKStack` it is t_n + c_i dt.
        training, mask: reach g as they reach any layer.

    Input shape:
        What g takes, with one channel less.

    Output shape:
        That of g.

    Raises:
        ValueError: for a `layer` that is none, or an `axis` that is no integer.
    """

    def __init__(self, layer: keras.layers.Layer, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(vector_field_layer(layer, type(self).__name__), **kwargs)
        self.axis = whole_axis(axis)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        if not self.layer.built:
            self.layer.build(self._with_time(input_shape))
        super().build(self._with_time(input_shape))

    def call(self, inputs: Any, t: Any, training: bool | None = None, mask: Any = None) -> Any:
        first: list[slice] = [slice(None)] * len(inputs.shape)
        first[self.axis] = slice(0, 1)
        channel = inputs[tuple(first)]
        time = ops.zeros_like(channel) + ops.cast(t, inputs.dtype)
        y = ops.concatenate([inputs, time], axis=self.axis)
        options = {"training": training, "mask": mask if takes_mask(self.layer) else None}
        return self.layer(y, **{k: value for k, value in options.items() if value is not None})

    def compute_output_shape(self, input_shape: Any, *args: Any, **kwargs: Any) -> Any:
        return self.layer.compute_output_shape(self._with_time(input_shape))

    def _with_time(self, shape: Any) -> tuple:
        grown = list(shape)
        grown[self.axis] += 1
        return tuple(grown)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> ConcatTime:
        return super().from_config(dict(config), custom_objects=custom_objects)  # it pops
