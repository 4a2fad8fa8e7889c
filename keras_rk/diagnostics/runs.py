"""Runs of one trained network with different methods and steps on the same data."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras_rk.diagnostics.arguments import WEIGHTS, check_repeatable, outermost_layers
from keras_rk.diagnostics.refinement import check_interpolable, refined
from keras_rk.layers.arguments import one_of, truth
from keras_rk.models.recalibration import moving_statistics, recalibrate


class Runs:
    """What copies of a model with other methods and steps put out, in inference mode.

    Args:
        model: the trained model.
        data: what `model.predict` takes, to be read several times.
        weights: what becomes of weights between blocks, see `refinement.refined`.
        recalibrate: whether moving statistics are estimated anew in each copy, from `data`.
        batch_size: for arrays.
        count: how many runs there will be, for the progress.
        verbose: 0 for no progress; otherwise a bar.
    """

    def __init__(
        self,
        model: keras.Model,
        data: Any,
        *,
        weights: str,
        recalibrate: bool,
        batch_size: int | None,
        count: int,
        verbose: Any,
    ) -> None:
        self.layers = outermost_layers(model)
        check_repeatable(data)
        self.weights = one_of("weights", weights, WEIGHTS)
        if self.weights == "interpolated":
            check_interpolable(model)
        self._model, self._data, self._batch_size = model, data, batch_size
        wanted = truth("recalibrate", recalibrate)
        self.recalibrates = wanted and bool(moving_statistics(model))
        self.trained = model.predict(data, batch_size=batch_size, verbose=0)
        self._progress = progress_bar(count, verbose)

    def __call__(self, tableau: Any = None, substeps: int = 1) -> Any:
        """What the network puts out with another method, and with smaller steps.

        Args:
            tableau: None for the method of each layer.
        """
        if tableau is None and substeps == 1 and not self.recalibrates:
            outputs = self.trained
        else:
            model = refined(self._model, tableau, substeps, self.weights)
            if self.recalibrates:
                recalibrate(model, self._data, verbose=0, batch_size=self._batch_size)
            outputs = model.predict(self._data, batch_size=self._batch_size, verbose=0)
        self._progress.add(1)
        self._check_shapes(outputs)
        return outputs

    def _check_shapes(self, outputs: Any) -> None:
        before, after = (
            [np.shape(x) for x in keras.tree.flatten(y)] for y in (self.trained, outputs)
        )
        if before != after:
            raise ValueError(
                "The outputs must have the same shape whatever the steps; a layer with "
                "`return_states` returns the states after substeps, too. "
                f"Received: {before} from the trained network and {after} after refinement."
            )


def progress_bar(count: int, verbose: Any) -> keras.utils.Progbar:
    """A bar of runs or blocks; silent with `verbose=0`."""
    return keras.utils.Progbar(count, verbose=1 if verbose == "auto" else int(verbose))


def relative_distance(outputs: Any, reference: Any) -> float:
    """rms(outputs - reference) / rms(reference), over all outputs; infinite where one is not.

    >>> relative_distance(np.array([1.0, 3.0]), np.array([1.0, 2.0])) == (1 / 5) ** 0.5
    True
    """
    one, other = flat(outputs), flat(reference)
    if not (np.all(np.isfinite(one)) and np.all(np.isfinite(other))):
        return float("inf")
    difference, size = np.linalg.norm(one - other), np.linalg.norm(other)
    if difference == 0:
        return 0.0
    return float(difference / size) if size else float("inf")


def is_finite(outputs: Any) -> bool:
    """Whether there is no infinity and no NaN among the outputs."""
    return bool(np.all(np.isfinite(flat(outputs))))


def flat(outputs: Any) -> np.ndarray:
    """All numbers of a structure of arrays."""
    parts = [np.asarray(x, dtype="float64").ravel() for x in keras.tree.flatten(outputs)]
    return np.concatenate(parts)
