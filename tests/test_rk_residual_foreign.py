"""Variables that f uses but does not own: read, trained and updated as in code written by hand.

Also those that it owns and that are no part of it: what its metrics count.
"""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rk.layers import RKResidual, RKStack
from tests.keras_helpers import (
    BACKEND,
    PLAIN,
    STATEFUL,
    ByHand,
    assert_same_variables,
    dense,
    normal,
    numpy,
)


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


def compiled(fitted):
    """A model with a training of its own, as a pretrained network has."""
    f = keras.Sequential([keras.Input((3,)), dense(3)])
    f.compile("sgd", "mse", metrics=["mae"])
    if fitted:
        f.fit(normal(4, 3), normal(4, 3), verbose=0)
    return f


class Holder(keras.layers.Layer):
    def __init__(self, held):
        super().__init__()
        self.held = held

    def call(self, y):
        return self.held(y)

    def compute_output_shape(self, input_shape):
        return input_shape


COMPILED = {
    "model": lambda: midpoint(compiled(fitted=False)),
    "fitted": lambda: midpoint(compiled(fitted=True)),
    "rematerialised": lambda: RKResidual(compiled(fitted=True), "midpoint", remat="stage"),
    "in a layer": lambda: midpoint(Holder(compiled(fitted=True))),
    "stack": lambda: RKStack(compiled(fitted=True), 2, "midpoint"),
    "stacked": lambda: RKStack.from_layers([compiled(fitted=True), compiled(fitted=False)]),
}


@pytest.mark.parametrize("make", COMPILED.values(), ids=COMPILED.keys())
def test_a_compiled_f_in_fit(make):
    layer = make()
    model = keras.Sequential([keras.Input((3,)), layer])
    before = [numpy(weight) for weight in layer.trainable_weights]
    model.compile(keras.optimizers.SGD(0.1), "mse", metrics=["mae"])
    model.fit(normal(8, 3), normal(8, 3, seed=2), verbose=0)
    model.evaluate(normal(8, 3), normal(8, 3, seed=2), verbose=0)
    after = [numpy(weight) for weight in layer.trainable_weights]
    assert len(after) == 2
    assert all(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))


class Counting(keras.layers.Layer):
    """Has a metric, which counts the numbers that it sees."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seen = keras.metrics.Sum()

    def call(self, y):
        self.seen.update_state(ops.ones_like(y))
        return -y

    def compute_output_shape(self, input_shape):
        return input_shape


@pytest.mark.parametrize("in_fit", [False, True], ids=["call", "fit"])
@pytest.mark.parametrize(
    ("wrap", "evaluations"),
    [
        (lambda f: RKResidual(f, "midpoint"), 2),
        (lambda f: RKResidual(f, "euler", steps=3, remat="step"), 3),
        (lambda f: RKStack(f, 2, "midpoint"), 4),
    ],
    ids=["stages", "steps", "stack"],
)
def test_a_metric_that_f_updates(wrap, evaluations, in_fit):
    if in_fit and BACKEND == "jax":
        pytest.skip("Keras on JAX takes no metric that a layer updates in `fit`")
    layer = wrap(Counting())
    if in_fit:
        model = keras.Sequential([keras.Input((3,)), layer, keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        model.fit(normal(4, 3), normal(4, 1), verbose=0)
    else:
        layer(normal(4, 3))
    assert layer.weights == []
    assert float(numpy(layer.layer.seen.result())) == evaluations * 4 * 3
