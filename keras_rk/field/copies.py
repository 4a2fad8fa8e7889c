"""Layers made again from their configuration."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import keras


def layers_inside(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """A layer, and those that a model is made of."""
    children = getattr(layer, "layers", None) or [getattr(layer, "layer", None)]
    layers = [child for child in children if isinstance(child, keras.layers.Layer)]
    return [layer, *(inner for child in layers for inner in layers_inside(child))]


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
