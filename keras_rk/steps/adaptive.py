"""Steps of a pair whose sizes follow from their errors, over one or several intervals of time."""

from __future__ import annotations

from typing import Any, NamedTuple

from keras import ops

from keras_rk import loops
from keras_rk.butcher.tableau import Tableau
from keras_rk.field.vector_field import VectorField
from keras_rk.steps.adaptive_march import AdaptiveMarch, Control, Rules
from keras_rk.steps.unit_stages import UnitStages


class Solved(NamedTuple):
    """Where the steps lead.

    Attributes:
        y: the state at the last time, or at all times along a new second axis; NaN where it was
            not reached.
        accepted, tried: the numbers of accepted steps and of tries, as their means over the
            samples.
        failed: how many samples did not get to the end.
        tries: how often the method was tried for the batch.
    """

    y: Any
    accepted: Any
    tried: Any
    failed: Any
    tries: Any


class AdaptiveIntegration:
    """Steps of an embedded pair.

    Args:
        tableau: the pair.
        order: the lower of its orders.
        dtype: that of y.
        rtol, atol: the tolerances.
        most: the number of tries after which samples that are not done have failed.
        by_sample: whether each sample has its own steps.
        first_size: the size of the first step; None to guess it.
        loop: what runs the tries.
    """

    def __init__(
        self,
        tableau: Tableau,
        order: int,
        dtype: str,
        rtol: float,
        atol: float,
        most: int,
        by_sample: bool,
        first_size: float | None,
        loop: loops.Loop,
    ) -> None:
        stages = UnitStages.of(tableau, dtype, True)
        self.rules = Rules(
            tries=stages,
            steps=UnitStages.of(tableau, dtype, False),
            reuses=tableau.is_fsal and {0, tableau.stages - 1} <= set(stages.plan.stages),
            order=order,
            dtype=dtype,
            rtol=rtol,
            atol=atol,
            by_sample=by_sample,
            first_size=first_size,
        )
        self.most = most
        self.loop = loop

    def solve(
        self, field: VectorField, state: tuple, y: Any, times: Any, *, kind: Any, traceable: bool
    ) -> Solved:
        """y at the times, from the first one on.

        Args:
            state: values for the variables of the field.
            times: of shape (times,), or (times, batch, 1, ...) with as many axes after the first
                as y has.
            kind: what stands for the kind of call, for traces.
        """
        several = times.shape[0] > 2
        march = AdaptiveMarch(self.rules, field, y, several)
        given = times, tuple(state), tuple(field.constants())
        key = "march", kind, self.rules.by_sample, len(times.shape), several
        found = self.loop.march(march.marching(self.most), y, given, key=key, traceable=traceable)
        control = Control(*found.control)
        done = ops.equal(control.interval, times.shape[0] - 1)
        y_end = ops.where(done, found.state, float("nan"))
        if several:
            y_end = self._at_times(y, y_end, found.path, control)
        samples = ops.cast(ops.shape(y)[0], "int32") if not self.rules.by_sample else 1
        failed = ops.sum(ops.cast(ops.logical_not(done), "int32")) * samples
        return Solved(
            y_end,
            ops.mean(ops.cast(control.accepted, self.rules.dtype)),
            ops.mean(ops.cast(control.tried, self.rules.dtype)),
            failed,
            ops.max(control.tried),
        )

    def _at_times(self, y: Any, y_end: Any, path: Any, control: Control) -> Any:
        """y at all times, shape (batch, times, ...), from the states before all steps."""
        (reached,) = control.reached  # (times between, [batch, 1, ...])
        index = ops.clip(reached, 0, ops.shape(path)[0] - 1)
        shape = ops.shape(y)
        if self.rules.by_sample:
            index = ops.broadcast_to(index, (reached.shape[0], *shape))
            between = ops.take_along_axis(path, index, axis=0)
        else:
            between = ops.take(path, index, axis=0)
            reached = ops.reshape(reached, (-1, *(1 for _ in y.shape)))
        between = ops.where(reached >= 0, between, float("nan"))
        return ops.moveaxis(ops.concatenate([y[None], between, y_end[None]], axis=0), 0, 1)
