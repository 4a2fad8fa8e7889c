"""How fast RKStack trains a network of depth 50, beside the same network written by hand.

    KERAS_BACKEND=jax python examples/benchmarks/stack.py [--quick] [--layers] [--json FILE]

The network of examples/spirals.py, with dt = 1, in the backend that Keras runs on; by_hand/ holds
it without Keras. README.md says what is measured. Compare ratios, not times.
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
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from timing import Contestant, environment, progress, shown, table, take_turns

sys.path.append(str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import by_hand
import keras
import numpy as np
from by_hand import Weights
from spirals import two_spirals

import keras_rk
from keras_rk import layers

BACKEND = keras.backend.backend()
WIDTH, BATCH, BATCHES = 8, 32, 62
HAND, OURS, LAYERS, EMPTY = "by hand", "RKStack", "layers", "fit without blocks"
COMPILED, WITHOUT_XLA = "RKStack, jit_compile", "RKStack, without XLA"
LOOPED = "RKStack, train_step in the loop by hand"
PACKAGES = ("numpy", "keras", {"torch": "torch", "jax": "jax"}.get(BACKEND, "tensorflow"))

# How many times over one call of `fit` gets the points, so that its own cost, 60 ms on TensorFlow
# and next to nothing elsewhere, is small beside that of the steps.
REPEATS = {"torch": 1, "tensorflow": 20}.get(BACKEND, 10)
LIMIT = 3600.0  # seconds for one run, then it is stopped
BUDGET = 60.0  # seconds of a contestant, after which it takes no more turns
# The largest relative differences. PyTorch's Adam has epsilon at another place than Keras's.
AGREEMENT = {"first loss": 1e-5, "losses": 1e-4, "weights": 1e-3}
if BACKEND == "torch":
    AGREEMENT = {"first loss": 1e-5, "losses": 1e-3, "weights": 5e-2}

# ------------------------------------------------------------------------------- contestants


def data(repeats: int) -> tuple[np.ndarray, np.ndarray]:
    """Points on two spirals and their labels, in an order that is drawn once."""
    rng = np.random.default_rng(0)
    x, labels = two_spirals(2000, rng)
    order = rng.permutation(len(x))[: BATCHES * BATCH]
    return np.tile(x[order], (repeats, 1)), np.tile(labels[order], (repeats, 1))


def keras_model(name: str, method: str, depth: int) -> keras.Model:
    """The network as `name` makes it: RKStack, single layers, or no blocks at all."""
    x = keras.Input((2,))
    y = keras.layers.Dense(WIDTH)(x)
    if name in (OURS, COMPILED, WITHOUT_XLA):
        f = keras.layers.Dense(WIDTH, activation="tanh")
        after = keras.layers.BatchNormalization()
        options = {"after": after, "jit_compile": name == COMPILED}
        y = layers.RKStack(f, depth, method, dt=1.0, **options)(y)
    elif name == LAYERS:
        for _ in range(depth):
            f = keras.layers.Dense(WIDTH, activation="tanh")
            y = layers.RKResidual(f, method, dt=1.0)(y)
            y = keras.layers.BatchNormalization()(y)
    model = keras.Model(x, keras.layers.Dense(1, activation="sigmoid")(y))
    model.compile(optimizer="adam", loss="binary_crossentropy", **compile_options(name))
    # TensorFlow would trace the first step twice, once to make these variables.
    model.optimizer.build(model.trainable_variables)
    return model


def compile_options(name: str) -> dict[str, Any]:
    """The fastest ones, but for WITHOUT_XLA.

    On TensorFlow Keras leaves XLA out by itself where there is no accelerator. PyTorch takes no
    more than one step per execution; with COMPILED the stack compiles, and not the model.
    """
    if BACKEND == "torch":
        return {"jit_compile": False}
    jit_compile = name != WITHOUT_XLA
    return {"jit_compile": jit_compile, "steps_per_execution": BATCHES}


def fit(model: keras.Model, x: np.ndarray, labels: np.ndarray, epochs: int = 1) -> list[float]:
    """The losses of the epochs, each of which sees the batches in the same order."""
    options = {"batch_size": BATCH, "epochs": epochs, "shuffle": False, "verbose": 0}
    return model.fit(x, labels, **options).history["loss"]


def first_step(name: str, method: str, depth: int) -> float:
    """Seconds from nothing to the end of the first training step."""
    backend = by_hand.backend_module(BACKEND)
    backend.warm_up()
    x, labels = (array[:BATCH] for array in data(1))
    start = perf_counter()
    if name == HAND:
        weights = by_hand.initial_weights(depth, WIDTH)
        backend.Network(weights, by_hand.method(method)).first_step(x, labels)
    else:
        fit(keras_model(name, method, depth), x, labels)
    return perf_counter() - start


def first_step_in_new_process(name: str, method: str, depth: int) -> float:
    """The same where nothing is left from before, neither in memory nor on the disk."""
    command = [sys.executable, __file__, "--first-step", name, "--methods", method]
    with TemporaryDirectory() as empty:  # torch.compile keeps what it has compiled
        settings = {**os.environ, "KERAS_BACKEND": BACKEND, "TORCHINDUCTOR_CACHE_DIR": empty}
        done = subprocess.run(
            [*command, "--depth", str(depth)], env=settings, capture_output=True, text=True
        )
    if done.returncode:
        raise SystemExit(f"{name}, {method}: no first step.\n{done.stderr[-2000:]}")
    return float(done.stdout.split()[-1])


# --------------------------------------------------------------------------------- agreement


def weights_of(model: keras.Model) -> Weights:
    """The weights of a Keras model as by_hand/ has them."""
    values = [(v.name, keras.ops.convert_to_numpy(v)) for v in model.trainable_variables]
    lift, blocks, head = values[:2], values[2:-2], values[-2:]
    weights = dict(zip(("lift_kernel", "lift_bias"), (value for _, value in lift), strict=True))
    for name in ("kernel", "bias", "gamma", "beta"):
        found = [value for variable, value in blocks if variable.endswith(name)]
        weights[name] = found[0] if len(found) == 1 else np.stack(found)
    weights.update(zip(("head_kernel", "head_bias"), (value for _, value in head), strict=True))
    return weights


def agreement(model: keras.Model, method: str) -> dict[str, tuple[float, float]]:
    """How far five steps of both networks differ, from the same weights and on the same batch.

    Relative differences of the first loss, of all five, and of the changes of the weights, so of
    the gradients as Adam sees them. The second number is the difference that a millionth of the
    weights (a thousandth on a GPU) makes to the network by hand, for 50 blocks amplify round-off.
    """
    rng = np.random.default_rng(1)
    for variable in model.trainable_variables:  # no zeros and ones, which could hide a mistake
        value = keras.ops.convert_to_numpy(variable)
        variable.assign(value + 0.1 * rng.standard_normal(value.shape).astype("float32"))
    before = weights_of(model)
    round_off = 1e-3 if by_hand.backend_module(BACKEND).device() else 1e-6  # TF32 on a GPU
    near = {
        name: value * (1 + round_off * rng.standard_normal(value.shape)).astype("float32")
        for name, value in before.items()
    }
    x, labels = (array[:BATCH] for array in data(1))
    ours = np.array(fit(model, x, labels, epochs=5)), changes(before, weights_of(model))
    theirs = five_steps_by_hand(before, method, x, labels)
    from_near = five_steps_by_hand(near, method, x, labels)
    both = zip(differences(ours, theirs), differences(from_near, theirs), strict=True)
    return dict(zip(AGREEMENT, both, strict=True))


def five_steps_by_hand(
    weights: Weights, method: str, x: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The losses, and how the weights changed."""
    network = by_hand.backend_module(BACKEND).Network(weights, by_hand.method(method))
    losses = np.array([network.first_step(x, labels) for _ in range(5)])
    return losses, changes(weights, network.weights())


def changes(before: Weights, after: Weights) -> np.ndarray:
    return np.concatenate([(after[name] - before[name]).ravel() for name in before])


def differences(one: tuple, other: tuple) -> tuple[float, float, float]:
    """Those of AGREEMENT, between two pairs of losses and changes of weights."""
    losses = np.abs(one[0] / other[0] - 1)
    weights = np.linalg.norm(one[1] - other[1]) / np.linalg.norm(other[1])
    return float(losses[0]), float(losses.max()), float(weights)


def is_close(found: dict[str, tuple[float, float]]) -> bool:
    """Whether the networks differ by no more than AGREEMENT allows, or than round-off does."""
    return all(found[what][0] <= max(limit, found[what][1]) for what, limit in AGREEMENT.items())


# ------------------------------------------------------------------------------- measurement


def keras_networks(method: str, options: argparse.Namespace) -> list[str]:
    variant = {"torch": [COMPILED], "tensorflow": [WITHOUT_XLA]}.get(BACKEND, [])
    return [*([LAYERS] if method in options.layers else []), OURS, *variant]


def fitting(model: keras.Model) -> Callable[[], Any]:
    """`fit`, from what it reads fastest."""
    x, labels = data(REPEATS)
    if BACKEND != "tensorflow":
        return lambda: fit(model, x, labels)
    batches = by_hand.backend_module(BACKEND).dataset(*batched(x, labels))
    return lambda: model.fit(batches, shuffle=False, verbose=0)


def looped(model: keras.Model) -> Callable[[], Any]:
    """The training step of a model on TensorFlow, without what `fit` does between two steps."""
    backend = by_hand.backend_module(BACKEND)
    train = backend.batch_after_batch(backend.step_of(model))
    batches = [backend.tf.constant(array) for array in batched(*data(REPEATS))]
    return lambda: train(*batches).numpy()


def batched(x: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return x.reshape(-1, BATCH, 2), labels.reshape(-1, BATCH, 1)


def measure(method: str, options: argparse.Namespace) -> dict[str, Any]:
    """All figures of a method."""
    first = first_steps(method, options)
    agrees, entered = {}, []
    for name in keras_networks(method, options):
        progress(f"{method}: compiling and comparing {name}")
        start = perf_counter()
        keras.utils.set_random_seed(0)
        model = keras_model(name, method, options.depth)
        agrees[name] = agreement(model, method)
        if name == LAYERS:  # all else that this does is nothing beside compiling such a network
            first[name] = [perf_counter() - start]
        if is_close(agrees[name]):
            entered.append(Contestant(name, fitting(model)))
    if BACKEND == "tensorflow":
        entered.append(Contestant(LOOPED, looped(keras_model(OURS, method, options.depth))))
    entered += by_hand_contestants(method, options)
    entered.append(Contestant(EMPTY, fitting(keras_model(EMPTY, method, 0))))
    for contestant in entered:
        progress(f"{method}: warming up {contestant.name}")
        contestant.run()  # whatever the first call on so many batches compiles
    take_turns(method, entered, perf_counter, rounds=options.rounds, limit=LIMIT, budget=BUDGET)
    return {
        "method": method,
        "agreement": agrees,
        "first_step_seconds": first,
        "step_seconds": {c.name: [x / (BATCHES * REPEATS) for x in c.seconds] for c in entered},
        "stopped": {c.name: c.stopped for c in entered if c.stopped},
    }


def first_steps(method: str, options: argparse.Namespace) -> dict[str, list[float]]:
    """Samples of the first step, in turns."""
    ours = [name for name in keras_networks(method, options) if name != LAYERS]
    networks = [HAND, *ours, EMPTY]
    seconds: dict[str, list[float]] = {name: [] for name in networks}
    for number in range(options.first_rounds):
        for name in networks:
            progress(f"{method}: first step {number + 1}/{options.first_rounds} {name}")
            seconds[name].append(first_step_in_new_process(name, method, options.depth))
    return seconds


def by_hand_contestants(method: str, options: argparse.Namespace) -> list[Contestant]:
    backend = by_hand.backend_module(BACKEND)
    weights, coefficients = by_hand.initial_weights(options.depth, WIDTH), by_hand.method(method)
    network = backend.Network(weights, coefficients)
    x, labels = data(REPEATS)
    batches = network.place(*batched(x, labels))
    trained = {HAND: network.train}
    for name, train in backend.variants(weights, coefficients).items():
        trained[f"{HAND}, {name}"] = train
    return [Contestant(name, lambda train=train: train(batches)) for name, train in trained.items()]


# ------------------------------------------------------------------------------------- report


def at_most(name: str, method: str) -> tuple[float | None, float | None]:
    """The targets: the first step and every step, as multiples of the network by hand."""
    if name == COMPILED:
        return None, {"euler": 1.0, "rk4": 0.8}.get(method)
    if name != OURS:
        return None, None
    return (None, 2.0) if BACKEND == "torch" else (1.3, 1.1)


def ratio(seconds: dict[str, list[float]], name: str, other: str) -> float | None:
    """The median of what was measured in the same round."""
    if not seconds.get(name) or not seconds.get(other):
        return None
    return statistics.median(
        a / b for a, b in zip(seconds[name], seconds[other], strict=False) if b
    )


def cells(seconds: dict[str, list[float]], name: str, unit: float, limit: float | None) -> tuple:
    """The median, the ratio to the network by hand, and whether the target is met."""
    if not seconds.get(name):
        return "", "", ""
    found = ratio(seconds, name, HAND)
    verdict = ""
    if limit and found:
        verdict = f"{limit:g}: {'met' if found <= limit else 'NOT MET'}"
    own = name == HAND or found is None
    return shown(statistics.median(seconds[name]) / unit), "" if own else f"{found:.2f}", verdict


def layers_row(found: dict[str, Any]) -> tuple[str, ...]:
    row = [found["method"]]
    for kind, limit in (("first_step_seconds", 10), ("step_seconds", 5)):
        seconds = {name: [statistics.median(x)] for name, x in found[kind].items() if x}
        faster = ratio(seconds, LAYERS, OURS)
        met = "" if faster is None else "met" if faster >= limit else "NOT MET"
        row += [shown(faster), f"{limit}: {met}"]
    return tuple(row)


def report(results: list[dict[str, Any]]) -> str:
    """The tables, in Markdown."""
    rows = []
    for found in results:
        first, each = found["first_step_seconds"], found["step_seconds"]
        for name in dict.fromkeys([HAND, OURS, *first, *each]):
            if name not in first and name not in each:
                continue
            limits = at_most(name, found["method"])
            left, right = cells(first, name, 1, limits[0]), cells(each, name, 1e-3, limits[1])
            rows.append((found["method"], name, *left, *right))
    heading = ("x by hand", "at most")
    heading = ("method", "network", "first step, s", *heading, "a step, ms", *heading)
    parts = [table(heading, rows)]
    if any(LAYERS in found["agreement"] for found in results):
        heading = ("method", "first step", "at least", "a step", "at least")
        rows = [layers_row(found) for found in results if LAYERS in found["agreement"]]
        parts += ["How many times RKStack is faster than one layer after another:\n"]
        parts.append(table(heading, rows))
    parts.append("Differences from the network by hand after five steps (of round-off):\n")
    parts += [agreement_lines(found) for found in results]
    return "\n".join(parts)


def agreement_lines(found: dict[str, Any]) -> str:
    lines = []
    for name, agrees in found["agreement"].items():
        text = ", ".join(
            f"{what} {x:.0e} ({round_off:.0e})" for what, (x, round_off) in agrees.items()
        )
        verdict = "agrees" if is_close(agrees) else "DOES NOT AGREE, so it was not timed"
        lines.append(f"* {found['method']}, {name}: {verdict}: {text}")
    lines += [f"* {found['method']}, {name}: {why}" for name, why in found["stopped"].items()]
    return "\n".join(lines)


# -------------------------------------------------------------------------------- command line


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--methods", nargs="+", default=["euler", "rk4", "rk8"], metavar="NAME")
    add("--depth", type=int, default=50, help="blocks (default 50)")
    add("--rounds", type=int, help="samples of the time per step (default 9, quick: 3)")
    add("--first-rounds", type=int, help="samples of the first step (default 5, quick: 1)")
    add(
        "--layers",
        nargs="*",
        metavar="NAME",
        help="also one RKResidual after another, with these methods (rk4): takes minutes",
    )
    add("--quick", action="store_true", help="fewer samples")
    add("--json", type=Path, metavar="FILE", help="write all figures there")
    add("--first-step", metavar="NETWORK", help=argparse.SUPPRESS)  # in a process of its own
    options = parser.parse_args()
    options.layers = ["rk4"] if options.layers == [] else options.layers or []
    options.rounds = options.rounds or (3 if options.quick else 9)
    options.first_rounds = options.first_rounds or (1 if options.quick else 5)
    return options


def main() -> None:
    options = arguments()
    if options.first_step:
        print(first_step(options.first_step, options.methods[0], options.depth))
        return
    backend = by_hand.backend_module(BACKEND)
    backend.warm_up()
    threads = "XLA's threads" if BACKEND == "jax" else "one thread"
    used = f"{threads} used, accelerator: {backend.device() or 'none'}"
    document: dict[str, Any] = {
        "environment": environment(*PACKAGES, used=used),
        "backend": BACKEND,
        "depth": options.depth,
        "steps_a_round": BATCHES * REPEATS,
    }
    document["environment"]["versions"]["keras-rk"] = keras_rk.__version__
    document["results"] = []
    for method in options.methods:
        document["results"].append(measure(method, options))
        if options.json:  # after each method, for all of them may take long
            options.json.write_text(json.dumps(document, indent=1) + "\n")
    progress("")
    print(json.dumps(document["environment"], indent=1), "\n")
    print(f"{BACKEND}, depth {options.depth}, width {WIDTH}, batches of {BATCH}. Medians: the")
    print(f"first step of {options.first_rounds} new processes, a step of {options.rounds} rounds")
    print(f"of {document['steps_a_round']} steps; a ratio is the median of those of the rounds.\n")
    print(report(document["results"]))


if __name__ == "__main__":
    main()
