"""Step sizes and coefficients that are trained with the weights of the network.

dt = dt_0 * exp(theta), theta = 0 at first, so that dt keeps its sign; or a fixed sum of all dt,
shared out over the blocks by a softmax;
the non-zero a_ij, and all non-zero b_i but the last, which is one minus their sum.
"""

from __future__ import annotations

from collections.abc import Sequence
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

    def log_ratio(self) -> Any:
        """theta."""
        return ops.convert_to_tensor(self.weight)

    def ratio(self) -> Any:
        """exp(theta)."""
        return ops.exp(self.log_ratio())


class SimplexStep(LearnedStep):
    """dt / dt_0 for the blocks of a stack whose step sizes keep their sum S.

        dt_n = S * softmax(theta + log(dt_0 / S))_n,    dt_0 the initial sizes, S their sum

    so that dt_n / dt_n0 = exp(theta_n) / sum_m (dt_m0 / S) exp(theta_m).

    Args:
        blocks: how many blocks there are.
        dts: their initial sizes, exactly; one where all are equal.
    """

    def __init__(self, blocks: int, dts: Sequence[Any]) -> None:
        super().__init__(False, blocks)
        sizes = np.broadcast_to([float(dt) for dt in dts], (blocks,))
        if not (np.all(sizes > 0) or np.all(sizes < 0)):
            raise ValueError(
                "`trainable_dt='simplex'` shares out the sum of all step sizes, so each has its "
                "sign: all of `dt` must be positive, or all negative (backwards in time). "
                f"Received: dt={sizes.tolist()}."
            )
        self._log_shares = np.log(np.abs(sizes) / np.sum(np.abs(sizes)))

    def log_ratio(self) -> Any:
        """theta - log(sum_m (dt_m0 / S) exp(theta_m)), which a shift of theta leaves as it is."""
        theta = ops.convert_to_tensor(self.weight)
        theta = theta - ops.stop_gradient(ops.max(theta))  # so that large ones are not rounded off
        dtype = keras.backend.standardize_dtype(theta.dtype)
        return theta - ops.logsumexp(theta + ops.convert_to_tensor(self._log_shares, dtype=dtype))


def learned_step(kind: bool | str, blocks: int | None, dts: Sequence[Any]) -> LearnedStep | None:
    """The step sizes that `trainable_dt` asks for; None where it is False.

    Args:
        kind: `trainable_dt`.
        blocks: how many blocks there are; None for a single layer.
        dts: the exact initial step sizes, one for all blocks or one for each.
    """
    if kind != "simplex":
        return LearnedStep(kind == "channel", blocks) if kind else None
    if blocks is None:
        raise ValueError(
            "`trainable_dt='simplex'` shares out a fixed sum of step sizes over the blocks of an "
            "RKStack; a single block has nothing to share: `trainable_dt=True` learns its dt. "
            "Received: trainable_dt='simplex' for a layer that is no RKStack."
        )
    return SimplexStep(blocks, dts)


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
