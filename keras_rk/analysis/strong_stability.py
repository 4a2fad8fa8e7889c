"""The SSP coefficient of a method: its radius of absolute monotonicity.

With K the matrix A with the row b below it, and a column of zeros, it is the largest r with

    r K (I + r K)^-1 >= 0   and   (I + r K)^-1 1 >= 0     (in every entry).

If they hold at r, they hold everywhere in [0, r].
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Any

from keras_rk.analysis.arguments import numeric_tableau
from keras_rk.analysis.reducibility import irreducible_part
from keras_rk.butcher.tableau import Tableau
from keras_rk.numbers.square_roots import Surd
from keras_rk.proof.order_conditions import Residuals

__all__ = ["ssp_coefficient"]

_ROUNDING = 1e-12  # what rounding of coefficients leaves of a zero
_LARGE = Fraction(2) ** 20  # beyond, the conditions are decided at infinity
_BITS_OF_SURDS = 256  # a rational r of irrational coefficients is found with half as many digits
_LOWEST_ORDERS = range(1, 5)  # whose residuals show whether coefficients are rounded

Place = tuple[int, int | None]  # of an entry of (I + r K)^-1; without column, of its row sum
Matrix = list[list[Any]]


def ssp_coefficient(tableau: Any) -> Fraction | float:
    """The SSP coefficient: the radius of absolute monotonicity, exactly.

    If steps of Euler's method do not increase a norm (or a convex functional) of y for dt <= dt_0,
    then steps of the method do not for dt <= C dt_0, where C is the SSP coefficient. No explicit
    method of order above 4 has one above 0, and none with s stages one above s.

    Stages without effect on the result of b, and stages that are always equal, do not count.

    Args:
        tableau: a `Tableau` without symbols, explicit or implicit, a name, a file, or
            `(A, b[, c])`.

    Returns:
        A `Fraction` where C is rational; the nearest float where it is irrational, or infinity;
        and where coefficients are rounded, a float within about 1e-10 of it.

    Raises:
        TableauError: for a tableau with symbols.

    Example:

    >>> ssp_coefficient("ssprk104"), ssp_coefficient("rk4")
    (Fraction(6, 1), Fraction(0, 1))

    Source: J. F. B. M. Kraaijevanger, Contractivity of Runge-Kutta methods (1991), for the radius;
    L. Ferracina, M. N. Spijker (2004) and I. Higueras (2004) showed that it is the SSP coefficient.
    """
    tableau = numeric_tableau(tableau, "The SSP coefficient")
    A, b = irreducible_part(tableau)
    K: Matrix = [[*row, Fraction(0)] for row in (*A, b)]
    if any(x < -_ROUNDING for row in K for x in row):
        return Fraction(0)
    rounded = _is_rounded(tableau)
    if rounded:
        K = [[Fraction(0) if abs(x) < _ROUNDING else x for x in row] for row in K]
    if not _is_positive(K):
        return Fraction(0)
    if not any(map(any, K)):
        return math.inf
    bracket = _bracket([[float(x) for x in row] for row in K])
    if bracket is None and (rounded or _holds_at_infinity(K)):
        return math.inf
    if rounded:
        return bracket[0] if bracket else math.inf
    return _exactly(K, bracket or (float(_LARGE), math.inf))


def _is_rounded(tableau: Tableau) -> bool:
    """Whether coefficients are floats, or decimals with some of their digits."""
    if tableau.has_floats:
        return True
    residuals = Residuals(tableau)
    found = (residual for order in _LOWEST_ORDERS for residual in residuals.unmet(order))
    for residual in found:
        if residual.verdict != "failed":
            return True
        break
    return False


def _is_positive(K: Matrix) -> bool:
    """Whether r > 0: no entry is negative, and K^2 has none where K has a zero."""
    if any(x < 0 for row in K for x in row):
        return False
    used = [{j for j, x in enumerate(row) if x} for row in K]
    return all(used[j] <= row for row in used for j in row)


def _bracket(K: Matrix) -> tuple[float, float] | None:
    """Two floats between which the conditions cease to hold, up to rounding; None if nowhere."""

    def holds(r: float) -> bool:
        inverse = _inverse(K, r)
        return inverse is not None and not any(_violated(inverse, -_ROUNDING))

    high = 1.0
    while holds(high):
        high *= 2
        if high > _LARGE:
            return None
    low = 0.0
    while high - low > 1e-13 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low, high


def _exactly(K: Matrix, bracket: tuple[float, float]) -> Fraction | float:
    """The r at which the conditions cease to hold, decided in exact numbers."""
    low, high = (Fraction(x) if math.isfinite(x) else 2 * _LARGE for x in bracket)
    margin = Fraction(1, 2**40)
    while any(_violated_at(K, low)):
        low, margin = max(Fraction(0), low * (1 - margin)), 8 * margin
    while not (broken := list(_violated_at(K, high))):
        high, margin = high * (1 + margin), 8 * margin
    return min(_end(p, low, high) for p in _numerators(K, broken))


def _violated_at(K: Matrix, r: Fraction) -> Iterator[Place]:
    inverse = _inverse(K, r)
    if inverse is None:  # bounded as long as the conditions hold, and so they do not any more
        return iter([(0, None)])
    return _violated(inverse, 0)


def _violated(inverse: Matrix, least: float) -> Iterator[Place]:
    """The entries of (I + r K)^-1 with the wrong sign: it is I - r K (I + r K)^-1."""
    for i, row in enumerate(inverse):
        for j, x in enumerate(row):
            if (1 - x if i == j else -x) < least:
                yield i, j
        if sum(row) < least:
            yield i, None


def _inverse(K: Matrix, r: Any) -> Matrix | None:
    """(I + r K)^-1, row by row for explicit methods; None where there is none."""
    if not _is_explicit(K):
        return _eliminated(K, r)
    one = r * 0 + 1
    zero, size = one * 0, range(len(K))
    found: Matrix = []
    for i, row in enumerate(K):
        total = [one if j == i else zero for j in size]
        for j, x in enumerate(row[:i]):
            if x:
                factor = r * x
                for m, y in enumerate(found[j][: j + 1]):
                    if y:
                        total[m] -= factor * y
        found.append(total)
    return found


def _eliminated(K: Matrix, r: Any) -> Matrix | None:
    """The same by Gauss-Jordan elimination."""
    size, one = len(K), r * 0 + 1
    rows = [
        [r * x + (i == j) for j, x in enumerate(row)]
        + [one if i == j else one * 0 for j in range(size)]
        for i, row in enumerate(K)
    ]
    for i in range(size):
        pivot = max(range(i, size), key=lambda k: abs(rows[k][i]))
        if not rows[pivot][i]:
            return None
        rows[i], rows[pivot] = rows[pivot], rows[i]
        by = one / rows[i][i]
        rows[i] = [x * by for x in rows[i]]
        for k in range(size):
            if k != i and (factor := rows[k][i]):
                rows[k] = [x - factor * y for x, y in zip(rows[k], rows[i], strict=True)]
    return [row[size:] for row in rows]


def _is_explicit(K: Matrix) -> bool:
    return not any(x for i, row in enumerate(K) for x in row[i:])


def _determinant(K: Matrix) -> list[Any]:
    """det(I + r K) as a polynomial in r, by the method of Faddeev and Le Verrier."""
    if _is_explicit(K):
        return [Fraction(1)]
    size = range(len(K))
    coefficients: list[Any] = [Fraction(1)]
    power = [[Fraction(0) for _ in size] for _ in size]
    for k in range(1, len(K) + 1):
        for i in size:
            power[i][i] += coefficients[-1]
        power = [[_dot(row, column) for column in zip(*power, strict=True)] for row in K]
        coefficients.append(-sum(power[i][i] for i in size) / k)
    return [x * (-1) ** k for k, x in enumerate(coefficients)]


def _numerators(K: Matrix, places: Iterable[Place]) -> Iterator[list[Any]]:
    """For each place what must not be positive, times det(I + r K) > 0: a polynomial in r.

    (I + r K)^-1 = I - r K + r^2 K^2 - ..., and its product with the determinant ends at r^s.
    """
    determinant, size = _determinant(K), range(len(K))
    scale = 1
    if all(isinstance(x, Fraction) for row in K for x in row):
        scale = math.lcm(*(x.denominator for row in K for x in row))
        K = [[int(x * scale) for x in row] for row in K]
    columns = [[(i, row[j]) for i, row in enumerate(K) if row[j]] for j in size]
    found: dict[int, list[list[Any]]] = {}  # the rows of (-K)^n times scale^n
    for i, j in places:
        if i not in found:
            rows = found[i] = [[int(k == i) for k in size]]
            for _ in size[1:]:
                rows.append([-sum(rows[-1][k] * x for k, x in column) for column in columns])
        series = [
            Fraction(1, scale**n) * (sum(row) if j is None else row[j])
            for n, row in enumerate(found[i])
        ]
        if i == j:
            series[0] -= 1
        sign = -1 if j is None else 1
        yield [
            sign * sum(x * series[n - m] for m, x in enumerate(determinant[: n + 1])) for n in size
        ]


def _holds_at_infinity(K: Matrix) -> bool:
    """Whether the conditions hold for all r beyond some: then they hold for all r."""
    places = [(i, j) for i in range(len(K)) for j in (*range(len(K)), None)]
    return all(next((x for x in reversed(p) if x), -1) < 0 for p in _numerators(K, places))


def _end(p: Sequence[Any], low: Fraction, high: Fraction) -> Fraction | float:
    """Where p, which is positive at `high`, becomes so beyond `low`."""

    def is_positive(x: Fraction) -> bool:
        value: Any = Fraction(0)
        for coefficient in reversed(p):
            value = value * x + coefficient
        if not value:
            roots.append(x)
        return bool(value > 0)

    roots: list[Fraction] = []
    low, high = _halved(is_positive, low, high, _bits(p))
    candidate = _simplest_between(low, high)
    is_positive(candidate)
    if roots:
        return roots[-1]
    bits = 64
    while float(low) != float(high):  # ends: an irrational number is not half-way between floats
        low, high = _halved(is_positive, low, high, bits)
        bits *= 2
    return float(low)


def _halved(
    is_positive: Callable[[Fraction], bool], low: Fraction, high: Fraction, bits: int
) -> tuple[Fraction, Fraction]:
    while (high - low) * 2**bits > 1:
        middle = (low + high) / 2
        low, high = (low, middle) if is_positive(middle) else (middle, high)
    return low, high


def _bits(p: Sequence[Any]) -> int:
    """How closely the roots of p are enclosed, so that a rational one is the simplest there.

    The denominator of a rational root divides the leading coefficient of the polynomial over its
    common denominator.
    """
    if any(isinstance(x, Surd) for x in p):
        return _BITS_OF_SURDS
    common = math.lcm(*(x.denominator for x in p))
    leading = next(x for x in reversed(p) if x)
    return 2 * int(abs(leading) * common).bit_length() + 2


def _simplest_between(low: Fraction, high: Fraction) -> Fraction:
    """The fraction with the smallest denominator in [low, high]."""
    whole = math.ceil(low)
    if whole <= high:
        return Fraction(whole)
    below = whole - 1
    return below + 1 / _simplest_between(1 / (high - below), 1 / (low - below))


def _dot(x: Sequence[Any], y: Sequence[Any]) -> Any:
    return sum((a * b for a, b in zip(x, y, strict=True) if a and b), Fraction(0))
