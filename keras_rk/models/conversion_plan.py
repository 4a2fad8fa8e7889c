"""What a conversion is going to do, known before anything is built."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import keras

from keras_rk.models.block_selection import Method, Selection
from keras_rk.models.block_sharing import Sharing
from keras_rk.models.recorded_graph import Graph, graphs_of
from keras_rk.models.skip_connections import SkipConnection, skip_connection, sums_in


class Plan(NamedTuple):
    """What is going to be done.

    Attributes:
        graphs: the graph of the model, and those of models inside.
        sums: the names of everything that adds, in order.
        methods: the method of each residual connection that is converted.
        kept: the reasons why other sums are not, by name.
        sharing: which layers are called where.
        groups: for each connection, by id, those that become one layer with it.
    """

    graphs: list[Graph]
    sums: list[str]
    methods: dict[SkipConnection, Method]
    kept: dict[str, str]
    sharing: Sharing
    groups: dict[int, list[SkipConnection]]


def plan_of(model: keras.Model, selection: Selection) -> Plan:
    """Which residual connections of a model become blocks, and by which methods."""
    graphs = graphs_of(model)
    found = {
        f"{graph.prefix}{graph.calls[place].operation.name}": skip_connection(graph, place)
        for graph in graphs
        for place in sums_in(graph)
    }
    kept = {name: one for name, one in found.items() if isinstance(one, str)}
    selection.check_names({**dict.fromkeys(found), **kept})
    connections = [one for one in found.values() if isinstance(one, SkipConnection)]
    chosen = [one for one in connections if selection.chooses(one)]
    kept |= {one.name: "not selected" for one in connections if one not in chosen}
    sharing = Sharing(graphs)
    reasons = sharing.reasons(chosen)
    kept |= {one.name: reasons[id(one)] for one in chosen if id(one) in reasons}
    possible = [one for one in chosen if id(one) not in reasons]
    innermost = [one for one in possible if not _contains_any(one, possible, graphs)]
    outer = "another residual connection inside F is converted"
    kept |= {one.name: outer for one in possible if one not in innermost}
    methods = {one: selection.method(one) for one in innermost}
    groups = sharing.groups(innermost)
    for group in groups.values():
        _check_one_method([(one.name, methods[one]) for one in group])
    return Plan(graphs, list(found), methods, kept, sharing, groups)


def _contains_any(
    outer: SkipConnection, connections: Sequence[SkipConnection], graphs: Sequence[Graph]
) -> bool:
    """Whether a connection has another one in its F, or in a model that F calls."""
    inside = {id(call.operation) for call in outer.calls}
    for graph in graphs:  # a model comes before those that it calls
        if id(graph.model) in inside:
            inside |= {id(call.operation) for call in graph.calls}
    return any(
        id(one.graph.model) in inside or (one.graph is outer.graph and one.place in outer.interior)
        for one in connections
    )


def _check_one_method(methods: Sequence[tuple[str, Method]]) -> None:
    (first, one), *others = methods
    for name, other in others:
        if other != one:
            raise ValueError(
                "Residual connections that call the same layers become one block with one method. "
                f"Received: {one.tableau.name!r} and dt={one.dt} for {first!r}, "
                f"{other.tableau.name!r} and dt={other.dt} for {name!r}."
            )
