"""Butcher's simplifying assumptions B(p), C(q), D(r), stage by stage, and what follows of them.

    B(p):  sum_i b_i c_i^(k-1)          = 1/k                  k = 1, ..., p
    C(q):  sum_j a_ij c_j^(k-1)         = c_i^k / k            k = 1, ..., q,  all i
    D(r):  sum_i b_i c_i^(k-1) a_ij     = b_j (1 - c_j^k) / k  k = 1, ..., r,  all j

None of the sums can go on agreeing with the right-hand side beyond k = 2 s, unless both are zero
for all k: then the order is infinite.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from keras_rk.analysis.arguments import numeric_tableau
from keras_rk.analysis.scaled import Integral, Scaled, scaled
from keras_rk.proof.verdicts import LARGEST_SHARE, LARGEST_TOLERANCE, SMALLEST_TOLERANCE

__all__ = ["SimplifyingAssumptions", "simplifying_assumptions", "stage_order"]

Order = int | float


@dataclass(frozen=True)
class SimplifyingAssumptions:
    """How far the simplifying assumptions hold. Infinity stands for "for all k".

    Attributes:
        B: the largest p with B(p), the order of the quadrature formula b, c.
        C: the largest q with C(q).
        D: the largest r with D(r).
        C_of_stages: for each stage i the largest q for which row i meets C(q).
        D_of_stages: for each stage j the largest r for which column j meets D(r).
        stage_order: the largest q with B(q) and C(q).
        weak_stage_order: the largest q with b^T A^j (A c^(k-1) - c^k/k) = 0 for all j >= 0 and
            k <= q: what the stage errors leave in the result of a linear problem. It is at least
            the stage order.
        is_exact: whether they hold exactly; where not, some hold up to the rounding of the
            coefficients.
    """

    B: Order
    C: Order
    D: Order
    C_of_stages: tuple[Order, ...]
    D_of_stages: tuple[Order, ...]
    weak_stage_order: Order
    is_exact: bool

    @property
    def stage_order(self) -> Order:
        return min(self.B, self.C)


def simplifying_assumptions(tableau: Any) -> SimplifyingAssumptions:
    """How far B(p), C(q) and D(r) hold, decided in exact numbers.

    Where coefficients are rounded, a condition that is missed by no more than rounding explains
    counts as met, as it does for order conditions in `check`.

    Args:
        tableau: a `Tableau` without symbols, a name, a file, or `(A, b[, c])`.

    Raises:
        TableauError: for a tableau with symbols.

    Example:

    >>> found = simplifying_assumptions("rk4")
    >>> found.B, found.C, found.D, found.C_of_stages
    (4, 1, 1, (inf, 1, 1, 2))

    Source: E. Hairer, S. P. Norsett, G. Wanner, *Solving Ordinary Differential Equations I*,
    chapter II.7, for B, C and D; D. I. Ketcheson, B. Seibold, D. Shirokoff, D. Zhou, DIRK schemes
    with high weak stage order (2020), for the weak stage order.
    """
    tableau = numeric_tableau(tableau, "What a simplifying assumption needs")
    sums = _Sums(scaled(tableau))
    stages = range(tableau.stages)
    B = sums.order(sums.quadrature)
    C = [sums.order_of_row(i) for i in stages]
    D = [sums.order_of_column(j) for j in stages]
    weak = B if min(C) == math.inf else sums.order(sums.weak)
    return SimplifyingAssumptions(B, min(C), min(D), tuple(C), tuple(D), weak, sums.is_exact)


def stage_order(tableau: Any) -> Order:
    """The stage order: the largest q with B(q) and C(q).

    It is what limits the order on stiff problems. For explicit methods it is 1 as soon as c_2 is
    not zero: the second stage is a step of Euler's method.

    Args and errors are those of `simplifying_assumptions`.

    Example:

    >>> stage_order("dormand_prince54")
    1
    """
    return simplifying_assumptions(tableau).stage_order


# What is left of a condition, times a denominator; that denominator; what computes, as a float,
# what its terms add up to in absolute value.
_Rest = tuple[Integral, int, Callable[[], float]]


class _Sums:
    """The conditions for one k, over the integers."""

    def __init__(self, tableau: Scaled) -> None:
        self.tableau = tableau
        self.is_exact = True
        self._b = tableau.weights[0]
        stages = range(len(self._b))
        self._highest = 2 * len(stages) + 1
        self._powers: list[list[Any]] = [[1 for _ in stages], tableau.c]  # c^k times c_scale^k
        self._rows = [[(j, x) for j, x in enumerate(row) if x] for row in tableau.A]
        self._columns = [  # b_i a_ij
            [(i, self._b[i] * tableau.A[i][j]) for i in stages if self._b[i] and tableau.A[i][j]]
            for j in stages
        ]
        self._sizes = [[abs(self._float(x, tableau.A_scale)) for x in row] for row in tableau.A]
        self._nodes = [abs(self._float(x, tableau.c_scale)) for x in tableau.c]
        self._weights = [abs(self._float(x, tableau.weight_scale)) for x in self._b]

    def order(self, rests: Callable[[int], Iterable[_Rest]]) -> Order:
        """The largest k up to which nothing is left; infinity where that is so for all k."""
        for k in range(1, self._highest + 1):
            for left, denominator, size in rests(k):
                if left:
                    if not self._is_rounding(abs(self._float(left, denominator)), size()):
                        return k - 1
                    self.is_exact = False
        return math.inf

    def order_of_row(self, i: int) -> Order:
        if not self._rows[i] and not self.tableau.c[i]:
            return math.inf
        return self.order(lambda k: self.stage(i, k))

    def order_of_column(self, j: int) -> Order:
        at_end = self.tableau.c[j] == self.tableau.c_scale
        if not self._columns[j] and (at_end or not self._b[j]):
            return math.inf
        return self.order(lambda k: self.column(j, k))

    def quadrature(self, k: int) -> Iterator[_Rest]:
        denominator = self.tableau.weight_scale * self.tableau.c_scale ** (k - 1)
        total = _dot(self._b, self._power(k - 1))
        yield k * total - denominator, k * denominator, lambda: self._sum(self._weights, k)

    def stage(self, i: int, k: int) -> Iterator[_Rest]:
        powers, tableau = self._power(k - 1), self.tableau
        total = sum(x * powers[j] for j, x in self._rows[i]) * tableau.c_scale
        left = k * total - self._power(k)[i] * tableau.A_scale
        denominator = k * tableau.A_scale * tableau.c_scale**k
        yield left, denominator, lambda: self._sum(self._sizes[i], k)

    def column(self, j: int, k: int) -> Iterator[_Rest]:
        powers, tableau = self._power(k - 1), self.tableau
        total = sum(powers[i] * x for i, x in self._columns[j]) * tableau.c_scale
        rest = self._b[j] * (tableau.c_scale**k - self._power(k)[j])

        def size() -> float:
            column = [x * sizes[j] for x, sizes in zip(self._weights, self._sizes, strict=True)]
            return self._weights[j] + self._sum(column, k)

        denominator = k * tableau.weight_scale * tableau.A_scale * tableau.c_scale**k
        yield k * total - rest * tableau.A_scale, denominator, size

    def weak(self, k: int) -> Iterator[_Rest]:
        """b^T A^j (A c^(k-1) - c^k/k) for j = 0, 1, ..., s - 1."""
        stages = range(len(self._rows))
        rests = [rest for i in stages for rest in self.stage(i, k)]
        errors = [rest[0] for rest in rests]
        denominator = rests[0][1] * self.tableau.weight_scale
        weights = self._weights  # |b|^T |A|^j

        def size() -> float:
            return float(_dot(weights, (rest[2]() for rest in rests)))

        for _ in stages:
            yield _dot(self._b, errors), denominator, size
            errors = [sum(x * errors[j] for j, x in row) for row in self._rows]
            weights = [_dot(weights, column) for column in zip(*self._sizes, strict=True)]
            denominator *= self.tableau.A_scale

    def _sum(self, weights: list[float], k: int) -> float:
        """sum_i weights_i |c_i|^(k-1)."""
        return float(sum(x * c ** (k - 1) for x, c in zip(weights, self._nodes, strict=True)))

    def _power(self, k: int) -> list[Any]:
        while len(self._powers) <= k:
            pairs = zip(self._powers[-1], self.tableau.c, strict=True)
            self._powers.append([x * y for x, y in pairs])
        return self._powers[k]

    def _float(self, x: Integral, denominator: int) -> float:
        return x / denominator if isinstance(x, int) else float(self.tableau.value(x, denominator))

    def _is_rounding(self, left: float, size: float) -> bool:
        tolerance = min(max(SMALLEST_TOLERANCE, SMALLEST_TOLERANCE * size), LARGEST_TOLERANCE)
        return left <= min(tolerance, LARGEST_SHARE * size)


def _dot(x: Iterable[Any], y: Iterable[Any]) -> Any:
    return sum(a * b for a, b in zip(x, y, strict=True))
