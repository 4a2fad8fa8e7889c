"""How time and memory grow with the depth, the steps, the stages and the width of a network.

    KERAS_BACKEND=jax python examples/benchmarks/growth.py [--quick] [--json FILE] [--plot FILE]
    python examples/benchmarks/growth.py --plot-from jax.json torch.json --plot growth.png

RKStack with Dense and BatchNormalization, trained on one batch, in the backend that Keras runs on;
each point in new processes. README.md says what is measured.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import gc
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from timing import environment, progress, shown, table

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import by_hand
import keras
import numpy as np

import keras_rk
from keras_rk import layers, tableaux
from keras_rk.steps.stages import stage_plan

BACKEND = keras.backend.backend()
BATCH = 32
CLOCKS = {"wall": perf_counter, "cpu": process_time}  # the latter of all threads, not of a GPU
SHORTEST_SAMPLE = 0.05  # seconds; shorter steps are repeated, and their mean counts
FLAT = 1.25  # how many times as long compiling may take for 100 times the depth or the steps
PACKAGES = ("numpy", "keras", {"torch": "torch", "jax": "jax"}.get(BACKEND, "tensorflow"))
Run = dict[str, Any]


def usual_jit(backend: str) -> str:
    """What `jit_compile` is where nothing else is asked for."""
    return "no" if backend == "torch" else "yes"


# ------------------------------------------------------------------------------------- points


@dataclass(frozen=True)
class Point:
    """A network to measure. Many steps belong to one RKResidual, all else to an RKStack."""

    sweep: str
    method: str = "rk4"
    depth: int = 50
    steps: int = 1
    width: int = 8

    @property
    def value(self) -> int:
        """Where it lies on the axis of its sweep."""
        return evaluations(self.method) if self.sweep == "stages" else getattr(self, self.sweep)

    def layer(self) -> keras.layers.Layer:
        f = keras.layers.Dense(self.width, activation="tanh")
        if self.sweep == "steps":
            return layers.RKResidual(f, self.method, dt=1 / self.steps, steps=self.steps)
        after = keras.layers.BatchNormalization()
        return layers.RKStack(f, self.depth, self.method, dt=1 / self.depth, after=after)


def evaluations(method: str) -> int:
    """How often a step evaluates f."""
    return len(stage_plan(tableaux.get(method), Fraction(1), "float32").stages)


METHODS = "euler midpoint kutta3 rk4 butcher6 cooper_verner8 dormand_prince87 hairer10".split()
SWEEPS = {
    "depth": [Point("depth", depth=n) for n in (10, 30, 100, 300, 1000)],
    "steps": [Point("steps", steps=n) for n in (1, 2, 10, 100, 1000)],
    "stages": [Point("stages", method=name) for name in METHODS],
    "width": [Point("width", depth=10, width=n) for n in (8, 32, 128, 512, 1024)],
}

# ------------------------------------------------------------------- one point, in a new process


def measure(point: Point, options: argparse.Namespace) -> Iterator[Run]:
    """What there is to say about a point, as soon as it is known."""
    clock, jit_compile = CLOCKS[options.clock], options.jit_compile == "yes"
    start_up(jit_compile)
    start = clock()
    model = model_around(point.layer(), point.width, jit_compile)
    yield {"building_s": clock() - start}
    step = training(model, point.width)
    return_free_memory()
    before, _ = memory(reset=True)
    start = clock()
    step()
    yield {"first_step_s": clock() - start}
    yield {"steps_s": list(step_seconds(step, clock, options.rounds))}
    yield {"memory_bytes": memory()[1] - before}


def start_up(jit_compile: bool) -> None:
    """What the first layer of a process pays for: compilers, and what Keras imports late."""
    by_hand.backend_module(BACKEND).warm_up()
    layer = keras.Sequential([keras.layers.Dense(8), keras.layers.BatchNormalization()])
    keras.saving.serialize_keras_object(layer)  # imports TensorFlow where that is installed
    training(model_around(layer, 8, jit_compile), 8)()


def model_around(layer: keras.layers.Layer, width: int, jit_compile: bool) -> keras.Model:
    model = keras.Sequential([keras.Input((width,)), layer])
    model.compile(optimizer="sgd", loss="mse", jit_compile=jit_compile)
    return model


def training(model: keras.Model, width: int) -> Callable[[], Any]:
    """A step of gradient descent on the mean of y**2; it returns when its loss is a number."""
    x = np.random.default_rng(0).standard_normal((BATCH, width)).astype("float32")
    zeros = np.zeros_like(x)
    return lambda: float(model.train_on_batch(x, zeros))


def step_seconds(
    step: Callable[[], Any], clock: Callable[[], float], rounds: int
) -> Iterator[float]:
    start = perf_counter()
    step()
    number = int(SHORTEST_SAMPLE / (perf_counter() - start)) + 1
    for _ in range(rounds):
        start = clock()
        for _ in range(number):
            step()
        yield (clock() - start) / number


def return_free_memory() -> None:
    """So that training does not find what building has left. Only glibc can be told to."""
    gc.collect()
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError):
            ctypes.CDLL(None).malloc_trim(0)


def memory(reset: bool = False) -> tuple[int, int]:
    """Bytes in use now and at most: of the accelerator, or else of this process.

    Args:
        reset: whether to forget the peak so far (on Linux; elsewhere it contains that of building,
            which is below that of training).
    """
    if by_hand.backend_module(BACKEND).device():
        return accelerator_memory()
    if sys.platform == "linux":
        if reset:
            Path("/proc/self/clear_refs").write_text("5")
        lines = Path("/proc/self/status").read_text().splitlines()
        fields = dict(line.split(":", 1) for line in lines)
        now, peak = (1024 * int(fields[name].split()[0]) for name in ("VmRSS", "VmHWM"))
        return now, peak
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak *= 1 if sys.platform == "darwin" else 1024
    return peak, peak


def accelerator_memory() -> tuple[int, int]:
    if BACKEND == "torch":
        import torch

        return torch.cuda.memory_allocated(), torch.cuda.max_memory_allocated()
    if BACKEND == "jax":
        import jax

        found = jax.devices()[0].memory_stats()
        return found["bytes_in_use"], found["peak_bytes_in_use"]
    import tensorflow as tf

    found = tf.config.experimental.get_memory_info("GPU:0")
    return found["current"], found["peak"]


def measure_in_new_process(point: Point, options: argparse.Namespace) -> Run:
    command = [sys.executable, __file__, "--point", point.sweep, str(point.value)]
    command += ["--rounds", str(options.rounds), "--jit-compile", options.jit_compile]
    command += ["--clock", options.clock]
    run: Run = {"sweep": point.sweep, "value": point.value, "stopped": ""}
    environ = {**os.environ, "KERAS_BACKEND": BACKEND}
    try:
        done = subprocess.run(
            command, env=environ, capture_output=True, timeout=options.limit_seconds
        )
        said = done.stdout
        if done.returncode:
            last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
            run["stopped"] = f"failed: {''.join(last)[:200] or f'status {done.returncode}'}"
    except subprocess.TimeoutExpired as expired:
        said = expired.stdout or b""
        run["stopped"] = f"over {options.limit_seconds:g} s"
    for line in said.decode(errors="replace").splitlines():
        if line.startswith("{") and line.endswith("}"):
            run.update(json.loads(line))
    return {**run, "stopped": ""} if "memory_bytes" in run else run  # only ending took too long


# ------------------------------------------------------------------------------------- sweeps


def chosen_points(options: argparse.Namespace) -> list[Point]:
    points = []
    for name in options.sweeps:
        sweep = SWEEPS[name]
        points += [sweep[0], sweep[len(sweep) // 2], sweep[-1]] if options.quick else sweep
    return points


def run_sweeps(document: dict[str, Any], options: argparse.Namespace) -> None:
    """Whatever the document does not contain yet, one process for each point, round by round."""
    points = chosen_points(options)
    for number in range(options.processes):
        for point in points:
            runs = runs_of(document, point.sweep, point.value)
            if len(runs) > number or any(run["stopped"] for run in runs):
                continue
            progress(f"{number + 1}/{options.processes} {point.sweep} {point.value}")
            document["runs"].append(measure_in_new_process(point, options))
            if options.json:
                write(document, options.json)
    progress("")


def runs_of(document: dict[str, Any], sweep: str, value: int) -> list[Run]:
    return [run for run in document["runs"] if (run["sweep"], run["value"]) == (sweep, value)]


def new_document(options: argparse.Namespace) -> dict[str, Any]:
    """An empty one; or that of the file, where it comes from the same programs and settings."""
    device = by_hand.backend_module(BACKEND).device()
    threads = "XLA's threads" if BACKEND == "jax" else "one thread"
    used = f"{threads} used, accelerator: {device or 'none'}"
    document: dict[str, Any] = {
        "environment": environment(*PACKAGES, used=used),
        "backend": BACKEND,
        "version": sys.modules[BACKEND].__version__,
        "jit_compile": options.jit_compile,
        "rounds": options.rounds,
        "clock": options.clock,
        "device": device or "CPU",
        "runs": [],
    }
    document["environment"]["versions"]["keras-rk"] = keras_rk.__version__
    if not options.json or not options.json.exists():
        return document
    stored = json.loads(options.json.read_text())
    for name in ("backend", "version", "jit_compile", "rounds", "clock", "device"):
        if stored[name] != document[name]:
            raise SystemExit(
                f"{options.json} was measured with {name} {stored[name]}, not {document[name]}: "
                "choose another file, or delete it."
            )
    return stored


def write(document: dict[str, Any], path: Path) -> None:
    """As a whole or not at all, so that an interruption loses no earlier point."""
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(json.dumps(document, indent=1) + "\n")
    temporary.replace(path)


# ------------------------------------------------------------------------------------- report


@dataclass(frozen=True)
class Summary:
    """The medians of a point over its processes; None for what was not reached."""

    value: int
    building: float | None  # seconds
    first_step: float | None  # seconds
    step: float | None  # milliseconds
    memory: float | None  # MB
    stopped: str

    @property
    def compiling(self) -> float | None:
        """Seconds that the first step takes more than any other: tracing and compiling."""
        if self.first_step is None or self.step is None:
            return None
        return self.first_step - self.step / 1e3


def summaries(document: dict[str, Any], sweep: str) -> list[Summary]:
    values = sorted({run["value"] for run in document["runs"] if run["sweep"] == sweep})
    return [summary(value, runs_of(document, sweep, value)) for value in values]


def summary(value: int, runs: list[Run]) -> Summary:
    def median(name: str, unit: float = 1.0) -> float | None:
        found = [run[name] for run in runs if name in run]
        if not found:
            return None
        numbers = [statistics.median(x) if isinstance(x, list) else x for x in found]
        return statistics.median(numbers) / unit

    return Summary(
        value,
        median("building_s"),
        median("first_step_s"),
        median("steps_s", 1e-3),
        median("memory_bytes", 1e6),
        next((run["stopped"] for run in runs if run["stopped"]), ""),
    )


def report(document: dict[str, Any]) -> str:
    """The tables, in Markdown, and whether compiling is flat."""
    parts = []
    heading = ("building, s", "first step, s", "compiling, s", "a step, ms", "memory, MB", "")
    for sweep in SWEEPS:
        found = summaries(document, sweep)
        rows = []
        for s in found:
            cells = (s.building, s.first_step, s.compiling, s.step, s.memory)
            rows.append((str(s.value), *map(shown, cells), s.stopped))
        if rows:
            parts.append(table((sweep, *heading), rows))
        if sweep in ("depth", "steps"):
            parts += flatness(sweep, found)
    return "\n".join(parts)


def flatness(sweep: str, found: list[Summary]) -> list[str]:
    """Compiling at the largest value relative to the others, and a verdict."""
    times = {s.value: s.compiling for s in found if s.compiling is not None}
    if len(times) < 2:
        return []
    *smaller, largest = sorted(times)
    ratios = {value: times[largest] / times[value] for value in smaller}
    text = ", ".join(f"{ratio:.2f} (of that at {value})" for value, ratio in ratios.items())
    lines = [f"Compiling at {sweep} {largest}: {text}."]
    if (ratio := ratios.get(largest // 100)) is not None:
        verdict = "flat" if ratio <= FLAT else "NOT FLAT"
        lines.append(f"For 100 times the {sweep}: {ratio:.2f}, at most {FLAT:g}: {verdict}")
    return ["\n".join(lines) + "\n"]


# --------------------------------------------------------------------------------------- plot

ROWS = {
    "building": "building, s",
    "compiling": "compiling, s\n(first step - a step)",
    "step": "a training step, ms",
    "memory": "peak memory of training\nabove that before it, MB",
}
COLUMNS = {
    "depth": "depth\n(RKStack, rk4, width 8)",
    "steps": "steps\n(RKResidual, rk4, width 8)",
    "stages": "evaluated stages\n(RKStack, depth 50, width 8)",
    "width": "width\n(RKStack, rk4, depth 10)",
}
NAMES = {"jax": "JAX", "tensorflow": "TensorFlow", "torch": "PyTorch"}
COLORS = {"jax": "tab:blue", "tensorflow": "tab:orange", "torch": "tab:red"}


def draw(documents: list[dict[str, Any]]) -> Any:
    from matplotlib.figure import Figure

    measured = {run["sweep"] for document in documents for run in document["runs"]}
    columns = {sweep: title for sweep, title in COLUMNS.items() if sweep in measured}
    figure = Figure(figsize=(3 * len(columns) + 1, 11.5), layout="constrained")
    figure.suptitle(f"batches of {BATCH}; {' / '.join(sorted(set(map(conditions, documents))))}")
    panels = figure.subplots(len(ROWS), len(columns), sharex="col", sharey="row", squeeze=False)
    for row, (quantity, unit) in enumerate(ROWS.items()):
        for column, (sweep, title) in enumerate(columns.items()):
            axes = panels[row, column]
            for document in documents:
                draw_line(axes, document, sweep, quantity)
            prepare(axes, sweep)
            if column == 0:
                axes.set_ylabel(unit)
            if row == 0:
                axes.set_title(title, fontsize=11)
            if row == len(ROWS) - 1:
                axes.set_xlabel(sweep)
    for row in panels:
        at_least_two_decades(row[0])
        for axes in row:
            draw_proportion(axes)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


def conditions(document: dict[str, Any]) -> str:
    clock = {"wall": "wall time", "cpu": "CPU time"}[document["clock"]]
    return f"{clock}, device: {document['device']}"


def series_name(document: dict[str, Any]) -> str:
    backend, jit_compile = document["backend"], document["jit_compile"]
    name = f"{NAMES[backend]} {document['version']}"
    return name if jit_compile == usual_jit(backend) else f"{name}, jit_compile: {jit_compile}"


def draw_line(axes: Any, document: dict[str, Any], sweep: str, quantity: str) -> None:
    found = summaries(document, sweep)
    points = [(s.value, getattr(s, quantity)) for s in found]
    points = [(value, y) for value, y in points if y is not None and y > 0]
    is_usual = document["jit_compile"] == usual_jit(document["backend"])
    axes.plot(
        [value for value, _ in points],
        [y for _, y in points],
        marker="o",
        markersize=4,
        linestyle="-" if is_usual else "--",
        color=COLORS[document["backend"]],
        label=series_name(document),
    )
    reached = {value for value, _ in points}
    for s in found:
        if s.stopped and s.value not in reached:
            axes.annotate(
                f"{NAMES[document['backend']]} {s.value:,}: {s.stopped[:12]}",
                (0.03, 0.97 - 0.08 * list(NAMES).index(document["backend"])),
                xycoords="axes fraction",
                va="top",
                fontsize=8,
                color=COLORS[document["backend"]],
            )
            break  # the ones after it, too


def prepare(axes: Any, sweep: str) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

    axes.set_xscale("log")
    axes.set_yscale("log")
    values = [point.value for point in SWEEPS[sweep]]
    crowded = (11, 13, 512)  # no room for these labels
    axes.xaxis.set_major_locator(FixedLocator([x for x in values if x not in crowded]))
    axes.xaxis.set_minor_locator(NullLocator())
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.3)


def at_least_two_decades(axes: Any) -> None:
    """So that what is flat looks flat."""
    bottom, top = axes.get_ylim()
    if top < 100 * bottom:
        middle = (bottom * top) ** 0.5
        axes.set_ylim(middle / 10, middle * 10)


def draw_proportion(axes: Any) -> None:
    """A line of growth in proportion, through the largest last value."""
    ends = [line.get_xydata()[-1] for line in axes.get_lines() if len(line.get_xydata())]
    if not ends:
        return
    (left, right), limits = axes.get_xlim(), axes.get_ylim()
    x, y = max(ends, key=lambda end: end[1])
    axes.plot(
        [left, right],
        [y * left / x, y * right / x],
        color="0.6",
        linestyle=":",
        linewidth=1,
        zorder=1,
        label="in proportion",
    )
    axes.set_xlim(left, right)
    axes.set_ylim(limits)


# -------------------------------------------------------------------------------- command line


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--sweeps", nargs="+", choices=SWEEPS, default=list(SWEEPS), metavar="NAME")
    add("--rounds", type=int, default=9, help="samples of a step in each process (default 9)")
    add("--processes", type=int, help="new processes for each point (default 3, quick: 1)")
    add("--clock", choices=CLOCKS, default="wall", help="cpu: on a busy machine")
    add("--quick", action="store_true", help="three points of each sweep, one process each")
    add("--limit-seconds", type=float, default=120, help="for each process (default 120)")
    add("--json", type=Path, metavar="FILE", help="keep all figures there, and go on from there")
    add("--plot", type=Path, metavar="FILE", help="draw a picture")
    add("--plot-from", type=Path, nargs="+", metavar="FILE", help="measure nothing, draw these")
    add(
        "--jit-compile",
        choices=("yes", "no"),
        default=usual_jit(BACKEND),
        help="of model.compile (default: yes on JAX and TensorFlow, no on PyTorch)",
    )
    add("--point", nargs=2, help=argparse.SUPPRESS)  # in a process of its own
    options = parser.parse_args()
    options.processes = options.processes or (1 if options.quick else 3)
    if options.plot_from and not options.plot:
        parser.error("--plot-from needs --plot FILE")
    return options


def main() -> None:
    options = arguments()
    if options.point:
        sweep, value = options.point
        point = next(p for p in SWEEPS[sweep] if p.value == int(value))
        for found in measure(point, options):
            print(json.dumps(found), flush=True)
        return
    if options.plot_from:
        documents = [json.loads(path.read_text()) for path in options.plot_from]
    else:
        document = new_document(options)
        run_sweeps(document, options)
        documents = [document]
        print(json.dumps(document["environment"], indent=1), "\n")
        print(f"{series_name(document)}, batches of {BATCH}, {options.clock} time. Medians: of")
        print(f"new processes, {options.processes} for each point; of samples of a step in each,")
        print(f"{options.rounds}.\n")
        print(report(document))
    if options.plot:
        draw(documents).savefig(options.plot, dpi=110)


if __name__ == "__main__":
    main()
