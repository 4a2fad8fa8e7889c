"""The local errors that layers estimate, over data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rk import loops
from keras_rk.butcher.tableau import Tableau
from keras_rk.layers.method_layer import MethodLayer
from keras_rk.models.summing_pass import SummingPass


def estimate_errors(config: dict[str, Any], pair: Tableau) -> None:
    """Changes the configuration of a layer so that it estimates its errors by a pair, in passing.

    Nothing is trained by them.
    """
    config.update(tableau=pair.to_dict(), order=None, require="explicit")
    config.update(error_estimate=True, error_weight=0.0)
    config.update(trainable_tableau=False, order_penalty=None)


class ErrorPass(SummingPass):
    """Calls a model in inference mode and adds up the squares of its estimated errors.

    Args:
        model: the model.
        layers: those of its layers that estimate errors.
    """

    def __init__(self, model: keras.Model, layers: Sequence[MethodLayer]) -> None:
        super().__init__(model, [layer._error for layer in layers], "A local error")

    def call(self, inputs: Any) -> Any:
        self.inner(inputs, training=False)
        samples = ops.cast(ops.shape(keras.tree.flatten(inputs)[0])[0], "float32")
        errors = [loops.value(variable, written=True) for variable in self._variables()]
        return self.add([ops.square(ops.cast(error, "float32")) for error in errors], samples)

    def errors(self) -> list[np.ndarray]:
        """The root mean squares over all samples."""
        return [np.sqrt(mean) for mean in self.means()]
