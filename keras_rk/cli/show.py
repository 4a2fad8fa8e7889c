"""keras-rk show: print a tableau."""

from __future__ import annotations

import argparse
from typing import Any

from keras_rk.cli.output import HOLDS
from keras_rk.cli.reading import add_method, read

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add the command to the parser's commands."""
    show = commands.add_parser("show", help="print a tableau")
    add_method(show)
    form = show.add_mutually_exclusive_group()
    form.add_argument("--latex", action="store_true", help="as a LaTeX array")
    form.add_argument("--json", action="store_true", help="as JSON, which `check` reads")
    show.set_defaults(run=_show)


def _show(options: argparse.Namespace) -> tuple[int, str]:
    tableau = read(options.method)
    if options.json:
        return HOLDS, tableau.to_json()
    if options.latex:
        return HOLDS, tableau.to_latex()
    source = f"\n\nSource: {tableau.source}" if tableau.source else ""
    return HOLDS, f"{tableau}{source}"
