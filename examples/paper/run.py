"""The experiments of "From ResNets to Runge-Kutta Networks", with several seeds for each network.

    python examples/paper/run.py              everything, in less than four hours on two cores
    python examples/paper/run.py --quick      the shape of every figure, in five minutes
    python examples/paper/run.py --seeds 15 --first-seed 5 --experiments depth
    python examples/paper/report.py           the report, from what is finished

What is compared is written down in plan.py, and was before the networks were trained. Experiments
(grid.py lists their networks, and with how many seeds each is trained):

    depth          each method at depths 5, 10, ..., 50
    horizon        dt = 5 / depth, for depths 10 to 80
    ode            networks with and without a penalty on the roughness of weights in depth
    roughness      dt = 5 / depth, with such a penalty, and with one that grows with depth
    dt             y + dt F(y) and dt y + F(y) at depth 50
    schedule       a learning rate that falls to zero
    harder         spirals with more turns, or with noise
    normalization  batch normalization inside F, with statistics for each evaluation and shared
    construction   what may have made the paper's Euler and residual networks differ
    digits         convolutional networks on images of digits

The networks of one kind train with all seeds together, on JAX; several kinds run side by side, one
for each core, through joblib. Each finished network leaves a record and its weights in the output
folder. Interrupted and called again, the run goes on: at most the networks in progress are lost.

On a cluster: --dask ADDRESS gives the work to the workers of a Dask scheduler. They need this
folder on their PYTHONPATH, and the output folder under the same path.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Any

import joblib
from grid import DIAGNOSED, EXPERIMENTS, HARDER, Network, experiments, seeds_of, unique
from records import Folder, unpacked
from work import Job, Result, prepare, work

EPOCHS = {"spirals": 200, "digits": 30}
QUICK_EPOCHS = {"spirals": 15, "digits": 2}
QUICK_SEEDS = 2


def machine() -> dict[str, Any]:
    """Where and with what the networks are trained."""
    packages = ("keras-rk", "keras", "jax", "numpy")
    return {
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
    }


def training_jobs(seeds: dict[Network, range], epochs: dict[str, int], folder: Folder) -> list[Job]:
    """What is not trained yet, the longest first, so that all cores end at about the same time."""
    jobs = []
    for network in seeds:
        missing = tuple(seed for seed in seeds[network] if not folder.has(network, seed))
        if missing:
            jobs.append(Job(network, missing, epochs[network.data], folder.path.resolve()))
    return sorted(jobs, key=lambda job: -job.cost)


def diagnosing_jobs(
    networks: Iterable[Network], seeds: dict[Network, range], folder: Folder
) -> list[Job]:
    """What is not diagnosed yet."""
    return [
        Job(network, (seed,), 0, folder.path.resolve(), diagnoses=True)
        for network in networks
        for seed in seeds[network]
        if not folder.diagnosis_file(network, seed).exists()
    ]


def diagnosed(groups: dict[str, list[Network]]) -> dict[Network, None]:
    """The networks that are asked whether they are ODEs, each once."""
    return dict.fromkeys(network for name in DIAGNOSED for network in groups.get(name, []))


def adopted(archive: Path, seeds: dict[Network, range], diagnosed: set[Network], to: Folder) -> int:
    """Copies what an earlier run trained; returns how many networks.

    Those that are to be diagnosed are left out: archives hold no weights.
    """
    wanted = [(n, seed) for n in seeds if n not in diagnosed for seed in seeds[n]]
    with tempfile.TemporaryDirectory() as temporary:
        return to.adopt(unpacked(archive, Path(temporary)), wanted)


def results(jobs: list[Job], cores: int) -> Iterator[Result]:
    """Runs the jobs; a result as soon as it is there."""
    parallel = joblib.Parallel(n_jobs=cores, return_as="generator_unordered", batch_size=1)
    yield from parallel(joblib.delayed(work)(job) for job in jobs)


@contextmanager
def dask(address: str) -> Iterator[None]:
    """joblib on the workers of a Dask scheduler."""
    try:
        from distributed import Client
    except ImportError as error:
        raise SystemExit("--dask needs Dask: pip install 'dask[distributed]'") from error
    try:
        client = Client(address, timeout=10)
    except (OSError, ValueError) as error:
        raise SystemExit(f"--dask: no scheduler answers at {address!r}: {error}") from error
    with client, joblib.parallel_config(backend="dask"):
        yield


def run(jobs: list[Job], cores: int, later: float = 0.0) -> list[Result]:
    """Runs the jobs and tells how far they are; returns those that failed.

    Args:
        later: the cost of what comes after them.
    """
    start = time.perf_counter()
    done, total = 0.0, sum(job.cost for job in jobs) + later
    failed = []
    for number, result in enumerate(results(jobs, cores), start=1):
        done += result.job.cost
        left = duration((time.perf_counter() - start) * (total - done) / done)
        if result.error is not None:
            failed.append(result)
        name = result.job.network.name
        print(f"[{number}/{len(jobs)}] {name}: {result.outcome}; {left} left", flush=True)
    return failed


def duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def whole_number(text: str) -> int:
    if text.isdigit() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"must be a whole number of at least 1. Received: {text!r}")


def seed_number(text: str) -> int:
    if text.isdigit() and int(text) < 2**31:
        return int(text)
    raise argparse.ArgumentTypeError(f"must be a whole number of at least 0. Received: {text!r}")


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="fewer networks, two seeds, 15 epochs")
    add("--experiments", nargs="+", choices=EXPERIMENTS, default=list(EXPERIMENTS))
    add("--seeds", type=whole_number, help="how many seeds each network is trained with (5 to 20)")
    add("--first-seed", type=seed_number, default=0, help="the first of these seeds (0)")
    add("--epochs", type=whole_number, help="passes over the points of the spirals (200)")
    add("--jobs", type=whole_number, default=os.cpu_count(), help="processes (one for each core)")
    add(
        "--dask", metavar="ADDRESS", help="the address of a Dask scheduler, such as tcp://host:8786"
    )
    add("--output", type=Path, help="folder (paper-results, or paper-results-quick)")
    add(
        "--earlier",
        type=Path,
        metavar="ARCHIVE",
        help="records.tar.xz of an earlier run, whose networks are not trained again",
    )
    args = parser.parse_args(argv)
    args.output = args.output or Path("paper-results-quick" if args.quick else "paper-results")
    return args


def seeds_to_run(network: Network, args: argparse.Namespace) -> range:
    """The seeds with which a network is trained."""
    number = args.seeds or (QUICK_SEEDS if args.quick else seeds_of(network))
    return range(args.first_seed, args.first_seed + number)


def counts(seeds: dict[Network, range]) -> str:
    """The numbers of seeds in words."""
    numbers = sorted({len(of) for of in seeds.values()})
    return f"{numbers[0]} to {numbers[-1]}" if len(numbers) > 1 else str(*numbers)


def main(argv: list[str] | None = None) -> int:
    args = arguments(argv)
    prepare()
    epochs = dict(QUICK_EPOCHS if args.quick else EPOCHS)
    if args.epochs is not None:
        epochs["spirals"] = args.epochs
    epochs |= dict.fromkeys(HARDER, epochs["spirals"])
    folder = Folder(args.output)
    folder.open({"epochs": epochs}, machine())
    groups = experiments(args.quick)
    chosen = {name: group for name, group in groups.items() if name in args.experiments}
    seeds = {network: seeds_to_run(network, args) for network in unique(chosen)}
    if args.earlier is not None:
        number = adopted(args.earlier, seeds, {*diagnosed(groups)}, folder)
        print(f"{number} networks are taken from {args.earlier}.")
    jobs = training_jobs(seeds, epochs, folder)
    missing = sum(len(job.seeds) for job in jobs)
    total = sum(map(len, seeds.values()))
    print(
        f"{len(seeds)} networks with {counts(seeds)} seeds each: {total - missing} of {total} are "
        f"finished. Results: {folder.path}",
        flush=True,
    )
    start = time.perf_counter()
    to_diagnose = diagnosing_jobs(diagnosed(chosen), seeds, folder)
    try:
        with dask(args.dask) if args.dask else nullcontext():
            failed = run(jobs, args.jobs, later=sum(job.cost for job in to_diagnose))
            trained = [job for job in to_diagnose if folder.has(job.network, *job.seeds)]
            failed += run(trained, args.jobs)
    except KeyboardInterrupt:
        print("\nInterrupted. The same command goes on from what is finished.")
        return 130
    for result in failed:
        print(f"\n{result.job.network.name}:\n{result.error}", file=sys.stderr)
    print(
        f"{duration(time.perf_counter() - start)}. The report: "
        f"python {Path(__file__).with_name('report.py')} --results {folder.path}"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
