"""The layers that a layer is made of, and layers made again from their configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from typing import Any

import keras


def templates_of(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """The templates of a stack, which Keras does not track."""
    held = getattr(layer, "layer", None), getattr(layer, "after", None)
    return [one for one in held if isinstance(one, keras.layers.Layer)]


def layers_inside(
    layer: keras.layers.Layer,
    further: Callable[[keras.layers.Layer], Iterable[keras.layers.Layer]] = templates_of,
) -> list[keras.layers.Layer]:
    """A layer and all layers inside, each once: those of models first, in their order.

    Found are the layers of models, those that wrappers hold, and those in attributes of any layer,
    also in lists and dictionaries; not those that only a function refers to (`Lambda`).

    Args:
        further: what else a layer is made of.
    """
    found: dict[int, keras.layers.Layer] = {}
    waiting = [layer]
    while waiting:
        one = waiting.pop()
        if id(one) not in found:
            found[id(one)] = one
            waiting += reversed([*children_of(one), *further(one)])
    return list(found.values())


def children_of(layer: keras.layers.Layer) -> Iterator[keras.layers.Layer]:
    """The layers of a model, and those in attributes; some more than once."""
    if isinstance(layer, keras.Model):  # a stack has a `layers`, too: what `further` is there for
        yield from _layers_in(layer.layers)
    yield from _layers_in(vars(layer))


def _layers_in(value: Any) -> Iterator[keras.layers.Layer]:
    if isinstance(value, keras.layers.Layer):
        yield value
    elif isinstance(value, Mapping):
        for one in list(value.values()):
            yield from _layers_in(one)
    elif isinstance(value, (list, tuple, set)):
        for one in value:
            yield from _layers_in(one)


def classes_inside(layer: keras.layers.Layer) -> dict[str, type]:
    """The classes of those, by name, so that they need not be registered."""
    return {type(inner).__name__: type(inner) for inner in layers_inside(layer)}


def made_from(config: dict[str, Any], custom_objects: dict[str, type]) -> keras.layers.Layer:
    """A new layer from what `keras.saving.serialize_keras_object` returned."""
    return keras.saving.deserialize_keras_object(
        deepcopy(config), custom_objects=custom_objects, safe_mode=False
    )


def copy_of(layer: keras.layers.Layer) -> keras.layers.Layer:
    """A new layer like this one, with weights of its own."""
    return made_from(keras.saving.serialize_keras_object(layer), classes_inside(layer))


def unfreeze(layer: keras.layers.Layer) -> None:
    """Makes a layer and all that it is made of trainable.

    On TensorFlow, Keras's `Sequential` does not pass that on to its layers.
    """
    for inner in layers_inside(layer):
        inner.trainable = True
