"""Continuous extensions: cubic Hermite for every method, and published ones by name.

An extension is a tableau with weights b_i(theta), `b_theta`, and perhaps with stages that those
alone use: `keras_rk.check_extension` proves its order for all theta.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import cache
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from keras_rk.butcher.changes import rebuilt
from keras_rk.errors import TableauError, shown
from keras_rk.tableaux.published_extensions import (
    DOP853_NESTED,
    DOP853_STAGES,
    DORMAND_PRINCE54_NESTED,
    SOURCES,
    TSITOURAS54_FACTORS,
)
from keras_rk.tableaux.registry import get

if TYPE_CHECKING:
    from keras_rk.butcher.tableau import Tableau

__all__ = ["continuous", "continuous_names", "hermite"]

Polynomial = list[Any]  # the coefficients of 1, theta, theta^2, ...


def hermite(tableau: Any) -> Tableau:
    """A method with its cubic Hermite interpolant as continuous extension.

    With f_0 at the step's start, f_1 at its result y_1 and Delta = y_1 - y_0,

        u(theta) = y_0 + theta^2 (3 - 2 theta) Delta
                       + dt theta (theta - 1)^2 f_0 + dt theta^2 (theta - 1) f_1.

    It has order min(p, 3) for all theta, where p is the order of the method, and joins to a
    function with a continuous derivative. Where no stage is f_0 or f_1, one is added, with weight
    zero in the step itself: f_1 is the next step's f_0 and so no further evaluation.

    Args:
        tableau: a tableau, explicit or not, in any form that `keras_rk.check` takes. Weights
            `b_theta` that it has are replaced.

    Returns:
        A `Tableau` with `b_theta`.

    Example:

    >>> dense = hermite("euler")
    >>> print(dense)
    euler
    0 │
    1 │ 1
    ──┼─────
      │ 1  0
    >>> dense.weights("1/2")
    (Fraction(5, 8), Fraction(-1, 8))

    Source: E. Hairer, S. P. Norsett, G. Wanner, *Solving Ordinary Differential Equations I*,
    chapter II.
    """
    from keras_rk.tableaux.as_tableau import as_tableau

    extended = _with_ends(as_tableau(tableau))
    stages = range(extended.stages)
    start = next(filter(extended.is_at_start, stages))
    end = next(filter(extended.is_at_end, stages))
    delta: Polynomial = [0, 0, 3, -2]
    slopes = {start: [0, 1, -2, 1], end: [0, 0, -1, 1]}
    polynomials = [
        _plus(_times(delta, [b]), slopes.get(i, [])) for i, b in enumerate(extended.exact_b)
    ]
    return rebuilt(extended, b_theta=[p[1:] for p in polynomials])


def continuous(name: str) -> Tableau:
    """A named method with its published continuous extension.

    Args:
        name: a name or alias of one of `continuous_names()`.

    Returns:
        A `Tableau` with `b_theta`; of DOP853 with 16 stages, of which its steps use 12.

    Raises:
        TableauError: where none is known here; `hermite` makes one for every method.

    Example:

    >>> from keras_rk import check_extension
    >>> [check_extension(continuous(name)).order for name in continuous_names()]
    [3, 4, 4, 7]
    """
    known = get(name).name
    if known not in SOURCES:
        raise TableauError(
            f"A published continuous extension is known for {', '.join(SOURCES)}; "
            "`keras_rk.tableaux.hermite(name)` makes one of order 3 for every method. "
            f"Received: {shown(name)}."
        )
    return _published(known)


def continuous_names() -> tuple[str, ...]:
    """The names of the methods with a published continuous extension that `continuous` gives."""
    return tuple(SOURCES)


@cache
def _published(name: str) -> Tableau:
    tableau = get(name)
    if name == "bogacki_shampine32":
        found = hermite(tableau)
    elif name == "dormand_prince54":
        found = _nested(tableau, DORMAND_PRINCE54_NESTED)
    elif name == "tsitouras54":
        found = rebuilt(tableau, b_theta=_factored(TSITOURAS54_FACTORS))
    else:
        found = _nested(_with_stages(_with_ends(tableau), DOP853_STAGES), DOP853_NESTED)
    return rebuilt(found, source=SOURCES[name])


def _nested(tableau: Tableau, rows: Iterable[str]) -> Tableau:
    """Hairer's form of an extension.

    u(theta) = y_0 + theta (r_1 + (1 - theta) (r_2 + theta (r_3 + (1 - theta) (r_4 + ...))))

    with r_1 = Delta, r_2 = dt f_0 - Delta, r_3 = Delta - dt f_1 - r_2, and r_4, ... given.
    """
    stages = range(tableau.stages)
    start = next(filter(tableau.is_at_start, stages))
    end = next(filter(tableau.is_at_end, stages))
    r_1: list[Any] = list(tableau.exact_b)
    r_2 = [(i == start) - b for i, b in enumerate(r_1)]
    r_3 = [b - (i == end) - r for i, (b, r) in enumerate(zip(r_1, r_2, strict=True))]
    terms = [r_1, r_2, r_3, *([Fraction(x) for x in row.split()] for row in rows)]
    factor: Polynomial = [1]
    polynomials: list[Polynomial] = [[] for _ in stages]
    for k, term in enumerate(terms):
        factor = _times(factor, [1, -1] if k % 2 else [0, 1])
        polynomials = [_plus(p, _times(factor, [term[i]])) for i, p in enumerate(polynomials)]
    return rebuilt(tableau, b_theta=[p[1:] for p in polynomials])


def _factored(rows: Iterable[Sequence[str]]) -> list[Polynomial]:
    """Polynomials given as products: each factor as its coefficients of 1, theta, theta^2."""
    found = []
    for factors in rows:
        product: Polynomial = [1]
        for factor in factors:
            product = _times(product, [Fraction(x) for x in factor.split()])
        found.append(product[1:])
    return found


def _with_ends(tableau: Tableau) -> Tableau:
    """The method with a stage f_0, put first, and a stage f_1, put last, where it has none."""
    stages = range(tableau.stages)
    A = [list(row) for row in tableau.exact_A]
    c = list(tableau.exact_c)
    vectors: list[Any] = [list(row) for row in tableau.exact_weights]
    if not any(map(tableau.is_at_start, stages)):
        A = [[Fraction(0)] * (len(A) + 1), *([Fraction(0), *row] for row in A)]
        c = [Fraction(0), *c]
        vectors = [[Fraction(0), *row] for row in vectors]
    if not any(map(tableau.is_at_end, stages)):
        A = [*([*row, Fraction(0)] for row in A), [*vectors[0], Fraction(0)]]
        c = [*c, Fraction(1)]
        vectors = [[*row, Fraction(0)] for row in vectors]
    b, *b_hat = vectors
    new = {"A": A, "b": b, "b_hat": b_hat[0] if b_hat else None, "b_theta": None}
    if tableau.has_row_sums:
        found = rebuilt(tableau, **new, c=None)
        if found.is_at_end(found.stages - 1):
            return found
    return rebuilt(tableau, **new, c=c)  # of weights that do not sum to 1, too


def _with_stages(tableau: Tableau, rows: Iterable[str]) -> Tableau:
    """The method with further stages that its step does not use."""
    A: list[list[Any]] = [list(row) for row in tableau.exact_A]
    A += [[Fraction(x) for x in row.split()] for row in rows]
    stages = len(A)
    more = [Fraction(0)] * (stages - tableau.stages)
    A = [row + [Fraction(0)] * (stages - len(row)) for row in A]
    b, *b_hat = ([*row, *more] for row in tableau.exact_weights)
    return rebuilt(tableau, A=A, b=b, c=None, b_hat=b_hat[0] if b_hat else None, b_theta=None)


def _times(p: Polynomial, q: Sequence[Any]) -> Polynomial:
    product: Polynomial = [Fraction(0)] * (len(p) + len(q) - 1)
    for i, x in enumerate(p):
        for j, y in enumerate(q):
            product[i + j] += x * y
    return product


def _plus(p: Polynomial, q: Polynomial) -> Polynomial:
    return [x + y for x, y in zip_longest(p, q, fillvalue=Fraction(0))]
