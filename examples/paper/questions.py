"""What the records say on each planned comparison."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from grid import Network
from plan import NEAR, QUESTIONS, Planned, plan
from results import Results, endpoint
from significance import Comparison, compare, holm
from words import Lines, bullets, table

ACCURACY = endpoint()
Values = dict[int, float]


def comparisons(results: Results) -> list[Comparison]:
    """Every test of the report, corrected within each question."""
    by_question: dict[int, list[Comparison]] = {number: [] for number in QUESTIONS}
    for planned in plan():
        values = values_of(results, planned)
        if len(values) > 1:
            by_question[planned.question].append(
                compare(
                    planned.question,
                    planned.claim,
                    list(values.values()),
                    [0.0] * len(values),
                    planned.tests,
                    planned.margin,
                    planned.overlap,
                )
            )
    return [one for group in by_question.values() for one in holm(group)]


def values_of(results: Results, planned: Planned) -> Values:
    """What is measured, for each seed that has all of it."""
    if planned.measure == "accuracy":
        groups = [results.mean_by_seed(group, ACCURACY) for group in (planned.a, planned.b)]
        return minus(*groups) if planned.b else groups[0]
    name, weights = planned.measure.split(":")
    return DIAGNOSED[name](results, planned, weights)


def minus(one: Values, other: Values) -> Values:
    return {seed: one[seed] - other[seed] for seed in sorted(set(one) & set(other))}


def lost(results: Results, planned: Planned, weights: str) -> Values:
    found = results.resolved(planned.a[0], weights)
    return {seed: one["accuracy_lost"] for seed, one in found.items()}


def log_distances(results: Results, network: Network, weights: str) -> Values:
    """The common logarithm of the distance from the limit."""
    found = results.resolved(network, weights)
    return {s: float(np.log10(one["distance"])) for s, one in found.items() if one["distance"]}


def near(results: Results, planned: Planned, weights: str) -> Values:
    found = log_distances(results, planned.a[0], weights)
    return {seed: value - float(np.log10(NEAR)) for seed, value in found.items()}


def learned(results: Results, planned: Planned, weights: str) -> Values:
    found = results.resolved(planned.a[0], weights)
    controls = {
        seed: float(np.log10(one["control"][0]["distance"]))
        for seed, one in found.items()
        if one.get("control") and one["control"][0]["distance"]
    }
    return minus(log_distances(results, planned.a[0], weights), controls)


def distance(results: Results, planned: Planned, weights: str) -> Values:
    return minus(*(log_distances(results, n, weights) for n in (planned.a[0], planned.b[0])))


def exponent(results: Results, planned: Planned, weights: str) -> Values:
    """To which power of depth the distance falls, by least squares, for each seed."""
    depths = np.log10([network.depth for network in planned.a])
    values = [log_distances(results, network, weights) for network in planned.a]
    seeds = sorted(set.intersection(*map(set, values)))
    return {seed: float(np.polyfit(depths, [one[seed] for one in values], 1)[0]) for seed in seeds}


DIAGNOSED: dict[str, Callable[[Results, Planned, str], Values]] = {
    **{"lost": lost, "near": near, "learned": learned},
    **{"distance": distance, "exponent": exponent},
}


def comparison_table(found: Sequence[Comparison]) -> Lines:
    """Comparisons, one in a row, for each question."""
    lines: Lines = []
    for number, question in QUESTIONS.items():
        these = [one for one in found if one.question == number]
        if these:
            tests = sum(not np.isnan(p) for one in these for p in (one.p, one.at_least, one.within))
            lines += [f"### {question}", "", f"Corrected over {tests} tests.", ""]
            lines += table(HEADINGS, map(row, these), "lrrrrrl")
    return lines


def shown(found: Sequence[Comparison]) -> Lines:
    """What the tests on accuracies show: the claims by verdict, for each question."""
    lines: Lines = []
    for number, question in QUESTIONS.items():
        groups: dict[str, list[str]] = {}
        for one in found:
            if one.question == number and "log10" not in one.claim and "exponent" not in one.claim:
                groups.setdefault(one.verdict, []).append(
                    f"{one.claim}: {one.difference.mean:+.3f}"
                )
        if not groups:
            continue
        lines += [f"### Shown: {question}", ""]
        for verdict in sorted(groups.keys() - {"open"}):
            lines += bullets(f"{verdict.capitalize()}:", groups[verdict])
        if "open" in groups:
            lines += [
                f"Open: {len(groups['open'])} more ([all comparisons](#all-comparisons)).",
                "",
            ]
    return lines


HEADINGS = [
    "",
    "seeds",
    "mean [95 % interval]",
    "p: differs",
    "p: not by the margin",
    "found with 80 %",
    "shown",
]


def row(one: Comparison) -> list[str]:
    """A comparison in a table; p are corrected."""
    by_margin = one.corrected_within if np.isnan(one.at_least) else one.corrected_at_least
    return [
        one.claim,
        str(one.difference.count),
        one.mean,
        small(one.corrected),
        small(by_margin),
        "-" if np.isnan(one.detectable) else f"{one.detectable:.3f}",
        one.verdict,
    ]


def small(p: float) -> str:
    return "-" if np.isnan(p) else "<0.0001" if p < 0.0001 else f"{p:.2g}"
