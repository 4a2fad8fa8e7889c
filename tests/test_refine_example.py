"""examples/refine.py: its times and tables, and one tiny training."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("keras")
pytest.importorskip("scipy")
pytest.importorskip("matplotlib")

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
example = importlib.import_module("refine")

RECORD = {"accuracy": [0.5, 0.75, 1.0], "times": [2.0, 3.0, 4.0], "once": 1.0, "refinements": []}


@pytest.mark.parametrize(("moment", "expected"), [(1, 0), (2, 0.5), (3.9, 0.75), (9, 1)])
def test_the_accuracy_at_a_moment(moment, expected):
    assert example.at(RECORD, moment) == expected


def test_the_table_compares_seed_by_seed():
    change = {"change": 0.1, "before": 0.75, "after": 0.7}
    faster = {**RECORD, "times": [1.0, 2.0, 3.0], "refinements": [change, change]}
    settings = {"seeds": 2, "epochs": {"spirals": 3}}
    text = example.report({"spirals": {"deep": [RECORD] * 2, "refined": [faster] * 2}}, settings)
    ended = "| spirals: accuracy when refined has ended | 0.750 ± 0.000 | 1.000 ± 0.000 | 0.250"
    assert ended in text
    assert "| spirals: processor time, s | 4.000 ± 0.000 | 3.000 ± 0.000 | ratio 0.750" in text
    assert "| spirals, 2. time | 0.100 ± 0.000 | 0.750 ± 0.000 | 0.700 ± 0.000 |" in text


@pytest.mark.slow
@pytest.mark.repeated
def test_a_tiny_training_is_refined_twice(monkeypatch):
    monkeypatch.setattr(example, "data_of", small)
    found = example.train("spirals", "refined", 0, 8)
    assert len(found["accuracy"]) == len(found["times"]) == 7  # rounded down
    assert len(found["dt"]) == example.DEEP
    assert np.sum(found["step_sizes"]) == pytest.approx(example.DURATION, rel=1e-6)
    assert [one["change"] > 0 for one in found["refinements"]] == [True, True]


def small(name, seed):
    return [part[:64] for part in example.paper_data(seed)]
