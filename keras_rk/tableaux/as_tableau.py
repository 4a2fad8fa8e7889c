"""A tableau from whatever users pass for one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras_rk.butcher.tableau import Tableau
from keras_rk.errors import TableauError, shown

__all__ = ["as_tableau"]


def as_tableau(tableau: Any) -> Tableau:
    """A `Tableau` from a `Tableau`, the name of one, its `to_dict()`, or `(A, b[, c])`.

    Raises:
        TableauError: for anything else, and where the tableau itself is not acceptable.
    """
    if isinstance(tableau, Tableau):
        return tableau
    if isinstance(tableau, str):
        from keras_rk import tableaux

        return tableaux.get(tableau)
    if isinstance(tableau, Mapping):
        return Tableau.from_dict(tableau)
    if isinstance(tableau, tuple | list) and len(tableau) in (2, 3):
        return Tableau(*tableau)
    raise TableauError(
        "A tableau is given as a Tableau, a name, a dictionary, or (A, b) or (A, b, c). "
        f"Received: {shown(tableau)}."
    )
