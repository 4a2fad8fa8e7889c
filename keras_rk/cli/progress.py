"""What goes on, on a terminal, where it takes longer than a second."""

from __future__ import annotations

import os
import sys
import threading
import time
from types import TracebackType

__all__ = ["Progress"]

_AFTER, _EVERY = 1.0, 0.5  # seconds
_WIDTH = 79


class Progress:
    """One line on standard error, if that is a terminal, which is gone in the end.

    Args:
        text: what is done; change it as the work goes on.

    The line is written by a thread of its own, so that the work need not look at the clock.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._done = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Progress:
        if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
            self._thread = threading.Thread(target=self._report, daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._done.set()
        if self._thread is not None:
            self._thread.join()

    def _report(self) -> None:
        begun = time.monotonic()
        if self._done.wait(_AFTER):
            return
        while True:
            seconds = f", {time.monotonic() - begun:.0f} s"
            shown = "".join(x if x.isprintable() else "?" for x in self.text)
            self._write(f"\r\033[K{shown[: _WIDTH - len(seconds)]}{seconds}")
            if self._done.wait(_EVERY):
                self._write("\r\033[K")
                return

    def _write(self, text: str) -> None:
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except (OSError, ValueError):  # a terminal that is gone has nobody to tell
            self._done.set()
