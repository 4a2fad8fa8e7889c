"""Gradients with respect to weights and input: finite differences, and the unrolled formula."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rk import tableaux
from keras_rk.layers import RKResidual
from tests.keras_helpers import NATIVE, NativeDense, dense, float64, gradients, normal, numpy

METHODS = ["euler", "heun2", "rk4", "ssprk104", "dormand_prince54", "cooper_verner8", "ono10"]


def unrolled_in_keras(f, y, tableau, dt, steps):
    """The formula with every stage, in tensors; it knows nothing of the layer's plan."""
    for _ in range(steps):
        k = []
        for row in tableau.A:
            stage = y
            for a, ki in zip(row, k, strict=False):
                stage = stage + (float(a) * dt) * ki
            k.append(f(stage))
        for b, ki in zip(tableau.b, k, strict=True):
            y = y + (float(b) * dt) * ki
    return y


def weighted_sum(y):
    return ops.sum(y * ops.cast(ops.convert_to_tensor(normal(*y.shape, seed=9)), y.dtype))


@pytest.mark.parametrize("name", METHODS)
def test_gradients_equal_those_of_the_unrolled_formula(name):
    f, y = dense(3), normal(4, 3)
    layer = RKResidual(f, name, 0.5, steps=2)
    layer.build((None, 3))
    tableau = tableaux.get(name)
    ours = gradients(lambda x: weighted_sum(layer(x)), layer, y)
    formula = gradients(lambda x: weighted_sum(unrolled_in_keras(f, x, tableau, 0.5, 2)), layer, y)
    assert len(ours) == 3  # y, kernel, bias
    for one, other in zip(ours, formula, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", [keras.layers.BatchNormalization, keras.layers.LayerNormalization])
def test_gradients_through_statistics_of_the_batch(make):
    f = keras.Sequential([dense(3), make()])
    layer, y = RKResidual(f, "midpoint"), normal(4, 3)
    layer.build((None, 3))

    def by_hand(x):
        return weighted_sum(x + f(x + 0.5 * f(x, training=True), training=True))

    ours = gradients(lambda x: weighted_sum(layer(x, training=True)), layer, y)
    formula = gradients(by_hand, layer, y)
    for one, other in zip(ours, formula, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_gradients_with_respect_to_a_further_input():
    class Shifted(keras.layers.Layer):
        def call(self, y, shift):
            return ops.sin(y + shift)

        def compute_output_shape(self, y_shape, shift_shape):
            return y_shape

    f, y = Shifted(), ops.convert_to_tensor(normal(2, 3))
    layer = RKResidual(f, "midpoint")
    shift = normal(2, 3, seed=1)
    layer(y, ops.convert_to_tensor(shift))
    (ours,) = gradients(lambda s: weighted_sum(layer(y, s)), layer, shift)
    (formula,) = gradients(lambda s: weighted_sum(y + f(y + 0.5 * f(y, s), s)), layer, shift)
    np.testing.assert_allclose(ours, formula, rtol=1e-5, atol=1e-6)


@pytest.fixture(scope="module", params=METHODS)
def differentiated(request):
    """A layer in float64, its gradients, and a function of one flat vector (y, weights)."""
    with float64():
        layer = RKResidual(NativeDense(3, dtype="float64"), request.param, 0.5, 2, dtype="float64")
        layer.build((None, 3))
        point = normal(2, 3).astype("float64")
        tensor = ops.convert_to_tensor(point, dtype="float64")
        total = getattr(NATIVE, "reduce_sum", None) or NATIVE.sum  # ops.sum may return float32
        exact = gradients(lambda x: total(layer(x) ** 2), layer, tensor)
        weights = layer.trainable_weights
        start = [point, *(numpy(weight) for weight in weights)]

        def value(arrays):
            for weight, array in zip(weights, arrays[1:], strict=True):
                weight.assign(ops.convert_to_tensor(array, dtype="float64"))
            result = numpy(layer(ops.convert_to_tensor(arrays[0], dtype="float64")))
            return float(np.sum(result**2))

        yield exact, start, value


@pytest.mark.parametrize("which", [0, 1, 2], ids=["input", "kernel", "bias"])
def test_gradients_equal_finite_differences(differentiated, which):
    exact, start, value = differentiated
    direction = normal(*start[which].shape, seed=7).astype("float64")

    def along(h):
        arrays = list(start)
        arrays[which] = start[which] + h * direction
        return value(arrays)

    h = 1e-3  # fourth-order central differences: error about h**4 and eps / h
    difference = (8 * (along(h) - along(-h)) - (along(2 * h) - along(-2 * h))) / (12 * h)
    assert difference == pytest.approx(np.sum(exact[which] * direction), rel=1e-8)
