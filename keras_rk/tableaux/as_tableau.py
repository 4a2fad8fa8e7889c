"""A tableau from whatever users pass for one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_rk.butcher.files import FILE_ENDINGS
from keras_rk.butcher.formats.numpy_files import is_whole, whole_tableau
from keras_rk.butcher.tableau import Tableau
from keras_rk.errors import TableauError, shown
from keras_rk.tableaux import foreign

__all__ = ["as_tableau"]


def as_tableau(tableau: Any) -> Tableau:
    """A `Tableau` from a `Tableau`, a name, a file, a `to_dict()`, or `(A, b[, c])`.

    It also reads the methods of other packages (see `foreign`), `check(scipy.integrate.RK45)`, and
    one array [[c, A], [NaN, b]].

    Text is the name of a file if it ends as such files do (`butcher.files.FILE_ENDINGS`), or has a
    folder and the file exists; then it is the name of a method; and otherwise that of a file once
    more.

    Raises:
        TableauError: for anything else, and where the tableau itself is not acceptable.
    """
    if isinstance(tableau, Tableau):
        return tableau
    if isinstance(tableau, str):
        return _by_name_or_file(tableau)
    if isinstance(tableau, os.PathLike):
        return Tableau.from_file(tableau)
    if isinstance(tableau, Mapping):
        return Tableau.from_dict(tableau)
    inner = foreign.attribute(tableau, "tableau")
    if isinstance(inner, Tableau):  # of a layer, a report
        return inner
    found = foreign.coefficients(tableau)
    if found is not None:
        return Tableau.from_dict(found)
    if is_whole(tableau):
        return Tableau.from_dict(whole_tableau(tableau))
    if isinstance(tableau, tuple | list) and any(isinstance(x, Tableau | str) for x in tableau):
        raise TableauError(
            f"One tableau is needed here, not several of them. Received: {shown(tableau)}."
        )
    if isinstance(tableau, tuple | list) and len(tableau) in (2, 3) and not _is_rows(tableau):
        return Tableau(*tableau)
    raise TableauError(
        "A tableau is given as a Tableau, a name, a file, a dictionary, a method of SciPy, nodepy, "
        "kauri, diffrax or torchdiffeq that has a tableau, or (A, b) or (A, b, c) in one argument: "
        f"check((A, b)). Received: {shown(tableau)}."
    )


def _is_rows(sequence: tuple | list) -> bool:
    """Whether this is A alone, whose rows hold numbers, as in `check(A, b)`."""
    first = sequence[0]
    return isinstance(first, tuple | list) and not any(_is_row(x) for x in first)


def _is_row(x: Any) -> bool:
    return hasattr(x, "__len__") and not isinstance(x, str)


def _by_name_or_file(text: str) -> Tableau:
    from keras_rk import tableaux

    has_folder = os.sep in text or (os.altsep or os.sep) in text
    if Path(text).suffix.lower() in FILE_ENDINGS or (has_folder and os.path.exists(text)):
        return Tableau.from_file(text)
    try:
        return tableaux.get(text)
    except TableauError:
        if not has_folder and not os.path.exists(text):
            raise
    return Tableau.from_file(text)
