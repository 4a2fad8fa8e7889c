"""What it costs to convert a model, and what a converted one costs.

    building      the model by `keras.applications`, with random weights
    converting    it by `keras_rk.convert_residuals`, to Euler and to RK4; target: 3 times as long
    training      one step (`train_on_batch`) of a ResNet for images of 32 x 32 pixels, and of its
                  conversion to Euler, dt = 1, which computes the same; target: 1.05 times as long

    KERAS_BACKEND=jax python examples/benchmarks/conversion.py
    KERAS_BACKEND=torch python examples/benchmarks/conversion.py --models ResNet50 --rounds 20

All in one process and in turns, on one thread, by CPU time unless `--clock wall`.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from timing import Clock, environment, median_ms, progress  # before NumPy: it takes one thread

import keras  # isort: skip
import numpy as np  # isort: skip
from keras import layers  # isort: skip

import keras_rk  # isort: skip

CLOCKS: dict[str, Clock] = {"cpu": time.process_time, "wall": time.perf_counter}


def conversions(name: str, tableaux: list[str], clock: Clock) -> dict[str, Any]:
    """Seconds to build a network and to convert it."""
    start = clock()
    make = getattr(keras.applications, name)
    model = make(weights=None, input_shape=(96, 96, 3), classes=10)
    row: dict[str, Any] = {"model": name, "build": clock() - start}
    for tableau in tableaux:
        start = clock()
        _, report = keras_rk.convert_residuals(model, tableau, verbose=0)
        row[tableau] = clock() - start
    return {**row, "blocks": len(report.converted)}


def resnet(depth: int = 4, channels: int = 16) -> keras.Model:
    inputs = keras.Input((32, 32, 3))
    y = layers.Conv2D(channels, 3, padding="same")(inputs)
    for _ in range(depth):
        f = layers.Conv2D(channels, 3, padding="same", use_bias=False)(y)
        f = layers.Activation("relu")(layers.BatchNormalization()(f))
        f = layers.Conv2D(channels, 3, padding="same", use_bias=False)(f)
        f = layers.BatchNormalization()(f)
        y = layers.Activation("relu")(layers.Add()([y, f]))
    return keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(y)))


def training(rounds: int, steps: int, clock: Clock) -> dict[str, Any]:
    """Milliseconds for a training step of a network and of its conversion, in turns."""
    model = resnet()
    converted, _ = keras_rk.convert_residuals(model, "euler", copy_weights=True, verbose=0)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(32, 32, 32, 3)).astype("float32"), rng.integers(0, 10, 32)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    seconds: dict[str, list[float]] = {"as given": [], "converted": []}
    models = dict(zip(seconds, (model, converted), strict=True))
    for one in models.values():
        one.compile("adam", loss)
        for _ in range(3):
            one.train_on_batch(x, y)
    for number in range(rounds):
        for name, one in models.items():
            progress(f"training: {number + 1}/{rounds} {name}")
            start = clock()
            for _ in range(steps):
                one.train_on_batch(x, y)
            seconds[name].append((clock() - start) / steps)
    ratios = [two / one for one, two in zip(*seconds.values(), strict=True)]
    return {
        **{name: median_ms(samples) for name, samples in seconds.items()},
        "ratio": float(np.median(ratios)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="*", default=["ResNet152V2", "EfficientNetV2L"])
    parser.add_argument("--tableaux", nargs="*", default=["euler", "rk4"])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=10, help="training steps in a sample")
    parser.add_argument("--clock", choices=list(CLOCKS), default="cpu")
    parser.add_argument("--json", help="a file for the figures")
    arguments = parser.parse_args()
    clock = CLOCKS[arguments.clock]
    rows = []
    print(f"Keras on {keras.backend.backend()}, seconds ({arguments.clock})\n")
    print(f"| model | blocks | building | {' | '.join(arguments.tableaux)} | longest / building |")
    print(f"|---|---|---|{'---|' * len(arguments.tableaux)}---|")
    for name in arguments.models:
        row = conversions(name, arguments.tableaux, clock)
        rows.append(row)
        times = [row[one] for one in arguments.tableaux]
        shown = [f"{seconds:.2f}" for seconds in (row["build"], *times)]
        ratio = max(times) / row["build"]
        print(f"| {name} | {row['blocks']} | {' | '.join(shown)} | {ratio:.2f} |", flush=True)
        keras.utils.clear_session()
    step = training(arguments.rounds, arguments.steps, clock)
    print(
        f"\ntraining step: {step['as given']:.2f} ms as given, {step['converted']:.2f} ms "
        f"converted, median ratio {step['ratio']:.3f}"
    )
    if arguments.json:
        figures = {"conversion": rows, "training": step}
        about = environment("keras", "keras-rk", "tensorflow", "jax", "torch", "numpy")
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump({**about, **figures}, file, indent=1)


if __name__ == "__main__":
    main()
