"""The folder of a run: a record and the weights of each finished network, written atomically."""

from __future__ import annotations

import contextlib
import json
import math
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from grid import Network

Record = dict[str, Any]


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path that becomes `path` when all is written, so that no file is ever half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}-{os.getpid()}{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def plain(value: Any) -> Any:
    """A value as JSON has it: four significant digits, None for what is not finite."""
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(one) for one in value]
    if isinstance(value, (float, np.floating)):
        return float(f"{float(value):.4g}") if math.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value


class Folder:
    """The results of a run.

    settings.json     what all networks in the folder have in common, and where they were trained
    records/          NETWORK/seedN.json, one for each finished network
    weights/          NETWORK/seedN.npz, its trained weights
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def open(self, settings: dict[str, Any], machine: dict[str, Any]) -> None:
        """Makes the folder; refuses one whose networks were trained otherwise."""
        file = self.path / "settings.json"
        try:
            stored = json.loads(file.read_text()) if file.exists() else {**settings, "machines": []}
        except ValueError as error:
            raise SystemExit(f"{file} cannot be read: {error}") from error
        for name, value in settings.items():
            if stored.get(name) != value:
                raise SystemExit(
                    f"{self.path} holds networks trained with {name} {stored.get(name)}. "
                    f"Choose another --output. Received: {name} {value}."
                )
        if machine not in stored["machines"]:
            stored["machines"].append(machine)
        try:
            with replacing(file) as temporary:
                temporary.write_text(json.dumps(stored, indent=1) + "\n")
        except OSError as error:
            raise SystemExit(f"{self.path} cannot be used as output folder: {error}") from error

    def settings(self) -> dict[str, Any]:
        """What `open` wrote."""
        return json.loads((self.path / "settings.json").read_text())

    def file(self, network: Network, seed: int) -> Path:
        return self.path / "records" / network.name / f"seed{seed}.json"

    def has(self, network: Network, seed: int) -> bool:
        return self.file(network, seed).exists()

    def keep(self, network: Network, seed: int, record: Record, weights: list[np.ndarray]) -> None:
        """Writes the weights, then the record: whoever sees the record finds the weights."""
        with replacing(self.weights_file(network, seed)) as temporary:
            np.savez(temporary, *weights)
        with replacing(self.file(network, seed)) as temporary:
            temporary.write_text(json.dumps(plain(record), allow_nan=False) + "\n")

    def weights_file(self, network: Network, seed: int) -> Path:
        return self.path / "weights" / network.name / f"seed{seed}.npz"

    def weights(self, network: Network, seed: int) -> list[np.ndarray]:
        with np.load(self.weights_file(network, seed)) as arrays:
            return [arrays[name] for name in arrays.files]

    def records(self) -> Iterator[tuple[Network, int, Record]]:
        """All finished networks."""
        for file in sorted((self.path / "records").glob("*/seed*.json")):
            record = json.loads(file.read_text())
            yield Network(**record["network"]), record["seed"], record

    def pack(self, file: Path) -> None:
        """Writes all but the weights to an archive, the same bytes for the same records."""

        def anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
            member.mtime = member.uid = member.gid = 0
            member.uname = member.gname = ""
            return member

        with replacing(file) as temporary, tarfile.open(temporary, "w:xz") as archive:
            for path in sorted(self.path.rglob("*.json")):
                archive.add(path, path.relative_to(self.path), filter=anonymous)


def unpacked(file: Path, path: Path) -> Folder:
    """A folder at `path` with what `Folder.pack` wrote."""
    with tarfile.open(file) as archive:
        archive.extractall(path, filter="data")
    return Folder(path)
