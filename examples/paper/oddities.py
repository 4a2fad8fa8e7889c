"""The two oddities of the paper's figures, explained by experiment."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from grid import STEP_SIZES, Network, construction_networks
from results import Results, first, last, published_depths, published_step_sizes
from sections import Lines, median, table


def fifth_figure(results: Results) -> Lines:
    """Which construction has the losses of the paper's second experiment?"""
    published = published_step_sizes()
    candidates = {
        "BN in F, relu": {"normalization": "inside", "activation": "relu"},
        "no BN, tanh": {"normalization": "none"},
        "BN after, tanh": {},
    }
    rows = [
        [
            "the paper",
            *(
                f"{published[dt]['loss'][0]:.2g}; {published[dt]['val_loss'][0]:.2g}"
                for dt in STEP_SIZES
            ),
        ]
    ]
    for label, options in candidates.items():
        for scaled, words in (("shortcut", "dt y + F(y)"), ("residual", "y + dt F(y)")):
            row = [f"{label}, {words}"]
            for dt in STEP_SIZES:
                way = "residual" if dt == 1.0 else scaled
                network = Network(method="euler", dt=dt, scaled=way, **options)
                row.append(
                    "; ".join(
                        median(results, network, first(curve)) for curve in ("loss", "val_loss")
                    )
                )
            rows.append(row)
    return [
        "**Figure 5: the shortcut was scaled.** The loss of the first epoch, on training points "
        "during it and on test points after it (ours: medians over seeds):",
        "",
        *table(["", *(f"dt = {dt:g}" for dt in STEP_SIZES)], rows),
        "A first loss of 4e8 at dt = 1.5 is about 1.5 to the power 50: only dt y + F(y) without "
        "normalization of the sum has it. A test loss far above the training loss after the first "
        "epoch (57 against 0.7 at dt = 0.8) is what moving statistics in F do that have not "
        "settled yet, in a network whose sums are not normalized: of the constructions here only "
        "batch normalization in F, with relu, has both. Under y + dt F(y) nothing of that is "
        "left, and dt = 1 is not special.",
        "",
    ]


def third_figure(results: Results) -> Lines:
    """Which construction makes the paper's Euler and residual networks differ?"""
    published = published_depths()
    depths = (10, 25, 40, 50)
    rows = []
    for name in ("euler", "heun2", "rk4", "residual"):
        paper = [published[name, d]["final_train_accuracy"] for d in depths]
        rows.append([f"**the paper's {name}**", *(f"**{value:.2f}**" for value in paper), ""])
        for network in third_figure_networks(name):
            means = [
                results.interval(replace(network, depth=d), last("accuracy")).mean for d in depths
            ]
            distance = np.sqrt(np.mean((np.array(means) - paper) ** 2))
            if not np.isnan(distance):
                rows.append(
                    [
                        f"{network.method}, {construction(network)}",
                        *(f"{mean:.2f}" for mean in means),
                        f"{distance:.2f}",
                    ]
                )
    return [
        "**Figure 3: Euler and residual networks are the same network**, if all else is the same "
        "(above). The paper's differ: its Euler network falls from 0.99 to 0.64 with depth, its "
        "residual network stays at 1.00. Training accuracy in the last epoch for ways to build "
        "them, with the root mean square distance from the paper's row:",
        "",
        *table(["", *(f"depth {d}" for d in depths), "distance"], rows),
    ]


def third_figure_networks(name: str) -> list[Network]:
    """The constructions that are compared with a row of the paper, the base one first."""
    methods = ("residual", "residual2") if name == "residual" else (name,)
    bases = [Network(method=method) for method in methods]
    variants = [n for n in construction_networks((50,)) if n.method in methods]
    return list(dict.fromkeys([*bases, *variants]))


def construction(network: Network) -> str:
    """How a network is built, in words."""
    place = {"after": "BN after", "inside": "BN in F", "none": "no BN"}[network.normalization]
    words = [place, network.activation]
    if network.stddev is not None:
        words.append(f"normal weights of standard deviation {network.stddev:g}")
    if network.activation_after:
        words.append(f"{network.activation} after the sum, too")
    return ", ".join(words)
