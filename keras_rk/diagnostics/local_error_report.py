"""What `local_error` found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from keras_rk.diagnostics.plots import block_axis, legend_above, log_axis, note_undrawn, titled
from keras_rk.diagnostics.reports import Report
from keras_rk.diagnostics.tables import label, shown, table

RESOLVED = 0.1  # how far two references may be apart, relative to the error


@dataclass(frozen=True)
class BlockError:
    """The local error of a block.

    Attributes:
        layer: the name of the layer.
        block: which block of an `RKStack`; None for an `RKResidual`.
        method: the name of the network's own method.
        dt: the step size; None where the model's graph shows that calls give `dt` or `times`.
        error: the root mean square of step - flow, over elements and data, from where the network
            is at each step.
        change: by how much half as many substeps of the reference change that.
        pair: the name of the embedded pair; None where there is none.
        pair_error: what the pair says of itself, the root mean square of
            dt * sum_i (b_i - b_hat_i) k_i in the network that is run with it.
    """

    layer: str
    block: int | None
    method: str
    dt: float | None
    error: float
    change: float
    pair: str | None = None
    pair_error: float | None = None

    @property
    def is_resolved(self) -> bool:
        """Whether the reference is fine enough for the error to be known to a tenth."""
        return bool(self.change <= RESOLVED * self.error)


@dataclass(frozen=True)
class LocalErrorReport(Report):
    """The local errors of all blocks, in the order of the model. `plot` draws them.

    Attributes:
        blocks: one `BlockError` for each block.
        substeps: how many small steps of the reference replace one.
    """

    blocks: tuple[BlockError, ...]
    substeps: int

    @property
    def errors(self) -> np.ndarray:
        """The network's own errors alone."""
        return np.array([block.error for block in self.blocks])

    @property
    def pair_errors(self) -> np.ndarray | None:
        """What the pair says of itself; None without a pair."""
        errors = [block.pair_error for block in self.blocks]
        return None if None in errors else np.array(errors)

    @property
    def pair(self) -> str | None:
        """The names of the pairs."""
        names = dict.fromkeys(block.pair for block in self.blocks if block.pair)
        return ", ".join(names) or None

    @property
    def unresolved(self) -> int:
        """In how many blocks the reference is too coarse to tell."""
        return sum(not block.is_resolved for block in self.blocks)

    def _parts(self) -> dict[str, Any]:
        blocks = [{**asdict(block), "is_resolved": block.is_resolved} for block in self.blocks]
        return {"blocks": blocks, "substeps": self.substeps}

    def __str__(self) -> str:
        headings = ["block", "method", "dt", "error"]
        rows = [
            [label(b), b.method, b.dt, f"{'' if b.is_resolved else '~'}{shown(b.error)}"]
            for b in self.blocks
        ]
        if self.pair is not None:
            headings.append(f"of {self.pair}")
            rows = [[*row, b.pair_error] for row, b in zip(rows, self.blocks, strict=True)]
        parts = ["Local errors of the network's own steps", table(headings, rows)]
        return "\n\n".join([*parts, *self._notes()])

    def _notes(self) -> list[str]:
        notes = []
        if self.unresolved:
            notes.append(
                f"~: {self.substeps} substeps are too few to tell, or rounding is all there is; "
                f"try substeps={4 * self.substeps}."
            )
        if self.pair is not None:
            notes.append(
                f"of {self.pair}: what that pair estimates of its own steps, in the network that "
                "is run with it."
            )
        return notes

    def _draw(self, axes: Any) -> None:
        errors = np.where(self.errors > 0, self.errors, np.nan)
        groups: dict[str, list[int]] = {}
        for place, block in enumerate(self.blocks):
            groups.setdefault(block.layer, []).append(place)
        for name, places in groups.items():
            axes.plot(places, errors[places], marker="o", label=f"{name}, own steps")
        if self.pair_errors is not None:
            look: dict[str, Any] = {"marker": "x", "linestyle": "", "color": "gray"}
            drawn = np.where(self.pair_errors > 0, self.pair_errors, np.nan)
            axes.plot(range(len(drawn)), drawn, label=f"{self.pair}, its own", **look)
        rough = [
            n
            for n, block in enumerate(self.blocks)
            if not block.is_resolved and np.isfinite(block.error)
        ]
        if rough:
            look = {"marker": "o", "fillstyle": "none", "markersize": 11, "linestyle": ""}
            axes.plot(rough, errors[rough], color="black", label="not resolved", **look)
        drawn = np.concatenate([self.errors, [] if self.pair_errors is None else self.pair_errors])
        log_axis(axes, list(drawn))
        note_undrawn(axes, range(len(self.blocks)), list(self.errors))
        block_axis(axes, [label(block) for block in self.blocks])
        axes.set_ylabel("local error of a step")
        legend_above(axes)
        titled(axes, self._title)

    @property
    def _title(self) -> str:
        finite = [block for block in self.blocks if np.isfinite(block.error)]
        notes = []
        if len(finite) < len(self.blocks):
            notes.append(f"{len(self.blocks) - len(finite)} not finite")
        if unresolved := sum(not block.is_resolved for block in finite):
            notes.append(f"{unresolved} not resolved")
        if not finite:
            return "Local errors: none is finite"
        worst = max(finite, key=lambda block: block.error)
        text = f"Local errors: at most {shown(worst.error)}, in {label(worst)}"
        return f"{text} ({', '.join(notes)})" if notes else text
