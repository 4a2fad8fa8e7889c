"""An untrained network like a trained one: what of a result is due to training?"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras_rk.field.copies import made_from
from keras_rk.models.compilation import run_alike
from keras_rk.models.inner_layers import inner_layers, numbers
from keras_rk.models.method_replacement import model_configuration
from keras_rk.models.moving_statistics import moving_statistics

SEEDS = 2**31 - 1  # larger than any seed that is drawn


def untrained(model: keras.Model, draw: int) -> keras.Model:
    """A model of the same configuration, with weights drawn anew by its initializers.

    Weights that no longer exist cannot be had back, so these are fresh draws: of seeds that the
    initializers name, the first draw leaves them as they are (and so gives the very weights that
    the network began with), and others replace them. The same draw of the same model is always the
    same. What is not trained (frozen weights, adapted statistics of `Normalization`) is taken over;
    moving statistics begin anew.
    """
    rng = np.random.default_rng(draw)
    config = model_configuration(model)
    _seed(config, rng, replace=draw > 0)
    classes = {type(layer).__name__: type(layer) for layer in inner_layers(model, templates=True)}
    new: Any = made_from(config, classes)
    run_alike(model, new)
    moving = {id(variable) for variable in moving_statistics(model)}
    all_frozen = not model.trainable_variables
    for old, variable in zip(model.variables, new.variables, strict=True):
        is_fresh = old.trainable or id(old) in moving
        if not (is_fresh or all_frozen):
            variable.assign(numbers(old))
    return new


def _seed(config: Any, rng: np.random.Generator, replace: bool) -> None:
    """Names the seeds in a configuration, in place."""
    if isinstance(config, dict):
        for key, value in config.items():
            if key == "seed" and (value is None or (replace and isinstance(value, int))):
                config[key] = int(rng.integers(SEEDS))
            else:
                _seed(value, rng, replace)
    elif isinstance(config, (list, tuple)):
        for value in config:
            _seed(value, rng, replace)
