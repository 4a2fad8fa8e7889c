"""Order conditions of a symbolic tableau as SymPy's equations: Phi(t) = 1/gamma(t)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from keras_rk.butcher.tableau import Tableau
from keras_rk.errors import TableauError
from keras_rk.numbers.coefficients import to_sympy
from keras_rk.proof.order_conditions import order_conditions

if TYPE_CHECKING:
    import sympy

__all__ = ["MAX_EQUATIONS_ORDER", "equations", "equations_up_to"]

MAX_EQUATIONS_ORDER = 6  # seven stages with all coefficients symbols: half a second


def equations(tableau: Tableau, order: int, *, embedded: bool = False) -> list[sympy.Eq]:
    """Those for trees with `order` vertices that do not hold for all values of the symbols.

    A condition without symbols that does not hold is SymPy's `false`.
    """
    if order > MAX_EQUATIONS_ORDER:
        raise TableauError(
            f"Order conditions are written as equations up to order {MAX_EQUATIONS_ORDER}. "
            f"Received: order {order} (tableau {tableau.name!r})."
        )
    conditions = order_conditions(tableau, order, embedded=embedded)
    return [condition.equation for condition in conditions if condition.exact_residual != 0]


def equations_up_to(tableau: Tableau, order: int, embedded_order: int | None) -> Iterator[sympy.Eq]:
    """Those of all orders up to these, and c_i = sum_j a_ij where that is not so anyway."""
    import sympy

    for node, total in zip(tableau.exact_c, tableau.row_sums, strict=True):
        if node != total:
            yield sympy.Eq(to_sympy(node), to_sympy(total))
    for n in range(1, order + 1):
        yield from equations(tableau, n)
    for n in range(1, (embedded_order or 0) + 1):
        yield from equations(tableau, n, embedded=True)
