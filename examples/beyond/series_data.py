"""Series that installable packages ship or make, without a network.

    mnist1d              40 points, 10 classes; the package makes it, anew for each seed
    digits               scikit-learn's images, 8 x 8 pixels, read as 8 rows of 8 channels
    ArrowHead            outlines of arrowheads, 251 points, 3 classes       } in aeon's wheel
    GunPoint             a hand's place, 150 points, 2 classes               } (1.6.0 has all
    ItalyPowerDemand     a day in hours, 24 points, 2 classes                } five, training
    JapaneseVowels       12 channels, 7 to 29 points, 9 speakers             } and test files)
    BasicMotions         6 channels, 100 points, 4 classes                   }

Splits: aeon's sets come with one, which seed 0 has. Other seeds draw as many training series of
each class out of all series, as the UCR community resamples. digits has none: every seed draws 80 %
of each class for training. mnist1d makes 4,000 and 1,000 series for each seed, with the package's
own random seed plus the seed (so that seed 0 has the set that the package makes by default).

Values are centred and scaled by mean and standard deviation of all values of the training series.
Series shorter than the longest end in zeros. A series is cut into at most POSITIONS patches of
equal length, the last one filled with zeros; the values in a patch are the input at its position.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1]))
from spirals_results import replacing

POSITIONS = 10
INSTALL = "pip install 'keras-rk[beyond]'"


class Series(NamedTuple):
    """All series of a set.

    Attributes:
        x: shape (series, points, channels); NaN after the end of a series.
        y: the class of each, from 0.
        train: how many of the first are for training in the split that the set comes with; 0 if it
            comes with none.
    """

    x: np.ndarray
    y: np.ndarray
    train: int


class Split(NamedTuple):
    """Training and test series of several seeds, with seeds along the first axis."""

    x: np.ndarray
    y: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray

    @property
    def sizes(self) -> tuple[int, int]:
        return self.y.shape[1], self.y_test.shape[1]


def missing(dataset: str, package: str, error: ImportError) -> SystemExit:
    return SystemExit(
        f"{dataset} comes with {package}, which cannot be imported ({error}): {INSTALL}"
    )


def mnist1d(seed: int) -> Series:
    try:
        from mnist1d.data import get_dataset_args, make_dataset
    except ImportError as error:
        raise missing("mnist1d", "the package mnist1d", error) from error
    arguments = get_dataset_args()
    arguments.seed += seed
    made = make_dataset(arguments)
    x = np.concatenate([made["x"], made["x_test"]])[:, :, None]
    return Series(x, np.concatenate([made["y"], made["y_test"]]), len(made["y"]))


def digits(_seed: int) -> Series:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise missing("digits", "scikit-learn", error) from error
    images, labels = load_digits(return_X_y=True)
    return Series(images.reshape(-1, 8, 8), labels, 0)


def shipped_with_aeon(name: str) -> Callable[[int], Series]:
    """The loader of a set whose files lie in aeon; it never downloads."""

    def load(_seed: int) -> Series:
        try:
            from aeon import datasets
        except ImportError as error:
            raise missing(name, "aeon", error) from error
        folder = Path(datasets.__file__).parent / "data" / name
        files = [folder / f"{name}_{part}.ts" for part in ("TRAIN", "TEST")]
        if not all(file.exists() for file in files):
            raise SystemExit(f"This version of aeon does not ship {name}: no {files[0].name}.")
        parts = [datasets.load_from_ts_file(str(file)) for file in files]
        series = [np.asarray(one).T for values, _ in parts for one in values]
        labels = np.concatenate([labels for _, labels in parts])
        x = np.full((len(series), max(map(len, series)), series[0].shape[1]), np.nan)
        for n, one in enumerate(series):
            x[n, : len(one)] = one
        return Series(x, np.unique(labels, return_inverse=True)[1], len(parts[0][1]))

    return load


LOADERS: dict[str, Callable[[int], Series]] = {
    "mnist1d": mnist1d,
    "digits": digits,
    **{
        name: shipped_with_aeon(name)
        for name in (
            "ArrowHead",
            "GunPoint",
            "ItalyPowerDemand",
            "JapaneseVowels",
            "BasicMotions",
        )
    },
}
DRAWN_ANEW = ("mnist1d",)  # series of their own for each seed


def loaded(dataset: str, seed: int, folder: Path) -> Series:
    """The series of a set, read from its package once and kept in a folder."""
    name = f"{dataset}-{seed}" if dataset in DRAWN_ANEW else dataset
    file = folder / f"{name}.npz"
    if not file.exists():
        series = LOADERS[dataset](seed)
        with replacing(file) as temporary:
            np.savez_compressed(
                temporary, x=series.x.astype("float32"), y=series.y.astype("int32"), n=series.train
            )
    with np.load(file) as arrays:
        return Series(arrays["x"], arrays["y"], int(arrays["n"]))


def chosen_for_training(series: Series, dataset: str, seed: int) -> np.ndarray:
    """Which series a seed trains on."""
    is_given = np.arange(len(series.y)) < series.train
    if series.train and (seed == 0 or dataset in DRAWN_ANEW):
        return is_given
    rng = np.random.default_rng([seed, sorted(LOADERS).index(dataset)])
    chosen = np.zeros(len(series.y), bool)
    for label in np.unique(series.y):
        members = np.flatnonzero(series.y == label)
        count = np.sum(is_given[members]) if series.train else math.floor(0.8 * len(members))
        chosen[rng.permutation(members)[:count]] = True
    return chosen


def patched(x: np.ndarray) -> np.ndarray:
    """Shape (series, positions, points in a patch times channels)."""
    count, length, channels = x.shape
    patch = math.ceil(length / POSITIONS)
    positions = math.ceil(length / patch)
    padded = np.zeros((count, positions * patch, channels), "float32")
    padded[:, :length] = x
    return padded.reshape(count, positions, patch * channels)


def one_split(dataset: str, seed: int, folder: Path) -> tuple[np.ndarray, ...]:
    series = loaded(dataset, seed, folder)
    chosen = chosen_for_training(series, dataset, seed)
    values = series.x[chosen]
    x = patched(np.nan_to_num((series.x - np.nanmean(values)) / np.nanstd(values)))
    return x[chosen], series.y[chosen], x[~chosen], series.y[~chosen]


def splits(dataset: str, seeds: list[int], folder: Path) -> Split:
    """Training and test series of each seed."""
    parts = [one_split(dataset, seed, folder) for seed in seeds]
    return Split(*(np.stack(part) for part in zip(*parts, strict=True)))
