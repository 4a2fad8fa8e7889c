"""What `compile` was told of a model, told to another one."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from keras_rk.models.inner_layers import inner_layers


def compile_alike(model: keras.layers.Layer, new: keras.layers.Layer) -> None:
    """Compiles a copy of a model, and the models inside, as the given ones are compiled.

    The optimizer is a new one of the same configuration, and metrics are new, as `load_model` makes
    them. Losses and functions are the same objects, so that they need not be registered. Where that
    fails, a warning says that the copy is not compiled.

    Args:
        model: the given model, or a layer.
        new: its copy, with the same layers in the same order, of which those are frozen that are
            not to be trained.
    """
    for one, other in zip(_models(model), _models(new), strict=False):
        compile_one(one, other)


def compile_one(model: keras.Model, new: keras.Model) -> None:
    """The same for a model alone, whatever is inside."""
    if not model.compiled:
        return
    try:
        _compile(model, new)
    except Exception as error:
        warnings.warn(
            f"The copy of model {model.name!r} (of type {type(model).__name__}) is not compiled: "
            "what `compile` was told of the model could not be made again, with "
            f"{type(error).__name__}: {error} Call `compile` of the copy.",
            stacklevel=4,
        )


@contextmanager
def not_compiled(model: keras.layers.Layer) -> Iterator[None]:
    """Where the configuration of a model says nothing about how it is compiled.

    What a model was compiled with may be nothing that Keras can save.
    """
    models = _models(model)
    try:
        for one in models:
            vars(one)["get_compile_config"] = dict  # which returns none
        yield
    finally:
        for one in models:
            vars(one).pop("get_compile_config", None)


def run_alike(model: keras.layers.Layer, new: keras.Model) -> None:
    """Makes a model that is not compiled execute as the given one does.

    So a model that only runs eagerly, or only without XLA, does so here as well. (XLA is left to
    Keras otherwise: to compile takes longer than a pass over data.)
    """
    if isinstance(model, keras.Model):
        new.run_eagerly = model.run_eagerly
        if not model.jit_compile:
            new.jit_compile = False


def _models(layer: keras.layers.Layer) -> list[keras.Model]:
    return [inner for inner in inner_layers(layer) if isinstance(inner, keras.Model)]


def _compile(model: keras.Model, new: keras.Model) -> None:
    if type(model).compile is keras.Model.compile:
        # A model that was told to do without loss scaling has an optimizer without.
        scales = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
        arguments = keras.tree.map_structure(_fresh, _arguments(model))
        new.compile(**arguments, auto_scale_loss=scales)
    elif type(model).compile_from_config is not keras.Model.compile_from_config:
        new.compile_from_config(model.get_compile_config())
    else:
        raise NotImplementedError(
            "a class with a `compile` of its own needs `get_compile_config` and "
            "`compile_from_config` as well."
        )


def _arguments(model: keras.Model) -> dict[str, Any]:
    """What `compile` was called with.

    Keras keeps the objects themselves under a name that is not public; `get_compile_config` returns
    what it would save of them, which is less (a function's name, and not what it refers to).
    """
    kept = getattr(model, "_compile_config", None)
    if kept is not None:
        return dict(kept.config)
    return keras.saving.deserialize_keras_object(model.get_compile_config())


def _fresh(value: Any) -> Any:
    """A new optimizer or metric like this one; anything else serves two models."""
    if isinstance(value, keras.optimizers.Optimizer):
        return _public_class(type(value)).from_config(value.get_config())
    if isinstance(value, keras.metrics.Metric):
        return type(value).from_config(value.get_config())
    return value


def _public_class(optimizer: Any) -> Any:
    """The class that users name, for one of Keras's optimizers.

    Keras 3.15 makes an object of a subclass for PyTorch, saves that class, and loads it on other
    backends, where it cannot train. The public class makes what the present backend needs.
    """
    public: Any = getattr(keras.optimizers, optimizer.__name__, optimizer)
    of_keras = optimizer.__module__.startswith("keras.") and issubclass(optimizer, public)
    return public if of_keras else optimizer
