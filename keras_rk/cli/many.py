"""Many tableaux, checked one after another: what each of them is, in lines or as JSON.

One that is broken, whatever it breaks, never stops the others.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from keras_rk.butcher.files import called
from keras_rk.cli.folders import Unreadable, files_of
from keras_rk.cli.output import (
    DOES_NOT_HOLD,
    HOLDS,
    UNUSABLE,
    coloured,
    is_colourful,
    painted,
    printable,
    unexpected,
)
from keras_rk.cli.reading import is_folder
from keras_rk.errors import TableauError
from keras_rk.progress import Progress

if TYPE_CHECKING:
    from keras_rk.proof.report import CheckReport

__all__ = ["Result", "check_many", "counted"]

_STATUS = {"ok": HOLDS, "FAILED": DOES_NOT_HOLD, "UNUSABLE": UNUSABLE}
_IN_WORDS = {"ok": "holds", "FAILED": "does not hold", "UNUSABLE": "unusable"}


@dataclass(frozen=True)
class Result:
    """What was found of one tableau: a report, or the error that it cannot be used for.

    Attributes:
        method: its file or name, as it was given or found in a folder.
        is_file: whether it is a file.
        seconds: how long that took.
    """

    method: str
    is_file: bool
    report: CheckReport | None
    error: str
    seconds: float

    @property
    def state(self) -> str:
        if self.report is None:
            return "UNUSABLE"
        return "ok" if self.report else "FAILED"

    @property
    def headline(self) -> str:
        """What it is, or the first thing that does not hold, in one line."""
        if self.report is None:
            return self.error
        if self.report.failures:
            return self.report.failures[0].message
        return _described(self.report)

    @property
    def details(self) -> str:
        """The whole report, or the error."""
        return self.error if self.report is None else str(self.report)

    def to_dict(self) -> dict[str, Any]:
        found = {"method": self.method, "status": _IN_WORDS[self.state]}
        if self.report is None:
            return {**found, "error": self.error}
        return {**found, "report": self.report.to_dict()}


def check_many(options: argparse.Namespace, prove: Callable[[str], CheckReport]) -> tuple[int, str]:
    """Check all that was given; returns the exit status and the text to print."""
    begun = time.monotonic()
    with Progress("looking for tableau files") as progress:
        methods = _expanded(options.methods, options.glob)
        results = []
        progress.total = len(methods)
        for i, method in enumerate(methods):
            progress.text = f"checking {i + 1} of {len(methods)}: {method}"
            results.append(_result(method, prove))
            progress.step()
    seconds = time.monotonic() - begun
    status = max(_STATUS[result.state] for result in results)
    if options.junit:
        status = max(status, _write_junit(options.junit, results))
    if options.json:
        return status, _as_json(results)
    shown = [result for result in results if result.state != "ok" or not options.quiet]
    if options.github:
        from keras_rk.cli.github import annotated

        lines = [annotated(result) for result in shown]
    else:
        lines = _lines(shown)
    return status, "\n".join([*lines, _summary(results, seconds)])


def counted(results: Sequence[Result]) -> dict[str, int]:
    """How many there are of each state."""
    return {state: sum(1 for x in results if x.state == state) for state in _STATUS}


def _expanded(given: Sequence[str], pattern: str | None) -> list[str | Unreadable]:
    """Files in place of folders; each once, where it came first."""
    methods: dict[str | Unreadable, None] = {}
    for method in given:
        if not is_folder(method):
            methods[method] = None
            continue
        try:
            methods.update(dict.fromkeys(files_of(method, pattern)))
        except TableauError as error:
            if len(given) == 1:
                raise
            methods[Unreadable(method, str(error))] = None
    return list(methods)


def _result(method: str | Unreadable, prove: Callable[[str], CheckReport]) -> Result:
    begun = time.monotonic()
    report, error = None, ""
    if isinstance(method, Unreadable):
        return Result(method.folder, True, None, method.reason, 0.0)
    try:
        report = prove(method)
        str(report)  # to write it may fail as well as to find it
    except TableauError as caught:
        error = str(caught).removeprefix(f"{called(method)}: ")
    except Exception as caught:
        error = unexpected(caught)
    is_file = os.path.exists(method) or any(x in method for x in "/\\.")
    return Result(method, is_file, report if not error else None, error, time.monotonic() - begun)


def _described(report: CheckReport) -> str:
    main, *embedded = report.evidence
    order = f"{main}({embedded[0]})" if embedded else f"{main}"
    named = f"{printable(report.tableau.name)}, " if report.tableau.name else ""
    stages = report.tableau.stages
    count = f"{stages} stage{'s' * (stages > 1)}"
    return f"{named}order {order}, {count}, {report.verdict}"


def _lines(results: Sequence[Result]) -> list[str]:
    """A line each; below it the report of what does not hold."""
    colourful = is_colourful()
    width = max((len(printable(x.method)) for x in results if x.state == "ok"), default=0)
    lines = []
    for result in results:
        name = printable(result.method)
        state = coloured(f"{result.state:<9}", result.state) if colourful else f"{result.state:<9}"
        if result.state == "ok":
            lines.append(f"{state} {name:<{width}}  {result.headline}")
            continue
        lines.append(f"{state} {name}")
        below = [f"  {line}" for line in result.details.splitlines()]
        lines.extend(map(painted, below) if colourful else below)
    return lines


def _summary(results: Sequence[Result], seconds: float) -> str:
    found = counted(results)
    count = len(results)
    parts = [
        (found["ok"], "holds" if found["ok"] == 1 else "hold"),
        (found["FAILED"], "does not hold" if found["FAILED"] == 1 else "do not hold"),
        (found["UNUSABLE"], "unusable"),
    ]
    said = ", ".join(f"{number} {words}" for number, words in parts if number)
    text = f"{count} method{'s' * (count != 1)} in {seconds:.1f} s: {said}"
    worst = next((state for state in ("UNUSABLE", "FAILED") if found[state]), "ok")
    return coloured(text, worst) if is_colourful() else text


def _as_json(results: Sequence[Result]) -> str:
    found = counted(results)
    data = {
        "holds": found["ok"] == len(results),
        "counts": {_IN_WORDS[state]: count for state, count in found.items()},
        "results": [result.to_dict() for result in results],
    }
    return json.dumps(data, indent=2)


def _write_junit(path: str, results: Sequence[Result]) -> int:
    from keras_rk.cli.junit import document

    try:
        with open(path, "wb") as file:
            file.write(document(results))
    except OSError as error:
        message = f"the JUnit report cannot be written: {printable(path)}, {error.strerror}"
        print(f"keras-rk: {message}", file=sys.stderr)
        return UNUSABLE
    return HOLDS
