"""ode_consistency: networks of which it is known whether they are ODEs."""

import json
from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import ops

from keras_rk import Tableau, TableauError, recalibrate, with_method
from keras_rk.diagnostics import ode_consistency
from keras_rk.layers import RKResidual, RKStack
from keras_rk.progress import Progress
from tests.diagnosed_networks import (
    circle,
    coarse_rotation,
    discretisation,
    flow,
    head_of,
    normalized_network,
    sequential,
    smooth_field,
)
from tests.keras_helpers import dense, normal, slow

pytestmark = pytest.mark.repeated  # the kinds of networks run on each backend

Y = 2 * normal(200, 2)
POINTS = 2 * normal(200, 2, seed=7) + 0.5  # not those that are judged


def consistency(model, data, *args, **kwargs):
    """With one limit, and nothing beside it."""
    options = {"methods": ["rk4"], "substeps": (1, 2), "verbose": 0}
    options |= {"weights": "piecewise_constant", "control": 0, "coarsening": ()} | kwargs
    return ode_consistency(model, data, *args, **options)


@pytest.mark.parametrize("weights", ["piecewise_constant", *slow("interpolated")])
def test_a_fine_discretisation_of_a_smooth_field_loses_nothing(weights):
    exact = flow(smooth_field, Y)
    targets = (head_of(exact) > 0.5).astype(int)
    report = consistency(discretisation(64), Y, targets, substeps=(2, 4), weights=weights)
    assert report.verdict == "behaves like an ODE"
    assert report.accuracy >= 0.98
    assert abs(report.accuracy_lost) <= 0.01
    assert 1e-4 < report.distance < 0.02
    assert report.limit_error < 1e-4
    assert report.trained_with == "euler"
    assert report.recalibration_shift is None


def test_a_coarse_network_that_relies_on_its_own_step_loses_much():
    y = circle(400)
    report = consistency(coarse_rotation(), y, (y[:, 0] < 0).astype(int), substeps=(8, 16))
    assert report.verdict == "relies on its own steps"
    assert report.accuracy == 1
    # Euler's method turns by 180 degrees, the flow by 3 sqrt(3) radians
    assert report.accuracy_at_limit == pytest.approx(2 - 3 * 3**0.5 / np.pi, abs=0.01)
    assert report.accuracy_lost == report.accuracy - report.accuracy_at_limit > 0.6
    assert report.distance > 0.5
    assert report.is_resolved
    assert report.limit_error < 1e-3


def test_convergence_alone_says_nothing():
    y = circle(100)
    report = consistency(coarse_rotation(), y, substeps=(4, 8, 16))
    distances = [run.to_limit for run in report.runs]
    assert distances[0] > 8 * distances[1] > distances[2] == 0
    assert report.verdict == "relies on its own steps"
    assert report.accuracy is None
    assert report.accuracy_lost is None


def test_runs_are_those_of_with_method_and_recalibrate():
    model = normalized_network()
    before = model.get_weights()
    report = consistency(
        model, Y, methods=["heun2"], batch_size=200, metric=mean_of, targets=0, calibration=POINTS
    )
    by_hand = []
    for changes in ({}, {"tableau": "heun2"}, {"tableau": "heun2", "substeps": 2}):
        other = with_method(model, **changes)
        recalibrate(other, POINTS, batch_size=200, verbose=0)
        by_hand.append(other.predict(Y, verbose=0))
    scores = [report.accuracy, *(run.score for run in report.runs)]
    np.testing.assert_allclose(scores, [y.mean() for y in by_hand], rtol=1e-4, atol=1e-6)
    shift = np.linalg.norm(by_hand[0] - model.predict(Y, verbose=0)) / np.linalg.norm(
        model.predict(Y, verbose=0)
    )
    assert report.recalibration_shift == pytest.approx(shift, rel=1e-2)
    assert shift > 5e-3
    limit = by_hand[2]
    distance = np.linalg.norm(by_hand[0] - limit) / np.linalg.norm(limit - limit.mean(axis=0))
    assert report.distance == pytest.approx(distance, rel=1e-3)
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def mean_of(targets, outputs):
    return np.mean(outputs)


def test_without_recalibration(capsys):
    report = consistency(normalized_network(depth=2), Y, methods=["euler"], recalibrate=False)
    assert report.recalibration_shift is None
    assert report.runs[0].to_trained == 0
    assert capsys.readouterr() == ("", "")  # verbose=0


def test_the_limit_is_of_the_method_of_highest_order():
    model = sequential(RKResidual(dense(2), "heun2", 0.5))
    own = Tableau([[], ["1/2"]], [0, 1])
    report = consistency(model, Y, methods=["bogacki_shampine32", own], substeps=(1, 2))
    assert (report.limit.method, report.limit.substeps) == ("bogacki_shampine32", 2)
    assert [(run.method, run.order) for run in report.runs[::2]] == [
        ("bogacki_shampine32", 3),
        ("2 stages", 2),
    ]


@keras.saving.register_keras_serializable(package="keras_rk_tests")
class Square(keras.layers.Layer):
    """y' = y^2 is infinite at the time 1/y."""

    def call(self, y):
        return ops.square(y)

    def compute_output_shape(self, input_shape):
        return input_shape


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("start", [3.0, -0.3])
def test_a_limit_that_is_not_finite_is_reported(start, tmp_path):
    y = np.full((8, 1), start, "float32")
    model = sequential(RKResidual(Square(), "euler", 2.0, steps=2), size=1)
    report = consistency(model, y, y, substeps=(32, 64))
    if start < 0:
        assert report.is_resolved
        assert report.limit_error < 1e-3
        return
    assert report.verdict == "limit not resolved"
    assert report.distance == report.limit_error == np.inf
    assert report.to_dict()["distance"] is None
    assert "limit not resolved" in str(report)
    json.dumps(report.to_dict(), allow_nan=False)
    report.plot(tmp_path / "picture.png")


def test_a_limit_that_is_known_badly_is_no_verdict():
    report = consistency(coarse_rotation(), circle(50), methods=["euler"], substeps=(1, 2))
    assert np.isfinite(report.limit_error)
    assert report.verdict == "limit not resolved"


def test_tolerances_decide():
    report = consistency(discretisation(8), Y[:50], tolerance=0.5)
    assert report.verdict == "behaves like an ODE"
    assert replace(report, tolerance=0.0).verdict == "relies on its own steps"


def test_losing_accuracy_counts_beside_a_small_distance():
    y = circle(200)
    model = coarse_rotation(speed=0.6, steps=2)
    targets = (model.predict(y, verbose=0) > 0.5).astype(int)
    report = consistency(model, y, targets, tolerance=0.5)
    assert report.verdict == "relies on its own steps"
    assert replace(report, accuracy_tolerance=0.1).verdict == "behaves like an ODE"


def several_outputs():
    x = keras.Input((2,))
    y = RKResidual(dense(2), "heun2", 0.5)(x)
    return keras.Model(x, {"a": y, "b": keras.layers.Dense(3)(y)})


def nested():
    return sequential(sequential(RKStack(dense(2), 2, "heun2", 0.5)), keras.layers.Dense(1))


@pytest.mark.parametrize("make", [several_outputs, nested])
def test_other_models(make):
    report = consistency(make(), Y)
    assert report.verdict == "behaves like an ODE"
    assert 0 < report.distance < 0.05


def test_datasets_are_read_again_and_again():
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, place):
            return Y[100 * place : 100 * place + 100], np.zeros(100)

    model = discretisation(4)
    one = consistency(model, Batches())
    other = consistency(model, Y)
    assert one.distance == pytest.approx(other.distance, rel=1e-4)


def test_what_a_reader_sees(tmp_path, capsys):
    from matplotlib.figure import Figure

    y = circle(50)
    targets = (y[:, 0] < 0).astype(int)
    report = ode_consistency(
        coarse_rotation(), y, targets, methods=["euler", "rk4"], substeps=(1, 2), verbose=1
    )
    assert "ode_consistency: 100%" in capsys.readouterr().err
    text = str(report)
    assert text.startswith("ODE consistency: relies on its own steps\n  trained with       euler\n")
    assert "1 trained," in text
    assert [line.split()[:3] for line in text.splitlines()[-4:]] == [
        ["euler", "1", "1"],
        ["euler", "1", "2"],
        ["rk4", "4", "1"],
        ["rk4", "4", "2"],
    ]
    data = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert data["verdict"] == report.verdict
    assert data["accuracy_lost"] == report.accuracy_lost
    assert data["runs"][3]["to_limit"] == 0
    report.plot(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 1000
    axes = Figure().subplots()
    assert report.plot(axes) is axes.figure
    assert len(axes.lines) == 3
    assert len(report.plot().axes) == 2


def with_bias(bias):
    model = coarse_rotation()
    head = keras.layers.Dense(1)
    model = keras.Sequential([keras.Input((2,)), model.layers[0], head])
    head.set_weights([np.array([[1.0], [0.0]]), np.array([bias])])
    return model


@pytest.mark.parametrize("bias", [0.0, 100.0, 500.0])
def test_the_distance_does_not_depend_on_an_offset_of_the_outputs(bias):
    report = consistency(with_bias(bias), circle(100), substeps=(8, 16))
    # Euler's method takes (1, 0) to (-8, 0), the flow to (cos 3 sqrt(3), .): rms over a circle
    expected = abs(-8 - np.exp(1j * 3 * 3**0.5))
    assert report.distance == pytest.approx(expected, rel=1e-3)
    assert report.verdict == "relies on its own steps"


def test_states_count_for_the_verdict():
    """The head sees nothing of what the steps do."""
    model = with_bias(0.0)
    model.layers[1].set_weights([np.zeros((2, 1)), np.ones(1)])
    report = consistency(model, circle(50), substeps=(8, 16))
    assert report.distance == 0
    grown = [abs((1 + 3**0.5 * 1j) ** n - np.exp(3**0.5 * 1j * n)) for n in (1, 2, 3)]
    assert report.state_distances == pytest.approx(grown, rel=1e-3)
    assert report.state_distance == max(report.state_distances)
    assert report.verdict == "relies on its own steps"


def test_what_is_beside_the_limit(tmp_path, monkeypatch):
    told = []

    class Told(Progress):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            told.append(self)

    monkeypatch.setattr("keras_rk.diagnostics.consistency.Progress", Told)
    model = discretisation(8)
    y = Y[:40]
    report = ode_consistency(model, y, methods=["heun2", "rk4"], substeps=(1, 16), control=2)
    # evaluations: own steps, methods, constant weights, twice the control, larger steps
    costs = [1, (2 + 4) * (1 + 16), 4 * (1 + 16), 2 * (1 + 4 * 16), 1]
    assert told[0].done == told[0].total == sum(costs)
    assert report.weights == "interpolated"
    limits = {
        weights: consistency(model, y, substeps=(1, 16), weights=weights)
        for weights in ("interpolated", "piecewise_constant")
    }
    assert report.distance == pytest.approx(limits["interpolated"].distance, rel=1e-4)
    constant = limits["piecewise_constant"]
    assert report.constant.weights == constant.weights == "piecewise_constant"
    assert report.constant.distance == pytest.approx(constant.distance, rel=1e-4)
    assert report.constant.state_distance == pytest.approx(constant.state_distance, rel=1e-4)
    assert len({limit.distance for limit in report.control}) == 2
    coarser = report.coarser[0]
    assert (coarser.method, coarser.order, coarser.substeps) == ("euler", 1, 0.5)
    assert coarser.to_limit > 1.5 * report.distance
    text = str(report)
    assert "constant instead   distance" in text
    assert "in 2 draws (fresh initial weights)" in text
    assert [line.split()[:3] for line in text.splitlines()[-5:-3]] == [
        ["euler", "1", "1/2"],
        ["heun2", "2", "1"],
    ]
    json.dumps(report.to_dict(), allow_nan=False)
    report.plot_depth(tmp_path / "depth.png")


def test_pictures_cover_nothing_and_magnify_nothing():
    y = circle(50)
    report = ode_consistency(
        discretisation(4), y, (y[:, 0] < 0).astype(int), methods=["rk4"], substeps=(1, 2), verbose=0
    )
    figure = report.plot()
    figure.draw_without_rendering()
    for axes in figure.axes:
        assert axes.get_title()
        legend = axes.get_legend().get_window_extent()
        assert legend.y0 >= axes.get_window_extent().y1 - 1
    low, high = figure.axes[1].get_ylim()
    assert high - low >= 0.2


def test_advice_where_a_limit_is_not_resolved():
    f = keras.layers.Dense(1, use_bias=False, kernel_initializer=keras.initializers.Constant(-40.0))
    model = sequential(RKResidual(f, "euler", 1.0, name="stiff"), size=1)
    report = consistency(model, normal(20, 1), substeps=(1, 2))
    assert report.verdict == "limit not resolved"
    # R(z) of RK4 is at most 1 for z from -2.785 on: 40 / 2.785 = 14.4
    assert report.steepest.substeps == 15
    assert "f is steepest in stiff, with |dt| L = 40" in report.advice
    assert "|dt| <= 0.0696, substeps >= 15" in report.advice
    assert report.advice in str(report)
    assert report.to_dict()["advice"] == report.advice
    finer = consistency(model, normal(20, 1), substeps=(32, 64))
    assert finer.is_resolved
    assert finer.advice is None


def returning_states():
    return sequential(RKResidual(dense(2), return_states=True))


def with_after():
    return sequential(RKStack(dense(2), 2, after=keras.layers.BatchNormalization()))


def stack_in_residual():
    return sequential(RKResidual(RKStack(dense(2), 2)))


@pytest.mark.parametrize(
    "make, arguments, match",
    [
        (lambda: sequential(dense(2)), {}, r"RKResidual or an RKStack\. Received: model"),
        (lambda: keras.Sequential([RKResidual(dense(2))]), {}, "that is built"),
        (lambda: RKResidual(dense(2)), {}, "single layer into `keras.Sequential`"),
        (discretisation, {"substeps": (1,)}, r"at least two integers.*\(1,\)"),
        (discretisation, {"substeps": (2, 1)}, r"larger than the one before.*\(2, 1\)"),
        (discretisation, {"substeps": (0, 1)}, "at least 1. Received: substeps=0"),
        (discretisation, {"substeps": (1, 2.5)}, "substeps=2.5"),
        (discretisation, {"substeps": 4}, "at least two integers.*substeps=4"),
        (discretisation, {"methods": []}, "at least one method"),
        (discretisation, {"methods": ["rk4", "rk4"]}, "name of its own"),
        (discretisation, {"weights": "linear"}, "`weights` must be one of: 'piecewise_constant'"),
        (discretisation, {"control": -1}, "`control` must be .* at least 1. Received: control=-1"),
        (discretisation, {"coarsening": (1, 2)}, r"integers above 1.*\(1, 2\)"),
        (discretisation, {"recalibrate": 1}, "`recalibrate` must be True or False"),
        (discretisation, {"tolerance": -1}, "`tolerance` must be a finite number"),
        (discretisation, {"targets": [0, 1]}, r"one target for each sample.*\(2,\)"),
        (discretisation, {"metric": mean_of}, "targets=None"),
        (discretisation, {"metric": "accuracy", "targets": 0}, "function of targets and outputs"),
        (several_outputs, {"targets": Y}, "several outputs needs a `metric`"),
        (returning_states, {}, r"`return_states`.*\(5, 2, 2\).*\(5, 3, 2\)"),
        (with_after, {"weights": "interpolated"}, "once for each block.*with `after`"),
        (stack_in_residual, {"weights": "interpolated"}, "inside another one"),
    ],
)
def test_refusals(make, arguments, match):
    model = make() if make is not discretisation else discretisation(2)
    options = {"methods": ["euler"], "substeps": (1, 2), "verbose": 0, **arguments}
    with pytest.raises(ValueError, match=match):
        ode_consistency(model, Y[:5], **options)


def test_unknown_methods():
    with pytest.raises(TableauError, match="no_such_method"):
        ode_consistency(discretisation(2), Y, methods=["no_such_method"])


def test_data_that_can_be_read_once():
    with pytest.raises(ValueError, match=r"read once for each run.*generator"):
        ode_consistency(discretisation(2), (y for y in [Y]), verbose=0)
