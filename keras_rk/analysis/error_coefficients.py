"""The error coefficients of a method, tree by tree, and their norm.

The error of one step of size dt of a method of order p is

    y_1 - y(t + dt) = sum over trees t of order p+1 of tau(t) F(t) dt^(p+1) + O(dt^(p+2)),
    tau(t) = (Phi(t) - 1/gamma(t)) / sigma(t),

where the elementary differentials F(t) depend on the problem and tau(t) on the method alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from keras_rk.analysis.arguments import numeric_tableau
from keras_rk.analysis.properties import label
from keras_rk.butcher.reading import order_number
from keras_rk.butcher.tableau import Tableau
from keras_rk.errors import TableauError
from keras_rk.numbers.coefficients import Coefficient, public
from keras_rk.proof.checker import DEFAULT_MAX_ORDER, prove
from keras_rk.proof.enclosure_form import told_residual
from keras_rk.proof.order_conditions import Residual, Residuals
from keras_rk.proof.rooted_trees import RootedTree, plan, rooted_trees

__all__ = [
    "ErrorCoefficient",
    "ErrorCoefficients",
    "ErrorSeries",
    "error_coefficients",
    "error_norm",
]


@dataclass(frozen=True)
class ErrorCoefficient:
    """The error coefficient of one tree.

    Attributes:
        tree: the rooted tree.
        value: tau(t), exactly: a `Fraction`, or a SymPy number where it is irrational.
    """

    tree: RootedTree
    exact_value: Coefficient

    @property
    def value(self) -> Any:
        return public(self.exact_value)


class ErrorCoefficients:
    """tau(t) for all trees of one order; iterate over it for an `ErrorCoefficient` each.

    Attributes:
        order: the number of vertices of the trees.
        floats: tau(t) rounded, in the order of `rooted_trees(order)`.
        norm: the square root of the sum of their squares.
    """

    def __init__(self, series: ErrorSeries, order: int, embedded: bool) -> None:
        self.order = order
        self._series = series
        self._embedded = embedded
        self._symmetries = _symmetries(order)

    @cached_property
    def floats(self) -> tuple[float, ...]:
        weights = self._series.weights(self.order, self._embedded)
        found = [self._float(k, weight) / self._symmetries[k] for k, weight in weights]
        return tuple(reversed(found))

    def _float(self, k: int, weight: tuple[int, int] | None) -> float:
        """Phi(t) - 1/gamma(t): from an enclosure of Phi(t), or exactly where that is too wide."""
        density = plan(self.order).density[k]
        if weight is not None:
            residual_of_weight = told_residual(weight, density, self._series.one_unit)
            if residual_of_weight is not None:
                return residual_of_weight / (density * self._series.one_unit)
        residual = self._residual(k)
        if not residual.size:
            return 0.0
        return float(self._series.residuals.condition(residual).exact_residual)  # type: ignore[arg-type]

    def _residual(self, k: int) -> Residual:
        return self._series.residuals.of_tree(self.order, k, self._embedded)

    @property
    def norm(self) -> float:
        return _norm(self.floats)

    @property
    def trees(self) -> tuple[RootedTree, ...]:
        return tuple(rooted_trees(self.order))

    @property
    def largest(self) -> ErrorCoefficient:
        """The one with the largest absolute value."""
        return self[max(range(len(self)), key=lambda k: abs(self.floats[k]))]

    def __len__(self) -> int:
        return len(self._symmetries)

    def __iter__(self) -> Iterator[ErrorCoefficient]:
        return map(self.__getitem__, range(len(self)))

    def __getitem__(self, k: int) -> ErrorCoefficient:
        condition = self._series.residuals.condition(self._residual(k))
        return ErrorCoefficient(condition.tree, condition.exact_residual / self._symmetries[k])

    def distance(self, other: ErrorCoefficients) -> float:
        """The norm of the differences of two methods' coefficients."""
        return _norm([x - y for x, y in zip(self.floats, other.floats, strict=True)])


class ErrorSeries:
    """The error coefficients of one tableau, order by order, each computed once.

    Attributes:
        residuals: those behind them, exact and enclosed, for proofs as well.
    """

    def __init__(self, tableau: Tableau) -> None:
        self.residuals = Residuals(tableau)
        self._found: dict[tuple[int, bool], ErrorCoefficients] = {}

    def __call__(self, order: int, embedded: bool = False) -> ErrorCoefficients:
        key = order, embedded
        if key not in self._found:
            self._found[key] = ErrorCoefficients(self, order, embedded)
        return self._found[key]

    @property
    def one_unit(self) -> int:
        """What the midpoint of an enclosure is a multiple of."""
        enclosed = self.residuals.enclosed
        return 1 if enclosed is None else enclosed.scale(1, False)

    def weights(self, order: int, embedded: bool) -> Iterator[tuple[int, tuple[int, int] | None]]:
        """For each tree, the last one first, its place, and an enclosure of Phi(t) if any."""
        enclosed = self.residuals.enclosed
        if enclosed is None:
            yield from ((k, None) for k in reversed(range(plan(order).roots)))
        else:
            for k, (weight,) in enclosed.scaled(order, embedded):
                yield k, weight


def _norm(values: Any) -> float:
    return math.sqrt(math.fsum(x * x for x in values))


@cache
def _symmetries(order: int) -> tuple[int, ...]:
    """sigma(t) for all trees of an order, as they are planned.

    The children of a planned tree are sorted, so that equal ones come one after another: one more
    beside m equal ones multiplies sigma by m + 1 times its own.
    """
    if order == 1:
        return (1,)
    found = []
    for stem, graft in zip(plan(order).prefix, plan(order).child, strict=True):
        (stem_order, k), (graft_order, j) = _place(stem), _place(graft)
        equal, rest = 1, stem
        while _parts(rest)[1] == graft:
            equal, rest = equal + 1, _parts(rest)[0]
        found.append(_symmetries(stem_order)[k] * _symmetries(graft_order)[j] * equal)
    return tuple(found)


@cache
def _place(number: int) -> tuple[int, int]:
    """The order of the tree with this number in the plans, and its place in that order."""
    order = 1
    while number - plan(order).start >= len(plan(order).prefix):
        order += 1
    return order, number - plan(order).start


def _parts(number: int) -> tuple[int, int]:
    """What a tree is the Butcher product of; -1 stands for none."""
    order, k = _place(number)
    return plan(order).prefix[k], plan(order).child[k]


def error_coefficients(
    tableau: Any, order: int | None = None, *, embedded: bool = False
) -> ErrorCoefficients:
    """The error coefficients tau(t) = (Phi(t) - 1/gamma(t)) / sigma(t) of a method.

    Args:
        tableau: a `Tableau` without symbols, a name, a file, or `(A, b[, c])`.
        order: the order of the trees; without it that of the method plus one, whose coefficients
            are the principal ones.
        embedded: whether to use the embedded weights.

    Returns:
        `ErrorCoefficients`: iterate over it for the trees and their exact values; `floats` and
        `norm` are rounded once.

    Raises:
        TableauError: for a tableau with symbols, or without embedded weights where they are asked
            for.

    Example:

    >>> for tau in error_coefficients("heun2"):
    ...     print(tau.tree, tau.value)
    [τ,τ] 1/12
    [[τ]] -1/6

    Source: P. J. Prince, J. R. Dormand, High order embedded Runge-Kutta formulae (1981), for the
    norm; E. Hairer, S. P. Norsett, G. Wanner, *Solving Ordinary Differential Equations I*,
    chapter II, for the trees.
    """
    tableau = numeric_tableau(tableau, "An error coefficient")
    if embedded and tableau.exact_b_hat is None:
        raise TableauError(
            f"`embedded=True` needs embedded weights. Received: b_hat=None ({label(tableau)})."
        )
    if order is None:
        order = _proved_order(tableau, embedded) + 1
    return ErrorSeries(tableau)(order_number(order, "order"), embedded)


def error_norm(tableau: Any, order: int | None = None, *, embedded: bool = False) -> float:
    """The principal error norm: sqrt(sum tau(t)^2) over the trees of order p+1.

    Of two methods of one order and as many stages, that with the smaller norm makes, on problems
    without special structure, the smaller error with the same dt.

    Args and errors are those of `error_coefficients`.

    Example:

    >>> f"{error_norm('dormand_prince54'):.3g}"
    '0.000399'

    Source: as for `error_coefficients`.
    """
    return error_coefficients(tableau, order, embedded=embedded).norm


def _proved_order(tableau: Tableau, embedded: bool) -> int:
    report = prove(tableau, None, DEFAULT_MAX_ORDER, with_time=False)
    order = report.embedded_order if embedded else report.order
    return order or 0
