"""A trained ResNet with another integrator: which networks can be refined without loss?

Small ResNets learn scikit-learn's images of digits (8 x 8 pixels; 1,437 for training, 360 for the
test). Then their residual connections x + F(x), steps of Euler's method for y' = F(y), become

    two half-steps of Euler's method, Heun's method, the classical Runge-Kutta method,

which evaluate F 2, 2 and 4 times as often, with the same weights: as they are, with batch
normalization recalibrated on training images, and after one more epoch. What was found, with 12
epochs and one seed (which is no ranking of methods or depths):

- ResNets with batch normalization were not refined without loss. As they were, 0.98 to 1.00 became
  0.04 to 0.29; recalibrated, 0.30 to 0.73 (half-steps), 0.28 to 0.64 (Heun) and 0.09 to 0.28 (RK4);
  after an epoch, 0.92 to 0.99, 0.91 to 0.99, and 0.54 to 0.88.
- A network whose six blocks are F / 6 without normalization went from 0.975 to 0.89, 0.78 and 0.70
  as it was; an epoch gave 0.96, 0.96 and 0.94.
- One that takes the same F six times, small steps along one vector field, lost least: from 0.90 to
  0.88, 0.88 and 0.83 as it was, with no training at all; but it had learned less, too.

So none was refined quite without loss as it was; where blocks take small steps along a smooth F,
most of what was learned survived, and with batch normalization nearly nothing did.

    post    y -> relu(y + F(y)),    F = conv, norm, relu, conv, norm      (ResNet)
    pre     y -> y + F(y),          F = norm, relu, conv, norm, relu, conv      (ResNet v2)
    small   y -> y + F(y) / depth,  F = conv, tanh, conv
    shared  the same with one F for all blocks

`python examples/convert_resnet.py` takes one to four minutes a network on two busy cores (JAX). A
network that is on disk is not trained again, so that an interrupted run can be taken up.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from spirals_results import replacing

import keras_rk

CHANNELS, BATCH = 16, 32
NETWORKS = ["post_2", "post_6", "pre_2", "pre_6", "small_6", "shared_6"]  # kind and depth
WITH_NORM = ("post", "pre")
METHODS = {  # name: the tableau, dt, steps
    "Euler": ("euler", 1, 1),  # as trained
    "half-steps": ("euler", "1/2", 2),
    "Heun": ("heun2", 1, 1),
    "RK4": ("rk4", 1, 1),
}
STATES = {"as it is": "x", "recalibrated": "o", "one epoch more": "^"}  # and their markers


def network(kind: str, depth: int) -> keras.Model:
    """A ResNet as people write it, without a Runge-Kutta layer."""
    inputs = keras.Input((8, 8, 1))
    y = keras.layers.Conv2D(CHANNELS, 3, padding="same")(inputs)
    branch = residual_branch(kind, depth)
    for block in range(1, depth + 1):
        f = branch if kind == "shared" else residual_branch(kind, depth)
        y = keras.layers.Add(name=f"block_{block}")([y, f(y)])
        y = keras.layers.Activation("relu")(y) if kind == "post" else y
    y = keras.layers.GlobalAveragePooling2D()(y)
    return keras.Model(inputs, keras.layers.Dense(10)(y), name=f"{kind}_{depth}")


def residual_branch(kind: str, depth: int) -> keras.Model:
    """F."""

    conv = functools.partial(keras.layers.Conv2D, CHANNELS, 3, padding="same")
    norm = functools.partial(keras.layers.BatchNormalization, momentum=0.9)
    relu = keras.layers.ReLU
    if kind == "post":
        parts = [conv(use_bias=False), norm(), relu(), conv(use_bias=False), norm()]
    elif kind == "pre":
        parts = [norm(), relu(), conv(use_bias=False), norm(), relu(), conv(use_bias=False)]
    else:
        parts = [conv(activation="tanh"), conv(), keras.layers.Rescaling(1 / depth)]
    return keras.Sequential([keras.Input((8, 8, CHANNELS)), *parts])


def digits(seed: int) -> list[np.ndarray]:
    """Training images, test images, and the digits on both."""
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype("float32").reshape(-1, 8, 8, 1)
    return train_test_split(images, labels, test_size=0.2, random_state=seed, stratify=labels)


def compile_for(model: keras.Model, epochs: int, rate: float) -> None:
    steps = epochs * math.ceil(1437 / BATCH)
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(rate, steps)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )


def examined(name: str, seed: int, epochs: int) -> list[dict]:
    """Trains a network, converts it, and evaluates what becomes of it."""
    keras.utils.set_random_seed(seed)
    x, x_test, y, y_test = digits(seed)
    kind, depth = name.split("_")
    model = network(kind, int(depth))
    compile_for(model, epochs, 2e-3 if kind in WITH_NORM else 1e-2)
    model.fit(x, y, batch_size=BATCH, epochs=epochs, verbose=0)
    rows = []
    for method, (tableau, dt, steps) in METHODS.items():
        converted, report = keras_rk.convert_residuals(
            model, tableau, dt, steps=steps, stacks=True, copy_weights=True, verbose=0
        )
        compile_for(converted, 1, 5e-4)
        accuracies = {"as it is": converted.evaluate(x_test, y_test, verbose=0)[1]}
        if kind in WITH_NORM:
            keras_rk.recalibrate(converted, x, verbose=0)
            accuracies["recalibrated"] = converted.evaluate(x_test, y_test, verbose=0)[1]
        converted.fit(x, y, batch_size=BATCH, epochs=1, verbose=0)
        accuracies["one epoch more"] = converted.evaluate(x_test, y_test, verbose=0)[1]
        rows.append(
            {
                "network": name,
                "seed": seed,
                "method": method,
                "evaluations": report.evaluations,
                "accuracy": accuracies,
            }
        )
    return rows


def table(rows: list[dict]) -> str:
    """Means over the seeds, as Markdown."""
    lines = [
        f"| network | method | evaluations of F | {' | '.join(STATES)} |",
        "|---|---|---|---|---|---|",
    ]
    groups: dict[tuple, list[dict]] = {}
    for row in rows:
        key = row["network"], row["method"], row["evaluations"]
        groups.setdefault(key, []).append(row["accuracy"])
    for key, accuracies in groups.items():
        means = [
            f"{np.mean([one[state] for one in accuracies]):.3f}" if state in accuracies[0] else ""
            for state in STATES
        ]
        lines.append(f"| {' | '.join(map(str, key))} | {' | '.join(means)} |")
    return "\n".join(lines)


def plot(rows: list[dict], path: Path) -> None:
    """Accuracy against evaluations of F, a panel for each network."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(row["network"] for row in rows))
    figure = Figure(figsize=(9.6, 2.9 * math.ceil(len(names) / 3)), layout="constrained")
    grid = figure.subplots(math.ceil(len(names) / 3), 3, squeeze=False, sharey=True)
    panels = list(grid.flat)
    for axes, name in zip(panels, names, strict=False):
        found = [row for row in rows if row["network"] == name]
        for (state, marker), shift in zip(STATES.items(), (-0.18, 0, 0.18), strict=True):
            points = [
                (list(METHODS).index(row["method"]) + shift, row["accuracy"][state])
                for row in found
                if state in row["accuracy"]
            ]
            axes.plot(*np.reshape(points, (-1, 2)).T, marker, label=state, alpha=0.8)
        trained = [row["accuracy"]["as it is"] for row in found if row["method"] == "Euler"]
        axes.axhline(np.mean(trained), color="gray", linewidth=1, linestyle=":", label="as trained")
        counts = {row["method"]: row["evaluations"] for row in found}
        axes.set_xticks(range(len(METHODS)), [f"{m}\n{counts[m]}" for m in METHODS], fontsize=7)
        axes.set_ylim(0, 1.03)
        axes.set_title(name.replace("_", ", depth "), fontsize=9)
    for axes in panels[len(names) :]:
        axes.remove()
    figure.supylabel("test accuracy", fontsize=9)
    figure.supxlabel("method, and evaluations of F for an image", fontsize=9)
    panels[len(names) - 1].legend(fontsize=7, loc="lower left")
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=110)


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("convert_resnet"))
    parser.add_argument("--networks", nargs="+", default=NETWORKS, help="kind and depth: post_2")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=12)
    arguments = parser.parse_args(given)
    rows = []
    for seed in range(arguments.seeds):
        for name in arguments.networks:
            path = arguments.results / f"{name}_{arguments.epochs}_{seed}.json"
            if not path.exists():
                start = time.perf_counter()
                found = examined(name, seed, arguments.epochs)
                with replacing(path) as temporary:
                    temporary.write_text(json.dumps(found, indent=1))
                keras.utils.clear_session()
                print(f"{name}, seed {seed}: {time.perf_counter() - start:.0f} s", flush=True)
            rows += json.loads(path.read_text())
    print(table(rows))
    plot(rows, arguments.results / "convert_resnet.png")


if __name__ == "__main__":
    main()
