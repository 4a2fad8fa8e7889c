"""Methods made of methods: one after the other, scaled, and extrapolated."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from keras_rk.butcher.reading import order_number
from keras_rk.butcher.tableau import Tableau
from keras_rk.errors import TableauError, shown
from keras_rk.numbers.coefficients import is_sum
from keras_rk.tableaux.as_tableau import as_tableau
from keras_rk.tableaux.parameters import coefficient, refuse
from keras_rk.tableaux.step_program import Value

__all__ = ["compose", "richardson", "scaled"]

_LONGEST_NAME = 100
_LONGEST_SOURCE = 1000


def compose(*tableaux: Any, weights: Any = None) -> Tableau:
    """One step made of a step with each method, one after the other.

    The k-th takes a step of size w_k dt from where the one before it ended:

        c         | A           w_1 c_1        | w_1 A_1
        ----------+------   =   w_1 + w_2 c_2  | w_1 1 b_1^T   w_2 A_2
                  | b^T         ---------------+------------------------
                                               | w_1 b_1^T     w_2 b_2^T

    Equal stages, such as the last and the next first one of FSAL methods, are merged. Where the
    weights sum to one, the order is at least the least of the orders; otherwise this is the method
    with which a step of that many dt is taken, and it claims none. If all have embedded weights,
    it has, too: each part's difference b - b_hat is an estimate of its error.

    Args:
        *tableaux: at least two; each a `Tableau`, a name, or what else `check` takes.
        weights: one coefficient for each; None means equal ones that sum to one.

    Raises:
        TableauError: where a tableau is none, or the weights do not fit.

    Example:

    >>> print(compose("euler", "midpoint", weights=("1/3", "2/3")))
    compose(euler, midpoint)
      0 │
    1/3 │ 1/3
    2/3 │ 1/3  1/3
    ────┼──────────────
        │ 1/3    0  2/3

    Source: E. Hairer, S. P. Norsett, G. Wanner, *Solving Ordinary Differential Equations I*,
    section II.12.
    """
    if len(tableaux) < 2:
        raise TableauError(
            f"A composition is made of at least two methods. Received: {len(tableaux)}."
        )
    parts = [as_tableau(tableau) for tableau in tableaux]
    steps = _weights(weights, len(parts))
    stages = _Stages()
    result, time, errors = Value({}), Fraction(0), Value({})
    for part, step in zip(parts, steps, strict=True):
        start = result
        result, embedded = stages.take(part, step, start, time)
        time, errors = time + step, errors + (result - embedded)
    is_step = is_sum(Fraction(1), steps)
    has_pair = all(part.exact_b_hat is not None for part in parts)
    return stages.tableau(
        result,
        result - errors if has_pair else None,
        claimed_order=_least([part.claimed_order for part in parts], is_step),
        claimed_embedded_order=_least(
            [part.claimed_embedded_order for part in parts], is_step and has_pair
        ),
        name=_called("compose", *parts),
        source=_sources(parts),
    )._with_floats(any(part.has_floats for part in parts))


def scaled(tableau: Any, factor: Any) -> Tableau:
    """The method with all coefficients times a factor: a step of dt is one of factor * dt.

    Args:
        tableau: a `Tableau`, a name, or what else `check` takes.
        factor: a coefficient that is not zero; negative for a step backwards.

    Raises:
        TableauError: where the tableau is none, or the factor zero or no coefficient.

    Example:

    >>> print(scaled("heun2", -1))
    scaled(heun2, -1)
     0 │
    -1 │   -1
    ───┼───────────
       │ -1/2  -1/2
    """
    tableau = as_tableau(tableau)
    step = coefficient(factor, "factor", symbolic=True)
    if not step:
        raise refuse("A step of size zero is none.", factor=step)
    return Tableau(
        [[step * x for x in row] for row in tableau.exact_A],
        [step * x for x in tableau.exact_b],
        [step * x for x in tableau.exact_c],
        b_hat=None if tableau.exact_b_hat is None else [step * x for x in tableau.exact_b_hat],
        claimed_order=tableau.claimed_order if step == 1 else None,
        claimed_embedded_order=tableau.claimed_embedded_order if step == 1 else None,
        name=_called("scaled", tableau, step),
        source=tableau.source,
    )._with_floats(tableau.has_floats)


def richardson(tableau: Any, order: Any = None) -> Tableau:
    """Richardson extrapolation of a method of order p: at least order p + 1.

    From one step of size dt to y_1, and two of size dt/2 to y_2,

        y = y_2 + (y_2 - y_1) / (2^p - 1);

    the embedded weights are those of y_2, of order p. Equal stages are merged, as the first of the
    whole step and of the first half: an explicit method of s stages gives one of 3 s - 1.

    Args:
        tableau: a `Tableau`, a name, or what else `check` takes.
        order: p; None means the order that the tableau claims.

    Raises:
        TableauError: where the tableau is none, or there is no order to go by.

    Example:

    >>> print(richardson("euler"))
    richardson(euler)
      0 │
    1/2 │ 1/2
    ────┼─────────
        │   0    1
        │ 1/2  1/2

    Source: E. Hairer, S. P. Norsett, G. Wanner, *Solving Ordinary Differential Equations I*,
    section II.4.
    """
    tableau = as_tableau(tableau)
    p = tableau.claimed_order if order is None else order_number(order, "order")
    if p is None:
        raise TableauError(
            "Richardson extrapolation goes by the order of the method: pass `order=`, or a tableau "
            f"with a `claimed_order`. Received: {shown(tableau.name)}."
        )
    stages, half = _Stages(), Fraction(1, 2)
    coarse, _ = stages.take(tableau, Fraction(1), Value({}), Fraction(0))
    middle, _ = stages.take(tableau, half, Value({}), Fraction(0))
    fine, _ = stages.take(tableau, half, middle, half)
    return stages.tableau(
        fine + Fraction(1, 2**p - 1) * (fine - coarse),
        fine,
        claimed_order=p + 1,
        claimed_embedded_order=p,
        name=_called("richardson", tableau),
        source="L. F. Richardson and J. A. Gaunt, The deferred approach to the limit (1927)",
    )._with_floats(tableau.has_floats)


def beside_steps(tableau: Tableau, small: Tableau, count: int, *, merged: bool = True) -> Tableau:
    """A pair: a method, and as b_hat `count` steps of another one, each of dt / count.

        c         | A
        c* / m    |     A* / m
        (1 + c*)/m|     1 b*^T / m   A* / m
        ----------+-----------------------------
                  | b^T
                  |     b*^T / m     b*^T / m

    with m = `count`, and (A*, b*) that other method, which may be the same. Both start from the
    same y, so that dt * sum_i (b_i - b_hat_i) k_i is the difference of their results. No orders are
    claimed.

    Args:
        merged: whether equal stages are merged; else those of the method are the first ones.
    """
    stages, step = _Stages(merged), Fraction(1, count)
    whole, _ = stages.take(tableau, Fraction(1), Value({}), Fraction(0))
    reached = Value({})
    for n in range(count):
        reached, _ = stages.take(small, step, reached, n * step)
    return stages.tableau(
        whole,
        reached,
        claimed_order=None,
        claimed_embedded_order=None,
        name=_called("beside_steps", tableau),
        source=None,
    )._with_floats(tableau.has_floats)


def with_two_halves(tableau: Tableau) -> Tableau:
    """A method with the embedded weights of two of its steps of half the size: step doubling."""
    return beside_steps(tableau, tableau, 2)


class _Stages:
    """The stages of several steps, one after another or side by side.

    Args:
        merged: whether equal ones of explicit methods are there once.
    """

    def __init__(self, merged: bool = True) -> None:
        self._merged = merged
        self.values: list[Value] = []
        self.nodes: list[Any] = []

    def take(self, part: Tableau, step: Any, start: Value, time: Any) -> tuple[Value, Value]:
        """A step from a value at a time: the result, and that with the embedded weights."""
        nodes = [time + step * c for c in part.exact_c]
        first = len(self.values)
        places = [*range(first, first + part.stages)]  # of all at once, as implicit stages need

        def value(row: Sequence[Any]) -> Value:
            terms = zip(places, row, strict=False)
            found = start
            for place, x in terms:
                found = found + Value({place: step * x})
            return found

        for i, (row, node) in enumerate(zip(part.exact_A, nodes, strict=True)):
            stage = value(row)
            known = self._place(stage, node) if self._merged and part.is_explicit else None
            if known is None:
                known = len(self.values)
                self.values.append(stage)
                self.nodes.append(node)
            places[i] = known
        embedded = part.exact_b if part.exact_b_hat is None else part.exact_b_hat
        return value(part.exact_b), value(embedded)

    def _place(self, stage: Value, node: Any) -> int | None:
        for place, known in enumerate(self.values):
            if known.coefficients == stage.coefficients and self.nodes[place] == node:
                return place
        return None

    def tableau(self, result: Value, embedded: Value | None, **about: Any) -> Tableau:
        count = len(self.values)
        return Tableau(
            [value.row(count) for value in self.values],
            result.row(count),
            self.nodes,
            b_hat=None if embedded is None else embedded.row(count),
            **about,
        )


def _weights(weights: Any, count: int) -> list[Any]:
    if weights is None:
        return [Fraction(1, count)] * count
    if not isinstance(weights, list | tuple) or len(weights) != count:
        raise TableauError(
            f"`weights` needs one coefficient for each method. Received: {shown(weights)} for "
            f"{count} methods."
        )
    found = [coefficient(w, f"weights[{i}]", symbolic=True) for i, w in enumerate(weights)]
    if not all(found):
        raise refuse("A step of size zero is none.", weights=shown(weights))
    return found


def _least(orders: Sequence[int | None], is_known: bool) -> int | None:
    known = [order for order in orders if order is not None]
    return min(known) if is_known and len(known) == len(orders) else None


def _called(family: str, *parts: Any) -> str | None:
    """A name such as compose(rk4, euler), where all parts have one and it is short."""
    names = [part.name if isinstance(part, Tableau) else str(part) for part in parts]
    name = f"{family}({', '.join(map(str, names))})"
    return name if None not in names and len(name) <= _LONGEST_NAME else family


def _sources(parts: Sequence[Tableau]) -> str | None:
    sources = "; ".join(dict.fromkeys(part.source for part in parts if part.source))
    return sources if 0 < len(sources) <= _LONGEST_SOURCE else None
