"""A model made again with changes that `with_method` does not make."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from keras_rk.field.copies import made_from
from keras_rk.layers.stacked_layer import with_alike_blocks
from keras_rk.models.compilation import run_alike
from keras_rk.models.inner_layers import inner_layers
from keras_rk.models.method_replacement import method_configurations, model_configuration


def made_again(model: keras.Model, change: Callable[[dict[str, Any]], None]) -> keras.Model:
    """A model from the configuration of another one, which is to be given weights.

    Args:
        change: changes the configuration of a Runge-Kutta layer, in place.
    """
    classes = {type(layer).__name__: type(layer) for layer in inner_layers(model, templates=True)}
    config = model_configuration(model)
    for entry in method_configurations(config, classes):
        change(entry)
    with with_alike_blocks():
        new = made_from(config, classes)
    run_alike(model, new)
    return new
