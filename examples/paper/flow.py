"""A picture of how points flow through the depth of trained networks.

    python examples/paper/flow.py                  from paper-results, to flow.png
    python examples/paper/flow.py --results FOLDER --output FILE

It needs the networks of depth 50 of the experiment "depth" and uses their weights of seed 0.
RKStack returns the states along the depth, which are shown in a plane. The horizontal axis of a row
is the direction that its last layer looks at, the vertical one that in which states vary most
beside it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from grid import Network
from records import Folder
from work import prepare

METHODS = ("standard", "euler", "heun2", "rk4", "rk8")
BLOCKS = (0, 10, 20, 30, 40, 50)


def states(folder: Folder, network: Network, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The states along the depth, (points, depth + 1, width), and the weights of the last layer."""
    import keras
    from networks import build, stack_of

    from keras_rk.layers import RKStack

    model = build(network)
    model.set_weights(folder.weights(network, 0))
    stack = stack_of(model)
    watched = RKStack.from_config({**stack.get_config(), "return_states": True})
    lifted = keras.Model(model.input, stack.input)
    whole = keras.Model(model.input, watched(lifted(model.input)))
    watched.set_weights(stack.get_weights())
    path = whole.predict(x, batch_size=len(x), verbose=0)
    return np.asarray(path), np.asarray(model.get_layer("logit").kernel)[:, 0]


def in_plane(path: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """States projected on a direction, and on that of the largest variance beside it."""
    direction = direction / np.linalg.norm(direction)
    flat = path.reshape(-1, path.shape[-1]) - path.mean(axis=(0, 1))
    beside = flat - np.outer(flat @ direction, direction)
    _, _, components = np.linalg.svd(beside, full_matrices=False)
    return path @ np.stack([direction, components[0]], axis=1)


def draw(folder: Folder, file: Path) -> None:
    """Draws a row of panels for each method."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from spirals_example import paper_data

    _, _, x, y = paper_data(0)
    figure, rows = plt.subplots(
        len(METHODS), len(BLOCKS), figsize=(1.9 * len(BLOCKS), 1.9 * len(METHODS))
    )
    for method, row in zip(METHODS, rows, strict=True):
        plane = in_plane(*states(folder, Network(method=method), x))
        for block, axes in zip(BLOCKS, row, strict=True):
            axes.scatter(*plane[:, block].T, c=y[:, 0], cmap="coolwarm", s=2)
            axes.set(xticks=[], yticks=[])
        row[0].set_ylabel(method, fontsize=12)
    for block, axes in zip(BLOCKS, rows[0], strict=True):
        axes.set_title(f"{block} blocks" if block else "lifted points", fontsize=11)
    figure.tight_layout(pad=0.4)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=80)
    plt.close(figure)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, default=Path("paper-results"))
    parser.add_argument("--output", type=Path, default=Path("flow.png"))
    args = parser.parse_args(argv)
    folder = Folder(args.results)
    missing = [m for m in METHODS if not folder.weights_file(Network(method=m), 0).exists()]
    if missing:
        raise SystemExit(
            f"{args.results} lacks networks of depth 50 with seed 0: {', '.join(missing)}. "
            f"Run {Path(__file__).with_name('run.py')} first."
        )
    prepare()
    draw(folder, args.output)
    print(args.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
