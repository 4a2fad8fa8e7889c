"""What goes on, and how long it still takes, for whoever watches."""

from __future__ import annotations

import os
import sys
import threading
import time
from types import TracebackType
from typing import Any

__all__ = ["Progress"]

_AFTER, _EVERY, _SELDOM = 1.0, 0.5, 10.0  # seconds
_WIDTH = 79


class Progress:
    """One line on standard error that tells how far something is, and the time left.

    Args:
        text: what is done; change it as the work goes on.
        total: how much there is to do, where that is known; `step` counts.
        units: what is counted, such as "blocks"; without it, there are percentages.
        verbose: "auto": on a terminal or in a notebook, once it takes longer than a second, and
            gone in the end. 1: at once, and the last line stays; where nobody watches, a line now
            and then. 0: never.

    The line is written by a thread of its own, so that the work need not look at the clock.
    """

    def __init__(
        self, text: str, total: float = 0, *, units: str = "", verbose: Any = "auto"
    ) -> None:
        if verbose not in (0, 1, 2, "auto"):
            raise ValueError(f"`verbose` must be 0, 1 or 'auto'. Received: verbose={verbose!r}.")
        self.text, self.total, self.done = text, total, 0.0
        self._units = units
        self._insists = verbose in (1, 2)
        self._watched = watched() if verbose else ""
        self.is_shown = bool(self._watched) or self._insists
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def step(self, amount: float = 1) -> None:
        """So much more is done."""
        self.done += amount

    def ahead(self, amount: float) -> None:
        """So much is still to be done, or more."""
        self.total = max(self.total, self.done + amount)

    def __enter__(self) -> Progress:
        self._begun = time.monotonic()
        if self.is_shown:
            self._thread = threading.Thread(target=self._report, daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _report(self) -> None:
        if not self._insists and self._ended.wait(_AFTER):
            return
        pause = _EVERY if self._watched else _SELDOM
        if not self._watched and self._ended.wait(pause):
            self._write(f"{self._line()}\n")
            return
        while True:
            self._show()
            if self._ended.wait(pause):
                self._finish()
                return

    def _show(self) -> None:
        if self._watched == "terminal":
            self._write(f"\r\033[K{self._line()}")
        elif self._watched:  # a notebook knows the first of these only
            self._write(f"\r{self._line():<{_WIDTH}}")
        else:
            self._write(f"{self._line()}\n")

    def _finish(self) -> None:
        if self._insists:
            self._show()
            self._write("\n" if self._watched else "")
        else:
            self._write("\r\033[K" if self._watched == "terminal" else f"\r{' ' * _WIDTH}\r")

    def _line(self) -> str:
        elapsed = time.monotonic() - self._begun
        parts = [f", {duration(elapsed)}"]
        if self.total:
            share = min(self.done / self.total, 1.0)
            counted = f"{self.done:.0f}/{self.total:.0f} {self._units}"
            parts.insert(0, f": {counted if self._units else f'{share:.0%}'}")
            if 0 < share < 1:
                parts.append(f", {duration(elapsed * (1 / share - 1))} left")
        end = "".join(parts)
        shown = "".join(x if x.isprintable() else "?" for x in self.text)
        return f"{shown[: _WIDTH - len(end)]}{end}"

    def _write(self, text: str) -> None:
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except (OSError, ValueError, AttributeError):  # what is gone has nobody to tell
            self._ended.set()


def watched() -> str:
    """Where somebody watches: "terminal" or "notebook"; empty where nobody does."""
    notebook = sys.modules.get("IPython")
    if notebook is not None and hasattr(notebook.get_ipython(), "kernel"):
        return "notebook"
    is_terminal = getattr(sys.stderr, "isatty", bool)() and os.environ.get("TERM") != "dumb"
    return "terminal" if is_terminal else ""


def duration(seconds: float) -> str:
    """A time for a reader.

    >>> duration(12.3), duration(125), duration(4000)
    ('12 s', '2 min 5 s', '1 h 7 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min"
