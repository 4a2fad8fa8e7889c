"""A tableau in the numbers that its order conditions are computed with.

Exactly, these are integers: no denominators, no square roots.

Let d be the least common denominator of A and c. The elementary weights of a tree of order n
scale with d**(n-1), so that integers decide every order condition. A number with m coordinates
over products of square roots becomes m integers, and its product with another one an m x m
integer matrix: A becomes an integer matrix of size (s m) x (s m).

A tableau with symbols is computed with in the field of fractions that SymPy finds for it. In
absolute value and in floats, a tableau bounds what rounding its coefficients can do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from operator import mul
from typing import Any

from keras_rk.coefficients import Coefficient, exact, to_sympy
from keras_rk.integer_matrices import inner_product, matrix_product, prepare
from keras_rk.square_roots import Coordinates, common_field, multiply, number
from keras_rk.tableau import Tableau

__all__ = ["Form", "Vector", "absolute_form", "exact_form"]

Vector = list[Any]


@dataclass(frozen=True)
class Weights:
    """b or b_hat, times `scale`: its inner product with a vector u, and with A u.

    Both have a row for each coordinate of a number.
    """

    rows: list[Callable[[Vector], Any]]
    times_A: list[Callable[[Vector], Any]]
    scale: int


@dataclass(frozen=True)
class Form:
    """What the order conditions need of a tableau.

    Attributes:
        one: the vector with an entry 1 for every stage.
        nodes: the vector c, scaled.
        weights: those of b and, where there is one, of b_hat.
        scale: the factor on A and c.
        product: entrywise product of two vectors.
        apply: A times a vector, scaled.
        value: an exact number from its scaled coordinates and their scale.
    """

    one: Vector
    nodes: Vector
    weights: list[Weights]
    scale: int
    product: Callable[[Vector, Vector], Vector]
    apply: Callable[[Vector], Vector]
    value: Callable[[Sequence[Any], Any], Coefficient]


def absolute_form(tableau: Tableau) -> Form:
    """|A|, |b| and |c| in floats."""

    def absolute(row: Iterable[Coefficient]) -> Vector:
        return [abs(float(x)) for x in row]

    A = [absolute(row) for row in tableau.exact_A]
    return Form(
        one=[1.0] * tableau.stages,
        nodes=absolute(tableau.exact_c),
        weights=[_weights([absolute(row)], A, 1) for row in _weight_vectors(tableau)],
        scale=1,
        product=lambda u, v: list(map(mul, u, v)),
        apply=matrix_product(A),
        value=lambda parts, by: exact(parts[0] / by),
    )


def _weight_vectors(tableau: Tableau) -> list[tuple[Coefficient, ...]]:
    return [tableau.exact_b] + ([tableau.exact_b_hat] if tableau.exact_b_hat else [])


def exact_form(tableau: Tableau) -> Form:
    """The form in which a tableau's order conditions are decided."""
    return _symbolic_form(tableau) if tableau.is_symbolic else _integer_form(tableau)


def _integer_form(tableau: Tableau) -> Form:
    stages = tableau.stages
    rows = [row[:i] if tableau.is_explicit else row for i, row in enumerate(tableau.exact_A)]
    vectors = _weight_vectors(tableau)
    roots, elements = common_field(
        x
        for row in (*rows, tableau.exact_c, *vectors)
        for x in row  # type: ignore[misc]
    )
    integer_roots = tuple(tuple(int(x) for x in root) for root in roots)
    size = 2 ** len(roots)
    taken = iter(elements)
    A = [[next(taken) for _ in row] for row in rows]
    c, *weights = [[next(taken) for _ in range(stages)] for _ in (0, *vectors)]

    scale = _denominator(x for row in (*A, c) for x in row)
    convert = prepare(scale)
    matrix = [
        [convert(x) for x in line]
        for row in A
        for line in _blocks(_integers(row, scale), size, integer_roots)
    ]
    scales = [_denominator(row) for row in weights]
    return Form(
        one=[convert(x) for x in ([1] + [0] * (size - 1)) * stages],
        nodes=[convert(x) for row in _integers(c, scale) for x in row],
        weights=[
            _weights(
                [
                    [convert(x) for x in line]
                    for line in _blocks(_integers(row, denominator), size, integer_roots)
                ],
                matrix,
                denominator,
            )
            for row, denominator in zip(weights, scales, strict=True)
        ],
        scale=scale,
        product=_entrywise(integer_roots),
        apply=matrix_product(matrix),
        value=lambda parts, by: number(roots, tuple(Fraction(int(x), by) for x in parts)),
    )


def _weights(rows: list[Vector], matrix: list[Vector], scale: int) -> Weights:
    width = len(matrix)
    products = []
    for row in rows:
        total: Vector = [0] * width
        for weight, line in zip(row, matrix, strict=True):
            if weight:
                for j, entry in enumerate(line):
                    total[j] += weight * entry
        products.append(total)
    return Weights([inner_product(x) for x in rows], [inner_product(x) for x in products], scale)


def _denominator(elements: Iterable[Coordinates]) -> int:
    return math.lcm(*(value.denominator for x in elements for value in x))


def _integers(elements: Iterable[Coordinates], scale: int) -> list[list[int]]:
    return [[v.numerator * (scale // v.denominator) for v in x] for x in elements]


def _blocks(elements: list[Any], size: int, roots: Any) -> list[list[int]]:
    """The rows of [M(x_1) M(x_2) ...], where M(x) is multiplication by x."""
    if size == 1:
        return [[x[0] for x in elements]]
    units: list[Any] = [tuple(int(k == j) for k in range(size)) for j in range(1, size)]
    columns: list[Any] = []
    for x in elements:
        columns.append(x)  # times 1, then times each product of roots
        columns.extend(multiply(tuple(x), unit, roots) if any(x) else x for unit in units)
    return [[column[k] for column in columns] for k in range(size)]


def _entrywise(roots: Any) -> Callable[[Vector, Vector], Vector]:
    """Products of two vectors whose entries have a coordinate for each product of `roots`."""
    if not roots:
        return lambda u, v: list(map(mul, u, v))
    size = 2 ** len(roots)

    def product(u: Vector, v: Vector) -> Vector:
        parts = _multiply_parts(
            [u[k::size] for k in range(size)], [v[k::size] for k in range(size)], roots
        )
        result: Vector = [0] * len(u)
        for k, part in enumerate(parts):
            result[k::size] = part
        return result

    return product


def _multiply_parts(x: list[Vector], y: list[Vector], roots: Any) -> list[Vector]:
    """`square_roots.multiply` for vectors of numbers, coordinate by coordinate."""
    if len(x) == 2:
        (a, b), (c, d), ((r,),) = x, y, roots
        return [
            [p * q + r * (s * t) for p, q, s, t in zip(a, c, b, d, strict=True)],
            [p * t + s * q for p, q, s, t in zip(a, c, b, d, strict=True)],
        ]
    half = len(x) // 2
    below, root = roots[:-1], roots[-1]
    a, b, c, d = x[:half], x[half:], y[:half], y[half:]
    constant = [[r] * len(a[0]) for r in root]
    bdr = _multiply_parts(_multiply_parts(b, d, below), constant, below)
    lo = _add_parts(_multiply_parts(a, c, below), bdr)
    return lo + _add_parts(_multiply_parts(a, d, below), _multiply_parts(b, c, below))


def _add_parts(x: list[Vector], y: list[Vector]) -> list[Vector]:
    return [[p + q for p, q in zip(u, v, strict=True)] for u, v in zip(x, y, strict=True)]


def _symbolic_form(tableau: Tableau) -> Form:
    from sympy.polys.constructor import construct_domain

    vectors = _weight_vectors(tableau)
    rows = [*tableau.exact_A, tableau.exact_c, *vectors]
    domain, elements = construct_domain(
        [to_sympy(x) for row in rows for x in row], field=True, extension=True
    )
    taken = iter(elements)
    A = [[next(taken) for _ in row] for row in tableau.exact_A]
    c, *weights = [[next(taken) for _ in range(tableau.stages)] for _ in (0, *vectors)]
    return Form(
        one=[domain.one] * tableau.stages,
        nodes=c,
        weights=[_weights([row], A, 1) for row in weights],
        scale=1,
        product=lambda u, v: list(map(mul, u, v)),
        apply=matrix_product(A),
        value=lambda parts, by: exact(domain.to_sympy(domain.convert(parts[0])) / by),
    )
