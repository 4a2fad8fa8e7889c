"""The command keras-rk: check, list and show tableaux. It needs neither Keras nor a backend."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from keras_rk.butcher.files import LARGEST_FILE, errors_name, parse
from keras_rk.butcher.tableau import Tableau
from keras_rk.errors import TableauError, shown
from keras_rk.tableaux.as_tableau import as_tableau

__all__ = ["main"]

HOLDS, DOES_NOT_HOLD, UNUSABLE = 0, 1, 2
_BOLD, _RED, _GREEN, _YELLOW = "1", "31", "32", "33"
_ENDINGS = (
    ((" yes", ": holds", " exact"), _GREEN),
    ((" no", ": does not hold", " failed"), _RED),
    ((" numeric",), _YELLOW),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status.

    0: what was asked holds; 1: it does not; 2: the input is unusable, the output unwritable, or
    something went wrong that should not.
    """
    _prepare_streams()
    options = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], tuple[int, str]] = options.run
    try:
        status, text = run(options)
    except TableauError as error:
        message = str(error)
    except Exception as error:  # 1 would say that something does not hold
        said = shown(" ".join(str(error).split()))
        message = f"unexpected error, please report it: {type(error).__name__}, {said}"
    else:
        return _print(text, status)
    if options.json:
        return _print(json.dumps({"error": message}), UNUSABLE)
    print(f"keras-rk: {message}", file=sys.stderr)
    return UNUSABLE


def _prepare_streams() -> None:
    """Streams may be closed, and a terminal may lack Greek letters."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, io.StringIO())
        if hasattr(getattr(sys, name), "reconfigure"):
            getattr(sys, name).reconfigure(errors="replace")


def _print(text: str, status: int) -> int:
    try:
        print(text, flush=True)
    except OSError as error:
        # what could not be written must not be tried again when Python ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):  # the reader, such as head, has seen enough
            return status
        print(f"keras-rk: the output cannot be written: {error.strerror}", file=sys.stderr)
        return UNUSABLE
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
        metavar="NAME|FILE",
        help="a named method, or a file with a tableau: JSON, TOML or a drawing (- reads it from "
        "standard input)",
    )


def _check(options: argparse.Namespace) -> tuple[int, str]:
    from keras_rk.proof.checker import check

    given = {"max_order": options.max_order} if options.max_order is not None else {}
    report = check(
        _read(options.method),
        options.order,
        tolerance=options.tolerance,
        require_row_sums=not options.no_row_sums,
        **given,
    )
    status = HOLDS if report else DOES_NOT_HOLD
    if options.json:
        return status, json.dumps(report.to_dict(), indent=2)
    lines = str(report).splitlines()
    return status, "\n".join(map(_painted, lines) if _is_colourful() else lines)


def _list(options: argparse.Namespace) -> tuple[int, str]:
    from keras_rk.tableaux import described

    methods = described()
    if options.json:
        return HOLDS, json.dumps(methods, indent=2)
    rows = [("name", "order", "stages", "other names", "source")] + [
        (m["name"], _pair(m), str(m["stages"]), ", ".join(m["aliases"]), m["source"])
        for m in methods
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        f"{name:<{widths[0]}}  {order:<{widths[1]}}  {stages:>{widths[2]}}  {others:<{widths[3]}}  "
        f"{source}"
        for name, order, stages, others, source in rows
    ]
    if _is_colourful():
        lines[0] = _paint(lines[0], _BOLD)
    return HOLDS, "\n".join(lines)


def _pair(method: dict[str, Any]) -> str:
    embedded = method["embedded_order"]
    return f"{method['order']}" + (f"({embedded})" if embedded is not None else "")


def _show(options: argparse.Namespace) -> tuple[int, str]:
    tableau = _read(options.method)
    if options.json:
        return HOLDS, tableau.to_json()
    if options.latex:
        return HOLDS, tableau.to_latex()
    source = f"\n\nSource: {tableau.source}" if tableau.source else ""
    return HOLDS, f"{tableau}{source}"


def _read(method: str) -> Tableau:
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
        return Tableau.from_dict(parse(data))


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
