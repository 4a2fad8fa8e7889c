"""The report on the paper's experiments, from the records of a run.

    python examples/paper/report.py                        from paper-results, into this folder
    python examples/paper/report.py --results FOLDER --output FOLDER
    python examples/paper/report.py --results examples/paper/records.tar.xz

It writes REPORT.md, its figures in images/, networks.csv with a line for each trained network, and
records.tar.xz with all records, from which it can be written again. What is not finished yet is
left out.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import sections
from answers import questions
from figures import draw_all
from grid import EXPERIMENTS
from harder_section import harder
from oddities import fifth_figure, third_figure
from ode_section import ode
from plan import MARGIN
from questions import ACCURACY, comparison_table, comparisons, shown
from records import Folder, replacing, unpacked
from results import Results, epochs_to_99

SECTIONS: tuple[tuple[str, Callable[[Results], list[str]]], ...] = (
    ("Accuracy by depth and method", sections.depth),
    ("Time to 99 %", sections.time_to_99),
    ("Gradients", sections.gradients),
    ("Run times", sections.run_times),
    ("Which residual connection, which dt", sections.step_sizes),
    ("Two oddities explained", lambda results: [*fifth_figure(results), *third_figure(results)]),
    ("Where batch normalization is", sections.normalization),
    ("At equal parameters and at equal evaluations", sections.matched),
    ("Harder spirals", harder),
    ("Is a trained network an ODE?", ode),
    ("Beyond spirals: digits", sections.digits),
)
COLUMNS = (
    "seed",
    "parameters",
    "evaluations",
    "train_accuracy",
    "test_accuracy",
    "epoch_seconds",
    "trained_together",
)


def write_report(results: Results, output: Path) -> None:
    """Writes the report, its figures and its table."""
    found = comparisons(results)
    lines = [*opening(results), "", "## The five questions", "", *questions(results, found)]
    lines += ["## What the tests show", "", *shown(found)]
    for title, section in SECTIONS:
        lines += [f"## {title}", "", *section(results)]
    lines += [
        "## All comparisons",
        "",
        "Written down in `plan.py` before seeds from 5 on, and the experiments horizon, roughness, "
        "schedule and harder, were trained; seeds 0 to 4 of the others were known. "
        f"{len(found)} comparisons, each of differences seed by seed, with Student's intervals. "
        "All p are after Holm's correction over all "
        'tests of a question. "Differs": paired t test. "Not by the margin": '
        f"that a difference is smaller than {MARGIN:g} (two one-sided tests, TOST), or, of deep "
        f"networks against shallow ones, that it is not lower by {MARGIN:g} (non-inferiority). "
        '"Found with 80 %": the difference that would have been found with that probability. '
        '"Open": neither is shown, which is not to say that there is no difference.',
        "",
        *comparison_table(found),
    ]
    draw_all(results, output / "images")
    write_networks(results, output / "networks.csv")
    results.folder.pack(output / "records.tar.xz")
    with replacing(output / "REPORT.md") as temporary:
        temporary.write_text("\n".join(lines))


def opening(results: Results) -> list[str]:
    """What was run, where, and what was assumed."""
    settings = results.folder.settings()
    epochs, machines = settings["epochs"], settings["machines"]
    networks = sum(map(len, results.networks.values()))
    where = "; ".join(
        ", ".join(f"{k} {v}" if k != "machine" else v for k, v in one.items()) for one in machines
    )
    return [
        "# From ResNets to Runge-Kutta Networks: the experiments again",
        "",
        "Written by `examples/paper/report.py` from the records of `examples/paper/run.py`; do "
        "not edit. `networks.csv` has a line for each network, `records.tar.xz` everything.",
        "",
        f"{networks:,} networks: {len(results.networks)} kinds, {seeds(results)} seeds each. "
        f"{epochs['spirals']} epochs on the spirals, {epochs['digits']} on digits. {where}.",
        "",
        "As in the paper: 2,000 training and 600 test points on two spirals, width 8, one unit at "
        "the end, Adam with Keras's default learning rate, batches of 32. A seed draws the points, "
        "the initial weights and the order of the batches. Assumed, since the paper's code is not "
        "at hand: the generator of the points, and, where nothing else is said, F = one dense "
        "layer with tanh and Keras's default initial weights, batch normalization after each "
        "step. The paper trained one network of each kind.",
        "",
        "Accuracy jumps from epoch to epoch. So that of a network is its mean over the last tenth "
        "of the epochs (the last 20 of 200), if nothing else is said. Intervals of accuracies stay "
        "below 1: they are Student's for its logit.",
    ]


def seeds(results: Results) -> str:
    """How many seeds networks have."""
    numbers = sorted({len(records) for records in results.networks.values()})
    return f"{numbers[0]} to {numbers[-1]}" if len(numbers) > 1 else str(numbers[0])


def write_networks(results: Results, path: Path) -> None:
    """A line for each trained network."""
    with replacing(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["network", *COLUMNS, "endpoint", "first_loss", "last_loss", "epochs_to_99"]
        )
        for network, records in results.networks.items():
            for record in records.values():
                losses = record["history"]["loss"]
                writer.writerow(
                    [
                        network.name,
                        *(record[column] for column in COLUMNS),
                        f"{ACCURACY(record):.4f}",
                        losses[0],
                        losses[-1],
                        epochs_to_99(record),
                    ]
                )


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "--results",
        type=Path,
        default=Path("paper-results"),
        help="the folder of a run, or an archive of its records (paper-results)",
    )
    add(
        "--output",
        type=Path,
        default=Path(__file__).parent,
        help="where REPORT.md and images go (beside this file)",
    )
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Folder(args.results)
        if args.results.is_file():
            folder = unpacked(args.results, Path(temporary))
        results = Results(folder)
        if not results.networks:
            raise SystemExit(
                f"There are no finished networks in {args.results}. Run "
                f"{Path(__file__).with_name('run.py')} first ({', '.join(EXPERIMENTS)})."
            )
        write_report(results, args.output)
    print(f"{args.output / 'REPORT.md'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
