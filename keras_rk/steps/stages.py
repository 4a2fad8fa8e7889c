"""Which stages a method evaluates, from which terms, and one step of it.

    k_i = f(t + c_i dt, y + sum_j (dt a_ij) k_j),    y_next = y + sum_i (dt b_i) k_i

A plan is what is left of a tableau once everything that costs something for nothing is gone:
stages that cannot reach the output, and zero coefficients. (The last stage of a FSAL method has
b_s = 0, so it is one of those: there is nothing that reusing it would save.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, NamedTuple

from keras_rk.butcher.arrays import rounded
from keras_rk.butcher.tableau import Tableau
from keras_rk.errors import TableauError
from keras_rk.loops import add_multiple, is_one
from keras_rk.numbers.coefficients import nearest, sum_of


class Term(NamedTuple):
    """`factor * k`, where k is the `position`-th stage derivative that is evaluated.

    The factor is a float, or a tensor where each block has its own dt or the method is learned.
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
        estimate: the terms of the error estimate, sum_i dt (b_i - b_hat_i) k_i; empty where none
            is wanted.
        nodes: c_i of each evaluated stage.
        dense: the terms of r_1, r_2, ..., see `keras_rk.steps.dense_output`; empty where only the
            end of the step is wanted.
    """

    dtype: str
    stages: tuple[int, ...]
    rows: tuple[tuple[Term, ...], ...]
    update: tuple[Term, ...]
    estimate: tuple[Term, ...]
    nodes: tuple[float, ...] = ()
    dense: tuple[tuple[Term, ...], ...] = ()

    @property
    def factors(self) -> list:
        """All factors: of row after row, of the update, and of the estimate."""
        return [term.factor for row in self._sums for term in row]

    def with_factors(self, factors: Sequence[Any]) -> StagePlan:
        """The same evaluations with other factors, in the order of `factors`."""
        values = iter(factors)
        *rows, update, estimate = (
            tuple(Term(term.position, next(values)) for term in row) for row in self._sums
        )
        return replace(self, rows=tuple(rows), update=update, estimate=estimate)

    def times_from(self, start: Any, size: Any, learned: bool) -> tuple:
        """The times of the stages, t + c_i h; none where no time is given.

        Args:
            learned: whether the factors are learned ones, of a step of size 1: the nodes then are
                the sums of their rows.
        """
        if start is None:
            return ()
        sums = (sum((term.factor for term in row), 0.0) for row in self.rows)
        nodes = sums if learned else self.nodes
        return tuple(start if _is_zero(c) else start + c * size for c in nodes)

    @property
    def _sums(self) -> tuple[tuple[Term, ...], ...]:
        return *self.rows, self.update, self.estimate


def stage_plan(
    tableau: Tableau, dt: Any, dtype: str, *, estimate: bool = False, dense: bool = False
) -> StagePlan:
    """The plan of an explicit tableau for steps of the exact size `dt`.

    Each factor is the exact product of dt and a coefficient, rounded once to `dtype`.

    Args:
        estimate: whether to estimate the error, with the embedded weights of the tableau.
        dense: whether y is wanted at any time of the step, by the tableau's b_i(theta).
    """
    try:
        scaled = tableau.to_numpy(dtype, scale=dt)
        differences = _differences(tableau, dtype, dt) if estimate else [0.0] * tableau.stages
        nested = _nested(tableau, dtype, dt) if dense else []
    except TableauError as error:
        raise ValueError(
            f"`dt` times the coefficients must fit into {dtype}. Received: dt={_brief(dt)}."
        ) from error
    a, b = scaled.A.tolist(), scaled.b.tolist()
    if not any(b) and any(weight != 0 for weight in tableau.b):
        raise ValueError(
            f"`dt` times the weights must not round to zero in {dtype}. Received: dt={_brief(dt)}."
        )
    stages = _reaching_the_output(a, [any(x) for x in zip(b, differences, *nested, strict=True)])
    position = {stage: place for place, stage in enumerate(stages)}

    def terms(row: Sequence[float]) -> tuple[Term, ...]:
        return tuple(Term(position[j], row[j]) for j in stages if row[j])

    rows = tuple(terms(a[i]) for i in stages)
    nodes = tuple(nearest(tableau.exact_c[i], dtype) for i in stages)
    extension = tuple(terms(row) or (Term(0, 0.0),) for row in nested)
    return StagePlan(dtype, tuple(stages), rows, terms(b), terms(differences), nodes, extension)


def _differences(tableau: Tableau, dtype: str, dt: Any) -> list[float]:
    """dt (b_i - b_hat_i), each rounded once."""
    weights = zip(*tableau.exact_weights, strict=True)
    return rounded([[b - b_hat for b, b_hat in weights]], dtype, dt)[0].tolist()


def _nested(tableau: Tableau, dtype: str, dt: Any) -> list[list[float]]:
    """dt times the coefficients of b_i(theta) in Hairer's form, each rounded once.

        b(theta) = theta (r_1 + (1 - theta) (r_2 + theta (r_3 + (1 - theta) (r_4 + ...))))

    It is exact at both ends, r_1 = b, and has smaller coefficients than powers of theta.
    """
    polynomials = tableau.exact_b_theta or ()
    size = max(map(len, polynomials))
    rows = [_expanded([*row, *[Fraction(0)] * (size - len(row))]) for row in polynomials]
    return rounded([list(column) for column in zip(*rows, strict=True)], dtype, dt).tolist()


def _expanded(polynomial: Sequence[Any]) -> list[Any]:
    """r_1, r_2, ..., from the coefficients of theta, theta^2, ..."""
    found: list[Any] = []
    rest = list(polynomial)
    while rest:
        if len(found) % 2 == 0:  # the value at 1, and what is left divided by 1 - theta
            found.append(sum_of(rest))
            rest = [sum_of([-x for x in rest[n:]]) for n in range(1, len(rest))]
        else:
            found.append(rest.pop(0))
    return found


def _brief(dt: Any) -> str:
    try:
        return f"{float(dt):.6g}"
    except OverflowError:
        return "a number beyond float64"


def _reaching_the_output(a: list[list[float]], weighted: list[bool]) -> list[int]:
    """The stages with a weight, and those which such a stage needs."""
    needed = list(weighted)
    for i in reversed(range(len(needed))):  # explicit: a stage needs earlier ones only
        if needed[i]:
            for j in range(i):
                needed[j] = needed[j] or bool(a[i][j])
    return [i for i, is_needed in enumerate(needed) if is_needed]


def _is_zero(node: Any) -> bool:
    return isinstance(node, float) and node == 0


def combine(y: Any, terms: Sequence[Term], derivatives: Sequence[Any]) -> Any:
    """y + (factor k + factor k + ...): the small numbers first, then the large one.

    A factor of one emits no operation, so that Euler with dt = 1 is y + f(y) to the last bit.
    """
    if not terms:
        return y
    if len(terms) == 1:
        return add_multiple(y, derivatives[terms[0].position], terms[0].factor)
    return y + weighted_sum(terms, derivatives)


def weighted_sum(terms: Sequence[Term], derivatives: Sequence[Any]) -> Any:
    """factor k + factor k + ..., of at least one term."""
    (first, factor), *others = terms
    increment = derivatives[first]
    if not is_one(factor):
        increment = increment * factor
    for position, factor in others:
        increment = add_multiple(increment, derivatives[position], factor)
    return increment


def step(evaluate: Callable[[int, Any], Any], y: Any, plan: StagePlan) -> tuple[Any, Any]:
    """One step from y.

    Args:
        evaluate: `evaluate(place, y)`, the derivative for the evaluated stage at that place.

    Returns:
        y after the step, and the estimate of its error; None where the plan has none.
    """
    return dense_step(evaluate, y, plan)[:2]


def dense_step(
    evaluate: Callable[[int, Any], Any], y: Any, plan: StagePlan
) -> tuple[Any, Any, tuple]:
    """The same, and the vectors r_1, r_2, ... of what is between, if the plan has them."""
    derivatives: list = []
    for place, row in enumerate(plan.rows):
        derivatives.append(evaluate(place, combine(y, row, derivatives)))
    error = weighted_sum(plan.estimate, derivatives) if plan.estimate else None
    dense = tuple(weighted_sum(terms, derivatives) for terms in plan.dense)
    return combine(y, plan.update, derivatives), error, dense
