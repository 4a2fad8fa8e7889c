"""Names, and copies of what would have one that another layer of the model has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import keras

from keras_rk.field.copies import classes_inside, made_from
from keras_rk.field.vector_field import own_variables
from keras_rk.models.inner_layers import numbers


class Names:
    """The names in one model, of which each is that of one layer or operation.

    Args:
        taken: the layers and operations that keep theirs.
    """

    def __init__(self, taken: Iterable[Any]) -> None:
        self._owners: dict[str, Any] = {}
        for operation in taken:
            self._owners.setdefault(operation.name, operation)
        self._copies: dict[int, Any] = {}

    def new(self, name: str) -> str:
        """A name like this one that nothing else has."""
        number, free = 0, name
        while free in self._owners:
            number += 1
            free = f"{name}_{number}"
        self._owners[free] = None
        return free

    def take(self, operation: Any) -> None:
        """Notes whose a new name is."""
        self._owners[operation.name] = operation

    def owner(self, original: Any, operation: Any) -> Any:
        """What is called in the place of a layer or an operation: a copy if its name is taken.

        Args:
            original: what had the name.
            operation: what is to have it, which may be another one.
        """
        if self._owners.setdefault(original.name, original) is original:
            return operation
        if id(original) not in self._copies:
            name = self.new(original.name)
            self._copies[id(original)] = original, renamed(operation, name)
        return self._copies[id(original)][1]


def renamed(operation: Any, name: str) -> Any:
    """Another layer or operation like this one, with the weights that it has now."""
    if isinstance(operation, keras.layers.Layer):
        return copied(operation, name, {})
    return type(operation).from_config({**operation.get_config(), "name": name})


def copied(layer: keras.layers.Layer, name: str, values: Mapping[int, Any]) -> keras.layers.Layer:
    """Another layer like this one, with weights of its own.

    Args:
        values: other values for some of the variables, by their ids.
    """
    config = keras.saving.serialize_keras_object(layer)
    config["config"] = {**config["config"], "name": name}
    new = made_from(config, classes_inside(layer))
    if not new.built:
        new.build_from_config(layer.get_build_config())
    for old, variable in zip(own_variables(layer), own_variables(new), strict=True):
        variable.assign(values.get(id(old), numbers(old)))
        if variable.trainable != old.trainable:
            variable.trainable = old.trainable
    return new
