"""Weights from one model into another that differs in the methods of its Runge-Kutta layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_rk.field.copies import made_from
from keras_rk.field.statistics import EvaluationStatistics, nearest_evaluations
from keras_rk.field.vector_field import own_variables
from keras_rk.layers import RKStack
from keras_rk.layers.method_layer import MethodLayer
from keras_rk.layers.stacked_layer import StackedLayer
from keras_rk.models.inner_layers import inner_layers, method_layers, numbers


class WeightTransfer(NamedTuple):
    """Gives a model the weights of one with the same layers and other methods.

    Everything goes the way of a weights file, apart from what a Runge-Kutta layer has beside f.

    Attributes:
        changed: the names of the layers with another method.
        dropped: the names of weights that such layers do not take over.
    """

    changed: frozenset[str]
    dropped: frozenset[str]

    def __call__(self, old: keras.layers.Layer, new: keras.layers.Layer) -> None:
        if not old.built:
            return
        pairs = _pairs(old, new)
        with TemporaryDirectory() as folder, ExitStack() as overridden:
            path = Path(folder) / "model.weights.h5"
            _Holder(old).save_weights(path)
            for one, other in pairs:
                overridden.enter_context(_loading(other, self._own(one, other)))
                if other.statistics is not None and method_layers(one.layer):
                    overridden.enter_context(_loading(other.statistics, _nothing))
            _Holder(new).load_weights(path)
        for one, other in pairs:
            self._inside(one, other)
        for one, other in zip(_weighted_layers(old), _weighted_layers(new), strict=True):
            _freeze_alike(one, other)

    def _own(self, old: MethodLayer, new: MethodLayer) -> Callable[[Any], None]:
        """What loads the variables that a layer has beside those of f, by name."""

        def load(store: Any) -> None:
            values = {v.name: ops.convert_to_numpy(v) for v in _beside(old)}
            later = {id(v) for part, _ in _nested(new) for v in part.variables}
            dropped = self.dropped if new.name in self.changed else frozenset[str]()
            for variable in _beside(new):
                if id(variable) not in later and variable.name in values.keys() - dropped:
                    variable.assign(values[variable.name])

        return load

    def _inside(self, old: MethodLayer, new: MethodLayer) -> None:
        """Fills blocks with Runge-Kutta layers inside, as each evaluation sees them."""
        if isinstance(old, RKStack) and isinstance(new, RKStack):
            for (one, copy_one), (other, copy_other) in zip(
                _nested(old), _nested(new), strict=True
            ):
                is_field = one.template is old.layer
                rows = [numbers(v) for v in one.variables]
                found = self._evaluations(
                    (old, rows, copy_one()), (new, copy_other()), is_field=is_field
                )
                for place, variable in enumerate(other.variables):
                    variable.assign(np.stack([block[0][place] for block in found]))
                if is_field:
                    _assign_statistics(new, found)
        elif new.statistics is not None and method_layers(old.layer):
            rows = [numbers(v)[None] for v in own_variables(old.layer)]
            copies = _built_copy(old, old.layer), _built_copy(new, new.layer)
            _assign_statistics(new, self._evaluations((old, rows, copies[0]), (new, copies[1])))

    def _evaluations(
        self,
        source: tuple[MethodLayer, list[np.ndarray], keras.layers.Layer],
        target: tuple[MethodLayer, keras.layers.Layer],
        is_field: bool = True,
    ) -> list[list[list[np.ndarray]]]:
        """The values of all variables of f, for each block and each evaluation.

        Args:
            source: the old layer, the variables of its f along an axis of blocks, and a copy of f.
            target: the new layer, and a copy of its f.
            is_field: False for a layer after each block, which is evaluated once.
        """
        (old, rows, one), (new, other) = source, target
        statistics = _statistics(old, rows) if is_field else {}
        nearest = nearest_evaluations(*(_sizes(x) if is_field else (1, 1) for x in (new, old)))

        def found(block: int, evaluation: int) -> list[np.ndarray]:
            for place, variable in enumerate(own_variables(one)):
                values = statistics.get(place)
                at_block = rows[place][block] if values is None else values[block, evaluation]
                variable.assign(at_block)
            self(one, other)
            return [numbers(variable) for variable in own_variables(other)]

        return [[found(block, n) for n in nearest] for block in range(len(rows[0]))]


class _Holder(keras.Model):
    """A model or a layer, so that its weights can be saved."""

    def __init__(self, held: keras.layers.Layer) -> None:
        super().__init__(name="holder")
        self.held = held
        self.built = True


def _pairs(
    old: keras.layers.Layer, new: keras.layers.Layer
) -> list[tuple[MethodLayer, MethodLayer]]:
    ours, theirs = method_layers(old), method_layers(new)
    unbuilt = [layer.name for layer in (new, *theirs) if not layer.built]
    if [layer.name for layer in ours] != [layer.name for layer in theirs] or unbuilt:
        raise ValueError(
            "A model made again from its configuration must have the same layers as before, built: "
            "give its class `get_build_config` and `build_from_config`, and do not share layers "
            f"between nested models. Received: {[layer.name for layer in ours]} before and "
            f"{[layer.name for layer in theirs]} now, of which {unbuilt or 'none'} are not built "
            f"(model {old.name!r})."
        )
    counts = [len(_weighted_layers(model)) for model in (old, new)]
    if counts[0] != counts[1]:
        raise ValueError(
            "A layer that the model calls and that is also inside a wrapper, or inside a nested "
            "model, becomes two when the model is made again from its configuration: give each "
            f"place a layer of its own. Received: model {old.name!r}, which has {counts[0]} layers "
            f"with weights, and {counts[1]} when made again."
        )
    return list(zip(ours, theirs, strict=True))


@contextmanager
def _loading(layer: keras.layers.Layer, load: Callable[[Any], None]) -> Iterator[None]:
    """Lets a layer load its own variables in another way."""
    vars(layer)["load_own_variables"] = load
    try:
        yield
    finally:
        del vars(layer)["load_own_variables"]


def _nothing(store: Any) -> None:
    pass


def _beside(layer: keras.layers.Layer) -> list[keras.Variable]:
    """The variables that belong to a layer and to none inside."""
    inside = {id(v) for inner in inner_layers(layer)[1:] for v in inner.variables}
    return [v for v in layer.variables if id(v) not in inside]


def _weighted_layers(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """The layers inside with variables that do not come and go with the method."""
    return [
        inner
        for inner in inner_layers(layer)
        if isinstance(inner, MethodLayer)
        or (_beside(inner) and not isinstance(inner, EvaluationStatistics))
    ]


def _freeze_alike(old: keras.layers.Layer, new: keras.layers.Layer) -> None:
    """Freezes single weights that are frozen in the other layer."""
    ours, theirs = _beside(old), _beside(new)
    flags = {v.name: v.trainable for v in ours}
    if len(flags) == len(ours):  # a name for each
        for variable in theirs:
            variable.trainable = flags.get(variable.name, variable.trainable)


def _nested(layer: MethodLayer) -> list[tuple[StackedLayer, Callable[[], keras.layers.Layer]]]:
    """The parts of a stack with Runge-Kutta layers inside, and what makes a copy of each."""
    if not isinstance(layer, RKStack):
        return []
    builders = (layer._build_f, layer._build_after)
    parts = zip(layer._parts, builders, strict=False)

    def copy_of(part: StackedLayer, build: Callable[[Any], None]) -> keras.layers.Layer:
        copy = part.maker.copy()
        build(copy)
        return copy

    return [
        (part, partial(copy_of, part, build))
        for part, build in parts
        if method_layers(part.template)
    ]


def _built_copy(owner: MethodLayer, layer: keras.layers.Layer) -> keras.layers.Layer:
    """Another layer like the f of a layer, built."""
    classes = {type(inner).__name__: type(inner) for inner in inner_layers(layer, templates=True)}
    copy = made_from(keras.saving.serialize_keras_object(layer), classes)
    owner.build_field(copy, owner.built_for)
    return copy


def _sizes(layer: MethodLayer) -> tuple[int, int]:
    """Steps and stages with moving statistics of their own."""
    return (1, 1) if layer.statistics is None else layer.statistics._sizes


def _statistics(layer: MethodLayer, rows: Sequence[np.ndarray]) -> dict[int, np.ndarray]:
    """The moving statistics, by their places in f, along axes of blocks and evaluations."""
    if layer.statistics is None:
        return {}
    found = {}
    for place, weight in zip(layer._multiplied, layer.statistics.weights, strict=True):
        others = numbers(weight) if isinstance(layer, RKStack) else numbers(weight)[None]
        found[place] = np.concatenate([rows[place][:, None], others], axis=1)
    return found


def _assign_statistics(layer: MethodLayer, found: Sequence[Sequence[list[np.ndarray]]]) -> None:
    if layer.statistics is None:
        return
    for place, weight in zip(layer._multiplied, layer.statistics.weights, strict=True):
        values = np.stack([[state[place] for state in block[1:]] for block in found])
        weight.assign(values if isinstance(layer, RKStack) else values[0])
