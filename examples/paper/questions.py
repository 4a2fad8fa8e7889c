"""The paper's five questions: the comparisons that decide them, and the answers these give."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from grid import DEPTHS, Network, depth_networks, digits_networks, experiments
from ode import consistency_by_seed, ode_pairs
from results import Measure, Results, measure
from significance import Comparison, compare, holm
from words import Lines, formula, penalty, table

SHALLOW = tuple(depth for depth in DEPTHS if depth <= 15)
DEEP = tuple(depth for depth in DEPTHS if depth >= 40)
RUNGE_KUTTA = ("euler", "heun2", "rk4", "rk8")
ACCURACY = measure("test_accuracy")
MATCHED = (  # networks with about as many evaluations of F: 50, 50, 48 and 55; 20, 20, 20
    (("euler", 50), ("heun2", 25), ("rk4", 12), ("rk8", 5)),
    (("euler", 20), ("heun2", 10), ("rk4", 5)),
)


def comparisons(results: Results) -> list[Comparison]:
    """Every test of the report, corrected together."""
    found = [
        *decline(results),
        *against(results, 2, "residual", "standard"),
        *(one for m in RUNGE_KUTTA for one in against(results, 3, m, "standard")),
        *(
            one
            for m in (*RUNGE_KUTTA, "inconsistent")
            for one in against(results, 3, m, "residual")
        ),
        *step_sizes(results),
        *ode(results),
        *normalization(results),
        *matched(results),
        *digits(results),
    ]
    return holm(found)


def pair(
    results: Results,
    question: int,
    claim: str,
    a: Iterable[Network],
    b: Iterable[Network],
    of: Measure = ACCURACY,
) -> Iterator[Comparison]:
    """Compares the means over two groups of networks, if both are there."""
    one, other = results.mean_by_seed(a, of), results.mean_by_seed(b, of)
    yield from of_values(question, claim, one, other)


def of_values(
    question: int, claim: str, one: dict[int, float], other: dict[int, float]
) -> Iterator[Comparison]:
    seeds = sorted(set(one) & set(other))
    if len(seeds) > 1:
        yield compare(question, claim, [one[s] for s in seeds], [other[s] for s in seeds])


def in_both(
    results: Results, a: list[Network], b: list[Network]
) -> tuple[list[Network], list[Network]]:
    """Of two lists of networks, one beside the other, those that are there on both sides."""
    there = [(x, y) for x, y in zip(a, b, strict=True) if x in results and y in results]
    return [x for x, _ in there], [y for _, y in there]


def decline(results: Results) -> Iterator[Comparison]:
    """How much accuracy is lost from shallow to deep networks."""
    for method in ("standard", "residual", "residual2", *RUNGE_KUTTA, "inconsistent"):
        question = {"standard": 1, "residual": 2, "residual2": 2}.get(method, 3)
        claim = f"{method}: depth 40 to 50 - depth 5 to 15"
        deep, shallow = (depth_networks(depths, (method,)) for depths in (DEEP, SHALLOW))
        yield from pair(results, question, claim, deep, shallow)


def against(results: Results, question: int, one: str, other: str) -> Iterator[Comparison]:
    """Two methods in deep networks."""
    claim = f"depth 40 to 50: {one} - {other}"
    networks = [depth_networks(DEEP, (method,)) for method in (one, other)]
    yield from pair(results, question, claim, *in_both(results, *networks))


def step_sizes(results: Results) -> Iterator[Comparison]:
    """Each dt against 1."""
    for network in experiments(quick=False)["dt"]:
        if network.dt == 1.0:
            continue
        claim = f"{formula(network)}: dt {network.dt:g} - dt 1"
        yield from pair(results, 4, claim, [network], [replace(network, dt=1.0)])


def ode(results: Results) -> Iterator[Comparison]:
    """What accuracy is lost on the way to the limit, and what smoothness changes in that."""
    lost = {}
    for network in experiments(quick=False)["ode"]:
        found = consistency_by_seed(results, network)
        lost[network] = {seed: one["accuracy_lost"] for seed, one in found.items()}
        claim = f"accuracy lost in the limit: {penalty(network)}"
        yield from of_values(5, claim, lost[network], dict.fromkeys(lost[network], 0.0))
    for rough, smooth in ode_pairs():
        claim = f"accuracy lost in the limit: {penalty(rough)} - penalty {smooth.smoothness:g}"
        yield from of_values(5, claim, lost[rough], lost[smooth])


def normalization(results: Results) -> Iterator[Comparison]:
    """Statistics for each evaluation against shared ones, and both against BN after the step."""
    for method in RUNGE_KUTTA:
        groups = {
            where: depth_networks(DEPTHS, (method,), normalization=where)
            for where in ("after", "inside", "inside_shared")
        }
        for one, other in (("inside", "inside_shared"), ("inside", "after")):
            claim = f"{method}, all depths: BN {one} - BN {other}".replace("_", " ")
            yield from pair(results, 0, claim, *in_both(results, groups[one], groups[other]))


def matched(results: Results) -> Iterator[Comparison]:
    """Networks with equally many evaluations of F."""
    for first, *others in MATCHED:
        euler = Network(method=first[0], depth=first[1])
        for method, depth in others:
            network = Network(method=method, depth=depth)
            claim = (
                f"{network.evaluations} evaluations: {method}, depth {depth} "
                f"- euler, depth {euler.depth}"
            )
            yield from pair(results, 0, claim, [network], [euler])


def digits(results: Results) -> Iterator[Comparison]:
    """On digits: equally many parameters, and equally many evaluations."""
    networks = digits_networks(3)
    for one in networks:
        for other in networks:
            same_parameters = one.depth == other.depth and other.method == "euler"
            same_evaluations = one.evaluations == other.evaluations and other.method == "euler"
            if one.method != "euler" and (same_parameters or same_evaluations):
                what = "parameters" if same_parameters else "evaluations"
                claim = (
                    f"digits, equal {what}: {one.method}, {one.depth} blocks "
                    f"- euler, {other.depth} blocks"
                )
                yield from pair(results, 0, claim, [one], [other])


def comparison_table(found: Sequence[Comparison]) -> Lines:
    """Comparisons, one in a row."""
    headings = ["accuracy on test points", "mean difference", "p", "corrected", ""]
    rows = [
        [
            one.claim,
            f"{one.difference.mean:+.3f} ± {one.difference.half_width:.3f}",
            small(one.p),
            small(one.corrected),
            "differs" if one.significant else "no difference shown",
        ]
        for one in found
    ]
    return table(headings, rows, "lrrrl")


def small(p: float) -> str:
    return "-" if np.isnan(p) else "<0.0001" if p < 0.0001 else f"{p:.2g}"
