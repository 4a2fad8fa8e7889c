"""The folder of a run: a record and the weights of each cell and seed, written atomically."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from cells import Cell
from shared import Folder, Record


class Store(Folder):
    """The results of a run.

    settings.json     what all cells in the folder have in common, and where they were trained
    records/          CELL/seedN.json
    weights/          CELL/seedN.npz, the trained weights
    ode/              CELL/seedN.json, what `ode_consistency` says, for some of them
    """

    def _read(self, kind: str) -> Iterator[tuple[Any, int, Record]]:
        for file in sorted((self.path / kind).glob("*/seed*.json")):
            try:
                found = json.loads(file.read_text())
            except ValueError as error:
                raise SystemExit(
                    f"{file} is not what a run writes: {error}. Delete it, and run.py makes it "
                    "again."
                ) from error
            yield Cell(**found["cell"]), found["seed"], found
