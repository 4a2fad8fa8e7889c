"""What the analyses are given: a tableau of numbers, its embedded one, stages to be called."""

from __future__ import annotations

from typing import Any

from keras_rk.butcher.tableau import Tableau
from keras_rk.errors import TableauError, shown
from keras_rk.tableaux.as_tableau import as_tableau

__all__ = ["called", "embedded_method", "numeric_tableau"]


def numeric_tableau(tableau: Any, what: str) -> Tableau:
    """The tableau that an argument stands for, without symbols.

    Args:
        what: what is computed of it, as the subject of a sentence.
    """
    tableau = as_tableau(tableau)
    if tableau.is_symbolic:
        raise TableauError(
            f"{what} computed of numbers: put them in place of the symbols with "
            f"`tableau.subs(...)`. Received: {called(tableau)}."
        )
    return tableau


def embedded_method(tableau: Tableau) -> Tableau:
    """The method that steps with b_hat."""
    if tableau.exact_b_hat is None:
        raise TableauError(
            "The embedded method of a pair has weights `b_hat`. "
            f"Received: b_hat=None ({called(tableau)})."
        )
    c = None if tableau.has_row_sums else tableau.exact_c
    return Tableau(tableau.exact_A, tableau.exact_b_hat, c, name=tableau.name)


def called(tableau: Tableau) -> str:
    """What a message calls a tableau: by its name where it has one."""
    return f"tableau {tableau.name!r}" if tableau.name else shown(tableau)
