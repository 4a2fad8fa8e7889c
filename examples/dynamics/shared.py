"""What examples/paper has, and the programs here need, too."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "paper"))
from records import Folder, unpacked, write_json
from significance import LEVEL, Comparison, Interval, compare, holm, interval
from spirals_example import Record, replacing
from words import Lines, table
from work import prepare

__all__ = [
    "LEVEL",
    "Comparison",
    "Folder",
    "Interval",
    "Lines",
    "Record",
    "compare",
    "holm",
    "interval",
    "prepare",
    "replacing",
    "table",
    "unpacked",
    "write_json",
]
