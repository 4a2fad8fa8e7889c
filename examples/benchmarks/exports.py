"""Exported stacks: as a loop, unrolled, and as the same blocks written by hand in plain Keras.

    pip install keras-rk onnx onnxruntime tf2onnx
    KERAS_BACKEND=tensorflow python examples/benchmarks/exports.py --quick

Each model is exported to ONNX and to LiteRT and executed there on one thread, all three in one
process and in turns. The figures are medians, divided by that of the blocks written by hand.
Outputs must agree.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from timing import CLOCKS, Contestant, environment, shown, table, take_turns

AT_MOST = 1.05  # unrolled, of what is written by hand
DEPTH = 16
CASES: dict[str, tuple[Callable[[Any], list], tuple]] = {
    # name: the layers of f, from `keras.layers`; the shape of y
    "Dense 8": (lambda k: [k.Dense(8, activation="tanh")], (8,)),
    "Dense 128": (lambda k: [k.Dense(128, activation="tanh")], (128,)),
    "Conv2D 16": (lambda k: [k.Conv2D(16, 3, padding="same", activation="relu")], (32, 32, 16)),
    "Dense 8, BatchNormalization": (
        lambda k: [k.Dense(8), k.BatchNormalization(), k.Activation("tanh")],
        (8,),
    ),
}
METHODS = ("euler", "heun2")
MODELS = ("loop", "unrolled", "by hand")
Run = Callable[[], Any]


def models(case: str, method: str) -> dict[str, Any]:
    """The three models, with one set of weights."""
    import keras
    import numpy as np

    from keras_rk import unroll
    from keras_rk.layers import RKStack

    make, shape = CASES[case]

    def f() -> Any:
        layers = make(keras.layers)
        return layers[0] if len(layers) == 1 else keras.Sequential(layers)

    stack = RKStack(f(), DEPTH, method, dt=1.0, state="shared")
    loop = keras.Sequential([keras.Input(shape), stack])
    rng = np.random.default_rng(0)
    for variable in loop.variables:  # statistics, too, that are not those of a new network
        noise = rng.uniform(-0.1, 0.1, variable.shape)
        variable.assign(np.asarray(variable.value) + noise)
    y = x = keras.Input(shape)
    for block in stack.unstack():
        layer = f()
        x = by_hand(keras, layer, x, method)
        layer.set_weights(block.layer.get_weights())
    return {"loop": loop, "unrolled": unroll(loop), "by hand": keras.Model(y, x)}


def by_hand(keras: Any, f: Any, y: Any, method: str) -> Any:
    """A step with dt = 1, as one writes it in Keras."""
    k1 = f(y)
    if method == "euler":
        return keras.layers.Add()([y, k1])
    k2 = f(y + k1)
    return y + (0.5 * k1 + 0.5 * k2)


def onnx(model: Any, folder: Path, x: Any) -> Run:
    import onnxruntime

    path = str(folder / f"{len(list(folder.iterdir()))}.onnx")
    model.export(path, format="onnx", verbose=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    inputs = {session.get_inputs()[0].name: x}
    return lambda: session.run(None, inputs)[0]


def litert(model: Any, folder: Path, x: Any) -> Run:
    import tensorflow as tf

    path = str(folder / f"{len(list(folder.iterdir()))}.tflite")  # it stays in use
    model.export(path, format="litert", verbose=False)
    interpreter = tf.lite.Interpreter(model_path=path, num_threads=1)
    (start,), (end,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.resize_tensor_input(start["index"], x.shape)
    interpreter.allocate_tensors()

    def run() -> Any:
        interpreter.set_tensor(start["index"], x)
        interpreter.invoke()
        return interpreter.get_tensor(end["index"])

    return run


RUNTIMES = {"ONNX Runtime": onnx, "LiteRT": litert}


def measure(case: str, method: str, args: argparse.Namespace) -> list[dict[str, Any]]:
    """What each runtime takes for each of the models."""
    import numpy as np

    made = models(case, method)
    shape = (args.batch, *CASES[case][1])
    x = np.random.default_rng(1).normal(size=shape).astype("float32")
    outputs = [np.asarray(model(x)) for model in made.values()]
    found = []
    for runtime, export in RUNTIMES.items():
        with tempfile.TemporaryDirectory() as folder:
            runs = {name: export(model, Path(folder), x) for name, model in made.items()}
        for name, run in runs.items():
            np.testing.assert_allclose(run(), outputs[0], rtol=1e-3, atol=1e-3, err_msg=name)
        contestants = [Contestant(name, run) for name, run in runs.items()]
        title = f"{runtime}, {case}, {method}"
        clock = CLOCKS[args.clock]
        for n in range(args.rounds):  # whoever follows a loop would find cold caches each time
            turned = contestants[n % 3 :] + contestants[: n % 3]
            take_turns(title, turned, clock, rounds=1, limit=60.0, budget=60.0)
        times = {one.name: one.median_ms for one in contestants}
        found.append({"runtime": runtime, "f": case, "method": method, "ms": times})
    return found


def report(results: list[dict[str, Any]]) -> str:
    rows = []
    for result in results:
        ms = result["ms"]
        ratios = [ms[name] / ms["by hand"] for name in ("loop", "unrolled")]
        verdict = "" if ratios[1] <= AT_MOST else f"over {AT_MOST}"
        figures = [f"{ratio:.2f}" for ratio in ratios]
        start = (result["runtime"], result["f"], result["method"], shown(ms["by hand"]))
        rows.append((*start, *figures, verdict))
    heading = ("runtime", "f", "method", "by hand, ms", "a loop", "unrolled", f"at most {AT_MOST}")
    return table(heading, rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="one case, seven rounds")
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--json", type=Path, help="keep the results here")
    args = parser.parse_args()
    if args.quick:
        args.only, args.rounds = args.only[:1], 7
    warnings.simplefilter("ignore")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    results = []
    for case in args.only:
        for method in args.methods:
            results += measure(case, method, args)
    about = environment("keras", "tensorflow", "onnxruntime", "tf2onnx")
    print(f"depth {DEPTH}, batch {args.batch}, medians of {args.rounds} rounds, {about}\n")
    print(report(results))
    if args.json:
        args.json.write_text(json.dumps({"environment": about, "results": results}, indent=1))


if __name__ == "__main__":
    main()
