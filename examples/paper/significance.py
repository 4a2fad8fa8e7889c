"""Intervals over seeds, and tests on pairs of networks that share their seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

LEVEL = 0.05


@dataclass(frozen=True)
class Interval:
    """A mean and half the width of its 95 % confidence interval (Student's t)."""

    mean: float
    half_width: float
    count: int

    def __str__(self) -> str:
        if self.count == 0:
            return "-"
        return f"{self.mean:.3f} ± {self.half_width:.3f}"


def interval(values: Sequence[float]) -> Interval:
    """The mean over seeds; a single seed has no interval."""
    values = np.asarray(values, dtype=float)
    if len(values) == 0:
        return Interval(np.nan, np.nan, 0)
    if len(values) == 1:
        return Interval(float(values[0]), np.nan, 1)
    quantile = stats.t.ppf(1 - LEVEL / 2, len(values) - 1)
    half_width = quantile * np.std(values, ddof=1) / np.sqrt(len(values))
    return Interval(float(np.mean(values)), float(half_width), len(values))


@dataclass(frozen=True)
class Comparison:
    """Two networks, or groups of them, compared seed by seed.

    Attributes:
        question: the number of the question that it helps to answer; 0 for none of the five.
        claim: what is compared, "a - b".
        difference: the mean difference and its interval.
        p: of the paired t test that the mean difference is zero.
        corrected: p after Holm's correction over all comparisons of the report.
    """

    question: int
    claim: str
    difference: Interval
    p: float
    corrected: float = np.nan

    @property
    def significant(self) -> bool:
        return bool(self.corrected < LEVEL)


def compare(question: int, claim: str, a: Sequence[float], b: Sequence[float]) -> Comparison:
    """Compares the values of two networks for the same seeds."""
    difference = np.asarray(a, dtype=float) - np.asarray(b, dtype=float)
    return Comparison(question, claim, interval(difference), paired_p(difference))


def paired_p(difference: np.ndarray) -> float:
    """p of the paired t test, two-sided.

    Where all differences are equal there is no variance to estimate: p is 1 if they are zero, else
    that of the sign test.
    """
    if len(difference) < 2:
        return np.nan
    if np.ptp(difference) < 1e-9:
        return 1.0 if abs(difference[0]) < 1e-9 else 2.0 ** (1 - len(difference))
    return float(stats.ttest_1samp(difference, 0.0).pvalue)


def holm(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Comparisons with p corrected by Holm's step-down method, so that few err among all."""
    tested = sorted(
        (n for n, one in enumerate(comparisons) if not np.isnan(one.p)),
        key=lambda n: comparisons[n].p,
    )
    corrected = list(comparisons)
    largest = 0.0
    for rank, n in enumerate(tested):
        largest = max(largest, min(1.0, (len(tested) - rank) * comparisons[n].p))
        corrected[n] = replace(comparisons[n], corrected=largest)
    return corrected
