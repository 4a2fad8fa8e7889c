"""What calls compute, in words that are equal where they compute alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_rk.layers.blocks import architecture
from keras_rk.models.recorded_graph import Call
from keras_rk.models.replay import Item
from keras_rk.models.skip_connections import SkipConnection, without_carried_masks


def same_calls(connection: SkipConnection) -> str:
    """Equal for two connections whose F calls the same layers in the same way."""
    return _text(connection.calls, connection.x, connection.fx, _identity)


def same_kind(item: Item) -> str:
    """Equal for calls, and for connections, that differ in names and weights only."""
    if isinstance(item, SkipConnection):
        scale = f"{item.scale} {item.x.shape} {item.x.dtype} {_kind(item.call)}"
        return scale + _text(item.calls, item.x, item.fx, _kind)
    x = item.inputs[0]
    return f"{x.shape} {x.dtype} " + _text([item], x, item.outputs[0], _kind)


def _text(calls: Sequence[Call], x: Any, result: Any, named: Callable[[Call], str]) -> str:
    """The calls in order, with tensors called after where they come from."""
    names = {id(x): "x"}

    def written(value: Any) -> str:
        if isinstance(value, keras.KerasTensor):
            return names.get(id(value), f"another tensor {id(value)}")
        return repr(value)

    lines = []
    for place, call in enumerate(calls):
        arguments = keras.tree.map_structure(written, without_carried_masks(call))
        lines.append(f"{named(call)} {arguments}")
        names |= {id(tensor): f"{place}.{n}" for n, tensor in enumerate(call.outputs)}
    return "\n".join([*lines, names[id(result)]])


def _identity(call: Call) -> str:
    """What is called: a layer is itself, an operation what it is configured to be."""
    return f"{id(call.operation)}" if _is_layer(call) else _kind(call)


def _kind(call: Call) -> str:
    """What is called, apart from its name, weights and seeds; itself if it cannot be saved."""
    try:
        config = keras.saving.serialize_keras_object(call.operation)
    except Exception:
        return f"{id(call.operation)}"
    config["config"] = {**config["config"], "name": "a name"}
    return repr(architecture(config))


def _is_layer(call: Call) -> bool:
    return isinstance(call.operation, keras.layers.Layer)
