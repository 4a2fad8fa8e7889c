"""What `refine` did with each block, and by how much the outputs changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from keras_rk.layers import RKStack
from keras_rk.models.depth_changes import Change, parts_of
from keras_rk.notebook import as_html


@dataclass(frozen=True)
class RefinedBlock:
    """A block of the model before.

    Attributes:
        stack: the name of its stack.
        block: its number there.
        dt: its step size; with one for each channel, their mean.
        error: its local error.
        became: the numbers of the blocks that it is now: two where it was split, one that it
            shares with a neighbour where both were merged.
    """

    stack: str
    block: int
    dt: float
    error: float
    became: tuple[int, ...]


@dataclass(frozen=True)
class RefinementReport:
    """Every block of the refined stacks, in order.

    Attributes:
        model: the name of the model.
        blocks: the blocks before.
        estimates: how the errors of each stack were estimated.
        depths: the number of blocks of each stack, before and after.
        splits, merges: how many were made.
        left_out: how many more were chosen, which would have changed the outputs too much.
        change: rms(new - old) / rms(old) over all outputs on the data.
        tolerance: what it was allowed to be.
    """

    model: str
    blocks: tuple[RefinedBlock, ...]
    estimates: dict[str, str]
    depths: dict[str, tuple[int, int]]
    splits: int
    merges: int
    left_out: int
    change: float
    tolerance: float

    @property
    def errors(self) -> np.ndarray:
        """The local errors alone."""
        return np.array([block.error for block in self.blocks])

    def _repr_html_(self) -> str:
        return as_html(str(self))

    def to_dict(self) -> dict[str, Any]:
        """The report for a program, ready for JSON."""
        found = asdict(self)
        found["blocks"] = [{**one, "became": list(one["became"])} for one in found["blocks"]]
        found["depths"] = {name: list(pair) for name, pair in self.depths.items()}
        found["tolerance"] = self.tolerance if np.isfinite(self.tolerance) else None
        return found

    def __str__(self) -> str:
        limit = f"tolerance {self.tolerance:.3g}"
        merged = f"{_count(self.merges, 'pair')} merged"
        lines = [
            f"{self.model}: {_count(self.splits, 'block')} split, {merged}",
            f"  outputs changed by {self.change:.3g} ({limit})",
        ]
        if self.left_out:
            lines.append(f"  {self.left_out} more were chosen and left out: more than {limit}")
        for name, (before, after) in self.depths.items():
            lines.append(
                f"  {name}: {before} blocks, now {after}; errors by {self.estimates[name]}"
            )
        lines += ["", "  block  dt         error      becomes"]
        for one in self.blocks:
            became = ", ".join(map(str, one.became))
            block = f"{one.block:<5}" if len(self.depths) == 1 else f"{one.stack} {one.block}"
            lines.append(f"  {block}  {one.dt:<9.3g}  {one.error:<9.3g}  {became}")
        return "\n".join(lines)


def _count(number: int, name: str) -> str:
    return f"{number} {name}{'' if number == 1 else 's'}"


def refined_blocks(
    stack: RKStack, errors: np.ndarray, changes: Sequence[Change]
) -> list[RefinedBlock]:
    """The blocks of one stack, with what has become of them."""
    became: dict[int, list[int]] = {block: [] for block in range(stack.depth)}
    for place, part in enumerate(parts_of(stack.depth, changes)):
        for block in range(part.first, part.last + 1):
            became[block].append(place)
    sizes = stack.step_sizes.reshape(stack.depth, -1).mean(axis=1)
    return [
        RefinedBlock(stack.name, n, float(sizes[n]), float(errors[n]), tuple(became[n]))
        for n in range(stack.depth)
    ]


def by_stack(changes: Sequence[Change], names: Sequence[str]) -> Mapping[str, list[Change]]:
    """The changes of each stack."""
    return {name: [change for change in changes if change.stack == name] for name in names}
