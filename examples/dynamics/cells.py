"""Which networks are trained: a cell is a system, how it is sampled, and a method."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

DTS = (0.4, 0.2, 0.1, 0.05, 0.025)
FEWER_DTS = (0.4, 0.1, 0.025)
METHODS = ("euler", "heun2", "rk4", "dormand_prince54", "rk8")
FEWER_METHODS = METHODS[:3]
ORDERS = {"euler": 1, "heun2": 2, "rk4": 4, "dormand_prince54": 5, "rk8": 8}
EVALUATIONS = {"euler": 1, "heun2": 2, "rk4": 4, "dormand_prince54": 6, "rk8": 11}
SYSTEM_NAMES = ("lotka_volterra", "pendulum", "van_der_pol", "lorenz", "heat")
EQUAL = (  # methods and steps with about as many evaluations of f between two snapshots
    (("euler", 4), ("heun2", 2), ("rk4", 1)),
    (("euler", 12), ("heun2", 6), ("rk4", 3), ("dormand_prince54", 2), ("rk8", 1)),
)
PORTRAIT_METHODS = ("euler", "rk4")
PORTRAIT_DTS = {"lotka_volterra": 0.2, "pendulum": 0.2, "van_der_pol": 0.2, "lorenz": 0.05}
LONGER = {"lorenz": 2}  # how many times the iterations that other systems need
DIAGNOSED_METHODS = ("euler", "rk4")
DIAGNOSED_DTS = FEWER_DTS
EQUAL_TO_RK8 = ("lotka_volterra", "pendulum")  # systems with twelve evaluations, too
EXPERIMENTS = ("floor", "even", "uneven", "noise", "evaluations")


class Shape(NamedTuple):
    """What compiled programs depend on."""

    dimension: int
    local: bool


@dataclass(frozen=True)
class Cell:
    """What is trained with several seeds at once.

    Attributes:
        sampling: "even": snapshots dt apart; "uneven": each h of its own, uniform in
            [dt / 2, 3 dt / 2]; "noise": even, with noise on the snapshots; "derivatives": not
            snapshots but f itself, for the error that the network makes without any method.
        steps: of the method between two snapshots.
    """

    system: str
    method: str
    dt: float
    sampling: str = "even"
    steps: int = 1

    @property
    def name(self) -> str:
        return f"{self.system}-{self.sampling}-{self.method}x{self.steps}-dt{self.dt:g}"

    @property
    def order(self) -> int:
        return ORDERS[self.method]

    @property
    def evaluations(self) -> int:
        """How often f is evaluated between two snapshots."""
        return EVALUATIONS[self.method] * self.steps

    @property
    def cost(self) -> float:
        """Roughly its seconds on one core, for five seeds, for the time left."""
        longer = 1.5 if self.system in LONGER else 1.0
        return longer * 4.0 + (1.2 if self.system == "heat" else 0.3) * self.evaluations

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def floor_cell(system: str) -> Cell:
    """The network trained on f itself: what it cannot do better, whatever the method."""
    return Cell(system, "euler", 0.1, "derivatives")


def cells(experiment: str, quick: bool = False) -> Iterator[Cell]:
    """The cells of an experiment, the most important ones first.

    Uneven and noisy sampling, and several steps between two snapshots, are run for three of the
    five dt; the first two for orders 1, 2 and 4; twelve evaluations for two of the systems. What is
    asked there is seen at the ends and in the middle, and the time is a third.
    """
    systems = ("lotka_volterra", "heat") if quick else SYSTEM_NAMES
    dts = (0.4, 0.2) if quick else DTS
    fewer = (0.4,) if quick else FEWER_DTS
    methods = ("euler", "heun2", "rk4") if quick else METHODS
    for system in systems:
        if experiment == "even":
            yield from (Cell(system, method, dt) for method in methods for dt in dts)
        elif experiment == "floor":
            yield floor_cell(system)
        elif experiment in ("uneven", "noise"):
            yield from (
                Cell(system, method, dt, experiment) for method in FEWER_METHODS for dt in fewer
            )
        elif experiment == "evaluations":
            groups = EQUAL[: 2 if system in EQUAL_TO_RK8 and not quick else 1]
            yield from (
                Cell(system, method, dt, steps=steps)
                for group in groups
                for method, steps in group
                if steps > 1
                for dt in fewer
            )
        else:
            raise ValueError(f"No experiment {experiment!r}; there are {EXPERIMENTS}.")
