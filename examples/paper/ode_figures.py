"""The figures of the report on whether networks are ODEs."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from figures import COLORS, legend
from grid import CONVERGENT, HORIZON, HORIZON_DEPTHS, Network, full_experiments
from ode import SUBSTEPS
from ode_section import controls, horizon_rows
from plan import NEAR, WEIGHTS
from results import Results
from words import penalty

LINES = {"constant": "-", "interpolated": "--"}


def ode(results: Results) -> Any:
    """The distance from the limit with each method, for every network that was asked."""
    networks = full_experiments()["ode"]
    columns = len(networks) // len(CONVERGENT)
    figure, grid = plt.subplots(
        len(CONVERGENT), columns, figsize=(3 * columns, 8), sharex=True, sharey=True
    )
    for network, axes in zip(networks, grid.ravel(), strict=True):
        for weights, line in LINES.items():
            found = list(results.resolved(network, weights).values())
            for method in CONVERGENT:
                runs(axes, found, method, line, f"run with {method}, weights {weights}")
            for values, colour, label in (
                ([one["distance"] for one in found], "black", "as trained"),
                ([one["distance"] for one in controls(found)], "0.6", "untrained"),
            ):
                if values:
                    style = {"color": colour, "ls": line, "lw": 1}
                    axes.axhline(np.median(values), label=f"{label}, weights {weights}", **style)
        words = penalty(network).split(", ")
        axes.set(title=f"trained with {words[0]}:\n{', '.join(words[1:])}")
        axes.set(xscale="log", yscale="log", ylim=(1e-7, 10))
        axes.set_xticks(SUBSTEPS, map(str, SUBSTEPS))
        axes.minorticks_off()
    for axes in grid[:, 0]:
        axes.set(ylabel="distance from the limit")
    for axes in grid[-1]:
        axes.set(xlabel="substeps")
    legend(figure, columns=4)
    return figure


def runs(axes: Any, found: list[dict[str, Any]], method: str, line: str, label: str) -> None:
    """The median and quartiles of the runs with a method; that for the limit is left out."""
    by_substeps: dict[float, list[float]] = {}
    for one in found:
        for run in one["runs"]:
            if run["method"] == method and run["to_limit"]:
                by_substeps.setdefault(run["substeps"], []).append(run["to_limit"])
    if by_substeps:
        substeps = sorted(by_substeps)
        quartiles = [np.percentile(by_substeps[n], [25, 50, 75]) for n in substeps]
        low, middle, high = np.transpose(quartiles)
        axes.plot(substeps, middle, f".{line}", color=COLORS[method], label=label)
        axes.fill_between(substeps, low, high, color=COLORS[method], alpha=0.15, lw=0)


def horizon(results: Results) -> Any:
    """The distance from the limit by depth where steps become smaller with it."""
    figure, panels = plt.subplots(1, 2, figsize=(12, 4.6), sharey=True)
    for (weights, words), axes in zip(WEIGHTS.items(), panels, strict=True):
        for number, (label, networks) in enumerate(horizon_rows().items()):
            style = {"color": f"C{number}", "lw": 1.2}
            by_depth(axes, results, networks, weights, label, style)
        axes.axhline(NEAR, color="0.7", lw=1, ls=":")
        axes.set(title=f"dt = {HORIZON:g} / depth, {words}", xscale="log", yscale="log")
        axes.set(xlabel="depth")
        axes.set_xticks(HORIZON_DEPTHS, map(str, HORIZON_DEPTHS))
        axes.minorticks_off()
    panels[0].set(ylabel="distance from the limit:\nmedian, quartiles; dotted: untrained")
    legend(figure, columns=4)
    return figure


def by_depth(
    axes: Any,
    results: Results,
    networks: list[Network],
    weights: str,
    label: str,
    style: dict[str, Any],
) -> None:
    """The distance of networks of several depths, and of untrained ones."""
    groups = {n.depth: list(results.resolved(n, weights).values()) for n in networks}
    groups = {depth: found for depth, found in groups.items() if found}
    if not groups:
        return
    values = [[one["distance"] for one in found] for found in groups.values()]
    low, middle, high = np.transpose([np.percentile(one, [25, 50, 75]) for one in values])
    depths = list(groups)
    axes.plot(depths, middle, ".-", label=label, **style)
    axes.fill_between(depths, low, high, color=style["color"], alpha=0.15, lw=0)
    untrained = [[one["distance"] for one in controls(found)] for found in groups.values()]
    if all(untrained):
        axes.plot(depths, [np.median(one) for one in untrained], ":", **style)
