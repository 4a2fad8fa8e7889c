"""Keras's own layers, made again from the arguments that they were made with.

Keras serializes with `layer.get_config()`, and for that it imports TensorFlow wherever it is
installed, also on JAX and PyTorch, which takes longer than compiling a stack. The layers here hold
each argument of their constructor in an attribute of the same name, so they can do without.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import keras

from keras_rk.field.copies import layers_inside

OF_ALL_LAYERS = ("name", "trainable", "activity_regularizer")
PLAIN_LAYERS = frozenset(
    getattr(keras.layers, name)
    for name in (
        "Activation",
        "BatchNormalization",
        "Conv1D",
        "Conv2D",
        "Conv3D",
        "Dense",
        "DepthwiseConv1D",
        "DepthwiseConv2D",
        "Dropout",
        "GaussianDropout",
        "GaussianNoise",
        "GroupNormalization",
        "LayerNormalization",
        "LeakyReLU",
        "PReLU",
        "ReLU",
        "RMSNormalization",
        "SeparableConv1D",
        "SeparableConv2D",
        "Softmax",
        "UnitNormalization",
    )
)


# What they do in a call is not Keras's to say, or is to assign to a kernel.
UNKNOWN_OR_ASSIGNING = (
    keras.layers.Lambda,
    keras.layers.SpectralNormalization,
    keras.layers.TorchModuleWrapper,
)


def assigns_to_no_weight(layer: keras.layers.Layer) -> bool:
    """Whether a layer is made of Keras's own ones alone, which assign to state, never to weights.

    A plain call of such a layer can be differentiated wherever Keras's can.
    """
    return all(
        type(inner).__module__.split(".")[0] == "keras"
        and not isinstance(inner, UNKNOWN_OR_ASSIGNING)
        for inner in layers_inside(layer)
    )


def arguments_of(layer: keras.layers.Layer) -> dict[str, Any] | None:
    """What to make another layer like this one with; None where only its configuration tells.

    Whatever was not written by Keras (a subclass, a function as activation) counts as the latter,
    for it may not be what its attributes say, or not be fit for saving.
    """
    kind = type(layer)
    if kind not in PLAIN_LAYERS or (layer.built and layer.weights):
        return None
    policy = layer.dtype_policy
    if type(policy) is not keras.DTypePolicy or getattr(layer, "rms_scaling", False):
        return None
    named = [p for p in inspect.signature(kind).parameters.values() if p.kind != p.VAR_KEYWORD]
    names = dict.fromkeys([*OF_ALL_LAYERS, *(parameter.name for parameter in named)])
    if not all(hasattr(layer, name) for name in names):
        return None
    arguments = {name: getattr(layer, name) for name in names}
    if not all(map(_is_plain, arguments.values())):
        return None
    return {**arguments, "dtype": policy}


def made_again(
    kind: Callable[..., keras.layers.Layer],
    arguments: Mapping[str, Any],
    change: Callable[[dict], dict] = dict,
) -> keras.layers.Layer:
    """A layer of a kind, with initializers of its own.

    Args:
        change: as in `with_new_initializers`.
    """
    return kind(**with_new_initializers(arguments, change))


def with_new_initializers(
    arguments: Mapping[str, Any], change: Callable[[dict], dict] = dict
) -> dict[str, Any]:
    """The arguments of a layer, with other initializers of the same kinds.

    Args:
        change: applied to the arguments, in which initializers are configurations meanwhile.
    """
    initializers = {
        name: value
        for name, value in arguments.items()
        if isinstance(value, keras.initializers.Initializer)
    }
    configurations = {name: value.get_config() for name, value in initializers.items()}
    changed = change({**arguments, **configurations})
    for name, value in initializers.items():
        changed[name] = type(value).from_config(changed[name])
    return changed


def of_one_kind(first: keras.layers.Layer, other: keras.layers.Layer) -> bool:
    """Whether two layers are known to differ in names, seeds and initial values at most."""
    ours, theirs = arguments_of(first), arguments_of(other)
    if ours is None or theirs is None or type(first) is not type(other):
        return False
    return all(
        ours[name] == theirs[name]
        for name in ours
        if name not in ("name", "seed") and not name.endswith("initializer")
    )


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    if value is None or isinstance(value, (bool, int, float, str)):
        return True
    if isinstance(value, keras.initializers.Initializer):
        seed = getattr(value, "seed", None)
        return _is_of_keras(type(value)) and (seed is None or isinstance(seed, int))
    if isinstance(value, (keras.regularizers.Regularizer, keras.constraints.Constraint)):
        return _is_of_keras(type(value))
    name = getattr(value, "__name__", "")
    return inspect.isfunction(value) and value is getattr(keras.activations, name, None)


def _is_of_keras(value: Any) -> bool:
    return value.__module__.split(".")[0] == "keras"
