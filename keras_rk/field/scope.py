"""The scope in which f is evaluated: its variables are arguments, what it writes are results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from keras_rk import loops


class Foreign(NamedTuple):
    """A value assigned to a variable that the field does not own, and the one before."""

    variable: keras.Variable
    before: Any
    value: Any


class FieldScope(keras.StatelessScope):
    """Holds the variables of f; other ones are read and written as if it were not there.

    f may use variables that it does not own: the seed of `keras.random` without a seed, or a
    layer that belongs to the model around it.
    """

    def __init__(self, mapping: list, foreign: Sequence[tuple] = ()) -> None:
        super().__init__([*mapping, *foreign], collect_losses=True)
        self._own = frozenset(id(variable) for variable, _ in mapping)
        self.written: dict[int, tuple[keras.Variable, Any]] = {}
        self.foreign: dict[int, Foreign] = {}
        self.read: dict[int, keras.Variable] = {}  # foreign ones
        self.kept_losses: list = []

    def get_current_value(self, variable: Any) -> Any:
        value = super().get_current_value(variable)
        if id(variable) not in self._own:
            self.read[id(variable)] = variable
        if value is None and self.original_scope is not None:
            return self.original_scope.get_current_value(variable)
        return value

    def add_update(self, update: tuple) -> None:
        variable, value = update
        if isinstance(value, keras.Variable):  # what it holds now, not what it will hold later
            value = ops.convert_to_tensor(value.value)
        key = id(variable)
        if key not in self._own:
            before = self.foreign[key].before if key in self.foreign else self._before(variable)
            self.foreign[key] = Foreign(variable, before, value)
        super().add_update((variable, value))
        self.written[key] = variable, value

    def check_reach(self, layer: keras.layers.Layer, cause: Exception | None = None) -> None:
        """Refuses what was assigned inside of a branch or a loop of TensorFlow, and stays there."""
        left_behind = [v for v, value in self.written.values() if loops.is_left_behind(value)]
        if left_behind:
            raise ValueError(
                "In a graph of TensorFlow, f cannot assign to variables inside `ops.cond`, "
                "`ops.switch`, `ops.while_loop`, `ops.map` and the like, nor draw random numbers, "
                "which assigns to a seed: what is computed there can only be returned. Compute "
                "both branches and choose, `ops.where(condition, one, other)`; write a loop in "
                "Python. "
                f"Received: an assignment to {left_behind[0].path!r} inside of one "
                f"(layer {layer.name!r} of type {type(layer).__name__})."
            ) from cause

    def _before(self, variable: keras.Variable) -> Any:
        value = self.get_current_value(variable)
        return loops.value(variable, written=True) if value is None else value

    def __exit__(self, *error: Any) -> None:
        """Leaves the losses of f alive as long as the scope around this one.

        That scope recognises a layer's losses by `id`. If those of f were freed before it has
        been read, a loss of another layer that takes over an address would count twice.
        """
        if self.original_scope is not None:
            kept = self.original_scope.__dict__.setdefault("kept_losses", [])
            kept.extend([*self.losses, *self.kept_losses])
        super().__exit__(*error)
