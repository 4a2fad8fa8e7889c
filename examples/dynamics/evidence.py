"""What a folder holds, by cell and seed, and the statistics that the report is made of."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from cells import DTS, Cell, floor_cell
from claims import FLOOR_FACTOR, LARGEST_PHASE, SLOPE_TOLERANCE
from shared import Interval, Record, interval
from store import Store

Measure = Callable[[Record], float]


def number(value: float | None) -> float:
    """A number as records have it, where None was not finite."""
    return np.nan if value is None else float(value)


def measure(name: str) -> Measure:
    """A number of the record."""
    return lambda record: number(record[name])


def rollout(way: str, name: str = "error") -> Measure:
    """A number of orbits that were rolled out in a way."""
    return lambda record: number(record["rollout"][way][name])


FIELD_ERROR = measure("field_error")


@dataclass(frozen=True)
class Factor:
    """A geometric mean and the factor to both ends of its 95 % interval."""

    mean: float
    factor: float
    count: int

    def __str__(self) -> str:
        if self.count == 0:
            return "-"
        if not np.isfinite(self.factor):
            return f"{self.mean:.2g}"
        return f"{self.mean:.2g} ×/÷ {self.factor:.2f}"

    def span(self) -> str:
        """The interval in words."""
        return f"{self.mean:.2g} ({self.mean / self.factor:.2g} to {self.mean * self.factor:.2g})"


def factor(values: Sequence[float]) -> Factor:
    """The interval of positive numbers, by that of their logarithms."""
    found = interval(np.log(np.asarray(values, dtype=float)))
    return Factor(float(np.exp(found.mean)), float(np.exp(found.half_width)), found.count)


@dataclass(frozen=True)
class Slope:
    """How the error of f falls from one dt to the next.

    Attributes:
        coarse, fine: the two dt.
        value: log(error(coarse) / error(fine)) / log(coarse / fine), over seeds.
        asymptotic: as claims.py says.
    """

    cell: Cell
    coarse: float
    fine: float
    value: Interval
    asymptotic: bool

    def agrees(self, expected: float) -> bool:
        """Whether the slope is what a theory says, as claims.py says."""
        distance = abs(self.value.mean - expected)
        inside = np.isfinite(self.value.half_width) and distance <= self.value.half_width
        return bool(inside or distance <= SLOPE_TOLERANCE)


class Results:
    """What a folder holds.

    Attributes:
        cells: the records by cell and seed.
        diagnoses: what `ode_consistency` says of some.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.cells: dict[Cell, dict[int, Record]] = {}
        for cell, seed, record in store.records():
            self.cells.setdefault(cell, {})[seed] = record
        self.diagnoses: dict[Cell, dict[int, Record]] = {}
        for cell, seed, found in store.diagnoses():
            self.diagnoses.setdefault(cell, {})[seed] = found["report"]

    def __contains__(self, cell: Cell) -> bool:
        return cell in self.cells

    @property
    def seeds(self) -> int:
        return max(map(len, self.cells.values()), default=0)

    @property
    def systems(self) -> list[str]:
        return list(dict.fromkeys(cell.system for cell in self.ordered))

    @property
    def ordered(self) -> list[Cell]:
        """Cells as cells.py lists them."""
        from cells import EXPERIMENTS, cells

        listed = [cell for name in EXPERIMENTS for cell in cells(name)]
        return [cell for cell in listed if cell in self.cells]

    def values(self, cell: Cell, of: Measure = FIELD_ERROR) -> dict[int, float]:
        """A measure by seed; empty if the cell is not there."""
        return {seed: of(record) for seed, record in self.cells.get(cell, {}).items()}

    def factor(self, cell: Cell, of: Measure = FIELD_ERROR) -> Factor:
        return factor(list(self.values(cell, of).values()))

    def floor(self, system: str) -> float:
        """The error of the network trained on f itself; NaN if it is not there."""
        return self.factor(floor_cell(system)).mean

    def rate(self, system: str) -> float:
        """L = |f'f| / |f|, from the record of any cell."""
        for cell, records in self.cells.items():
            if cell.system == system:
                return number(next(iter(records.values()))["rate"])
        return np.nan

    def slopes(self, cell: Cell, of: Measure = FIELD_ERROR) -> list[Slope]:
        """The slopes of a method over all neighbouring dt, the coarsest first."""
        found = []
        present = [dt for dt in DTS if with_dt(cell, dt) in self]
        for coarse, fine in itertools.pairwise(present):
            one, other = (self.values(with_dt(cell, dt), of) for dt in (coarse, fine))
            seeds = sorted(set(one) & set(other))
            values = [np.log(one[seed] / other[seed]) / np.log(coarse / fine) for seed in seeds]
            finer_error = factor([other[seed] for seed in seeds]).mean
            asymptotic = (
                finer_error >= FLOOR_FACTOR * self.floor(cell.system)
                and factor([one[seed] for seed in seeds]).mean >= finer_error
                and coarse * self.rate(cell.system) <= LARGEST_PHASE
            )
            found.append(Slope(cell, coarse, fine, interval(values), bool(asymptotic)))
        return found

    def slope(self, cell: Cell, of: Measure = FIELD_ERROR) -> Slope | None:
        """The slope that counts: the asymptotic one with the smallest dt."""
        return next((s for s in reversed(self.slopes(cell, of)) if s.asymptotic), None)


def with_dt(cell: Cell, dt: float) -> Cell:
    return Cell(cell.system, cell.method, dt, cell.sampling, cell.steps)


def at_time(record: Record, seconds: float) -> float:
    """The error of f after so much training time, between two measurements by its logarithm."""
    curve = record["curve"]
    errors = np.log(np.array([number(value) for value in curve["field_error"]]))
    return float(np.exp(np.interp(seconds, curve["seconds"], errors)))
