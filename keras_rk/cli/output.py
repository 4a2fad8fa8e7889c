"""What the commands write: exit statuses, streams and colours."""

from __future__ import annotations

import io
import os
import shutil
import sys

from keras_rk.errors import shown

__all__ = [
    "DOES_NOT_HOLD",
    "HOLDS",
    "UNUSABLE",
    "coloured",
    "heading",
    "is_colourful",
    "painted",
    "prepare_streams",
    "printable",
    "terminal_width",
    "unexpected",
    "written",
]

HOLDS, DOES_NOT_HOLD, UNUSABLE = 0, 1, 2
_BOLD, _RED, _GREEN, _YELLOW = "1", "31", "32", "33"
_ENDINGS = (
    ((" yes", ": holds", " exact"), _GREEN),
    ((" no", ": does not hold", " failed"), _RED),
    ((" numeric",), _YELLOW),
)


def prepare_streams() -> None:
    """Streams may be closed, and a terminal may lack Greek letters."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, io.StringIO())
        if hasattr(getattr(sys, name), "reconfigure"):
            getattr(sys, name).reconfigure(errors="replace")


def written(text: str, status: int) -> int:
    """Print a command's text; returns the exit status, which says where that failed."""
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


def heading(line: str) -> str:
    """The first line of a table, bold on a terminal."""
    return _paint(line, _BOLD) if is_colourful() else line


def is_colourful() -> bool:
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return bool(os.environ.get("FORCE_COLOR")) or sys.stdout.isatty()


def terminal_width() -> int | None:
    """How wide the terminal is that is written to; None where it is none: lines stay whole."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def painted(line: str) -> str:
    if not line.startswith(" "):
        return _paint(line, _BOLD)
    if line.lstrip().startswith("FAILED"):
        return _paint(line, _RED)
    for endings, colour in _ENDINGS:
        if line.endswith(endings):
            return _paint(line, colour)
    return line


def coloured(text: str, state: str) -> str:
    """Text in the colour of what holds, does not, or is unusable."""
    return _paint(text, {"ok": _GREEN, "FAILED": _RED}.get(state, _YELLOW))


def printable(text: str) -> str:
    """A name on one line and without escape sequences, whoever chose it."""
    return text if text.isprintable() else repr(text)


def unexpected(error: Exception) -> str:
    """An error that should not have come, in one line."""
    said = shown(" ".join(str(error).split()))
    return f"unexpected error, please report it: {type(error).__name__}, {said}"


def _paint(text: str, colour: str) -> str:
    return f"\033[{colour}m{text}\033[0m"
