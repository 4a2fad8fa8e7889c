"""The texts and arrays in which people keep tableaux, one format a file, and which one a text is.

Each is read as data, never executed, and numbers in a text are the digits that they show: 0.1 is a
tenth, and nothing overflows.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from keras_rk.butcher.formats.csv_text import read_csv
from keras_rk.butcher.formats.json_text import read_json
from keras_rk.butcher.formats.latex_table import read_latex
from keras_rk.butcher.formats.toml_text import read_toml
from keras_rk.butcher.formats.yaml_text import read_yaml
from keras_rk.butcher.notation import read_text

__all__ = ["ENDINGS", "Format", "recognised"]


class Format(NamedTuple):
    """How errors call a format, and what reads it into the dictionary of `Tableau.from_dict`."""

    called: str
    read: Callable[[str], Any]


_JSON = Format("JSON", read_json)
_TOML = Format("TOML", read_toml)
_YAML = Format("YAML", read_yaml)
_LATEX = Format("LaTeX", read_latex)
_CSV = Format("CSV", read_csv)
_LISTING = Format("a listing a[i,j]=...", read_text)
_DRAWING = Format("a drawing", read_text)

ENDINGS = {
    ".json": _JSON,
    ".toml": _TOML,
    ".yaml": _YAML,
    ".yml": _YAML,
    ".tex": _LATEX,
    ".csv": _CSV,
    ".tsv": _CSV,
}

_SKIPPED = r"\A(?:[ \t]*+(?:#[^\n]*+)?\n)*+[ \t]*+"  # blank lines and comments
_HEADER = r"\[{1,2}[ \t]*[A-Za-z_][\w.\- ]*\]{1,2}[ \t]*(?:#[^\n]*)?(?:\n|\Z)"
_RULE = r"(?=[^\n]*[-─])[-+|│┼─=_ \t]*$"  # the line above the weights in a drawing
_LOOKS = (  # the first that fits; a text that fits none is a drawing, whose error shows one
    (re.compile(rf"{_SKIPPED}---"), _YAML),
    (re.compile(rf"^(?=[^\n]*[+|│┼]){_RULE}", re.MULTILINE), _DRAWING),
    (re.compile(rf"{_SKIPPED}(?:[\w-]+[ \t]*=(?![ \t]*\\)|{_HEADER})"), _TOML),
    (re.compile(r"\A\s*[{\[]"), _JSON),
    (re.compile(r"\A\s*(?:c|[-+0-9.(][^\n,;\t|│]*)[ ]*[,;\t]"), _CSV),
    (re.compile(r"\\(?:begin|hline|[dt]?frac)(?![A-Za-z])"), _LATEX),
    (re.compile(rf"{_SKIPPED}[\w-]+[ \t]*:(?=\s|\Z)"), _YAML),
    (re.compile(r"\A\s*(?:a|b|bhat|c)\[[0-9]"), _LISTING),
    (re.compile(rf"^{_RULE}", re.MULTILINE), _DRAWING),
    (re.compile(r"\A(?:[^\n|│]*\n){0,9}[^\n|│]*[,;\t]"), _CSV),
)


def recognised(text: str, ending: str = "") -> Format:
    """The format of a text: by the ending of its file's name, else by its look."""
    if ending in ENDINGS:
        return ENDINGS[ending]
    return next((form for look, form in _LOOKS if look.search(text)), _DRAWING)
