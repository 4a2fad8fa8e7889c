"""A tableau in a file or a text: JSON, TOML, a drawing or a listing (see `notation`).

Numbers in all of them are the digits that they show: 0.1 is a tenth, and nothing overflows.
"""

from __future__ import annotations

import codecs
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from keras_rk.butcher.notation import read_text
from keras_rk.errors import TableauError, shown

__all__ = [
    "FILE_ENDINGS",
    "LARGEST_FILE",
    "called",
    "errors_name",
    "parse",
    "read_bytes",
    "read_json",
]

LARGEST_FILE = 1_000_000
FILE_ENDINGS = (".json", ".toml", ".txt")
_COEFFICIENTS = ("A", "b", "c", "b_hat", "b_theta")
_LONGEST_PATH = 300
_QUOTED = 30
_QUOTES = 'with quotes around fractions and roots: "2/3", "sqrt(2)/2"'
_TOML = re.compile(r"(?:\s*(?:#[^\n]*)?\n)*\s*\w+\s*=")  # a key, after blank lines and comments


class _Numeral(str):
    """A number as a file writes it."""


@contextmanager
def errors_name(origin: str) -> Iterator[None]:
    """Errors say which file they are about."""
    try:
        yield
    except TableauError as error:
        raise TableauError(f"{origin}: {error}") from None


def called(path: Any) -> str:
    """A path as errors quote it; of a very long one the end, where the file's name is."""
    text = repr(str(path))
    return text if len(text) <= _LONGEST_PATH else f"...{text[-_LONGEST_PATH:]}"


def read_bytes(path: Any) -> bytes:
    """What is in a file, if it is one that can hold a tableau."""
    if not isinstance(path, str | os.PathLike):
        raise TableauError(f"A path is text or a `Path`. Received: {shown(path)}.")
    try:
        if Path(path).is_dir():
            reason = "the folder of that name"
        else:
            with Path(path).open("rb") as file:
                return file.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as error:  # ValueError: a null character
        reason = getattr(error, "strerror", None) or str(error)
    raise TableauError(
        f"A tableau is in a file that can be read. Received: {called(path)}, {reason}."
    )


def parse(text: str | bytes, name: str | os.PathLike[str] = "") -> Any:
    """What `Tableau.from_dict` takes; which format it is, a file's ending or its look tells."""
    if len(text) > LARGEST_FILE:
        raise TableauError(
            f"A tableau file has at most {LARGEST_FILE} bytes. Received: a longer one."
        )
    text = (_decoded(text) if isinstance(text, bytes) else text).removeprefix("\ufeff")
    ending = Path(name).suffix.lower()
    if ending == ".json" or (ending not in FILE_ENDINGS and text.lstrip()[:1] in ("{", "[")):
        return read_json(text)
    if ending == ".toml" or (ending not in FILE_ENDINGS and _TOML.match(text)):
        return _read_toml(text)
    return read_text(text)


def _decoded(data: bytes) -> str:
    utf_16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # some shells' output
    try:
        return data.decode("utf-16" if utf_16 else "utf-8")
    except UnicodeDecodeError as error:
        raise TableauError(
            f"A tableau file is JSON, TOML or a drawing, as text in UTF-8. Received: {error}."
        ) from None


def read_json(text: str | bytes) -> Any:
    """What JSON text says, its coefficients as text."""
    try:
        if isinstance(text, str):
            text = text.removeprefix("\ufeff")
        data = json.loads(
            text,
            parse_float=_Numeral,
            parse_int=_Numeral,
            parse_constant=_refuse_constant,
            object_pairs_hook=_without_repetition,
        )
    except TableauError:
        raise
    except json.JSONDecodeError as error:
        near = error.doc[error.pos : error.pos + _QUOTED].partition("\n")[0]
        raise TableauError(
            f"A tableau file is JSON, {_QUOTES}. Received: {error.msg} at line {error.lineno}, "
            f"column {error.colno}, before {near!r}."
        ) from None
    except (ValueError, TypeError, RecursionError) as error:
        raise TableauError(f"A tableau file is JSON. Received: {error}.") from None
    return _plain_outside_coefficients(data)


def _read_toml(text: str) -> Any:
    import tomllib

    try:
        data = tomllib.loads(text.replace("\r\n", "\n"), parse_float=_toml_numeral)
    except TableauError:
        raise
    except (ValueError, RecursionError) as error:
        raise TableauError(f"A tableau file is TOML, {_QUOTES}. Received: {error}.") from None
    return _plain_outside_coefficients(data)


def _toml_numeral(text: str) -> _Numeral:
    if text.lstrip("+-") in ("inf", "nan"):
        _refuse_constant(text)
    return _Numeral(text.replace("_", ""))


def _plain_outside_coefficients(data: Any) -> Any:
    """Claims are numbers, and a number is no name."""
    if isinstance(data, dict):
        return {key: x if key in _COEFFICIENTS else _plain(x) for key, x in data.items()}
    return data


def _plain(value: Any) -> Any:
    if not isinstance(value, _Numeral):
        return value
    try:
        return int(value)
    except ValueError:  # no integer, or one with more digits than Python converts
        return value if value.lstrip("-").isdecimal() else float(value)


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        keys = [key for key, _ in pairs]
        raise TableauError(f"A tableau file has each key once. Received: {shown(keys)}.")
    return data


def _refuse_constant(text: str) -> None:
    raise TableauError(f"A coefficient is finite. Received: {text}.")
