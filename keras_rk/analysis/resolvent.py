"""R(z) = P(z) / Q(z) of an implicit method, exactly.

    Q(z) = det(I - z A),    P(z) = Q(z) (1 + z b^T (I - z A)^(-1) 1),

where common factors are cancelled and Q(0) = 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from operator import mul
from typing import Any

from keras_rk.butcher.tableau import Tableau
from keras_rk.errors import TableauError
from keras_rk.numbers import polynomials, sturm
from keras_rk.numbers.quadratic_fields import multiply
from keras_rk.numbers.square_roots import Number, common_field, number
from keras_rk.numbers.totals import bounded_common

__all__ = ["reduced_fraction", "resolvent"]

_MOST_WORK = 10**8  # multiplications of 64 bits: some seconds


def resolvent(tableau: Tableau) -> tuple[list[Number], list[Number]]:
    """The coefficients of P and Q, in lowest terms."""
    stages = tableau.stages
    roots, elements = common_field(x for row in (*tableau.exact_A, tableau.exact_b) for x in row)
    scale = bounded_common(
        (x.denominator for element in elements for x in element), "the coefficients"
    )
    _check_work(stages, len(roots), scale)
    integer_roots = tuple(tuple(int(x) for x in root) for root in roots)
    integers = [tuple(int(x * scale) for x in element) for element in elements]
    rows = [integers[i : i + stages] for i in range(0, len(integers), stages)]
    ring = _Ring(len(elements[0]), integer_roots)
    *A, b = rows if roots else [[x for (x,) in row] for row in rows]
    q = ring.determinant(A)
    p = ring.product_with_series(q, A, b)

    def value(x: Any, power: int) -> Number:
        parts = x if roots else (x,)
        return number(roots, tuple(Fraction(part, scale**power) for part in parts))

    return reduced_fraction(
        sturm.trimmed([value(x, n) for n, x in enumerate(p)]),
        sturm.trimmed([value(x, n) for n, x in enumerate(q)]),
    )


def reduced_fraction(p: list[Number], q: list[Number]) -> tuple[list[Number], list[Number]]:
    """P / Q without common factors, Q(0) = 1."""
    if all(isinstance(x, Fraction) for x in (*p, *q)):
        above, below = polynomials.integers(p), polynomials.integers(q)  # type: ignore[arg-type]
        divisor = polynomials.common_divisor(above, below)
        if len(divisor) == 1:
            return p, q
        p = _over_integers(p, above, divisor)
        q = _over_integers(q, below, divisor)
    else:
        factor = sturm.common_divisor(p, q)
        if len(factor) == 1:
            return p, q
        p, q = sturm.quotient(p, factor), sturm.quotient(q, factor)
    return [x / q[0] for x in p], [x / q[0] for x in q]


def _over_integers(p: list[Number], over: list[int], divisor: list[int]) -> list[Number]:
    """p / divisor, with the factor that p has before its integer coefficients `over`."""
    factor = p[-1] / over[-1]
    return [factor * x for x in polynomials.quotient(over, divisor) or over]


def _check_work(stages: int, roots: int, scale: int) -> None:
    words = 1 + stages * scale.bit_length() // 64
    if stages**4 * 4**roots * words > _MOST_WORK:
        raise TableauError(
            "R(z) of an implicit method is computed where that takes seconds: for some 40 stages "
            "with short fractions, fewer with long ones. "
            f"Received: {stages} stages with a common denominator of {scale.bit_length()} bits"
            f"{f' and {roots} square roots' if roots else ''}."
        )


class _Ring:
    """Integers, or tuples of them: coordinates over products of square roots."""

    def __init__(self, size: int, roots: Any) -> None:
        self.is_plain = size == 1
        self.zero: Any = 0 if self.is_plain else (0,) * size
        self.one: Any = 1 if self.is_plain else (1,) + (0,) * (size - 1)
        self._times: Callable[[Any, Any], Any] = (
            mul if self.is_plain else lambda x, y: multiply(x, y, roots)
        )

    def dot(self, xs: Sequence[Any], ys: Sequence[Any]) -> Any:
        pairs = [(x, y) for x, y in zip(xs, ys, strict=True) if x != self.zero != y]
        return self.sum([self._times(x, y) for x, y in pairs])

    def sum(self, terms: Sequence[Any]) -> Any:
        if self.is_plain:
            return sum(terms)
        return tuple(map(sum, zip(*terms, strict=True))) if terms else self.zero

    def divided(self, x: Any, n: int) -> Any:
        """x / n, where that is in the ring."""
        return x // n if self.is_plain else tuple(part // n for part in x)

    def determinant(self, A: Sequence[Sequence[Any]]) -> list[Any]:
        """The coefficients of det(I - z A), by the method of Faddeev and Leverrier."""
        columns = list(zip(*A, strict=True))
        found = [self.one]
        power = [[self.zero] * len(A) for _ in A]  # A M_k, with M_k = A M_(k-1) + q_(k-1) I
        for k in range(1, len(A) + 1):
            for i, row in enumerate(power):
                row[i] = self.sum([row[i], found[-1]])
            power = [[self.dot(row, column) for column in columns] for row in power]
            trace = self.sum([row[i] for i, row in enumerate(power)])
            found.append(self.divided(trace, -k))
        return found

    def product_with_series(
        self, q: Sequence[Any], A: Sequence[Sequence[Any]], b: Sequence[Any]
    ) -> list[Any]:
        """Q(z) (1 + sum_n (b^T A^(n-1) 1) z^n), which is a polynomial of degree s."""
        series, power = [self.one], [self.one] * len(b)
        for _ in b:
            series.append(self.dot(b, power))
            power = [self.dot(row, power) for row in A]
        return [self.dot(q[: n + 1], series[n::-1]) for n in range(len(q))]
