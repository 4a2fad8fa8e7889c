"""Every test of the report, corrected together. Differences are of log10 of errors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from cells import EQUAL, EQUAL_TO_RK8, METHODS, SYSTEM_NAMES, Cell
from evidence import FIELD_ERROR, Measure, Results, at_time, measure, rollout
from scipy import stats
from shared import Comparison, Lines, compare, holm, table

ROUNDING = 3e-4  # of the difference of two log10 of numbers with four digits
DT = 0.1  # at which methods, ways to roll out and samplings are compared: the middle of five
EQUAL_DTS = (0.4, 0.1)  # at which equal evaluations are
NOISE_DTS = (0.4, 0.1, 0.025)


def comparisons(results: Results) -> list[Comparison]:
    """All of them."""
    return holm(
        [
            one
            for part in (modified, rolled, uneven, noise, evaluations, equal_time)
            for system in SYSTEM_NAMES
            for one in part(results, system)
        ]
    )


def of_values(
    question: int, claim: str, one: dict[int, float], other: dict[int, float]
) -> Iterator[Comparison]:
    """Compares logarithms for the seeds that both have."""
    seeds = [seed for seed in sorted(set(one) & set(other)) if one[seed] > 0 and other[seed] > 0]
    if len(seeds) > 1:
        a, b = (np.log10([values[seed] for seed in seeds]) for values in (one, other))
        yield with_rounding(compare(question, claim, a, b), np.std(a - b, ddof=1))


def with_rounding(one: Comparison, deviation: float) -> Comparison:
    """A comparison whose differences vary no less than records, of four digits, let them."""
    if deviation >= ROUNDING or abs(one.difference.mean) < ROUNDING:
        return one
    t = abs(one.difference.mean) / (ROUNDING / np.sqrt(one.difference.count))
    return replace(one, p=float(2 * stats.t.sf(t, one.difference.count - 1)))


def pair(
    results: Results, question: int, claim: str, a: tuple[Cell, Measure], b: tuple[Cell, Measure]
) -> Iterator[Comparison]:
    yield from of_values(question, claim, results.values(*a), results.values(*b))


def modified(results: Results, system: str) -> Iterator[Comparison]:
    """Is the field that Euler's method learns nearer to f, or to f + dt/2 f'f?"""
    cell = Cell(system, "euler", DT)
    claim = f"{system}, euler: distance from f + dt/2 f'f - from f"
    yield from pair(
        results, 3, claim, (cell, measure("modified_error")), (cell, measure("field_error"))
    )


def rolled(results: Results, system: str) -> Iterator[Comparison]:
    """Is a learned field right with another solver than that of training?"""
    for method in ("euler", "rk4", "rk8"):
        cell = Cell(system, method, DT)
        for way in ("half", "fine") if method == "euler" else ("fine",):
            claim = f"{system}, {method}, rolled out: {way} - own"
            yield from pair(results, 4, claim, (cell, rollout(way)), (cell, rollout("own")))


def uneven(results: Results, system: str) -> Iterator[Comparison]:
    """What uneven distances change."""
    for method in ("euler", "rk4"):
        cells = [Cell(system, method, DT, sampling) for sampling in ("uneven", "even")]
        for words, of in (("residual", measure("residual")), ("rolled out, own", rollout("own"))):
            claim = f"{system}, {method}, {words}: uneven - even"
            yield from pair(results, 5, claim, *((cell, of) for cell in cells))


def best_with_noise(results: Results, system: str, method: str) -> dict[int, float]:
    """By seed the smallest error over the dt of noisy samples."""
    by_dt = [results.values(Cell(system, method, dt, "noise")) for dt in NOISE_DTS]
    seeds = set.intersection(*map(set, by_dt))
    return {seed: min(values[seed] for values in by_dt) for seed in seeds}


def noise(results: Results, system: str) -> Iterator[Comparison]:
    """Does order help where there is noise?"""
    for method in ("heun2", "rk4"):
        claim = f"{system}, noise, each at its best dt: {method} - euler"
        best = (best_with_noise(results, system, one) for one in (method, "euler"))
        yield from of_values(6, claim, *best)


def evaluations(results: Results, system: str) -> Iterator[Comparison]:
    """At equally many evaluations of f, the highest order against the others."""
    for group in EQUAL[: 2 if system in EQUAL_TO_RK8 else 1]:
        *others, (best, steps) = group
        for method, more in others:
            for dt in EQUAL_DTS:
                claim = f"{system}, dt {dt:g}: {best} x {steps} - {method} x {more}"
                one, other = (
                    Cell(system, best, dt, steps=steps),
                    Cell(system, method, dt, steps=more),
                )
                yield from pair(results, 7, claim, (one, FIELD_ERROR), (other, FIELD_ERROR))


def euler_seconds(results: Results, system: str, dt: float) -> float:
    """How long Euler's method trains: the time that all methods are given."""
    records = results.cells.get(Cell(system, "euler", dt), {}).values()
    return float(np.median([record["curve"]["seconds"][-1] for record in records] or [np.nan]))


def error_at_equal_time(results: Results, cell: Cell) -> dict[int, float]:
    """The error of f by seed, after as much training as Euler's method has."""
    seconds = euler_seconds(results, cell.system, cell.dt)
    if np.isnan(seconds):
        return {}
    return results.values(cell, lambda record: at_time(record, seconds))


def equal_time(results: Results, system: str) -> Iterator[Comparison]:
    """At equal training time, each method against Euler's."""
    for method in METHODS[1:]:
        cells = (Cell(system, method, DT), Cell(system, "euler", DT))
        claim = f"{system}, equal training time: {method} - euler"
        yield from of_values(7, claim, *(error_at_equal_time(results, cell) for cell in cells))


def comparison_table(found: list[Comparison]) -> Lines:
    """Comparisons, one in a row."""
    rows = [
        [
            one.question,
            one.claim,
            f"{one.difference.mean:+.3f} ± {one.difference.half_width:.3f}",
            small(one.p),
            small(one.corrected),
            "differs" if one.significant else "no difference shown",
        ]
        for one in found
    ]
    headings = ["expectation", "log10 of the error", "mean difference", "p", "corrected", ""]
    return table(headings, rows, "rlrrrl")


def small(p: float) -> str:
    return "-" if np.isnan(p) else "<0.0001" if p < 0.0001 else f"{p:.2g}"
