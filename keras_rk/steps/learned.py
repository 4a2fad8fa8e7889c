"""Step sizes and coefficients that are trained with the weights of the network.

dt = dt_0 * exp(theta), theta = 0 at first, so that dt keeps its sign;
the non-zero a_ij, and all non-zero b_i but the last, which is one minus their sum.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_rk.butcher.tableau import Tableau
from keras_rk.numbers.coefficients import nearest
from keras_rk.steps.stages import StagePlan


class Entries(NamedTuple):
    """Where the coefficients of a plan stand in the tableau.

    Attributes:
        A: the evaluated stages and the non-zero columns in their rows, as pairs (i, j).
        b: the stages with a weight.
    """

    A: tuple[tuple[int, int], ...]
    b: tuple[int, ...]

    @property
    def free(self) -> int:
        """How many of them can be chosen."""
        return len(self.A) + len(self.b) - 1


def entries_of(plan: StagePlan) -> Entries:
    """The places of the plan's factors, in its order."""
    stages = plan.stages
    return Entries(
        tuple(
            (i, stages[term.position])
            for i, row in zip(stages, plan.rows, strict=True)
            for term in row
        ),
        tuple(stages[term.position] for term in plan.update),
    )


class LearnedTableau:
    """The coefficients of a tableau as weights of a layer.

    Args:
        tableau: where they start.
        plan: the evaluations, which stay what they are.
    """

    def __init__(self, tableau: Tableau, plan: StagePlan) -> None:
        self.initial = tableau
        self.stages = plan.stages
        self.entries = entries_of(plan)
        self._dtype = plan.dtype
        if not self.entries.free:
            raise ValueError(
                "`trainable_tableau` needs coefficients to choose: a consistent method of one "
                f"stage has b = 1. Received: {tableau.name or 'a tableau'} of one stage."
            )
        self.weight: Any = None

    def build(self, owner: keras.layers.Layer) -> None:
        """Adds the weight to a layer."""
        A, b = self.initial.exact_A, self.initial.exact_b
        values = [A[i][j] for i, j in self.entries.A] + [b[i] for i in self.entries.b[:-1]]
        start = np.array([nearest(value, self._dtype) for value in values], self._dtype)
        self.weight = owner.add_weight(
            shape=start.shape,
            initializer=lambda shape, dtype=None: ops.convert_to_tensor(start, dtype=dtype),
            dtype=self._dtype,
            trainable=True,
            autocast=False,
            name="coefficients",
        )

    def coefficients(self) -> tuple[dict[tuple[int, int], Any], dict[int, Any]]:
        """The non-zero a_ij and b_i as scalar tensors."""
        values = ops.unstack(ops.convert_to_tensor(self.weight), self.entries.free)
        A = dict(zip(self.entries.A, values, strict=False))
        b = dict(zip(self.entries.b, values[len(A) :], strict=False))
        b[self.entries.b[-1]] = 1 - sum(b.values(), ops.zeros((), self._dtype))
        return A, b

    def factors(self) -> list:
        """The coefficients in the order of the plan's factors."""
        A, b = self.coefficients()
        return [*A.values(), *b.values()]

    def nodes(self) -> list:
        """c_i of the evaluated stages, the sums of their rows."""
        A, _ = self.coefficients()
        zero = ops.zeros((), self._dtype)
        return [sum((x for (row, _), x in A.items() if row == i), zero) for i in self.stages]

    @property
    def tableau(self) -> Tableau:
        """The learned method, whose dependent entries are computed exactly."""
        if self.weight is None:
            return self.initial
        values = [Fraction(float(x)) for x in ops.convert_to_numpy(self.weight)]
        A = [list(row) for row in self.initial.A]
        for (i, j), value in zip(self.entries.A, values, strict=False):
            A[i][j] = value
        b: list = [0] * self.initial.stages
        for i, value in zip(self.entries.b, values[len(self.entries.A) :], strict=False):
            b[i] = value
        b[self.entries.b[-1]] = 1 - sum(b)
        name = None if self.initial.name is None else f"{self.initial.name}_learned"
        return Tableau(A, b, name=name)


class LearnedStep:
    """dt / dt_0, one factor or one for each channel, as a weight of a layer.

    Args:
        by_channel: whether each entry of the last axis of y has its own.
        blocks: how many blocks there are, each with its own; None for a single layer.
    """

    def __init__(self, by_channel: bool, blocks: int | None) -> None:
        self.by_channel = by_channel
        self._blocks = () if blocks is None else (blocks,)
        self.weight: Any = None

    def build(self, owner: keras.layers.Layer, channels: int | None, dtype: str) -> None:
        """Adds the weight to a layer."""
        if self.by_channel and channels is None:
            raise ValueError(
                "`trainable_dt='channel'` needs the size of y's last axis, which is not known. "
                f"Received: layer {owner.name!r} for y of unknown last dimension."
            )
        self.weight = owner.add_weight(
            shape=(*self._blocks, *((channels,) if self.by_channel else ())),
            initializer="zeros",
            dtype=dtype,
            trainable=True,
            autocast=False,
            name="log_dt_ratio",
        )

    def ratio(self) -> Any:
        """exp(theta)."""
        return ops.exp(ops.convert_to_tensor(self.weight))


class Learned(NamedTuple):
    """What is learned of a method, each None where it is not."""

    tableau: LearnedTableau | None = None
    step: LearnedStep | None = None

    @property
    def weights(self) -> list[keras.Variable]:
        return [part.weight for part in self if part is not None]

    def build(self, owner: keras.layers.Layer, channels: int | None, dtype: str) -> None:
        """Adds the weights to a layer."""
        if self.tableau is not None:
            self.tableau.build(owner)
        if self.step is not None:
            self.step.build(owner, channels, dtype)
