"""The stages of one step of any size, for steps whose sizes are found on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from keras_rk.butcher.tableau import Tableau
from keras_rk.steps.stages import StagePlan, Term, stage_plan, weighted_sum


@dataclass(frozen=True)
class UnitStages:
    """The evaluations of a step, with factors for dt = 1."""

    plan: StagePlan
    nodes: tuple[float, ...]

    @classmethod
    def of(cls, tableau: Tableau, dtype: str, estimate: bool) -> UnitStages:
        plan = stage_plan(tableau, 1, dtype, estimate=estimate)
        return cls(plan, tuple(float(tableau.exact_c[i]) for i in plan.stages))

    def step(self, evaluate: Any, y: Any, t: Any, h: Any, first: tuple = ()) -> tuple[Any, list]:
        """y after the step from (t, y) of size h, and the stage derivatives.

        Args:
            first: the first of them, where it is known.
        """
        found: list = list(first)
        new = None
        for node, row in list(zip(self.nodes, self.plan.rows, strict=True))[len(found) :]:
            stage = _moved(y, h, row, found)
            found.append(evaluate(stage, t + node * h if node else t))
            if row == self.plan.update:  # the last stage of a FSAL method
                new = stage
        return _moved(y, h, self.plan.update, found) if new is None else new, found


def _moved(y: Any, h: Any, terms: Sequence[Term], slopes: list) -> Any:
    return y + h * weighted_sum(terms, slopes) if terms else y
