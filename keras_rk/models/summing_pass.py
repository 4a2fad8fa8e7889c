"""One pass over data that adds up what a model leaves in its variables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rk.models.compilation import run_alike
from keras_rk.models.inner_layers import numbers


class SummingPass(keras.Model):
    """Calls a model on each batch, in `predict`, and adds up one number array for each variable.

    A subclass says in `call` what is added, with `add`.

    Args:
        model: the model.
        variables: those of its variables that the sums are about.
        purpose: what needs the data, for an error.
    """

    def __init__(
        self, model: keras.layers.Layer, variables: Sequence[keras.Variable], purpose: str
    ) -> None:
        super().__init__(autocast=False, name="summing_pass")
        self.inner = model
        run_alike(model, self)
        self._purpose = purpose
        self._variables = lambda: variables  # not to be tracked: they belong to the model
        self._sums = [self._number(variable.shape) for variable in variables]
        self._weight = self._number(())
        self.built = True

    def _number(self, shape: Sequence[int]) -> keras.Variable:
        return self.add_weight(
            shape=shape, initializer="zeros", dtype="float32", trainable=False, autocast=False
        )

    def add(self, values: Iterable[Any], weight: Any) -> Any:
        """Adds a value for each variable, with a weight; returns what `call` returns."""
        for total, value in zip(self._sums, values, strict=True):
            total.assign(total + weight * ops.cast(value, "float32"))
        self._weight.assign(self._weight + weight)
        return ops.zeros((1,))

    def reset(self) -> None:
        """Forgets what was added."""
        for total in (*self._sums, self._weight):
            total.assign(np.zeros(total.shape, "float32"))

    def means(self) -> list[np.ndarray]:
        """The weighted means over all batches."""
        weight = float(ops.convert_to_numpy(self._weight))
        if not weight > 0:
            raise ValueError(f"{self._purpose} needs at least one batch. Received: no data.")
        return [numbers(total) / weight for total in self._sums]
