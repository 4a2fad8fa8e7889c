"""observed_order: p for smooth f, about 2 at most for f with kinks."""

import json

import keras
import numpy as np
import pytest

from keras_rk.diagnostics import observed_order
from keras_rk.diagnostics.asymptotics import fitted_order
from keras_rk.diagnostics.convergence import ROUND_OFF, Limit
from keras_rk.layers import RKResidual, RKStack
from tests.diagnosed_networks import discretisation, sequential
from tests.keras_helpers import dense, normal

pytestmark = pytest.mark.repeated  # the kinds of networks run on each backend

Y = normal(64, 3)


def network(activation, tableau="euler"):
    f = keras.layers.Dense(3, activation=activation)
    model = sequential(RKResidual(f, tableau, 1.0, steps=2), size=3)
    model.set_weights([normal(3, 3, seed=27), normal(3, seed=127)])
    return model


def order(model, data, *args, **kwargs):
    return observed_order(model, data, *args, verbose=0, **kwargs)


@pytest.mark.parametrize(
    "tableau, substeps, p",
    [("euler", (8, 16, 32), 1), ("heun2", (4, 8, 16), 2), ("rk4", (2, 4, 16), 4)],
)
def test_smooth_activations_show_the_order(tableau, substeps, p):
    report = order(network("tanh"), Y, tableau, substeps=substeps)
    assert (report.method, report.order) == (tableau, p)
    assert report.fit == pytest.approx(p, abs=0.15)
    assert report.orders[0] == pytest.approx(p, abs=0.15)
    if p == 4:  # at 16 substeps there is nothing but round-off
        assert report.distances[2] < 4 * report.floor
        assert report.orders[1] is None


def test_with_relu_rk4_shows_about_two(tmp_path):
    report = order(network("relu", "rk4"), Y, substeps=(2, 4, 8, 16))
    assert (report.method, report.order) == ("rk4", 4)
    assert 1.5 < report.fit < 2.5
    json.dumps(report.to_dict(), allow_nan=False)
    report.plot(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 1000
    lines = str(report).splitlines()
    assert lines[0].startswith(("Observed order: 1.", "Observed order: 2."))
    assert lines[1] == "  method  rk4 (order 4 for smooth f)"
    assert lines[2].startswith("  limit   cooper_verner8, 64 substeps, known to ")
    assert lines[3] == "  weights piecewise constant in depth"
    assert len(lines) == 10


def test_interpolated_weights_show_two_at_most():
    options = {"substeps": (1, 2, 4), "reference": "rk4", "weights": "interpolated"}
    report = order(discretisation(4), Y[:, :2], "rk4", **options)
    assert report.fit == pytest.approx(2, abs=0.5)
    assert report.weights == "interpolated"


def test_nothing_left_to_fit(tmp_path):
    f = keras.layers.Dense(3, kernel_initializer="zeros")
    model = sequential(RKResidual(f, "rk4"), size=3)
    report = order(model, Y, substeps=(1, 2), reference="euler")
    assert report.fit is None
    assert report.orders == (None,)
    assert "Observed order: - (no distance is above four times" in str(report)
    report.plot(tmp_path / "picture.png")


@pytest.mark.parametrize(
    "distances, floor, fit, note",
    [
        ((0.16, 0.04, 0.01, 0.0025), 1e-6, 2, ""),
        ((1e8, 1e3, 0.016, 0.001, 6.25e-5), 1e-6, 4, "without 1, 2 substeps"),  # all: slope 10
        ((np.inf, 0.2, 0.1, 0.05), 1e-6, 1, "without 1 substeps"),
        ((1e6, 1e4, 1.0, 0.01), 1e-6, None, "orders still change, 13.3 and 6.64 at last"),
        ((0.1, 0.2, 0.4), 1e-6, None, "distances do not fall"),
        ((0.1, np.nan, 0.1, 0.12), 1e-6, None, "distances do not fall"),
        ((0.1, 0.04, 0.005, 0.002), 1e-6, 1.99, "between 1.32 and 3, as where f has kinks"),
        ((1.48e-4, 9.25e-6), 1e-7, 4, "by two distances only"),
        ((1.48e-4, 9.25e-6), 3e-6, None, "only one distance is above four times 3e-06"),
        ((1e-7, 1e-8), 3e-7, None, "no distance is above"),
        ((0.1, 0.01), np.inf, None, "the limit is not finite"),
        ((9e9, 1e9), 2.0, None, "the limit is not resolved, known to 2 only"),
    ],
)
def test_only_the_asymptotic_range_has_an_order(distances, floor, fit, note):
    found, said = fitted_order([2**k for k in range(len(distances))], distances, floor)
    assert found == (None if fit is None else pytest.approx(fit, abs=0.05))
    assert said.startswith(note)
    assert bool(said) == bool(note)


@pytest.mark.parametrize(
    "truncation, rounding, start, expected",
    [
        (1e-12, 1e-8, 4, 16),  # at once
        (1.0, 1e-9, 4, 256),  # more substeps
        (1e-12, 1e-6, 4, 2),  # nothing but rounding, which adds up: fewer
        (0.1, 0.0, 1, 16),  # as many as there may be
    ],
)
def test_the_limit_is_computed_as_well_as_it_can_be(truncation, rounding, start, expected):
    """Outputs that are off by truncation / m^2 + rounding * m."""
    runs = []

    def run(m):
        runs.append(m)
        return np.array([1 + truncation / m**2 + rounding * m])

    limit = Limit(run, start)
    limit.improve([np.array([1.00005]), np.array([1.000002])])
    assert limit.substeps == min(expected, 16 * start)
    assert len(runs) == len(set(runs))
    off = abs(limit.outputs[0] - run(limit.substeps // 2)[0]) / limit.outputs[0]
    assert limit.floor == pytest.approx(max(off, ROUND_OFF))


def test_an_unstable_network_has_no_order():
    """dt L is 40: Euler's steps explode, and so does whatever slope is drawn through them."""
    f = keras.layers.Dense(3, use_bias=False)
    model = sequential(RKResidual(f, "rk4", 1.0), size=3)
    model.set_weights([np.diag([-40.0, 0.1, 0.2])])
    report = order(model, Y, substeps=(1, 2, 4), reference="rk4")
    assert report.fit is None
    assert report.note in str(report)
    assert "take more substeps" in report.note


def test_layers_of_several_methods():
    layers = (RKResidual(dense(3), name, 0.5) for name in ("euler", "heun2"))
    report = order(sequential(*layers, size=3), Y, substeps=(2, 4), reference="midpoint")
    assert (report.method, report.order) == ("euler, heun2", None)
    assert report.fit == pytest.approx(1, abs=0.3)
    assert report.reference == "midpoint, 16 substeps"


@pytest.mark.parametrize(
    "arguments, match",
    [
        ({"substeps": (1,)}, "at least two integers"),
        ({"tableau": "no_such_method"}, "no_such_method"),
        ({"reference": "no_such_method"}, "no_such_method"),
        ({"weights": "smooth"}, "`weights` must be one of"),
    ],
)
def test_refusals(arguments, match):
    model = sequential(RKStack(keras.layers.Dense(2), 2))
    with pytest.raises(ValueError, match=match):
        order(model, np.ones((2, 2)), **arguments)


def test_times_of_a_call_are_refused_by_name():
    y, times = keras.Input((3,)), keras.Input((2,))
    model = keras.Model([y, times], RKResidual(dense(3), "rk4")(y, times=times))
    data = [np.ones((2, 3), "float32"), np.float32([[0, 1], [0, 2]])]
    with pytest.raises(NotImplementedError, match="calls a layer with `times`"):
        order(model, data)
