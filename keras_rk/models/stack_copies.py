"""A copy of a model in which stacks have other blocks, or another method, with values given."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np

from keras_rk.field.copies import made_from
from keras_rk.field.vector_field import is_seed, own_variables
from keras_rk.layers import RKStack
from keras_rk.layers.blocks import derived_seed
from keras_rk.models.compilation import run_alike
from keras_rk.models.inner_layers import inner_layers, method_layers, numbers
from keras_rk.models.method_replacement import method_configurations, model_configuration

Change = Callable[[dict[str, Any]], None]
Rows = Callable[[np.ndarray], np.ndarray]


def stacks_of(model: keras.Model) -> dict[str, RKStack]:
    """The stacks of a model by name, without those inside another Runge-Kutta layer."""
    layers = method_layers(model)
    inside = {id(inner) for layer in layers for inner in method_layers(layer)[1:]}
    return {x.name: x for x in layers if isinstance(x, RKStack) and id(x) not in inside}


def with_stacks(model: keras.Model, changes: Mapping[str, Change]) -> keras.Model:
    """The model made again, with initial weights in its stacks and its own everywhere else.

    Args:
        model: a model that is not compiled, so that all of its variables are those of layers.
        changes: what changes the configuration of each named stack, in place.
    """
    classes = {type(layer).__name__: type(layer) for layer in inner_layers(model, templates=True)}
    config = model_configuration(model)
    for entry in method_configurations(config, classes):
        if entry["name"] in changes:
            changes[entry["name"]](entry)
    new = made_from(config, classes)
    run_alike(model, new)
    for one, other in zip(_outside(model, changes), _outside(new, changes), strict=True):
        other.assign(numbers(one))
        _freeze_alike(one, other)
    return new


def _outside(model: keras.Model, names: Mapping[str, Any]) -> list[keras.Variable]:
    """The variables that are in no named stack."""
    stacks = [stack for name, stack in stacks_of(model).items() if name in names]
    inside = {id(variable) for stack in stacks for variable in stack.variables}
    return [variable for variable in model.variables if id(variable) not in inside]


def fill(old: RKStack, new: RKStack, rows: Rows, sources: list[int], copies: list[int]) -> None:
    """Gives the blocks of a stack, beside statistics and step sizes, the values of another one.

    Args:
        rows: makes the new values along the first axis from the old ones.
        sources: the old block, or the first, that each new one comes from.
        copies: for each new block, how many before it come from the same one. The random numbers
            of a further one are others.
    """
    for one, other, template in variables_of_blocks(old, new):
        values = numbers(one)
        is_float = "float" in keras.backend.standardize_dtype(one.dtype)
        if is_float:
            other.assign(rows(values))
        elif is_seed(template):
            other.assign(_seeds(values, sources, copies))
        else:
            other.assign(values[sources])
        _freeze_alike(one, other)


def variables_of_blocks(old: RKStack, new: RKStack) -> Iterator[tuple[Any, Any, keras.Variable]]:
    """The stacked variables of two stacks in pairs, each with the one that stands for a block."""
    for one, other in zip(old._parts, new._parts, strict=True):
        yield from zip(one.variables, other.variables, own_variables(one.template), strict=True)


def _seeds(values: np.ndarray, sources: list[int], copies: list[int]) -> np.ndarray:
    found = values[sources]
    for n, copy in enumerate(copies):
        if copy:
            found[n] = [derived_seed(*map(int, np.ravel(found[n])), copy), 0]
    return found


def _freeze_alike(one: keras.Variable, other: keras.Variable) -> None:
    if other.trainable != one.trainable:
        other.trainable = one.trainable
