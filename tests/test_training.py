"""RKResidual in models that train: each way to write a model, each way to compile it."""

import doctest

import keras
import numpy as np
import pytest

from keras_rk import tableaux
from keras_rk.layers import RKResidual, RKStack
from tests.keras_helpers import BACKEND, dense, normal, numpy, slow, unrolled

LAYERS = {
    "dense": (lambda: dense(4), (4,)),
    "conv": (lambda: keras.layers.Conv2D(2, 3, padding="same", activation="relu"), (5, 5, 2)),
    "lstm": (lambda: keras.layers.LSTM(3, return_sequences=True), (4, 3)),
    "batch norm": (
        lambda: keras.Sequential([dense(4), keras.layers.BatchNormalization(), dense(4, seed=1)]),
        (4,),
    ),
}


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.residual = RKResidual(dense(4), "heun2")
        self.head = keras.layers.Dense(1)

    def call(self, y, training=None):
        return self.head(self.residual(y, training=training))


def sequential(f, shape):
    return keras.Sequential(
        [
            keras.Input(shape),
            RKResidual(f, "heun2", "1/2", steps=2),
            keras.layers.Flatten(),
            keras.layers.Dense(1),
        ]
    )


def data(shape):
    x = normal(16, *shape)
    return x, x.reshape(len(x), -1).sum(1, keepdims=True)


def losses(model, shape, jit_compile, epochs=3):
    model.compile(keras.optimizers.Adam(0.01), "mse", jit_compile=jit_compile)
    history = model.fit(*data(shape), epochs=epochs, batch_size=16, shuffle=False, verbose=0)
    return history.history["loss"]


def skip_what_takes_too_long(name, jit_compile):
    if BACKEND == "torch" and jit_compile:
        pytest.skip("torch.compile takes half a minute per model; test_compiled does so")
    if BACKEND == "jax" and not jit_compile and name == "lstm":
        pytest.skip("JAX without jit trains a recurrent layer for most of a minute")


@pytest.mark.parametrize("jit_compile", [False, True], ids=["plain", "jit"])
@pytest.mark.parametrize("name", ["dense", "conv", "batch norm", *slow("lstm")])
def test_training_lowers_the_loss(name, jit_compile):
    skip_what_takes_too_long(name, jit_compile)
    make, shape = LAYERS[name]
    keras.utils.set_random_seed(0)
    history = losses(sequential(make(), shape), shape, jit_compile)
    assert history[-1] < history[0]


@pytest.mark.parametrize("case", ["plain", "mask", "mixed precision"])
def test_compiled(case):
    """The one test that compiles on PyTorch too, where it takes long."""
    policy = "mixed_bfloat16" if case == "mixed precision" else "float32"
    keras.utils.set_random_seed(0)
    layers = [keras.Input((4, 3)), RKResidual(dense(3, dtype=policy), "midpoint", dtype=policy)]
    if case == "mask":
        layers.insert(1, keras.layers.Masking())
    model = keras.Sequential(layers)
    x = normal(16, 4, 3)
    model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=True)
    history = model.fit(x, 2 * x, epochs=3, batch_size=16, verbose=0).history["loss"]
    assert history[-1] < history[0]


@pytest.mark.parametrize("jit_compile", [False, True], ids=["plain", "jit"])
def test_evaluate_is_the_loss_of_predict(jit_compile):
    skip_what_takes_too_long("dense", jit_compile)
    model = sequential(dense(4), (4,))
    model.compile(loss="mse", jit_compile=jit_compile)
    x, target = data((4,))
    expected = np.mean((model.predict(x, verbose=0) - target) ** 2)
    assert model.evaluate(x, target, verbose=0) == pytest.approx(expected, rel=1e-4)


def test_subclassed_model():
    keras.utils.set_random_seed(0)
    history = losses(Subclassed(), (4,), jit_compile="auto")
    assert history[-1] < history[0]


@pytest.mark.parametrize("jit_compile", [False, True], ids=["plain", "jit"])
def test_compiled_or_not_the_prediction_is_the_formula(jit_compile):
    skip_what_takes_too_long("dense", jit_compile)
    f = dense(4)
    model = keras.Sequential([keras.Input((4,)), RKResidual(f, "cooper_verner8", 0.5)])
    model.compile(jit_compile=jit_compile)
    y, kernel, bias = normal(3, 4), numpy(f.kernel), numpy(f.bias)
    expected = unrolled(
        lambda y: np.tanh(y @ kernel + bias), y, tableaux.get("cooper_verner8"), 0.5
    )
    np.testing.assert_allclose(model.predict(y, verbose=0), expected, rtol=1e-4, atol=1e-5)


def test_frozen_f_does_not_move_and_unfrozen_does():
    f = dense(4)
    model = sequential(f, (4,))
    f.trainable = False
    kernel = numpy(f.kernel)
    losses(model, (4,), jit_compile="auto", epochs=1)
    np.testing.assert_array_equal(numpy(f.kernel), kernel)
    f.trainable = True
    losses(model, (4,), jit_compile="auto", epochs=1)
    assert not np.array_equal(numpy(f.kernel), kernel)


def test_mixed_precision_trains():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = sequential(dense(4), (4,))
        history = losses(model, (4,), jit_compile="auto", epochs=8)
    finally:
        keras.config.set_dtype_policy("float32")
    assert history[-1] < history[0]


def test_one_sgd_step_equals_the_hand_written_one():
    """Weights after training agree with those of the same formula built from plain layers."""

    class Heun(keras.layers.Wrapper):
        def call(self, y):
            k1 = self.layer(y)
            k2 = self.layer(y + 0.5 * k1)
            return y + 0.25 * (k1 + k2)

        def compute_output_shape(self, input_shape):
            return input_shape

    kernels = []
    for wrapper in (Heun(dense(4)), RKResidual(dense(4), "heun2", 0.5)):
        model = keras.Sequential([keras.Input((4,)), wrapper])
        model.compile(keras.optimizers.SGD(0.1), "mse")
        model.fit(normal(8, 4), normal(8, 4, seed=1), epochs=3, shuffle=False, verbose=0)
        kernels.append(numpy(wrapper.layer.kernel))
    np.testing.assert_allclose(*kernels, rtol=1e-5, atol=1e-6)
    assert not np.allclose(kernels[0], numpy(_untrained().kernel), atol=1e-3)


def _untrained():
    layer = dense(4)
    layer.build((None, 4))
    return layer


@pytest.mark.parametrize("layer, count", [(RKResidual, 11), (RKStack, 7)])
def test_the_examples_in_the_docstring_run(layer, count):
    examples = doctest.DocTestFinder(recurse=False).find(layer, globs={"np": np})
    context = {"np": np, "keras": keras, layer.__name__: layer}
    results = [
        doctest.DocTestRunner().run(doctest.DocTest(e.examples, context, e.name, None, 0, ""))
        for e in examples
    ]
    assert sum(result.attempted for result in results) == count
    assert all(result.failed == 0 for result in results)
