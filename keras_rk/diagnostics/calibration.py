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
        self._points, self._batch_size = points, batch_size
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

    def of(self, model: keras.Model) -> Recalibration | None:
        """What estimates the statistics of a copy, with `run`; None where nothing is estimated."""
        return Recalibration(model, self._find(model)) if self.is_needed else None

    def apply(self, model: keras.Model) -> None:
        """Estimates the statistics of a copy."""
        recalibration = self.of(model)
        if recalibration is not None:
            recalibration.run(self._points, batch_size=self._batch_size)

    def _source(self, model: keras.Model) -> str | None:
        if not moving_statistics(model):
            return None
        if self.is_needed:
            return ESTIMATED
        return NEAREST if statistics_in_fields(model) else KEPT


def statistics_line(statistics: str | None, shift: float | None) -> str | None:
    """What a report says of statistics, with how far it moved the trained network's outputs.

    >>> statistics_line("estimated anew", 0.19)
    'estimated anew, which alone moved the outputs by 0.19'
    """
    if statistics is None or shift is None:
        return statistics
    return f"{statistics}, which alone moved the outputs by {shown(shift)}"
