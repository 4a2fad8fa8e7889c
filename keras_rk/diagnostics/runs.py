"""Runs of one trained network with different methods and steps on the same data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import copy
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_rk.diagnostics.arguments import check_repeatable, outermost_layers
from keras_rk.diagnostics.calibration import Calibration
from keras_rk.diagnostics.refined_model import RefinedModel, WatchedModel, can_share, states_of
from keras_rk.diagnostics.refinement import check_interpolable, coarsened, refined
from keras_rk.layers.arguments import one_of
from keras_rk.layers.method_layer import MethodLayer
from keras_rk.models.depth_changes import WEIGHTS
from keras_rk.models.inner_layers import method_layers
from keras_rk.progress import Progress
from keras_rk.tableaux.as_tableau import as_tableau

ROWS = (32, 2048)  # how many rows a batch has at least and at most, if that is left open
NUMBERS = 2**20  # how many numbers there are in a batch, between these


class Outcome(NamedTuple):
    """What a run puts out.

    Attributes:
        outputs: what `model.predict` would return.
        states: the states after each step or block, of some samples of each batch; none where
            they cannot be had.
    """

    outputs: Any
    states: list[np.ndarray]


class Runs:
    """What copies of a model with other methods and steps put out, in inference mode.

    Where no Runge-Kutta layer is inside another one, all runs with a method share one copy, and
    one trace: the number of substeps is an argument of it.

    Args:
        model: the trained model.
        data: what `model.predict` takes, to be read several times.
        weights: what becomes of weights between blocks, see `refinement.refined`.
        recalibrate, calibration: which moving statistics are estimated anew in each copy, and from
            which points: see `Calibration`.
        batch_size: for arrays; None for as many as fit well.
        progress: what is told how far the runs are, see `cost`.
        most: the largest number of substeps, which spares another trace; None if it is not known.
    """

    def __init__(
        self,
        model: keras.Model,
        data: Any,
        *,
        weights: str,
        recalibrate: bool | None = None,
        calibration: Any = None,
        batch_size: int | None,
        progress: Progress | None = None,
        most: int | None = None,
    ) -> None:
        self.layers = outermost_layers(model)
        check_repeatable(data)
        self.weights = one_of("weights", weights, WEIGHTS)
        if self.weights == "interpolated":
            check_interpolable(model)
        self._model, self._data = model, data
        self._batch_size = rows_of_a_batch(data, self.layers) if batch_size is None else batch_size
        rows = rows_of_a_batch(calibration, self.layers) if batch_size is None else batch_size
        self.calibration = Calibration(model, recalibrate, calibration, rows)
        self.recalibrates = self.calibration.is_needed
        self._shares = can_share(model, self.weights, self.calibration.estimated(model))
        self._most = max(2, most or 2)
        self._copies: dict[Any, _Copy] = {}
        self.trained = model.predict(data, batch_size=self._batch_size, verbose=0)
        self._progress = Progress("", verbose=0) if progress is None else progress

    def cost(self, tableau: Any = None, substeps: int = 1) -> int:
        """How dear a run is: the evaluations of f for one step of the trained network."""
        methods = [tableau] if tableau is not None else [one.tableau for one in self.layers]
        return substeps * max(as_tableau(one).stages for one in methods)

    def reload(self) -> None:
        """Reads the model's weights again, which may have changed."""
        self.trained = self._model.predict(self._data, batch_size=self._batch_size, verbose=0)
        for one in self._copies.values():
            one.model.forget()

    def coarser(self, factor: int) -> Outcome | None:
        """What steps so many times as large put out; None where steps do not divide by it."""
        self._progress.ahead(self.cost())
        model = coarsened(self._model, factor)
        outcome = None
        if model is not None:
            new = _Copy(WatchedModel(model), self.calibration)
            outcome = Outcome(*new.put_out(self._data, self._batch_size))
        self._progress.step(self.cost())
        return outcome

    def with_weights(self, weights: str) -> Runs:
        """Runs of the same network with other weights between its blocks."""
        other = copy(self)  # with the same traces, if it can share them
        other.weights = weights
        if not self._shares:
            other._copies = {}
            other._shares = can_share(self._model, weights, self.calibration.estimated(self._model))
        return other

    def __call__(self, tableau: Any = None, substeps: int = 1) -> Any:
        """What the network puts out with another method, and with smaller steps.

        Args:
            tableau: None for the method of each layer.
        """
        return self.run(tableau, substeps).outputs

    def run(
        self, tableau: Any = None, substeps: int = 1, model: keras.Model | None = None
    ) -> Outcome:
        """The same, with the states along depth.

        Args:
            model: one with the same layers and initial weights, in the place of the trained one.
        """
        tableau, cost = self._other(tableau), self.cost(tableau, substeps)
        self._progress.ahead(cost)
        outputs, states = self._put_out(tableau, substeps, self._model if model is None else model)
        if tableau is None and substeps == 1 and model is None and not self.recalibrates:
            outputs = self.trained  # to the last bit
        self._progress.step(cost)
        self._check_shapes(outputs)
        return Outcome(outputs, states)

    def _other(self, tableau: Any) -> Any:
        """A tableau that the layers do not all have already; else None."""
        own = [None if x.trainable_tableau else x.tableau for x in method_layers(self._model)]
        return None if all(tableau == one for one in own) else tableau

    def _put_out(self, tableau: Any, substeps: int, model: keras.Model) -> tuple:
        untrained = model is not self._model
        if not self._shares:
            every = {
                layer.name: 1 if self._keeps_blocks(layer) else substeps for layer in self.layers
            }
            new = WatchedModel(refined(model, tableau, substeps, self.weights), every)
            return _Copy(new, self.calibration).put_out(self._data, self._batch_size, untrained)
        known = self._copies.get(tableau)
        if known is None or known.model.most < substeps:
            self._most = max(self._most, substeps)
            shared = RefinedModel(self._model, tableau, self._most, self.weights == "interpolated")
            known = self._copies[tableau] = _Copy(shared, self.calibration)
        known.model.refine(model, substeps, self.weights)
        return known.put_out(self._data, self._batch_size, untrained)

    def _keeps_blocks(self, layer: MethodLayer) -> bool:
        """Whether a refined layer has as many states as before."""
        return layer._blocks is not None and self.weights != "interpolated"

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


class _Copy:
    """A copy of a model that runs on data again and again.

    Args:
        model: the copy.
        calibration: what estimates its moving statistics before.
    """

    def __init__(self, model: WatchedModel, calibration: Calibration) -> None:
        self.model: Any = model
        self._calibration = calibration.of(model)

    def put_out(
        self, data: Any, batch_size: int | None, untrained: bool = False
    ) -> tuple[Any, list[np.ndarray]]:
        self._calibration.run(untrained)
        try:
            outputs, states = self.model.predict(data, batch_size=batch_size, verbose=0)
        except NotImplementedError:  # steps that cannot be divided, whoever watches
            raise
        except Exception:
            if not self.model.watches:
                raise
            self.model.watches = False  # a layer called inside a loop keeps its states to itself
            self.model.predict_function = None
            outputs, states = self.model.predict(data, batch_size=batch_size, verbose=0)
        return outputs, states_of(states)


def rows_of_a_batch(data: Any, layers: Sequence[MethodLayer]) -> int | None:
    """How many rows of arrays make a batch; None for data that come in batches.

    Many at once take less time than batch after batch, as long as they fit, and batches of one size
    are compiled once.
    """
    arrays = keras.tree.flatten(data)
    if not arrays or not all(getattr(x, "shape", ()) for x in arrays):
        return None
    shapes = [x.shape[1:] for x in arrays] + [layer.built_for[1:] for layer in layers]
    numbers = max(math.prod(size or 1 for size in shape) for shape in shapes)
    most = min(max(NUMBERS // numbers, ROWS[0]), ROWS[1])
    return math.ceil(rows / math.ceil(rows / most)) if (rows := len(arrays[0])) else None
