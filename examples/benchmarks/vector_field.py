"""What RKResidual costs around a vector field that is worth it, forward and backward.

    KERAS_BACKEND=jax python examples/benchmarks/vector_field.py [--quick] [--json FILE]

README.md says what is measured. One process; the contestants take turns, round by round. Compare
ratios, not times.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import sys
from pathlib import Path
from time import perf_counter, process_time
from types import ModuleType
from typing import Any

os.environ.setdefault("NPROC", "1")  # threads of JAX on the CPU
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import timing  # before NumPy
from vector_field_cases import CASES, Problem
from vector_field_entries import BARE, BY_HAND, OURS, Entry

CLOCKS = {"wall": perf_counter, "cpu": process_time}
# Largest relative difference between answers. Products of float32 on a GPU may be TF32.
TOLERANCE = {("float32", False): 1e-4, ("float32", True): 1e-2}
TOLERANCE_HALF = 0.1


def relative_error(found: list, expected: list) -> float:
    """The largest difference in any array, relative to the largest number in it."""
    import numpy as np

    if [x.shape for x in found] != [x.shape for x in expected]:
        return float("inf")
    pairs = zip(found, expected, strict=True)
    errors = [float(np.abs(a - b).max() / np.abs(b).max()) for a, b in pairs]
    return max(errors) if np.isfinite(errors).all() else float("inf")


def prepare(entries: list[Entry], tolerance: float, options: argparse.Namespace) -> None:
    """First calls; whoever computes something else than the code written by hand is out."""
    answers = {}
    for entry in entries:
        timing.progress(f"first call of {entry.name}")
        answers[entry.name] = entry.start(options.sample_seconds, options.limit_seconds)
    hand = [e.name for e in entries if e.role == BY_HAND and answers[e.name] is not None]
    for entry in entries:
        answer = answers[entry.name]
        if answer is None or entry.role == BARE:
            continue
        entry.error = relative_error(answer, answers[hand[0]]) if hand else float("inf")
        if entry.error > tolerance:
            entry.stopped = f"differs by {entry.error:.1e}, not timed"


def ratio(numerator: Entry, denominator: Entry) -> float:
    """The median over the rounds: both ran within the same second or two."""
    pairs = zip(numerator.seconds, denominator.seconds, strict=True)
    return statistics.median(a / b for a, b in pairs)


def fastest(entries: list[Entry], role: str, group: str) -> Entry | None:
    able = [e for e in entries if (e.role, e.group) == (role, group) and e.median_ms is not None]
    return min(able, key=lambda entry: entry.median_ms, default=None)


def compared(a: Entry | None, b: Entry | None, text: str, target: float | None) -> list[dict]:
    """a / b with its target, if both were timed."""
    if a is None or b is None:
        return []
    value = ratio(a, b)
    met = None if target is None else value <= target if text == "at most" else value >= target
    text = "" if target is None else f"{text} {target:g}"
    return [{"compared": f"{a.name} / {b.name}", "ratio": value, "target": text, "met": met}]


def comparisons(entries: list[Entry], backend: ModuleType) -> list[dict[str, Any]]:
    """Ours against the fastest of each opponent."""
    found = []
    for group, at_most in backend.GROUPS.items():
        ours = fastest(entries, OURS, group)
        found += compared(ours, fastest(entries, BY_HAND, group), "at most", at_most)
        found += compared(ours, fastest(entries, BARE, group), "at most", None)
        for package, at_least in backend.OTHERS.items():
            found += compared(fastest(entries, package, group), ours, "at least", at_least)
    return found


def result(problem: Problem, entries: list[Entry], backend: ModuleType) -> dict[str, Any]:
    return {
        "case": problem.case,
        "method": problem.method,
        "shape": list(problem.y.shape),
        "steps": problem.steps,
        "evaluations": problem.steps * problem.evaluations,
        "comparisons": comparisons(entries, backend),
        "contestants": {
            entry.name: {
                "role": entry.role,
                "median_ms": entry.median_ms,
                "first_call_seconds": entry.first_call,
                "relative_error": entry.error,
                "runs_per_sample": entry.number,
                "seconds": entry.seconds,
                "stopped": entry.stopped,
                "x_ours": x_ours(entry, entries),
            }
            for entry in entries
        },
    }


def x_ours(entry: Entry, entries: list[Entry]) -> float | None:
    ours = fastest(entries, OURS, entry.group)
    return ratio(entry, ours) if ours and entry.median_ms is not None else None


def report(found: dict[str, Any]) -> str:
    """The tables of one case, in Markdown."""
    shape = " x ".join(map(str, found["shape"]))
    title = f"{found['case']}, {found['method']}: y is {shape}, {found['steps']} steps, "
    rows = []
    for name, entry in found["contestants"].items():
        ms = entry["stopped"] or timing.shown(entry["median_ms"])
        times = "" if entry["x_ours"] is None else f"{entry['x_ours']:.2f}"
        first = "" if entry["first_call_seconds"] is None else f"{entry['first_call_seconds']:.2g}"
        rows.append((name, ms, times, first))
    parts = [title + f"{found['evaluations']} evaluations of f\n"]
    parts.append(timing.table(("who", "ms", "x keras_rk", "first call, s"), rows))
    rows = []
    for comparison in found["comparisons"]:
        verdict = {None: "", True: ": met", False: ": NOT MET"}[comparison["met"]]
        target = comparison["target"] + verdict
        rows.append((comparison["compared"], f"{comparison['ratio']:.3f}", target))
    parts.append(timing.table(("compared", "ratio", "target"), rows))
    return "\n".join(parts)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, help="samples of each (default 9, quick: 3)")
    parser.add_argument("--quick", action="store_true", help="few and short samples")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--methods", nargs="+", metavar="NAME", help="names of keras_rk.tableaux")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--width", type=int, help="features or channels (default 256 and 16)")
    parser.add_argument("--batch", type=int, help="(default 64 and 8)")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--dt", type=float, default=0.1)
    parser.add_argument("--sample-seconds", type=float, help="(default 0.2, quick: 0.05)")
    parser.add_argument("--limit-seconds", type=float, default=120, help="for one contestant")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: on a busy machine")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    options = parser.parse_args()
    options.rounds = options.rounds or (3 if options.quick else 9)
    options.sample_seconds = options.sample_seconds or (0.05 if options.quick else 0.2)
    return options


def environment(backend: ModuleType, options: argparse.Namespace) -> dict[str, Any]:
    import keras_rk

    used = backend.device() if backend.on_gpu() else "one thread used, no accelerator"
    found = timing.environment("keras", "numpy", *backend.PACKAGES, used=used)
    found["versions"]["keras-rk"] = keras_rk.__version__
    return {**found, "dtype": options.dtype}


def main() -> None:
    options = parsed()
    import keras

    name = keras.backend.backend()
    backend = importlib.import_module(f"vector_field_{name}")
    tolerance = TOLERANCE.get((options.dtype, backend.on_gpu()), TOLERANCE_HALF)
    document: dict[str, Any] = {"backend": name, "environment": environment(backend, options)}
    document.update(rounds=options.rounds, clock=options.clock, results=[])
    print(json.dumps(document["environment"], indent=1), "\n")
    print(f"{name}: medians of {options.rounds} interleaved rounds, {options.clock} time.\n")
    for case in options.cases:
        for method in options.methods or backend.METHODS:
            problem = CASES[case].problem(case, method, options)
            entries = backend.entries(problem)
            prepare(entries, tolerance, options)
            timing.take_turns(
                f"{case}, {method}",
                entries,
                CLOCKS[options.clock],
                rounds=options.rounds,
                limit=options.limit_seconds,
                budget=float("inf"),
            )
            document["results"].append(result(problem, entries, backend))
            print(report(document["results"][-1]), flush=True)
    if options.json:
        options.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
