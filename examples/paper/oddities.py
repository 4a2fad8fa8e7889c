"""The two oddities of the paper's figures, explained by experiment."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from grid import CONSTRUCTION_DEPTHS, STEP_SIZES, Network, construction_networks
from results import Results, first, last, published_depths, published_step_sizes
from words import WAYS, Lines, construction, table


def fifth_figure(results: Results) -> Lines:
    """Which construction has the losses of the paper's second experiment?"""
    published = published_step_sizes()
    paper = np.array([[published[dt][curve][0] for curve in LOSSES] for dt in STEP_SIZES])
    rows = [["the paper", *map(pair, paper), ""]]
    distances = {}
    for label, options in CANDIDATES.items():
        for scaled, words in WAYS.items():
            networks = [
                Network(method="euler", dt=dt, scaled=scaled, **options) for dt in STEP_SIZES
            ]
            losses = np.array([first_losses(results, network) for network in networks])
            name = f"{label}, {words}"
            factor = 10 ** np.sqrt(np.mean(np.log10(losses / paper) ** 2))
            if np.isfinite(factor):
                distances[name] = factor
            rows.append([name, *map(pair, losses), f"{factor:.2g}"])
    nearest = sorted(distances, key=lambda name: distances[name])
    order = "; ".join(f"{name} ({distances[name]:.2g})" for name in nearest[:2])
    return [
        f"**Figure 5: {title(nearest)}.** The loss of the first epoch, on training points during "
        "it and on test points after it (ours: medians over seeds), and by which factor they "
        "differ from the paper's (root mean square of the logarithms):",
        "",
        *table(["", *(f"dt = {dt:g}" for dt in STEP_SIZES), "factor"], rows),
        f"Closest, of {len(distances)} candidates: {order or 'not measured'}. 1.5 to the power 50 "
        "is 6e8: dt y + F(y) at dt = 1.5 multiplies y by that if nothing normalizes the sum. A "
        "test loss far above the training loss after one epoch is what moving statistics in F do "
        "that have not settled yet.",
        "",
    ]


LOSSES = ("loss", "val_loss")
CANDIDATES: dict[str, dict[str, str]] = {
    "BN in F, relu": {"normalization": "inside", "activation": "relu"},
    "BN at the end of F, relu": {"normalization": "inside_last", "activation": "relu"},
    "no BN, tanh": {"normalization": "none"},
    "BN after, tanh": {},
}


def first_losses(results: Results, network: Network) -> list[float]:
    """The medians over seeds, on training and on test points."""
    values = [list(results.values(network, first(curve)).values()) for curve in LOSSES]
    return [float(np.median(losses)) if losses else np.nan for losses in values]


def pair(losses: np.ndarray) -> str:
    return "; ".join("-" if np.isnan(loss) else f"{loss:.2g}" for loss in losses)


def title(nearest: list[str]) -> str:
    """What the two closest constructions have in common."""
    ways = {name.split(", ")[-1] for name in nearest[:2]}
    if ways == {WAYS["shortcut"]}:
        return "the shortcut was scaled"
    return "the residual was scaled" if ways == {WAYS["residual"]} else "undecided"


def third_figure(results: Results) -> Lines:
    """Which construction makes the paper's Euler and residual networks differ?"""
    published = published_depths()
    rows, closest = [], []
    for name in ("euler", "heun2", "rk4", "residual"):
        paper = [published[name, depth]["final_train_accuracy"] for depth in CONSTRUCTION_DEPTHS]
        rows.append([f"**the paper's {name}**", *(f"**{value:.2f}**" for value in paper), ""])
        distances = {}
        for network in third_figure_networks(name):
            means = accuracies(results, network)
            distance = np.sqrt(np.mean((means - paper) ** 2))
            if not np.isnan(distance):
                label = f"{network.method}, {construction(network)}"
                distances[label] = distance
                rows.append([label, *(f"{mean:.2f}" for mean in means), f"{distance:.2f}"])
        if distances:
            best = min(distances, key=lambda label: distances[label])
            closest.append(
                f"to its {name} row, of {len(distances)} candidates, {best} ({distances[best]:.2f})"
            )
    return [
        "**Figure 3: Euler and residual networks are the same network**, if all else is the same "
        "(above): whatever is done to one of them happens to the other. The paper's differ: its "
        "Euler network falls from 0.99 to 0.64 with depth, its residual network stays at 1.00. "
        "Training accuracy in the last epoch for ways to build them, with the root mean square "
        "distance from the paper's row:",
        "",
        *table(["", *(f"depth {d}" for d in CONSTRUCTION_DEPTHS), "distance"], rows),
        f"Closest: {'; '.join(closest) or 'not measured'}. The smallest of so many distances is "
        "small by chance, too: it says which construction may have been the paper's, not that it "
        "was. Two networks that are one when built alike differ by construction, not by their "
        "method of integration.",
        "",
        "![losses of the first epoch](images/first_loss.png)",
        "",
    ]


def accuracies(results: Results, network: Network) -> np.ndarray:
    """The mean training accuracy in the last epoch for each depth."""
    return np.array(
        [
            results.interval(replace(network, depth=depth), last("accuracy")).mean
            for depth in CONSTRUCTION_DEPTHS
        ]
    )


def third_figure_networks(name: str) -> list[Network]:
    """The constructions that are compared with a row of the paper, the base one first."""
    methods = ("euler", "residual2") if name == "residual" else (name,)
    bases = [Network(method=method) for method in methods]
    variants = [n for n in construction_networks((50,)) if n.method in methods]
    shared = [Network(method=name, normalization="inside_shared")]
    return list(dict.fromkeys([*bases, *variants, *(shared if name in ("heun2", "rk4") else ())]))
