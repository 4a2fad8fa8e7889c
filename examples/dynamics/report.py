"""The report on the learned fields, from the records of a run.

    python examples/dynamics/report.py                     from dynamics-results, into this folder
    python examples/dynamics/report.py --results FOLDER --output FOLDER
    python examples/dynamics/report.py --results examples/dynamics/records.tar.xz

It writes REPORT.md, its figures in images/, and records.tar.xz with all records, from which it can
be written again. What is not finished yet is left out.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import chapters
from cells import EXPERIMENTS, cells
from comparisons import comparison_table, comparisons
from evidence import Results
from expectations import expectations
from pictures import draw_all
from shared import LEVEL, replacing, unpacked
from store import Store

CHAPTERS: tuple[tuple[str, Callable[[Results], list[str]]], ...] = (
    ("The systems", chapters.systems),
    ("The error of the learned field", chapters.errors),
    ("What Euler's method learns", chapters.modified),
    ("Orbits far beyond training", chapters.rollouts),
    ("Uneven distances", chapters.uneven),
    ("Noise", chapters.noise),
    ("Equal evaluations, equal training time", chapters.equal),
    ("Seen without knowing f", chapters.diagnostics),
)


def write_report(results: Results, output: Path) -> None:
    """Writes the report, its figures and its records."""
    found = comparisons(results)
    lines = [*opening(results), "", "## What was expected", "", *expectations(results, found)]
    for title, chapter in CHAPTERS:
        lines += [f"## {title}", "", *chapter(results)]
    lines += [
        "## All comparisons",
        "",
        'Paired t tests over seeds on log10 of an error. "Corrected" is p after Holm\'s correction '
        f'over these {len(found)} comparisons; "differs" stands for less than {LEVEL:g}.',
        "",
        *comparison_table(found),
    ]
    draw_all(results, output / "images")
    results.store.pack(output / "records.tar.xz")
    with replacing(output / "REPORT.md") as temporary:
        temporary.write_text("\n".join(lines))


def opening(results: Results) -> list[str]:
    """What was run, where, and how."""
    settings = results.store.settings()
    where = "; ".join(
        ", ".join(f"{k} {v}" if k != "machine" else v for k, v in one.items())
        for one in settings["machines"]
    )
    networks = sum(map(len, results.cells.values()))
    return [
        "# Learning dynamics from snapshots: where the order matters",
        "",
        "Written by `examples/dynamics/report.py` from the records of `examples/dynamics/run.py`; "
        "do not edit. `records.tar.xz` has everything.",
        "",
        f"{networks:,} networks: {len(results.cells)} cells, {results.seeds} seeds each. "
        f"{missing(results)}{where}.",
        "",
        "A network f inside an `RKResidual` maps a snapshot z(t) of a system to the next one, "
        "z(t + dt), and is trained on 600 such pairs (on the heat equation 60, each with 16 "
        "points), simulated by SciPy's DOP853 at 1e-12. A seed draws the states and the first "
        "weights. f is one layer of 40 tanh units and a linear one (on the heat equation 24 units, "
        "a function of a point and its two neighbours), in double precision, trained by the method "
        f"of Levenberg and Marquardt, {settings['iterations']} iterations (twice as many on "
        "Lorenz 63), since what a method adds to the error is seen only where training adds less. "
        "Entries of z are of size one; errors of f are relative.",
        "",
        "Pilot runs with other seeds chose the network, its training and the thresholds. What was "
        "expected (`claims.py`) and compared (`comparisons.py`) was written down before results of "
        "these seeds were looked at. Changed afterwards: tests allow for the rounding of records "
        "where all seeds agree to the last digit, and the seventh expectation counts comparisons "
        "with Euler's method alone, as its wording says.",
    ]


def missing(results: Results) -> str:
    """What the full run has and this folder has not."""
    shares = []
    for experiment in EXPERIMENTS:
        listed = list(cells(experiment))
        there = sum(cell in results for cell in listed)
        if there < len(listed):
            shares.append(f"{experiment} {there} of {len(listed)} cells")
    return f"Not all of the full run: {', '.join(shares)}. " if shares else ""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "--results",
        type=Path,
        default=Path("dynamics-results"),
        help="the folder of a run, or an archive of its records (dynamics-results)",
    )
    add(
        "--output",
        type=Path,
        default=Path(__file__).parent,
        help="where REPORT.md and images go (beside this file)",
    )
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as temporary:
        store = Store(args.results)
        if args.results.is_file():
            store = Store(unpacked(args.results, Path(temporary)).path)
        results = Results(store)
        if not results.cells:
            raise SystemExit(
                f"There are no finished networks in {args.results}. Run "
                f"{Path(__file__).with_name('run.py')} first."
            )
        args.output.mkdir(parents=True, exist_ok=True)
        write_report(results, args.output)
    print(f"{args.output / 'REPORT.md'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
