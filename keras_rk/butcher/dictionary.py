"""A tableau as a dictionary of text and numbers, as files and saved models keep it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from keras_rk.errors import TableauError, shown
from keras_rk.numbers.coefficients import Coefficient, to_text

if TYPE_CHECKING:
    from keras_rk.butcher.tableau import Tableau

__all__ = ["arguments_in", "as_dictionary"]

_COEFFICIENTS = ("A", "b", "c", "b_hat", "b_theta")
_LABELS = ("claimed_order", "claimed_embedded_order", "name", "source")
_KEYS = (*_COEFFICIENTS, *_LABELS)


def as_dictionary(tableau: Tableau, rows: Sequence[Sequence[Coefficient]]) -> dict[str, Any]:
    """Text for each coefficient; what is None, and nodes that are row sums, left out.

    Args:
        rows: the rows of A as they are to be written.
    """
    data: dict[str, Any] = {"A": list(map(_texts, rows)), "b": _texts(tableau.exact_b)}
    if not tableau.has_row_sums:
        data["c"] = _texts(tableau.exact_c)
    if tableau.exact_b_hat is not None:
        data["b_hat"] = _texts(tableau.exact_b_hat)
    if tableau.exact_b_theta is not None:
        data["b_theta"] = list(map(_texts, tableau.exact_b_theta))
    for key in _LABELS:
        if getattr(tableau, key) is not None:
            data[key] = getattr(tableau, key)
    if tableau.has_floats:
        data["has_floats"] = True
    return data


def arguments_in(data: Any) -> tuple[dict[str, Any], bool]:
    """The arguments of `Tableau` in a dictionary, and whether some coefficient was a float."""
    if not isinstance(data, Mapping) or not {"A", "b"} <= set(data):
        raise TableauError(
            f'A tableau is written as an object with at least "A" and "b". Received: {shown(data)}.'
        )
    unknown = [key for key in data if key not in (*_KEYS, "has_floats")]
    if unknown:
        raise TableauError(
            f"A tableau has the keys {', '.join(_KEYS)}. Received: {shown(unknown)}."
        )
    has_floats = data.get("has_floats", False)
    if not isinstance(has_floats, bool):
        raise TableauError(f"`has_floats` must be true or false. Received: {shown(has_floats)}.")
    return {key: data[key] for key in _KEYS if key in data}, has_floats


def _texts(row: Sequence[Coefficient]) -> list[str]:
    return [to_text(x) for x in row]
