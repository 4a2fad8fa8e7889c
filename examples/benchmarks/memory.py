"""Peak memory of a training step against the number of steps, with and without rematerialisation.

    KERAS_BACKEND=jax python examples/benchmarks/memory.py [--quick] [--json FILE]

`RKResidual(f, "rk4", steps=n, remat=...)` with two Dense layers as f, trained on one batch, in the
backend that Keras runs on; each measurement in a new process. Memory is what a second training step
adds to that of the process before the first one. Compiling has given its memory back by then, as
far as the backend does so. On JAX, what XLA plans for the gradient is given as well.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import by_hand
import growth
import keras
import numpy as np
from growth import BACKEND, PACKAGES
from timing import environment, progress, shown, table  # before NumPy

from keras_rk.layers import RKResidual

STEPS = (1, 2, 5, 10, 30, 100, 300, 1000)
QUICK = (1, 10, 100)
REMAT: dict[str, str | None] = {"no": None, "step": "step", "stage": "stage"}
Run = dict[str, Any]

# --------------------------------------------------------------- one measurement, in a new process


def layer(steps: int, remat: str, options: argparse.Namespace) -> keras.layers.Layer:
    """The layer; without rematerialisation, one of any version of keras_rk."""
    hidden = keras.layers.Dense(options.hidden, activation="tanh")
    f = keras.Sequential([hidden, keras.layers.Dense(options.width)])
    further = {} if REMAT[remat] is None else {"remat": REMAT[remat]}
    return RKResidual(f, options.method, dt=1 / steps, steps=steps, **further)


def measure(steps: int, remat: str, options: argparse.Namespace) -> Iterator[Run]:
    """What there is to say, as soon as it is known."""
    jit_compile = options.jit_compile == "yes"
    growth.start_up(jit_compile)
    model = growth.model_around(layer(steps, remat, options), options.width, jit_compile)
    x = np.random.default_rng(0).standard_normal((options.batch, options.width)).astype("float32")

    def step() -> float:
        return float(model.train_on_batch(x, np.zeros_like(x)))

    growth.return_free_memory()
    before, _ = growth.memory(reset=True)
    step()
    growth.return_free_memory()
    growth.memory(reset=True)
    start = perf_counter()
    step()
    yield {"step_s": perf_counter() - start, "memory_bytes": growth.memory()[1] - before}
    if BACKEND == "jax":
        yield {"planned_bytes": planned(model, x)}


def planned(model: keras.Model, x: np.ndarray) -> int:
    """Bytes for intermediate values of the compiled gradient."""
    import jax

    def loss(trainable: list, others: list) -> Any:
        y, others = model.stateless_call(trainable, others, x, training=True)
        return keras.ops.mean(y**2), others

    values = [
        [v.value for v in part]
        for part in (model.trainable_variables, model.non_trainable_variables)
    ]
    compiled = jax.jit(jax.grad(loss, has_aux=True)).lower(*values).compile()
    return compiled.memory_analysis().temp_size_in_bytes


def measure_in_new_process(steps: int, remat: str, options: argparse.Namespace) -> Run:
    command = [sys.executable, __file__, "--point", str(steps), remat]
    for name in ("method", "batch", "width", "hidden", "jit_compile"):
        command += [f"--{name.replace('_', '-')}", str(getattr(options, name))]
    run: Run = {"steps": steps, "remat": remat, "stopped": ""}
    environ = {**os.environ, "KERAS_BACKEND": BACKEND}
    try:
        done = subprocess.run(
            command, env=environ, capture_output=True, timeout=options.limit_seconds
        )
    except subprocess.TimeoutExpired:
        return {**run, "stopped": f"over {options.limit_seconds:g} s"}
    for line in done.stdout.decode(errors="replace").splitlines():
        if line.startswith("{") and line.endswith("}"):
            run.update(json.loads(line))
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        run["stopped"] = f"failed: {''.join(last)[:200] or f'status {done.returncode}'}"
    return run


# ------------------------------------------------------------------------------------- report


def measure_all(document: dict[str, Any], options: argparse.Namespace) -> None:
    """Round by round, so that a busy moment meets all of them."""
    stopped: set[str] = set()
    for number in range(options.processes):
        for steps in options.steps:
            for remat in options.remat:
                if remat in stopped:
                    continue
                progress(f"{number + 1}/{options.processes} steps {steps}, remat {remat}")
                run = measure_in_new_process(steps, remat, options)
                document["runs"].append(run)
                if run["stopped"]:  # more steps would be, too
                    stopped.add(remat)
                if options.json:
                    growth.write(document, options.json)
    progress("")


def report(document: dict[str, Any]) -> str:
    """A row for each number of steps: MB, and milliseconds, without and with rematerialisation."""
    runs, kinds = document["runs"], list(dict.fromkeys(run["remat"] for run in document["runs"]))
    units = {
        "memory_bytes": ("MB", 1e6),
        "planned_bytes": ("MB planned", 1e6),
        "step_s": ("ms", 1e-3),
    }
    columns = [(n, r) for n in units if any(n in run for run in runs) for r in kinds]
    rows = []
    for steps in dict.fromkeys(run["steps"] for run in runs):
        row, notes = [str(steps)], []
        for name, remat in columns:
            same = [run for run in runs if (run["steps"], run["remat"]) == (steps, remat)]
            found = [run[name] for run in same if name in run]
            row.append(shown(statistics.median(found) / units[name][1] if found else None))
            notes += [f"{remat}: {run['stopped']}" for run in same if run["stopped"]]
        rows.append((*row, "; ".join(dict.fromkeys(notes))))
    heading = [f"remat {remat}, {units[name][0]}" for name, remat in columns]
    return table(("steps", *heading, ""), rows)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few steps, one process for each")
    parser.add_argument("--steps", nargs="+", type=int, help=f"(default {STEPS}, quick: {QUICK})")
    parser.add_argument("--remat", nargs="+", choices=REMAT, default=list(REMAT))
    parser.add_argument("--method", default="rk4", help="a name of keras_rk.tableaux")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--hidden", type=int, default=256, help="features of the layer inside f")
    parser.add_argument("--jit-compile", choices=("yes", "no"), default=growth.usual_jit(BACKEND))
    parser.add_argument("--processes", type=int, help="for each measurement (default 3, quick: 1)")
    parser.add_argument("--limit-seconds", type=float, default=300, help="for one process")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--point", nargs=2, metavar=("STEPS", "REMAT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.steps = options.steps or (QUICK if options.quick else STEPS)
    options.processes = options.processes or (1 if options.quick else 3)
    return options


def main() -> None:
    options = parsed()
    if options.point:
        steps, remat = options.point
        for found in measure(int(steps), remat, options):
            print(json.dumps(found), flush=True)
        return
    device = by_hand.backend_module(BACKEND).device()
    used = device or "one thread used, no accelerator"
    document: dict[str, Any] = {
        "backend": BACKEND,
        "environment": environment(*PACKAGES, used=used),
    }
    document.update({k: v for k, v in vars(options).items() if k not in ("json", "point")})
    document["runs"] = []
    print(json.dumps(document["environment"], indent=1), "\n")
    measure_all(document, options)
    print(report(document))


if __name__ == "__main__":
    sys.exit(main())
