"""examples/convert_resnet.py: a tiny run, and what an interruption leaves."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import keras
import pytest

pytest.importorskip("sklearn.datasets")
pytest.importorskip("matplotlib")

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
convert_resnet = importlib.import_module("convert_resnet")

SHORT = ["--networks", "post_1", "shared_2", "--epochs", "1", "--seeds", "1"]


@pytest.fixture
def shortened(monkeypatch):
    """So that a run takes seconds instead of minutes."""
    everything = convert_resnet.digits
    monkeypatch.setattr(
        convert_resnet, "digits", lambda seed: [part[:64] for part in everything(seed)]
    )
    monkeypatch.setattr(convert_resnet, "CHANNELS", 4)
    methods = {name: convert_resnet.METHODS[name] for name in ("Euler", "Heun")}
    monkeypatch.setattr(convert_resnet, "METHODS", methods)


@pytest.mark.slow
@pytest.mark.repeated
def test_an_interrupted_run_is_taken_up(tmp_path, monkeypatch, capsys, shortened):
    examined, begun = convert_resnet.examined, []

    def interrupted(name, *arguments):
        begun.append(name)
        if name == "shared_2" and begun.count(name) == 1:
            raise KeyboardInterrupt
        return examined(name, *arguments)

    monkeypatch.setattr(convert_resnet, "examined", interrupted)
    arguments = ["--results", str(tmp_path), *SHORT]
    with pytest.raises(KeyboardInterrupt):
        convert_resnet.main(arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["post_1_1_0.json"]
    capsys.readouterr()
    convert_resnet.main(arguments)
    assert begun == ["post_1", "shared_2", "shared_2"]
    convert_resnet.main(arguments)  # all is there already
    assert len(begun) == 3
    table = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert len(table) == 2 * (2 + 2 * 2)  # of two calls: the heading, two networks, two methods
    assert (tmp_path / "convert_resnet.png").read_bytes().startswith(b"\x89PNG")
    rows = json.loads((tmp_path / "post_1_1_0.json").read_text())
    assert [row["evaluations"] for row in rows] == [1, 2]
    assert all(0 <= value <= 1 for row in rows for value in row["accuracy"].values())
    assert list(rows[0]["accuracy"]) == list(convert_resnet.STATES)
    assert not list(tmp_path.glob(".*"))  # nothing half written


@pytest.mark.slow
@pytest.mark.repeated
@pytest.mark.parametrize("name", convert_resnet.NETWORKS)
def test_every_sum_of_its_networks_becomes_a_block(name):
    import keras_rk

    kind, depth = name.split("_")
    _, report = keras_rk.convert_residuals(convert_resnet.network(kind, int(depth)), "euler")
    assert (len(report.converted), report.kept) == (int(depth), ())
    keras.utils.clear_session()
