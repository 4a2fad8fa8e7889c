"""One f in two layers of a model, which Keras cannot load back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras

from keras_rk.field.copies import children_of, layers_inside, templates_of


def check_not_shared(owner: keras.layers.Layer, y: Any) -> None:
    """Refuses an f that a layer before this one has inside as well.

    Keras 3.15 writes the configuration of a shared layer at each of its places, and marks them as
    one only where the first is still being written when the second is reached: f itself in the
    model, and in a wrapper after that, loads; f in two wrappers does not.

    Args:
        owner: the wrapper of f, about to be called.
        y: what it is called with; nothing is refused unless it belongs to a functional model.
    """
    before = list(_layers_before(y))
    if not before or any(layer is owner for layer in before):
        return  # one wrapper called twice is written once
    if not any(inner.weights for inner in layers_inside(owner.layer)):
        return  # f is new: no layer before this one has called it
    holders: dict[int, keras.layers.Layer] = {}
    for layer in reversed(before):
        for inner in layers_inside(layer):
            holders.setdefault(id(inner), layer)
    for shared, holder in _clashes(owner.layer, holders):
        raise ValueError(
            "Keras cannot load a layer back that two wrappers share: the model would train and "
            "save, and `load_model` would fail. Give each wrapper a layer of its own "
            "(`type(f).from_config(f.get_config())` makes one like f), or share the weights by "
            f"calling one {type(owner).__name__} twice: `block(block(y))`. Received: layer "
            f"{shared.name!r} of type {type(shared).__name__}, which is inside {holder.name!r} "
            f"and {owner.name!r}."
        )


@contextmanager
def leaving_no_trace(layer: keras.layers.Layer) -> Iterator[None]:
    """Where a symbolic call of a layer is not among those that a model counts.

    A functional model that has the layer, too, says in a file which of its calls is whose. One call
    more, made when the layer is built in here, would put the others one place off.
    """
    calls = getattr(layer, "_inbound_nodes", None)
    before = len(calls or ())
    try:
        yield
    finally:
        if calls is not None:
            del calls[before:]


def _clashes(
    layer: keras.layers.Layer, holders: Mapping[int, keras.layers.Layer]
) -> Iterator[tuple[keras.layers.Layer, keras.layers.Layer]]:
    """The layers in `layer` that cannot be loaded back, each with the first that holds it.

    Args:
        holders: the first layer before this one that a layer is inside, or is, by its id.
    """
    waiting, seen = [layer], set()
    while waiting:
        one = waiting.pop(0)
        holder = holders.get(id(one))
        if id(one) in seen or holder is one:
            continue
        seen.add(id(one))
        if holder is not None and one.weights:
            yield one, holder
        else:
            waiting += [*children_of(one), *templates_of(one)]


def _layers_before(y: Any) -> Iterator[keras.layers.Layer]:
    """The layers of a functional graph that lead to a tensor, the last ones first.

    Keras has no public way to go back from a tensor; a Keras that keeps this elsewhere leaves
    sharing unnoticed, as Keras itself does, and tests/test_sharing.py says so.
    (`keras.utils.get_source_inputs` goes back along each path, of which there are 2^n after n skip
    connections, and returns none of the layers.)
    """
    waiting, seen = [y], set()
    while waiting:
        history = getattr(waiting.pop(0), "_keras_history", None)
        if history is None or history.operation is None:
            continue
        nodes = getattr(history.operation, "_inbound_nodes", None)
        node = nodes[history.node_index] if nodes else None
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(history.operation, keras.layers.Layer):
            yield history.operation
        waiting += node.input_tensors
