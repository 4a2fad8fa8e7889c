"""The tableaux that the commands are given: by name, in a file, on standard input."""

from __future__ import annotations

import argparse
import os
import sys

from keras_rk.butcher.files import LARGEST_FILE, errors_name, parse
from keras_rk.butcher.tableau import Tableau
from keras_rk.errors import TableauError
from keras_rk.tableaux.as_tableau import as_tableau

__all__ = ["FORMATS", "add_method", "is_folder", "read"]

FORMATS = (
    "JSON, TOML, YAML, CSV, LaTeX, a drawing, or NumPy's .npz; - reads one from standard input"
)


def add_method(parser: argparse.ArgumentParser) -> None:
    """The argument that names a method, a file, or standard input."""
    parser.add_argument(
        "method",
        metavar="NAME|FILE",
        help=f"a named method, or a file with a tableau: {FORMATS}",
    )


def is_folder(text: str) -> bool:
    """Whether an argument means a folder: one of that name is there, and no method of that name."""
    from keras_rk import tableaux

    if not os.path.isdir(text):
        return False
    if os.path.basename(text) != text:
        return True
    try:
        tableaux.get(text)
    except TableauError:
        return True
    return False


def read(method: str) -> Tableau:
    """The tableau that an argument names, or that is written to standard input."""
    if method != "-":
        return as_tableau(method)
    if sys.stdin is None:
        raise TableauError("`-` reads standard input. Received: a closed one.")
    try:
        data = sys.stdin.buffer.read(LARGEST_FILE + 1)
    except OSError as error:
        raise TableauError(f"`-` reads standard input. Received: {error.strerror}.") from None
    with errors_name("standard input"):
        return parse(data, make=Tableau.from_dict)
