"""How good outputs are: one number, the larger the better."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np


class Score(NamedTuple):
    """What outputs are compared with, and how.

    Attributes:
        name: what the number is called.
        targets: the right answers.
        compute: `compute(targets, outputs)`, a number.
    """

    name: str
    targets: Any
    compute: Callable[[Any, Any], float]

    def __call__(self, outputs: Any) -> float:
        return float(self.compute(self.targets, outputs))


def score(targets: Any, outputs: Any, metric: Callable[[Any, Any], float] | None) -> Score | None:
    """The score for targets; None where there are none.

    Args:
        targets: an array, or a structure of arrays for a metric that takes one.
        outputs: what the trained network puts out.
        metric: `metric(targets, outputs)`; None for one that fits the targets:

            class numbers (integers, one for each sample, and several outputs): accuracy by the
            largest output; one-hot rows: the same; only 0 and 1: accuracy with outputs rounded at
            1/2; only -1 and 1: accuracy by the sign; any other numbers:
            R^2 = 1 - sum (targets - outputs)^2 / sum (targets - mean)^2.
    """
    if targets is None:
        if metric is not None:
            raise ValueError("`metric` compares outputs with `targets`. Received: targets=None.")
        return None
    if metric is not None:
        if not callable(metric):
            raise ValueError(
                "`metric` must be a function of targets and outputs that returns a number. "
                f"Received: {metric!r}."
            )
        return Score(getattr(metric, "__name__", "metric"), targets, metric)
    targets = np.asarray(targets)
    _check_samples(targets, outputs)
    return Score(*_default(targets, np.asarray(outputs)))


def _check_samples(targets: np.ndarray, outputs: Any) -> None:
    parts = keras.tree.flatten(outputs)
    if len(parts) > 1:
        raise ValueError(
            "A model of several outputs needs a `metric` of its own. "
            f"Received: {len(parts)} outputs."
        )
    if targets.ndim == 0 or len(targets) != len(parts[0]):
        raise ValueError(
            "There must be one target for each sample of the data. "
            f"Received: targets of shape {targets.shape}, outputs of shape {parts[0].shape}."
        )


def _default(targets: np.ndarray, outputs: np.ndarray) -> tuple[str, Any, Any]:
    classes = outputs.shape[-1] if outputs.ndim > 1 else 1
    if classes > 1 and targets.size * classes == outputs.size and _is_whole(targets):
        return "accuracy", targets.reshape(outputs.shape[:-1]), _by_largest
    if targets.size != outputs.size:
        raise ValueError(
            "Targets are class numbers, or numbers like the outputs; for anything else give a "
            f"`metric`. Received: targets of shape {targets.shape} and dtype {targets.dtype}, "
            f"outputs of shape {outputs.shape}."
        )
    targets = targets.reshape(outputs.shape)
    if classes > 1 and _are(targets, 0, 1) and np.all(targets.sum(axis=-1) == 1):
        return "accuracy", targets.argmax(axis=-1), _by_largest
    if _are(targets, 0, 1):
        _check_probabilities(outputs)
        return "accuracy", targets, lambda t, y: np.mean((np.asarray(y) > 0.5) == t)
    if _are(targets, -1, 1):
        return "accuracy", targets, lambda t, y: np.mean((np.asarray(y) > 0) == (t > 0))
    return "R^2", targets.astype("float64"), _determination


def _is_whole(targets: np.ndarray) -> bool:
    return bool(targets.dtype.kind in "iu" or np.all(targets == np.round(targets)))


def _are(targets: np.ndarray, *values: int) -> bool:
    return bool(np.all(np.isin(targets, values)))


def _check_probabilities(outputs: np.ndarray) -> None:
    if np.min(outputs) < 0 or np.max(outputs) > 1:
        raise ValueError(
            "Outputs for targets 0 and 1 are taken for probabilities, and rounded at 1/2; for "
            "others give a `metric`, such as "
            "`lambda targets, outputs: np.mean((outputs > 0) == targets)`. "
            f"Received: outputs between {np.min(outputs):.3g} and {np.max(outputs):.3g}."
        )


def _by_largest(targets: np.ndarray, outputs: Any) -> float:
    """The share of right classes; none is right where an output is not a number."""
    outputs = np.asarray(outputs)
    right = np.argmax(outputs, axis=-1) == targets
    return float(np.mean(right & np.all(np.isfinite(outputs), axis=-1)))


def _determination(targets: np.ndarray, outputs: Any) -> float:
    rest = np.sum((targets - np.asarray(outputs, "float64")) ** 2)
    total = np.sum((targets - np.mean(targets, axis=0)) ** 2)
    return float(1 - rest / total) if total else float("nan")
