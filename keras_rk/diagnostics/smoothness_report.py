"""What `smoothness` found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from keras_rk.diagnostics.plots import (
    legend_above,
    log_axis,
    mark,
    note_undrawn,
    positive,
    powers_of_two,
    titled,
)
from keras_rk.diagnostics.reports import Report
from keras_rk.diagnostics.tables import table

LEGEND = 6  # more lines than that are not named one by one


@dataclass(frozen=True)
class WeightInDepth:
    """One weight of a stack, along depth.

    Attributes:
        stack: the name of the layer.
        weight: the name of the weight.
        depth: how many blocks there are.
        norm: the largest Frobenius norm over the blocks.
        increment: the largest norm of what changes from one block to the next.
        roughness: increments beside those of independent blocks, for which it is about 1.
        lags: distances between blocks.
        increments: the root mean square of what changes over each of these distances.
        hoelder: the exponent H of increments ~ lag^H: 1 for a smooth function of depth, 1/2 for a
            random walk, 0 for independent blocks; None where nothing changes, or with too few
            blocks.
    """

    stack: str
    weight: str
    depth: int
    norm: float
    increment: float
    roughness: float
    lags: tuple[int, ...]
    increments: tuple[float, ...]
    hoelder: float | None


@dataclass(frozen=True)
class Scaling:
    """How one weight scales with depth, over several models.

    Attributes:
        stack, weight: their names in the first model.
        depths: how many blocks the models have.
        norm: the exponent a of max |theta_n| ~ N^a.
        increment: the exponent b of max |theta_(n+1) - theta_n| ~ N^b.
    """

    stack: str
    weight: str
    depths: tuple[int, ...]
    norm: float | None
    increment: float | None

    @property
    def smooth(self) -> float | None:
        """b - a: -1 for a smooth function of depth, 0 for independent blocks."""
        return None if self.norm is None or self.increment is None else self.increment - self.norm


@dataclass(frozen=True)
class SmoothnessReport(Report):
    """How the weights of stacks change along depth.

    `plot` draws increments over the distance between blocks, beside a slope of 1 (smooth).

    Attributes:
        weights: one entry for each trained weight of each stack, model after model.
        scalings: the exponents over several models; none for a single one.
    """

    weights: tuple[WeightInDepth, ...]
    scalings: tuple[Scaling, ...]

    def __str__(self) -> str:
        headings = ["weight", "blocks", "norm", "increment", "x blocks", "roughness", "H"]
        rows = [
            [
                f"{w.stack} {w.weight}",
                w.depth,
                w.norm,
                w.increment,
                w.increment * w.depth,
                w.roughness,
                w.hoelder,
            ]
            for w in self.weights
        ]
        lines = [
            "Weights along depth (H: 1 smooth, 1/2 random walk, 0 independent blocks)",
            "",
            table(headings, rows),
        ]
        if self.scalings:
            headings = ["weight", "norm ~ N^a", "increment ~ N^b", "b - a (-1 if smooth)"]
            rows = [[f"{s.stack} {s.weight}", s.norm, s.increment, s.smooth] for s in self.scalings]
            lines += ["", table(headings, rows)]
        return "\n".join(lines)

    def _parts(self) -> dict[str, Any]:
        parts = super()._parts()
        for entry, scaling in zip(parts["scalings"], self.scalings, strict=True):
            entry["smooth"] = scaling.smooth
        return parts

    def _painters(self) -> list[Callable[[Any], None]]:
        return [self._draw] + ([self._draw_scalings] if self.scalings else [])

    def _draw(self, axes: Any) -> None:
        names = [w.weight if self._has_one_stack else f"{w.stack} {w.weight}" for w in self.weights]
        looks = {
            name: {"color": f"C{n % 10}", **mark(n)} for n, name in enumerate(dict.fromkeys(names))
        }
        labels = dict.fromkeys(looks) if len(looks) <= LEGEND else {}
        for w, name in zip(self.weights, names, strict=True):
            label = name if name in labels else None
            labels.pop(name, None)  # once for all models
            axes.plot(*positive(w.lags, _relative(w)), label=label, **looks[name])
        lags = [lag for w in self.weights for lag in w.lags]
        found = [value for w in self.weights for value in _relative(w)]
        lowest = positive([1] * len(self.weights), [_relative(w)[0] for w in self.weights])[1]
        ends = [1, max(2, *lags)]
        line = [min(lowest) * x for x in ends] if lowest else []
        if line:
            look = {"color": "black", "linestyle": ":", "label": "slope 1: smooth"}
            axes.plot(ends, line, **look)
        note_undrawn(axes, lags, found)
        log_axis(axes, [*found, *line])
        powers_of_two(axes, [2**n for n in range(ends[1].bit_length())])
        axes.set_xlabel("distance between blocks")
        axes.set_ylabel("change of weights / largest norm")
        legend_above(axes)
        titled(axes, f"Weights along depth{self._exponents}")

    @property
    def _exponents(self) -> str:
        """From which H to which, for the title."""
        found = sorted(w.hoelder for w in self.weights if w.hoelder is not None)
        if not found:
            return ""
        low, high = f"{found[0]:.2f}", f"{found[-1]:.2f}"
        span = low if low == high else f"{low} to {high}"
        return f": H {span} (1 is smooth)"

    @property
    def _has_one_stack(self) -> bool:
        return len({w.stack for w in self.weights}) == 1

    def _draw_scalings(self, axes: Any) -> None:
        count = len(self.scalings)
        depths = self.scalings[0].depths
        for n in range(count):
            same = self.weights[n::count]
            color = f"C{n % 10}"
            axes.plot(depths, [w.norm for w in same], "o-", color=color)
            axes.plot(depths, [w.increment for w in same], "s--", color=color)
        found = [x for w in self.weights for x in (w.norm, w.increment)]
        note_undrawn(axes, [w.depth for w in self.weights for _ in range(2)], found)
        axes.plot([], [], "ko-", label="largest norm")
        axes.plot([], [], "ks--", label="largest increment")
        axes.set_xscale("log", base=2)
        log_axis(axes, found)
        axes.set_xticks(depths, [str(n) for n in depths])
        axes.minorticks_off()
        axes.set_xlabel("blocks")
        legend_above(axes)
        titled(axes, "Scaling with depth")


def _relative(weight: WeightInDepth) -> list[float]:
    """Increments as shares of the largest norm."""
    return [x / weight.norm if weight.norm else 0.0 for x in weight.increments]
