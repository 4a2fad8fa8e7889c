"""The figures of the report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from grid import DEPTHS, METHODS, STAGES, STEP_SIZES, Network, depth_networks, experiments
from ode import METHODS as INTEGRATORS
from ode import SUBSTEPS
from results import (
    Measure,
    Results,
    epochs_to_99,
    first,
    last,
    measure,
    published_depths,
    published_step_sizes,
)
from words import PLACES, penalty

matplotlib.use("Agg")
import matplotlib.pyplot as plt

COLORS = dict(zip(METHODS, plt.get_cmap("tab10").colors, strict=False))


def draw_all(results: Results, folder: Path) -> None:
    """Writes every figure."""
    folder.mkdir(parents=True, exist_ok=True)
    for draw in (
        depth,
        first_loss,
        time_to_99,
        step_sizes,
        gradients,
        run_times,
        normalization,
        ode,
    ):
        figure = draw(results)
        figure.savefig(folder / f"{draw.__name__}.png", dpi=90, bbox_inches="tight")
        plt.close(figure)


def legend(axes: Any, size: int) -> None:
    """A legend, where there is anything to name."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=size)


def by_depth(
    axes: Any, results: Results, networks: Sequence[Network], of: Measure, **style: Any
) -> None:
    """A measure over the depth, with its confidence interval as a band."""
    present = [network for network in networks if network in results]
    if not present:
        return
    depths = [network.depth for network in present]
    intervals = [results.interval(network, of) for network in present]
    means = np.array([one.mean for one in intervals])
    half_widths = np.array([one.half_width for one in intervals])
    (line,) = axes.plot(depths, means, marker=".", **style)
    axes.fill_between(
        depths, means - half_widths, means + half_widths, color=line.get_color(), alpha=0.15, lw=0
    )


def published_by_depth(axes: Any, column: str) -> None:
    published = published_depths()
    for method in METHODS:
        depths = [depth for name, depth in published if name == method]
        values = [published[method, depth][column] for depth in depths]
        if depths:
            axes.plot(depths, values, marker=".", color=COLORS[method], label=method)


def paper_and_ours(results: Results, rows: Sequence[tuple[str, str, Measure]]) -> Any:
    """A row of two panels for each measure: the paper's values, and ours."""
    figure, panels = plt.subplots(
        len(rows), 2, figsize=(11, 3.4 * len(rows)), squeeze=False, sharex=True, sharey="row"
    )
    for (title, column, of), (left, right) in zip(rows, panels, strict=True):
        published_by_depth(left, column)
        for method in METHODS:
            networks = depth_networks(DEPTHS, (method,))
            by_depth(right, results, networks, of, color=COLORS[method], label=method)
        left.set(title=f"{title}: the paper, one seed", xlabel="depth")
        right.set(title=f"{title}: ours, {results.seeds} seeds, 95 % interval", xlabel="depth")
    legend(panels[-1][1], 8)
    figure.tight_layout()
    return figure


def depth(results: Results) -> Any:
    """Accuracy at the end, by depth and method."""
    figure = paper_and_ours(
        results,
        [
            ("training accuracy in the last epoch", "final_train_accuracy", last("accuracy")),
            ("test accuracy after it", "final_val_accuracy", measure("test_accuracy")),
        ],
    )
    for axes in figure.axes:
        axes.set_ylim(0.45, 1.02)
    return figure


def first_loss(results: Results) -> Any:
    """The loss of the first epoch: what tells how a network was built."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.6), sharey=True)
    published_by_depth(left, "first_epoch_loss")
    left.set(title="loss of the first epoch: the paper", xlabel="depth", yscale="log")
    for place in ("after", "none", "inside", "inside_last"):
        for activation, style in (("tanh", ".-"), ("relu", ".--")):
            built = {"normalization": place, "activation": activation}
            networks = depth_networks(DEPTHS, ("residual",), **built)
            networks = [network for network in networks if network in results]
            losses = [list(results.values(n, first("loss")).values()) for n in networks]
            if networks:
                depths = [network.depth for network in networks]
                label = f"{PLACES[place]}, {activation}"
                right.plot(depths, np.median(losses, axis=1), style, label=label)
    right.set(title="residual networks of ours, median over seeds", xlabel="depth", yscale="log")
    legend(left, 7)
    legend(right, 7)
    figure.tight_layout()
    return figure


def time_to_99(results: Results) -> Any:
    """Epochs until 99 % of the training points are right; the median over seeds."""
    figure, panels = plt.subplots(1, 2, figsize=(11, 3.6), sharey=True)
    published = published_depths()
    for method in METHODS:
        networks = depth_networks(DEPTHS, (method,))
        ours = [
            np.median([*results.values(n, epochs_to_99).values()] or [np.nan]) for n in networks
        ]
        paper = [
            published.get((method, depth), {}).get("first_epoch_train_accuracy_ge_0.99", np.nan)
            for depth in DEPTHS
        ]
        for axes, values in zip(panels, (paper, ours), strict=True):
            axes.plot(DEPTHS, values, marker=".", color=COLORS[method], label=method)
    panels[0].set(title="epochs to 99 %: the paper (gaps: never)", xlabel="depth")
    panels[1].set(title="ours, median over seeds (gaps: most never)", xlabel="depth")
    legend(panels[1], 8)
    figure.tight_layout()
    return figure


def step_sizes(results: Results) -> Any:
    """The second experiment: test accuracy over the epochs, for each dt."""
    relu = {"method": "euler", "normalization": "inside_last", "activation": "relu"}
    panels = [
        ("dt y + F(y), BN at the end of F, relu", {**relu, "scaled": "shortcut"}),
        ("y + dt F(y), BN at the end of F, relu", relu),
        (
            "dt y + F(y), no BN, tanh",
            {"method": "euler", "normalization": "none", "scaled": "shortcut"},
        ),
        ("y + dt F(y), no BN, tanh", {"method": "euler", "normalization": "none"}),
        ("dt y + F(y), BN after, tanh", {"method": "euler", "scaled": "shortcut"}),
    ]
    figure, grid = plt.subplots(2, 3, figsize=(13, 6.4), sharey=True)
    axes, *others = grid.ravel()
    for dt, curves in published_step_sizes().items():
        axes.plot(curves["val_accuracy"], label=f"dt = {dt:g}", lw=1)
    axes.set(title="the paper (one seed)")
    legend(axes, 8)
    for (title, options), axes in zip(panels, others, strict=True):
        for dt in STEP_SIZES:
            network = Network(**options, dt=dt)
            if network in results:
                mean = np.nanmean(results.curve(network, "val_accuracy"), axis=0)
                axes.plot(mean, label=f"dt = {dt:g}", lw=1)
        axes.set(title=f"{title} (mean)", xlabel="epoch")
    figure.suptitle("test accuracy of Euler networks of depth 50")
    figure.tight_layout()
    return figure


def gradients(results: Results) -> Any:
    """The norm of the gradient of the loss for the weights of each block, at depth 50."""
    figure, panels = plt.subplots(1, 2, figsize=(11, 3.6), sharey=True)
    for axes, when in zip(panels, ("first_epoch", "last_epoch"), strict=True):
        for method in METHODS:
            records = results.networks.get(Network(method=method), {}).values()
            norms = np.array([record["gradient_norms"][when] for record in records], dtype=float)
            if len(norms):
                blocks = np.arange(1, norms.shape[1] + 1)
                axes.plot(
                    blocks,
                    np.exp(np.mean(np.log(np.maximum(norms, 1e-12)), axis=0)),
                    color=COLORS[method],
                    label=method,
                )
        axes.set(
            title=f"norm of the gradient, {when.replace('_', ' ')}", xlabel="block", yscale="log"
        )
    legend(panels[1], 8)
    figure.tight_layout()
    return figure


def run_times(results: Results) -> Any:
    """Seconds for 200 epochs against the evaluations of F in a pass."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.6))
    published = published_depths()
    for method in METHODS:
        networks = depth_networks(DEPTHS, (method,))
        networks = [network for network in networks if network in results]
        evaluations = [network.evaluations for network in networks]
        seconds = [
            200 * min(results.values(network, measure("epoch_seconds")).values())
            for network in networks
        ]
        right.plot(evaluations, seconds, ".-", color=COLORS[method], label=method)
        paper = [
            (STAGES[method] * depth, values["runtime_s"])
            for (name, depth), values in published.items()
            if name == method
        ]
        if paper:
            left.plot(*zip(*paper, strict=True), ".-", color=COLORS[method], label=method)
    left.set(title="seconds for 200 epochs: the paper", xlabel="evaluations of F", ylim=0)
    right.set(
        title=f"ours, for each of {results.seeds} seeds together", xlabel="evaluations of F", ylim=0
    )
    legend(right, 8)
    figure.tight_layout()
    return figure


def normalization(results: Results) -> Any:
    """Test accuracy by depth for each place of batch normalization."""
    methods = ("euler", "heun2", "rk4", "rk8")
    figure, panels = plt.subplots(1, 4, figsize=(14, 3.2), sharey=True)
    for method, axes in zip(methods, panels, strict=True):
        for number, place in enumerate(("after", "inside", "inside_shared")):
            networks = depth_networks(DEPTHS, (method,), normalization=place)
            by_depth(
                axes,
                results,
                networks,
                measure("test_accuracy"),
                label=PLACES[place],
                color=f"C{number}",
            )
        axes.set(title=method, xlabel="depth")
    panels[0].set(ylabel="test accuracy", ylim=(0.75, 1.02))
    legend(panels[-1], 8)
    figure.tight_layout()
    return figure


def ode(results: Results) -> Any:
    """Accuracy and distance from the trained outputs on the way to the limit."""
    kinds = [network for network in experiments(quick=False)["ode"] if network.method == "euler"]
    figure, panels = plt.subplots(
        2, len(kinds), figsize=(3 * len(kinds), 5.5), sharex=True, sharey="row", squeeze=False
    )
    for network, (upper, lower) in zip(kinds, panels.T, strict=True):
        reports = [one["constant"] for one in results.diagnoses.get(network, {}).values()]
        for method in INTEGRATORS if reports else ():
            for axes, key in ((upper, "to_limit"), (lower, "score")):
                values = [
                    [run[key] for run in report["runs"] if run["method"] == method]
                    for report in reports
                ]
                means = np.nanmean(np.array(values, float), axis=0)
                means[means == 0] = np.nan  # the run that stands for the limit
                axes.plot(SUBSTEPS, means, ".-", color=COLORS[method], label=f"run with {method}")
        upper.set(title=penalty(network), xscale="log", yscale="log")
        lower.set(xlabel="substeps", xticks=SUBSTEPS, xticklabels=SUBSTEPS)
        lower.minorticks_off()
    panels[0][0].set(ylabel="distance from the limit")
    panels[1][0].set(ylabel="test accuracy")
    legend(panels[1][0], 8)
    figure.tight_layout()
    return figure
