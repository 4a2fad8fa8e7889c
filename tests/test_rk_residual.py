"""RKResidual computes Runge-Kutta steps: to the last bit for Euler, and for every method."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rk import Tableau, tableaux
from keras_rk.layers import RKResidual
from tests.keras_helpers import NativeDense, dense, float64, normal, numpy, unrolled

LAYERS = {
    "dense": (lambda: dense(4), (5, 4)),
    "conv1d": (lambda: keras.layers.Conv1D(4, 3, padding="same", activation="tanh"), (5, 6, 4)),
    "conv2d": (lambda: keras.layers.Conv2D(2, 3, padding="same", activation="relu"), (2, 6, 5, 2)),
    "lstm": (lambda: keras.layers.LSTM(4, return_sequences=True), (3, 6, 4)),
    "layer norm": (lambda: keras.layers.LayerNormalization(), (5, 4)),
    "sequential": (lambda: keras.Sequential([dense(7), dense(4, seed=1)]), (5, 4)),
    "functional": (lambda: _functional(), (5, 4)),
    "attention": (lambda: _attention(), (2, 5, 4)),
    "nested": (lambda: RKResidual(dense(4), "heun2", 0.5), (5, 4)),
}


def _functional():
    y = keras.Input((4,))
    return keras.Model(y, keras.layers.multiply([dense(4)(y), dense(4, seed=1)(y)]))


def _attention():
    y = keras.Input((None, 4))
    return keras.Model(y, keras.layers.MultiHeadAttention(2, 2)(y, y))


class PlainResidual(keras.layers.Wrapper):
    """y + f(y), as one writes it by hand."""

    def call(self, inputs):
        return inputs + self.layer(inputs)

    def compute_output_shape(self, input_shape):
        return input_shape


@pytest.mark.parametrize("name", LAYERS)
def test_euler_is_y_plus_f_bit_for_bit_eagerly(name):
    make, shape = LAYERS[name]
    f, y = make(), normal(*shape)
    expected = PlainResidual(f)(y)
    np.testing.assert_array_equal(numpy(RKResidual(f, "euler")(y)), numpy(expected))


@pytest.mark.parametrize("jit_compile", [False, True], ids=["graph", "jit"])
@pytest.mark.parametrize("name", ["dense", "sequential", "conv2d"])
def test_euler_is_y_plus_f_bit_for_bit_in_predict(name, jit_compile):
    if jit_compile and keras.backend.backend() == "torch":
        pytest.skip("torch.compile takes half a minute per model; test_compiled does so")
    make, shape = LAYERS[name]
    y = keras.Input(shape[1:])
    f = make()
    models = [keras.Model(y, RKResidual(f, "euler")(y)), keras.Model(y, PlainResidual(f)(y))]
    for model in models:
        model.compile(jit_compile=jit_compile)
    ours, plain = (model.predict(normal(*shape), verbose=0) for model in models)
    np.testing.assert_array_equal(ours, plain)


def as_numpy(layer):
    """What a built `dense()` or `NativeDense` computes, in NumPy's float64."""
    kernel, bias = (numpy(weight).astype("float64") for weight in layer.weights)
    return lambda y: np.tanh(y @ kernel + bias)


@pytest.fixture(scope="module")
def field():
    layer = dense(3)
    layer.build((None, 3))
    return layer, as_numpy(layer)


@pytest.fixture(scope="module")
def double_field():
    with float64():
        layer = NativeDense(3, dtype="float64")
        layer.build((None, 3))
        yield layer, as_numpy(layer)


@pytest.mark.parametrize("name", tableaux.names())
def test_every_named_method_equals_numpy(name, double_field):
    layer, f = double_field
    y = normal(4, 3)
    result = RKResidual(layer, name, dt=0.5, steps=2, dtype="float64")(y)
    expected = unrolled(f, y.astype("float64"), tableaux.get(name), 0.5, steps=2)
    # Coefficients as large as 10,000 lose four digits in stages that cancel (verner65, verner87).
    np.testing.assert_allclose(numpy(result), expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize(
    ("family", "arguments"),
    [
        ("third_order", ("2/3", 0, "1/5")),
        ("extrapolated_midpoint", (6,)),
        ("deferred_correction", (5,)),
        ("compose", ("bogacki_shampine32", "ralston4")),
        ("richardson", ("heun2",)),
        ("runge_kutta_chebyshev", (7, 2)),
        ("runge_kutta_gegenbauer", (6, 1)),
    ],
)
def test_families_equal_numpy(family, arguments, double_field):
    layer, f = double_field
    tableau = getattr(tableaux, family)(*arguments)
    y = normal(4, 3)
    result = RKResidual(layer, tableau, dt=0.5, steps=2, dtype="float64")(y)
    expected = unrolled(f, y.astype("float64"), tableau, 0.5, steps=2)
    np.testing.assert_allclose(numpy(result), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("dt", [0.1, -0.5, "1/3", "sqrt(2)/2"])
@pytest.mark.parametrize("steps", [1, 3])
def test_dt_and_steps(dt, steps, field):
    layer, f = field
    y = normal(4, 3)
    value = {"1/3": 1 / 3, "sqrt(2)/2": 0.5**0.5}.get(dt, dt)
    result = RKResidual(layer, "rk4", dt, steps)(y)
    expected = unrolled(f, y.astype("float64"), tableaux.get("rk4"), value, steps)
    np.testing.assert_allclose(numpy(result), expected, rtol=1e-5, atol=1e-6)


def test_backward_steps_undo_forward_steps(field):
    layer, _ = field
    y = normal(4, 3)
    there = RKResidual(layer, "cooper_verner8", 0.5)(y)
    np.testing.assert_allclose(numpy(RKResidual(layer, "rk8", -0.5)(there)), y, atol=1e-6)


@pytest.mark.parametrize(
    "tableau",
    [
        Tableau([[], ["1/2"]], [0, 1]),
        ([[], ["1/2"]], [0, 1]),
        ([[0, 0], [0.5, 0]], [0, 1], [0, 0.5]),
        (np.array([[0, 0], [0.5, 0]]), np.array([0.0, 1.0])),
        "midpoint",
    ],
    ids=["tableau", "rows", "matrix and nodes", "numpy", "name"],
)
def test_ways_to_give_a_tableau(tableau, field):
    layer, f = field
    y = normal(4, 3)
    expected = unrolled(f, y.astype("float64"), tableaux.get("midpoint"), 0.5)
    result = numpy(RKResidual(layer, tableau, 0.5)(y))
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", LAYERS)
def test_rk4_of_any_layer_is_the_formula(name):
    make, shape = LAYERS[name]
    f, y = make(), ops.convert_to_tensor(normal(*shape))
    k1 = f(y)
    k2 = f(y + 0.25 * k1)
    k3 = f(y + 0.25 * k2)
    k4 = f(y + 0.5 * k3)
    expected = y + 0.5 / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    result = RKResidual(f, "rk4", 0.5)(y)
    np.testing.assert_allclose(numpy(result), numpy(expected), rtol=1e-5, atol=1e-5)


def test_evaluates_f_once_per_needed_stage():
    class Counting(keras.layers.Layer):
        calls = 0

        def call(self, y):
            self.calls += 1
            return -y

    f = Counting()
    layer = RKResidual(f, "dormand_prince54")  # 7 stages, of which 6 have a use
    layer.build((None, 3))
    f.calls = 0
    layer(normal(2, 3))
    assert f.calls == 6


def test_a_method_without_weights_returns_its_input():
    layer = RKResidual(dense(3), ([[]], [0]), require="explicit")
    y = normal(2, 3)
    np.testing.assert_array_equal(numpy(layer(y)), y)
