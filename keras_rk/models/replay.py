"""Calls of a graph made again, with Runge-Kutta blocks in the place of sums."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import keras

from keras_rk.layers.method_layer import MethodLayer
from keras_rk.models.recorded_graph import Call, Graph, mask_of
from keras_rk.models.skip_connections import SkipConnection, without_carried_masks

Item = Call | SkipConnection


class Block(Protocol):
    """What becomes one layer: a connection, or several in a row."""

    x: Any

    @property
    def result(self) -> Any:
        """The tensor that it returns."""


class Replay:
    """Makes calls again, on other tensors.

    Args:
        operations: what is called in the place of an operation, by its id, where that is another.
        layer_of: the layer that a block becomes.
    """

    def __init__(
        self, operations: dict[int, Any], layer_of: Callable[[Any], keras.layers.Layer]
    ) -> None:
        self.operations = operations
        self._layer_of = layer_of

    def run(self, items: Iterable[Call | Block], tensors: dict[int, Any]) -> None:
        """Makes calls in order.

        Args:
            items: the calls, and the blocks that stand for some of them.
            tensors: the new tensor for each one of the graph, by its id; new ones are added.
        """
        for item in items:
            if isinstance(item, Call):
                self._call(item, tensors)
            else:
                tensors[id(item.result)] = _called(self._layer_of(item), tensors[id(item.x)])

    def _call(self, call: Call, tensors: dict[int, Any]) -> None:
        arguments = without_carried_masks(call)
        args, kwargs = keras.tree.map_structure(
            lambda x: tensors[id(x)] if isinstance(x, keras.KerasTensor) else x, arguments
        )
        operation = self.operations.get(id(call.operation), call.operation)
        outputs = keras.tree.flatten(operation(*args, **kwargs))
        for old, new in zip(call.outputs, outputs, strict=True):
            tensors[id(old)] = new

    def function_of(
        self, items: Sequence[Call | Block], y: Any, result: Any, name: str
    ) -> keras.Model:
        """The model that leads from one tensor of a graph to another, over the same layers."""
        start = keras.Input(batch_shape=y.shape, dtype=y.dtype, name=f"{name}_y")
        tensors = {id(y): start}
        self.run(items, tensors)
        model = keras.Model(start, tensors[id(result)], name=name)
        model.supports_masking = mask_of(y) is not None  # else Keras warns; its layers see to it
        return model


def _called(layer: keras.layers.Layer, x: Any) -> Any:
    """`layer(x)`, without looking for shared layers in all of the graph before x, block by block.

    The plan of the conversion has done that, for all blocks together.
    """
    return MethodLayer.__call__(layer, x) if isinstance(layer, MethodLayer) else layer(x)


def items_of(graph: Graph, connections: Iterable[SkipConnection]) -> list[Item]:
    """The calls of a graph in order, with connections in the place of what they consist of."""
    at = {one.place: one for one in connections}
    inside = {place for one in at.values() for place in one.interior}
    return [at.get(place, call) for place, call in enumerate(graph.calls) if place not in inside]
