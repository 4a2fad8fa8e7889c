"""keras-rk check: prove a tableau, or many of them."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from keras_rk.cli.output import DOES_NOT_HOLD, HOLDS, is_colourful, painted
from keras_rk.cli.reading import FORMATS, is_folder, read

if TYPE_CHECKING:
    from keras_rk.proof.report import CheckReport

__all__ = ["add"]

_DESCRIPTION = """\
Prove what a tableau is, or many of them. Exit status: 0 what was asked and claimed holds, of all of
them; 1 of some it does not; 2 some input is unusable, and all the rest was checked nevertheless."""

_EPILOG = """\
A folder stands for the tableau files in it and in all folders below, but for hidden ones: those
whose names end in {endings}, or match --glob. Several methods, or a folder, get one line each, a
report where something does not hold, and a summary; so does a single one with -q, --github or
--junit. Without those it gets its report. As JSON, several are an object with "holds", "counts" and
"results", each of which has its "method", "status" and "report", or "error"."""


def add(commands: Any) -> None:
    """Add the command to the parser's commands."""
    from keras_rk.butcher.files import FILE_ENDINGS

    check = commands.add_parser(
        "check",
        help="prove a tableau, or many: explicit, consistent, order",
        description=_DESCRIPTION,
        epilog=_EPILOG.format(endings=", ".join(FILE_ENDINGS)),
    )
    check.add_argument(
        "methods",
        nargs="+",
        metavar="NAME|FILE|FOLDER",
        help=f"named methods, files with a tableau each ({FORMATS}), or folders of such files",
    )
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
    check.add_argument(
        "--implicit", action="store_true", help="accept methods that are not explicit"
    )
    check.add_argument(
        "--glob", metavar="PATTERN", help="which files of a folder, such as '*.tableau.json'"
    )
    check.add_argument(
        "-q", "--quiet", action="store_true", help="print only what does not hold, and the summary"
    )
    form = check.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print the report or reports as JSON")
    form.add_argument(
        "--github",
        action="store_true",
        help="print annotations for GitHub Actions where something does not hold",
    )
    check.add_argument("--junit", metavar="FILE", help="write a JUnit report (XML) as well")
    check.set_defaults(run=_check)


def _check(options: argparse.Namespace) -> tuple[int, str]:
    (first, *others) = options.methods
    if others or options.junit or options.github or options.quiet or is_folder(first):
        from keras_rk.cli.many import check_many

        return check_many(options, lambda method: _proved(method, options))
    report = _proved(first, options, verbose="auto")
    status = HOLDS if report else DOES_NOT_HOLD
    if options.json:
        return status, json.dumps(report.to_dict(suggestions=True), indent=2)
    lines = str(report).splitlines()
    return status, "\n".join(map(painted, lines) if is_colourful() else lines)


def _proved(method: str, options: argparse.Namespace, verbose: Any = 0) -> CheckReport:
    from keras_rk.analysis.checking import check

    given = {"max_order": options.max_order} if options.max_order is not None else {}
    return check(
        read(method),
        options.order,
        tolerance=options.tolerance,
        require_row_sums=not options.no_row_sums,
        require_explicit=not options.implicit,
        verbose=verbose,
        **given,
    )
