"""The arguments that all layers of a method have in common: how each is read, and that it stays."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import keras

from keras_rk.layers.arguments import (
    NOISES,
    REMATS,
    REQUIREMENTS,
    STATES,
    loss_weight,
    number_of_steps,
    one_of,
    penalty_on_order,
    positive_integer,
    start_time,
    trainable_step,
    truth,
)


def _unless_none(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else read(value)


# Each argument, and what makes of a user's value the one that is kept, or refuses it.
OPTIONS: dict[str, Callable[[Any], Any]] = {
    "steps": number_of_steps,
    "order": _unless_none(partial(positive_integer, "order")),
    "require": lambda value: one_of("require", value, REQUIREMENTS),
    "state": lambda value: one_of("state", value, STATES),
    "noise": lambda value: one_of("noise", value, NOISES),
    "t0": lambda value: start_time(value)[0],
    "remat": _unless_none(lambda value: one_of("remat", value, REMATS)),
    "trainable_dt": trainable_step,
    "trainable_tableau": partial(truth, "trainable_tableau"),
    "order_penalty": penalty_on_order,
    "error_estimate": partial(truth, "error_estimate"),
    "error_weight": partial(loss_weight, "error_weight"),
    "return_states": partial(truth, "return_states"),
    "jit_compile": partial(truth, "jit_compile"),
}

OF_A_CALL = ("t0", "return_states", "jit_compile")
# What the blocks of a stack have in common beside the tableau.
OF_ONE_METHOD = tuple(name for name in OPTIONS if name not in OF_A_CALL)


def given_options(arguments: dict[str, Any]) -> dict[str, Any]:
    """Those of the arguments of a constructor that all layers have in common."""
    return {name: arguments[name] for name in OPTIONS}


def fixed(name: str) -> property:
    """An attribute, kept as `_name`, that what was computed at construction depends on."""

    def get(layer: keras.layers.Layer) -> Any:
        return getattr(layer, f"_{name}")

    def refuse(layer: keras.layers.Layer, value: Any) -> None:
        owner = type(layer).__name__
        raise AttributeError(
            f"`{name}` of {owner} is fixed at construction. Build a new layer: "
            f"`{owner}.from_config({{**layer.get_config(), {name!r}: ...}})`; once both are "
            f"built, `set_weights` takes over the weights. Received: {name}={value!r} "
            f"(layer {layer.name!r})."
        )

    return property(get, refuse)
