"""REPORT.md and its picture, from the records of a run.

python examples/beyond/beyond_report.py writes those of the records that lie beside it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from series_data import DRAWN_ANEW
from series_plan import MARGIN, QUESTIONS, Question
from series_verdicts import Result, accuracy, answered, mean_interval
from words import text_table

sys.path.append(str(Path(__file__).resolve().parents[1]))
from spirals_results import replacing

Records = dict[str, dict[str, Any]]
ORDER = ("standard-4", "euler-4", "heun2-4", "rk4-4", "standard-16", "euler-16", "heun2-8")
INTRODUCTION = """# Beyond spirals

Standard, residual and Runge-Kutta networks on {count} data sets that installable packages ship or
make, with {seeds} seeds each. Written by `python examples/beyond/run.py` from `records.json`;
endpoint, comparisons, margin and number of seeds were fixed in `series_plan.py` before a seed was
run, and learning rate, steps and network chosen on one seed outside them.

Each network lifts patches of a series to 8 channels, passes blocks, averages over positions and
ends in a unit for each class. F is a convolution over three positions and tanh. A name is the
method and the number of blocks; dt = 1, so `euler` is the residual network y + F(y), to the last
bit, and was trained once. With 4 blocks all networks have the same parameters; `standard-16`,
`euler-16`, `heun2-8` and `rk4-4` evaluate F 16 times.

Endpoint: accuracy on test series after the last step of Adam, whose rate falls to zero.
"""


def gather(folder: Path, datasets: list[str]) -> None:
    """records.json: all records of a run in one file."""
    found = {
        name: {
            network: json.loads((folder / "records" / name / f"{network}.json").read_text())
            for network in ORDER
        }
        for name in datasets
    }
    lines = [
        f'"{name}": {{\n'
        + ",\n".join(f'"{network}": {json.dumps(record)}' for network, record in records.items())
        + "\n}"
        for name, records in found.items()
    ]
    with replacing(folder / "records.json") as temporary:
        temporary.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def load(folder: Path) -> Records:
    return json.loads((folder / "records.json").read_text())


def overlap(records: Records) -> dict[str, float]:
    """Nadeau and Bengio's term of each data set: test series for each training series."""
    return {
        name: 0.0 if name in DRAWN_ANEW else sizes[1] / sizes[0]
        for name, found in records.items()
        for sizes in [found[ORDER[0]]["sizes"]]
    }


def write_report(folder: Path) -> Path:
    """Writes the report and its picture; returns its path."""
    records = load(folder)
    draw(records, folder / "images" / "differences.png")
    path = folder / "REPORT.md"
    path.write_text(text_of(records))
    return path


def text_of(records: Records) -> str:
    """The report without its picture."""
    some = next(iter(records.values()))[ORDER[0]]
    ratios = overlap(records)
    results = answered(records, ratios)
    sections = [
        INTRODUCTION.format(count=len(records), seeds=len(some["test_accuracy"])),
        answers(results, answered(records, dict.fromkeys(ratios, 0.0))),
        accuracies(records, ratios),
        differences(results),
        limits(records),
    ]
    return "\n".join(sections)


def answers(results: list[list[Result]], conditional: list[list[Result]]) -> str:
    """How often each verdict is found, for each pair."""
    rows = []
    for question, found, same_series in zip(QUESTIONS, results, conditional, strict=True):
        for first, second in question.pairs:
            ours, theirs = (
                [one for one in some if (one.first, one.second) == (first, second)]
                for some in (found, same_series)
            )
            means = [one.mean for one in ours]
            rows.append(
                [
                    question.text,
                    f"{first} - {second}",
                    f"{np.mean(means):+.3f} ({min(means):+.3f} to {max(means):+.3f})",
                    counted(ours),
                    counted(theirs),
                ]
            )
    heading = ["question", "pair", "mean difference over data sets", "verdicts"]
    return (
        "## Answers\n\nVerdicts count data sets: first better / second better / equivalent to "
        f"within {MARGIN:g} / not decided; a network that is better by less than the margin counts "
        "as better and as equivalent. The mean over data sets describes these data sets; it is not "
        "tested. The last column leaves out Nadeau and Bengio's term: what holds for these very "
        "series, over the draw of splits, initial weights and batches, not for further series of "
        "their kind.\n\n"
        + text_table([*heading, "verdicts for these very series"], rows)
        + "\n"
        + "".join(map(in_words, QUESTIONS, results, conditional))
        + "\n![Differences with their intervals](images/differences.png)\n"
    )


def in_words(question: Question, found: list[Result], same_series: list[Result]) -> str:
    """An answer as a sentence, with what was too uncertain to decide."""
    undecided = [one for one in found if one.verdict == "not decided"]
    text = f"* {question.text} Shown: {listed(found)}."
    if undecided:
        least = [one.detectable for one in undecided if not np.isnan(one.detectable)] or [np.nan]
        text += (
            f" Not decided: {len(undecided)} of {len(found)} comparisons, in which a single test "
            f"finds true differences of {min(least):.3f} to {max(least):.3f} with probability 0.8."
        )
    return f"{text} For these very series alone: {listed(same_series)}.\n"


def listed(results: list[Result]) -> str:
    """What was decided, by verdict."""
    parts: dict[str, list[str]] = {}
    for one in results:
        if one.verdict != "not decided":
            said = f"{one.first} and {one.second} {one.verdict}"
            if "better" in one.verdict:
                worse = one.second if one.mean > 0 else one.first
                said = one.verdict.replace("better", f"better than {worse}", 1)
            parts.setdefault(said, []).append(one.dataset)
    return "; ".join(f"{said} on {', '.join(names)}" for said, names in parts.items()) or "nothing"


def counted(results: list[Result]) -> str:
    better = [one.verdict.startswith(f"{one.first} better") for one in results]
    worse = [one.verdict.startswith(f"{one.second} better") for one in results]
    equivalent = ["equivalent" in one.verdict or "less than" in one.verdict for one in results]
    undecided = [one.verdict == "not decided" for one in results]
    return " / ".join(str(sum(some)) for some in (better, worse, equivalent, undecided))


def accuracies(records: Records, ratios: dict[str, float]) -> str:
    """The accuracy on test series of each network on each data set."""
    rows = []
    for name, found in records.items():
        cells = []
        for network in ORDER:
            mean, low, high = mean_interval(accuracy(found, network), ratios[name])
            cells.append(f"{mean:.3f} ({low:.3f}-{high:.3f})")
        sizes = found[ORDER[0]]["sizes"]
        rows.append([name, f"{sizes[0]} / {sizes[1]}", *cells])
    rows.append(["*evaluations of F*", "", *each(records, "evaluations")])
    rows.append(["*parameters*", "", *each(records, "parameters")])
    return (
        "## Accuracy on test series\n\nMean over seeds and its 95 % interval (of the logit; Nadeau "
        "and Bengio's variance, except for mnist1d). An accuracy that is the same for all seeds "
        "has no interval.\n\n" + text_table(["data set", "training / test", *ORDER], rows)
    )


def each(records: Records, key: str) -> list[str]:
    """A number of each network, with the least and largest over the data sets if they differ."""
    cells = []
    for network in ORDER:
        values = sorted({found[network][key] for found in records.values()})
        cells.append(" to ".join(f"{v:,}" for v in dict.fromkeys((values[0], values[-1]))))
    return cells


def differences(results: list[list[Result]]) -> str:
    """Every comparison: effect sizes, tests, equivalence and power."""
    text = (
        "## Differences\n\nThe first network minus the second. Effect size: the difference by the "
        "standard deviation of the differences over seeds. p and p of equivalence (two one-sided "
        f"tests, margin {MARGIN:g}) after Holm's correction over the tests of the question; bold "
        "below 0.05. Power: the difference that one test at 0.05 finds with probability 0.8, and "
        "the probability that it finds equivalence if there is no difference. Intervals 95 %.\n"
    )
    heading = ["pair", "data set", "difference", "effect size", "p", "p of equivalence"]
    for question, found in zip(QUESTIONS, results, strict=True):
        text += f"\n**{question.text}**\n\n"
        text += text_table([*heading, "power", "verdict"], [row(one) for one in found])
    return text


def row(one: Result) -> list[str]:
    effect, low, high = one.effect
    return [
        f"{one.first} - {one.second}",
        one.dataset,
        f"{one.mean:+.3f} ({one.low:+.3f} to {one.high:+.3f})",
        "-" if np.isnan(effect) else f"{effect:+.2f} ({low:+.2f} to {high:+.2f})",
        marked(one.p),
        marked(one.equivalence),
        "-" if np.isnan(one.detectable) else f"{one.detectable:.3f}; {one.equivalence_power:.2f}",
        one.verdict,
    ]


def marked(p: float) -> str:
    return f"**{p:.2g}**" if p < 0.05 else f"{p:.2g}"


def limits(records: Records) -> str:
    """What the answers depend on."""
    unfinished = [
        f"{name} {network}"
        for name, found in records.items()
        for network in ORDER
        if np.mean(found[network]["train_accuracy"]) < 0.99
    ]
    which = f": {', '.join(unfinished)}" if unfinished else ""
    total = len(records) * len(ORDER)
    seconds = sum(found[network]["seconds"] for found in records.values() for network in ORDER)
    return (
        "## What this does not say\n\nOne learning rate and one number of steps served all "
        f"networks of a data set. {len(unfinished)} of {total} networks end with less than 0.99 of "
        f"their training series right in the mean{which}; more steps or channels may change their "
        "differences. The networks are small, F holds no normalization, dt = 1, and at matched "
        "evaluations the deeper networks have more parameters. Accuracies are not those "
        "of tuned classifiers. Where all accuracies are near 1, networks cannot differ by much, "
        "whatever their blocks do. "
        f"All trainings together took {seconds / 60:.0f} minutes on a shared core.\n"
    )


def draw(records: Records, path: Path) -> None:
    """The differences of each question, with intervals and the margin."""
    from matplotlib.figure import Figure

    results = answered(records, overlap(records))
    names = list(records)
    figure = Figure(figsize=(13, 1.6 + 0.55 * len(names)), layout="constrained")
    panels = figure.subplots(1, len(QUESTIONS), sharey=True)
    for axes, question, found in zip(panels, QUESTIONS, results, strict=True):
        axes.axvspan(-MARGIN, MARGIN, color="0.9", label=f"margin {MARGIN:g}")
        axes.axvline(0, color="0.5", linewidth=0.8)
        for number, (first, second) in enumerate(question.pairs):
            some = [one for one in found if (one.first, one.second) == (first, second)]
            places = [names.index(one.dataset) + 0.3 * (number - 0.5) for one in some]
            means = np.array([one.mean for one in some])
            sides = [means - [one.low for one in some], [one.high for one in some] - means]
            axes.errorbar(
                means, places, xerr=sides, fmt="os"[number], capsize=3, label=f"{first} - {second}"
            )
        axes.set_title(question.text, fontsize=9)
        axes.locator_params(axis="x", nbins=5)
        axes.set_xlabel("difference in test accuracy")
        axes.grid(axis="x", alpha=0.3)
        handles, labels = axes.get_legend_handles_labels()
        axes.legend(
            handles, labels, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3, fontsize=7
        )
    panels[0].set_yticks(range(len(names)), names)
    panels[0].invert_yaxis()
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=110)


if __name__ == "__main__":
    print(write_report(Path(__file__).resolve().parent))
