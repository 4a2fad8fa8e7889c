"""Tableaux in files: which file, what is in it, and in which of the `formats` that is."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from keras_rk.butcher.formats import ENDINGS, recognised
from keras_rk.butcher.formats.numpy_files import is_numpy, read_numpy
from keras_rk.errors import TableauError, shown

__all__ = ["FILE_ENDINGS", "LARGEST_FILE", "called", "errors_name", "parse", "read_bytes"]

LARGEST_FILE = 1_000_000
FILE_ENDINGS = (*ENDINGS, ".txt", ".npz", ".npy")
_LONGEST_PATH = 300


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


def parse(text: str | bytes, name: str | os.PathLike[str] = "", make: Any = None) -> Any:
    """What `Tableau.from_dict` takes; which format it is, a file's ending or its look tells.

    Args:
        make: is given what was read, as a part of the reading: errors say which format it was.
    """
    make = make or (lambda data: data)
    if len(text) > LARGEST_FILE:
        raise TableauError(
            f"A tableau file has at most {LARGEST_FILE} bytes. Received: a longer one."
        )
    if isinstance(text, bytes) and is_numpy(text):
        return make(read_numpy(text))
    text = (_decoded(text) if isinstance(text, bytes) else text).removeprefix("\ufeff")
    form = recognised(text, Path(name).suffix.lower())
    try:
        return make(form.read(text))
    except TableauError as error:
        raise TableauError(f"{error} It was read as {form.called}.") from None


def _decoded(data: bytes) -> str:
    utf_16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # some shells' output
    try:
        return data.decode("utf-16" if utf_16 else "utf-8")
    except UnicodeDecodeError as error:
        raise TableauError(
            "A tableau file is JSON, TOML, YAML, CSV, LaTeX or a drawing, as text in UTF-8, or "
            f"NumPy's. Received: {error}."
        ) from None
