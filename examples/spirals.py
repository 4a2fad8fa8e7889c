"""Two spirals, told apart by standard, residual and Runge-Kutta networks of the same size.

    python examples/spirals.py                                  six networks of the paper's size
    python examples/spirals.py --depth 10 --epochs 50           smaller ones, in less time
    python examples/spirals.py --networks residual rk38 dormand_prince54 --dt 0.5

This is the first experiment of "From ResNets to Runge-Kutta Networks". Each network lifts the
plane to width 8, passes `depth` blocks, and ends in one sigmoid unit. With F one dense layer:

    standard       y -> BN(F(y))
    residual       y -> BN(y + F(y))
    Runge-Kutta    y -> BN(y + dt * sum_i b_i k_i),    k_i = F(y + dt * sum_j a_ij k_j)

BN is batch normalization, after the step and not in F. One RKStack runs the blocks of a network in
a loop; those of the standard and the residual network are plain Keras layers, which it repeats.
All networks have equally many weights; one seed gives all the same initial weights and batches,
so Euler with dt = 1 and the residual network agree to the last digit.

From the paper: 2,000 training and 600 test points at a radius up to about 13, width 8, depth 50
(the largest of its depths), 200 epochs, Adam with Keras's learning rate, batches of 32. Assumed,
since the paper's code is not at hand: its points are those of the generator that goes round with
Keras (`two_spirals`), and F is a tanh layer, whose smoothness the order of a Runge-Kutta method
needs.

The output folder receives curves.png, regions.png and history.csv, and for each network, as soon
as it is trained, its model (.keras) and its record. Interrupted and called again with the same
options, the networks that are there are kept, and the others are trained as if nothing had
happened.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import math
import os
import shutil
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from spirals_results import CURVES, LAST, Folder, Record, at_the_end

NETWORKS = ("standard", "residual", "euler", "heun2", "rk4", "rk8")
BACKENDS = ("tensorflow", "jax", "torch")
ACTIVATIONS = ("tanh", "relu", "elu", "gelu", "silu", "softplus", "sigmoid")
WIDTH = 8
BATCH = 32
BATCHES = 63  # of an epoch
EXTENT = 15.0  # the pictures show the square [-EXTENT, EXTENT]^2
PIXELS = 240

# ---------------------------------------------------------------------------------------- data


def two_spirals(
    points: int, rng: np.random.Generator, noise: float = 0.5, degrees: float = 780.0
) -> tuple[np.ndarray, np.ndarray]:
    """Points on two spirals, and which spiral (0 or 1) each lies on.

    The first is (-r cos r, r sin r) with r up to `degrees` (780 are 13.6), r² uniform, plus noise
    uniform in [0, noise); the second is the first turned by half a turn. It is the generator of
    "Solving the Two Spirals problem with Keras" (glowingpython.blogspot.com, 2017).
    """
    r = np.sqrt(rng.random((points // 2, 1))) * math.radians(degrees)
    first = np.hstack([-np.cos(r) * r, np.sin(r) * r]) + noise * rng.random((points // 2, 2))
    labels = np.repeat([[0.0], [1.0]], points // 2, axis=0)
    return np.vstack([first, -first]).astype("float32"), labels.astype("float32")


def paper_data(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """2,000 training and 600 test points: x_train, y_train, x_test, y_test."""
    rng = np.random.default_rng(seed)
    return (*two_spirals(2000, rng), *two_spirals(600, rng))


def batches(x: np.ndarray, y: np.ndarray, seed: int) -> Any:
    """Batches of x and y for `fit`, in a new order in each epoch.

    Left to `fit`, all epochs on TensorFlow have the same batches as soon as a seed is set. Batch
    normalization then lets a network learn these batches instead of the points.
    """
    import keras

    class Batches(keras.utils.PyDataset):
        def __init__(self) -> None:
            super().__init__()
            self.rng = np.random.default_rng(seed)
            self.order = np.arange(len(x))

        def on_epoch_begin(self) -> None:
            self.order = self.rng.permutation(len(x))

        def __len__(self) -> int:
            return math.ceil(len(x) / BATCH)

        def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
            batch = self.order[index * BATCH : (index + 1) * BATCH]
            return x[batch], y[batch]

    return Batches()


def pixels() -> np.ndarray:
    """The points at which the decision regions are drawn, row by row."""
    axis = np.linspace(-EXTENT, EXTENT, PIXELS, dtype="float32")
    return np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)


# ------------------------------------------------------------------------------------ networks


def build(network: str, depth: int, dt: float, activation: str) -> Any:
    """The Keras model: "standard", "residual", or the name of a Runge-Kutta method."""
    import keras

    from keras_rk.layers import RKStack

    x = keras.Input((2,))
    y = keras.layers.Dense(WIDTH, name="lift")(x)
    f = keras.layers.Dense(WIDTH, activation=activation)
    normalization = keras.layers.BatchNormalization()
    if network in ("standard", "residual"):
        blocks = repeated(plain_block(network, f, normalization), depth)
    else:
        blocks = RKStack(f, depth, network, dt=dt, after=normalization)
    outputs = keras.layers.Dense(1, activation="sigmoid")(blocks(y))
    return keras.Model(x, outputs, name=network)


def plain_block(network: str, f: Any, normalization: Any) -> Any:
    """A block of the standard or the residual network, in Keras layers."""
    import keras

    y = keras.Input((WIDTH,))
    y_next = f(y) if network == "standard" else keras.layers.Add()([y, f(y)])
    return keras.Model(y, normalization(y_next))


def repeated(block: Any, depth: int) -> Any:
    """`depth` blocks like this one, each with its own weights, in one loop.

    RKStack puts each block after a step of Euler's method for y' = 0, which leaves y as it is, to
    the last bit. Blocks one after another compute the same, but fifty take long to compile.
    """
    import keras

    from keras_rk.layers import RKStack

    zero = keras.layers.Rescaling(0.0)
    return RKStack(zero, depth, "euler", dt=1.0, after=block)


def compile_options(backend: str) -> dict[str, Any]:
    """What makes networks as small as these fast: compiled steps, and nothing between them.

    PyTorch has no `steps_per_execution`, and compiles only where there is a C++ compiler.
    """
    if backend == "torch":
        return {"jit_compile": False}
    return {"jit_compile": True, "steps_per_execution": BATCHES}


def train(network: str, settings: dict[str, Any], show: Callable[..., None]) -> tuple[Any, Record]:
    """The trained model, and its record: what the table and the pictures need."""
    import keras

    start = time.perf_counter()
    x_train, y_train, x_test, y_test = paper_data(settings["seed"])
    keras.utils.clear_session()
    keras.utils.set_random_seed(settings["seed"])
    model = build(network, settings["depth"], settings["dt"], settings["activation"])
    model.compile(
        optimizer="adam",
        loss="binary_crossentropy",
        metrics=["accuracy"],
        **compile_options(settings["backend"]),
    )
    progress = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: show(epoch + 1, settings["epochs"], logs)
    )
    history = model.fit(
        batches(x_train, y_train, settings["seed"]),
        epochs=settings["epochs"],
        shuffle=False,
        validation_data=(x_test, y_test),
        validation_batch_size=len(x_test),
        callbacks=[progress],
        verbose=0,
    ).history
    seconds = time.perf_counter() - start

    outputs = predict(model, np.concatenate([x_train, x_test, pixels()]))
    on_train, on_test, on_pixels = np.split(outputs, np.cumsum([len(x_train), len(x_test)]))
    record = {
        "network": network,
        "parameters": model.count_params(),
        "train_accuracy": float(np.mean((on_train > 0.5) == (y_train[:, 0] > 0.5))),
        "test_accuracy": float(np.mean((on_test > 0.5) == (y_test[:, 0] > 0.5))),
        "seconds": round(seconds, 2),
        "history": {curve: [float(value) for value in history[curve]] for curve in CURVES},
        "test_outputs": [round(float(value), 4) for value in on_test],
        "region": np.clip(np.nan_to_num(on_pixels, nan=0.5) * 255, 0, 255).astype(int).tolist(),
    }
    return model, record


def predict(model: Any, points: np.ndarray) -> np.ndarray:
    """The outputs at the points."""
    batches = math.ceil(len(points) / 4500)
    size = math.ceil(len(points) / batches)  # all batches alike: each size is compiled by itself
    return np.asarray(model.predict(points, batch_size=size, verbose=0))[:, 0]


# -------------------------------------------------------------------------------- command line


def folder_name(settings: dict[str, Any]) -> str:
    return (
        f"depth{settings['depth']}-epochs{settings['epochs']}-dt{settings['dt']:g}"
        f"-{settings['activation']}-seed{settings['seed']}-{settings['backend']}"
    )


def whole_number(smallest: int, largest: float = math.inf) -> Callable[[str], int]:
    def read(text: str) -> int:
        with contextlib.suppress(ValueError):
            if smallest <= int(text) <= largest:
                return int(text)
        upper = "" if largest == math.inf else f" and at most {largest}"
        raise argparse.ArgumentTypeError(
            f"must be a whole number of at least {smallest}{upper}. Received: {text!r}"
        )

    return read


def step_size(text: str) -> float:
    with contextlib.suppress(ValueError):
        if math.isfinite(float(text)) and float(text) != 0:
            return float(text)
    raise argparse.ArgumentTypeError(f"must be a finite number other than zero. Received: {text!r}")


def network_name(text: str) -> str:
    """A network by its name; a method may be spelled as `keras_rk.tableaux.get` allows."""
    from keras_rk import TableauError, tableaux

    known = [*NETWORKS, *tableaux.names(), *tableaux.aliases()]
    if text.lower() in known:
        return text.lower()
    try:
        return str(tableaux.get(text).name)
    except TableauError:
        near = difflib.get_close_matches(text.lower(), list(dict.fromkeys(known)), n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else "`keras-rk list` lists the methods."
    raise argparse.ArgumentTypeError(
        f"no network or Runge-Kutta method is called {text!r}; {hint}"
    ) from None


def arguments(argv: list[str] | None) -> argparse.Namespace:
    summary, usage, details = (__doc__ or "").split("\n\n", 2)
    parser = argparse.ArgumentParser(
        description=f"{summary}\n\n{usage}",
        epilog=details,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--depth", type=whole_number(1), default=50, help="blocks of each network (50)")
    add("--epochs", type=whole_number(1), default=200, help="passes over the training points (200)")
    add(
        "--networks",
        "--methods",
        type=network_name,
        nargs="+",
        default=list(NETWORKS),
        metavar="NAME",
        help="standard, residual, and any method that `keras-rk list` lists "
        f"({' '.join(NETWORKS)})",
    )
    add("--dt", type=step_size, default=1.0, help="step size of the Runge-Kutta networks (1)")
    add("--activation", choices=ACTIVATIONS, default="tanh", help="of F (tanh)")
    add(
        "--seed",
        type=whole_number(0, 2**32 - 1),
        default=0,
        help="of the points, the initial weights and the order of the batches (0)",
    )
    add(
        "--backend",
        choices=BACKENDS,
        help="what Keras runs on (KERAS_BACKEND, or else what Keras is configured for); PyTorch "
        "takes 1 s (euler) to 4 s (rk8) for an epoch at depth 50, 40 minutes for all: give it "
        "fewer epochs",
    )
    add("--output", type=Path, help="folder (a folder in spirals-results/ named by the settings)")
    add("--restart", action="store_true", help="train again what is finished in the folder")
    args = parser.parse_args(argv)
    if len(set(args.networks)) < len(args.networks):
        parser.error(f"argument --networks: a name is given twice: {' '.join(args.networks)}")
    return args


def title(settings: dict[str, Any]) -> str:
    return (
        f"Two spirals: depth {settings['depth']}, width {WIDTH}, {settings['activation']}, "
        f"dt = {settings['dt']:g}, seed {settings['seed']}, {settings['backend']}"
    )


def start_keras(asked: str | None) -> str:
    """Imports Keras, on the backend that is asked for; returns the backend's name."""
    if asked is not None:
        os.environ["KERAS_BACKEND"] = asked
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        import keras
    except ImportError as error:
        raise SystemExit(
            f"Keras or its backend cannot be imported: {error}. Install them, for instance: "
            f"pip install keras {asked or 'tensorflow'}"
        ) from error
    backend = keras.backend.backend()
    if asked not in (None, backend):
        raise SystemExit(f"Keras runs on {backend} in this process, so not on {asked}.")
    if backend not in BACKENDS:
        raise SystemExit(f"Keras cannot train on {backend}: --backend {'|'.join(BACKENDS)}.")
    return str(backend)


class Progress:
    """One line per network that keeps changing on a terminal, about ten lines elsewhere."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.first_epoch_end = math.nan  # the first epoch compiles, so it tells nothing
        self.line("builds and compiles", passing=True)

    def __call__(self, epoch: int, epochs: int, logs: dict[str, float]) -> None:
        now = time.perf_counter()
        left = ""
        if epoch == 1:
            self.first_epoch_end = now
        elif epoch < epochs:
            per_epoch = (now - self.first_epoch_end) / (epoch - 1)
            left = f"  {per_epoch * (epochs - epoch):.0f} s left"
        self.line(
            f"epoch {epoch:{len(str(epochs))}}/{epochs}  loss {logs['loss']:.4f}  "
            f"train {logs['accuracy']:.3f}  test {logs['val_accuracy']:.3f}{left}",
            passing=epoch % math.ceil(epochs / 10) != 0 and epoch != epochs,
        )

    def line(self, text: str, passing: bool = False, last: bool = False) -> None:
        text = f"{self.label}  {text}"
        if sys.stdout.isatty():
            width = shutil.get_terminal_size().columns - 1
            print(f"\r{text[:width]}\033[K", end="\n" if last else "", flush=True)
        elif not passing:
            print(text, flush=True)


def print_table(records: list[Record]) -> None:
    width = max(len(record["network"]) for record in records)
    epochs = min(LAST, len(records[0]["history"]["val_accuracy"]))
    print(
        "\ntrain: in the end, evaluated (in the lines above: the mean over an epoch, in training)"
    )
    print(f"test: mean and range of the last {epochs} epochs")
    print(f"{'network':{width}}  parameters   train    {'test':22}  seconds")
    for record in records:
        mean, low, high = at_the_end(record)
        print(
            f"{record['network']:{width}}  {record['parameters']:10,}  "
            f"{record['train_accuracy']:.4f}  {mean:.4f} ({low:.3f} to {high:.3f})  "
            f"{record['seconds']:7.1f}"
        )


def run(networks: list[str], settings: dict[str, Any], folder: Folder) -> None:
    """Trains what is not finished yet, then prints the table and writes the pictures."""
    start = time.perf_counter()
    records = folder.finished()
    print(
        f"{len(networks)} networks: depth {settings['depth']}, {settings['epochs']} epochs, "
        f"on {settings['backend']}. Results: {folder.path}"
    )
    width = max(map(len, networks))
    for number, network in enumerate(networks, start=1):
        progress = Progress(f"[{number}/{len(networks)}] {network:{width}}")
        if network in records:
            progress.line("is finished, kept", last=True)
            continue
        model, records[network] = train(network, settings, progress)
        folder.keep(model, records[network])
        folder.write_history(records.values())
        progress.line(
            f"train {records[network]['train_accuracy']:.4f}  test "
            f"{records[network]['test_accuracy']:.4f}  {records[network]['seconds']:.1f} s",
            last=True,
        )
    ordered = [records.pop(network) for network in networks] + list(records.values())
    folder.write_history(ordered)
    _, _, x_test, y_test = paper_data(settings["seed"])
    folder.write_pictures(ordered, title(settings), extent=EXTENT, x_test=x_test, y_test=y_test)
    print_table(ordered)
    print(f"\n{time.perf_counter() - start:.0f} s in this call. Pictures and history:")
    for name in ("curves.png", "regions.png", "history.csv"):
        print(f"  {folder.path / name}")


def main(argv: list[str] | None = None) -> int:
    args = arguments(argv)
    if find_spec("matplotlib") is None:
        raise SystemExit("The pictures need Matplotlib: pip install matplotlib")
    settings = {name: getattr(args, name) for name in ("depth", "epochs", "dt", "activation")}
    settings["seed"] = args.seed
    folder = None
    try:
        settings["backend"] = start_keras(args.backend)
        folder = Folder(args.output or Path("spirals-results", folder_name(settings)))
        folder.open(settings, args.restart)
        run(args.networks, settings, folder)
    except KeyboardInterrupt:
        kept = folder.finished() if folder else {}
        print(f"\nInterrupted. Finished and kept: {', '.join(kept) or 'none yet'}.")
        print(f"The same command{' without --restart' * args.restart} goes on from there.")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
