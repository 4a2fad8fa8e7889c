"""What is compared, fixed before any seed was run.

Endpoints, for each seed the mean over the four data sets: the accuracy on test points, and the
decimal logarithm of the objective on training points, after the last step. Each comparison is a
paired difference over seeds with a 95 % interval (Student's t); a claim is made where p, after
Holm's correction over all of them together, is below 0.05.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1] / "paper"))
from significance import Comparison, compare, holm, interval

__all__ = ["COMPARISONS", "Comparison", "all_comparisons", "interval"]

COMPARISONS = [  # the question; the first network minus the second
    ("does the shortcut help?", "resnet", "net"),
    ("does it help to learn the steps?", "odenet", "resnet"),
    ("does a simplex cost anything?", "odenet_simplex", "odenet"),
    ("is a softmax as good as projecting?", "odenet_simplex", "odenet_projected"),
    ("does the fixed sum matter, once steps are positive?", "odenet_simplex", "odenet_positive"),
    ("does the order matter?", "heun2", "euler"),
    ("does the order matter?", "kutta3", "euler"),
    ("does the order matter?", "rk4", "euler"),
]
ENDPOINTS = ("test accuracy", "log10 objective")
DROPPED = 0.01  # a step below this share of the initial one


def endpoint(name: str, record: dict[str, Any]) -> float:
    if name == "test accuracy":
        return record["test_accuracy"]
    return float(np.log10(max(record["objective"], 1e-12)))


def by_seed(name: str, records: Sequence[dict[str, Any]]) -> np.ndarray:
    """The mean over the data sets, for each seed."""
    seeds = sorted({record["seed"] for record in records})
    return np.array(
        [np.mean([endpoint(name, r) for r in records if r["seed"] == s]) for s in seeds]
    )


def all_comparisons(records: dict[str, Sequence[dict[str, Any]]]) -> list[Comparison]:
    """All of them, for both endpoints, corrected together."""
    found = [
        compare(0, f"{name}: {one} - {other}", *(by_seed(name, records[x]) for x in (one, other)))
        for name in ENDPOINTS
        for _, one, other in COMPARISONS
    ]
    return holm(found)
