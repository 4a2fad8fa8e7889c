"""Which stages a method evaluates, from which terms, and one step of it.

    k_i = f(y + sum_j (dt a_ij) k_j),    y_next = y + sum_i (dt b_i) k_i

A plan is what is left of a tableau once everything that costs something for nothing is gone:
stages that cannot reach the output, and zero coefficients. (The last stage of a FSAL method has
b_s = 0, so it is one of those: there is nothing that reusing it would save.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from keras_rk.errors import TableauError
from keras_rk.layers.loops import add_multiple, is_one
from keras_rk.tableau import Tableau


class Term(NamedTuple):
    """`factor * k`, where k is the `position`-th stage derivative that is evaluated.

    The factor is a float, or a scalar tensor where each block has its own dt.
    """

    position: int
    factor: Any


@dataclass(frozen=True)
class StagePlan:
    """The evaluations of one step.

    Attributes:
        dtype: the dtype that the factors are rounded to.
        stages: the indices of the evaluated stages in the tableau, in order.
        rows: for each evaluated stage, the terms that are added to y before f is evaluated.
        update: the terms that are added to y at the end of the step.
    """

    dtype: str
    stages: tuple[int, ...]
    rows: tuple[tuple[Term, ...], ...]
    update: tuple[Term, ...]

    @property
    def factors(self) -> list:
        """All factors, row after row, those of the update last."""
        return [term.factor for row in (*self.rows, self.update) for term in row]

    def with_factors(self, factors: Sequence[Any]) -> StagePlan:
        """The same evaluations with other factors, in the order of `factors`."""
        values = iter(factors)
        *rows, update = (
            tuple(Term(term.position, next(values)) for term in row)
            for row in (*self.rows, self.update)
        )
        return replace(self, rows=tuple(rows), update=update)


def stage_plan(tableau: Tableau, dt: Any, dtype: str) -> StagePlan:
    """The plan of an explicit tableau for steps of the exact size `dt`.

    Each factor is the exact product of dt and a coefficient, rounded once to `dtype`.
    """
    try:
        scaled = tableau.to_numpy(dtype, scale=dt)
    except TableauError as error:
        raise ValueError(
            f"`dt` times the coefficients must fit into {dtype}. Received: dt={_brief(dt)}."
        ) from error
    a, b = scaled.A.tolist(), scaled.b.tolist()
    if not any(b) and any(weight != 0 for weight in tableau.b):
        raise ValueError(
            f"`dt` times the weights must not round to zero in {dtype}. Received: dt={_brief(dt)}."
        )
    stages = _reaching_the_output(a, b)
    position = {stage: place for place, stage in enumerate(stages)}

    def terms(row: Sequence[float]) -> tuple[Term, ...]:
        return tuple(Term(position[j], row[j]) for j in stages if row[j])

    return StagePlan(dtype, tuple(stages), tuple(terms(a[i]) for i in stages), terms(b))


def _brief(dt: Any) -> str:
    try:
        return f"{float(dt):.6g}"
    except OverflowError:
        return "a number beyond float64"


def _reaching_the_output(a: list[list[float]], b: list[float]) -> list[int]:
    """The stages with a weight, and those which such a stage needs."""
    needed = [bool(weight) for weight in b]
    for i in reversed(range(len(b))):  # explicit: a stage needs earlier ones only
        if needed[i]:
            for j in range(i):
                needed[j] = needed[j] or bool(a[i][j])
    return [i for i, is_needed in enumerate(needed) if is_needed]


def combine(y: Any, terms: Sequence[Term], derivatives: Sequence[Any]) -> Any:
    """y + (factor k + factor k + ...): the small numbers first, then the large one.

    A factor of one emits no operation, so that Euler with dt = 1 is y + f(y) to the last bit.
    """
    if not terms:
        return y
    if len(terms) == 1:
        return add_multiple(y, derivatives[terms[0].position], terms[0].factor)
    (first, factor), *others = terms
    increment = derivatives[first]
    if not is_one(factor):
        increment = increment * factor
    for position, factor in others:
        increment = add_multiple(increment, derivatives[position], factor)
    return y + increment


def step(
    field: Callable[[Any, Any], tuple[Any, Any, list]], y: Any, state: Any, plan: StagePlan
) -> tuple[Any, Any, list]:
    """One step from y; every evaluation of f sees the state that the one before it left.

    Args:
        field: `field(state, y) -> (k, state, losses)`, without side effects.

    Returns:
        y after the step, the state after it, and the losses of all evaluations.
    """
    losses: list = []
    derivatives: list = []
    for row in plan.rows:
        k, state, new_losses = field(state, combine(y, row, derivatives))
        derivatives.append(k)
        losses.extend(new_losses)
    return combine(y, plan.update, derivatives), state, losses
