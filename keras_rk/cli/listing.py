"""keras-rk list: the named methods, filtered and sorted."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from typing import Any

from keras_rk.cli.columns import COLUMNS, Listed
from keras_rk.cli.output import HOLDS, terminal_width
from keras_rk.cli.tables import table
from keras_rk.errors import TableauError
from keras_rk.progress import Progress

__all__ = ["add"]

_ALWAYS = ("name", "order", "stages")
_LAST = ("names", "source")
_KEYS = {"embedded": "embedded_order", "names": "aliases"}  # of columns in JSON, where they differ


class _Filter:
    """An option that only some methods pass, and the column that shows why."""

    def __init__(self, column: str, passes: Callable[[Any, Any], bool], **arguments: Any) -> None:
        self.column = column
        self.passes = passes
        self.arguments = arguments


def _is_true(value: Any, wanted: Any) -> bool:
    return bool(value)


def _is_equal(value: Any, wanted: Any) -> bool:
    return bool(value == wanted)


def _at_least(value: Any, wanted: Any) -> bool:
    return value is not None and bool(value >= wanted)


def _at_most(value: Any, wanted: Any) -> bool:
    return value is not None and bool(value <= wanted)


def _is_positive(value: Any, wanted: Any) -> bool:
    """Without a number, `--ssp` asks for any coefficient above zero."""
    return value is not None and bool(value > 0 if wanted is True else value >= wanted)


_FILTERS = {  # what takes longer to find out comes last
    "order": _Filter("order", _is_equal, type=int, metavar="P", help="of this order"),
    "min-order": _Filter("order", _at_least, type=int, metavar="P", help="of this order or above"),
    "max-order": _Filter("order", _at_most, type=int, metavar="P", help="of this order or below"),
    "stages": _Filter("stages", _is_equal, type=int, metavar="S", help="with so many stages"),
    "max-stages": _Filter(
        "stages", _at_most, type=int, metavar="S", help="with so many stages or fewer"
    ),
    "embedded": _Filter(
        "embedded",
        lambda value, wanted: value is not None,
        action="store_true",
        help="pairs, with embedded weights",
    ),
    "fsal": _Filter("fsal", _is_true, action="store_true", help="first same as last"),
    "ssp": _Filter(
        "ssp",
        _is_positive,
        type=float,
        nargs="?",
        const=True,
        metavar="C",
        help="with an SSP coefficient above 0, or of C or more",
    ),
    "min-real": _Filter(
        "real", _at_least, type=float, metavar="X", help="stable on [-X, 0] at least"
    ),
    "min-imaginary": _Filter(
        "imaginary", _at_least, type=float, metavar="X", help="stable on [-iX, iX] at least"
    ),
    "max-error-norm": _Filter(
        "error-norm", _at_most, type=float, metavar="E", help="with this error norm or a smaller"
    ),
}


def add(commands: Any) -> None:
    """Add the command to the parser's commands."""
    described = "; ".join(f"{name}: {column.description}" for name, column in COLUMNS.items())
    listing = commands.add_parser(
        "list",
        help="list the named methods, filtered and sorted",
        description="List the named methods. Orders are those that are claimed, and proved by the "
        f"tests; everything else is computed. Columns: {described}.",
    )
    for name, option in _FILTERS.items():
        listing.add_argument(f"--{name}", **option.arguments)
    listing.add_argument("--sort", choices=COLUMNS, metavar="COLUMN", help="by this column")
    listing.add_argument("--reverse", action="store_true", help="the largest first")
    listing.add_argument("--columns", metavar="A,B", help="these columns, separated by commas")
    listing.add_argument("--json", action="store_true", help="print the list as JSON")
    listing.set_defaults(run=_list)


def _list(options: argparse.Namespace) -> tuple[int, str]:
    from keras_rk.tableaux import described

    used = {
        name: wanted
        for name in _FILTERS
        if (wanted := getattr(options, name.replace("-", "_"))) not in (None, False)
    }
    columns = _columns(options, used)
    methods = [Listed(claims) for claims in described()]
    with Progress("computing") as progress:
        for name, wanted in used.items():
            option, column = _FILTERS[name], COLUMNS[_FILTERS[name].column]
            chosen = []
            for method in methods:
                progress.text = f"{column.heading} of {method.claims['name']}"
                if option.passes(column.value(method), wanted):
                    chosen.append(method)
            methods = chosen
        if options.sort:
            methods = _sorted(methods, options.sort)
        if options.reverse:
            methods.reverse()
        if options.json:
            return HOLDS, json.dumps([_data(method, columns) for method in methods], indent=2)
        rows = [tuple(COLUMNS[name].heading for name in columns)]
        progress.total = len(methods)
        for method in methods:
            progress.text = f"computing {method.claims['name']}"
            progress.step()
            rows.append(tuple(COLUMNS[name].shown(method) for name in columns))
    right = [place for place, name in enumerate(columns) if COLUMNS[name].on_right]
    return HOLDS, table(rows, right, terminal_width())


def _columns(options: argparse.Namespace, used: dict[str, Any]) -> list[str]:
    """Those that are asked for; otherwise the usual ones, and those that filters and order use."""
    if options.columns is not None:
        wanted = [name.strip() for name in options.columns.split(",")]
        for name in wanted:
            if name not in COLUMNS:
                raise TableauError(
                    f"`--columns` takes names of columns: {', '.join(COLUMNS)}. Received: {name!r}."
                )
        return wanted
    needed = [*(_FILTERS[name].column for name in used), *([options.sort] if options.sort else [])]
    extra = [name for name in COLUMNS if name in needed and name not in (*_ALWAYS, *_LAST)]
    extra = [name for name in extra if name != "embedded"]  # `order` shows it
    return [*_ALWAYS, *extra, *_LAST]


def _sorted(methods: list[Listed], name: str) -> list[Listed]:
    """By a column; those without a value last."""

    def key(method: Listed) -> Any:
        value = COLUMNS[name].value(method)
        return value is None, math.inf if value is None else value

    return sorted(methods, key=key)


def _data(method: Listed, columns: list[str]) -> dict[str, Any]:
    from keras_rk.analysis.entry import plain

    data = dict(method.claims)
    for name in columns:
        key = _KEYS.get(name, name.replace("-", "_"))
        data.setdefault(key, plain(COLUMNS[name].value(method)))
    return data
