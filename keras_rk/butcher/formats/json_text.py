"""JSON: an object with the keys of `Tableau.to_dict`."""

from __future__ import annotations

import json
from typing import Any

from keras_rk.butcher.formats.numerals import (
    QUOTES,
    Numeral,
    plain_outside_coefficients,
    refuse_constant,
)
from keras_rk.errors import TableauError, shown

__all__ = ["read_json"]

_QUOTED = 30


def read_json(text: str | bytes) -> Any:
    """What JSON text says, its coefficients as text."""
    try:
        if isinstance(text, str):
            text = text.removeprefix("\ufeff")
        data = json.loads(
            text,
            parse_float=Numeral,
            parse_int=Numeral,
            parse_constant=refuse_constant,
            object_pairs_hook=_without_repetition,
        )
    except TableauError:
        raise
    except json.JSONDecodeError as error:
        near = error.doc[error.pos : error.pos + _QUOTED].partition("\n")[0]
        raise TableauError(
            f"A tableau file is JSON, {QUOTES}. Received: {error.msg} at line {error.lineno}, "
            f"column {error.colno}, before {near!r}."
        ) from None
    except (ValueError, TypeError, RecursionError) as error:
        raise TableauError(f"A tableau file is JSON. Received: {error}.") from None
    return plain_outside_coefficients(data)


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        keys = [key for key, _ in pairs]
        raise TableauError(f"A tableau file has each key once. Received: {shown(keys)}.")
    return data
