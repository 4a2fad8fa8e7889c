"""The blocks of a stack: layers of one kind, each with its own weights."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_rk.field.copies import classes_inside, made_from
from keras_rk.field.plain_layers import (
    arguments_of,
    made_again,
    of_one_kind,
    with_new_initializers,
)
from keras_rk.layers.hints import instead_of_a_layer


class BlockMaker:
    """Makes the layer of each block: from one layer's configuration, or by calling a factory.

    Args:
        source: a Keras layer, or a function `factory(block)` or `factory()` that returns one.
        seed: where seeds that are None in the configuration come from; None leaves them alone.
        argument: the name of the argument that `source` is, for messages.
    """

    def __init__(self, source: Any, seed: int | None, argument: str) -> None:
        self.seed = seed
        self.argument = argument
        is_layer = isinstance(source, keras.layers.Layer)
        self.factory: Any = None if is_layer else _factory(source, argument)
        example = source if self.factory is None else self._made_by_factory(0)
        self.arguments = arguments_of(example)
        if self.arguments is None:
            self._config: dict | None = configuration(example, argument)
        else:  # serialized only when asked for, so it has to stay as it is
            self._config, self._original = None, type(example)(**self.arguments)
        self.custom_objects = classes_inside(example)
        self.template = self.make(0) if self.factory is None else example

    @property
    def config(self) -> dict:
        """What Keras makes a layer like the source from."""
        if self._config is None:
            self._config = configuration(self._original, self.argument)
        return self._config

    def make(self, block: int) -> keras.layers.Layer:
        """A new layer for the block, with initial weights of its own."""
        if self.factory is not None:
            layer = self._made_by_factory(block)
            if self.arguments is None or not of_one_kind(self._original, layer):
                check_same_kind(self.config, layer, block)
            return layer
        if self.arguments is None:
            return self._copy(with_seeds(self.config, self.seed, block))
        return type(self._original)(**self.arguments_of_block(block))

    def arguments_of_block(self, block: int) -> dict[str, Any]:
        """What the layer of a block is made with, where `arguments` are known."""
        return with_new_initializers(
            self.arguments or {}, lambda arguments: with_seeds(arguments, self.seed, block)
        )

    def _made_by_factory(self, block: int) -> keras.layers.Layer:
        layer = self.factory(block)
        if isinstance(layer, keras.layers.Layer):
            return layer
        raise ValueError(
            "A function makes the layer of a block, `lambda block: Dense(8)`; f itself as a "
            "function is a layer as `keras.layers.Lambda(f)`. "
            f"A factory given as `{self.argument}` must return a Keras layer. "
            f"Received: {layer!r} (of type {type(layer).__name__}) for block {block}."
        )

    def copy(self, name: str | None = None) -> keras.layers.Layer:
        """A new layer like the template, whose weights are to be set."""
        if self.arguments is not None:
            return made_again(
                type(self._original), {**self.arguments, "name": name or self._original.name}
            )
        config = self.config
        if name is not None:
            config = {**config, "config": {**config["config"], "name": name}}
        return self._copy(config)

    def _copy(self, config: dict) -> keras.layers.Layer:
        try:
            return made_from(config, self.custom_objects)
        except Exception as error:
            raise ValueError(_not_made_again(self.argument, config["class_name"], error)) from error


def configuration(layer: keras.layers.Layer, argument: str) -> dict:
    """What Keras makes a layer like this one from."""
    try:
        return keras.saving.serialize_keras_object(layer)
    except Exception as error:
        raise ValueError(_not_made_again(argument, type(layer).__name__, error)) from error


def _not_made_again(argument: str, kind: str, error: Exception) -> str:
    return (
        f"`{argument}` of a stack must be a layer that can be made again from its configuration, "
        "also where a factory makes it: give its class `get_config`, with arguments that Keras can "
        "save, and register it with `@keras.saving.register_keras_serializable()`. "
        f"Received: a layer of type {kind}; making it again failed with "
        f"{type(error).__name__}: {error}"
    )


def _factory(source: Any, argument: str) -> Callable[[int], Any]:
    if not callable(source) or isinstance(source, type):
        raise ValueError(
            f"`{argument}` of RKStack must be a Keras layer or model, or a function that makes the "
            f"layer of a block: `lambda block: Dense(8)`. {instead_of_a_layer(source)}"
            f"Received: {source!r} (of type {type(source).__name__})."
        )
    try:
        inspect.signature(source).bind()
    except TypeError:
        return source
    return lambda block: source()


def with_seeds(config: Any, seed: int | None, block: int) -> Any:
    """A configuration in which each seed is one for this block.

    A seed s becomes one derived from (s, block); None becomes one derived from `seed`, the block
    and its place among the seeds, or stays None where `seed` is None.
    """
    places = iter(range(10**9))

    def walk(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return type(value)(map(walk, value))
        if not isinstance(value, dict):
            return value
        return {key: derive(x) if key == "seed" else walk(x) for key, x in value.items()}

    def derive(value: Any) -> Any:
        place = next(places)
        if isinstance(value, int):
            return derived_seed(value, block)
        if value is None and seed is not None:
            return derived_seed(seed, block, place)
        return walk(value)

    return walk(config)


def derived_seed(*numbers: int) -> int:
    """A seed that depends on all of the numbers; different ones give unrelated seeds."""
    return int(np.random.SeedSequence([abs(n) for n in numbers]).generate_state(1)[0] >> 1)


def check_same_kind(first: dict, other: keras.layers.Layer, block: int) -> None:
    """Refuses a layer that computes something else with its weights than one of a configuration."""
    ours = architecture(first)
    theirs = architecture(configuration(other, "layer"))
    if ours == theirs:
        return
    path, one, two = _difference(ours, theirs)
    raise ValueError(
        "The blocks of a stack must be layers of one kind: they may differ in names, seeds and "
        f"initial values only. Received: {path} is {one!r} in block 0 and {two!r} in block {block} "
        f"(layer {other.name!r} of type {type(other).__name__})."
    )


def architecture(config: dict) -> Any:
    """A configuration without names, seeds, initial values and shapes of inputs."""
    names: dict[str, str] = {}

    def collect(value: Any) -> None:
        if isinstance(value, dict):
            if isinstance(value.get("name"), str):
                names.setdefault(value["name"], f"layer {len(names)}")
            value = list(value.values())
        if isinstance(value, (list, tuple)):
            for x in value:
                collect(x)

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                key: walk(x)
                for key, x in value.items()
                if key not in ("seed", "build_config", "shared_object_id")
                and not key.endswith("initializer")
            }
        if isinstance(value, (list, tuple)):
            return [walk(x) for x in value]
        return names.get(value, value) if isinstance(value, str) else value

    collect(config)
    return walk(config)


def _difference(one: Any, two: Any, path: str = "") -> tuple[str, Any, Any]:
    """Where two configurations differ first, and what stands there in each."""
    if isinstance(one, dict) and isinstance(two, dict):
        for key in sorted({*one, *two}, key=lambda key: (key != "class_name", key)):
            if one.get(key) != two.get(key):
                return _difference(one.get(key), two.get(key), f"{path}.{key}" if path else key)
    if isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
        for place, (x, y) in enumerate(zip(one, two, strict=True)):
            if x != y:
                return _difference(x, y, f"{path}[{place}]")
    return path or "the configuration", one, two
