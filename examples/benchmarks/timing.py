"""What the benchmarks share: taking turns, stopping slow code, describing the machine, tables.

Importing this module keeps NumPy to one thread, so it comes before whatever imports NumPy.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import os
import platform
import signal
import statistics
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from time import perf_counter, thread_time
from typing import Any

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
os.environ.update(dict.fromkeys(THREADS, "1"))

SHORTEST_SAMPLE = 0.005  # seconds; shorter runs are repeated, and their mean counts


Clock = Callable[[], float]
CLOCKS: dict[str, Clock] = {"wall": perf_counter, "cpu": thread_time}


class OverLimit(BaseException):
    """Not an Exception, which SymPy might catch."""


@dataclass
class Contestant:
    """What is timed: `run` returns its answer; `setting` is entered around it, untimed."""

    name: str
    run: Callable[[], Any]
    setting: Callable[[], AbstractContextManager] = nullcontext
    seconds: list[float] = field(default_factory=list)
    spent: float = 0.0
    answer: Any = None
    stopped: str = ""

    def take_turn(self, clock: Clock, limit: float, budget: float) -> None:
        if self.stopped or self.spent > budget:
            return
        start, begun = clock(), perf_counter()
        try:
            with self.setting(), contextlib.redirect_stdout(io.StringIO()), alarm(limit):
                self._sample(clock)
        except OverLimit:
            self.stopped = f"over {limit:g} s"
        except Exception as error:  # an alternative may refuse a method; the others go on
            over = perf_counter() - begun > limit  # code in C turns OverLimit into a SystemError
            self.stopped = f"over {limit:g} s" if over else f"{type(error).__name__}: {error}"
        self.spent += clock() - start

    def _sample(self, clock: Clock) -> None:
        start = clock()
        self.answer = self.run()
        seconds = clock() - start
        if seconds < SHORTEST_SAMPLE:
            number = int(SHORTEST_SAMPLE / max(seconds, 1e-5)) + 1
            start = clock()
            for _ in range(number):
                self.run()
            seconds = (clock() - start) / number
        self.seconds.append(seconds)

    @property
    def median_ms(self) -> float | None:
        return None if self.stopped or not self.seconds else median_ms(self.seconds)


@contextlib.contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Raise OverLimit in the running code after so many seconds on the wall (not on Windows)."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def ring(*_: Any) -> None:
        raise OverLimit

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)  # again, should a callback swallow it
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def take_turns(
    title: str,
    contestants: list[Contestant],
    clock: Clock,
    *,
    rounds: int,
    limit: float,
    budget: float,
) -> None:
    """Round by round, each contestant once, so that a busy moment meets all of them."""
    for number in range(rounds):
        for contestant in contestants:
            progress(f"{title}: {number + 1}/{rounds} {contestant.name}")
            contestant.take_turn(clock, limit, budget)
    progress("")


def progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def median_ms(seconds: list[float]) -> float:
    return 1e3 * statistics.median(seconds)


def environment(*packages: str, used: str = "one thread used, no accelerator") -> dict[str, Any]:
    """The machine, what of it is `used`, and the versions of the packages."""
    versions = {}
    for package in packages:
        for name in (package, f"{package}-cpu"):  # as TensorFlow may be called
            with contextlib.suppress(importlib.metadata.PackageNotFoundError):
                versions[name] = importlib.metadata.version(name)
    cpu = platform.processor() or platform.machine()
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line for line in lines if line.startswith("model name"))
        cpu = name.partition(":")[2].strip()
    found = {
        "date": date.today().isoformat(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": f"{cpu}, {os.cpu_count()} cores, {used}",
        "load": [round(x, 2) for x in os.getloadavg()] if hasattr(os, "getloadavg") else None,
        "versions": versions,
    }
    if "sympy" in versions:
        from sympy.external.gmpy import GROUND_TYPES

        found["sympy_ground_types"] = GROUND_TYPES
    return found


def shown(ms: float | None) -> str:
    return "" if ms is None else f"{ms:,.0f}" if ms >= 100 else f"{ms:.3g}"


def table(heading: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [heading, ("---",) * len(heading), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
