"""Which blocks are split or merged: by their errors, and as many as outputs allow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from keras_rk.models.depth_changes import Change

Model = TypeVar("Model")


def chosen_changes(
    errors: Mapping[str, np.ndarray],
    sizes: Mapping[str, np.ndarray],
    split: int | float,
    merge: int | float,
) -> list[Change]:
    """The splits, those of the largest errors first, then the merges, of the smallest first."""
    blocks = [(e, name, n) for name, found in errors.items() for n, e in enumerate(found)]
    total = sum(error for error, *_ in blocks)
    if not 0 < total < float("inf"):
        raise ValueError(
            "Blocks are chosen by their local errors, which must be finite and not all zero. "
            f"Received: errors that sum to {total} (blocks that are exact, or outputs that are not "
            "finite)."
        )
    largest = sorted(blocks, key=lambda block: -block[0])
    count = split if isinstance(split, int) else _needed(largest, split * total)
    changes = [Change(name, n, True) for _, name, n in largest[:count]]
    taken = {(change.stack, change.block) for change in changes}
    pairs = sorted(
        (found[n] + found[n + 1], name, n)
        for name, found in errors.items()
        for n in range(len(found) - 1)
        if np.all(sizes[name][n] * sizes[name][n + 1] > 0)
    )
    left = float("inf") if isinstance(merge, int) else merge * total
    for error, name, n in pairs:
        if isinstance(merge, int) and len(changes) - count >= merge:
            break
        if error <= left and taken.isdisjoint({(name, n), (name, n + 1)}):
            left -= error
            taken |= {(name, n), (name, n + 1)}
            changes.append(Change(name, n, False))
    if not changes:
        raise ValueError(
            "No pair of neighbours is left to be merged: their errors are more than that share of "
            f"all, or their steps have different signs. Received: split={split}, merge={merge}."
        )
    return changes


def _needed(largest: Sequence[tuple], share: float) -> int:
    """How many of the largest errors, of those that are not zero, sum to a share."""
    sums = np.cumsum([error for error, *_ in largest])
    reached = int(np.searchsorted(sums, share * (1 - 1e-9))) + 1
    return min(reached, sum(error > 0 for error, *_ in largest))


def most_within(
    trial: Callable[[int], tuple[Model, float]], count: int, limit: float
) -> tuple[Model, int, float]:
    """The model with the most changes that stays within the limit, their number, and its change."""
    new, change = trial(count)
    if change <= limit:
        return new, count, change
    best: tuple[Model, int, float] | None = None
    low, high = 0, count
    while high - low > 1:
        middle = (low + high) // 2
        new, change = trial(middle)
        if change <= limit:
            best, low = (new, middle, change), middle
        else:
            high = middle
    if best is None:
        raise ValueError(
            "No change of depth stays within the tolerance: blocks whose errors are large change "
            "outputs when they are split. Allow more, train on first, or take smaller steps. "
            f"Received: tolerance={limit}, and a change of {change:.3g} by the first one alone."
        )
    return best
