"""A method with its step sizes: the factors and the times of all evaluations of f."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from keras import ops

from keras_rk.butcher.tableau import Tableau
from keras_rk.numbers.coefficients import nearest
from keras_rk.steps.dense_output import with_extension
from keras_rk.steps.learned import LearnedStep, LearnedTableau
from keras_rk.steps.stages import StagePlan, stage_plan


class Method:
    """Steps of a tableau, of fixed sizes or of such that are learned.

        t_ni = t_n + c_i dt,    t_(n+1) = t_n + dt,    t_0 given

    Args:
        tableau: the method, or where it starts.
        dts: the exact step sizes, one for all blocks or one for each.
        steps: how many steps each block takes.
        blocks: how many blocks there are; None for a single layer, without an axis for blocks.
        start: t_0.
        dtype: the dtype in which y is summed up.
        estimate: whether to estimate the error.
    """

    def __init__(
        self,
        tableau: Tableau,
        dts: Sequence[Any],
        steps: int,
        blocks: int | None,
        start: Any,
        dtype: str,
        estimate: bool,
    ) -> None:
        self.tableau = tableau
        self.dts = list(dts)
        self.steps = steps
        self.blocks = blocks
        self.start = start
        self.dtype = dtype
        self.estimate = estimate
        plans = [stage_plan(tableau, dt, dtype, estimate=estimate) for dt in self.dts]
        if len({len(plan.factors) for plan in plans}) > 1:
            raise ValueError(
                f"`dt` times the coefficients must not round to zero in {dtype} for one block and "
                f"not for another. Received: dt={[float(dt) for dt in self.dts]}."
            )
        self.plan = plans[0]
        self._factors = np.array([plan.factors for plan in plans], dtype)

    @cached_property
    def unit_plan(self) -> StagePlan:
        """The plan for steps of size 1, which a clock scales."""
        return stage_plan(self.tableau, 1, self.dtype, estimate=self.estimate)

    @cached_property
    def dense_plan(self) -> StagePlan:
        """The same with the continuous extension of the method."""
        extended = with_extension(self.tableau)
        return stage_plan(extended, 1, self.dtype, estimate=self.estimate, dense=True)

    def factors(
        self, learned_tableau: LearnedTableau | None, learned_step: LearnedStep | None
    ) -> Any:
        """The factors of the plan, shape `([blocks,] factors [, channels])`; None for its own."""
        if learned_tableau is None and learned_step is None and len(self.dts) == 1:
            return None
        factors = ops.convert_to_tensor(self._factors)
        if learned_tableau is not None:
            dts = np.array([[nearest(dt, self.dtype)] for dt in self.dts], self.dtype)
            factors = ops.convert_to_tensor(dts) * self._cast(ops.stack(learned_tableau.factors()))
        if self.blocks is None:
            factors = factors[0]
        elif learned_step is not None or len(self.dts) == 1:
            factors = ops.broadcast_to(factors, (self.blocks, factors.shape[1]))
        if learned_step is None:
            return factors
        ratio = self._cast(learned_step.ratio())
        if learned_step.by_channel:
            return ops.expand_dims(factors, -1) * ops.expand_dims(ratio, -2)
        return factors * ops.expand_dims(ratio, -1)

    def times(
        self, learned_tableau: LearnedTableau | None, learned_step: LearnedStep | None
    ) -> Any:
        """The times of all evaluations, shape `([blocks,] steps, stages)`."""
        if learned_tableau is None and learned_step is None:
            return ops.convert_to_tensor(self._fixed_times)
        dts, nodes = self._steps_and_nodes
        if learned_step is not None:
            dts = ops.convert_to_tensor(dts.astype(self.dtype)) * self._cast(learned_step.ratio())
        if learned_tableau is not None:
            nodes = self._cast(ops.stack(learned_tableau.nodes()))
        dts, nodes = (ops.convert_to_tensor(x, dtype=self.dtype) for x in (dts, nodes))
        return self._times(dts, nodes, ops)

    def _cast(self, learned: Any) -> Any:
        """What is learned, which has the dtype that y was summed up in when it was built."""
        return ops.cast(learned, self.dtype)

    @property
    def _steps_and_nodes(self) -> tuple[Any, Any]:
        """dt of each block, and c_i of each evaluated stage, in float64."""
        dts = np.broadcast_to([float(dt) for dt in self.dts], (self.blocks or 1,))
        return dts, np.array([float(self.tableau.exact_c[i]) for i in self.plan.stages])

    @cached_property
    def _fixed_times(self) -> np.ndarray:
        return self._times(*self._steps_and_nodes, np).astype(self.dtype)

    def _times(self, dts: Any, nodes: Any, numbers: Any) -> Any:
        """The times, computed by NumPy or by `keras.ops`."""
        starts = float(self.start) + self.steps * (numbers.cumsum(dts) - dts)
        steps = numbers.arange(self.steps, dtype=self.dtype)[:, None]
        offsets = dts[:, None, None] * (steps + nodes)
        times = starts[:, None, None] + offsets
        return times[0] if self.blocks is None else times
