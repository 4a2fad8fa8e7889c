"""What spirals.py leaves behind: a folder with records of finished networks, and its pictures."""

from __future__ import annotations

import contextlib
import csv
import json
import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

CURVES = ("loss", "accuracy", "val_loss", "val_accuracy")
PANELS = (
    ("loss", "training loss"),
    ("accuracy", "accuracy on training points, during the epoch"),
)
LAST = 20  # epochs: test accuracy jumps from one to the next, so that one alone says little
Record = dict[str, Any]


def at_the_end(record: Record) -> tuple[float, float, float]:
    """The mean of the test accuracy over the last epochs, the lowest and the highest."""
    values = record["history"]["val_accuracy"][-LAST:]
    return float(np.mean(values)), min(values), max(values)


def running_mean(values: list[float]) -> np.ndarray:
    """For each epoch the mean over it and the ones before it, at most LAST together."""
    sums = np.cumsum([0.0, *values])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - LAST, 0)
    return (sums[ends] - sums[starts]) / (ends - starts)


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


class Folder:
    """The output folder: its settings, a record and a model per finished network, the results.

    All networks in one folder were trained with the same settings.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.settings = path / "spirals-settings.json"
        self.networks = path / "networks"

    def open(self, settings: dict[str, Any], restart: bool) -> None:
        """Prepares the folder; refuses one that holds networks of other settings."""
        try:
            self.networks.mkdir(parents=True, exist_ok=True)
            if restart:
                self._forget()
            if self.settings.exists():
                self._compare(json.loads(self.settings.read_text()), settings)
            with replacing(self.settings) as temporary:
                temporary.write_text(json.dumps(settings, indent=1) + "\n")
        except (OSError, ValueError) as error:
            raise SystemExit(f"{self.path} cannot be used as output folder: {error}") from error

    def _forget(self) -> None:
        for network in self.finished():
            (self.networks / f"{network}.json").unlink()
            (self.networks / f"{network}.keras").unlink(missing_ok=True)
        self.settings.unlink(missing_ok=True)

    def _compare(self, stored: dict[str, Any], settings: dict[str, Any]) -> None:
        differences = [
            f"{name} {stored.get(name)} there, {value} here"
            for name, value in settings.items()
            if stored.get(name) != value
        ]
        if differences:
            raise SystemExit(
                f"{self.path} holds networks trained with other settings: "
                f"{'; '.join(differences)}. Give the same settings again, choose another "
                "--output, or let --restart delete those networks."
            )

    def finished(self) -> dict[str, Record]:
        """The record of each finished network."""
        paths = sorted(self.networks.glob("[!.]*.json"))
        records = [json.loads(path.read_text()) for path in paths]
        return {record["network"]: record for record in records}

    def keep(self, model: Any, record: Record) -> None:
        """Writes a finished network down; its record last, since that is what counts."""
        with replacing(self.networks / f"{record['network']}.keras") as temporary:
            model.save(temporary)
        with replacing(self.networks / f"{record['network']}.json") as temporary:
            temporary.write_text(json.dumps(record))

    def write_history(self, records: Iterable[Record]) -> None:
        """history.csv: a line per network and epoch."""
        with replacing(self.path / "history.csv") as temporary, temporary.open("w") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["network", "epoch", *CURVES])
            for record in records:
                rows = zip(*(record["history"][curve] for curve in CURVES), strict=True)
                for epoch, values in enumerate(rows, start=1):
                    writer.writerow([record["network"], epoch, *(f"{v:.6g}" for v in values)])

    def write_pictures(self, records: list[Record], title: str, **points: Any) -> None:
        """curves.png and regions.png."""
        with replacing(self.path / "curves.png") as temporary:
            draw_curves(records, title).savefig(temporary, dpi=120)
        with replacing(self.path / "regions.png") as temporary:
            draw_regions(records, title, **points).savefig(temporary, dpi=120)


def draw_curves(records: list[Record], title: str) -> Any:
    """Loss and training accuracy over the epochs, and test accuracy in a panel for each network."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter

    columns = min(6, len(records))
    rows = math.ceil(len(records) / columns)
    figure = Figure(figsize=(14, 4.4 + 2.3 * rows), layout="constrained")
    figure.suptitle(title)
    upper, lower = figure.subfigures(2, 1, height_ratios=[3.6, 2.3 * rows])
    colors = [colormaps["tab10"](number % 10) for number in range(len(records))]
    for axes, (curve, label) in zip(upper.subplots(1, len(PANELS)), PANELS, strict=True):
        curves = [record["history"][curve] for record in records]
        _draw_together(axes, curves, colors)
        axes.set_title(label, fontsize=11)
        axes.set_xlabel("epoch")
        if curve != "loss":
            axes.set_ylim(top=1.01)
        elif np.nanmax(curves) > 5 * np.nanmin(curves):
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(FuncFormatter(_loss_label))
            axes.yaxis.set_minor_formatter(FuncFormatter(_loss_label))
    lower.suptitle(
        f"accuracy on test points, after each epoch (thin) and over the last {LAST} (thick)",
        fontsize=11,
    )
    panels = lower.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for axes, record, color in zip(panels, records, colors, strict=False):
        _draw_test_accuracy(axes, record, color)
    for axes in panels[len(records) :]:
        axes.remove()
    handles = upper.axes[0].get_lines()
    labels = [record["network"] for record in records]
    upper.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 8))
    return figure


def _draw_together(axes: Any, curves: list[list[float]], colors: list[Any]) -> None:
    """A line for each network."""
    thickness = 1.0 if len(curves[0]) <= 60 else 0.6
    for number, values in enumerate(curves):
        is_dashed = number in range(2, len(curves), 2)  # over its neighbour, if they agree
        axes.plot(
            range(1, len(values) + 1),
            values,
            linestyle="--" if is_dashed else "-",
            linewidth=thickness * (1.7 if is_dashed else 2.7),
            zorder=3 if is_dashed else 2,
            marker="o" if len(values) == 1 else None,
            color=colors[number],
        )
    axes.grid(alpha=0.3)


def _draw_test_accuracy(axes: Any, record: Record, color: Any) -> None:
    """The test accuracy of one network, and its running mean."""
    values = record["history"]["val_accuracy"]
    epochs = range(1, len(values) + 1)
    axes.plot(epochs, values, color=color, linewidth=0.6, alpha=0.6)
    marker = "o" if len(values) == 1 else None
    axes.plot(epochs, running_mean(values), color=color, linewidth=2, marker=marker)
    mean, low, high = at_the_end(record)
    axes.set_title(f"{record['network']}\n{mean:.3f} ({low:.2f} to {high:.2f})", fontsize=10)
    axes.set_ylim(top=1.01)
    axes.grid(alpha=0.3)


def _loss_label(value: float, _position: int) -> str:
    """Labels at 1, 2 and 5 times the powers of ten."""
    return f"{value:g}" if f"{value:e}"[0] in "125" else ""


def draw_regions(
    records: list[Record], title: str, extent: float, x_test: np.ndarray, y_test: np.ndarray
) -> Any:
    """What each network says about the square [-extent, extent]², and the test points on it."""
    from matplotlib.figure import Figure

    columns = min(3, len(records))
    rows = math.ceil(len(records) / columns)
    figure = Figure(figsize=(4.2 * columns + 1, 3.95 * rows + 0.7), layout="constrained")
    figure.suptitle(title, wrap=True)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for axes, record in zip(panels, records, strict=False):
        image = _draw_region(axes, record, extent, x_test, y_test[:, 0] > 0.5)
    for axes in panels[len(records) :]:
        axes.remove()
    figure.colorbar(
        image,
        ax=panels[: len(records)].tolist(),
        label="output of the network (circles: test points on the wrong side)",
        shrink=0.85,
    )
    return figure


def _draw_region(
    axes: Any, record: Record, extent: float, x_test: np.ndarray, is_second: np.ndarray
) -> Any:
    size = math.isqrt(len(record["region"]))
    region = np.reshape(record["region"], (size, size)) / 255
    image = axes.imshow(
        region,
        origin="lower",
        extent=(-extent, extent, -extent, extent),
        cmap="RdBu_r",
        vmin=0,
        vmax=1,
        alpha=0.55,
    )
    axes.scatter(*x_test[~is_second].T, s=6, color="#053061")
    axes.scatter(*x_test[is_second].T, s=6, color="#67001f")
    wrong = (np.array(record["test_outputs"]) > 0.5) != is_second
    axes.scatter(*x_test[wrong].T, s=30, facecolors="none", edgecolors="black", linewidths=0.8)
    axes.set_xticks(range(-10, 11, 5))
    axes.set_yticks(range(-10, 11, 5))
    axes.set_title(f"{record['network']}: test accuracy {record['test_accuracy']:.3f}")
    return image
