"""`remat` of the layers: the same values, states and gradients with less memory."""

from functools import cache

import keras
import numpy as np
import pytest
from keras import ops

from keras_rk.layers import RKResidual, RKStack
from tests.keras_helpers import BACKEND, MODES, call_in, dense, gradients, normal, numpy, slow


def plain():
    return dense(3)


def normalized():
    return keras.Sequential([dense(3), keras.layers.BatchNormalization(momentum=0.5)])


def everything():
    """Statistics, seeds and losses."""
    return keras.Sequential(
        [
            dense(3, activity_regularizer="l2", kernel_regularizer="l2"),
            keras.layers.BatchNormalization(momentum=0.5),
            keras.layers.Dropout(0.5, seed=3),
        ]
    )


SHAPES = {
    "one step": lambda f, **kwargs: RKResidual(f, "heun2", dt=0.3, **kwargs),
    "many steps": lambda f, **kwargs: RKResidual(f, "midpoint", dt=0.05, steps=40, **kwargs),
    "stack": lambda f, **kwargs: RKStack(f, 3, "heun2", 0.3, seed=1, **kwargs),
    "stack of steps": lambda f, **kwargs: RKStack(f, 2, "heun2", 0.3, 2, seed=1, **kwargs),
    "stack with after": lambda f, **kwargs: RKStack(
        f, 3, "heun2", 0.3, seed=1, after=keras.layers.BatchNormalization(), **kwargs
    ),
}


@cache  # what is found without `remat` is compared with several
def run(shape, remat, mode):
    """Gradients in training, and the state after one more call."""
    keras.utils.set_random_seed(1)
    layer = SHAPES[shape](everything(), remat=remat)
    layer.build((None, 3))
    y = normal(8, 3)

    def loss(y):
        return ops.sum(layer(y, training=True) ** 2) + sum(layer.losses)

    keras.utils.set_random_seed(2)  # PyTorch's dropout without a seed
    found = gradients(loss, layer, y, mode)
    value = numpy(call_in(mode, layer, y, training=True))
    return found, [value, *(numpy(v) for v in layer.variables)]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("remat", ["step", "stage"])
@pytest.mark.parametrize(
    "shape", ["stack", *slow("one step", "many steps", "stack of steps", "stack with after")]
)
def test_gradients_and_state_are_those_without(shape, remat, mode):
    expected, ours = (run(shape, r, mode) for r in (None, remat))
    for one, other in zip(ours[0], expected[0], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
    for one, other in zip(ours[1], expected[1], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("remat", ["step", "stage"])
@pytest.mark.parametrize("shape", ["one step", "many steps", "stack"])
@pytest.mark.skipif(BACKEND != "torch", reason="elsewhere every random number has a seed")
def test_dropout_without_a_seed_drops_the_same_in_both_passes(shape, remat):
    """f is linear in y, so the gradient is known from the value: y' dL/dy = 2 L."""
    keras.utils.set_random_seed(1)
    f = keras.Sequential([keras.layers.Dense(3, use_bias=False), keras.layers.Dropout(0.5)])
    layer = SHAPES[shape](f, remat=remat)
    layer.build((None, 3))
    y = ops.convert_to_tensor(normal(8, 3))
    values = []

    def loss(y):
        values.append(ops.sum(layer(y, training=True) ** 2))
        return values[-1]

    dy, *_ = gradients(loss, layer, numpy(y), "eager")
    assert (dy * numpy(y)).sum() == pytest.approx(2 * float(numpy(values[-1])), rel=1e-3)


@cache
def losses_of_fit(shape, remat):
    keras.utils.set_random_seed(1)
    layer = SHAPES[shape](normalized(), remat=remat)
    model = keras.Sequential([keras.Input((3,)), layer])
    model.compile(keras.optimizers.SGD(0.01), "mse")
    history = model.fit(normal(16, 3), normal(16, 3, seed=1), epochs=3, verbose=0)
    return history.history["loss"]


@pytest.mark.parametrize("remat", ["step", "stage"])
@pytest.mark.parametrize("shape", ["stack", *slow("one step", "many steps")])
def test_fit(shape, remat):
    np.testing.assert_allclose(losses_of_fit(shape, None), losses_of_fit(shape, remat), rtol=1e-4)


ESTIMATED = {
    "one step": lambda f, **k: RKResidual(f, "bogacki_shampine32", dt=1, **k),
    "many steps": lambda f, **k: RKResidual(f, "bogacki_shampine32", 0.2, 20, **k),
    "stack": lambda f, **k: RKStack(f, 3, "bogacki_shampine32", 1, seed=1, **k),
}
LEARNED = {
    "trainable_dt": (SHAPES, {"trainable_dt": True}),
    "trainable_tableau": (SHAPES, {"trainable_tableau": True}),
    "error_estimate": (ESTIMATED, {"error_weight": 1.0}),
}


@cache
def gradients_with(learned, shape, remat):
    shapes, arguments = LEARNED[learned]
    keras.utils.set_random_seed(1)
    layer = shapes[shape](plain(), remat=remat, **arguments)
    layer.build((None, 3))
    loss = lambda y: ops.sum(layer(y) ** 2) + sum(layer.losses)  # noqa: E731
    return gradients(loss, layer, normal(8, 3), MODES[-1])


@pytest.mark.parametrize("learned", LEARNED)
@pytest.mark.parametrize("remat", ["step", *slow("stage")])
@pytest.mark.parametrize("shape", ["stack", *slow("one step", "many steps")])
def test_with_learned_methods(shape, remat, learned):
    found, expected = (gradients_with(learned, shape, r) for r in (remat, None))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("remat", ["step", "stage"])
def test_f_of_time(remat):
    class Driven(keras.layers.Layer):
        def build(self, input_shape):
            self.w = self.add_weight((), initializer="ones")

        def call(self, y, t):
            return ops.sin(self.w * y + t)

        def compute_output_shape(self, input_shape):
            return input_shape

    def found(remat):
        layer = RKResidual(Driven(), "rk4", dt=0.1, steps=20, remat=remat)
        layer.build((None, 3))
        return gradients(lambda y: ops.sum(layer(y) ** 2), layer, normal(8, 3), MODES[-1])

    for one, other in zip(found(remat), found(None), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
