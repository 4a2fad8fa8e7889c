"""The command keras-rk, one file a command. Imports the exact side, neither Keras nor a backend.

A command is a module here: its `add` adds it to the parser, with `run`, which takes the options
and returns the exit status and the text to print.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence

from keras_rk.cli import analyse, check, compare, listing, plot, show
from keras_rk.cli.output import UNUSABLE, prepare_streams, unexpected, written
from keras_rk.errors import TableauError

__all__ = ["main"]

_COMMANDS = (check, analyse, compare, listing, show, plot)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status.

    0: what was asked holds; 1: it does not; 2: the input is unusable, the output unwritable, or
    something went wrong that should not.
    """
    prepare_streams()
    options = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], tuple[int, str]] = options.run
    try:
        status, text = run(options)
    except TableauError as error:
        message = str(error)
    except Exception as error:  # 1 would say that something does not hold
        message = unexpected(error)
    else:
        return written(text, status)
    if options.json:
        return written(json.dumps({"error": message}), UNUSABLE)
    print(f"keras-rk: {message}", file=sys.stderr)
    return UNUSABLE


def _parser() -> argparse.ArgumentParser:
    from keras_rk import __version__

    parser = argparse.ArgumentParser(
        prog="keras-rk", description="Prove, list, show and draw Runge-Kutta methods."
    )
    parser.add_argument("--version", action="version", version=f"keras-rk {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add(commands)
    return parser
