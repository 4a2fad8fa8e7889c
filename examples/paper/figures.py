"""The figures of the report on the paper's experiments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from grid import CONVERGENT, DEPTHS, METHODS, STAGES, STEP_SIZES, Network, depth_networks
from questions import ACCURACY
from results import (
    Measure,
    Results,
    endpoint,
    epochs_to_99,
    first,
    measure,
    published_depths,
    published_step_sizes,
)
from words import PLACES, WAYS

matplotlib.use("Agg")
import matplotlib.pyplot as plt

SHOWN = ("standard", "residual", *(method for method in METHODS if method != "standard"))
COLORS = dict(zip(SHOWN, plt.get_cmap("tab10").colors, strict=False))
EPOCHS = 200
NEVER = 225  # where "never" stands on an axis of epochs


def draw_all(results: Results, folder: Path) -> None:
    """Writes every figure."""
    from ode_figures import horizon, ode
    from ode_section import has_small_steps

    folder.mkdir(parents=True, exist_ok=True)
    for draw in (
        *(depth, first_loss, time_to_99, step_sizes, gradients, run_times, normalization),
        *((ode, horizon) if has_small_steps(results) else (ode,)),
    ):
        figure = draw(results)
        figure.savefig(folder / f"{draw.__name__}.png", dpi=90, bbox_inches="tight")
        plt.close(figure)


def legend(figure: Any, *axes: Any, columns: int = 7) -> None:
    """What lines stand for, once for all panels, below them, where it covers none."""
    handles: dict[str, Any] = {}
    for one in axes or figure.axes:
        for handle, label in zip(*one.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    figure.tight_layout()
    if handles:
        place = {"loc": "upper center", "bbox_to_anchor": (0.5, 0.0)}
        figure.legend(handles.values(), handles.keys(), ncols=columns, fontsize=9, **place)


def by_depth(
    axes: Any, results: Results, networks: Sequence[Network], of: Measure, **style: Any
) -> None:
    """A measure over the depth, with its confidence interval as a band."""
    present = [network for network in networks if network in results]
    if not present:
        return
    depths = [network.depth for network in present]
    intervals = [results.share(network, of) for network in present]
    (line,) = axes.plot(depths, [one.mean for one in intervals], marker=".", **style)
    ends = [[getattr(one, end) for one in intervals] for end in ("low", "high")]
    axes.fill_between(depths, *ends, color=line.get_color(), alpha=0.15, lw=0)


def published_by_depth(axes: Any, column: str) -> None:
    published = published_depths()
    for method in SHOWN:
        depths = [depth for name, depth in published if name == method]
        values = [published[method, depth][column] for depth in depths]
        if depths:
            axes.plot(depths, values, marker=".", color=COLORS[method], label=method)


def depth(results: Results) -> Any:
    """Accuracy at the end, by depth and method."""
    rows: tuple[tuple[str, str, Measure], ...] = (
        ("training accuracy", "final_train_accuracy", endpoint("accuracy")),
        ("test accuracy", "final_val_accuracy", ACCURACY),
    )
    figure, panels = plt.subplots(2, 3, figsize=(14, 7), sharex=True)
    for (title, column, of), (left, right, enlarged) in zip(rows, panels, strict=True):
        published_by_depth(left, column)
        for method in METHODS:
            networks = depth_networks(DEPTHS, (method,))
            for axes in (right, enlarged):
                by_depth(axes, results, networks, of, color=COLORS[method], label=method)
        left.set(title=f"{title}: the paper,\none seed, last epoch", ylim=(0.45, 1.01))
        right.set(title=f"{title}: ours (residual is euler),\nlast 20 epochs, 95 % interval")
        right.set(ylim=(0.45, 1.01))
        enlarged.set(title="ours, enlarged", ylim=(0.95, 1.001))
    for axes in panels[1]:
        axes.set(xlabel="depth")
    legend(figure, columns=8)
    return figure


def first_loss(results: Results) -> Any:
    """The loss of the first epoch: what tells how a network was built."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.6), sharey=True)
    published_by_depth(left, "first_epoch_loss")
    left.set(title="loss of the first epoch:\nthe paper", xlabel="depth", yscale="log")
    for number, place in enumerate(("after", "none", "inside", "inside_last")):
        for activation, style in (("tanh", ".-"), ("relu", ".--")):
            built = {"normalization": place, "activation": activation}
            networks = depth_networks(DEPTHS, ("euler",), **built)
            networks = [network for network in networks if network in results]
            losses = [np.median([*results.values(n, first("loss")).values()]) for n in networks]
            if networks:
                depths = [network.depth for network in networks]
                label = f"ours: {PLACES[place]}, {activation}"
                right.plot(depths, losses, style, color=f"C{number}", label=label)
    title = "residual networks (= euler) of ours,\nmedian over seeds"
    right.set(title=title, xlabel="depth", yscale="log")
    legend(figure, columns=5)
    return figure


def time_to_99(results: Results) -> Any:
    """Epochs until 99 % of the training points are right; the median over seeds."""
    figure, panels = plt.subplots(1, 2, figsize=(11, 4), sharey=True)
    published = published_depths()
    for method in SHOWN:
        networks = depth_networks(DEPTHS, (method,))
        ours = [
            np.median([*results.values(n, epochs_to_99).values()] or [np.nan]) for n in networks
        ]
        paper = [
            published.get((method, depth), {}).get("first_epoch_train_accuracy_ge_0.99", np.nan)
            for depth in DEPTHS
        ]
        for axes, values in zip(panels, (paper, ours), strict=True):
            if not np.all(np.isnan(values)):
                until(axes, np.array(values, float), COLORS[method], method)
    panels[0].set(title="epochs to 99 %: the paper", xlabel="depth")
    panels[1].set(title="ours (residual is euler), median over seeds", xlabel="depth")
    ticks = [0, 50, 100, 150, EPOCHS, NEVER]
    panels[0].set_yticks(ticks, [*map(str, ticks[:-1]), "never"])
    for axes in panels:
        axes.axhspan(EPOCHS + 8, NEVER + 17, color="0.93", zorder=0)
        axes.set_ylim(0, NEVER + 17)
    legend(figure, columns=8)
    return figure


def until(axes: Any, epochs: np.ndarray, color: Any, label: str) -> None:
    """A line of epochs; where there are none, a cross beside "never", next to those of others."""
    axes.plot(DEPTHS, np.where(np.isinf(epochs), np.nan, epochs), ".-", color=color, label=label)
    shift = 3.5 * (list(COLORS.values()).index(color) - 3.5)
    never = np.where(np.isinf(epochs), NEVER + shift, np.nan)
    axes.plot(DEPTHS, never, "x", color=color, ms=5)


def step_sizes(results: Results) -> Any:
    """The second experiment: test accuracy over the epochs, for each dt."""
    relu = {"normalization": "inside_last", "activation": "relu"}
    bases = [
        Network(method=method, dt=0.5, scaled=scaled, **options)
        for method, scaled, options in (
            *(("euler", scaled, relu) for scaled in WAYS),
            *(("euler", scaled, {"normalization": "none"}) for scaled in WAYS),
            *(("euler", scaled, {}) for scaled in WAYS),
            ("rk4", "residual", {}),
        )
    ]
    figure, grid = plt.subplots(2, 4, figsize=(15, 6.6), sharex=True, sharey=True)
    axes, *others = grid.ravel()
    for dt, curves in published_step_sizes().items():
        axes.plot(curves["val_accuracy"], label=f"dt = {dt:g}", lw=1)
    axes.set(title="the paper, one seed")
    for base, axes in zip(bases, others, strict=True):
        for number, dt in enumerate(STEP_SIZES):
            changed = {**base.to_dict(), "dt": dt}
            network = Network(**changed)
            if network in results:
                mean = np.nanmean(results.curve(network, "val_accuracy"), axis=0)
                axes.plot(mean, color=f"C{number}", label=f"dt = {dt:g}", lw=1)
        title = f"{base.method}: {WAYS[base.scaled]},\n{PLACES[base.normalization]}, "
        axes.set(title=title + base.activation)
    for axes in grid[1]:
        axes.set(xlabel="epoch")
    for axes in grid[:, 0]:
        axes.set(ylabel="test accuracy, mean over seeds", ylim=(0.3, 1.01))
    legend(figure)
    return figure


def gradients(results: Results) -> Any:
    """The norm of the gradient of the loss for the weights of each block, at depth 50."""
    figure, panels = plt.subplots(1, 2, figsize=(11, 3.8), sharey=True)
    for axes, when in zip(panels, ("first_epoch", "last_epoch"), strict=True):
        for method in METHODS:
            records = results.networks.get(Network(method=method), {}).values()
            norms = np.array([record["gradient_norms"][when] for record in records], dtype=float)
            if len(norms):
                blocks = np.arange(1, norms.shape[1] + 1)
                logs = np.log(np.maximum(norms, 1e-12))
                low, middle, high = np.exp(np.percentile(logs, [25, 50, 75], axis=0))
                axes.plot(blocks, middle, color=COLORS[method], label=method)
                axes.fill_between(blocks, low, high, color=COLORS[method], alpha=0.15, lw=0)
        title = f"norm of the gradient, {when.replace('_', ' ')}:\nmedian and quartiles over seeds"
        axes.set(title=title, xlabel="block", yscale="log")
    legend(figure)
    return figure


def run_times(results: Results) -> Any:
    """Seconds for 200 epochs against the evaluations of F in a pass."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.8))
    published = published_depths()
    for method in SHOWN:
        networks = depth_networks(DEPTHS, (method,)) if method in METHODS else []
        networks = [network for network in networks if network in results]
        evaluations = [network.evaluations for network in networks]
        seconds = [
            200 * min(results.values(network, measure("epoch_seconds")).values())
            for network in networks
        ]
        if networks:
            right.plot(evaluations, seconds, ".-", color=COLORS[method], label=method)
        paper = [
            (STAGES[method] * depth, values["runtime_s"])
            for (name, depth), values in published.items()
            if name == method
        ]
        if paper:
            left.plot(*zip(*paper, strict=True), ".-", color=COLORS[method], label=method)
    left.set(title="seconds for 200 epochs:\nthe paper", xlabel="evaluations of F", ylim=0)
    right.set(title="ours, for one of 5 to 20 seeds\ntrained together", ylim=0)
    right.set(xlabel="evaluations of F")
    legend(figure, columns=8)
    return figure


def normalization(results: Results) -> Any:
    """Test accuracy by depth for each place of batch normalization."""
    methods = (*CONVERGENT, "rk8")
    figure, panels = plt.subplots(1, 4, figsize=(14, 3.4), sharey=True)
    for method, axes in zip(methods, panels, strict=True):
        for number, place in enumerate(("after", "inside", "inside_shared")):
            networks = depth_networks(DEPTHS, (method,), normalization=place)
            style = {"label": PLACES[place], "color": f"C{number}"}
            by_depth(axes, results, networks, ACCURACY, **style)
        axes.set(title=method, xlabel="depth")
    panels[0].set(ylabel="test accuracy", ylim=(0.93, 1.001))
    legend(figure)
    return figure
