"""keras-rk analyse: what a method is good for."""

from __future__ import annotations

import argparse
import json
from typing import Any

from keras_rk.cli.output import HOLDS, is_colourful, painted
from keras_rk.cli.reading import add_method, read
from keras_rk.progress import Progress

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add the command to the parser's commands."""
    analyse = commands.add_parser(
        "analyse",
        help="what a method is good for: orders, errors, stability, stages",
        description="What a method is good for: its orders, error coefficients, stability, what "
        "its stages satisfy, what its coefficients do to rounding errors.",
    )
    add_method(analyse)
    analyse.add_argument("--json", action="store_true", help="print the analysis as JSON")
    analyse.set_defaults(run=_analyse)


def _analyse(options: argparse.Namespace) -> tuple[int, str]:
    from keras_rk.analysis.analyse import analyse

    found = analyse(read(options.method))
    with Progress(f"analysing {options.method}"):
        if options.json:
            return HOLDS, json.dumps(found.to_dict(), indent=2)
        lines = str(found).splitlines()
    return HOLDS, "\n".join(map(painted, lines) if is_colourful() else lines)
