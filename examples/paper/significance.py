"""Intervals over seeds, and tests on pairs of networks that share their seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from plan import AT_LEAST, DIFFERS, MARGIN, WITHIN
from scipy import optimize, stats

LEVEL = 0.05
POWER = 0.8


@dataclass(frozen=True)
class Interval:
    """A mean and its 95 % confidence interval, which need not be symmetric.

    Attributes:
        half_width: half the width of the interval.
        low, high: its ends.
    """

    mean: float
    half_width: float
    count: int
    low: float = np.nan
    high: float = np.nan

    def __str__(self) -> str:
        if self.count == 0:
            return "-"
        if np.isnan(self.low):
            return f"{self.mean:.3f}"
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


def interval(values: Sequence[float]) -> Interval:
    """The mean over seeds with Student's interval; a single seed has none."""
    values = np.asarray(values, dtype=float)
    if len(values) == 0:
        return Interval(np.nan, np.nan, 0)
    mean = float(np.mean(values))
    if len(values) == 1:
        return Interval(mean, np.nan, 1)
    half_width = float(_quantile(len(values)) * stats.sem(values))
    return Interval(mean, half_width, len(values), mean - half_width, mean + half_width)


def share_interval(values: Sequence[float], points: int) -> Interval:
    """The mean of shares over seeds, with an interval inside of (0, 1).

    Student's interval for the logit of the mean, the standard error of which is
    se / (mean (1 - mean)), taken back. A share of so many points is not known better than they
    allow, so that se is at least that of a binomial share: seeds that agree by chance leave an
    interval, too.

    Args:
        points: how many test points each share is of.
    """
    plain = interval(values)
    if plain.count < 2:
        return plain
    total = plain.count * points
    mean = (plain.mean * total + 1) / (total + 2)  # off 0 and 1, where a logit is infinite
    error = max(float(stats.sem(values)), np.sqrt(mean * (1 - mean) / total))
    reach = _quantile(plain.count) * error / (mean * (1 - mean))
    logit = np.log(mean / (1 - mean))
    low, high = 1 / (1 + np.exp(-np.array([logit - reach, logit + reach])))
    low, high = min(float(low), plain.mean), max(float(high), plain.mean)
    return Interval(plain.mean, (high - low) / 2, plain.count, low, high)


def _quantile(count: int) -> float:
    return float(stats.t.ppf(1 - LEVEL / 2, count - 1))


@dataclass(frozen=True)
class Comparison:
    """Two networks, or groups of them, compared seed by seed.

    Attributes:
        question: the number of the question that it helps to answer.
        claim: what is compared, "a - b".
        difference: the mean difference and its interval.
        p: of the paired t test that the mean difference is zero.
        corrected: p after Holm's correction over all tests of its question.
        at_least, within: the same of the tests that it is at most -margin, and that it is outside
            of [-margin, margin]; NaN where that is not asked.
        margin: of these.
        detectable: the difference that is found with a probability of 80 %, if it is there.
    """

    question: int
    claim: str
    difference: Interval
    p: float
    corrected: float = np.nan
    at_least: float = np.nan
    corrected_at_least: float = np.nan
    within: float = np.nan
    corrected_within: float = np.nan
    margin: float = MARGIN
    detectable: float = np.nan

    @property
    def significant(self) -> bool:
        """Whether there is a difference."""
        return bool(self.corrected < LEVEL)

    @property
    def is_worse(self) -> bool:
        return self.significant and self.difference.mean < 0

    @property
    def is_better(self) -> bool:
        return self.significant and self.difference.mean > 0

    @property
    def is_not_worse(self) -> bool:
        """Whether the difference is shown to be above -margin."""
        return bool(self.corrected_at_least < LEVEL or self.is_the_same)

    @property
    def is_the_same(self) -> bool:
        """Whether the difference is shown to be smaller than the margin."""
        return bool(self.corrected_within < LEVEL)

    @property
    def verdict(self) -> str:
        """What is shown, in words."""
        small = f"within {self.margin:g}" if self.is_the_same else ""
        if not small and self.is_not_worse:
            small = f"not lower by {self.margin:g}"
        if not self.significant:
            return small or "open"
        side = "lower" if self.difference.mean < 0 else "higher"
        return f"{side}, {small}" if small and (self.is_the_same or side == "lower") else side

    @property
    def mean(self) -> str:
        """The mean difference with its interval."""
        one = self.difference
        if one.half_width == 0:
            return f"{one.mean:+.3f} (all {one.count} are equal)"
        return f"{one.mean:+.3f} [{one.low:+.3f}, {one.high:+.3f}]"


P_VALUES = {
    "p": "corrected",
    "at_least": "corrected_at_least",
    "within": "corrected_within",
}


def compare(
    question: int,
    claim: str,
    a: Sequence[float],
    b: Sequence[float],
    tests: Sequence[str] = (DIFFERS,),
    margin: float = MARGIN,
    overlap: float = 0.0,
) -> Comparison:
    """Compares the values of two networks for the same seeds.

    Args:
        tests, margin, overlap: as in `plan.Planned`.
    """
    difference = np.asarray(a, dtype=float) - np.asarray(b, dtype=float)
    plain = interval(difference)
    if overlap and plain.count > 1:  # C. Nadeau, Y. Bengio, Inference for the generalization error
        wider = plain.half_width * np.sqrt(1 + plain.count * overlap)
        low, high = plain.mean - wider, plain.mean + wider
        plain = replace(plain, half_width=wider, low=low, high=high)
    above = paired_p(difference + margin, overlap, "greater")
    below = paired_p(difference - margin, overlap, "less")
    return Comparison(
        question,
        claim,
        plain,
        paired_p(difference, overlap) if DIFFERS in tests else np.nan,
        at_least=above if AT_LEAST in tests else np.nan,
        within=max(above, below) if WITHIN in tests else np.nan,
        margin=margin,
    )


def paired_p(difference: np.ndarray, overlap: float = 0.0, alternative: str = "two-sided") -> float:
    """p of the paired t test.

    Where all differences are equal there is no variance to estimate: p is that of the sign test
    (1 if they are zero and the test is two-sided).

    Args:
        overlap: test samples over training samples where seeds split the same data anew: t is
            divided by sqrt(1 + n overlap), the correction of Nadeau and Bengio (2003).
        alternative: as in SciPy.
    """
    count = len(difference)
    if count < 2 or not np.all(np.isfinite(difference)):
        return np.nan
    mean = float(np.mean(difference))
    if np.ptp(difference) < 1e-9:
        return _sign_p(0.0 if abs(mean) < 1e-9 else mean, count, alternative)
    if not overlap:
        return float(stats.ttest_1samp(difference, 0.0, alternative=alternative).pvalue)
    t = mean / (stats.sem(difference) * np.sqrt(1 + count * overlap))
    tail = {"two-sided": 2 * stats.t.sf(abs(t), count - 1)}
    tail |= {"greater": stats.t.sf(t, count - 1), "less": stats.t.cdf(t, count - 1)}
    return float(tail[alternative])


def _sign_p(mean: float, count: int, alternative: str) -> float:
    if alternative == "two-sided":
        return 2.0 ** (1 - count) if mean else 1.0
    return 2.0**-count if (mean > 0 if alternative == "greater" else mean < 0) else 1.0


def holm(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Comparisons with all their p corrected together by Holm's step-down method."""
    ps = [(n, name) for n, one in enumerate(comparisons) for name in P_VALUES]
    ps = [(n, name) for n, name in ps if not np.isnan(getattr(comparisons[n], name))]
    tested = sorted(ps, key=lambda one: getattr(comparisons[one[0]], one[1]))
    corrected = list(comparisons)
    largest = 0.0
    for rank, (n, name) in enumerate(tested):
        p = (len(tested) - rank) * getattr(comparisons[n], name)
        largest = max(largest, min(1.0, p))
        corrected[n] = replace(corrected[n], **{P_VALUES[name]: largest})
    return [_with_power(one, len(tested)) for one in corrected]


def _with_power(one: Comparison, tests: int) -> Comparison:
    """A comparison with what it would find."""
    if np.isnan(one.p) or not one.difference.half_width > 0:
        return one
    error = one.difference.half_width / _quantile(one.difference.count)
    return replace(one, detectable=detectable(error, one.difference.count, LEVEL / tests))


def detectable(error: float, count: int, level: float) -> float:
    """The mean difference that a two-sided t test finds with a probability of 80 %.

    Args:
        error: the standard error of the mean difference.
        level: of the test; the first step of Holm's method divides it by the number of tests.
    """
    limit = stats.t.ppf(1 - level / 2, count - 1)
    # of the noncentral t distribution, by its definition; SciPy's is NaN for few and strict tests
    quantiles = (np.arange(4000) + 0.5) / 4000
    edges = limit * np.sqrt(stats.chi2.ppf(quantiles, count - 1) / (count - 1))

    def missing(shift: float) -> float:
        found = stats.norm.sf(edges - shift) + stats.norm.cdf(-edges - shift)
        return POWER - float(np.mean(found))

    return float(error * optimize.brentq(missing, 0.0, 10 * limit))
