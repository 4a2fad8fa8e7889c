"""What outputs are compared with, where no metric is given; tables and pictures."""

import sys

import keras  # noqa: F401  (where Keras is missing, conftest leaves this file out)
import numpy as np
import pytest

from keras_rk.diagnostics.distances import relative_distance
from keras_rk.diagnostics.plots import draw
from keras_rk.diagnostics.scores import score

PROBABILITIES = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.3, 0.4, 0.3], [0.5, 0.4, 0.1]])
ONE = np.array([[0.9], [0.2], [0.6], [0.4]])
ONE_HOT = np.eye(3)[[0, 2, 2, 0]]


@pytest.mark.parametrize(
    "targets, outputs, name, value",
    [
        ([0, 2, 2, 0], PROBABILITIES, "accuracy", 0.75),
        ([[0], [2], [2], [0]], PROBABILITIES, "accuracy", 0.75),
        ([0.0, 2.0, 2.0, 0.0], PROBABILITIES, "accuracy", 0.75),
        (ONE_HOT, PROBABILITIES, "accuracy", 0.75),
        ([[0, 2], [2, 0]], PROBABILITIES.reshape(2, 2, 3), "accuracy", 0.75),
        ([1, 0, 0, 0], ONE, "accuracy", 0.75),
        ([[1.0], [0.0], [0.0], [0.0]], ONE, "accuracy", 0.75),
        ([True, False, False, False], ONE[:, 0], "accuracy", 0.75),
        ([[1, 0, 1]] * 4, PROBABILITIES, "accuracy", 0.5),  # several labels: each by itself
        ([1, -1, -1, -1], ONE - 0.5, "accuracy", 0.75),
        ([1.0, 2.0, 4.0], np.array([1.0, 3.0, 4.0]), "R^2", 1 - 1 / (14 / 3)),
        ([[1.5, 0.0], [0.5, 4.0]], np.array([[1.5, 0.0], [0.5, 4.0]]), "R^2", 1.0),
    ],
)
def test_the_default_fits_the_targets(targets, outputs, name, value):
    compare = score(targets, outputs, None)
    assert compare.name == name
    assert compare(outputs) == pytest.approx(value)


def test_what_is_not_a_number_is_wrong():
    outputs = np.where(PROBABILITIES == 0.8, np.nan, PROBABILITIES)
    assert score([0, 2, 2, 0], PROBABILITIES, None)(outputs) == 0.5


def test_a_metric_gets_what_was_given():
    def largest_error(targets, outputs):
        return -np.max(np.abs(targets["a"] - outputs["b"]))

    compare = score({"a": ONE}, {"b": ONE + 0.5}, largest_error)
    assert compare.name == "largest_error"
    assert compare({"b": ONE + 0.25}) == pytest.approx(-0.25)


@pytest.mark.parametrize(
    "targets, outputs, match",
    [
        ([1, 0, 1, 0], 4 * ONE - 2, r"give a `metric`.*between -1\.2 and 1\.6"),
        ([0.5] * 4, PROBABILITIES, r"for anything else give a `metric`.*\(4,\)"),
        ([1, 2, 3], ONE, r"one target for each sample.*\(3,\)"),
        (1, ONE, r"one target for each sample.*\(\)"),
    ],
)
def test_refusals(targets, outputs, match):
    with pytest.raises(ValueError, match=match):
        score(targets, outputs, None)


@pytest.mark.parametrize(
    "outputs, reference, distance",
    [
        ([3.0, 4.0], [3.0, 4.0], 0),
        ([0.0, 0.0], [0.0, 0.0], 0),
        ([1.0, 0.0], [0.0, 0.0], np.inf),
        ([3.0, 5.0], [3.0, 4.0], 0.2),
        ([np.nan, 5.0], [3.0, 4.0], np.inf),
        ([3.0, 5.0], [np.inf, 4.0], np.inf),
    ],
)
def test_relative_distances(outputs, reference, distance):
    one, other = ([np.array(x[:1]), np.array(x[1:])] for x in (outputs, reference))
    assert relative_distance(one, other) == pytest.approx(distance)


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install 'keras-rk\[plots\]'"):
        draw("picture.png", [lambda axes: None])


def test_a_picture_needs_a_path_or_axes():
    with pytest.raises(ValueError, match=r"path or into Matplotlib axes\. Received: 5"):
        draw(5, [lambda axes: None])
