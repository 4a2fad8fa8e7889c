"""What there is to report: the finished networks, and the figures that the paper published."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from grid import Network
from records import Folder, Record
from significance import Interval, interval, share_interval

TEST_POINTS = {"digits": 360}  # of spirals 600
PUBLISHED = Path(__file__).with_name("published")
PAPER_NAMES = {
    **{"standard": "Standard", "residual": "Residual", "euler": "Euler", "heun2": "Heun"},
    **{"rk4": "RK4", "rk8": "RK8", "inconsistent": "RKBad"},
}
Measure = Callable[[Record], float]


def measure(name: str) -> Measure:
    """A number of the record."""
    return lambda record: number(record[name])


def number(value: float | None) -> float:
    """A number as records have it, where None was not finite."""
    return np.nan if value is None else float(value)


def last(curve: str) -> Measure:
    """A curve at its end."""
    return lambda record: number(record["history"][curve][-1])


def endpoint(curve: str = "val_accuracy") -> Measure:
    """The mean of a curve over the last tenth of the epochs: the last 20 of 200."""
    return lambda record: float(np.mean(list(map(number, ending(record["history"][curve])))))


def ending(curve: list[float]) -> list[float]:
    """The last tenth of a curve."""
    return curve[-max(1, len(curve) // 10) :]


def first(curve: str) -> Measure:
    """A curve after the first epoch."""
    return lambda record: number(record["history"][curve][0])


def epochs_to_99(record: Record) -> float:
    """The first epoch with a training accuracy of at least 99 %, counted from one; inf if none."""
    reached = [
        n for n, value in enumerate(record["history"]["accuracy"], 1) if number(value) >= 0.99
    ]
    return float(reached[0]) if reached else np.inf


class Results:
    """What a folder holds, by network and seed.

    Attributes:
        networks: the records.
        diagnoses: what is known of the networks of which it was asked if they are ODEs.
    """

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.networks: dict[Network, dict[int, Record]] = {}
        for network, seed, record in folder.records():
            self.networks.setdefault(network, {})[seed] = record
        self.diagnoses: dict[Network, dict[int, Record]] = {}
        for network, seed, found in folder.diagnoses():
            self.diagnoses.setdefault(network, {})[seed] = found

    def __contains__(self, network: Network) -> bool:
        return network in self.networks

    def values(self, network: Network, of: Measure) -> dict[int, float]:
        """A measure of a network by seed; empty if the network is not there."""
        return {seed: of(record) for seed, record in self.networks.get(network, {}).items()}

    def interval(self, network: Network, of: Measure) -> Interval:
        return interval(list(self.values(network, of).values()))

    def share(self, network: Network, of: Measure) -> Interval:
        """A mean with an interval inside of (0, 1)."""
        points = TEST_POINTS.get(network.data, 600)
        return share_interval(list(self.values(network, of).values()), points)

    def curve(self, network: Network, name: str) -> np.ndarray:
        """A curve with the seeds along the first axis."""
        curves = [record["history"][name] for record in self.networks.get(network, {}).values()]
        return np.array([[number(value) for value in curve] for curve in curves])

    def mean_by_seed(self, networks: Iterable[Network], of: Measure) -> dict[int, float]:
        """For each seed that all networks have, the mean of a measure over the networks."""
        values = [self.values(network, of) for network in networks]
        seeds = set.intersection(*map(set, values)) if values else set()
        return {seed: float(np.mean([one[seed] for one in values])) for seed in sorted(seeds)}

    def resolved(self, network: Network, weights: str) -> dict[int, dict[str, Any]]:
        """The consistency of a network with its limit, for each seed whose limit is known."""
        return {
            seed: one[weights]
            for seed, one in self.diagnoses.get(network, {}).items()
            if weights in one and one[weights]["is_resolved"]
        }

    @property
    def seeds(self) -> int:
        """The largest number of seeds of a network."""
        return max(map(len, self.networks.values()), default=0)


@cache
def published_depths() -> dict[tuple[str, int], dict[str, float]]:
    """The paper's first experiment: by method and depth."""
    methods = {name: method for method, name in PAPER_NAMES.items()}
    with (PUBLISHED / "experiment1.csv").open() as file:
        return {
            (methods[row["model"]], int(row["depth"])): {
                name: float(text) if text else np.inf
                for name, text in row.items()
                if name not in ("model", "depth")
            }
            for row in csv.DictReader(file)
        }


@cache
def published_step_sizes() -> dict[float, dict[str, Any]]:
    """The paper's second experiment: curves by dt."""
    curves: dict[float, dict[str, Any]] = {}
    with (PUBLISHED / "experiment2.csv").open() as file:
        for row in csv.DictReader(file):
            of = curves.setdefault(float(row["dt"]), {})
            for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
                of.setdefault(name, []).append(float(row[name]))
    return curves
