"""The tableau files in a folder."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from keras_rk.butcher.files import FILE_ENDINGS, called
from keras_rk.errors import TableauError

__all__ = ["Unreadable", "files_of"]


@dataclass(frozen=True)
class Unreadable:
    """A folder that cannot be looked into, and why."""

    folder: str
    reason: str


def files_of(folder: str, pattern: str | None) -> list[str | Unreadable]:
    """The tableau files in a folder and below, in the order of their names.

    Files and folders whose names begin with a dot are left out, and links to folders.

    Args:
        pattern: which names; None for all endings that tableau files have.

    Raises:
        TableauError: where there are none.
    """
    found = list(_walk(folder, pattern))
    if not found:
        wanted = pattern or ", ".join(f"*{ending}" for ending in FILE_ENDINGS)
        raise TableauError(
            "A tableau is in a file that can be read, and a folder holds such files. Received: "
            f"{called(folder)}, the folder of that name, without files {wanted}."
        )
    return found


def _walk(folder: str, pattern: str | None) -> Iterator[str | Unreadable]:
    failed: list[OSError] = []
    for here, folders, names in os.walk(folder, onerror=failed.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(here, name)
            if not name.startswith(".") and _matches(name, pattern) and _is_regular(path):
                yield str(path)
    for error in failed:
        reason = f"The folder cannot be looked into. Received: {error.strerror}."
        yield Unreadable(str(error.filename), reason)


def _matches(name: str, pattern: str | None) -> bool:
    if pattern is not None:
        return fnmatch.fnmatchcase(name, pattern)
    return name.lower().endswith(FILE_ENDINGS)


def _is_regular(path: Path) -> bool:
    """No pipe, which would be waited for; a link that leads nowhere counts, to be reported."""
    return path.is_file() or not path.exists()
