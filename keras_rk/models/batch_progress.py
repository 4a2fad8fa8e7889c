"""How far a pass over data is."""

from __future__ import annotations

from typing import Any

import keras

from keras_rk.progress import Progress


class CountBatches(keras.callbacks.Callback):
    """Tells the progress of `predict`, batch by batch.

    Args:
        progress: what is told.
        passes: how many passes there are, this one and later ones.
    """

    def __init__(self, progress: Progress, passes: int = 1) -> None:
        super().__init__()
        self._progress, self._passes = progress, passes

    def on_predict_begin(self, logs: dict[str, Any] | None = None) -> None:
        batches = (self.params or {}).get("steps")
        if batches:
            self._progress.ahead(self._passes * batches)

    def on_predict_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._progress.step()
