"""What it costs to convert a model, and what a converted one costs.

    building      the model by `keras.applications`, with random weights
    converting    it by `keras_rk.convert_residuals`, to Euler and to RK4; target: 3 times as long
    training      one step (`train_on_batch`) of a ResNet for images of 32 x 32 and of 16 x 16
                  pixels, and of its conversion to Euler, dt = 1, which computes the same; target:
                  1.05 times as long
    compiling     the first step of a deep ResNet as given, converted block by block, and with
                  `stacks=True`, whose blocks of one kind are compiled once

    KERAS_BACKEND=jax python examples/benchmarks/conversion.py
    KERAS_BACKEND=torch python examples/benchmarks/conversion.py --only training --rounds 20

All in one process and in turns, on one thread, by CPU time unless `--clock wall`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from typing import Any

from timing import Clock, environment, median_ms, progress  # before NumPy: it takes one thread

import keras  # isort: skip
import numpy as np  # isort: skip
from keras import layers  # isort: skip

import keras_rk  # isort: skip

PARTS = ("converting", "training", "compiling")
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


def resnet(pixels: int, depths: Sequence[int] = (4,), channels: int = 16) -> keras.Model:
    """ResNet's basic blocks; between groups of them, half the pixels and twice the channels."""
    inputs = keras.Input((pixels, pixels, 3))
    y = layers.Conv2D(channels, 3, padding="same")(inputs)
    for group, depth in enumerate(depths):
        width = channels * 2**group
        if group:
            y = layers.Conv2D(width, 3, strides=2, padding="same", activation="relu")(y)
        for _ in range(depth):
            f = layers.Conv2D(width, 3, padding="same", use_bias=False)(y)
            f = layers.Activation("relu")(layers.BatchNormalization()(f))
            f = layers.Conv2D(width, 3, padding="same", use_bias=False)(f)
            f = layers.BatchNormalization()(f)
            y = layers.Activation("relu")(layers.Add()([y, f]))
    return keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(y)))


def batch_of(samples: int, pixels: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(samples, pixels, pixels, 3)).astype("float32")
    return x, rng.integers(0, 10, samples)


def compiled(model: keras.Model) -> keras.Model:
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def training(pixels: int, rounds: int, steps: int, clock: Clock) -> dict[str, Any]:
    """Milliseconds for a training step of a network and of its conversion, in turns."""
    model = resnet(pixels)
    converted, _ = keras_rk.convert_residuals(model, "euler", copy_weights=True, verbose=0)
    x, y = batch_of(32, pixels)
    models = {"as given": compiled(model), "converted": compiled(converted)}
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for one in models.values():
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
        "pixels": pixels,
        **{name: median_ms(samples) for name, samples in seconds.items()},
        "ratio": float(np.median(ratios)),
    }


def compiling(depth: int, rounds: int, tableau: str, clock: Clock) -> dict[str, Any]:
    """Seconds for the first training step of a network of three groups of `depth` blocks.

    In turns, each with models that are made anew, so that nothing is compiled already.
    """
    seconds: dict[str, list[float]] = {}
    x, y = batch_of(8, 16)
    for number in range(rounds):
        given = resnet(16, (depth,) * 3, 8)
        models = {"as given": given}
        for name, stacks in (("blocks", False), ("stacks", True)):
            models[name], _ = keras_rk.convert_residuals(
                given, tableau, stacks=stacks, copy_weights=True, verbose=0
            )
        for name, one in models.items():
            progress(f"compiling: {number + 1}/{rounds} {name}")
            start = clock()
            compiled(one).train_on_batch(x, y)
            seconds.setdefault(name, []).append(clock() - start)
        keras.utils.clear_session()
    medians = {name: float(np.median(samples)) for name, samples in seconds.items()}
    return {"tableau": tableau, "depth": depth, **medians}


def show_conversions(names: list[str], tableaux: list[str], clock: Clock) -> list[dict]:
    print(f"| model | blocks | building | {' | '.join(tableaux)} | longest / building |")
    print(f"|---|---|---|{'---|' * len(tableaux)}---|")
    rows = []
    for name in names:
        row = conversions(name, tableaux, clock)
        rows.append(row)
        times = [row[one] for one in tableaux]
        shown = [f"{seconds:.2f}" for seconds in (row["build"], *times)]
        ratio = max(times) / row["build"]
        print(f"| {name} | {row['blocks']} | {' | '.join(shown)} | {ratio:.2f} |", flush=True)
        keras.utils.clear_session()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--models", nargs="*", default=["ResNet152V2", "EfficientNetV2L"])
    parser.add_argument("--tableaux", nargs="*", default=["euler", "rk4"])
    parser.add_argument("--pixels", type=int, nargs="+", default=[32, 16])
    parser.add_argument("--depth", type=int, default=18, help="blocks of a kind, for compiling")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--compilations", type=int, default=3)
    parser.add_argument("--steps", type=int, default=10, help="training steps in a sample")
    parser.add_argument("--clock", choices=list(CLOCKS), default="cpu")
    parser.add_argument("--json", help="a file for the figures")
    arguments = parser.parse_args()
    clock = CLOCKS[arguments.clock]
    figures: dict[str, list[dict]] = {part: [] for part in arguments.only}
    print(f"Keras on {keras.backend.backend()}, seconds ({arguments.clock})\n")
    if "converting" in arguments.only:
        figures["converting"] = show_conversions(arguments.models, arguments.tableaux, clock)
    for pixels in arguments.pixels if "training" in arguments.only else ():
        step = training(pixels, arguments.rounds, arguments.steps, clock)
        figures["training"].append(step)
        print(
            f"\ntraining step, {pixels} pixels: {step['as given']:.2f} ms as given, "
            f"{step['converted']:.2f} ms converted, median ratio {step['ratio']:.3f}",
            flush=True,
        )
    for tableau in arguments.tableaux if "compiling" in arguments.only else ():
        row = compiling(arguments.depth, arguments.compilations, tableau, clock)
        figures["compiling"].append(row)
        print(
            f"\nfirst step, 3 x {arguments.depth} blocks, {tableau}: {row['as given']:.1f} s as "
            f"given, {row['blocks']:.1f} s converted, {row['stacks']:.1f} s with stacks",
            flush=True,
        )
    if arguments.json:
        about = environment("keras", "keras-rk", "tensorflow", "jax", "torch", "numpy")
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump({**about, **figures}, file, indent=1)


if __name__ == "__main__":
    main()
