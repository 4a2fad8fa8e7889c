"""Every functional model of `keras.applications`, converted: a table of what becomes a block.

Each network gets random weights (nothing is downloaded), and batch normalization the statistics of
one pass over random images, as if it had been trained: with merely random statistics the branches
hardly matter, and any conversion would pass. Then

    converted, report = keras_rk.convert_residuals(model, "euler")

and the table shows the sums, the blocks, why others were kept, the largest difference between the
outputs of both models, and how far dropping the last block moves them.

Run it with `python examples/convert_applications.py` (about an hour on two cores; a result that is
on disk is not computed again), some of them with `... ResNet50 MobileNetV2`, the table alone with
`... --table`.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections import Counter
from pathlib import Path

import keras
import numpy as np

import keras_rk

SMALLEST = {"InceptionV3": 75, "InceptionResNetV2": 75, "Xception": 71}  # else 32 pixels
REASONS = {  # what the table says, and how the report's reasons begin
    "shortcut transformed": "neither term comes from the other",
    "constant": "a constant is added",
    "inside F used elsewhere": ".*is also (used|an output)",
    "side input": "F has a side input",
}


def names() -> list[str]:
    """The models of `keras.applications`."""
    found = vars(keras.applications).items()
    return sorted(name for name, value in found if callable(value) and name[0].isupper())


def network(name: str) -> keras.Model:
    """A network of that architecture with random weights, and logits as outputs."""
    size = SMALLEST.get(name, 32)
    make = getattr(keras.applications, name)
    return make(weights=None, input_shape=(size, size, 3), classes=10, classifier_activation=None)


def calibrate(model: keras.Model, images: np.ndarray) -> None:
    """Makes branches matter: statistics of batch normalization, and scales of layers, as trained.

    One pass in training mode with momentum 0 leaves the statistics of these images.
    """
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
        if type(layer).__name__ == "LayerScale":  # 1e-6 at first
            layer.gamma.assign(np.full(layer.gamma.shape, 0.5))
    model(images, training=True)


def outputs(model: keras.Model, images: np.ndarray) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(model(images, training=False)))


def reason(text: str) -> str:
    """The reason of a report in the words of the table."""
    found = [short for short, begin in REASONS.items() if re.match(begin, text)]
    return found[0] if found else text


def examined(name: str) -> dict:
    """A row of the table."""
    keras.utils.set_random_seed(0)
    begin = time.perf_counter()
    model = network(name)
    built = time.perf_counter() - begin
    images = np.random.default_rng(0).uniform(-1, 1, (8, *model.input_shape[1:])).astype("float32")
    calibrate(model, images)
    begin = time.perf_counter()
    converted, report = keras_rk.convert_residuals(model, "euler", allow_none=True, verbose=0)
    seconds = time.perf_counter() - begin
    expected, found = outputs(model, images), outputs(converted, images)
    row = {
        "name": name,
        "backend": keras.backend.backend(),
        "keras": keras.__version__,
        "sums": len(report.converted) + len(report.kept),
        "converted": len(report.converted),
        "kept": Counter(reason(one.reason) for one in report.kept),
        "difference": float(np.max(np.abs(expected - found))),
        "scale": float(np.max(np.abs(expected))),
        "build_seconds": built,
        "conversion_seconds": seconds,
    }
    if report.converted:
        last = report.converted[-1].name
        dropped, _ = keras_rk.convert_residuals(model, "euler", dt={last: 1e-30, "*": 1}, verbose=0)
        moved = np.max(np.abs(outputs(dropped, images) - expected))
        row["dropped"] = float(moved) / row["scale"]
    return row


def table(rows: list[dict]) -> str:
    """The rows as Markdown."""
    headings = "model", "sums", "converted", "kept", "largest difference", "last block dropped"
    lines = [f"| {' | '.join(headings)} |", f"|{'---|' * len(headings)}"]
    for row in rows:
        kept = ", ".join(f"{count} {why}" for why, count in row["kept"].items())
        dropped = f"{row['dropped']:.0%}" if "dropped" in row else ""
        difference = f"{row['difference']:.0e}" if row["difference"] else "0"
        cells = row["name"], row["sums"], row["converted"], kept, difference, dropped
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", help="some of the models; all without")
    parser.add_argument("--results", type=Path, default=Path("convert_applications"))
    parser.add_argument("--table", action="store_true", help="only what is on disk")
    arguments = parser.parse_args()
    folder = arguments.results / keras.backend.backend()
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for name in arguments.models or names():
        path = folder / f"{name}.json"
        if not path.exists() and not arguments.table:
            path.write_text(json.dumps(examined(name), indent=1))
            keras.utils.clear_session()
            print(path.read_text(), flush=True)
        if path.exists():
            rows.append(json.loads(path.read_text()))
    print(table(rows))


if __name__ == "__main__":
    main()
