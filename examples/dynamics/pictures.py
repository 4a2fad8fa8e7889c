"""The figures of the report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from cells import DTS, FEWER_DTS, FEWER_METHODS, METHODS, ORDERS, PORTRAIT_DTS, Cell
from evidence import FIELD_ERROR, Measure, Results, measure
from expectations import diagnosed

matplotlib.use("Agg")
import matplotlib.pyplot as plt

COLORS = dict(zip(METHODS, plt.get_cmap("tab10").colors, strict=False))


def draw_all(results: Results, folder: Path) -> None:
    """Writes every figure."""
    folder.mkdir(parents=True, exist_ok=True)
    for draw in (slopes, modified, portraits, noise, diagnostics):
        figure = draw(results)
        figure.savefig(folder / f"{draw.__name__}.png", dpi=90, bbox_inches="tight")
        plt.close(figure)


def legend(axes: Any, size: int) -> None:
    """A legend, where there is anything to name."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=size)


def panels(results: Results, **options: Any) -> tuple[Any, list[tuple[str, Any]]]:
    """A panel for each system."""
    count = max(1, len(results.systems))
    figure, axes = plt.subplots(1, count, figsize=(3.4 * count, 3.6), squeeze=False, **options)
    return figure, list(zip(results.systems, axes[0], strict=False))


def curve(axes: Any, results: Results, cell: Cell, of: Measure, dts: Any, **style: Any) -> None:
    """A measure over dt, with its interval as a band."""
    found = [
        (dt, results.factor(one, of))
        for dt in dts
        if (one := Cell(cell.system, cell.method, dt, cell.sampling, cell.steps)) in results
    ]
    if found:
        x = np.array([dt for dt, _ in found])
        mean = np.array([one.mean for _, one in found])
        width = np.array([one.factor for _, one in found])
        (line,) = axes.plot(x, mean, marker=".", **style)
        axes.fill_between(x, mean / width, mean * width, color=line.get_color(), alpha=0.15, lw=0)


def finish(figure: Any, all_panels: list[tuple[str, Any]], label: str) -> Any:
    """Titles, scales and the legend."""
    for system, axes in all_panels:
        axes.set(title=system, xscale="log", yscale="log", xlabel="dt")
        axes.set_xticks(DTS, [f"{dt:g}" for dt in DTS])
        axes.minorticks_off()
    if all_panels:
        all_panels[0][1].set_ylabel(label)
    named = {}
    for _, axes in all_panels:
        handles, labels = axes.get_legend_handles_labels()
        named |= dict(zip(labels, handles, strict=True))
    if named:
        figure.legend(
            named.values(), named.keys(), loc="upper center", bbox_to_anchor=(0.5, 0), ncol=6
        )
    figure.tight_layout()
    return figure


def slopes(results: Results) -> Any:
    """The error of f over dt, the floor, and lines of slope p."""
    figure, all_panels = panels(results)
    for system, axes in all_panels:
        for method in METHODS:
            cell = Cell(system, method, DTS[0])
            curve(axes, results, cell, FIELD_ERROR, DTS, color=COLORS[method], label=method)
            if (slope := results.slope(cell)) is not None:
                x = np.array([slope.coarse, slope.fine])
                first = results.factor(Cell(system, method, slope.coarse)).mean
                y = 1.5 * first * (x / x[0]) ** ORDERS[method]
                axes.plot(x, y, ":", color=COLORS[method], lw=1)
        axes.axhline(results.floor(system), color="0.5", ls="--", lw=1, label="floor")
    return finish(figure, all_panels, "error of f (dotted: slope p)")


def modified(results: Results) -> Any:
    """Distances of the field that Euler's method learns."""
    figure, all_panels = panels(results)
    for system, axes in all_panels:
        for name, words in (
            ("field_error", "from f"),
            ("modified_error", "from f + dt/2 f'f"),
            ("exact_euler_error", "from (phi_dt - id)/dt"),
        ):
            cell = Cell(system, "euler", DTS[0])
            curve(axes, results, cell, measure(name), DTS, label=words)
        axes.axhline(results.floor(system), color="0.5", ls="--", lw=1, label="floor")
    return finish(figure, all_panels, "distance of Euler's field")


def noise(results: Results) -> Any:
    """The error of f over dt with noise, and without."""
    figure, all_panels = panels(results)
    for system, axes in all_panels:
        for method in FEWER_METHODS:
            color = COLORS[method]
            cell, noisy = Cell(system, method, DTS[0]), Cell(system, method, DTS[0], "noise")
            curve(axes, results, noisy, FIELD_ERROR, FEWER_DTS, color=color, label=method)
            curve(axes, results, cell, FIELD_ERROR, DTS, color=color, ls=":", lw=1)
    return finish(figure, all_panels, "error of f with noise (dotted: without)")


def portraits(results: Results) -> Any:
    """Orbits of learned fields beside the true one."""
    systems = [system for system in results.systems if system in PORTRAIT_DTS]
    methods = ("euler", "rk4")
    figure, axes = plt.subplots(
        2, max(1, len(systems)), figsize=(3.4 * max(1, len(systems)), 6.4), squeeze=False
    )
    for column, system in enumerate(systems):
        for row, method in enumerate(methods):
            panel = axes[row][column]
            cell = Cell(system, method, PORTRAIT_DTS[system])
            record = next(
                (one for one in results.cells.get(cell, {}).values() if "portrait" in one), None
            )
            panel.set(title=f"{system}, {method}, dt = {cell.dt:g}")
            if record is not None:
                for name, style in (("true", "k-"), ("learned", "-")):
                    values = np.array(
                        [
                            [np.nan if entry is None else entry for entry in state]
                            for state in record["portrait"][name]
                        ]
                    )
                    panel.plot(values[:, 0], values[:, -1], style, lw=0.8, label=name)
                legend(panel, 7)
    figure.tight_layout()
    return figure


def diagnostics(results: Results) -> Any:
    """The distance that the diagnostics find, over the true error of f."""
    figure, axes = plt.subplots(figsize=(4.6, 4.2))
    found = diagnosed(results)
    for method in dict.fromkeys(cell.method for cell, *_ in found):
        points = [
            (error, distance) for cell, _, distance, error, _ in found if cell.method == method
        ]
        axes.plot(*zip(*points, strict=True), ".", color=COLORS[method], label=method)
    if found:
        ends = np.array([1e-4, 1.0])
        axes.plot(ends, ends, "0.5", lw=1)
        axes.set(xscale="log", yscale="log")
        legend(axes, 8)
    axes.set(xlabel="true error of f", ylabel="distance from the limit")
    return figure
