"""keras-rk show: print a tableau."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from keras_rk.butcher.tableau import Tableau
from keras_rk.cli.output import HOLDS
from keras_rk.cli.reading import add_method, read

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add the command to the parser's commands."""
    show = commands.add_parser("show", help="print a tableau")
    add_method(show)
    form = show.add_mutually_exclusive_group()
    form.add_argument(
        "--format",
        choices=_WRITERS,
        help="text (default), or a format for papers, pages, programs and spreadsheets; `check` "
        "reads text, latex, json and csv",
    )
    form.add_argument(
        "--latex", action="store_const", const="latex", dest="format", help="like --format latex"
    )
    form.add_argument("--json", action="store_true", help="like --format json")
    show.set_defaults(run=_show)


def _show(options: argparse.Namespace) -> tuple[int, str]:
    write = _WRITERS["json" if options.json else options.format or "text"]
    return HOLDS, write(read(options.method)).rstrip("\n")


def _as_text(tableau: Tableau) -> str:
    source = f"\n\nSource: {tableau.source}" if tableau.source else ""
    return f"{tableau}{source}"


_WRITERS: dict[str, Callable[[Tableau], str]] = {
    "text": _as_text,
    "latex": Tableau.to_latex,
    "html": Tableau.to_html,
    "json": Tableau.to_json,
    "csv": Tableau.to_csv,
    "python": Tableau.to_python,
    "julia": Tableau.to_julia,
    "c": Tableau.to_c,
}
