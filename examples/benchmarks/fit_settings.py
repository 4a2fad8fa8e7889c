"""Ways to call `fit`: an epoch of the README's first example, of RKResidual in a small network.

    python examples/benchmarks/fit_settings.py
    KERAS_BACKEND=jax python examples/benchmarks/fit_settings.py --rounds 15 --json fit.json

All ways train the same network on the same batches in one process, and take turns; a ratio is the
median over the rounds of the ratios within a round.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import keras
import numpy as np
from timing import environment, progress, table

from keras_rk.layers import RKResidual

BACKEND = keras.backend.backend()
BATCH, SAMPLES = 32, 2048
PLAIN = "fit"


def data() -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).normal(size=(SAMPLES, 2)).astype("float32")
    return x, (x[:, :1] * x[:, 1:] > 0).astype("float32")


def network(**options: Any) -> keras.Model:
    """That of the README."""
    keras.utils.set_random_seed(0)
    f = keras.layers.Dense(8, activation="tanh")
    model = keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(8),
            RKResidual(f, tableau="rk4", dt=0.5, steps=2),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile("adam", "binary_crossentropy", **options)
    return model


def from_arrays(**options: Any) -> Callable[[], float]:
    """An epoch, and its loss."""
    model, (x, y) = network(**options), data()

    def epoch() -> float:
        history = model.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0)
        return history.history["loss"][0]

    return epoch


def from_a_dataset(**options: Any) -> Callable[[], float]:
    """The same from a `tf.data.Dataset` in memory."""
    import tensorflow as tf

    batches = tf.data.Dataset.from_tensor_slices(data()).batch(BATCH)
    model = network(**options)

    def epoch() -> float:
        return model.fit(batches, shuffle=False, verbose=0).history["loss"][0]

    return epoch


def ways() -> dict[str, Callable[[], float]]:
    """What the backend allows."""
    if BACKEND == "torch":  # one batch at a time, eager
        return {PLAIN: from_arrays(jit_compile=False)}
    several = {"steps_per_execution": 16}
    found = {PLAIN: from_arrays(), "steps_per_execution=16": from_arrays(**several)}
    if BACKEND == "tensorflow":
        compiled = {**several, "jit_compile": True}
        found["steps_per_execution=16, jit_compile"] = from_arrays(**compiled)
        found["steps_per_execution=16, tf.data"] = from_a_dataset(**several)
        found["steps_per_execution=16, jit_compile, tf.data"] = from_a_dataset(**compiled)
    return found


def measured(rounds: int) -> dict[str, list[float]]:
    """Seconds of an epoch, for each round."""
    epochs = ways()
    losses = {name: epoch() for name, epoch in epochs.items()}  # and everything is compiled
    if max(losses.values()) - min(losses.values()) > 1e-3:
        raise RuntimeError(f"The losses differ: {losses}")
    seconds: dict[str, list[float]] = {name: [] for name in epochs}
    for n in range(rounds):
        progress(f"round {n + 1}/{rounds}")
        for name, epoch in epochs.items():
            start = perf_counter()
            epoch()
            seconds[name].append(perf_counter() - start)
    progress("")
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--json", metavar="FILE", help="where to write all figures")
    options = parser.parse_args()
    seconds = measured(options.rounds)
    about = environment("keras", "jax", "tensorflow", "torch", used="all used, no accelerator")
    about["backend"] = BACKEND
    if options.json:
        figures = {"environment": about, "seconds": seconds}
        Path(options.json).write_text(json.dumps(figures, indent=1))
    print(json.dumps(about))
    rows = []
    for name, times in seconds.items():
        ratios = [ours / plain for ours, plain in zip(times, seconds[PLAIN], strict=True)]
        rows.append((name, f"{statistics.median(times):.3f}", f"{statistics.median(ratios):.2f}"))
    print(table(("an epoch", "s", f"of `{PLAIN}`"), rows))


if __name__ == "__main__":
    main()
