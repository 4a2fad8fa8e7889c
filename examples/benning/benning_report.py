"""REPORT.md and its pictures, from the records of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from contrasts import COMPARISONS, DROPPED, ENDPOINTS, all_comparisons, endpoint, interval
from nets import NETWORKS
from words import text_table

Records = dict[str, list[dict[str, Any]]]
LEARNED = ("odenet", "odenet_positive", "odenet_simplex", "odenet_projected")
INTRODUCTION = """# Benning et al. (2019) with Adam and backpropagation

*Deep learning as optimal control problems: models and numerical methods* (arXiv 1904.05657) trains
small residual networks on four sets of points in the plane, with step sizes that are fixed
(ResNet), learned (ODENet), or learned in a simplex (ODENet+Simplex), and with Runge-Kutta methods
of order 1 to 4. Their optimizer is gradient descent with backtracking, and their figures show one
seed. Here: Adam, {seeds} seeds, {points} points for training and as many for the test in each set,
{steps} steps of Adam (rate {rate}) on all points. Data, networks, initial weights and objective
follow the authors' scripts; of the paper's text only abstract and introduction were at hand, so
what it compares is put as questions here, and answered from these runs alone.

Written by `python examples/benning/run.py` from `records/`; endpoints and comparisons were fixed in
`contrasts.py` before a seed was run. Intervals are 95 % (Student's t over seeds). The networks of
each study begin with the same weights, so differences are paired.
"""


def load(folder: Path) -> tuple[dict[str, Any], Records]:
    """The settings, and the records of each network."""
    files = {name: folder / "records" / f"{name}.json" for name in NETWORKS}
    found = {name: json.loads(file.read_text()) for name, file in files.items()}
    return found["net"]["settings"], {name: one["records"] for name, one in found.items()}


def write_report(folder: Path) -> Path:
    """Writes the report and its pictures; returns its path."""
    settings, records = load(folder)
    (folder / "images").mkdir(exist_ok=True)
    draw_curves(records, settings, folder / "images" / "curves.png")
    draw_steps(records, folder / "images" / "steps.png")
    path = folder / "REPORT.md"
    path.write_text(text_of(settings, records))
    return path


def text_of(settings: dict[str, Any], records: Records) -> str:
    """The report without its pictures."""
    sections = [
        INTRODUCTION.format(**settings),
        answers(records),
        accuracies(records),
        steps_section(records),
        limits(records),
    ]
    return "\n".join(sections)


def answers(records: Records) -> str:
    """A row for each comparison."""
    found = all_comparisons(records)
    rows = []
    for n, (question, one, other) in enumerate(COMPARISONS):
        row = [question, f"{one} - {other}"]
        for k in range(len(ENDPOINTS)):
            result = found[k * len(COMPARISONS) + n]
            mark = "**" if result.significant else ""
            row.append(f"{mark}{result.difference}{mark} (p {result.corrected:.2g})")
        rows.append(row)
    heading = ["question", "difference", *ENDPOINTS]
    text = (
        "## Answers\n\nMean over the four sets of points; bold where p, after Holm's correction "
        f"over all {len(found)} tests, is below 0.05. A smaller objective is better.\n\n"
    )
    return text + text_table(heading, rows) + "\n" + in_words(found)


def in_words(found: list[Any]) -> str:
    """Each answer as a sentence."""
    lines = []
    for n, (question, one, other) in enumerate(COMPARISONS):
        said = []
        for k, name in enumerate(ENDPOINTS):
            result = found[k * len(COMPARISONS) + n]
            if not result.significant:
                said.append(f"no difference in {name} shows")
                continue
            better = (result.difference.mean > 0) == (k == 0)
            said.append(f"{one if better else other} is better in {name}")
        lines.append(f"* {question.capitalize()} ({one}, {other}): {'; '.join(said)}.")
    return "\n".join(lines) + "\n"


def accuracies(records: Records) -> str:
    """The accuracy on test points of each network on each set."""
    sets = list(dict.fromkeys(record["data"] for record in records["net"]))
    rows = []
    for name, all_of_it in records.items():
        cells = [
            str(interval([endpoint(ENDPOINTS[0], r) for r in all_of_it if r["data"] == data]))
            for data in sets
        ]
        rows.append([name, *cells])
    return (
        "## Accuracy on test points\n\n"
        + text_table(["network", *sets], rows)
        + ("\n![Objective over the steps of Adam](images/curves.png)\n")
    )


def steps_section(records: Records) -> str:
    """What became of the step sizes."""
    rows, dropped = [], {}
    for name in LEARNED:
        steps = [np.array(record["step_sizes"]) for record in records[name]]
        share = [float(np.mean(np.abs(h) < DROPPED / len(h))) for h in steps]
        dropped[name] = len(steps[0]) * np.mean(share)
        rows.append(
            [
                name,
                str(interval([float(np.mean(h < 0)) for h in steps])),
                str(interval(share)),
                str(interval([float(np.sum(h)) for h in steps])),
                str(interval([float(np.max(np.abs(h)) * len(h)) for h in steps])),
            ]
        )
    heading = ["network", "negative", "below 1 % of the first size", "sum", "largest x depth"]
    return (
        "## The learned steps\n\nShares of the 20 blocks; means over seeds and sets of points (all "
        "steps begin at 1/20, so their sum at 1).\n\n"
        + text_table(heading, rows)
        + "\nA block with such a small step is hardly used. In the mean that is so for "
        f"{dropped['odenet_simplex']:.1f} of 20 blocks with a softmax and for "
        f"{dropped['odenet_projected']:.1f} with projection onto the simplex.\n"
        + "\n![Learned step sizes of the first seed](images/steps.png)\n"
    )


def limits(records: Records) -> str:
    """What the answers depend on."""
    curves = [record["curve"] for all_of_it in records.values() for record in all_of_it]
    improving = sum(curve[-1] < 0.98 * curve[-6] for curve in curves)
    return (
        "## What this does not say\n\nOne rate of Adam serves all networks, and a factor, its "
        "logarithm and a softmax learn at different speeds at the same rate. "
        f"{improving} of {len(curves)} trainings lowered their objective by more than 2 % in the "
        "last tenth of the steps, so they were not done. The points are few and of two dimensions, "
        "as in the paper, and gradient descent with backtracking was not tried.\n"
    )


def draw_curves(records: Records, settings: dict[str, Any], path: Path) -> None:
    """The objective on training points over the steps, the geometric mean of all seeds."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    sets = list(dict.fromkeys(record["data"] for record in records["net"]))
    figure, axes = plt.subplots(2, len(sets), figsize=(12, 5.5), sharex=True, sharey="col")
    for name, all_of_it in records.items():
        for n, data in enumerate(sets):
            curves = np.array([r["curve"] for r in all_of_it if r["data"] == data])
            mean = np.exp(np.mean(np.log(np.maximum(curves, 1e-12)), axis=0))
            x = np.arange(len(mean)) * settings["steps"] / len(mean)
            axes[NETWORKS[name].study - 1, n].semilogy(x, mean, label=name, linewidth=1.2)
    for n, data in enumerate(sets):
        axes[0, n].set_title(data)
        axes[1, n].set_xlabel("steps of Adam")
    for row in axes:
        row[0].set_ylabel("objective")
        row[0].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)


def draw_steps(records: Records, path: Path) -> None:
    """The step sizes of the first seed, without and with a fixed sum."""
    import matplotlib.pyplot as plt

    sets = list(dict.fromkeys(record["data"] for record in records["net"]))
    figure, axes = plt.subplots(2, len(sets), figsize=(12, 5), sharey="row", sharex=True)
    for names, row in zip((LEARNED[:2], LEARNED[2:]), axes, strict=True):
        for data, ax in zip(sets, row, strict=True):
            for name in names:
                first = next(r for r in records[name] if r["data"] == data and r["seed"] == 0)
                ax.plot(first["step_sizes"], marker=".", linewidth=1, label=name)
            ax.axhline(1 / 20, color="gray", linewidth=0.8)
            if names == LEARNED[:2]:
                ax.set_yscale("symlog", linthresh=0.5)
        row[0].set_ylabel("step size")
        row[0].legend(fontsize=7)
    for n, data in enumerate(sets):
        axes[0, n].set_title(data)
        axes[1, n].set_xlabel("block")
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)
