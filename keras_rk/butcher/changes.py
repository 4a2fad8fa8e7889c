"""A tableau with other coefficients in place of its own, one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from keras_rk.errors import TableauError, shown
from keras_rk.numbers.coefficients import (
    Coefficient,
    exact,
    is_float,
    is_symbolic,
    looks_like_float,
    simplest,
    substituted,
    to_sympy,
)

if TYPE_CHECKING:
    from keras_rk.butcher.tableau import Tableau

__all__ = ["rationalized", "rebuilt", "with_numbers"]


def rebuilt(tableau: Tableau, **arguments: Any) -> Tableau:
    """The tableau with other arguments in place of its own; it remembers floats."""
    own = {
        "A": tableau.exact_A,
        "b": tableau.exact_b,
        "c": None if tableau.has_row_sums else tableau.exact_c,
        "b_hat": tableau.exact_b_hat,
        "b_theta": tableau.exact_b_theta,
        "claimed_order": tableau.claimed_order,
        "claimed_embedded_order": tableau.claimed_embedded_order,
        "name": tableau.name,
        "source": tableau.source,
    }
    changed = type(tableau)(**(own | arguments))
    return changed._with_floats(changed.has_floats or tableau.has_floats)


def with_numbers(tableau: Tableau, values: Mapping[str, Any]) -> Tableau:
    """The tableau with numbers in place of symbols."""
    free = tableau.symbols
    names = {str(symbol) for symbol in free}
    unknown = sorted(set(values) - names)
    if unknown:
        raise TableauError(
            f"`subs` takes the tableau's own symbols ({', '.join(sorted(names)) or 'none'}). "
            f"Received: {', '.join(unknown)}."
        )
    chosen = {s: to_sympy(exact(values[str(s)])) for s in free if str(s) in values}

    def put(x: Any) -> Any:
        return substituted(x, chosen) if is_symbolic(x) else x

    changed = _mapped(tableau, put)
    return changed._with_floats(changed.has_floats or any(map(is_float, values.values())))


def rationalized(tableau: Tableau, tolerance: Any) -> Tableau:
    """The tableau with fractions for decimals."""
    limit = exact(tolerance)
    if not isinstance(limit, Fraction) or not 0 < limit < 1:
        raise TableauError(
            f"`tolerance` must be a rational number in (0, 1). Received: {tolerance!r}."
        )

    def simplify(x: Coefficient) -> Coefficient:
        return simplest(x, limit) if isinstance(x, Fraction) else x

    changed = _mapped(tableau, simplify)
    return changed._with_floats(
        changed.has_floats and any(map(looks_like_float, changed.coefficients))
    )


def _mapped(tableau: Tableau, function: Callable[[Coefficient], Any]) -> Tableau:
    def each(row: Iterable[Coefficient], field: str) -> tuple[Any, ...]:
        found = []
        for j, x in enumerate(row):
            try:
                found.append(function(x))
            except TableauError as error:
                where = f" (tableau {shown(tableau.name)})" if tableau.name else ""
                raise TableauError(f"{field}[{j}]: {error}{where}") from None
        return tuple(found)

    def rows(matrix: Iterable[Iterable[Coefficient]], field: str) -> list[tuple[Any, ...]]:
        return [each(row, f"{field}[{i}]") for i, row in enumerate(matrix)]

    b_hat, b_theta = tableau.exact_b_hat, tableau.exact_b_theta
    return rebuilt(
        tableau,
        A=rows(tableau.exact_A, "A"),
        b=each(tableau.exact_b, "b"),
        c=None if tableau.has_row_sums else each(tableau.exact_c, "c"),
        b_hat=None if b_hat is None else each(b_hat, "b_hat"),
        b_theta=None if b_theta is None else rows(b_theta, "b_theta"),
    )
