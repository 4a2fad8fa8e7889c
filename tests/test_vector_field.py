"""f as a pure function: state is threaded as in code written by hand."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rk.field.vector_field import VectorField
from keras_rk.layers import RKResidual
from tests.keras_helpers import (
    BACKEND,
    PLAIN,
    STATEFUL,
    ByHand,
    WithLoss,
    assert_same_variables,
    batch_normalized,
    dense,
    dropped_out,
    normal,
    numpy,
)


def spectral():
    return keras.layers.SpectralNormalization(dense(3))


def pair(make):
    """The same layer twice, in RKResidual and written by hand."""
    ours, by_hand = RKResidual(make(), "midpoint", steps=2, **PLAIN), ByHand(make())
    ours.build((None, 3))
    by_hand(normal(4, 3))
    by_hand.layer.set_weights(ours.layer.get_weights())
    for one, other in zip(ours.variables, by_hand.variables, strict=True):
        other.assign(numpy(one))
    return ours, by_hand


@pytest.mark.parametrize("make", STATEFUL)
def test_state_and_output_equal_those_of_plain_calls(make):
    ours, by_hand = pair(make)
    before = [numpy(variable) for variable in ours.non_trainable_variables]
    y = normal(4, 3, seed=1)
    results = [numpy(layer(y, training=True)) for layer in (ours, by_hand)]
    np.testing.assert_allclose(*results, rtol=1e-5, atol=1e-6)
    assert_same_variables(ours, by_hand)
    after = [numpy(variable) for variable in ours.non_trainable_variables]
    assert any(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("make", STATEFUL)
def test_state_in_fit_equals_that_of_plain_calls(make):
    ours, by_hand = pair(make)
    for layer in (ours, by_hand):
        model = keras.Sequential([keras.Input((3,)), layer])
        model.compile(keras.optimizers.SGD(0.1), "mse")
        model.fit(normal(8, 3), normal(8, 3, seed=2), batch_size=4, shuffle=False, verbose=0)
    assert_same_variables(ours, by_hand)


def test_stateless_call_returns_state_and_losses():
    f = keras.Sequential([batch_normalized(), WithLoss()])
    layer, y = RKResidual(f, "midpoint"), normal(4, 3)
    layer.build((None, 3))
    before = [numpy(variable) for variable in layer.variables]
    values = [[v.value for v in layer.trainable_variables]]
    values.append([ops.copy(v.value) for v in layer.non_trainable_variables])
    result, state, losses = layer.stateless_call(
        *values, ops.convert_to_tensor(y), training=True, return_losses=True
    )
    np.testing.assert_equal([numpy(variable) for variable in layer.variables], before)
    expected = layer(y, training=True)
    np.testing.assert_allclose(numpy(result), numpy(expected), rtol=1e-5)
    assert len(losses) == len(layer.losses) == 1
    assert float(numpy(losses[0])) == pytest.approx(float(numpy(layer.losses[0])), rel=1e-5)
    for one, other in zip(state, layer.non_trainable_variables, strict=True):
        np.testing.assert_allclose(numpy(one), numpy(other), rtol=1e-5, atol=1e-7)


def test_inference_leaves_the_state_alone():
    layer = RKResidual(batch_normalized(), "rk4")
    layer.build((None, 3))
    before = [numpy(variable) for variable in layer.variables]
    layer(normal(4, 3), training=False)
    np.testing.assert_equal([numpy(variable) for variable in layer.variables], before)


def test_a_layer_that_writes_trainable_weights():
    """SpectralNormalization assigns to its kernel; each evaluation must see the new one."""
    layer = RKResidual(spectral(), "euler", steps=20)
    layer.build((None, 3))
    layer(normal(4, 3), training=True)
    kernel = numpy(layer.layer.layer.kernel)
    assert np.linalg.norm(kernel, 2) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("make", [batch_normalized, dropped_out, spectral])
def test_evaluation_is_pure(make):
    layer = make()
    layer.build((None, 3))
    layer(normal(4, 3))
    field = VectorField(layer, kwargs={"training": True})
    y, state = ops.convert_to_tensor(normal(4, 3)), field.read()
    before = [numpy(variable) for variable in layer.variables]
    k, new_state, *_ = field(state, y)
    np.testing.assert_equal([numpy(variable) for variable in layer.variables], before)
    if BACKEND != "torch" or make is not dropped_out:
        again, *_ = field(state, y)
        np.testing.assert_array_equal(numpy(k), numpy(again))
    field.write(new_state, state)
    after = [numpy(variable) for variable in layer.variables]
    assert any(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_frozen_weights_are_mapped_too():
    f = dense(3)
    layer = RKResidual(f, "midpoint")
    layer.build((None, 3))
    f.trainable = False
    field = VectorField(f)
    assert not any(field.trainable)
    doubled = tuple(2 * value for value in field.read())
    y = ops.convert_to_tensor(normal(4, 3))
    k, *_ = field(doubled, y)
    expected = np.tanh(2 * (numpy(y) @ numpy(f.kernel) + numpy(f.bias)))
    np.testing.assert_allclose(numpy(k), expected, rtol=1e-5, atol=1e-6)
