"""Moving statistics: which variables of f are some, and their values at each evaluation.

Batch normalization inside f sees another distribution at every step and stage. What it learns of
one fits no other, so that inference repeats training only with statistics for each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rk import loops
from keras_rk.field.vector_field import VectorField

ERROR_ESTIMATE = "error_estimate"  # that of a layer inside f: the last one counts
UNKNOWN = 3  # what is taken for a dimension that is not known, where f is tried out


def find_statistics(
    layer: keras.layers.Layer,
    unfrozen: Callable[[], keras.layers.Layer],
    field: Callable[[keras.layers.Layer], VectorField],
    y: keras.KerasTensor,
) -> tuple[int, ...]:
    """The positions of the moving statistics of f among its variables.

    They are the numbers that no optimizer trains and to which f assigns in training what it has
    computed from y. So what is frozen, quantized or adapted is none, nor are seeds, counters, and
    the vectors of `SpectralNormalization`, which follow the weights alone.

    Args:
        layer: f, built.
        unfrozen: makes a layer like f, built, of which nothing is frozen; only called where f
            leaves variables alone that are not trained, either.
        field: f or the like as a vector field, called with `training=True`.
        y: the state, a symbolic tensor.
    """
    candidates = _candidates(layer)
    if not candidates:
        return ()
    found = candidates & _written(field(layer), y)
    if found == candidates:
        return tuple(sorted(found))
    try:
        other = unfrozen()
    except Exception:  # a layer that cannot be made again is taken as it is
        return tuple(sorted(found))
    return tuple(sorted(_candidates(other) & _written(field(other), y)))


def _candidates(layer: keras.layers.Layer) -> set[int]:
    """The positions of numbers that are not trained and belong to no metric."""
    return {
        place
        for place, variable in enumerate(layer.variables)
        if not variable.trainable and _is_float(variable) and variable.name != ERROR_ESTIMATE
    }


def _is_float(variable: Any) -> bool:
    return "float" in keras.backend.standardize_dtype(variable.dtype)


def _written(field: VectorField, y: keras.KerasTensor) -> set[int]:
    """The positions of the variables that f assigns to, depending on y as far as that shows."""
    try:
        with loops.outside_graph(), loops.unchanged(field.layer):
            return _depending_on_y(field, y)
    except Exception:  # under `jit`, or an f that does not take what is tried here
        state = [keras.KerasTensor(v.shape, dtype=v.dtype) for v in field.variables]
        t = keras.KerasTensor((), dtype=field.dtype) if field.takes_time else None
        return set(field.effects(y, state, t, look=loops.look_at_symbols).written)


def _depending_on_y(field: VectorField, y: keras.KerasTensor) -> set[int]:
    """The positions at which f at one y leaves other values than at another one.

    Weights, quantized ones too, are replaced by random ones: zeros could hide y.
    """
    rng = np.random.default_rng(0)

    def random(like: Any) -> Any:
        shape = [UNKNOWN if size is None else size for size in like.shape]
        numbers = rng.standard_normal(shape) if _is_float(like) else np.zeros(shape)
        return ops.convert_to_tensor(numbers, dtype=like.dtype)

    def other(variable: keras.Variable, value: Any) -> Any:
        dtype = keras.backend.standardize_dtype(variable.dtype)
        if _is_float(variable) and not variable.trainable:  # a scale or a variance, possibly
            numbers = rng.uniform(0.5, 1.5, variable.shape)
        elif _is_float(variable):
            return random(variable)
        elif dtype in ("int8", "uint8"):
            numbers = rng.integers(1, 6, variable.shape)
        else:
            return value
        return ops.convert_to_tensor(numbers, dtype=dtype)

    field = field.with_constants([random(x) for x in field.constants()])
    state = list(map(other, field.variables, field.read()))
    t = ops.zeros((), field.dtype) if field.takes_time else None
    left: list[list[np.ndarray]] = []

    def see(y: Any) -> Any:
        evaluation = field(state, y, t)
        left.append([np.array(ops.convert_to_numpy(x)) for x in evaluation.state])
        return evaluation.k

    for _ in range(2):
        loops.look(see, random(y))
    pairs = enumerate(zip(*left, strict=True))
    return {place for place, (one, other) in pairs if not np.array_equal(one, other)}


class EvaluationStatistics(keras.layers.Layer):
    """The moving statistics of all evaluations of f but the first, which has those of f itself.

    Weights that were saved with another method, other steps or one set for all evaluations can be
    loaded: each evaluation starts from the statistics of the one that was nearest to it.

    Args:
        variables: the moving statistics of f, those of the first evaluation; with `blocks`, stacked
            along a first axis.
        steps, stages: how many evaluations there are.
        blocks: the number of blocks; None for a single one.
    """

    def __init__(
        self,
        variables: Sequence[keras.Variable],
        steps: int,
        stages: int,
        blocks: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._first = _Untracked(variables)
        self._sizes = steps, stages
        self._axis = 0 if blocks is None else 1  # that of the evaluations
        for place, variable in enumerate(variables):
            self.add_weight(
                shape=self._insert(variable.shape, steps * stages - 1),
                initializer=lambda shape, dtype=None, v=variable: self._spread(v.value, shape),
                dtype=variable.dtype,
                trainable=False,
                autocast=False,
                aggregation=variable.aggregation,
                name=f"{place}_{variable.name}",
            )
        self.built = True

    def _insert(self, shape: Sequence[int], size: int) -> tuple[int, ...]:
        return (*shape[: self._axis], size, *shape[self._axis :])

    def _spread(self, value: Any, shape: Sequence[int]) -> Any:
        return ops.expand_dims(value, self._axis) * ops.ones(shape, dtype=value.dtype)

    def all(self) -> tuple:
        """The present values at all evaluations, along the axis of evaluations."""
        return tuple(
            joined(loops.value(first, True), loops.value(others, True), self._axis)
            for first, others in zip(self._first.variables, self.weights, strict=True)
        )

    def assign(self, values: Sequence[Any], before: Sequence[Any]) -> None:
        """Assigns what has changed since `before`, along the axis of evaluations."""
        parts = zip(self._first.variables, self.weights, values, before, strict=True)
        for first, others, new, old in parts:
            if new is not old:
                one, rest = ops.split(new, [1], self._axis)
                first.assign(ops.squeeze(one, self._axis))
                others.assign(rest)

    def save_own_variables(self, store: Any) -> None:
        super().save_own_variables(store)
        store["evaluations"] = np.array(self._sizes)

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Takes over what was saved, also for other evaluations, or what f has itself."""
        names = list(store.keys())  # what Keras passes is no real mapping
        saved = {name: np.asarray(store[name]) for name in names}
        sizes = tuple(int(n) for n in saved.pop("evaluations", (1, 1)))
        nearest = nearest_evaluations(self._sizes, sizes)
        if saved and len(saved) != len(self.weights):
            raise ValueError(
                f"Layer {self.name!r} has {len(self.weights)} moving statistics. "
                f"Received: a file with {len(saved)}."
            )
        for place, (first, weight) in enumerate(
            zip(self._first.variables, self.weights, strict=True)
        ):
            values = np.expand_dims(ops.convert_to_numpy(first), self._axis)
            if saved:
                values = np.concatenate([values, saved[str(place)]], self._axis)
            weight.assign(np.take(values, nearest[1:], self._axis))


class _Untracked:
    """Variables that belong to another layer, kept where Keras does not look for one's own."""

    def __init__(self, variables: Sequence[keras.Variable]) -> None:
        self.variables = tuple(variables)


def nearest_evaluations(sizes: Sequence[int], others: Sequence[int]) -> np.ndarray:
    """For each evaluation of a method, the nearest of another; both given as (steps, stages)."""
    steps = np.arange(sizes[0]) * others[0] // sizes[0]
    stages = np.rint(np.linspace(0, others[1] - 1, sizes[1])).astype(int)
    return np.add.outer(steps * others[1], stages).ravel()


def joined(first: Any, others: Any, axis: int = 0) -> Any:
    """The values at all evaluations, from those of the first and of the others."""
    return ops.concatenate([ops.expand_dims(first, axis), others], axis)
