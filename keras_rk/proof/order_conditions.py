"""Order conditions and their verdicts: for each rooted tree t, Phi(t) = 1/gamma(t).

A method has order p if the condition holds for every tree with at most p vertices.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, Literal, NamedTuple

from keras_rk.butcher.reading import order_number
from keras_rk.butcher.tableau import Tableau
from keras_rk.errors import TableauError, shown
from keras_rk.numbers.coefficients import Coefficient, is_symbolic, public, reduced, to_sympy
from keras_rk.proof.elementary_weights import ElementaryWeights
from keras_rk.proof.forms import absolute_form, exact_form
from keras_rk.proof.integer_form import IntegerForm
from keras_rk.proof.rooted_trees import RootedTree, planned_tree
from keras_rk.tableaux.as_tableau import as_tableau

__all__ = [
    "OrderCondition",
    "Residual",
    "Residuals",
    "Verdict",
    "check_tolerance",
    "judged",
    "order_conditions",
]

Verdict = Literal["exact", "numeric", "failed"]
SMALLEST_TOLERANCE = 1e-12
# The bound is wide where coefficients are large. Measured over the named methods: their float64
# copies leave residuals up to 3.3e-11, and an order they lack has one of at least 4.2e-7.
LARGEST_TOLERANCE = 1e-9
# Of 1/gamma: no tolerance lets a weight pass that is farther from it. Float64 copies of published
# methods, up to order 12, miss 1/gamma by 3e-12 of it; the order that a named method lacks is
# missed by at least 1.8e-3 of it (verner65).
LARGEST_SHARE = 1e-3
EPS = 2.0**-52
_LEADING_BITS = 512


@dataclass(frozen=True)
class OrderCondition:
    """One tree's condition on one set of weights.

    Attributes:
        tree: the rooted tree.
        required: 1/gamma(t).
        elementary_weight: Phi(t), exactly: a `Fraction`, or a SymPy number or expression.
        residual: Phi(t) - 1/gamma(t), exactly, in the same way.
        verdict: "exact" if the residual is zero, "numeric" if it is not but lies within the
            tolerance, "failed" otherwise.
    """

    tree: RootedTree
    required: Fraction
    exact_residual: Coefficient
    verdict: Verdict

    @property
    def residual(self) -> Any:
        return public(self.exact_residual)

    @property
    def elementary_weight(self) -> Any:
        return public(self.exact_weight)

    @property
    def exact_weight(self) -> Coefficient:
        residual = self.exact_residual
        if is_symbolic(residual):
            return reduced(residual + to_sympy(self.required))
        return residual + self.required


class Residual(NamedTuple):
    """A condition before it is written out: tree `k` of an order.

    Attributes:
        scaled, scale: the residual as the form has it.
        size: |Phi - 1/gamma| as a float; infinite where it contains symbols.
        verdict: as in `OrderCondition`.
    """

    order: int
    k: int
    scaled: list[Any]
    scale: Any
    size: float
    verdict: Verdict


class Residuals:
    """The order conditions of one tableau, with their verdicts.

    Args:
        tableau: the method, with numbers or symbols.
        with_time: whether to use the trees with leaves for t, see `rooted_trees`.
        tolerance: an absolute tolerance instead of the default, which for a tree of order n
            is n * eps * Phi(|A|, |b|), between 1e-12 and 1e-9. Either is at most 1/(1000 gamma).
    """

    def __init__(
        self, tableau: Tableau, *, with_time: bool = False, tolerance: float | None = None
    ) -> None:
        self._tableau = tableau
        self._form = exact_form(tableau)
        self._is_symbolic = not isinstance(self._form, IntegerForm)
        self._weights = ElementaryWeights(self._form, with_time)
        self._tolerance = tolerance

    @property
    def row_sums_hold(self) -> bool:
        """Whether c = A 1 exactly."""
        return self._weights.row_sums_hold

    def sum_to_one(self) -> bool:
        """Whether the weights do, exactly or within the tolerance: order 1."""
        return all(residual.verdict != "failed" for residual in self.unmet(1))

    def all(self, order: int, embedded: bool = False) -> Iterator[Residual]:
        """One residual for each tree of an order, the tallest trees first."""
        densities = self._weights.plan(order).density
        one = self._weights.scale(order, embedded)
        for k, weight in self._weights.scaled(order, embedded):
            yield self._judge(order, k, embedded, *_residual(densities[k], weight, one))

    def unmet(self, order: int, embedded: bool = False) -> Iterator[Residual]:
        """Those that are not exactly zero."""
        densities = self._weights.plan(order).density
        one = self._weights.scale(order, embedded)
        for k, weight in self._weights.scaled(order, embedded):
            if densities[k] * weight[0] - one or any(weight[1:]):
                yield self._judge(order, k, embedded, *_residual(densities[k], weight, one))

    def _judge(self, order: int, k: int, embedded: bool, scaled: list[Any], scale: Any) -> Residual:
        if not any(scaled):
            return Residual(order, k, scaled, scale, 0.0, "exact")
        size = self._size(scaled, scale)
        verdict = self._verdict(order, k, embedded, size)
        return Residual(order, k, scaled, scale, size, verdict)

    def condition(self, residual: Residual) -> OrderCondition:
        """A residual written out."""
        here = self._weights.plan(residual.order)
        return OrderCondition(
            tree=planned_tree(here.start + residual.k, self._weights.with_time),
            required=Fraction(1, here.density[residual.k]),
            exact_residual=self._form.value(residual.scaled, residual.scale),
            verdict=residual.verdict,
        )

    def _size(self, scaled: list[Any], scale: Any) -> float:
        try:
            if len(scaled) == 1 and not self._is_symbolic:
                return _quotient(scaled[0], scale)
            return abs(float(self._form.value(scaled, scale)))  # type: ignore[arg-type]
        except (TypeError, OverflowError):  # symbols, or beyond float64
            return math.inf

    def _verdict(self, order: int, k: int, embedded: bool, size: float) -> Verdict:
        largest = LARGEST_SHARE / self._weights.plan(order).density[k]

        def rounding() -> float:
            if self._is_symbolic:
                return 0.0
            (weight,) = self._absolute.weight(order, k, embedded)
            return float(order * EPS * weight)

        return judged(size, largest, self._tolerance, rounding)

    @cached_property
    def _absolute(self) -> ElementaryWeights:
        return ElementaryWeights(absolute_form(self._tableau), self._weights.with_time)


def _residual(density: int, weight: list[Any], one: Any) -> tuple[list[Any], Any]:
    """Phi - 1/gamma times a scale, and that scale: zero exactly if all its entries are."""
    scaled = [density * x for x in weight]
    scaled[0] -= one
    return scaled, density * one


def judged(
    size: float, largest: float, tolerance: float | None, rounding: Callable[[], float]
) -> Verdict:
    """The verdict on a residual that is not exactly zero.

    Args:
        size: the residual's absolute value.
        largest: more than that never passes.
        tolerance: that of the user, or None.
        rounding: what rounding the coefficients may leave; computed only where it decides.
    """
    if tolerance is not None:
        return "numeric" if size <= min(tolerance, largest) else "failed"
    if size > min(LARGEST_TOLERANCE, largest):
        return "failed"
    return "numeric" if size <= SMALLEST_TOLERANCE or size <= rounding() else "failed"


def check_tolerance(tolerance: Any) -> None:
    """Refuses what is no tolerance."""
    if tolerance is None:
        return
    if (
        isinstance(tolerance, bool)
        or not isinstance(tolerance, int | float)
        or not 0 <= tolerance < 1
    ):
        raise TableauError(
            "`tolerance` must be a number in [0, 1) or None. "
            f"Received: tolerance={shown(tolerance)}."
        )


def _quotient(numerator: Any, denominator: Any) -> float:
    """|numerator / denominator| for long integers, from their leading digits where those do."""
    excess = max(denominator.bit_length() - _LEADING_BITS, 0)
    leading = abs(numerator) >> excess
    if leading.bit_length() < 64:
        return abs(int(numerator) / int(denominator))
    return int(leading) / int(denominator >> excess)


def order_conditions(tableau: Any, order: int, *, embedded: bool = False) -> list[OrderCondition]:
    """The order conditions of a tableau for all trees with `order` vertices.

    Args:
        tableau: a `Tableau`, a name, or `(A, b[, c])`.
        order: the number of vertices, at least 1.
        embedded: whether to use the embedded weights.

    Returns:
        One `OrderCondition` a tree, in the order of `rooted_trees(order)`.

    Raises:
        TableauError: if `order` is not a positive integer, or there are no embedded weights.

    Example:

    >>> for condition in order_conditions("rk4", 3):
    ...     print(condition.tree, condition.elementary_weight, condition.verdict)
    [τ,τ] 1/3 exact
    [[τ]] 1/6 exact

    Source: E. Hairer, S. P. Norsett, G. Wanner, *Solving Ordinary Differential Equations I*,
    chapter II.
    """
    tableau = as_tableau(tableau)
    order = order_number(order, "order")
    if embedded and tableau.exact_b_hat is None:
        raise TableauError(
            "`embedded=True` needs embedded weights. "
            f"Received: b_hat=None (tableau {tableau.name!r})."
        )
    residuals = Residuals(tableau)
    return [residuals.condition(r) for r in reversed(list(residuals.all(order, embedded)))]
