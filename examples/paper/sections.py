"""The sections of the report, each a list of lines of Markdown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from grid import DEPTHS, MATCHED, METHODS, STEP_SIZES, Network, digits_networks
from plan import RUNGE_KUTTA, named
from questions import ACCURACY
from results import (
    Measure,
    Results,
    endpoint,
    epochs_to_99,
    measure,
    published_depths,
    published_step_sizes,
)
from words import PLACES, WAYS, Lines, table

TEST, TRAIN = ACCURACY, endpoint("accuracy")


def by_depth(results: Results, networks: dict[str, Network], of: Measure) -> Lines:
    """A measure with its interval, for kinds of networks (rows) and depths (columns)."""
    depths = [
        d
        for d in DEPTHS
        if any(replace(network, depth=d) in results for network in networks.values())
    ]
    rows = [
        [label, *(results.share(replace(network, depth=d), of) for d in depths)]
        for label, network in networks.items()
    ]
    return table(["", *map(str, depths)], rows)


def depth(results: Results) -> Lines:
    """The first experiment."""
    methods = {named(method): Network(method=method) for method in METHODS}
    scheduled = {
        label: replace(network, schedule="cosine")
        for label, network in methods.items()
        if any(replace(network, schedule="cosine", depth=d) in results for d in DEPTHS)
    }
    beside = ["With a learning rate that falls to zero:", "", *by_depth(results, scheduled, TEST)]
    return [
        "Test accuracy, mean and 95 % interval over seeds, by depth:",
        "",
        *by_depth(results, methods, TEST),
        *(beside if scheduled else []),
        "Training accuracy in the same epochs:",
        "",
        *by_depth(results, methods, TRAIN),
        "![accuracy by depth, the paper's and ours](images/depth.png)",
        "",
        "`euler` with dt = 1 is the residual network, to the last bit (a test compares them), so "
        "that it is trained, and counts, once. "
        "`residual2` has two layers in F, so twice the parameters. `inconsistent` has the stages "
        "of RK4 with weights that sum to two. That is a consistent method for the vector field "
        "2 F: it moves y as far as a step of dt = 2 does. How that compares with a large dt of a "
        "consistent method is in the table of step sizes below.",
        "",
    ]


def time_to_99(results: Results) -> Lines:
    """How soon 99 % is reached."""
    published = published_depths()
    rows = []
    for method in METHODS:
        row = [method]
        for d in DEPTHS:
            epochs = list(results.values(Network(method=method, depth=d), epochs_to_99).values())
            reached = [epoch for epoch in epochs if np.isfinite(epoch)]
            paper = published.get((method, d), {}).get("first_epoch_train_accuracy_ge_0.99")
            theirs = "" if paper is None else "never" if np.isinf(paper) else f"{paper:.0f}"
            ours = "-" if not epochs else "never" if not reached else f"{np.median(reached):.0f}"
            share = f" ({len(reached)}/{len(epochs)})" if 0 < len(reached) < len(epochs) else ""
            row.append(f"{ours}{share}" + (f"; {theirs}" if theirs else ""))
        rows.append(row)
    return [
        "The first epoch with a training accuracy of 99 %: the median over the seeds that reach "
        "it (how many of them), then the paper's.",
        "",
        *table(["", *map(str, DEPTHS)], rows),
        "![epochs to 99 %](images/time_to_99.png)",
        "",
    ]


def gradients(results: Results) -> Lines:
    """Do gradients vanish?"""
    rows = []
    for method in METHODS:
        records = results.networks.get(Network(method=method), {}).values()
        if records:
            row: list[Any] = [method]
            for when in ("first_epoch", "last_epoch"):
                norms = np.array([record["gradient_norms"][when] for record in records], float)
                norms = np.maximum(norms, 1e-12)
                row.append(f"{np.exp(np.mean(np.log(norms[:, 0] / norms[:, -1]))):.2g}")
                row.append(f"{np.exp(np.mean(np.log(norms))):.2g}")
            rows.append(row)
    headings = [
        "depth 50",
        "first epoch: first / last block",
        "mean over blocks",
        "last epoch: first / last block",
        "mean over blocks",
    ]
    return [
        "The norm of the gradient of the loss for the kernel of F in each block, averaged over "
        "the batches of an epoch (geometric means over seeds):",
        "",
        *table(headings, rows),
        "![norms of gradients](images/gradients.png)",
        "",
    ]


def run_times(results: Results) -> Lines:
    """What stages cost."""
    published = published_depths()
    seconds = measure("epoch_seconds")
    base = results.values(Network(method="euler"), seconds)
    rows = []
    for method in METHODS:
        network = Network(method=method)
        ours = results.values(network, seconds)
        if ours and base:
            paper = published.get((method, 50), {}).get("runtime_s")
            theirs = published["euler", 50]["runtime_s"]
            rows.append(
                [
                    method,
                    network.evaluations // 50,
                    f"{200 * min(ours.values()):.1f}",
                    f"{min(ours.values()) / min(base.values()):.2f}",
                    "" if paper is None else f"{paper / theirs:.2f}",
                ]
            )
    headings = [
        "depth 50",
        "evaluations of F in a block",
        "seconds for 200 epochs",
        "ratio to euler",
        "the paper's ratio",
    ]
    return [
        "The fastest epoch times 200, for one of 5 to 20 seeds that train together on one core, "
        "without validation and compiling. Networks were trained at different times, beside other "
        "work on the same cores: what lies off the line in the figure is that.",
        "",
        *table(headings, rows),
        "![run times](images/run_times.png)",
        "",
    ]


def normalization(results: Results) -> Lines:
    """Where batch normalization is."""
    networks = {
        f"{method}, {where.replace('_', ', ')}": Network(method=method, normalization=where)
        for method in RUNGE_KUTTA
        for where in ("after", "inside", "inside_shared")
        if method != "euler" or where != "inside_shared"
    }
    return [
        "Test accuracy with batch normalization after each step; inside F, with statistics for "
        "each evaluation; inside F, with one set for all evaluations of a block:",
        "",
        *by_depth(results, networks, TEST),
        "![batch normalization](images/normalization.png)",
        "",
    ]


def step_sizes(results: Results) -> Lines:
    """The second experiment, and which construction reproduces it."""
    bases = [
        (f"{method}, {words}", Network(method=method, **options))
        for method, words, options in [
            *(
                ("euler", f"{PLACES[place]}, relu", {"normalization": place, "activation": "relu"})
                for place in ("inside", "inside_last")
            ),
            *((m, "no BN, tanh", {"normalization": "none"}) for m in RUNGE_KUTTA[:3]),
            *((m, "BN after, tanh", {}) for m in RUNGE_KUTTA),
        ]
    ]
    published = published_step_sizes()
    paper = [f"{published[dt]['val_accuracy'][-1]:.3f}" for dt in STEP_SIZES]
    rows: list[list[Any]] = [["the paper, one seed", *paper]]
    for label, base in bases:
        for scaled, words in WAYS.items():
            networks = [replace(base, dt=dt, scaled=scaled) for dt in STEP_SIZES]
            intervals = [results.share(network, TEST) for network in networks]
            rows.append([f"{label}: {words}", *intervals])
    return [
        "Test accuracy at depth 50:",
        "",
        *table(["", *(f"dt = {dt:g}" for dt in STEP_SIZES)], rows),
        "![test accuracy for each dt](images/step_sizes.png)",
        "",
        *large_steps(results),
    ]


def large_steps(results: Results) -> Lines:
    """What batch normalization of the sum does to large steps."""
    pairs = []
    for method in RUNGE_KUTTA:
        after = Network(method=method, dt=1.5)
        none = replace(after, normalization="none")
        if after in results and none in results:
            with_, without = (results.share(network, TEST) for network in (after, none))
            pairs.append(f"{method} {with_} against {without}")
    if not pairs:
        return []
    return [
        "Batch normalization of the sum scales the shortcut as well: a block computes "
        "(y + dt F(y)) / sigma, and sigma grows with dt, so that fifty blocks multiply y by the "
        "product of fifty numbers below one. At dt = 1.5, with it and without it: "
        f"{'; '.join(pairs)}.",
        "",
    ]


def median(results: Results, network: Network, of: Measure) -> str:
    values = list(results.values(network, of).values())
    return f"{np.median(values):.2g}" if values else "-"


def matched(results: Results) -> Lines:
    """Equal parameters, and equal evaluations."""
    rows = [
        [
            network.evaluations,
            network.method,
            network.depth,
            *(results.share(network, of) for of in (TEST, TRAIN)),
            median_parameters(results, network),
        ]
        for group in MATCHED
        for network in (Network(method=method, depth=d) for method, d in group)
    ]
    headings = [
        "evaluations of F",
        "method",
        "depth",
        "test accuracy",
        "training accuracy",
        "parameters",
    ]
    return [
        "At equal depth all but `residual2` have equally many parameters: those are the columns "
        "of the first table. With about as many evaluations of F instead:",
        "",
        *table(headings, rows),
    ]


def digits(results: Results) -> Lines:
    """Images."""
    rows = [
        [
            network.method,
            network.depth,
            network.evaluations,
            median_parameters(results, network),
            *(results.share(network, of) for of in (TEST, TRAIN)),
            median(results, network, measure("epoch_seconds")),
        ]
        for network in digits_networks(3)
    ]
    headings = [
        "method",
        "blocks",
        "evaluations of F",
        "parameters",
        "test accuracy",
        "training accuracy",
        "seconds an epoch",
    ]
    return [
        "scikit-learn's images of digits (8 x 8 pixels; 1,437 for training, 360 for tests, split "
        "anew for each seed), convolutional blocks with batch normalization in F, 30 epochs, a "
        "learning rate that falls to zero. Splits overlap: comparisons are corrected for that. "
        "`euler` is the ResNet. Equally many blocks are equally many parameters but for moving "
        "statistics, of which each evaluation has its own:",
        "",
        *table(headings, rows),
    ]


def median_parameters(results: Results, network: Network) -> str:
    values = list(results.values(network, measure("parameters")).values())
    return f"{int(np.median(values)):,}" if values else "-"
