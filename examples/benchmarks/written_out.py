"""Few steps in a loop beside the same steps written out: why up to 16 evaluations are.

    KERAS_BACKEND=jax python examples/benchmarks/written_out.py      # or tensorflow

A step of `fit` of RKResidual(f, method, dt=1/steps, steps=steps), compiled by XLA, with the steps
in a loop divided by the same written out (`keras_rk.steps.integration.UNROLLED`); and the first
call of `fit`, which compiles. Both models are in one process and take turns.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable
from time import perf_counter
from typing import Any

import keras
import numpy as np
from timing import environment, progress, table

from keras_rk.layers import RKResidual
from keras_rk.steps import integration

K = keras.layers
IMAGE = (32, 32, 32)
CASES: dict[str, tuple[Callable[[], Any], tuple, int]] = {  # f, the shape of y, samples a batch
    "Dense(8, tanh)": (lambda: K.Dense(8, activation="tanh"), (8,), 32),
    "Dense(128, tanh)": (lambda: K.Dense(128, activation="tanh"), (128,), 32),
    "Conv2D(32, 3), relu": (
        lambda: K.Conv2D(32, 3, padding="same", activation="relu"),
        IMAGE,
        8,
    ),
    "Conv2D(32, 3), batch normalization, relu": (
        lambda: keras.Sequential(
            [K.Conv2D(32, 3, padding="same"), K.BatchNormalization(), K.ReLU()]
        ),
        IMAGE,
        8,
    ),
}
METHODS = (("heun2", 2), ("rk4", 4))  # with steps: 4 and 16 evaluations
BATCHES = 16


class Fit:
    """One of the two models."""

    def __init__(self, case: str, method: str, steps: int, unrolled: int) -> None:
        make, shape, self.batch = CASES[case]
        integration.UNROLLED = unrolled
        keras.utils.set_random_seed(0)
        layer = RKResidual(make(), method, dt=1 / steps, steps=steps)
        self.model = keras.Sequential([keras.Input(shape), layer])
        options = {"jit_compile": True, "steps_per_execution": BATCHES}
        self.model.compile(keras.optimizers.SGD(1e-3), "mse", **options)
        size = (BATCHES * self.batch, *shape)
        self.x = np.random.default_rng(1).normal(size=size).astype("float32")
        self.first = self.seconds()  # traced while UNROLLED has its value

    def seconds(self) -> float:
        start = perf_counter()
        self.model.fit(self.x, self.x, self.batch, shuffle=False, verbose=0)
        return perf_counter() - start


def compared(case: str, method: str, steps: int, rounds: int) -> tuple[str, ...]:
    loop, written = (Fit(case, method, steps, unrolled) for unrolled in (0, 16))
    pairs = []
    for n in range(rounds):
        progress(f"{case}, {method}: round {n + 1}/{rounds}")
        pairs.append((loop.seconds(), written.seconds()))
    progress("")
    ratio = statistics.median(one / other for one, other in pairs)
    times = (f"{1e3 * statistics.median(side) / BATCHES:.3g}" for side in zip(*pairs, strict=True))
    first = f"{loop.first:.2f} / {written.first:.2f}"
    return f"{case}, {method}, {steps} steps", f"{ratio:.2f}", " / ".join(times), first


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    if keras.backend.backend() == "torch":
        raise SystemExit("PyTorch has Python loops alone; set KERAS_BACKEND to jax or tensorflow.")
    rows = [
        compared(case, method, steps, options.rounds) for case in CASES for method, steps in METHODS
    ]
    about = environment("keras", "jax", "tensorflow", used="all used, no accelerator")
    print(json.dumps({**about, "backend": keras.backend.backend()}))
    print(table(("f", "loop / written out", "ms", "first, s"), rows))


if __name__ == "__main__":
    main()
