"""What lies between the blocks of a stack: constant weights, or interpolated ones."""

import keras
import numpy as np
import pytest

from keras_rk.diagnostics.refinement import linear, refined
from keras_rk.layers import RKResidual, RKStack
from keras_rk.models.inner_layers import method_layers
from tests.diagnosed_networks import (
    discretisation,
    flow,
    head_of,
    normalized_network,
    sequential,
    smooth_field,
    weights_of,
)
from tests.keras_helpers import dense, normal, numpy

Y = 2 * normal(40, 2)
DEPTH, END = 4, 2.0
W, B = weights_of(smooth_field, DEPTH, END)
MIDDLES = END * (np.arange(DEPTH) + 0.5) / DEPTH


def constant_in_blocks(t):
    block = min(int(t / END * DEPTH), DEPTH - 1)
    return W[block], B[block]


def interpolated_between_middles(t):
    """np.interp, entry by entry."""
    W_t = [[np.interp(t, MIDDLES, W[:, i, j]) for j in range(2)] for i in range(2)]
    return np.array(W_t), np.array([np.interp(t, MIDDLES, B[:, i]) for i in range(2)])


@pytest.mark.parametrize(
    "weights, field",
    [
        ("piecewise_constant", constant_in_blocks),
        ("interpolated", interpolated_between_middles),
    ],
)
def test_the_limit_is_the_flow_of_that_field(weights, field):
    outputs = refined(discretisation(DEPTH), "rk4", 32, weights).predict(Y, verbose=0)
    expected = head_of(flow(field, Y, END, steps=800))
    np.testing.assert_allclose(outputs, expected, atol=2e-4)


def test_the_two_limits_differ():
    exact = [flow(f, Y, END, 200) for f in (constant_in_blocks, interpolated_between_middles)]
    assert np.max(np.abs(head_of(exact[0]) - head_of(exact[1]))) > 0.01


@pytest.mark.parametrize("weights", ["piecewise_constant", "interpolated"])
def test_one_substep_is_the_network_itself(weights):
    model = discretisation(DEPTH)
    copy = refined(model, None, 1, weights)
    np.testing.assert_array_equal(numpy(model(Y)), numpy(copy(Y)))


@pytest.mark.parametrize("dt", [0.5, [0.5, "1/3", 1], [-1, -0.5, -0.25]])
def test_interpolated_blocks_have_the_weights_at_their_middles(dt):
    stack = RKStack(dense(2), 3, "heun2", dt, steps=2, trainable_dt=True)
    model = sequential(stack)
    stack.variables[2].assign([0.5, 0.0, -0.5])  # the learned factors of dt
    new = refined(model, None, 3, "interpolated").layers[0]
    assert (new.depth, new.steps, new.tableau.name) == (9, 2, "heun2")
    sizes = np.abs(stack.step_sizes)
    np.testing.assert_allclose(new.step_sizes, np.repeat(stack.step_sizes / 3, 3), rtol=1e-6)
    middles = np.cumsum(sizes) - sizes / 2
    parts = np.repeat(sizes / 3, 3)
    points = np.cumsum(parts) - parts / 2
    for one, other in zip(stack.weights[:2], new.weights[:2], strict=True):
        old, found = (numpy(w).reshape(w.shape[0], -1) for w in (one, other))
        expected = [np.interp(points, middles, column) for column in old.T]
        np.testing.assert_allclose(found, np.stack(expected, axis=1), rtol=1e-5, atol=1e-6)


def test_statistics_of_evaluations_are_interpolated_too():
    model = normalized_network(depth=2, tableau="heun2")
    stack, new = model.layers[0], refined(model, "heun2", 2, "interpolated").layers[0]
    old, found = numpy(stack.statistics.weights[0]), numpy(new.statistics.weights[0])
    assert np.any(old[0] != old[1])
    expected = [old[0], 0.75 * old[0] + 0.25 * old[1], 0.25 * old[0] + 0.75 * old[1], old[1]]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_weight_tied_steps_are_refined_alike():
    model = sequential(RKResidual(dense(2), "euler", 0.5), RKStack(dense(2), 2, "euler", 0.5))
    new = refined(model, "heun2", 4, "interpolated")
    residual, stack = method_layers(new)
    assert (residual.steps, residual.dt, residual.tableau.name) == (4, 0.125, "heun2")
    assert (stack.depth, stack.steps, stack.dt) == (8, 1, 0.125)


def test_a_stack_of_one_block_keeps_its_weights():
    model = sequential(RKStack(dense(2), 1, "euler", 1.0))
    constant, linear = (refined(model, "rk4", 2, w) for w in ("piecewise_constant", "interpolated"))
    np.testing.assert_allclose(numpy(constant(Y)), numpy(linear(Y)), rtol=1e-5, atol=1e-6)


def test_other_layers_keep_their_weights():
    model = keras.Sequential([keras.Input((2,)), RKStack(dense(2), 2), dense(3, seed=4)])
    new = refined(model, None, 2, "interpolated")
    for one, other in zip(model.layers[1].weights, new.layers[1].weights, strict=True):
        np.testing.assert_array_equal(numpy(one), numpy(other))
        assert one is not other


@pytest.mark.parametrize("points", [np.array([-1.0, 0.0, 0.4, 1.0, 2.5, 3.0, 9.0])])
def test_linear_interpolation(points):
    sites, values = np.array([0.0, 1.0, 3.0]), normal(3, 2, 2)
    found = linear(values, sites, points)
    assert found.dtype == values.dtype
    for i, j in np.ndindex(2, 2):
        expected = np.interp(points, sites, values[:, i, j])
        np.testing.assert_allclose(found[:, i, j], expected, rtol=1e-5)
