"""How far outputs are from others, whatever the units and the offset of the outputs.

    distance = rms(outputs - reference) / rms(reference - its mean over the points)

so that a head's bias, which is the same for all points, makes no distance small.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

UNLIKE = 10  # how many times the smallest spread the largest one is where units differ
ROUND_OFF = 2.0**-22  # relative, of numbers in float32


def relative_distance(outputs: Any, reference: Any) -> float:
    """rms(outputs - reference) / rms(reference - mean over points); infinite where one is not.

    An output is an entry of the last axis, a point one of the first. Where the spreads of outputs
    differ by more than ten times, each counts in units of its own: the root mean square over
    outputs of the distance of each. (Class probabilities have one unit, and outputs that are the
    same for all points have none of their own: these count in that of all.) Where nothing differs
    from point to point, or there is one point alone, the size of the reference itself is the unit.

    >>> reference = np.array([[1.0], [3.0]])
    >>> relative_distance(reference + 0.5, reference)
    0.5
    >>> relative_distance(reference + 100.5, reference + 100)
    0.5
    """
    distances, numbers = _by_output(outputs, reference)
    if not np.all(np.isfinite(distances)):
        return float("inf")
    return _mean(distances, numbers)


def output_distances(outputs: Any, reference: Any) -> tuple[float, ...]:
    """The distance of each output by itself, in the units in which it counts."""
    return tuple(_by_output(outputs, reference)[0].tolist())


def is_finite(outputs: Any) -> bool:
    """Whether there is no infinity and no NaN among the outputs."""
    return all(bool(np.all(np.isfinite(x))) for x in keras.tree.flatten(outputs))


def _by_output(outputs: Any, reference: Any) -> tuple[np.ndarray, np.ndarray]:
    """For each output its distance, and how many numbers there are of it."""
    tables = _tables(reference)
    numbers = np.concatenate([np.full(y.shape[-1], y[..., 0].size) for y in tables])
    if not (is_finite(outputs) and is_finite(reference)):
        return np.full(len(numbers), np.inf), numbers
    pairs = zip(_tables(outputs), tables, strict=True)
    differences = np.concatenate([_rms(x - y) for x, y in pairs])
    units = _units(tables, numbers)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(differences == 0, 0.0, differences / units), numbers


def _tables(outputs: Any) -> list[np.ndarray]:
    """The outputs with axes for points, places and entries of the last axis."""
    arrays = [np.asarray(x, "float64") for x in keras.tree.flatten(outputs)]
    arrays = [x.reshape(-1, 1) if x.ndim < 2 else x for x in arrays]
    return [x.reshape(len(x), -1, x.shape[-1]) for x in arrays]


def _units(tables: Sequence[np.ndarray], numbers: np.ndarray) -> np.ndarray:
    """What each output is measured in."""
    spreads = np.concatenate([_rms(y - np.mean(y, axis=0)) for y in tables])
    sizes = np.concatenate([_rms(y) for y in tables])
    spreads = np.where(spreads > ROUND_OFF * sizes, spreads, 0.0)
    positive = spreads[spreads > 0]
    if not len(positive):
        return np.full(len(sizes), _mean(sizes, numbers))
    joint = _mean(spreads, numbers)
    if max(positive) <= UNLIKE * min(positive) or _are_probabilities(tables):
        return np.full(len(spreads), joint)
    return np.where(spreads > 0, spreads, joint)


def _are_probabilities(tables: Sequence[np.ndarray]) -> bool:
    """Whether there is one output, the entries of which are from 0 to 1 and sum to 1."""
    if len(tables) > 1 or tables[0].shape[-1] < 2:
        return False
    in_range = np.all((tables[0] >= 0) & (tables[0] <= 1))
    return bool(in_range and np.allclose(tables[0].sum(axis=-1), 1, atol=1e-3))


def _rms(x: np.ndarray) -> np.ndarray:
    """The root mean square of each entry of the last axis."""
    return np.sqrt(np.mean(np.square(x), axis=(0, 1)))


def _mean(values: np.ndarray, numbers: np.ndarray) -> float:
    """The root mean square of root mean squares of so many numbers each."""
    return float(np.sqrt(np.average(np.square(values), weights=numbers)))
