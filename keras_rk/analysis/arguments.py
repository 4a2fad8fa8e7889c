"""What the analyses are given: a tableau of numbers, and its embedded one."""

from __future__ import annotations

from typing import Any

from keras_rk.analysis.properties import check_numbers, label
from keras_rk.butcher.tableau import Tableau
from keras_rk.errors import TableauError
from keras_rk.tableaux.as_tableau import as_tableau

__all__ = ["embedded_method", "numeric_tableau"]


def numeric_tableau(tableau: Any, what: str) -> Tableau:
    """The tableau that an argument stands for, without symbols.

    Args:
        what: what is computed of it, as the subject of a sentence.
    """
    tableau = as_tableau(tableau)
    check_numbers(tableau, what)
    return tableau


def embedded_method(tableau: Tableau) -> Tableau:
    """The method that steps with b_hat."""
    if tableau.exact_b_hat is None:
        raise TableauError(
            "The embedded method of a pair has weights `b_hat`. "
            f"Received: b_hat=None ({label(tableau)})."
        )
    c = None if tableau.has_row_sums else tableau.exact_c
    return Tableau(tableau.exact_A, tableau.exact_b_hat, c, name=tableau.name)
