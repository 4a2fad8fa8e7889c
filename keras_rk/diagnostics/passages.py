"""The states that data pass in each block, and the vector field there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_rk.field.copies import classes_inside, made_from
from keras_rk.field.masks import masks_of, with_masks
from keras_rk.layers import RKResidual, RKStack
from keras_rk.layers.method_layer import MethodLayer
from keras_rk.layers.time_checks import check_steps_of_layer


class Passage(NamedTuple):
    """What a block does with the data.

    Attributes:
        layer: the name of the layer.
        block: which block of an `RKStack`; None for an `RKResidual`.
        single: the block as a single layer.
        states: y before the block and after each of its steps but the last, in a list.
        call: what the layer was called with.
    """

    layer: str
    block: int | None
    single: RKResidual
    states: list[np.ndarray]
    call: _Call

    def field(self, y: np.ndarray, samples: np.ndarray) -> np.ndarray:
        """f(t, y) in inference mode, as in the first evaluation of the block.

        Args:
            y: states.
            samples: for each state the number of the sample that it belongs to, whose further
                inputs f gets.
        """
        args, kwargs, mask = self.call.of_samples(samples)
        field = self.single.field(self.single.layer, args, kwargs, mask, False)
        t = ops.convert_to_tensor(float(self.single._exact_t0), field.dtype)
        k = field(field.read(), ops.convert_to_tensor(y, field.dtype), t).k
        return np.asarray(ops.convert_to_numpy(k))


class _Call(NamedTuple):
    """The arguments of a call of a layer."""

    y: Any
    args: tuple
    kwargs: dict[str, Any]
    masks: Any  # those that args and kwargs carry

    def of_samples(self, samples: np.ndarray) -> tuple[tuple, dict[str, Any], Any]:
        """Further arguments and the mask, with what belongs to some samples."""
        count = self.y.shape[0]

        def chosen(x: Any) -> Any:
            is_batch = hasattr(x, "shape") and len(x.shape) > 0 and x.shape[0] == count
            return ops.take(x, samples, axis=0) if is_batch else x

        further = (self.args, self.kwargs), self.masks
        args, kwargs = with_masks(*keras.tree.map_structure(chosen, further))
        return args, kwargs, kwargs.get("mask")


def passages(model: keras.Model, layers: Sequence[MethodLayer], inputs: Any) -> Iterator[Passage]:
    """What each block does with the inputs, in the order of the layers.

    Args:
        layers: Runge-Kutta layers of the model, none inside another one.
        inputs: one batch.
    """
    calls: dict[int, _Call] = {}
    with ExitStack() as watched:
        for layer in layers:
            watched.enter_context(_watching(layer, calls))
        model(keras.tree.map_structure(ops.convert_to_tensor, inputs), training=False)
    for layer in layers:
        if id(layer) not in calls:
            raise ValueError(
                "Each Runge-Kutta layer must be called by the model, with values. "
                f"Received: layer {layer.name!r}, which was not (model {model.name!r})."
            )
        yield from _of_layer(layer, calls.pop(id(layer)))


@contextmanager
def _watching(layer: keras.layers.Layer, calls: dict[int, _Call]) -> Iterator[None]:
    """Notes the arguments of the first call of a layer."""
    original = layer.call

    def call(inputs: Any, *args: Any, mask: Any = None, training: Any = None, **kwargs: Any) -> Any:
        check_steps_of_layer(kwargs, layer, "This diagnosis")
        carried = kwargs.get("inputs_mask") if mask is None else mask
        further = {key: value for key, value in kwargs.items() if key != "inputs_mask"}
        if carried is not None:
            further["mask"] = carried
        if id(layer) not in calls and _has_values(inputs):
            calls[id(layer)] = _Call(inputs, args, further, masks_of((args, further)))
        return original(inputs, *args, mask=mask, training=training, **kwargs)

    vars(layer)["call"] = call
    try:
        yield
    finally:
        del vars(layer)["call"]


def _has_values(x: Any) -> bool:
    """Whether a tensor is no symbol, as it is in a loop that a backend traces."""
    try:
        ops.convert_to_numpy(x)
    except Exception:  # each backend has its own
        return False
    return True


def _of_layer(layer: MethodLayer, call: _Call) -> Iterator[Passage]:
    blocks = layer.unstack() if isinstance(layer, RKStack) else [layer]
    y = call.y
    args, kwargs = with_masks((call.args, call.kwargs), call.masks)
    for block, one in enumerate(blocks):
        single = one if isinstance(one, RKResidual) else one.layers[0]
        states = _path(single)(y, *args, **kwargs, training=False)
        path = np.moveaxis(np.asarray(ops.convert_to_numpy(states)), 1, 0)
        number = block if isinstance(layer, RKStack) else None
        yield Passage(layer.name, number, single, list(path[:-1]), call)
        y = ops.convert_to_tensor(path[-1])
        if one is not single:  # a Sequential of the block and the layer after it
            y = one.layers[1](y, training=False)


def _path(layer: RKResidual) -> RKResidual:
    """The same layer, returning the states after each step."""
    if layer.return_states:
        return layer
    config = keras.saving.serialize_keras_object(layer)
    config["config"]["return_states"] = True
    copy = made_from(config, classes_inside(layer))
    copy.build_like(layer)
    copy.set_weights(layer.get_weights())
    return copy
