"""Trained small and refined twice, against the deep network trained at once.

On the two spirals of examples/spirals.py and, with scikit-learn, on its images of digits (8 x 8
pixels as 64 numbers), with Heun's method over the time 4:

    deep       80 blocks of 1/20, trained for all epochs
    refined    24 blocks of 1/6; after 3/10 of the epochs the 20 blocks of the largest local error
               are split, after 6/10 the 36 largest of 44: 80 blocks, too, for the last 4/10

What is compared was fixed before a seed was run, as differences of the two with the same seed and
95 % intervals (Student's t) over seeds: the accuracy on test points after the last epoch; the
processor time of the whole training, with and without what is paid once (compiling, refining); and
the accuracy of both at the moment when "refined" has ended. (A first run had 24 blocks instead of
80 and more epochs: accuracies differed as little, and neither did the times without compiling, as
so few blocks take less than what Keras itself does in each step.)

What was found (refine.md): no difference in accuracy shows, and refining changed outputs by 3.1 %
or less. "Refined" took 0.70 to 0.78 of the time without what is paid once; but to compile three
networks and to refine twice costs about 13 seconds here, so that in all it took two to three times
as long. If these ratios stay, it pays from about a minute of training on.

    python examples/refine.py            five minutes on one core; refine.md and its picture
    python examples/refine.py --quick    the shape of it

A training that is finished leaves a record, so an interrupted run can be taken up.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np
from scipy import stats
from spirals import paper_data
from spirals_results import replacing

import keras_rk
from keras_rk.layers import RKStack

HERE = Path(__file__).resolve().parent
ARMS = ("deep", "refined")
DEEP, SMALL, SPLITS, DURATION = 80, 24, (20, 36), 4
RATE = 0.003
STAGES = (0.3, 0.3, 0.4)  # shares of the epochs of "refined"
WIDTHS = {"spirals": 8, "digits": 32}
FULL = {"seeds": 5, "epochs": {"spirals": 60, "digits": 20}}
QUICK = {"seeds": 2, "epochs": {"spirals": 10, "digits": 10}}


def data_of(name: str, seed: int) -> tuple[np.ndarray, ...]:
    """Points and labels for training, then for the test."""
    if name == "spirals":
        return paper_data(seed)
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    x, labels = load_digits(return_X_y=True)
    x = (x / 16).astype("float32")
    x, x_test, y, y_test = train_test_split(x, labels, test_size=360, random_state=seed)
    return x, y, x_test, y_test


def build(name: str, blocks: int) -> keras.Model:
    """Dense, the stack, Dense."""
    width = WIDTHS[name]
    classes = 10 if name == "digits" else 1
    f = keras.layers.Dense(width, activation="tanh")
    dt = Fraction(DURATION, blocks)
    return keras.Sequential(
        [
            keras.Input((64 if name == "digits" else 2,)),
            keras.layers.Dense(width),
            RKStack(f, blocks, "heun2", dt=dt, name="stack"),
            keras.layers.Dense(classes, activation="softmax" if classes > 1 else "sigmoid"),
        ]
    )


class Clock(keras.callbacks.Callback):
    """The processor time at the end of each epoch, since training began, and the first epoch's."""

    def __init__(self, begin: float) -> None:
        super().__init__()
        self.begin = begin
        self.times: list[float] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.times.append(time.process_time() - self.begin)


def train(name: str, arm: str, seed: int, epochs: int) -> dict[str, Any]:
    """One training; times are of the processor, so that other work on the machine does not count.

    The first epoch after each compilation counts as long as the one after it, in "once" the rest.
    """
    x, y, *test = data_of(name, seed)
    keras.utils.set_random_seed(seed)
    model = build(name, DEEP if arm == "deep" else SMALL)
    loss = "sparse_categorical_crossentropy" if name == "digits" else "binary_crossentropy"
    model.compile(keras.optimizers.Adam(RATE), loss, metrics=["accuracy"])
    counts = [epochs] if arm == "deep" else [round(share * epochs) for share in STAGES]
    begin = time.process_time()
    clock, accuracy, once, refinements = Clock(begin), [], 0.0, []
    for stage, count in enumerate(counts):
        before = time.process_time() - begin if stage == 0 else clock.times[-1]
        if stage:
            model, report = keras_rk.refine(
                model, x[:500], split=SPLITS[stage - 1], tolerance=float("inf"), verbose=0
            )
            after = model.evaluate(*test, verbose=0)[1]
            refinements.append(
                {"change": report.change, "before": accuracy[-1], "after": float(after)}
            )
        history = model.fit(
            x, y, 32, count, verbose=0, validation_data=tuple(test), callbacks=[clock]
        ).history
        accuracy += [float(a) for a in history["val_accuracy"]]
        first, second = clock.times[len(clock.times) - count :][:2]
        once += (first - before) - (second - first)
    return {
        "accuracy": accuracy,
        "times": clock.times,
        "once": once,
        "refinements": refinements,
        "dt": [str(dt) for dt in np.atleast_1d(model.get_layer("stack").dt)],
        "step_sizes": model.get_layer("stack").step_sizes.tolist(),
    }


def mean_and_interval(values: list[float]) -> str:
    quantile = stats.t.ppf(0.975, len(values) - 1)
    half = quantile * np.std(values, ddof=1) / len(values) ** 0.5
    return f"{np.mean(values):.3f} ± {half:.3f}"


def at(record: dict[str, Any], moment: float) -> float:
    """The accuracy after the last epoch that ended by then; 0 before the first."""
    ended = np.searchsorted(record["times"], moment, side="right")
    return record["accuracy"][ended - 1] if ended else 0.0


def report(records: dict[str, dict[str, list[dict[str, Any]]]], settings: dict[str, Any]) -> str:
    """refine.md."""
    rows = []
    for name, arms in records.items():
        deep, refined = (arms[arm] for arm in ARMS)
        pairs = list(zip(deep, refined, strict=True))
        total = [one["times"][-1] for one in refined]
        rows += [
            (
                f"{name}: accuracy at the end",
                *(final(arms[arm]) for arm in ARMS),
                _difference(pairs),
            ),
            (
                f"{name}: accuracy when refined has ended",
                mean_and_interval([at(d, t) for d, t in zip(deep, total, strict=True)]),
                final(refined),
                mean_and_interval(
                    [at(r, t) - at(d, t) for (d, r), t in zip(pairs, total, strict=True)]
                ),
            ),
            (
                f"{name}: processor time, s",
                *(mean_and_interval([one["times"][-1] for one in arms[arm]]) for arm in ARMS),
                "ratio " + mean_and_interval([r["times"][-1] / d["times"][-1] for d, r in pairs]),
            ),
            (
                f"{name}: without compiling and refining, s",
                *(mean_and_interval([_net(one) for one in arms[arm]]) for arm in ARMS),
                "ratio " + mean_and_interval([_net(r) / _net(d) for d, r in pairs]),
            ),
        ]
    lines = [
        "# Trained small and refined twice, or deep at once",
        "",
        f"Written by `python examples/refine.py`: {settings['seeds']} seeds, "
        + ", ".join(f"{n} epochs on {name}" for name, n in settings["epochs"].items())
        + f"; Heun's method, {DEEP} blocks in the end, on {keras.backend.backend()}. Intervals are "
        "95 % (Student's t over seeds); the last column is refined - deep with the same seed.",
        "",
        "| | deep | refined | difference |",
        "| --- | --- | --- | --- |",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
        "What refining did by itself, before training went on:",
        "",
        "| | outputs changed by | accuracy before | accuracy after |",
        "| --- | --- | --- | --- |",
    ]
    for name, arms in records.items():
        for n in range(len(SPLITS)):
            found = [one["refinements"][n] for one in arms["refined"]]
            cells = [
                mean_and_interval([f[k] for f in found]) for k in ("change", "before", "after")
            ]
            lines.append(f"| {name}, {n + 1}. time | {' | '.join(cells)} |")
    return "\n".join([*lines, "", "![Accuracy over processor time](images/refine.png)", ""])


def final(records: list[dict[str, Any]]) -> str:
    return mean_and_interval([one["accuracy"][-1] for one in records])


def _difference(pairs: list[tuple[dict, dict]]) -> str:
    return mean_and_interval([r["accuracy"][-1] - d["accuracy"][-1] for d, r in pairs])


def _net(record: dict[str, Any]) -> float:
    return record["times"][-1] - record["once"]


def draw(records: dict[str, dict[str, list[dict[str, Any]]]], path: Path) -> None:
    """Accuracy over time, and the step sizes that refining has chosen."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(len(records), 2, figsize=(10, 3.2 * len(records)), squeeze=False)
    for (name, arms), (left, right) in zip(records.items(), axes, strict=True):
        for arm, color in zip(ARMS, ("tab:blue", "tab:orange"), strict=True):
            for n, one in enumerate(arms[arm]):
                label = None if n else arm
                left.plot(one["times"], one["accuracy"], color=color, linewidth=0.9, label=label)
                ends = np.cumsum([0, *one["step_sizes"]])
                steps = [*one["step_sizes"], one["step_sizes"][-1]]
                right.step(ends, steps, where="post", color=color, linewidth=0.9)
        left.set(title=name, xlabel="processor time, s", ylabel="accuracy on test points")
        right.set(title="step sizes in the end", xlabel="time of the ODE", ylabel="dt")
        left.legend()
    figure.tight_layout()
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=100)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="two seeds and few epochs")
    parser.add_argument("--output", type=Path, help="where records, refine.md and pictures go")
    parser.add_argument("--data", nargs="+", choices=list(WIDTHS), default=list(WIDTHS))
    arguments = parser.parse_args()
    settings = QUICK if arguments.quick else FULL
    folder = arguments.output or Path(
        "refine-results-quick" if arguments.quick else "refine-results"
    )
    records: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for name in arguments.data:
        epochs = settings["epochs"][name]
        records[name] = {arm: [] for arm in ARMS}
        for seed in range(settings["seeds"]):
            for arm in ARMS:
                file = folder / "records" / f"{name}-{arm}-{epochs}epochs-seed{seed}.json"
                if not file.exists():
                    found = train(name, arm, seed, epochs)
                    with replacing(file) as temporary:
                        temporary.write_text(json.dumps(found) + "\n")
                    print(f"{file.stem}: {found['times'][-1]:.1f} s", flush=True)
                records[name][arm].append(json.loads(file.read_text()))
    draw(records, folder / "images" / "refine.png")
    text = report(records, settings)
    (folder / "refine.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
