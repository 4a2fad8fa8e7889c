"""Order conditions and their verdicts: for each rooted tree t, Phi(t) = 1/gamma(t).

A method has order p if the condition holds for every tree with at most p vertices.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import repeat
from typing import Any, NamedTuple

from keras_rk.butcher.reading import order_number
from keras_rk.butcher.tableau import Tableau
from keras_rk.errors import TableauError
from keras_rk.numbers.coefficients import Coefficient, is_symbolic, public, reduced, to_sympy
from keras_rk.progress import Progress
from keras_rk.proof.elementary_weights import ElementaryWeights
from keras_rk.proof.enclosure_form import EnclosureForm, told_residual
from keras_rk.proof.forms import Form, absolute_form, exact_form
from keras_rk.proof.integer_form import IntegerForm
from keras_rk.proof.rooted_trees import RootedTree, planned_tree
from keras_rk.proof.verdicts import EPS, LARGEST_SHARE, SMALLEST_TOLERANCE, Verdict, judged
from keras_rk.tableaux.as_tableau import as_tableau

__all__ = [
    "OrderCondition",
    "Residual",
    "Residuals",
    "Verdict",
    "order_conditions",
    "size_of",
]

_LEADING_BITS = 512
TINIEST = math.ulp(0.0)  # stands for what is not zero, though its float would be
_FLOAT_BITS = 1200
ENCLOSED_FROM = 8  # the order from which enclosures are tried; below, exact numbers are as fast
DEAR_BITS = 128  # of a common denominator; with shorter ones exact numbers cost no more


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

    @property
    def equation(self) -> Any:
        """Phi(t) = 1/gamma(t) as SymPy's `Eq`; `true` or `false` where it contains no symbol."""
        import sympy

        return sympy.Eq(to_sympy(self.exact_weight), to_sympy(self.required))


class Residual(NamedTuple):
    """A condition before it is written out: tree `k` of an order.

    Attributes:
        embedded: whether it is one of the embedded weights.
        size: |Phi - 1/gamma| as a float; infinite where it contains symbols.
        verdict: as in `OrderCondition`.
    """

    order: int
    k: int
    embedded: bool
    size: float
    verdict: Verdict


class Residuals:
    """The order conditions of one tableau, with their verdicts.

    Args:
        tableau: the method, with numbers or symbols.
        with_time: whether to use the trees with leaves for t, see `rooted_trees`.
        tolerance: an absolute tolerance instead of the default, which for a tree of order n
            is n * eps * Phi(|A|, |b|), between 1e-12 and 1e-9. Either is at most 1/(1000 gamma).
        progress: what counts trees.
    """

    def __init__(
        self,
        tableau: Tableau,
        *,
        with_time: bool = False,
        tolerance: float | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._progress = progress
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
        unmet = {residual.k: residual for residual in self.unmet(order, embedded)}
        for k in reversed(range(self._weights.plan(order).roots)):
            yield unmet.get(k) or Residual(order, k, embedded, 0.0, "exact")

    def unmet(self, order: int, embedded: bool = False) -> Iterator[Residual]:
        """Those that are not exactly zero."""
        for k, size in self._sizes(order, embedded):
            yield Residual(order, k, embedded, size, self._verdict(order, k, embedded, size))

    def of_tree(self, order: int, k: int, embedded: bool = False) -> Residual:
        """The one for tree `k` of an order."""
        size = self._size(*self._exactly(order, k, embedded))
        verdict = self._verdict(order, k, embedded, size) if size else "exact"
        return Residual(order, k, embedded, size, verdict)

    def _sizes(self, order: int, embedded: bool) -> Iterator[tuple[int, float]]:
        """|Phi - 1/gamma| for each tree whose residual is not exactly zero."""
        enclosed = self._enclosures if order >= ENCLOSED_FROM else None
        if enclosed is not None:
            yield from self._enclosed_sizes(enclosed, order, embedded)
            return
        densities = self._weights.plan(order).density
        one = self._weights.scale(order, embedded)
        for k, weight in self._counted(self._weights.scaled(order, embedded)):
            density = densities[k]
            if density * weight[0] - one or any(weight[1:]):
                yield k, self._size(_residual(weight, density, one), density * one)

    def _counted(self, trees: Iterator[Any]) -> Iterator[Any]:
        """The same, while the progress counts."""
        if self._progress is None:
            return trees
        return map(_told, trees, repeat(self._progress))

    def _enclosed_sizes(
        self, enclosed: ElementaryWeights, order: int, embedded: bool
    ) -> Iterator[tuple[int, float]]:
        """The same where an enclosure tells the residual from zero, and exactly where not."""
        densities = enclosed.plan(order).density
        one = enclosed.scale(order, embedded)
        for k, (weight,) in self._counted(enclosed.scaled(order, embedded)):
            residual = told_residual(weight, densities[k], one)
            if residual is not None:
                yield k, _quotient(residual, densities[k] * one)
            elif size := self._size(*self._exactly(order, k, embedded)):
                yield k, size

    def hold_with_time(self, order: int) -> bool:
        """Whether an enclosure shows all conditions for y' = f(t, y) up to an order to be numeric.

        Trees with leaves for t are many. Where c is A 1 but for rounding, one enclosure of a tree
        without, in which c and A 1 stand for each other, holds the weights of all its colourings.
        """
        if order < ENCLOSED_FROM or not _is_dear(self._form):
            return False
        form = EnclosureForm(self._tableau)
        weights = ElementaryWeights(form, row_sums=form.nodes_or_row_sums())
        for n in range(1, order + 1):
            densities = weights.plan(n).density
            for k, ((midpoint, error),) in weights.scaled(n):
                farthest = abs(densities[k] * midpoint - form.one_unit) + densities[k] * error
                size = _quotient(farthest + 1, densities[k] * form.one_unit)
                if size > SMALLEST_TOLERANCE or self._verdict(n, k, False, size) != "numeric":
                    return False
        return True

    def _exactly(self, order: int, k: int, embedded: bool) -> tuple[list[Any], Any]:
        """gamma * Phi - 1 for tree k, scaled, and its scale times gamma."""
        density = self._weights.plan(order).density[k]
        one = self._weights.scale(order, embedded)
        return _residual(self._weights.weight(order, k, embedded), density, one), density * one

    def condition(self, residual: Residual) -> OrderCondition:
        """A residual written out."""
        here = self._weights.plan(residual.order)
        scaled, scale = self._exactly(residual.order, residual.k, residual.embedded)
        return OrderCondition(
            tree=planned_tree(here.start + residual.k, self._weights.with_time),
            required=Fraction(1, here.density[residual.k]),
            exact_residual=self._form.value(scaled, scale),
            verdict=residual.verdict,
        )

    def _size(self, scaled: list[Any], scale: Any) -> float:
        return size_of(self._form, scaled, scale)

    def _verdict(self, order: int, k: int, embedded: bool, size: float) -> Verdict:
        largest = LARGEST_SHARE / self._weights.plan(order).density[k]

        def rounding() -> float:
            if self._is_symbolic:
                return 0.0
            (weight,) = self._absolute.weight(order, k, embedded)
            return float(order * EPS * weight)

        return judged(size, largest, self._tolerance, rounding)

    @cached_property
    def enclosed(self) -> ElementaryWeights | None:
        """Enclosures of the elementary weights; None where there are square roots or symbols."""
        if not isinstance(self._form, IntegerForm) or not self._form.denominator_bits:
            return None
        return ElementaryWeights(EnclosureForm(self._tableau), self._weights.with_time)

    @cached_property
    def _enclosures(self) -> ElementaryWeights | None:
        """The weights in enclosures, where those decide most conditions and exact ones are dear.

        That is: where the coefficients are fractions with long denominators and few of the small
        conditions hold exactly, as with published decimals.
        """
        if not _is_dear(self._form):
            return None
        trees = self._weights.plan(ENCLOSED_FROM - 1).roots
        if 2 * sum(1 for _ in self._sizes(ENCLOSED_FROM - 1, False)) < trees:
            return None
        return self.enclosed

    @cached_property
    def _absolute(self) -> ElementaryWeights:
        return ElementaryWeights(absolute_form(self._tableau), self._weights.with_time)


def _told(tree: Any, progress: Progress) -> Any:
    progress.done += 1
    return tree


def _is_dear(form: Form) -> bool:
    """Whether exact numbers are so long that enclosures cost less."""
    return isinstance(form, IntegerForm) and form.denominator_bits > DEAR_BITS


def _residual(weight: list[Any], density: int, one: Any) -> list[Any]:
    """gamma * Phi - 1, scaled like the weight: zero exactly if its entries are."""
    scaled = [density * x for x in weight]
    scaled[0] -= one
    return scaled


def size_of(form: Form, scaled: list[Any], scale: Any) -> float:
    """|x| for a number as its form has it: zero exactly if x is, infinite where it has symbols."""
    if not any(scaled):
        return 0.0
    try:
        if isinstance(form, IntegerForm):
            if len(scaled) == 1:
                return _quotient(scaled[0], scale)
            scaled, scale = _leading(scaled, scale)
        return abs(float(form.value(scaled, scale))) or TINIEST  # type: ignore[arg-type]
    except (TypeError, OverflowError):  # symbols, or beyond float64
        return math.inf


def _leading(scaled: list[Any], scale: Any) -> tuple[list[Any], Any]:
    """Both without the bits of which a float sees nothing: they change less than 2**-1100."""
    excess = max(scale.bit_length() - _FLOAT_BITS, 0)
    return [x >> excess for x in scaled], scale >> excess


def _quotient(numerator: Any, denominator: Any) -> float:
    """|numerator / denominator| for long integers, from their leading digits where those do."""
    excess = max(denominator.bit_length() - _LEADING_BITS, 0)
    leading = abs(numerator) >> excess
    if leading.bit_length() < 64:
        return abs(int(numerator) / int(denominator)) or TINIEST
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
