"""Runs that share a trace: what they put out is what a copy for each of them would."""

import keras
import numpy as np
import pytest

from keras_rk import recalibrate
from keras_rk.diagnostics.initial_weights import untrained
from keras_rk.diagnostics.refined_model import can_share
from keras_rk.diagnostics.refinement import coarsened, refined
from keras_rk.diagnostics.runs import Runs, rows_of_a_batch
from keras_rk.layers import ConcatTime, RKResidual, RKStack
from keras_rk.models.moving_statistics import moving_statistics
from tests.diagnosed_networks import (
    ROTATION,
    circle,
    coarse_rotation,
    discretisation,
    normalized_network,
    sequential,
)
from tests.keras_helpers import dense, float64, normal

Y = normal(30, 2)
POINTS = normal(30, 2, seed=7) + 0.5


def runs_of(model, weights="piecewise_constant", recalibrates=False, data=Y):
    """Runs of which the moving statistics come from other points."""
    options = {"batch_size": len(data), "most": 4}
    options |= {"recalibrate": recalibrates, "calibration": POINTS if recalibrates else None}
    return Runs(model, data, weights=weights, **options)


def shares(model, weights, recalibrates):
    return can_share(model, weights, moving_statistics(model) if recalibrates else [])


def own_steps():
    stack = RKStack(dense(2), 3, "heun2", [0.5, "1/3", -1], steps=2, trainable_dt=True)
    model = sequential(stack)
    stack.variables[2].assign([0.5, 0.0, -0.5])
    return model


def with_time():
    f = ConcatTime(dense(2, activation="tanh"))
    return sequential(RKResidual(f, "rk4", 0.5, steps=3, t0="1/4"), RKStack(f, 2, "rk4", 0.5, t0=1))


def with_statistics():
    return normalized_network(depth=3, tableau="heun2")


def with_shared_statistics():
    f = keras.Sequential([keras.layers.Dense(2), keras.layers.BatchNormalization(momentum=0.5)])
    return sequential(RKResidual(f, "heun2", 0.5, steps=2, state="shared"))


def after_each_block():
    return sequential(RKStack(dense(2), 2, after=keras.layers.BatchNormalization()))


@pytest.mark.parametrize(
    "make, weights, recalibrates",
    [
        (own_steps, "piecewise_constant", False),
        pytest.param(*(own_steps, "interpolated", False), marks=pytest.mark.repeated),
        (with_time, "interpolated", False),
        pytest.param(*(with_statistics, "piecewise_constant", True), marks=pytest.mark.repeated),
        (with_statistics, "interpolated", True),
        pytest.param(*(with_statistics, "piecewise_constant", False), marks=pytest.mark.repeated),
        pytest.param(
            *(with_shared_statistics, "piecewise_constant", True), marks=pytest.mark.repeated
        ),
        (after_each_block, "piecewise_constant", True),
    ],
)
def test_one_trace_computes_what_copies_do(make, weights, recalibrates):
    model = make()
    assert shares(model, weights, recalibrates)
    runs = runs_of(model, weights, recalibrates)
    for tableau, substeps in [(None, 3), ("rk4", 1), ("rk4", 4)]:
        copy = refined(model, tableau, substeps, weights)
        if recalibrates:
            recalibrate(copy, POINTS, verbose=0, batch_size=len(Y))
        expected = copy.predict(Y, verbose=0)
        np.testing.assert_allclose(runs(tableau, substeps), expected, rtol=2e-4, atol=2e-5)
    assert len(runs._copies) == 2


def test_runs_with_both_kinds_of_weights_share_their_traces():
    model = discretisation(4)
    runs = runs_of(model, "interpolated")
    constant = runs.with_weights("piecewise_constant")
    for one in (runs, constant):
        expected = refined(model, "rk4", 2, one.weights).predict(Y, verbose=0)
        np.testing.assert_allclose(one("rk4", 2), expected, rtol=1e-4, atol=1e-6)
    assert constant._copies is runs._copies


@pytest.mark.parametrize(
    "make, weights, recalibrates",
    [
        (with_statistics, "interpolated", False),
        (lambda: sequential(RKResidual(RKStack(dense(2), 2))), "piecewise_constant", False),
        (lambda: sequential(RKResidual(dense(2), return_states=True)), "interpolated", False),
    ],
)
def test_other_models_are_copied_for_each_run(make, weights, recalibrates):
    assert not shares(make(), weights, recalibrates)


def test_states_along_depth():
    y = circle(20)
    runs = runs_of(coarse_rotation(), data=y)
    states = runs.run("euler", 2).states
    assert len(states) == 3
    step = np.linalg.matrix_power(np.eye(2) + 3**0.5 / 2 * ROTATION, 2)
    for n, found in enumerate(states, 1):
        np.testing.assert_allclose(found, y @ np.linalg.matrix_power(step, n), rtol=1e-4)


@pytest.mark.parametrize("weights", ["piecewise_constant", "interpolated"])
def test_states_of_copies_are_those_of_a_shared_trace(weights):
    model = sequential(RKStack(dense(2), 2, "euler", 0.5), RKResidual(dense(2), "euler", steps=2))
    runs = runs_of(model, weights)
    shared = runs.run("heun2", 2).states
    runs._shares = False
    copied = runs.run("heun2", 2).states
    assert len(shared) == len(copied) == 4
    for one, other in zip(shared, copied, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_a_layer_called_in_a_loop_keeps_its_states_to_itself():
    inner = RKResidual(dense(2), "euler", 0.5, steps=2)
    model = keras.Sequential([keras.Input((3, 2)), keras.layers.TimeDistributed(inner)])
    y = normal(4, 3, 2)
    runs = runs_of(model, data=y)
    expected = refined(model, "rk4", 2, "piecewise_constant").predict(y, verbose=0)
    np.testing.assert_allclose(runs("rk4", 2), expected, rtol=1e-4, atol=1e-6)


def test_larger_steps_of_a_residual():
    y = circle(10)
    model = coarse_rotation(steps=4)
    copy = coarsened(model, 2)
    assert (copy.layers[0].dt, copy.layers[0].steps) == ("2", 2) or copy.layers[0].dt == 2
    step = np.eye(2) + 2 * 3**0.5 * ROTATION
    expected = 1 / (1 + np.exp(-(y @ step @ step)[:, :1]))
    np.testing.assert_allclose(copy.predict(y, verbose=0), expected, rtol=1e-4)
    assert coarsened(model, 3) is None
    assert coarsened(after_each_block(), 2) is None


def test_larger_steps_of_a_stack_have_the_weights_at_their_middles():
    stack = RKStack(dense(2), 4, "euler", ["1/3", "1/3", 1, 2])
    model = sequential(stack)
    new = coarsened(model, 2).layers[0]
    np.testing.assert_allclose(new.step_sizes, [2 / 3, 3], rtol=1e-6)
    middles = np.array([1 / 6, 1 / 2, 7 / 6, 8 / 3])
    for one, other in zip(stack.get_weights(), new.get_weights(), strict=True):
        old, found = one.reshape(4, -1), other.reshape(2, -1)
        expected = [np.interp([1 / 3, 13 / 6], middles, column) for column in old.T]
        np.testing.assert_allclose(found, np.transpose(expected), rtol=1e-5)


def named_seeds():
    initializer = keras.initializers.GlorotUniform(seed=3)
    frozen = keras.layers.Dense(2, trainable=False)
    f = keras.layers.Dense(2, kernel_initializer=initializer)
    return sequential(RKResidual(f, "euler"), frozen)


def test_untrained_networks():
    model = named_seeds()
    first, frozen = model.layers[0].get_weights(), model.layers[1].get_weights()
    model.layers[0].set_weights([x + 1 for x in first])
    draws = [untrained(model, draw) for draw in (0, 1, 1)]
    np.testing.assert_array_equal(draws[0].get_weights()[0], first[0])
    np.testing.assert_array_equal(draws[1].get_weights()[0], draws[2].get_weights()[0])
    assert np.any(draws[1].get_weights()[0] != first[0])
    for one in draws:
        np.testing.assert_array_equal(one.layers[1].get_weights()[0], frozen[0])


def test_untrained_stacks_have_blocks_of_their_own():
    model = sequential(RKStack(keras.layers.Dense(2), 3))
    one, other = (untrained(model, draw).get_weights()[0] for draw in (0, 1))
    assert len({float(x) for x in (*one[:, 0, 0], *other[:, 0, 0])}) == 6


@pytest.mark.parametrize(
    "rows, size, batch", [(1300, 8, 1300), (5000, 8, 1667), (100, 2**20, 25), (7, 2, 7)]
)
def test_batches_are_large_and_of_one_size(rows, size, batch):
    assert rows_of_a_batch(np.broadcast_to(0.0, (rows, size)), []) == batch
    assert rows_of_a_batch([object()], []) is None


def test_a_trace_in_double_precision():
    """Under JAX's x64, Python's integers are of another type than those that count iterations."""
    with float64():
        model = sequential(RKResidual(keras.layers.Rescaling(-1.0), "euler", 0.5, steps=2))
        runs = runs_of(model)
        assert runs("euler", 2) == pytest.approx(Y * 0.75**4, rel=1e-6)
        assert runs("euler", 4) == pytest.approx(Y * 0.875**8, rel=1e-6)
