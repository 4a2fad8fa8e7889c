"""examples/benning: the points, the projection, and that the report is what the records say."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

for module in ("scipy", "matplotlib"):
    pytest.importorskip(module)
if keras.backend.backend() != "jax":
    pytest.skip("examples/benning trains on JAX", allow_module_level=True)

BENNING = Path(__file__).parents[1] / "examples" / "benning"
sys.path.insert(0, str(BENNING))
benning_report = importlib.import_module("benning_report")
nets = importlib.import_module("nets")
points = importlib.import_module("points")


@pytest.mark.parametrize("name", points.DATA)
def test_points_are_of_two_classes_and_each_seed_has_its_own(name):
    x, labels, x_test, _ = points.points(name, 0, 300)
    assert x.shape == x_test.shape == (300, 2)
    share = {"donut1d": 1 / 3, "donut2d": 1 / 2, "spiral": 1 / 2, "squares": 1 / 2}[name]
    assert np.mean(labels) == pytest.approx(share, abs=0.1 if name == "squares" else 1e-6)
    assert not np.array_equal(x, x_test)
    assert not np.array_equal(x, points.points(name, 1, 300)[0])
    np.testing.assert_array_equal(x, points.points(name, 0, 300)[0])


def test_the_donuts_are_round_and_one_is_flat():
    x, labels, *_ = points.points("donut2d", 0, 2000)
    radius = np.hypot(*x.T)
    assert np.mean(radius[labels == 1]) < 0.25 < 0.45 < np.mean(radius[labels == 0]) < 0.6
    flat, *_ = points.points("donut1d", 0, 2000)
    assert np.std(flat[:, 1]) == pytest.approx(0.1, rel=0.1)


@pytest.mark.parametrize(
    ("h", "expected"),
    [
        ([0.2, 0.3, 0.5], [0.2, 0.3, 0.5]),
        ([1.0, 1.0], [0.5, 0.5]),
        ([2.0, -1.0, 0.5], [1.0, 0.0, 0.0]),
        ([0.9, 0.5, -3.0], [0.7, 0.3, 0.0]),
    ],
)
def test_the_nearest_point_of_the_simplex(h, expected):
    np.testing.assert_allclose(nets.onto_simplex(np.array(h)), expected, atol=1e-6)


def test_networks_of_a_study_begin_alike():
    starts = [
        nets.initial(nets.build(nets.NETWORKS[name]), nets.NETWORKS[name], 3)
        for name in ("resnet", "odenet_simplex")
    ]
    for place in (0, -2):
        np.testing.assert_array_equal(starts[0][place], starts[1][place])


def test_the_committed_report_is_what_the_records_say():
    settings, records = benning_report.load(BENNING)
    assert benning_report.text_of(settings, records) == (BENNING / "REPORT.md").read_text()
    assert settings["seeds"] >= 5
    assert {len(found) for found in records.values()} == {4 * settings["seeds"]}
