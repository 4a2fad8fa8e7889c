"""Blocks of a stack split into two of half the step, and neighbours merged into one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_rk.layers import RKStack
from keras_rk.layers.arguments import block_step_sizes, step_size
from keras_rk.models.inner_layers import numbers
from keras_rk.models.method_replacement import divided
from keras_rk.models.stack_copies import fill
from keras_rk.numbers.coefficients import exact, is_float

WEIGHTS = ("piecewise_constant", "interpolated")  # in depth, where a block is divided
TINY = 1e-30  # a step that float32 made zero can grow again


class Change(NamedTuple):
    """A block that is split, or the first of two that are merged."""

    stack: str
    block: int
    is_split: bool


class Part(NamedTuple):
    """A new block, made of the old ones from `first` up to `last`.

    Attributes:
        half: 0 for a block as it was, or two of them; -1 and 1 for the halves of one.
    """

    first: int
    last: int
    half: int


def parts_of(depth: int, changes: Sequence[Change]) -> list[Part]:
    """The new blocks of a stack, in order."""
    splits = {change.block for change in changes if change.is_split}
    merges = {change.block for change in changes if not change.is_split}
    parts: list[Part] = []
    block = 0
    while block < depth:
        last = block + (block in merges)
        halves = (-1, 1) if block in splits else (0,)
        parts += [Part(block, last, half) for half in halves]
        block = last + 1
    return parts


def changed_sizes(dt: Any, depth: int, parts: Sequence[Part]) -> list[Any]:
    """The step sizes of the new blocks as they go into a configuration, exactly."""
    given = block_step_sizes(dt, depth)[0]
    sizes = given if isinstance(given, tuple) else (given,) * depth
    return [
        divided(sizes[p.first], 2) if p.half else _total(sizes[p.first : p.last + 1]) for p in parts
    ]


def _total(sizes: Sequence[Any]) -> Any:
    """The exact sum of step sizes: an integer or, where all are floats, a float if it is one."""
    if len(sizes) == 1:
        return sizes[0]
    total: Any = sum(map(exact, sizes[1:]), start=exact(sizes[0]))
    if all(map(is_float, sizes)) and exact(float(total)) == total:
        return float(total)
    return int(total) if total == int(total) else step_size(total)[0]


def fill_changed(old: RKStack, new: RKStack, parts: Sequence[Part], interpolated: bool) -> None:
    """Gives the new blocks their weights, state and step sizes.

    A half has the values of its block; interpolated, those that are linear in depth between the
    middles of blocks. Two merged blocks become their mean, weighted by their step sizes.
    """
    sizes = np.abs(old.step_sizes).reshape(old.depth, -1).mean(axis=1)

    def rows(values: np.ndarray) -> np.ndarray:
        found = [_row(values, part, sizes, interpolated) for part in parts]
        return np.stack(found).astype(values.dtype)

    fill(old, new, rows, [part.first for part in parts], [part.half > 0 for part in parts])
    if old.statistics is not None and new.statistics is not None:
        all_of_them = zip(
            old._multiplied, old.statistics.weights, new.statistics.weights, strict=True
        )
        for place, one, other in all_of_them:
            first = numbers(old._layer.variables[place])[:, None]
            values = _at_evaluations(np.concatenate([first, numbers(one)], axis=1), old, parts)
            new._layer.variables[place].assign(values[:, 0])
            other.assign(values[:, 1:])
    for one, other in zip(old._learned.weights, new._learned.weights, strict=True):
        other.assign(numbers(one) if one.name == "coefficients" else _log_ratios(old, parts))
        other.trainable = one.trainable


def _row(values: np.ndarray, part: Part, sizes: np.ndarray, interpolated: bool) -> np.ndarray:
    """The values of a new block from those of the old ones."""
    n = part.first
    if part.last > n:
        one, other = sizes[n], sizes[part.last]
        return (one * values[n] + other * values[part.last]) / (one + other)
    neighbour = n + part.half
    if not (interpolated and part.half and 0 <= neighbour < len(values)):
        return values[n]
    share = sizes[n] / 4 / ((sizes[n] + sizes[neighbour]) / 2)  # of the way to its middle
    return (1 - share) * values[n] + share * values[neighbour]


def _at_evaluations(values: np.ndarray, old: RKStack, parts: Sequence[Part]) -> np.ndarray:
    """Moving statistics of all evaluations, those of the new steps from the ones at their time.

    Args:
        values: shape `(blocks, evaluations, ...)`, step after step.
    """
    by_step = values.reshape(old.depth, old.steps, -1, *values.shape[2:])
    steps = np.arange(old.steps)

    def of(part: Part) -> np.ndarray:
        here = by_step[part.first]
        if part.last > part.first:  # each new step takes the time of two
            both = np.concatenate([here, by_step[part.last]])
            return (both[2 * steps] + both[2 * steps + 1]) / 2
        return here if part.half == 0 else here[(steps + (part.half > 0) * old.steps) // 2]

    return np.stack([of(part) for part in parts]).reshape(-1, *values.shape[1:])


def _log_ratios(old: RKStack, parts: Sequence[Part]) -> np.ndarray:
    """theta = log(dt / dt_0) of the new blocks, such that what is merged keeps its size."""
    start = np.array([float(dt) for dt in old.exact_dts])
    present = old.step_sizes
    found = [
        np.sum(present[p.first : p.last + 1], axis=0) / np.sum(start[p.first : p.last + 1])
        for p in parts
    ]
    return np.log(np.maximum(np.stack(found), TINY))
