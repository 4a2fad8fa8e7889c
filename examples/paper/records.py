"""The folder of a run: a record and the weights of each finished network, written atomically."""

from __future__ import annotations

import json
import math
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from grid import Network
from spirals_example import Record, replacing


def record(
    network: Network, seed: int, *, history: dict[str, list[float]], **others: Any
) -> Record:
    """The record of a trained network, with what follows from the network and its curves."""
    return {
        "network": network.to_dict(),
        "seed": seed,
        "evaluations": network.evaluations,
        "test_accuracy": history["val_accuracy"][-1],
        "history": history,
        **others,
    }


def plain(value: Any) -> Any:
    """A value as JSON has it: four significant digits, None for what is not finite."""
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(one) for one in value]
    if isinstance(value, (float, np.floating)):
        return float(f"{float(value):.4g}") if math.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value


def write_json(file: Path, value: Any) -> None:
    with replacing(file) as temporary:
        temporary.write_text(json.dumps(plain(value), allow_nan=False) + "\n")


class Folder:
    """The results of a run.

    settings.json     what all networks in the folder have in common, and where they were trained
    records/          NETWORK/seedN.json, one for each finished network
    weights/          NETWORK/seedN.npz, its trained weights
    ode/              NETWORK/seedN.json, whether it is an ODE, for some of them
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def open(self, settings: dict[str, Any], machine: dict[str, Any]) -> None:
        """Makes the folder; refuses one whose networks were trained otherwise.

        Args:
            settings: what must not change, such as {"iterations": 200}, or, by kind,
                {"epochs": {"spirals": 200}}; what a folder does not know yet is added to it.
        """
        file = self.path / "settings.json"
        try:
            stored = json.loads(file.read_text()) if file.exists() else {**settings, "machines": []}
        except ValueError as error:
            raise SystemExit(f"{file} cannot be read: {error}") from error
        for name, values in settings.items():
            several = isinstance(values, dict)
            known = stored.get(name, {} if several else values)
            pairs = values.items() if several else [(name, values)]
            before = known if several else {name: known}
            if any(before.get(key, value) != value for key, value in pairs):
                raise SystemExit(
                    f"{self.path} holds networks trained with {name} {known}. "
                    f"Choose another --output. Received: {name} {values}."
                )
            stored[name] = {**known, **values} if several else values
        if machine and machine not in stored["machines"]:
            stored["machines"].append(machine)
        try:
            with replacing(file) as temporary:
                temporary.write_text(json.dumps(stored, indent=1) + "\n")
        except OSError as error:
            raise SystemExit(f"{self.path} cannot be used as output folder: {error}") from error

    def settings(self) -> dict[str, Any]:
        """What `open` wrote."""
        return json.loads((self.path / "settings.json").read_text())

    def adopt(self, earlier: Folder, wanted: Iterable[tuple[Network, int]]) -> int:
        """Copies records, without weights, of an earlier run; returns how many.

        A network trains alike whichever seeds train beside it, so that it need not be trained again
        where nothing but its record is needed.
        """
        settings = earlier.settings()
        epochs = self.settings()["epochs"]
        self.open({"epochs": {k: v for k, v in settings["epochs"].items() if k in epochs}}, {})
        found = {(network, seed): record for network, seed, record in earlier.records()}
        missing = [one for one in wanted if one in found and not self.has(*one)]
        for network, seed in missing:
            record = {**found[network, seed], "network": network.to_dict()}
            write_json(self.file(network, seed), record)
        for machine in settings["machines"] if missing else ():
            self.open({}, machine)
        return len(missing)

    def file(self, network: Network, seed: int) -> Path:
        return self.path / "records" / network.name / f"seed{seed}.json"

    def has(self, network: Network, seed: int) -> bool:
        return self.file(network, seed).exists()

    def keep(self, network: Network, seed: int, record: Record, weights: list[np.ndarray]) -> None:
        """Writes the weights, then the record: whoever sees the record finds the weights."""
        with replacing(self.weights_file(network, seed)) as temporary:
            np.savez(temporary, *weights)
        write_json(self.file(network, seed), record)

    def weights_file(self, network: Network, seed: int) -> Path:
        return self.path / "weights" / network.name / f"seed{seed}.npz"

    def weights(self, network: Network, seed: int) -> list[np.ndarray]:
        with np.load(self.weights_file(network, seed)) as arrays:
            return [arrays[name] for name in arrays.files]

    def records(self) -> Iterator[tuple[Network, int, Record]]:
        """All finished networks."""
        yield from self._read("records")

    def diagnosis_file(self, network: Network, seed: int) -> Path:
        return self.path / "ode" / network.name / f"seed{seed}.json"

    def keep_diagnosis(self, network: Network, seed: int, found: Record) -> None:
        write_json(self.diagnosis_file(network, seed), found)

    def diagnoses(self) -> Iterator[tuple[Network, int, Record]]:
        """Everything that `keep_diagnosis` wrote."""
        yield from self._read("ode")

    def _read(self, kind: str) -> Iterator[tuple[Network, int, Record]]:
        for file in sorted((self.path / kind).glob("*/seed*.json")):
            try:
                found = json.loads(file.read_text())
            except ValueError as error:
                raise SystemExit(
                    f"{file} is not what a run writes: {error}. Delete it, and run.py trains that "
                    "network again."
                ) from error
            network = Network(**found["network"])
            if network.method == "residual":  # as earlier runs called it, where it is no second one
                network = replace(network, method="euler")
            yield network, found["seed"], found

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
    try:
        with tarfile.open(file) as archive:
            if hasattr(tarfile, "data_filter"):
                archive.extractall(path, filter="data")
            else:  # Python before 3.11.4
                archive.extractall(path, [one for one in archive if _stays_inside(one, path)])
    except tarfile.TarError as error:
        raise SystemExit(f"{file} is no archive of records: {error}.") from error
    return Folder(path)


def _stays_inside(member: tarfile.TarInfo, path: Path) -> bool:
    """Whether a member of an archive is a file that lands in a folder."""
    return member.isfile() and (path / member.name).resolve().is_relative_to(path.resolve())
