"""How far something is that takes long."""

from __future__ import annotations

import time
from typing import Any

import keras

PATIENCE = 2.0  # seconds after which a user wants to know


class Progress:
    """A progress bar, which with "auto" appears only where there is something to wait for.

    Args:
        verbose: 1, 0 or "auto".
    """

    def __init__(self, verbose: Any) -> None:
        if verbose not in (0, 1, "auto"):
            raise ValueError(f"`verbose` must be 0, 1 or 'auto'. Received: verbose={verbose!r}.")
        self._verbose = verbose
        self._bar: Any = None

    def begin(self, target: int) -> None:
        """Counts from here to a number of things that are to be done."""
        self._bar = keras.utils.Progbar(target, unit_name="block") if self._verbose else None
        self._target, self._done = target, 0
        self._begin = time.monotonic() + PATIENCE
        self._shown = False

    def step(self) -> None:
        """One more is done."""
        self._done += 1
        last = self._done >= self._target
        waited = time.monotonic() >= self._begin and not last
        if self._bar is not None and (self._shown or waited or self._verbose == 1):
            self._shown = True
            self._bar.update(self._done, finalize=last)
