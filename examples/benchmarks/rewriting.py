"""What each rewriting of PyTorch's traced loops buys: the same loop with one of them left out.

    KERAS_BACKEND=torch python examples/benchmarks/rewriting.py [--quick] [--rounds 9] [--json FILE]

One training step forwards and backwards, of the layers that stack.py and vector_field.py measure,
on one thread. All variants stand in one process and take turns; a figure is the median over the
rounds of the ratio to the loop with all rewritings, by CPU time. keras_rk/loops/__init__.py says
what came of it: what buys less than 5 % in every case is not kept.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from collections.abc import Callable
from contextlib import ExitStack
from time import process_time
from typing import Any
from unittest import mock

from timing import THREADS, environment, progress, table  # first: it keeps NumPy to one thread

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
import torch

from keras_rk.layers import RKResidual, RKStack
from keras_rk.loops import torch_calls, torch_fusions, torch_graphs

EVERYTHING = "all rewritings"


def nothing(*_: Any, **__: Any) -> None:
    """In the place of a rewriting."""


# What is left out, and what stands in the place of which function of which module.
VARIANTS: dict[str, list[tuple[Any, str, Callable]]] = {
    EVERYTHING: [],
    "writes in place": [(torch_graphs, "drop_writes", nothing)],
    "equal operations": [(torch_graphs, "_merge_equal", nothing)],
    "copies": [(torch_graphs, "_drop_copies", nothing)],
    "views": [(torch_graphs, "_drop_views", nothing)],
    "biases": [(torch_fusions, "_fuse_biases", nothing)],
    "multiples": [(torch_fusions, "_fuse_multiples", nothing)],
    "direct calls": [(torch_calls, "call_directly", nothing)],
}


# ------------------------------------------------------------------------------------------ cases


def stack(method: str) -> tuple[Any, np.ndarray]:
    """The blocks of stack.py."""
    f = keras.layers.Dense(8, activation="tanh")
    layer = RKStack(f, 50, method, after=keras.layers.BatchNormalization(), seed=0)
    return layer, np.random.default_rng(0).normal(size=(32, 8))


def dense(policy: str) -> tuple[Any, np.ndarray]:
    """The dense vector field of vector_field.py."""
    f = [keras.layers.Dense(256, activation="tanh"), keras.layers.Dense(256)]
    return steps(f, policy), np.random.default_rng(0).normal(size=(64, 256))


def convolution(policy: str) -> tuple[Any, np.ndarray]:
    """The convolutional vector field of vector_field.py."""
    first = keras.layers.Conv2D(16, 3, padding="same", activation="tanh")
    f = [first, keras.layers.Conv2D(16, 3, padding="same")]
    return steps(f, policy), np.random.default_rng(0).normal(size=(8, 16, 16, 16))


def steps(layers: list, policy: str) -> Any:
    for layer in layers:
        layer.dtype_policy = policy
    return RKResidual(keras.Sequential(layers), "rk4", dt=0.1, steps=10, dtype=policy)


CASES: dict[str, Callable[[], tuple[Any, np.ndarray]]] = {
    "stack, euler": lambda: stack("euler"),
    "stack, rk4": lambda: stack("rk4"),
    "stack, rk8": lambda: stack("rk8"),
    "dense": lambda: dense("float32"),
    "dense, bfloat16": lambda: dense("mixed_bfloat16"),
    "convolution": lambda: convolution("float32"),
    "convolution, bfloat16": lambda: convolution("mixed_bfloat16"),
}


def training_step(case: str, variant: str) -> Callable[[], None]:
    """Forwards and backwards through a layer that was traced without one rewriting."""
    keras.utils.set_random_seed(0)
    layer, x = CASES[case]()
    y = keras.ops.convert_to_tensor(x.astype("float32"))

    def step() -> None:
        for variable in layer.trainable_weights:
            variable.value.grad = None
        keras.ops.mean(keras.ops.square(layer(y, training=True))).backward()

    with ExitStack() as patches:
        for module, name, instead in VARIANTS[variant]:
            patches.enter_context(mock.patch.object(module, name, instead))
        step()  # it traces
    return step


def measured(case: str, variants: list[str], rounds: int) -> dict[str, dict[str, Any]]:
    """For each variant its seconds, round by round, and the ratio to that with everything."""
    runs = {variant: training_step(case, variant) for variant in variants}
    seconds: dict[str, list[float]] = {variant: [] for variant in variants}
    for number in range(rounds + 1):
        for variant, run in runs.items():
            progress(f"{case}: {number}/{rounds} {variant}")
            start = process_time()
            for _ in range(REPEATS):
                run()
            if number:  # the first round warms up
                seconds[variant].append((process_time() - start) / REPEATS)
    progress("")
    whole = seconds[EVERYTHING]
    return {
        variant: {
            "seconds": found,
            "ratio": statistics.median(a / b for a, b in zip(found, whole, strict=True)),
        }
        for variant, found in seconds.items()
    }


REPEATS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--cases", nargs="*", default=list(CASES), choices=list(CASES))
    parser.add_argument("--variants", nargs="*", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--quick", action="store_true", help="three rounds of the stack with rk4")
    parser.add_argument("--json", help="where to keep every sample")
    options = parser.parse_args()
    if keras.backend.backend() != "torch":
        parser.error(f"Only PyTorch's loops are rewritten. Received: {keras.backend.backend()!r}.")
    torch.set_num_threads(int(os.environ[THREADS[0]]))
    cases, rounds = (["stack, rk4"], 3) if options.quick else (options.cases, options.rounds)
    variants = list(dict.fromkeys([EVERYTHING, *options.variants]))
    found = {case: measured(case, variants, rounds) for case in cases}
    about = environment("keras", "torch")
    print(json.dumps(about))
    print("\nWithout one rewriting, CPU time divided by that with all of them:\n")
    rows = [
        (variant, *(f"{found[case][variant]['ratio']:.2f}" for case in cases))
        for variant in variants[1:]
    ]
    whole = (statistics.median(found[case][EVERYTHING]["seconds"]) for case in cases)
    rows.append(("with all, ms", *(f"{1e3 * seconds:.1f}" for seconds in whole)))
    print(table(("without", *cases), rows))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"environment": about, "rounds": rounds, "cases": found}, file)


if __name__ == "__main__":
    main()
