"""Standard, residual and Runge-Kutta networks on series and images beyond the spirals.

    python examples/beyond/run.py            everything, and the report (half an hour on a core)
    python examples/beyond/run.py --quick    the shape of it, in a minute or two

Seven data sets that installable packages ship or make without a network (series_data.py), seven
networks (series_nets.py), 20 seeds; endpoint and comparisons are fixed in series_plan.py. It needs
what `pip install 'keras-rk[beyond]'` installs.

The seeds of a network train together on JAX. A finished network leaves a record in the output
folder, at once or not at all; called again, the run goes on with the others. When all are finished
they are gathered into records.json, and REPORT.md and its pictures are written beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    os.environ["KERAS_BACKEND"] = "jax"
    # One thread: these networks are too small for more.
    os.environ.setdefault(
        "XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

sys.path.append(str(Path(__file__).resolve().parents[1]))
from beyond_report import gather, write_report
from series_data import splits
from series_nets import NETWORKS
from series_plan import PILOT_SEED, SEEDS, TASKS, settings_of
from spirals_results import replacing

HERE = Path(__file__).resolve().parent
QUICK = {"datasets": ["digits", "GunPoint"], "seeds": 4, "steps": 40}


def finished(file: Path, settings: dict[str, Any]) -> bool:
    """Whether a network has its record; refuses one of other settings."""
    if not file.exists():
        return False
    try:
        found = json.loads(file.read_text())["settings"]
    except (ValueError, KeyError) as error:
        raise SystemExit(f"{file} is no record: {error}. Delete it to train anew.") from error
    if found != settings:
        raise SystemExit(f"{file} is of other settings: {found}. Choose another --output.")
    return True


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="two data sets, four seeds, 40 steps")
    parser.add_argument("--pilot", action="store_true", help="one seed outside the others")
    parser.add_argument("--datasets", nargs="+", choices=TASKS, help="some of the data sets")
    parser.add_argument("--output", type=Path, help="where records, series and report go")
    found = parser.parse_args()
    kind = "-quick" if found.quick else "-pilot" if found.pilot else ""
    found.output = found.output or Path(f"beyond-results{kind}")
    found.datasets = found.datasets or (QUICK["datasets"] if found.quick else list(TASKS))
    return found


def cost(dataset: str, network: str, settings: dict[str, Any]) -> float:
    """Roughly how long a training takes beside others: compiling, and the steps."""
    steps = settings["steps"] * settings["batch"] / 32 * len(settings["seeds"]) / 20
    return 8 + 0.001 * NETWORKS[network].evaluations * steps


def run(cells: dict[tuple[str, str], dict[str, Any]], folder: Path) -> None:
    """Trains what has no record, and tells how long the rest will take."""
    left = {cell: cost(*cell, settings) for cell, settings in cells.items()}
    total, start = sum(left.values()), time.perf_counter()
    for number, (dataset, network, record) in enumerate(trained(cells, folder), start=1):
        left.pop((dataset, network))
        passed = time.perf_counter() - start
        seconds = passed / (total - sum(left.values())) * sum(left.values())
        mean = sum(record["test_accuracy"]) / len(record["test_accuracy"])
        print(
            f"[{number}/{len(cells)}] {dataset} {network}: test accuracy {mean:.3f}; "
            f"{seconds / 60:.1f} min left",
            flush=True,
        )


def trained(
    cells: dict[tuple[str, str], dict[str, Any]], folder: Path
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Trains the networks one after another; each record is on disk when it is told."""
    import jax
    from series_training import train

    datasets: dict[str, Any] = {}
    for (dataset, network), settings in cells.items():
        if dataset not in datasets:
            datasets = {dataset: splits(dataset, settings["seeds"], folder / "series")}
        record, _ = train(NETWORKS[network], datasets[dataset], settings)
        record = {"settings": settings, **record}
        with replacing(folder / "records" / dataset / f"{network}.json") as temporary:
            temporary.write_text(json.dumps(record) + "\n")
        jax.clear_caches()
        yield dataset, network, record


def main() -> int:
    args = arguments()
    seeds = [PILOT_SEED] if args.pilot else list(range(QUICK["seeds"] if args.quick else SEEDS))
    steps = QUICK["steps"] if args.quick else None
    cells = {
        (dataset, network): settings_of(dataset, seeds, steps)
        for dataset in args.datasets
        for network in NETWORKS
    }
    missing = {
        cell: settings
        for cell, settings in cells.items()
        if not finished(args.output / "records" / cell[0] / f"{cell[1]}.json", settings)
    }
    print(f"{len(missing)} of {len(cells)} networks are to be trained: {args.output}", flush=True)
    try:
        run(missing, args.output)
    except KeyboardInterrupt:
        print("\nInterrupted. The same command goes on from what is finished.")
        return 130
    gather(args.output, args.datasets)
    if not args.pilot:
        print(write_report(args.output))
    return 0


if __name__ == "__main__":
    sys.exit(main())
