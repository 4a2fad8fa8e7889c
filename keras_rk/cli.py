"""The command keras-rk: check, list and show tableaux. It needs neither Keras nor a backend."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from keras_rk.as_tableau import as_tableau
from keras_rk.errors import TableauError, shown
from keras_rk.tableau import Tableau

__all__ = ["main"]

HOLDS, DOES_NOT_HOLD, UNUSABLE = 0, 1, 2
LARGEST_FILE = 1_000_000
_BOLD, _RED, _GREEN, _YELLOW = "1", "31", "32", "33"
_ENDINGS = (
    ((" yes", ": holds", " exact"), _GREEN),
    ((" no", ": does not hold", " failed"), _RED),
    ((" numeric",), _YELLOW),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status.

    0: what was asked holds; 1: it does not; 2: the input is unusable.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without Greek letters
    options = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        status = run(options)
        sys.stdout.flush()
    except TableauError as error:
        if options.json:
            print(json.dumps({"error": str(error)}, ensure_ascii=False))
        else:
            print(f"keras-rk: {error}", file=sys.stderr)
        return UNUSABLE
    except BrokenPipeError:  # the reader, such as head, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return HOLDS
    return status


def _parser() -> argparse.ArgumentParser:
    from keras_rk import __version__

    parser = argparse.ArgumentParser(
        prog="keras-rk", description="Prove, list and show Runge-Kutta methods."
    )
    parser.add_argument("--version", action="version", version=f"keras-rk {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    check = commands.add_parser(
        "check",
        help="prove a tableau: explicit, consistent, order",
        description="Prove what a tableau is. Exit status: 0 what was asked and claimed holds, "
        "1 it does not, 2 the input is unusable.",
    )
    _add_method(check)
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

    listing = commands.add_parser("list", help="list the named methods")
    listing.add_argument("--json", action="store_true", help="print the list as JSON")
    listing.set_defaults(run=_list)

    show = commands.add_parser("show", help="print a tableau")
    _add_method(show)
    form = show.add_mutually_exclusive_group()
    form.add_argument("--latex", action="store_true", help="as a LaTeX array")
    form.add_argument("--json", action="store_true", help="as JSON, which `check` reads")
    show.set_defaults(run=_show)
    return parser


def _add_method(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "method",
        metavar="NAME|FILE.json",
        help="a named method, or a file with a tableau (- reads it from standard input)",
    )


def _check(options: argparse.Namespace) -> int:
    from keras_rk.checker import check

    given = {"max_order": options.max_order} if options.max_order is not None else {}
    report = check(
        _read(options.method),
        options.order,
        tolerance=options.tolerance,
        require_row_sums=not options.no_row_sums,
        **given,
    )
    if options.json:
        print(json.dumps(report.to_dict(), indent=2, ensure_ascii=False))
    else:
        lines = str(report).splitlines()
        print("\n".join(map(_painted, lines) if _is_colourful() else lines))
    return HOLDS if report else DOES_NOT_HOLD


def _list(options: argparse.Namespace) -> int:
    from keras_rk.tableaux import described

    methods = described()
    if options.json:
        print(json.dumps(methods, indent=2, ensure_ascii=False))
        return HOLDS
    rows = [("name", "order", "stages", "source")] + [
        (m["name"], _pair(m), str(m["stages"]), m["source"]) for m in methods
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [
        f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]}"
        for row in rows
    ]
    if _is_colourful():
        lines[0] = _paint(lines[0], _BOLD)
    print("\n".join(lines))
    return HOLDS


def _pair(method: dict[str, Any]) -> str:
    embedded = method["embedded_order"]
    return f"{method['order']}" + (f"({embedded})" if embedded is not None else "")


def _show(options: argparse.Namespace) -> int:
    tableau = _read(options.method)
    if options.json:
        print(tableau.to_json())
    elif options.latex:
        print(tableau.to_latex())
    else:
        print(tableau)
        if tableau.source:
            print(f"\nSource: {tableau.source}")
    return HOLDS


def _read(method: str) -> Tableau:
    """The tableau in a file where the argument looks like one, otherwise the named one."""
    if method == "-":
        return Tableau.from_json(sys.stdin.read(LARGEST_FILE))
    path = Path(method)
    try:
        is_file = path.is_file()
        if path.suffix != ".json" and os.sep not in method and not is_file:
            return as_tableau(method)
        if not is_file:
            raise TableauError(f"A tableau file must exist. Received: {shown(method)}.")
        if path.stat().st_size > LARGEST_FILE:
            raise TableauError(
                f"A tableau file has at most {LARGEST_FILE} bytes. "
                f"Received: {path.stat().st_size} bytes in {method!r}."
            )
        return Tableau.from_json(path.read_bytes())
    except OSError as error:
        reason = error.strerror or str(error)
        raise TableauError(
            f"A tableau file must be readable. Received: {shown(method)}, {reason}."
        ) from None


def _is_colourful() -> bool:
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return bool(os.environ.get("FORCE_COLOR")) or sys.stdout.isatty()


def _painted(line: str) -> str:
    if not line.startswith(" "):
        return _paint(line, _BOLD)
    if line.lstrip().startswith("FAILED"):
        return _paint(line, _RED)
    for endings, colour in _ENDINGS:
        if line.endswith(endings):
            return _paint(line, colour)
    return line


def _paint(text: str, colour: str) -> str:
    return f"\033[{colour}m{text}\033[0m"


if __name__ == "__main__":
    sys.exit(main())
