"""Many steps in a loop are the same steps in Python: value, state, losses and gradients."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rk.layers import RKResidual
from keras_rk.steps import integration
from tests.keras_helpers import (
    BACKEND,
    MODES,
    PLAIN,
    WithLoss,
    assert_same_variables,
    batch_normalized,
    call_in,
    dense,
    dropped_out,
    gradients,
    noisy,
    normal,
    numpy,
)

DT = 0.1


@pytest.fixture(autouse=True)
def _never_unrolled(monkeypatch):
    """Loops of few steps, too, are loops of the backend."""
    monkeypatch.setattr(integration, "UNROLLED", 0, raising=False)


class Steps(keras.layers.Wrapper):
    """Steps of the midpoint method, each evaluation a plain call."""

    def __init__(self, layer, steps, **kwargs):
        super().__init__(layer, **kwargs)
        self.steps = steps

    def call(self, y, *further):
        for _ in range(self.steps):
            y = y + DT * self.layer(y + 0.5 * DT * self.layer(y, *further), *further)
        return y

    def compute_output_shape(self, input_shape, *further):
        return input_shape


class Remembering(keras.layers.Layer):
    """One variable holds the value that another one had before."""

    def build(self, input_shape):
        self.mean = self.add_weight((), initializer="zeros", trainable=False)
        self.previous = self.add_weight((), initializer="zeros", trainable=False)
        self.calls = self.add_weight((), initializer="zeros", trainable=False, dtype="int32")

    def call(self, y):
        self.previous.assign(self.mean)
        self.mean.assign(ops.stop_gradient(ops.mean(y)))
        self.calls.assign_add(1)
        return ops.sin(y) + self.previous

    def compute_output_shape(self, input_shape):
        return input_shape


def spectral():
    return keras.layers.SpectralNormalization(dense())


def quiet():
    """Noise whose size is that of the state, not of many steps of it."""
    return keras.Sequential([noisy(), dense()])


STATEFUL = {
    "batch norm": batch_normalized,
    "dropout": dropped_out,
    "noise": quiet,
    "spectral": spectral,
    "memory": Remembering,
}


def reference(name, mode):
    """How to execute what is written by hand: TensorFlow draws other numbers under XLA."""
    return mode if BACKEND == "tensorflow" and name in ("dropout", "noise") else "eager"


def pair(make, steps, *further):
    """The same layer twice, in RKResidual and written by hand."""
    ours = RKResidual(make(), "midpoint", DT, steps=steps, **PLAIN)
    by_hand = Steps(make(), steps)
    inputs = [ops.convert_to_tensor(x) for x in (normal(4, 3), *further)]
    ours(*inputs)
    by_hand(*inputs)
    for one, other in zip(ours.variables, by_hand.variables, strict=True):
        other.assign(numpy(one))
    return ours, by_hand


def weighted(y):
    return ops.sum(y * ops.convert_to_tensor(normal(*y.shape, seed=9)))


def assert_same_state(ours, by_hand):
    """(`stateless_call`, which JAX compiles, returns no trainable variables.)"""
    pairs = zip(ours.non_trainable_variables, by_hand.non_trainable_variables, strict=True)
    for one, other in pairs:
        np.testing.assert_allclose(numpy(one), numpy(other), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "name, steps", [*((name, 3) for name in STATEFUL), ("batch norm", 50), ("memory", 50)]
)
def test_value_and_state(name, steps, mode):
    ours, by_hand = pair(STATEFUL[name], steps)
    before = [numpy(v).copy() for v in ours.non_trainable_variables]
    y = normal(4, 3, seed=1)
    result = numpy(call_in(mode, ours, y, training=True))
    expected = numpy(call_in(reference(name, mode), by_hand, y, training=True))
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)
    assert_same_state(ours, by_hand)
    after = [numpy(v) for v in ours.non_trainable_variables]
    assert any(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", STATEFUL)
def test_gradients(name, mode):
    if name == "spectral" and BACKEND != "jax":
        pytest.skip("by hand, only JAX differentiates what is assigned to a weight")
    ours, by_hand = pair(STATEFUL[name], 5)
    y, how = normal(4, 3, seed=1), reference(name, mode)
    found = gradients(lambda x: weighted(ours(x, training=True)), ours, y, mode)
    expected = gradients(lambda x: weighted(by_hand(x, training=True)), by_hand, y, how)
    assert len(found) == 1 + len(ours.trainable_weights)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_gradients_of_many_steps(mode):
    ours, by_hand = pair(dense, 50)
    y = normal(4, 3, seed=1)
    found = gradients(lambda x: weighted(ours(x)), ours, y, mode)
    expected = gradients(lambda x: weighted(by_hand(x)), by_hand, y)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3 * np.abs(other).max())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", STATEFUL)
def test_inference(name, mode):
    ours, by_hand = pair(STATEFUL[name], 5)
    before = [numpy(v).copy() for v in ours.variables]
    y = normal(4, 3, seed=1)
    result = numpy(call_in(mode, ours, y, training=False))
    if name != "memory":  # which does not look at `training`
        np.testing.assert_equal([numpy(v) for v in ours.variables], before)
    expected = numpy(by_hand(ops.convert_to_tensor(y), training=False))
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)


# ----------------------------------------------------------------------------------------- losses

WITH_LOSSES = {
    "add_loss": WithLoss,
    "activity": lambda: dense(activity_regularizer="l2"),
    "both": lambda: keras.Sequential([dense(activity_regularizer="l2"), WithLoss()]),
}


@pytest.mark.parametrize("steps", [2, 50])
@pytest.mark.parametrize("name", WITH_LOSSES)
def test_losses(name, steps):
    ours, by_hand = pair(WITH_LOSSES[name], steps)
    y = ops.convert_to_tensor(normal(4, 3, seed=1))
    ours(y)
    by_hand(y)
    (loss,) = ours.losses
    expected = sum(float(numpy(x)) for x in by_hand.losses) / 2  # the mean over two stages
    assert float(numpy(loss)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", WITH_LOSSES)
def test_gradients_of_losses(name, mode):
    ours, by_hand = pair(WITH_LOSSES[name], 5)
    y = normal(4, 3, seed=1)

    def penalized(layer, share):
        def compute(x):
            with keras.StatelessScope(collect_losses=True) as scope:
                result = layer(x)
            return weighted(result) + share * sum(scope.losses)

        return compute

    found = gradients(penalized(ours, 1.0), ours, y, mode)
    expected = gradients(penalized(by_hand, 0.5), by_hand, y)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


# --------------------------------------------------------------------------------- further inputs


class Shifted(keras.layers.Layer):
    def build(self, *shapes, **kwargs):
        self.scale = self.add_weight((3,), initializer="ones")

    def call(self, y, context):
        return ops.sin(y * self.scale + context)

    def compute_output_shape(self, y_shape, context_shape):
        return y_shape


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("steps", [2, 50])
def test_gradients_with_respect_to_a_context(steps, mode):
    ours, by_hand = pair(Shifted, steps, normal(4, 3))
    both = np.stack([normal(4, 3, seed=1), normal(4, 3, seed=2)])
    found = gradients(lambda x: weighted(ours(x[0], x[1])), ours, both, mode)
    expected = gradients(lambda x: weighted(by_hand(x[0], x[1])), by_hand, both)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3 * np.abs(other).max())


class Masked(keras.layers.Layer):
    """-y where the mask is set."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, y, mask=None):
        return -y * ops.cast(mask, "float32")[..., None]

    def compute_output_shape(self, input_shape):
        return input_shape


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("given", ["by a layer", "by keyword"])
def test_masks(given, mode):
    y = normal(2, 4, 3)
    y[:, 2:] = 0.0
    residual = RKResidual(Masked(), "euler", DT, steps=5)
    if given == "by a layer":
        layer = keras.Sequential([keras.Input((4, 3)), keras.layers.Masking(), residual])
        result = call_in(mode, layer, y)
    else:
        y[:, 2:] = 1.0
        mask = np.array([[True, True, False, False]] * 2)
        residual.build((None, 4, 3))
        result = call_in(mode, residual, y, mask=ops.convert_to_tensor(mask))
    expected = y.copy()
    expected[:, :2] *= (1 - DT) ** 5
    np.testing.assert_allclose(numpy(result), expected, rtol=1e-5)


# ------------------------------------------------------------------------------- foreign variables


class Owner(keras.Model):
    """Owns a layer, which f calls."""

    def __init__(self, wrap, make):
        super().__init__()
        self.shared = make()
        self.shared.build((None, 3))
        self.residual = wrap(keras.layers.Lambda(lambda y: self.shared(y), lambda shape: shape))

    def call(self, y, training=None):
        return self.residual(y, training=training)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["batch norm", "dropout", "spectral"])
def test_foreign_variables(name, mode):
    ours = Owner(lambda f: RKResidual(f, "midpoint", DT, steps=5, **PLAIN), STATEFUL[name])
    by_hand = Owner(lambda f: Steps(f, 5), STATEFUL[name])
    y = ops.convert_to_tensor(normal(4, 3, seed=1))
    for model in (ours, by_hand):
        model(y)
    for one, other in zip(ours.variables, by_hand.variables, strict=True):
        other.assign(numpy(one))
    result = numpy(call_in(mode, ours, y, training=True))
    expected = numpy(call_in(reference(name, mode), by_hand, y, training=True))
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)
    assert_same_state(ours, by_hand)


# ---------------------------------------------------------------- few steps are written out or not


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["batch norm", "dropout"])
def test_loop_or_not(name, mode, monkeypatch):
    """The same values and state from the loop of the backend and from steps written out."""
    (one, _), (other, _) = pair(STATEFUL[name], 4), pair(STATEFUL[name], 4)
    for a, b in zip(one.variables, other.variables, strict=True):
        b.assign(numpy(a))
    y = normal(4, 3, seed=1)
    looped = numpy(call_in(mode, one, y, training=True))
    monkeypatch.setattr(integration, "UNROLLED", 10**6, raising=False)
    written_out = numpy(call_in(mode, other, y, training=True))
    np.testing.assert_allclose(looped, written_out, rtol=1e-5, atol=1e-6)
    assert_same_variables(one, other)
