"""keras-rk check: prove a tableau."""

from __future__ import annotations

import argparse
import json
from typing import Any

from keras_rk.cli.output import DOES_NOT_HOLD, HOLDS, is_colourful, painted
from keras_rk.cli.reading import add_method, read

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add the command to the parser's commands."""
    check = commands.add_parser(
        "check",
        help="prove a tableau: explicit, consistent, order",
        description="Prove what a tableau is. Exit status: 0 what was asked and claimed holds, "
        "1 it does not, 2 the input is unusable.",
    )
    add_method(check)
    check.add_argument("--order", type=int, metavar="P", help="an order the method must have")
    check.add_argument(
        "--max-order", type=int, metavar="P", help="where to end if no order fails (default 14)"
    )
    check.add_argument(
        "--tolerance", type=float, metavar="T", help="absolute tolerance on every residual"
    )
    check.add_argument(
        "--no-row-sums", action="store_true", help="accept nodes c that are not the row sums of A"
    )
    check.add_argument("--json", action="store_true", help="print the report as JSON")
    check.set_defaults(run=_check)


def _check(options: argparse.Namespace) -> tuple[int, str]:
    from keras_rk.analysis.checking import check

    given = {"max_order": options.max_order} if options.max_order is not None else {}
    report = check(
        read(options.method),
        options.order,
        tolerance=options.tolerance,
        require_row_sums=not options.no_row_sums,
        **given,
    )
    status = HOLDS if report else DOES_NOT_HOLD
    if options.json:
        return status, json.dumps(report.to_dict(suggestions=True), indent=2)
    lines = str(report).splitlines()
    return status, "\n".join(map(painted, lines) if is_colourful() else lines)
