"""keras-rk list: the named methods."""

from __future__ import annotations

import argparse
import json
from typing import Any

from keras_rk.cli.output import HOLDS, heading

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add the command to the parser's commands."""
    listing = commands.add_parser("list", help="list the named methods")
    listing.add_argument("--json", action="store_true", help="print the list as JSON")
    listing.set_defaults(run=_list)


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
    return HOLDS, "\n".join([heading(lines[0]), *lines[1:]])


def _pair(method: dict[str, Any]) -> str:
    embedded = method["embedded_order"]
    return f"{method['order']}" + (f"({embedded})" if embedded is not None else "")
