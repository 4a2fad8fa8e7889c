"""Variables that f uses but does not own: read, trained and updated as in code written by hand."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rk.layers import RKResidual
from tests.keras_helpers import PLAIN, STATEFUL, ByHand, assert_same_variables, dense, normal, numpy


class Owner(keras.Model):
    """Owns a layer, which f calls."""

    def __init__(self, wrap, shared):
        super().__init__()
        self.shared = shared
        self.shared.build((None, 3))
        self.residual = wrap(keras.layers.Lambda(lambda y: shared(y)))

    def call(self, y, training=None):
        return self.residual(y, training=training)


def midpoint(f):
    return RKResidual(f, "midpoint", steps=2, **PLAIN)


# name: with RKResidual, written by hand
WRAPPERS = {
    "plain": (midpoint, ByHand),
    "nested": (lambda f: midpoint(midpoint(f)), lambda f: ByHand(ByHand(f))),
    "mixed precision around": (
        lambda f: RKResidual(midpoint(f), "euler", dtype="mixed_bfloat16"),
        lambda f: RKResidual(ByHand(f), "euler", dtype="mixed_bfloat16"),
    ),
}


def pair(make, wrapper="plain"):
    ours, by_hand = (Owner(wrap, make()) for wrap in WRAPPERS[wrapper])
    for model in (ours, by_hand):
        model(normal(4, 3))
    for one, other in zip(by_hand.variables, ours.variables, strict=True):
        one.assign(numpy(other))
    return ours, by_hand


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("make", STATEFUL)
def test_foreign_state_of_a_call(make, wrapper):
    ours, by_hand = pair(make, wrapper)
    before = [numpy(variable) for variable in ours.shared.non_trainable_variables]
    y = normal(4, 3, seed=1)
    results = [numpy(ops.cast(model(y, training=True), "float32")) for model in (ours, by_hand)]
    np.testing.assert_allclose(*results, rtol=1e-5, atol=1e-6)
    assert_same_variables(ours, by_hand)
    after = [numpy(variable) for variable in ours.shared.non_trainable_variables]
    assert any(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("make", [dense, *STATEFUL])
def test_foreign_variables_in_fit(make):
    ours, by_hand = pair(make)
    before = [numpy(variable) for variable in ours.variables]
    for model in (ours, by_hand):
        model.compile(keras.optimizers.SGD(0.1), "mse")
        model.fit(
            normal(8, 3), normal(8, 3, seed=2), batch_size=4, epochs=2, shuffle=False, verbose=0
        )
    assert_same_variables(ours, by_hand)
    after = [numpy(variable) for variable in ours.variables]
    assert all(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("make", STATEFUL)
def test_foreign_variables_of_a_stateless_call(make):
    ours, by_hand = pair(make)
    before = [numpy(variable) for variable in ours.variables]
    y = ops.convert_to_tensor(normal(4, 3, seed=1))
    values = [
        [ops.copy(variable.value) for variable in variables]
        for variables in (ours.trainable_variables, ours.non_trainable_variables)
    ]
    result, state = ours.stateless_call(*values, y, training=True)
    np.testing.assert_equal([numpy(variable) for variable in ours.variables], before)
    np.testing.assert_allclose(
        numpy(result), numpy(by_hand(y, training=True)), rtol=1e-5, atol=1e-6
    )
    for one, other in zip(state, by_hand.non_trainable_variables, strict=True):
        np.testing.assert_allclose(numpy(one), numpy(other), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("steps", [1, 3])
def test_noise_without_a_seed_is_new_in_each_evaluation(steps):
    class Noise(keras.layers.Layer):
        def call(self, y):
            return keras.random.normal((2, 3))

        def compute_output_shape(self, input_shape):
            return input_shape

    layer = RKResidual(Noise(), "euler", steps=steps)
    y = np.zeros((2, 3))
    first, second = numpy(layer(y)), numpy(layer(y))
    assert not np.array_equal(first, second)
    if steps == 3:  # three equal samples would have three times, not sqrt(3) times the spread
        total = numpy(RKResidual(Noise(), "euler", steps=300)(y)) / 300
        assert np.abs(total).max() < 0.5
