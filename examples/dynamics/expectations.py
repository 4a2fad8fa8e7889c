"""The eight expectations of claims.py, and what the numbers say of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from cells import DTS, METHODS, Cell, floor_cell
from claims import FLOOR_FACTOR, GAIN, VERDICT
from comparisons import DT, NOISE_DTS
from evidence import Results, Slope, factor, measure, number, rollout
from shared import Comparison, Lines, table

EXPECTATIONS = (
    "A method of order p has slope p, until the network's own error is reached.",
    "Below that error a smaller dt gains nothing.",
    "Euler's method learns f + dt/2 f'f + ..., not f.",
    "Such a field is right with Euler's method at the same dt only; one learned with RK4 or RK8 "
    "with any solver.",
    "At uneven distances Euler's method finds no field that fits.",
    "With noise, a smaller dt is worse in the end, and high order allows larger ones.",
    "At equal evaluations, and at equal training time, high order beats steps of Euler's method.",
    "`ode_consistency` tells the two apart without knowing f.",
)
Answer = tuple[str, str]  # the verdict, and what decides


def expectations(results: Results, found: Sequence[Comparison]) -> Lines:
    """The table."""
    answers: list[Callable[[], Answer]] = [
        lambda: slopes(results),
        lambda: floors(results),
        lambda: modified(results, of(found, 3)),
        lambda: rolled(results, of(found, 4)),
        lambda: uneven(of(found, 5)),
        lambda: noise(results, of(found, 6)),
        lambda: equal(of(found, 7)),
        lambda: diagnostics(results),
    ]
    rows = [
        [number, expected, *answer()]
        for number, (expected, answer) in enumerate(
            zip(EXPECTATIONS, answers, strict=True), start=1
        )
    ]
    return table(["", "expected", "found", "what decides"], rows, "rlll")


def of(found: Sequence[Comparison], question: int) -> list[Comparison]:
    return [one for one in found if one.question == question]


def verdict(holds: int, all_: int) -> str:
    """In how many cases an expectation holds."""
    if all_ == 0:
        return "Not measured."
    words = "Found" if holds == all_ else "Refuted" if holds == 0 else "Found in part"
    return f"**{words}**: {holds} of {all_}."


def lower(ones: Sequence[Comparison]) -> list[Comparison]:
    return [one for one in ones if one.significant and one.difference.mean < 0]


def higher(ones: Sequence[Comparison]) -> list[Comparison]:
    return [one for one in ones if one.significant and one.difference.mean > 0]


def counted(words: str, hits: Sequence[Comparison], ones: Sequence[Comparison]) -> str:
    """How many comparisons show something, and the mean factor between the errors."""
    if not ones:
        return f"{words}: not measured"
    mean = 10 ** float(np.mean([one.difference.mean for one in ones]))
    return f"{words} in {len(hits)} of {len(ones)} (geometric mean of the ratios {mean:.2g})"


# -------------------------------------------------------------------------------------- slopes


def counting_slopes(results: Results) -> list[Slope]:
    """The slope of each method on each system, where there is one."""
    cells = [Cell(system, method, DTS[0]) for system in results.systems for method in METHODS]
    return [slope for cell in cells if (slope := results.slope(cell))]


def slopes(results: Results) -> Answer:
    measured = counting_slopes(results)
    right = [one for one in measured if one.agrees(one.cell.order)]
    decides = []
    for method in METHODS:
        ours = [one for one in measured if one.cell.method == method]
        if ours:
            shown = ", ".join(f"{one.cell.system} {one.value.mean:.2f}" for one in ours)
            decides.append(f"{method} ({ours[0].cell.order}): {shown}")
    wrong = [
        f"{label(one.cell)}, dt {one.coarse:g} to {one.fine:g} ({one.value.mean:.2f} ± "
        f"{one.value.half_width:.2f})"
        for one in measured
        if one not in right
    ]
    if wrong:
        decides.append(f"not so: {', '.join(wrong)}")
    missing = [method for method in METHODS if not any(s.cell.method == method for s in measured)]
    if missing and measured:
        decides.append(f"no slope above the floor for {', '.join(missing)}")
    return verdict(len(right), len(measured)), "; ".join(decides)


def label(cell: Cell) -> str:
    return f"{cell.system}, {cell.method}" + f" x {cell.steps}" * (cell.steps > 1)


def floors(results: Results) -> Answer:
    """From the first dt at which the floor is reached: how much the smallest dt gains."""
    ratios = []
    for system in results.systems:
        for method in METHODS:
            cells = [Cell(system, method, dt) for dt in DTS]
            reached = [
                cell
                for cell in cells
                if results.factor(cell).mean <= FLOOR_FACTOR * results.floor(system)
            ]
            if reached and reached[0] != cells[-1] and cells[-1] in results:
                first, last = (results.factor(cell).mean for cell in (reached[0], cells[-1]))
                ratios.append(first / last)
    if not ratios:
        return verdict(0, 0), "-"
    return (
        verdict(sum(ratio < GAIN for ratio in ratios), len(ratios)),
        f"from the first dt with an error of at most {FLOOR_FACTOR:g} floors to dt "
        f"{DTS[-1]:g} the error falls by factors of {min(ratios):.2g} to {max(ratios):.2g} "
        f"(below 1: it grows); less than {GAIN:g} counts as nothing",
    )


# -------------------------------------------------------------------------------- Euler's field


def modified(results: Results, found: Sequence[Comparison]) -> Answer:
    cells = [Cell(system, "euler", DTS[0]) for system in results.systems]
    first = [s for cell in cells if (s := results.slope(cell))]
    second = [s for cell in cells if (s := results.slope(cell, measure("modified_error")))]
    holds = [s.agrees(1) for s in first] + [s.agrees(2) for s in second]
    holds += [one in lower(found) for one in found]
    return verdict(sum(holds), len(holds)), "; ".join(
        [
            f"slope of the distance from f (1): {means(first)}",
            f"from f + dt/2 f'f (2): {means(second)}",
            counted("the latter is nearer", lower(found), found),
            f"from (phi_dt - id)/dt, over the floor: {exact_over_floor(results)}",
        ]
    )


def means(ones: Sequence[Slope]) -> str:
    return ", ".join(f"{one.cell.system} {one.value.mean:.2f}" for one in ones) or "-"


def exact_over_floor(results: Results) -> str:
    """How far the field learned with Euler is from the one with which Euler is exact, in floors."""
    ratios = [
        results.factor(cell, measure("exact_euler_error")).mean / results.floor(system)
        for system in results.systems
        for dt in DTS
        if (cell := Cell(system, "euler", dt)) in results and floor_cell(system) in results
    ]
    return f"{min(ratios):.2g} to {max(ratios):.2g}" if ratios else "-"


def rolled(results: Results, found: Sequence[Comparison]) -> Answer:
    euler = [one for one in found if ", euler," in one.claim]
    high = [one for one in found if ", euler," not in one.claim]
    same = [
        one for one in high if one not in higher(high) and abs(one.difference.mean) < np.log10(2)
    ]
    holds = len(higher(euler)) + len(same)
    return verdict(holds, len(found)), "; ".join(
        [
            counted("Euler's field is worse otherwise", higher(euler), euler),
            counted("RK4's and RK8's within a factor of two of it", same, high),
            *(
                f"not so: {one.claim}, {both_rollouts(results, one.claim)}"
                for one in found
                if one not in same and one not in higher(euler)
            ),
        ]
    )


def both_rollouts(results: Results, claim: str) -> str:
    """The two errors of orbits that a comparison is of."""
    system, method, ways = claim.split(", ")
    cell = Cell(system, method, DT)
    way, own = ways.removeprefix("rolled out: ").split(" - ")
    errors = [results.factor(cell, rollout(one)).mean for one in (way, own)]
    return " and ".join(f"{error:.2g}" for error in errors)


# ---------------------------------------------------------------------- uneven, noise, equal cost


def uneven(found: Sequence[Comparison]) -> Answer:
    euler = [one for one in found if ", euler," in one.claim]
    rk4 = [one for one in found if ", rk4," in one.claim]
    decides = []
    for name, ones in (("Euler", euler), ("RK4", rk4)):
        for words in ("residual", "rolled out"):
            these = [one for one in ones if words in one.claim]
            decides.append(counted(f"{name}, {words}: worse than even", higher(these), these))
    return verdict(len(higher(euler)), len(euler)), "; ".join(decides)


def noise(results: Results, found: Sequence[Comparison]) -> Answer:
    best: dict[str, list[float]] = {}
    growth = []
    for method in ("euler", "heun2", "rk4"):
        for system in results.systems:
            cells = [Cell(system, method, dt, "noise") for dt in NOISE_DTS]
            if all(cell in results for cell in cells):
                errors = [results.factor(cell).mean for cell in cells]
                best.setdefault(method, []).append(NOISE_DTS[int(np.argmin(errors))])
                if method == "rk4":
                    growth.append(np.log(errors[-1] / errors[-2]) / np.log(4))
    shown = ", ".join(
        f"{method} {', '.join(f'{dt:g}' for dt in dts)}" for method, dts in best.items()
    )
    grows = ", ".join(f"{one:.2f}" for one in growth) or "-"
    return verdict(len(lower(found)), len(found)), "; ".join(
        [
            counted(
                "at its best dt, a method of higher order is better than Euler", lower(found), found
            ),
            f"the best dt of each system, in the order below: {shown or '-'}",
            f"growth of RK4's error from dt 0.1 to 0.025, as a power of 1/dt (1): {grows}",
        ]
    )


def equal(found: Sequence[Comparison]) -> Answer:
    against_euler = [one for one in found if "- euler" in one.claim]
    time = [one for one in against_euler if "equal training time" in one.claim]
    steps = [one for one in against_euler if one not in time]
    others = [one for one in found if one not in against_euler]
    worse = [one.claim for one in higher(found)]
    return verdict(len(lower(against_euler)), len(against_euler)), "; ".join(
        [
            counted("equal evaluations: better than Euler", lower(steps), steps),
            counted("than methods of orders between", lower(others), others),
            counted("equal training time: better than Euler", lower(time), time),
            f"worse in {', '.join(worse) or 'none'}",
        ]
    )


# --------------------------------------------------------------------------------- diagnostics


def diagnosed(results: Results) -> list[tuple[Cell, int, float, float, str]]:
    """Cell, seed, distance from the limit, error of f, and verdict, of each diagnosed network."""
    return [
        (
            cell,
            seed,
            number(report["distance"]),
            number(results.cells[cell][seed]["field_error"]),
            report["verdict"],
        )
        for cell in results.ordered
        for seed, report in results.diagnoses.get(cell, {}).items()
        if seed in results.cells[cell]
    ]


def diagnostics(results: Results) -> Answer:
    found = diagnosed(results)
    right = [(error <= VERDICT) == (says == "behaves like an ODE") for *_, error, says in found]
    decides = [f"verdict and error of f agree on {sum(right)} of {len(found)} networks"]
    for method in ("euler", "rk4"):
        ratios = [
            distance / error
            for cell, _, distance, error, _ in found
            if cell.method == method and error >= FLOOR_FACTOR * results.floor(cell.system)
        ]
        if ratios:
            decides.append(
                f"{method}, errors above {FLOOR_FACTOR:g} floors: distance / error "
                f"{min(ratios):.2f} to {max(ratios):.2f}, geometric mean {factor(ratios).mean:.2f}"
            )
    missed = sorted(
        {
            f"{cell.system} {cell.method} dt {cell.dt:g}"
            for (cell, *_), agree in zip(found, right, strict=True)
            if not agree
        }
    )
    if missed:
        decides.append(f"they differ on {', '.join(missed)}")
    return verdict(sum(right), len(found)), "; ".join(decides)
