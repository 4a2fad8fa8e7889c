"""Distances of outputs: not of their offset, nor of their units."""

import numpy as np
import pytest

from keras_rk.diagnostics.distances import output_distances, relative_distance
from tests.keras_helpers import normal

REFERENCE = np.random.default_rng(0).normal(size=(50, 3))
OTHER = REFERENCE + 0.1 * np.random.default_rng(1).normal(size=(50, 3))


@pytest.mark.parametrize("offset", [0, 100, [1e4, 0, -5]])
@pytest.mark.parametrize("scale", [1, -30])
def test_distances_are_those_of_what_differs_from_point_to_point(offset, scale):
    spread = np.sqrt(np.mean(np.var(REFERENCE, axis=0)))
    expected = np.sqrt(np.mean((OTHER - REFERENCE) ** 2)) / spread
    moved = [scale * x + np.array(offset) for x in (OTHER, REFERENCE)]
    assert relative_distance(*moved) == pytest.approx(expected, rel=1e-9)


def test_outputs_of_different_scales_count_alike():
    units = np.array([1, 1e3, 1e-3])
    each = np.sqrt(np.mean((OTHER - REFERENCE) ** 2, axis=0) / np.var(REFERENCE, axis=0))
    assert output_distances(units * OTHER, units * REFERENCE) == pytest.approx(each)
    whole = relative_distance(units * OTHER, units * REFERENCE)
    assert whole == pytest.approx(np.sqrt(np.mean(each**2)))


def test_several_outputs_and_further_axes():
    y, x = normal(20, 4, 5, 2), normal(20, 4, 5, 2, seed=1)
    size = np.sqrt(np.mean(np.var(y, axis=0)))
    whole = relative_distance({"a": x[..., :1], "b": x[..., 1]}, {"a": y[..., :1], "b": y[..., 1]})
    assert whole == pytest.approx(np.sqrt(np.mean((x - y) ** 2)) / size, rel=1e-6)


def test_probabilities_have_one_unit():
    y = np.array([[0.5, 0.5 - 1e-6, 1e-6], [0.9, 0.1, 0]])
    x = y + np.array([[0, -1e-5, 1e-5], [0, 0, 0]])
    assert relative_distance(x, y) < 1e-4


def test_an_output_without_spread_counts_in_the_unit_of_all():
    y = np.concatenate([REFERENCE, np.full((50, 1), 7.0)], axis=1)
    assert relative_distance(y, y) == 0
    assert 0 < relative_distance(y + np.array([0, 0, 0, 0.5]), y) < 1


@pytest.mark.parametrize("points", [1, 5])
def test_points_that_are_all_alike_are_measured_by_their_size(points):
    y = np.full((points, 2), 4.0)
    assert relative_distance(y + 1, y) == pytest.approx(0.25)
