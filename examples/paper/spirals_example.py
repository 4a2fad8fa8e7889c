"""What examples/spirals.py has, and the networks here need, too."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))
from spirals import BATCH, paper_data, two_spirals
from spirals_results import CURVES, Record, replacing

__all__ = ["BATCH", "CURVES", "Record", "paper_data", "replacing", "two_spirals"]
