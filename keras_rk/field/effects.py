"""What an evaluation of f does beside returning a derivative."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras


@dataclass(frozen=True)
class Effects:
    """What an evaluation of f does beside returning a derivative.

    Attributes:
        written: the positions, among the variables of the field, of those that f assigns to.
            Most layers write only non-trainable ones (moving statistics, seeds), but not all:
            `SpectralNormalization` assigns to its kernel.
        foreign: variables that f assigns to but does not own, such as Keras's global seed.
        reads_foreign: whether f reads any that it does not own, or what is no variable.
        losses: whether f adds losses.
        kind: stands for the kind of call that was looked at; None where nobody remembers it.
        is_lasting: whether calls of this kind are likely to come again.
    """

    written: tuple[int, ...]
    foreign: tuple[keras.Variable, ...]
    reads_foreign: bool
    losses: bool
    kind: Any = None
    is_lasting: bool = True

    @property
    def traceable(self) -> bool:
        """Whether f may, and should, run as Python code just once for this kind of call."""
        return self.is_lasting and not self.reads_foreign

    def owning(self, own: int, foreign: int) -> Effects:
        """Those of a field that owns so many foreign variables after so many of its own."""
        return replace(self, written=(*self.written, *range(own, own + foreign)))

    def without(self, places: Collection[int]) -> Effects:
        """Those that are left when the variables at some positions count as unwritten."""
        return replace(self, written=tuple(n for n in self.written if n not in places))

    def split(self, state: Sequence[Any]) -> tuple[tuple, tuple]:
        """The values that f changes, and those that it leaves alone."""
        written = tuple(state[place] for place in self.written)
        return written, tuple(x for place, x in enumerate(state) if place not in self.written)

    def merge(self, written: Sequence[Any], others: Sequence[Any]) -> tuple:
        """The state that `split` took apart."""
        parts = iter(written), iter(others)
        size = len(written) + len(others)
        return tuple(next(parts[place not in self.written]) for place in range(size))
