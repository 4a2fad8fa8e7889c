"""Who takes part in `vector_field.py`: what is run, what it is compared with, the first call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from time import perf_counter
from typing import Any

import numpy as np
from timing import Clock, Contestant, alarm

OURS, BY_HAND, KERAS_FIELD, BARE = "keras_rk", "by hand", "f in Keras, by hand", "bare"

Reader = Callable[[Any], list[np.ndarray]]


@dataclass
class Entry(Contestant):
    """`run` returns (loss, y_end, gradients), computed to the end.

    Attributes:
        role: OURS, BY_HAND, KERAS_FIELD, BARE, or the name of another package.
        group: ours is compared with entries of the same group ("XLA", "no XLA").
        read: makes of an answer NumPy arrays in Keras's layout.
    """

    role: str = ""
    group: str = ""
    read: Reader = list
    first_call: float | None = None  # seconds, mostly of compiling
    error: float | None = None  # relative, against the first entry written by hand
    number: int = 1  # runs in a sample

    def start(self, shortest: float, limit: float) -> list[np.ndarray] | None:
        """The first call, with its answer; and how many runs fill a sample."""
        if self.stopped:
            return None
        try:
            with alarm(limit):
                begun = perf_counter()
                answer = self.run()
                self.first_call = perf_counter() - begun
                self.run()
                begun = perf_counter()
                self.run()
                self.number = ceil(shortest / (perf_counter() - begun))
                return self.read(answer)
        except Exception as error:  # the others go on
            self.stopped = f"{type(error).__name__}: {error}".splitlines()[0][:100]
            return None

    def _sample(self, clock: Clock) -> None:
        start = clock()
        for _ in range(self.number):
            self.run()
        self.seconds.append((clock() - start) / self.number)


@dataclass
class Entries:
    """Collects the entries of one problem in a backend; `read` is for those without their own."""

    read: Reader
    found: list[Entry] = field(default_factory=list)

    def add(
        self,
        role: str,
        name: str,
        run: Callable[[], Any],
        group: str = "",
        read: Reader | None = None,
    ) -> None:
        self.found.append(Entry(name, run, role=role, group=group, read=read or self.read))

    def add_missing(self, package: str) -> None:
        entry = Entry(package, lambda: None, role=package, stopped="not installed")
        self.found.append(entry)
