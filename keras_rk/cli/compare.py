"""keras-rk compare: several methods side by side."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from keras_rk.cli.output import HOLDS
from keras_rk.cli.reading import read
from keras_rk.cli.tables import table
from keras_rk.errors import TableauError
from keras_rk.progress import Progress

if TYPE_CHECKING:
    from keras_rk.analysis.analyse import Analysis

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add the command to the parser's commands."""
    compare = commands.add_parser(
        "compare",
        help="set methods side by side",
        description="Set the analyses of several methods side by side.",
    )
    compare.add_argument(
        "methods", nargs="+", metavar="NAME|FILE", help="named methods, or files with tableaux"
    )
    compare.add_argument(
        "--lines", metavar="A,B", help="these lines, separated by commas: order,error norm"
    )
    compare.add_argument("--json", action="store_true", help="print the analyses as JSON")
    compare.set_defaults(run=_compare)


def _compare(options: argparse.Namespace) -> tuple[int, str]:
    from keras_rk.analysis.analyse import analyse

    found = [analyse(read(method)) for method in options.methods]
    with Progress("analysing", len(found)) as progress:
        columns: list[Any] = []
        for analysis, name in zip(found, options.methods, strict=True):
            progress.text = f"analysing {name}"
            columns.append(analysis.to_dict() if options.json else _column(analysis, name))
            progress.step()
    if options.json:
        return HOLDS, json.dumps(columns, indent=2)
    labels = [("", ""), *_chosen(_labels(found), options.lines)]
    rows = [
        (label, *(column.get((heading, label), "-") for column in columns))
        for heading, label in labels
    ]
    return HOLDS, table(rows)


def _labels(found: list[Analysis]) -> list[tuple[str, str]]:
    """The lines that one of the analyses has, in their order."""
    from keras_rk.analysis.entries import ENTRIES

    return [
        ("", "stages"),
        *(
            (heading, entry.label)
            for heading, entries in ENTRIES.items()
            for entry in entries
            if entry.compared and any(map(entry.when, found))
        ),
    ]


def _chosen(labels: list[tuple[str, str]], lines: str | None) -> list[tuple[str, str]]:
    """The lines that are asked for, in that order."""
    if lines is None:
        return labels
    known = {label: (heading, label) for heading, label in labels}
    wanted = [label.strip() for label in lines.split(",")]
    for label in wanted:
        if label not in known:
            raise TableauError(f"`--lines` takes some of: {', '.join(known)}. Received: {label!r}.")
    return [known[label] for label in wanted]


def _column(analysis: Analysis, name: str) -> dict[tuple[str, str], str]:
    from keras_rk.analysis.entries import ENTRIES

    found = {("", ""): analysis.tableau.name or name, ("", "stages"): str(analysis.tableau.stages)}
    for heading, entries in ENTRIES.items():
        for entry in entries:
            if entry.compared and entry.when(analysis):
                found[heading, entry.label] = entry.short(analysis)
    return found
