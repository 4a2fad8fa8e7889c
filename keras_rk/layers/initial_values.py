"""The initial values of all blocks, drawn without a layer for each.

To make and to build a Keras layer takes a millisecond or two, to draw what it begins with a tenth.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_rk import loops
from keras_rk.field.vector_field import own_variables

CONSTANTS = ("zeros", "ones")
MANY = 100  # blocks: fewer are drawn sooner than a graph is made
Initializer = Callable[..., Any]


class Weight(NamedTuple):
    """A variable that a layer has added, and what it was given to begin with."""

    variable: keras.Variable
    initializer: Any


@contextmanager
def added_weights(layer: keras.layers.Layer) -> Iterator[list[Weight]]:
    """The weights that a layer adds to itself meanwhile."""
    found: list[Weight] = []
    add_weight = layer.add_weight

    def add(*args: Any, **kwargs: Any) -> Any:
        variable = add_weight(*args, **kwargs)
        found.append(Weight(variable, kwargs.get("initializer")))
        return variable

    vars(layer)["add_weight"] = add
    try:
        yield found
    finally:
        del vars(layer)["add_weight"]


def sources(
    layer: keras.layers.Layer, weights: Sequence[Weight], arguments: Collection[str]
) -> list[str] | None:
    """What each of a layer's variables begins with: the name of an argument, or of a constant.

    None where these do not tell all values: where a variable was not added as a weight, or begins
    with an initializer that is none of the arguments.
    """
    given = {id(getattr(layer, name)): name for name in arguments}
    begins = {id(weight.variable): weight.initializer for weight in weights}
    found = []
    for variable in own_variables(layer):
        initializer = begins.get(id(variable))
        if isinstance(initializer, keras.initializers.Initializer) and id(initializer) in given:
            found.append(given[id(initializer)])
        elif isinstance(initializer, str) and initializer in CONSTANTS:
            found.append(initializer)
        else:
            return None
    return found


def drawing(initializers: Sequence[Initializer]) -> Initializer:
    """An initializer of stacked values, each drawn as that of a block."""

    def initializer(shape: Any, dtype: Any = None) -> Any:
        first, shape_of_one = initializers[0], tuple(shape[1:])
        if not hasattr(first, "seed"):
            return stacked([first(shape_of_one, dtype=dtype)] * shape[0], dtype)
        if len(initializers) >= MANY and loops.prefers_graphs():
            return _drawn_in_one_graph(initializers, shape_of_one, dtype)
        return stacked([one(shape_of_one, dtype=dtype) for one in initializers], dtype)

    return initializer


def _drawn_in_one_graph(initializers: Sequence[Any], shape: Any, dtype: Any) -> Any:
    """The same values, drawn from the seeds in one loop of the backend."""
    first = initializers[0]

    def draw(seed: Any) -> Any:
        return type(first)(**{**first.get_config(), "seed": _Seed(seed)})(shape, dtype=dtype)

    seeds = np.array([(one.seed, 0) for one in initializers], "int64")
    return loops.compiled(lambda seeds: ops.map(draw, seeds))(ops.convert_to_tensor(seeds))


class _Seed(keras.random.SeedGenerator):
    """A seed that may be a tensor, drawn from once."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def next(self, ordered: bool = True) -> Any:
        return self.value


def stacking(variables: Sequence[keras.Variable]) -> Initializer:
    """An initializer that stacks the values which the variables have when it is called."""

    def initializer(shape: Any, dtype: Any = None) -> Any:
        return stacked((variable.value for variable in variables), dtype)

    return initializer


def stacked(values: Any, dtype: Any) -> Any:
    """Values along a new first axis; by NumPy, as Keras's `stack` takes long for a thousand."""
    values = list(values)
    try:
        together = np.stack([ops.convert_to_numpy(value) for value in values])
    except Exception:  # values without numbers, while Keras looks for shapes
        together = ops.stack(values)
    return ops.convert_to_tensor(together, dtype=dtype)
