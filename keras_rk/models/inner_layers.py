"""The layers inside a layer or a model, wherever they are kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rk.layers import RKStack
from keras_rk.layers.method_layer import MethodLayer


def inner_layers(layer: keras.layers.Layer, templates: bool = False) -> list[keras.layers.Layer]:
    """A layer and all layers inside, each once: those of models first, in their order.

    Found are the layers of models, those that wrappers hold, and those in attributes of any layer,
    also in lists and dictionaries; not those that only a function refers to (`Lambda`).

    Args:
        templates: whether to go into the templates of stacks, too. Their layers compute what each
            block computes, but the weights are those of the stack.
    """
    found: dict[int, keras.layers.Layer] = {}
    waiting = [layer]
    while waiting:
        one = waiting.pop()
        if id(one) not in found:
            found[id(one)] = one
            waiting += reversed(list(_children(one, templates)))
    return list(found.values())


def method_layers(layer: keras.layers.Layer, templates: bool = False) -> list[MethodLayer]:
    """The `RKResidual` and `RKStack` layers among them."""
    return [one for one in inner_layers(layer, templates) if isinstance(one, MethodLayer)]


def stack_templates(stack: RKStack) -> list[keras.layers.Layer]:
    """The layers that compute what is in a block."""
    return [stack.layer] if stack.after is None else [stack.layer, stack.after]


def numbers(variable: Any) -> np.ndarray:
    """A copy of what a variable holds, which later assignments leave alone."""
    return np.array(ops.convert_to_numpy(variable))


def _children(layer: keras.layers.Layer, templates: bool) -> Iterator[keras.layers.Layer]:
    yield from _layers_in(getattr(layer, "layers", ()))
    yield from _layers_in(vars(layer))
    if templates and isinstance(layer, RKStack):
        yield from stack_templates(layer)


def _layers_in(value: Any) -> Iterator[keras.layers.Layer]:
    if isinstance(value, keras.layers.Layer):
        yield value
    elif isinstance(value, Mapping):
        for one in list(value.values()):
            yield from _layers_in(one)
    elif isinstance(value, (list, tuple, set)):
        for one in value:
            yield from _layers_in(one)
