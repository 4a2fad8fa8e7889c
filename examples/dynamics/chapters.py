"""The sections of the report, each a list of lines of Markdown."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from cells import (
    DTS,
    EQUAL,
    FEWER_DTS,
    FEWER_METHODS,
    METHODS,
    ORDERS,
    PORTRAIT_DTS,
    Cell,
    floor_cell,
)
from claims import FLOOR_FACTOR, LARGEST_PHASE
from comparisons import error_at_equal_time, euler_seconds
from evidence import FIELD_ERROR, Measure, Results, factor, measure, rollout
from expectations import diagnosed, label
from shared import Lines, table
from systems import SYSTEMS


def systems(results: Results) -> Lines:
    """What is learned, and how well a network can."""
    rows = [
        [
            f"`{name}`",
            SYSTEMS[name].equation,
            SYSTEMS[name].dimension,
            f"{results.rate(name):.2g}",
            results.factor(floor_cell(name)),
        ]
        for name in results.systems
    ]
    headings = ["system", "equation", "dimension", "L = \\|f'f\\| / \\|f\\|", "floor"]
    return [
        "The floor is the relative error of the same network trained on f itself, in the place of "
        "snapshots (geometric mean over seeds). L dt says how far f changes in one step.",
        "",
        *table(headings, rows, "llrrr"),
    ]


def by_dt(results: Results, rows: list[tuple[str, Cell]], of: Measure, dts: Any = DTS) -> Lines:
    """A measure for cells (rows) at each dt (columns)."""
    lines = [
        [label, *(results.factor(with_dt, of) for with_dt in at(cell, dts))]
        for label, cell in rows
        if any(one in results for one in at(cell, dts))
    ]
    return table(["", *(f"dt = {dt:g}" for dt in dts)], lines)


def at(cell: Cell, dts: Any) -> list[Cell]:
    return [Cell(cell.system, cell.method, dt, cell.sampling, cell.steps) for dt in dts]


def labelled(cells: list[Cell]) -> list[tuple[str, Cell]]:
    return [(label(cell), cell) for cell in cells]


def even(results: Results, methods: tuple[str, ...] = METHODS) -> list[Cell]:
    """A cell for each system and method; its dt does not matter."""
    return [Cell(system, method, DTS[0]) for system in results.systems for method in methods]


def errors(results: Results) -> Lines:
    """The error of the learned f, and its slopes."""
    rows = []
    for cell in even(results):
        found = {one.coarse: one for one in results.slopes(cell)}
        counts = results.slope(cell)
        shown = []
        for dt in DTS[:-1]:
            one = found.get(dt)
            text = "-" if one is None else f"{one.value.mean:.2f} ± {one.value.half_width:.2f}"
            shown.append(f"**{text}**" if one is not None and one == counts else text)
        if found:
            rows.append([label(cell), ORDERS[cell.method], *shown])
    headings = ["", "order", *(f"{a:g} to {b:g}" for a, b in itertools.pairwise(DTS))]
    return [
        "The relative error of the learned f on states that no training set has: geometric mean "
        "over seeds, and the factor to both ends of its 95 % interval.",
        "",
        *by_dt(results, labelled(even(results)), FIELD_ERROR),
        "![error of the learned field over dt](images/slopes.png)",
        "",
        "Slopes of it between neighbouring dt, mean and 95 % interval over seeds. The one that "
        f"counts is bold: the last with both errors at least {FLOOR_FACTOR:g} floors and L dt at "
        f"most {LARGEST_PHASE:g}.",
        "",
        *table(headings, rows),
    ]


def modified(results: Results) -> Lines:
    """What Euler's method learns."""
    rows = []
    for system in results.systems:
        for words, name in (
            ("from f", "field_error"),
            ("from f + dt/2 f'f", "modified_error"),
            ("from (phi_dt - id) / dt", "exact_euler_error"),
        ):
            cells = at(Cell(system, "euler", DTS[0]), DTS)
            values = [results.factor(cell, measure(name)) for cell in cells]
            slope = results.slope(Cell(system, "euler", DTS[0]), measure(name))
            slope_text = (
                "-" if slope is None else f"{slope.value.mean:.2f} ± {slope.value.half_width:.2f}"
            )
            rows.append([f"{system}: {words}", *values, slope_text])
    return [
        "The distance of the field g that Euler's method learns, relative to |f|. phi_dt is the "
        "exact flow: with the last of the three fields Euler's method makes no error at dt. The "
        "slope is chosen as above (none where no pair of distances is far enough above the floor). "
        "On the heat equation the network at a point sees one neighbour on each side, as f does; "
        "f'f reaches two, and phi_dt all, so that no such network is one of the last two fields.",
        "",
        *table(["", *(f"dt = {dt:g}" for dt in DTS), "slope"], rows),
        "![distances of Euler's field](images/modified.png)",
        "",
    ]


def rollouts(results: Results) -> Lines:
    """Orbits far beyond training."""
    rows = []
    for cell in even(results, ("euler", "heun2", "rk4", "rk8")):
        for one in at(cell, FEWER_DTS):
            if one in results:
                values = [
                    f"{results.factor(one, rollout(way)).mean:.2g}"
                    for way in ("own", "half", "fine")
                ]
                times = [
                    f"{np.mean(list(results.values(one, rollout(way, 'valid_time')).values())):.1f}"
                    for way in ("own", "half", "fine")
                ]
                rows.append([label(one), f"{one.dt:g}", *values, *times])
    headings = [
        *("", "dt", "error: own", "half", "fine"),
        *("valid time: own", "half", "fine"),
    ]
    shown = ", ".join(f"{system} at dt {dt:g}" for system, dt in PORTRAIT_DTS.items())
    return [
        "Orbits of length 20 from states that no training set has, rolled out with the training "
        "method at dt (own), with it at dt / 2 (half), and with a solver so fine that the flow of "
        "the learned f is seen (fine). Error: root of the mean square of the distance from the "
        "true orbit, each at most 1, geometric mean over seeds. Valid time: when the distance "
        "first exceeds 0.3, mean over orbits and seeds; 20 is never. On Lorenz 63 every error "
        "grows, about as exp(0.9 t).",
        "",
        *table(headings, rows),
        f"The true orbit and the flow of the learned f, first seed: {shown}.",
        "",
        "![phase portraits](images/portraits.png)",
        "",
    ]


def uneven(results: Results) -> Lines:
    """Distances of their own."""
    rows = []
    for cell in even(results, FEWER_METHODS):
        for one in at(cell, FEWER_DTS):
            other = Cell(one.system, one.method, one.dt, "uneven")
            if one in results and other in results:
                rows.append(
                    [
                        label(one),
                        f"{one.dt:g}",
                        *(
                            f"{results.factor(c, of).mean:.2g}"
                            for of in (measure("residual"), FIELD_ERROR, rollout("own"))
                            for c in (one, other)
                        ),
                    ]
                )
    headings = ["", "dt", "residual: even", "uneven", "error of f: even", "uneven"]
    return [
        "Each pair of snapshots at a distance of its own, uniform in [dt/2, 3 dt/2], in the call: "
        "`layer(z, dt=h)`. The residual is that of training, the root of the mean square of "
        "(step(z) - z_next) / h. Rolled out with the training method at dt. Geometric means.",
        "",
        *table([*headings, "rolled out: even", "uneven"], rows),
    ]


def noise(results: Results) -> Lines:
    """Snapshots that are not exact."""
    cells = [
        Cell(system, method, DTS[0], "noise")
        for system in results.systems
        for method in FEWER_METHODS
    ]
    return [
        "The error of f with noise of standard deviation 0.001 on each entry of each snapshot "
        "(entries are of size one):",
        "",
        *by_dt(results, labelled(cells), FIELD_ERROR, FEWER_DTS),
        "![error of f with noise](images/noise.png)",
        "",
    ]


def equal(results: Results) -> Lines:
    """Equal evaluations, equal time."""
    rows = []
    for group in EQUAL:
        for method, steps in group:
            for system in results.systems:
                cells = at(Cell(system, method, DTS[0], steps=steps), FEWER_DTS)
                if any(cell in results for cell in cells) and any(
                    Cell(system, *one[:1], DTS[0], steps=one[1]) in results
                    for one in group
                    if one[1] > 1
                ):
                    values = [results.factor(cell) for cell in cells]
                    rows.append([cells[0].evaluations, label(cells[0]), *values])
    rows.sort(key=lambda row: (row[0] > 4, row[1].split(",")[0]))
    timed = []
    for cell in even(results):
        values = [factor(list(error_at_equal_time(results, one).values())) for one in at(cell, DTS)]
        if any(value.count for value in values):
            timed.append([label(cell), *values])
    seconds = [euler_seconds(results, system, DTS[0]) for system in results.systems]
    seconds = [one for one in seconds if np.isfinite(one)]
    span = f"{min(seconds):.1f} to {max(seconds):.1f}" if seconds else "-"
    return [
        "The error of f with about as many evaluations of it between two snapshots, at each dt:",
        "",
        *table(["evaluations", "", *(f"dt = {dt:g}" for dt in FEWER_DTS)], rows, "rlrrr"),
        "And with one step, after as much training time on one core as Euler's method takes for "
        f"all its iterations ({span} s a seed):",
        "",
        *table(["", *(f"dt = {dt:g}" for dt in DTS)], timed),
    ]


def diagnostics(results: Results) -> Lines:
    """What `ode_consistency` says."""
    groups: dict[Cell, list[tuple[float, float, str]]] = {}
    for cell, _, distance, error, says in diagnosed(results):
        groups.setdefault(cell, []).append((distance, error, says))
    rows = []
    for cell, found in groups.items():
        distances, true_errors, verdicts = zip(*found, strict=True)
        odes = sum(one == "behaves like an ODE" for one in verdicts)
        rows.append(
            [
                label(cell),
                f"{cell.dt:g}",
                factor(distances),
                factor(true_errors),
                f"{odes} of {len(verdicts)}",
            ]
        )
    headings = ["", "dt", "distance from the limit", "true error of f", "behaves like an ODE"]
    return [
        "`keras_rk.diagnostics.ode_consistency` on the trained networks, as maps from z to the "
        "increment step(z) - z: it compares them with the limit of ever smaller steps along the "
        "learned field, and knows neither f nor a snapshot. What it finds is the error that the "
        "method makes; that of the network (the floor, noise) it cannot see.",
        "",
        *table(headings, rows),
        "![distance from the limit and error of f](images/diagnostics.png)",
        "",
    ]
