"""Vector fields learned from snapshots of systems whose fields are known.

    python examples/dynamics/run.py              everything, in less than 90 minutes on two cores
    python examples/dynamics/run.py --quick      the shape of every figure, in a few minutes
    python examples/dynamics/report.py           the report, from what is finished

A network f inside an RKResidual learns to map a snapshot of a system to the next one, for five
systems (systems.py), five distances dt of snapshots, and five methods. Experiments (cells.py lists
their cells):

    even           snapshots dt apart, one step of the method between two of them
    floor          f itself in the place of snapshots: the error that the network makes
    uneven         each pair of snapshots at a distance of its own, `layer(z, dt=h)`
    noise          even, with noise on the snapshots
    evaluations    several steps between two snapshots, for equally many evaluations of f

What was to be measured, and what was expected, is written down in claims.py. It needs
`pip install "keras-rk[paper]"`.

All seeds of a cell train at once, on JAX. Each finished cell leaves records and weights in the
output folder; interrupted and called again, the run goes on: at most the cells in progress are
lost. Afterwards `keras_rk.diagnostics.ode_consistency` is asked about some of the trained networks.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from itertools import groupby
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from cells import DIAGNOSED_DTS, DIAGNOSED_METHODS, EXPERIMENTS, LONGER, Cell, cells
from shared import prepare
from store import Store

ITERATIONS = 80
FIRST_SEED = 100  # those of pilot runs began at 0
DIAGNOSIS_COST = 1.5  # roughly seconds


@dataclass(frozen=True)
class Job:
    """Cells that differ only in dt, to be trained with some seeds, or to be diagnosed."""

    cells: tuple[Cell, ...]
    seeds: tuple[int, ...]
    iterations: int
    folder: Path
    diagnoses: bool = False

    @property
    def cost(self) -> float:
        if self.diagnoses:
            return DIAGNOSIS_COST * len(self.cells) * len(self.seeds)
        return sum(cell.cost for cell in self.cells)

    @property
    def name(self) -> str:
        dts = ", ".join(f"{cell.dt:g}" for cell in self.cells)
        return f"{self.cells[0].name.rpartition('-')[0]}, dt {dts}"


@dataclass(frozen=True)
class Result:
    """What came of a job, in words, and the traceback if it failed."""

    job: Job
    outcome: str
    error: str | None = None


def work(job: Job) -> Result:
    """Does a job; an error in it leaves the others alone."""
    prepare()
    from fields import double_precision

    try:
        with double_precision():
            return Result(job, diagnosed(job) if job.diagnoses else trained(job))
    except Exception as error:
        outcome = f"FAILED: {type(error).__name__}: {error}"
        return Result(job, outcome, error=traceback.format_exc())


def trained(job: Job) -> str:
    """Trains, measures and keeps cells."""
    from fitting import fit, weights_of
    from measuring import measure
    from snapshots import pairs

    store, errors = Store(job.folder), []
    for cell in job.cells:
        seeds = [seed for seed in job.seeds if not store.has(cell, seed)]
        if not seeds:
            continue
        iterations = job.iterations * LONGER.get(cell.system, 1)
        found = fit(cell, pairs(cell, seeds), seeds, iterations)
        records = measure(cell, found, seeds)
        for n, (seed, record) in enumerate(zip(seeds, records, strict=True)):
            store.keep(cell, seed, record, weights_of(cell, found.weights[n]))
        errors.append(min(record["field_error"] for record in records))
    return "error of f " + " ".join(f"{error:.1e}" for error in errors)


def diagnosed(job: Job) -> str:
    """Asks `ode_consistency` about trained cells."""
    from consistency import diagnose

    store, distances = Store(job.folder), []
    for cell in job.cells:
        for seed in job.seeds:
            if store.has(cell, seed) and not store.diagnosis_file(cell, seed).exists():
                found = diagnose(cell, seed, store.weights(cell, seed))
                store.keep_diagnosis(cell, seed, found)
                distances.append(found["report"]["distance"])
    return "distance from the limit " + " ".join(f"{distance:.1e}" for distance in distances)


def jobs_of(
    chosen: list[Cell], seeds: range, iterations: int, store: Store, diagnoses: bool = False
) -> list[Job]:
    """What is not done yet."""
    jobs = []
    for _, group in groupby(chosen, lambda c: (c.system, c.sampling, c.method, c.steps)):
        missing = [
            cell
            for cell in group
            if any(
                not (store.diagnosis_file(cell, s).exists() if diagnoses else store.has(cell, s))
                for s in seeds
            )
        ]
        if missing:
            path = store.path.resolve()
            jobs.append(Job(tuple(missing), tuple(seeds), iterations, path, diagnoses))
    return jobs


def results(jobs: list[Job], cores: int) -> Iterator[Result]:
    """Runs the jobs; a result as soon as it is there."""
    if cores == 1:
        yield from map(work, jobs)
        return
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(work, job) for job in jobs]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def run(jobs: list[Job], cores: int) -> Iterator[Result]:
    """Runs the jobs and tells how far they are; the results that failed."""
    start, done, total = time.perf_counter(), 0.0, sum(job.cost for job in jobs)
    for number, result in enumerate(results(jobs, cores), start=1):
        done += result.job.cost
        left = duration((time.perf_counter() - start) * (total - done) / done)
        print(
            f"[{number}/{len(jobs)}] {result.job.name}: {result.outcome}; {left} left", flush=True
        )
        if result.error is not None:
            yield result


def duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def machine() -> dict[str, Any]:
    """Where and with what the networks are trained."""

    def known(package: str) -> str:
        try:
            return version(package)
        except PackageNotFoundError:
            return "not installed"

    packages = ("keras", "jax", "numpy", "scipy")
    return {
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        **{package: known(package) for package in packages},
    }


def whole_number(text: str) -> int:
    if text.isdigit() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"must be a whole number of at least 1. Received: {text!r}")


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="two systems, fewer dt and methods, two seeds")
    add("--experiments", nargs="+", choices=EXPERIMENTS, default=list(EXPERIMENTS))
    add("--seeds", type=whole_number, help="how many seeds each cell is trained with (5)")
    add(
        "--iterations",
        type=whole_number,
        default=ITERATIONS,
        help=f"of training ({ITERATIONS}; twice on Lorenz)",
    )
    add("--jobs", type=whole_number, default=os.cpu_count(), help="processes (one for each core)")
    add("--output", type=Path, help="folder (dynamics-results, or dynamics-results-quick)")
    args = parser.parse_args(argv)
    args.output = args.output or Path("dynamics-results" + "-quick" * args.quick)
    args.seeds = args.seeds or (2 if args.quick else 5)
    return args


def main(argv: list[str] | None = None) -> int:
    args = arguments(argv)
    prepare()
    store = Store(args.output)
    store.open({"iterations": args.iterations}, machine())
    chosen = [cell for name in args.experiments for cell in cells(name, args.quick)]
    asked = [
        cell
        for cell in chosen
        if (cell.sampling, cell.steps) == ("even", 1)
        and cell.method in DIAGNOSED_METHODS
        and cell.dt in DIAGNOSED_DTS
    ]
    seeds = range(FIRST_SEED, FIRST_SEED + args.seeds)
    finished = sum(store.has(cell, seed) for cell in chosen for seed in seeds)
    print(
        f"{len(chosen)} cells with {args.seeds} seeds each: {finished} of "
        f"{len(chosen) * args.seeds} networks are finished. Results: {store.path}",
        flush=True,
    )
    start = time.perf_counter()
    try:
        failed = list(run(jobs_of(chosen, seeds, args.iterations, store), args.jobs))
        failed += run(jobs_of(asked, seeds, args.iterations, store, diagnoses=True), args.jobs)
    except KeyboardInterrupt:
        print("\nInterrupted. The same command goes on from what is finished.")
        return 130
    for result in failed:
        print(f"\n{result.job.name}:\n{result.error}", file=sys.stderr)
    print(
        f"{duration(time.perf_counter() - start)}. The report: "
        f"python {Path(__file__).with_name('report.py')} --results {store.path}"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
