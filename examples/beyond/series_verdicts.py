"""Paired differences between networks: tests, equivalence, effect sizes and power.

series_plan.py says what is tested and why. With n seeds, differences of mean m and deviation s, and
r the number of test series for each training series (0 where seeds share no series):

    standard error     s sqrt(1/n + r)                            Nadeau and Bengio (2003)
    t test             m / standard error, n - 1 degrees of freedom
    equivalence        the larger p of the two one-sided t tests of |m| >= MARGIN (Schuirmann 1987)
    effect size        J m / s,    J = 1 - 3 / (4 n - 5)          Hedges' correction
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import optimize, stats
from series_plan import MARGIN, QUESTIONS

sys.path.append(str(Path(__file__).resolve().parents[1] / "paper"))
from plan import DIFFERS, WITHIN
from significance import LEVEL, Comparison, compare, detectable, holm, interval

EXACT = 1e-9  # a deviation below this is none


@dataclass(frozen=True)
class Result:
    """A pair of networks on a data set.

    Attributes:
        first, second: the networks; differences are the first minus the second.
        mean, low, high: of the difference, with its 95 % interval.
        p: of the t test, corrected within the question once `corrected` has seen it.
        equivalence: p of the two one-sided tests, likewise.
        effect: the effect size and its 95 % interval; nan where differences do not vary, as below.
        detectable: the difference that one test at 0.05 finds with probability 0.8.
        equivalence_power: how probable equivalence is found if the true difference is zero.
    """

    dataset: str
    first: str
    second: str
    mean: float
    low: float
    high: float
    p: float
    equivalence: float
    effect: tuple[float, float, float] = (np.nan, np.nan, np.nan)
    detectable: float = np.nan
    equivalence_power: float = np.nan

    @property
    def verdict(self) -> str:
        """In words."""
        is_different, is_equivalent = self.p < LEVEL, self.equivalence < LEVEL
        better = self.first if self.mean > 0 else self.second
        if is_different and is_equivalent:
            return f"{better} better, by less than {MARGIN:g}"
        if is_different:
            return f"{better} better"
        return "equivalent" if is_equivalent else "not decided"


def compared(
    dataset: str, pair: tuple[str, str], difference: Sequence[float], ratio: float
) -> Result:
    """The tests of one pair, uncorrected."""
    values = np.asarray(difference, float)
    count, mean = len(values), float(np.mean(values))
    found = compare(0, "", values, np.zeros(count), (DIFFERS, WITHIN), MARGIN, ratio)
    deviation = float(np.std(values, ddof=1)) if count > 1 else np.nan
    result = Result(
        dataset,
        *pair,
        mean,
        found.difference.low,
        found.difference.high,
        p=found.p,
        equivalence=found.within,
    )
    if deviation < EXACT:
        return result
    size = 1 / (1 / count + ratio)
    error = deviation / np.sqrt(size)
    return replace(
        result,
        effect=effect_size(mean, deviation, count, size),
        detectable=detectable(error, count, LEVEL),
        equivalence_power=equivalence_power(error, count - 1),
    )


def effect_size(
    mean: float, deviation: float, count: int, size: float
) -> tuple[float, float, float]:
    """The effect size, and the interval of those for which its t is no surprise.

    Args:
        size: how many independent seeds would have the same standard error.
    """
    if mean < 0:  # SciPy's noncentral t fails at large negative t
        effect, low, high = effect_size(-mean, deviation, count, size)
        return -effect, -high, -low
    freedom, t = count - 1, mean / deviation * np.sqrt(size)
    correction = 1 - 3 / (4 * count - 5)

    def noncentrality(probability: float) -> float:
        spread = 10 + 2 * abs(t)
        return root(lambda nc: stats.nct.cdf(t, freedom, nc) - probability, t - spread, t + spread)

    ends = [noncentrality(p) / np.sqrt(size) for p in (1 - LEVEL / 2, LEVEL / 2)]
    return tuple(float(correction * d) for d in (mean / deviation, *ends))


def root(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a function is zero; nan if SciPy's noncentral t fails, as it can for two seeds."""
    try:
        return float(optimize.brentq(function, low, high))
    except ValueError:
        return np.nan


def equivalence_power(error: float, freedom: int) -> float:
    """How probable both one-sided tests reject if the true difference is zero (approximately)."""
    room = MARGIN / error - stats.t.ppf(1 - LEVEL, freedom)
    return float(max(0.0, 2 * stats.t.cdf(room, freedom) - 1))


def corrected(results: Sequence[Result]) -> list[Result]:
    """Both kinds of p by Holm's method, over these results."""
    kinds = []
    for kind in ("p", "equivalence"):
        found = holm([Comparison(0, "", interval([]), getattr(one, kind)) for one in results])
        kinds.append([one.corrected for one in found])
    return [
        replace(one, p=p, equivalence=equivalence)
        for one, p, equivalence in zip(results, *kinds, strict=True)
    ]


def answered(records: dict[str, dict[str, Any]], ratios: dict[str, float]) -> list[list[Result]]:
    """For each question its pairs on each data set.

    Args:
        records: of each data set its networks' records.
        ratios: Nadeau and Bengio's term of each data set.
    """
    return [
        corrected(
            [
                compared(
                    name, pair, accuracy(found, pair[0]) - accuracy(found, pair[1]), ratios[name]
                )
                for pair in question.pairs
                for name, found in records.items()
            ]
        )
        for question in QUESTIONS
    ]


def accuracy(found: dict[str, Any], network: str) -> np.ndarray:
    return np.array(found[network]["test_accuracy"])


def mean_interval(values: Sequence[float], ratio: float) -> tuple[float, float, float]:
    """A mean accuracy and its 95 % interval, found for its logit so that it stays below 1."""
    mean, deviation = float(np.mean(values)), float(np.std(values, ddof=1))
    if deviation < EXACT:
        return mean, mean, mean
    quantile = stats.t.ppf(1 - LEVEL / 2, len(values) - 1)
    half = quantile * deviation * np.sqrt(1 / len(values) + ratio) / (mean * (1 - mean))
    logit = np.log(mean / (1 - mean))
    low, high = (float(1 / (1 + np.exp(-(logit + side * half)))) for side in (-1, 1))
    return mean, low, high
