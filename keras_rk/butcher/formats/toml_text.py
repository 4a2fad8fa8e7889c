"""TOML with the keys of `Tableau.to_dict`."""

from __future__ import annotations

import re
from typing import Any

from keras_rk.butcher.formats.numerals import (
    QUOTES,
    Numeral,
    plain_outside_coefficients,
    refuse_constant,
)
from keras_rk.errors import TableauError

__all__ = ["read_toml"]

_DEEPEST = 50
_DEEP_KEY = re.compile(rf"""(?:\.[ \t]*(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*){{{_DEEPEST - 1}}}""")


def read_toml(text: str) -> Any:
    """What TOML text says, its decimals as text."""
    import tomllib

    if _DEEP_KEY.search(text):  # tomllib takes minutes for the longest
        raise TableauError(
            f"A tableau file is TOML, {QUOTES}. Received: a key of {_DEEPEST} parts or more."
        )
    try:
        data = tomllib.loads(text.replace("\r\n", "\n"), parse_float=_numeral)
    except TableauError:
        raise
    except (ValueError, RecursionError) as error:
        raise TableauError(f"A tableau file is TOML, {QUOTES}. Received: {error}.") from None
    return plain_outside_coefficients(data)


def _numeral(text: str) -> Numeral:
    if text.lstrip("+-") in ("inf", "nan"):
        refuse_constant(text)
    return Numeral(text.replace("_", ""))
