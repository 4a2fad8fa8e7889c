"""A model that puts out its states along depth, too, and one that takes any number of substeps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rk.diagnostics.arguments import outermost_layers
from keras_rk.diagnostics.counted_steps import count_steps, is_float
from keras_rk.field.statistics import EvaluationStatistics, nearest_evaluations
from keras_rk.layers import RKStack
from keras_rk.layers.method_layer import MethodLayer, Passage
from keras_rk.models.compilation import run_alike
from keras_rk.models.inner_layers import method_layers, numbers
from keras_rk.models.method_replacement import copy_with_method
from keras_rk.models.weight_transfer import WeightTransfer

STATES = 2**20  # how many numbers of each batch are kept, for all layers together


class WatchedModel(keras.Model):
    """A model that returns its outputs, and the states of some samples along its depth.

    Args:
        inner: the model.
        every: for each layer by name, after how many steps, or blocks of a stack, a state is kept.

    Attributes:
        watches: whether states are returned.
    """

    def __init__(self, inner: keras.Model, every: Mapping[str, int] | None = None) -> None:
        super().__init__(autocast=False, name="watched_model")
        self.inner = inner
        every = dict(every or {})
        self._every = lambda layer: every.get(layer.name, 1)
        run_alike(inner, self)
        self._watched = lambda: outermost_layers(inner)  # not to be tracked twice
        self.watches = True
        self.built = True

    def call(self, inputs: Any, training: Any = None) -> Any:
        if training or not self.watches:
            return self.inner(inputs, training=training), ()
        states: dict[int, Any] = {}
        layers = self._watched()
        with ExitStack() as watched:
            for layer in layers:
                watched.enter_context(_watching(layer, states, self._every(layer)))
            outputs = self.inner(inputs, training=training)
        kept = [states[id(layer)] for layer in layers if id(layer) in states]
        size = sum(int(np.prod([n or 1 for n in x.shape[1:]])) for x in kept)
        return outputs, tuple(x[: max(1, STATES // max(1, size))] for x in kept)


@contextmanager
def _watching(layer: Any, states: dict[int, Any], every: int) -> Iterator[None]:
    """Keeps the states that a layer passes in its first call, with an axis for them after samples.

    Those after steps of a layer, or after blocks of a stack; not the one at the start.
    """
    original, returns_states = layer.advance, layer.return_states

    def advance(y: Any, *arguments: Any) -> Passage:
        layer._return_states = True
        try:
            passage = original(y, *arguments)
        finally:
            layer._return_states = returns_states
        states.setdefault(id(layer), ops.moveaxis(passage.path[every - 1 :: every], 0, 1))
        return passage if returns_states else passage._replace(path=None)

    vars(layer)["advance"] = advance
    try:
        yield
    finally:
        del vars(layer)["advance"]


class RefinedModel(WatchedModel):
    """A model whose layers replace each step by several, as many as `count` says.

    Args:
        model: the trained model, with no Runge-Kutta layer inside another one.
        tableau: the method; None for that of each layer.
        most: the largest number of substeps, if f has moving statistics.
        interpolates: whether weights between blocks can be interpolated.
    """

    def __init__(self, model: keras.Model, tableau: Any, most: int, interpolates: bool) -> None:
        super().__init__(copy_with_method(model, tableau, substeps=most))
        self.count = self.add_weight(
            shape=(), initializer="ones", dtype="int32", trainable=False, name="count"
        )
        self.slope = self.add_weight(
            shape=(), initializer="zeros", dtype="float32", trainable=False, name="slope"
        )
        counted = [count_steps(one, most, interpolates) for one in method_layers(self.inner)]
        self._counted = lambda: counted
        self._loaded: Any = lambda: model  # whose weights these are
        self._drops_coefficients = tableau is not None
        self.most = most

    def forget(self) -> None:
        """Reads weights again before the next run, also of the same model."""
        self._loaded = lambda: None

    def refine(self, model: keras.Model, count: int, weights: str) -> None:
        """Takes so many substeps from now on, with moving statistics as the model has them."""
        self.count.assign(count)
        self.slope.assign(float(weights == "interpolated"))
        if model is not self._loaded():
            names = frozenset(layer.name for layer in method_layers(model))
            dropped = frozenset(["coefficients"] if self._drops_coefficients else ())
            WeightTransfer(names, dropped)(model, self.inner)
            self._loaded = lambda: model
        for one, other in zip(method_layers(model), method_layers(self.inner), strict=True):
            if other.statistics is not None:
                _spread(one, other, other.statistics, count / self.most)

    def call(self, inputs: Any, training: Any = None) -> Any:
        for counted in self._counted():
            counted.count = ops.convert_to_tensor(self.count.value)
            counted.slope = ops.convert_to_tensor(self.slope.value)
        try:
            return super().call(inputs, training=training)
        finally:
            for counted in self._counted():
                counted.count, counted.slope = self.most, 1.0


def _spread(
    one: MethodLayer, other: MethodLayer, statistics: EvaluationStatistics, share: float
) -> None:
    """Gives each evaluation the moving statistics of the nearest one of a layer less refined.

    Args:
        statistics: those of the refined layer.
        share: what part of its evaluations counts.
    """
    steps, stages = statistics._sizes
    old = (1, 1) if one.statistics is None else one.statistics._sizes
    used = nearest_evaluations((round(steps * share), stages), old)
    places = np.concatenate([used, np.full(steps * stages - len(used), used[-1])])
    axis = int(isinstance(other, RKStack))
    variables = one._layer.variables if isinstance(one, RKStack) else list(one.layer.variables)
    for n, place in enumerate(other._multiplied):
        values = np.expand_dims(numbers(variables[place]), axis)
        if one.statistics is not None:
            further = numbers(one.statistics.weights[one._multiplied.index(place)])
            values = np.concatenate([values, further], axis)
        statistics.weights[n].assign(np.take(values, places[1:], axis))


def states_of(parts: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The states along depth, from those of each layer: each with an axis of samples first."""
    return [x[:, n] for x in parts for n in range(x.shape[1])]


def can_share(model: keras.Model, weights: str, estimated: Sequence[keras.Variable]) -> bool:
    """Whether a `RefinedModel` computes what a copy for each number of substeps would.

    Args:
        estimated: which moving statistics are estimated anew.
    """
    layers = method_layers(model, templates=True)
    if len(layers) > len(outermost_layers(model)) or any(one.return_states for one in layers):
        return False
    anew = {id(v) for v in estimated}
    for one in layers:
        if weights == "interpolated" and isinstance(one, RKStack):
            states = [v for v in one._layer.variables if not v.trainable and is_float(v)]
            if states and one.state != "per_evaluation":
                return False
            if one.trainable and not {id(v) for v in states} <= anew:
                return False
    return True
