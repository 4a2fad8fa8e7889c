"""Layers that more than one residual connection calls, or one and the rest of the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import keras

from keras_rk.field.copies import layers_inside
from keras_rk.models.descriptions import same_calls
from keras_rk.models.recorded_graph import Call, Graph, has_graph
from keras_rk.models.skip_connections import SkipConnection


class Sharing:
    """Who calls which layer, all over a model.

    What Keras writes into a file for a layer in two wrappers, or in a wrapper and in the model
    around it, it cannot load back as one. One wrapper called twice it can: so residual connections
    that call the same layers in the same way become one `RKResidual`.

    Args:
        graphs: the graphs of a model and of all models inside.
    """

    def __init__(self, graphs: Sequence[Graph]) -> None:
        self._users: dict[int, set[int]] = {}
        for graph in graphs:
            for call in graph.calls:
                for layer in _weighted(call.operation):
                    self._users.setdefault(id(layer), set()).add(id(call))

    def reasons(self, connections: Sequence[SkipConnection]) -> dict[int, str]:
        """Why some of the connections, by id, cannot be converted together with the others."""
        groups = self.groups(connections)
        found = {}
        for connection in connections:
            calls = [call for one in groups[id(connection)] for call in one.calls]
            shared = self.shares(calls)
            if shared:
                found[id(connection)] = (
                    f"layer {shared[0].name!r} inside F is called elsewhere, too, which Keras "
                    "could not load back; only connections with the same F can share it"
                )
        return found

    def groups(self, connections: Sequence[SkipConnection]) -> dict[int, list[SkipConnection]]:
        """For each connection, by id, all those with the same F, itself among them."""
        by_field: dict[Any, list[SkipConnection]] = {}
        for connection in connections:
            key = same_calls(connection) if self.shares(connection.calls) else id(connection)
            by_field.setdefault(key, []).append(connection)
        return {id(one): group for group in by_field.values() for one in group}

    def shares(self, calls: Sequence[Call]) -> list[keras.layers.Layer]:
        """The layers with weights among what is called there that are called elsewhere as well."""
        inside = set(map(id, calls))
        layers = [layer for call in calls for layer in _weighted(call.operation)]
        return [layer for layer in layers if not self._users[id(layer)] <= inside]


def _weighted(operation: Any) -> Iterator[keras.layers.Layer]:
    """The layers with weights in what is called; what is in a model has its own graph."""
    if not isinstance(operation, keras.layers.Layer):
        return
    for layer in [operation] if has_graph(operation) else layers_inside(operation):
        if layer.weights:
            yield layer
