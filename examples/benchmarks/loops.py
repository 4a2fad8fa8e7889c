"""One loop over blocks beside the same blocks as single layers, for every f that keeps its shape.

    KERAS_BACKEND=jax python examples/benchmarks/loops.py --quick
    KERAS_BACKEND=tensorflow python examples/benchmarks/loops.py --only Conv2D "Conv2D, depthwise"
    KERAS_BACKEND=jax python examples/benchmarks/loops.py --before ../keras-rk-0.2.0

A step of `fit` of `RKStack(f, 8, "heun2")` (batch 8, SGD, mean squares), divided by that of the 8
layers of `stack.unstack()`, which start from the same weights; XLA on JAX and TensorFlow, eager on
PyTorch. Both are in one process and take turns. Their losses must agree.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from timing import environment, progress, table

IMAGE, SEQUENCE, VOLUME, VECTOR = (32, 32, 32), (64, 64), (8, 16, 16, 16), (128,)
CASES: dict[str, tuple[Callable[[Any], Any], tuple]] = {
    # name: f, made of `keras.layers`; the shape of y
    "Conv2D": (lambda k: k.Conv2D(32, 3, padding="same"), IMAGE),
    "Conv2D, batch normalization, relu": (
        lambda k: [k.Conv2D(32, 3, padding="same"), k.BatchNormalization(), k.ReLU()],
        IMAGE,
    ),
    "Conv2D(16), batch normalization, relu": (
        lambda k: [k.Conv2D(16, 3, padding="same"), k.BatchNormalization(), k.ReLU()],
        (32, 32, 16),
    ),
    "Conv2D, two, tanh": (
        lambda k: [k.Conv2D(32, 3, padding="same", activation="tanh") for _ in range(2)],
        IMAGE,
    ),
    "Conv2D, 1 x 1": (lambda k: k.Conv2D(32, 1), IMAGE),
    "Conv2D, 5 x 5": (lambda k: k.Conv2D(32, 5, padding="same"), IMAGE),
    "Conv2D, dilated": (lambda k: k.Conv2D(32, 3, padding="same", dilation_rate=2), IMAGE),
    "Conv2D, 4 groups": (lambda k: k.Conv2D(32, 3, padding="same", groups=4), IMAGE),
    "Conv2D, channels first": (
        lambda k: k.Conv2D(32, 3, padding="same", data_format="channels_first"),
        IMAGE,
    ),
    "Conv2DTranspose": (lambda k: k.Conv2DTranspose(32, 3, padding="same"), IMAGE),
    "Conv2D down, Conv2DTranspose up": (
        lambda k: [
            k.Conv2D(32, 3, 2, padding="same"),
            k.Conv2DTranspose(32, 3, 2, padding="same"),
        ],
        IMAGE,
    ),
    "SeparableConv2D": (lambda k: k.SeparableConv2D(32, 3, padding="same"), IMAGE),
    "DepthwiseConv2D": (lambda k: k.DepthwiseConv2D(3, padding="same"), IMAGE),
    "DepthwiseConv2D, 7 x 7": (lambda k: k.DepthwiseConv2D(7, padding="same"), IMAGE),
    "DepthwiseConv2D, channels first": (
        lambda k: k.DepthwiseConv2D(3, padding="same", data_format="channels_first"),
        IMAGE,
    ),
    "a block of MobileNet": (
        lambda k: [
            k.Conv2D(64, 1),
            k.DepthwiseConv2D(3, padding="same"),
            k.Conv2D(32, 1),
            k.BatchNormalization(),
        ],
        IMAGE,
    ),
    "Conv1D": (lambda k: k.Conv1D(64, 3, padding="same"), SEQUENCE),
    "Conv1D, causal": (lambda k: k.Conv1D(64, 3, padding="causal"), SEQUENCE),
    "Conv1DTranspose": (lambda k: k.Conv1DTranspose(64, 3, padding="same"), SEQUENCE),
    "SeparableConv1D": (lambda k: k.SeparableConv1D(64, 3, padding="same"), SEQUENCE),
    "DepthwiseConv1D": (lambda k: k.DepthwiseConv1D(3, padding="same"), SEQUENCE),
    "Conv3D": (lambda k: k.Conv3D(16, 3, padding="same"), VOLUME),
    "Conv3DTranspose": (lambda k: k.Conv3DTranspose(16, 3, padding="same"), VOLUME),
    "ConvLSTM1D": (
        lambda k: k.ConvLSTM1D(16, 3, padding="same", return_sequences=True),
        (8, 16, 16),
    ),
    "ConvLSTM2D": (
        lambda k: k.ConvLSTM2D(8, 3, padding="same", return_sequences=True),
        (8, 16, 16, 8),
    ),
    "AveragePooling2D": (lambda k: k.AveragePooling2D(3, 1, padding="same"), IMAGE),
    "MaxPooling2D": (lambda k: k.MaxPooling2D(3, 1, padding="same"), IMAGE),
    "Dense": (lambda k: k.Dense(128), VECTOR),
    "EinsumDense": (lambda k: k.EinsumDense("abc,cd->abd", output_shape=(None, 64)), SEQUENCE),
    "TimeDistributed Dense": (lambda k: k.TimeDistributed(k.Dense(64)), SEQUENCE),
    "LSTM": (lambda k: k.LSTM(64, return_sequences=True), SEQUENCE),
    "GRU": (lambda k: k.GRU(64, return_sequences=True), SEQUENCE),
    "SimpleRNN": (lambda k: k.SimpleRNN(64, return_sequences=True), SEQUENCE),
    "Bidirectional LSTM": (
        lambda k: k.Bidirectional(k.LSTM(64, return_sequences=True), merge_mode="sum"),
        SEQUENCE,
    ),
    "MultiHeadAttention": (lambda k: attending(k, k.MultiHeadAttention(4, 16)), SEQUENCE),
    "GroupQueryAttention": (
        lambda k: attending(k, k.GroupQueryAttention(16, 4, 2)),
        SEQUENCE,
    ),
    "BatchNormalization": (lambda k: k.BatchNormalization(), IMAGE),
    "GroupNormalization": (lambda k: k.GroupNormalization(8), IMAGE),
    "LayerNormalization": (lambda k: k.LayerNormalization(), IMAGE),
    "RMSNormalization": (lambda k: k.RMSNormalization(), IMAGE),
    "LayerNormalization, Dense": (lambda k: [k.LayerNormalization(), k.Dense(64)], SEQUENCE),
    "PReLU": (lambda k: k.PReLU(shared_axes=(1, 2)), IMAGE),
    "Dropout, Dense": (lambda k: [k.Dropout(0.1), k.Dense(64)], SEQUENCE),
    "Dropout with a seed, Dense": (lambda k: [k.Dropout(0.1, seed=1), k.Dense(64)], SEQUENCE),
}
QUICK = ("Conv2D", "Conv2D, batch normalization, relu", "DepthwiseConv2D", "Conv1D", "Dense")


def attending(k: Any, attention: Any) -> Any:
    """Attention of a sequence to itself, as a layer with one input."""
    import keras

    y = keras.Input(SEQUENCE)
    return keras.Model(y, attention(y, y))


class Pair:
    """A stack and its blocks as single layers, each in a compiled model."""

    def __init__(self, name: str, options: argparse.Namespace) -> None:
        depth, method, self.batch = options.depth, options.method, options.batch
        self.clock = process_time if options.clock == "cpu" else perf_counter
        import keras
        import numpy as np

        from keras_rk.layers import RKStack

        make, shape = CASES[name]
        keras.utils.set_random_seed(0)
        f = make(keras.layers)
        f = keras.Sequential(f) if isinstance(f, list) else f
        stack = RKStack(f, depth, method, 1 / depth)
        stack.build((None, *shape))
        blocks = stack.unstack()
        self.data = (
            np.random.default_rng(1).normal(size=(2, options.batch, *shape)).astype("float32")
        )
        self.models = {}
        for kind, layers in {"stack": [stack], "layers": blocks}.items():
            model = keras.Sequential([keras.Input(shape), *layers])
            compiled = keras.backend.backend() != "torch"
            model.compile(keras.optimizers.SGD(1e-3), "mse", jit_compile=compiled)
            self.models[kind] = model

    def fit(self, kind: str, steps: int) -> float:
        """Seconds for each step of one epoch."""
        import numpy as np

        x, y = (np.concatenate([part] * steps) for part in self.data)
        start = self.clock()
        history = self.models[kind].fit(x, y, self.batch, verbose=0, shuffle=False)
        seconds = (self.clock() - start) / steps
        self.loss = history.history["loss"][0]
        return seconds

    def measure(self, rounds: int, sample_seconds: float) -> dict[str, Any]:
        import keras

        losses, first, steps = {}, {}, {}
        for kind in self.models:
            keras.utils.set_random_seed(1)  # both draw the same
            first[kind] = self.fit(kind, 1)
            losses[kind] = self.loss
            once = self.fit(kind, 2)
            steps[kind] = max(2, min(200, round(sample_seconds / once)))
        if abs(losses["stack"] - losses["layers"]) > 1e-4 * abs(losses["layers"]):
            raise RuntimeError(f"The losses differ: {losses}")
        seconds: dict[str, list] = {kind: [] for kind in self.models}
        for _ in range(rounds):
            for kind in self.models:
                seconds[kind].append(self.fit(kind, steps[kind]))
        ratios = [a / b for a, b in zip(seconds["stack"], seconds["layers"], strict=True)]
        return {
            "ratio": statistics.median(ratios),
            "best": min(seconds["stack"]) / min(seconds["layers"]),
            **{f"{kind} ms": 1e3 * statistics.median(x) for kind, x in seconds.items()},
            "first step": first["stack"] / first["layers"],
        }


def measured(options: argparse.Namespace, name: str) -> dict[str, Any]:
    try:
        return Pair(name, options).measure(options.rounds, options.sample_seconds)
    except Exception as error:  # a layer that a backend does not run: the others go on
        return {"error": f"{type(error).__name__}: {str(error).splitlines()[0][:100]}"}


def earlier(options: argparse.Namespace, name: str) -> dict[str, Any]:
    """The same with another version of the package, in a process of its own."""
    command = [sys.executable, __file__, "--only", name, "--json", "-"]
    for option in ("batch", "clock", "depth", "method", "rounds", "sample_seconds"):
        command += [f"--{option.replace('_', '-')}", str(getattr(options, option))]
    path = os.pathsep.join([str(Path(options.before).resolve()), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    try:
        return json.loads(done.stdout.splitlines()[-1])["results"][name]
    except (IndexError, ValueError):
        return {"error": done.stderr[-200:]}


def shown(result: dict[str, Any] | None) -> tuple[str, ...]:
    if result is None:
        return ("", "", "")
    if "error" in result:
        return ("", "", result["error"])
    return (
        f"{result['ratio']:.2f}",
        f"{result['best']:.2f}",
        f"{result['stack ms']:.3g} / {result['layers ms']:.3g}",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="*", metavar="CASE", help="names of cases")
    parser.add_argument("--quick", action="store_true", help="five cases, three rounds")
    parser.add_argument("--before", metavar="FOLDER", help="an earlier version, measured as well")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--depth", type=int, default=8)
    parser.add_argument("--method", default="heun2")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--sample-seconds", type=float, default=0.3)
    parser.add_argument(
        "--clock", choices=("wall", "cpu"), default="wall", help="cpu: of all threads"
    )
    parser.add_argument("--json", metavar="FILE", help="where to write all figures; - is stdout")
    options = parser.parse_args()
    options.rounds = options.rounds or (3 if options.quick else 7)
    names = options.only or (QUICK if options.quick else list(CASES))
    results, before = {}, {}
    for name in names:
        progress(name)
        results[name] = measured(options, name)
        if options.before:
            before[name] = earlier(options, name)
        if options.json != "-":
            print(name, *shown(results[name]), *shown(before.get(name)), sep=" | ", flush=True)
    progress("")
    import keras

    about = environment("keras", "jax", "tensorflow", "torch", used="all used, no accelerator")
    about["backend"] = keras.backend.backend()
    everything = {"environment": about, "results": results, "before": before}
    if options.json == "-":
        print(json.dumps(everything))
        return
    if options.json:
        Path(options.json).write_text(json.dumps(everything, indent=1))
    print(json.dumps(about))
    heading = ("f", "stack / layers", "of the best", "ms")
    if before:
        heading += ("before", "of the best", "ms")
    rows = [
        (name, *shown(results[name]), *(shown(before[name]) if before else ())) for name in results
    ]
    print(table(heading, rows))


if __name__ == "__main__":
    main()
