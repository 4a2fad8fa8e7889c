"""Where the moving statistics of the runs of a diagnostic come from."""

from __future__ import annotations

from typing import Any

import keras

from keras_rk.diagnostics.arguments import check_repeatable
from keras_rk.diagnostics.tables import shown
from keras_rk.layers.arguments import truth
from keras_rk.models.moving_statistics import moving_statistics, statistics_in_fields
from keras_rk.models.recalibration import Recalibration

ESTIMATED = "estimated anew"
KEPT = "as trained"
NEAREST = "as trained, of the nearest evaluation"


class Calibration:
    """Which statistics are estimated anew in each run, and from which points.

    Those inside an f belong to the evaluations that a method makes: with another method or other
    steps there are others, which no statistics fit. All others, of layers after a block or outside
    of blocks, are called as often as they were, and are weights like any other.

    Args:
        model: the trained model.
        recalibrate: None to estimate those inside of f; True to estimate all; False for none.
        points: training points, in what `model.predict` takes: not those that are judged.
        batch_size: for arrays.

    Attributes:
        is_needed: whether there is anything to estimate.
        fits_untrained: whether an untrained network like the model can have statistics that fit it.
        statistics: where statistics come from, for a report; None if the model has none.
    """

    def __init__(
        self,
        model: keras.Model,
        recalibrate: Any = None,
        points: Any = None,
        batch_size: int | None = None,
    ) -> None:
        wanted = None if recalibrate is None else truth("recalibrate", recalibrate)
        self._find = moving_statistics if wanted else statistics_in_fields
        self._given = points, batch_size
        self.fits_untrained = points is not None or not moving_statistics(model)
        self.is_needed = wanted is not False and bool(self._find(model))
        self.statistics = self._source(model)
        if self.is_needed and points is None:
            raise ValueError(
                "Batch normalization in f has statistics for the evaluations that it was trained "
                "with, and none for those of other methods and steps. They are estimated from "
                "training points, which are not those that are judged: pass "
                "`calibration=x_train`, or `recalibrate=False` to take those of the nearest "
                f"evaluation. Received: calibration=None (model {model.name!r})."
            )
        check_repeatable(points)

    def estimated(self, model: keras.Model, untrained: bool = False) -> list[keras.Variable]:
        """The variables of a copy that are estimated; all where it was not trained."""
        points, _ = self._given
        if untrained:
            return [] if points is None else moving_statistics(model)
        return self._find(model) if self.is_needed else []

    def of(self, model: keras.Model) -> CopyCalibration:
        """What estimates the statistics of a copy."""
        return CopyCalibration(self, model)

    def run(self, recalibration: Recalibration) -> None:
        """Estimates, from the points."""
        points, batch_size = self._given
        recalibration.run(points, batch_size=batch_size)

    def _source(self, model: keras.Model) -> str | None:
        if not moving_statistics(model):
            return None
        if self.is_needed:
            return ESTIMATED
        return NEAREST if statistics_in_fields(model) else KEPT


class CopyCalibration:
    """The statistics of a copy of the model, estimated again and again as its weights change."""

    def __init__(self, calibration: Calibration, model: keras.Model) -> None:
        self._calibration, self._model = calibration, model
        self._made: dict[bool, Recalibration] = {}

    def run(self, untrained: bool = False) -> None:
        """Estimates what has to be.

        Args:
            untrained: whether the weights of the copy are initial ones, which no statistics fit.
        """
        if untrained not in self._made:
            statistics = self._calibration.estimated(self._model, untrained)
            if not statistics:
                return
            self._made[untrained] = Recalibration(self._model, statistics)
        self._calibration.run(self._made[untrained])


def statistics_line(statistics: str, shift: float | None) -> str:
    """What a report says of statistics, with how far it moved the trained network's outputs.

    >>> statistics_line("estimated anew", 0.19)
    'estimated anew, which alone moved the outputs by 0.19'
    """
    if shift is None:
        return statistics
    return f"{statistics}, which alone moved the outputs by {shown(shift)}"
