"""The layers inside a layer or a model, wherever they are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rk.field.copies import layers_inside
from keras_rk.layers import RKStack
from keras_rk.layers.method_layer import MethodLayer


def inner_layers(layer: keras.layers.Layer, templates: bool = False) -> list[keras.layers.Layer]:
    """A layer and all layers inside, as `layers_inside` finds them.

    Args:
        templates: whether to go into the templates of stacks, too. Their layers compute what each
            block computes, but the weights are those of the stack.
    """

    def further(layer: keras.layers.Layer) -> Sequence[keras.layers.Layer]:
        return stack_templates(layer) if templates and isinstance(layer, RKStack) else ()

    return layers_inside(layer, further)


def method_layers(layer: keras.layers.Layer, templates: bool = False) -> list[MethodLayer]:
    """The `RKResidual` and `RKStack` layers among them."""
    return [one for one in inner_layers(layer, templates) if isinstance(one, MethodLayer)]


def stack_templates(stack: RKStack) -> list[keras.layers.Layer]:
    """The layers that compute what is in a block."""
    return [stack.layer] if stack.after is None else [stack.layer, stack.after]


def numbers(variable: Any) -> np.ndarray:
    """A copy of what a variable holds, which later assignments leave alone."""
    return np.array(ops.convert_to_numpy(variable))
