"""Arguments that the diagnostics share: each is normalised, or refused with what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import keras

from keras_rk.butcher.tableau import Tableau
from keras_rk.layers.arguments import positive_integer
from keras_rk.layers.method_layer import MethodLayer
from keras_rk.models.inner_layers import method_layers
from keras_rk.proof.checker import DEFAULT_MAX_ORDER, check
from keras_rk.tableaux.as_tableau import as_tableau


class Method(NamedTuple):
    """A method with what it is called, and its order for y' = f(y)."""

    name: str
    tableau: Tableau
    order: int


def method_name(tableau: Tableau) -> str:
    """What a method is called."""
    return tableau.name or f"{tableau.stages} stages"


def method(tableau: Any) -> Method:
    """A method from whatever users pass for a tableau."""
    tableau = as_tableau(tableau)
    order = check(tableau, max_order=tableau.claimed_order or DEFAULT_MAX_ORDER).order
    return Method(method_name(tableau), tableau, order)


def several_methods(tableaux: Any) -> list[Method]:
    """Methods with different names."""
    if isinstance(tableaux, (str, Tableau)):
        tableaux = [tableaux]
    methods = [method(tableau) for tableau in tableaux]
    names = [one.name for one in methods]
    if not methods or len(set(names)) < len(names):
        raise ValueError(
            "`methods` must be a list of at least one method, each with a name of its own. "
            f"Received: {names}."
        )
    return methods


def method_names(layers: Sequence[MethodLayer]) -> str:
    """The methods of some layers, for a reader."""
    names = [method_name(layer.tableau) for layer in layers]
    return ", ".join(dict.fromkeys(names))


def increasing_substeps(substeps: Any) -> tuple[int, ...]:
    """At least two numbers of substeps, each larger than the one before."""
    counts = list(substeps) if isinstance(substeps, Sequence) else []
    numbers = tuple(positive_integer("substeps", count) for count in counts)
    if len(numbers) < 2 or any(x >= y for x, y in pairwise(numbers)):
        raise ValueError(
            "`substeps` must be at least two integers, each larger than the one before, as in "
            f"(1, 2, 4, 8, 16). Received: substeps={substeps!r}."
        )
    return numbers


def number_of_draws(control: Any) -> int:
    """How many untrained networks there are to be, of which there may be none."""
    return 0 if is_zero(control) else positive_integer("control", control)


def is_zero(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value == 0


def coarsening_factors(coarsening: Any) -> tuple[int, ...]:
    """How many times larger steps are to be: none, or different integers above one."""
    factors = list(coarsening) if isinstance(coarsening, Sequence) else [coarsening]
    numbers = tuple(sorted(positive_integer("coarsening", factor) for factor in factors))
    if 1 in numbers or len(set(numbers)) < len(numbers):
        raise ValueError(
            "`coarsening` holds different integers above 1, as in (2, 4), or is empty. "
            f"Received: coarsening={coarsening!r}."
        )
    return numbers


def outermost_layers(model: Any) -> list[MethodLayer]:
    """The Runge-Kutta layers of a model that are in no other one."""
    if not isinstance(model, keras.Model) or not model.built:
        raise ValueError(
            "The diagnostics need a Keras model that is built: call it on data first, and put a "
            "single layer into `keras.Sequential`. "
            f"Received: {model!r} (of type {type(model).__name__})."
        )
    layers = method_layers(model)
    if not layers:
        raise ValueError(
            "The diagnostics need a model with an RKResidual or an RKStack. "
            f"Received: model {model.name!r} without any."
        )
    inside = {id(inner) for layer in layers for inner in method_layers(layer)[1:]}
    return [layer for layer in layers if id(layer) not in inside]


def check_repeatable(data: Any) -> None:
    """Refuses data that can be read only once."""
    if isinstance(data, Iterator):
        raise ValueError(
            "The data are read once for each run: pass arrays, a `tf.data.Dataset`, a "
            "`keras.utils.PyDataset` or a `DataLoader`, in an order that stays the same. "
            f"Received: data of type {type(data).__name__}, which can be read only once."
        )
