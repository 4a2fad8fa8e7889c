"""Losses that f adds: once per step, as the mean over stages; each counted once by Keras."""

import gc
import weakref

import keras
import numpy as np
import pytest
from keras import ops

from keras_rk.layers import RKResidual
from tests.keras_helpers import BACKEND, WithLoss, dense, normal, numpy


class LossesOfDtypes(keras.layers.Layer):
    """Adds one for each dtype."""

    def __init__(self, *dtypes, **kwargs):
        super().__init__(**kwargs)
        self.dtypes = dtypes

    def call(self, y):
        for dtype in self.dtypes:
            self.add_loss(ops.ones((), dtype=dtype))
        return -y

    def compute_output_shape(self, input_shape):
        return input_shape


@pytest.mark.parametrize("steps", [1, 3])
def test_losses_count_once_per_step_as_the_mean_over_stages(steps):
    layer = RKResidual(WithLoss(), "rk4", dt=1.0, steps=steps)
    layer(np.zeros((2, 1)))
    # y at the stages of step n: n, n + 1/2, n + 1/2, n + 1
    expected = sum(n + 0.5 for n in range(steps))
    assert [float(loss) for loss in layer.losses] == [pytest.approx(expected)]


def test_losses_of_weights_count_once():
    layer = RKResidual(dense(3, kernel_regularizer="l2"), "rk4", steps=2)
    layer(normal(2, 3))
    assert len(layer.losses) == 1
    expected = 0.01 * np.sum(numpy(layer.layer.kernel) ** 2)
    assert float(numpy(layer.losses[0])) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("method", ["euler", "rk4"])
def test_losses_in_fit(method):
    """The trainer sees each loss once, although Keras recognises losses by their address."""
    y = keras.Input((1,))
    state = y
    for _ in range(8):
        state = RKResidual(WithLoss(), method)(state)
    model = keras.Model(y, state)
    model.compile(keras.optimizers.SGD(0.0), loss=None)
    history = model.fit(np.zeros((4, 1)), batch_size=4, epochs=2, verbose=0)
    stage = {"euler": 0.0, "rk4": 0.5}[method]
    assert history.history["loss"] == [pytest.approx(sum(n + stage for n in range(8)))] * 2


def test_losses_are_not_mistaken_for_each_other():
    """Keras recognises a layer's losses by `id`, which a freed tensor leaves to a new one."""
    y = keras.Input((1,))
    model = keras.Model(y, keras.Sequential([RKResidual(WithLoss()) for _ in range(20)])(y))
    variables = model.trainable_variables, model.non_trainable_variables
    _, _, losses = model.stateless_call(*variables, ops.zeros((4, 1)), return_losses=True)
    assert sorted(float(loss) for loss in losses) == [n + 0.5 for n in range(20)]


def test_activity_regularizer_inside_f():
    f, y = keras.layers.Identity(activity_regularizer="l2"), np.full((2, 1), 3.0)
    f(y)
    (expected,) = f.losses
    layer = RKResidual(keras.layers.Identity(activity_regularizer="l2"), "euler")
    layer(y)
    (loss,) = layer.losses
    assert float(loss) == pytest.approx(float(expected)) != 0


@pytest.mark.parametrize("dtypes", [["bfloat16", "float32"], ["float32", "float16", "bfloat16"]])
@pytest.mark.parametrize("method", ["euler", "rk4"])
def test_losses_of_several_dtypes(dtypes, method):
    layer = RKResidual(LossesOfDtypes(*dtypes), method, steps=2)
    layer(normal(2, 3))
    (loss,) = layer.losses
    assert keras.backend.standardize_dtype(loss.dtype) == "float32"
    assert float(numpy(loss)) == pytest.approx(2 * len(dtypes))


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_regularizers_of_several_dtypes_in_fit(policy):
    y, f = keras.Input((3,)), []
    for dtype in ("float32", "bfloat16"):
        f.append(dense(3, dtype=dtype, activity_regularizer="l2"))
    model = keras.Model(y, RKResidual(keras.Sequential(f), "heun2", dtype=policy)(y))
    model.compile(keras.optimizers.SGD(0.0), "mse")
    history = model.fit(normal(4, 3), normal(4, 3), verbose=0).history["loss"]
    assert np.isfinite(history).all()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_many_losses_add_up_in_half_precision(dtype):
    layer = RKResidual(LossesOfDtypes(dtype), "euler", "1/300", steps=300)
    layer(normal(2, 3))
    assert [float(numpy(loss)) for loss in layer.losses] == [300]


@pytest.mark.parametrize("nested", [False, True], ids=["plain", "nested"])
def test_losses_of_stages_live_as_long_as_the_scope_around(nested):
    references = []

    class Recorded(keras.layers.Layer):
        def call(self, y):
            loss = ops.mean(y)
            references.append(weakref.ref(loss))
            self.add_loss(loss)
            return -y

        def compute_output_shape(self, input_shape):
            return input_shape

    f = RKResidual(Recorded(), "heun2") if nested else Recorded()
    layer = RKResidual(f, "rk4")
    layer.build((None, 3))
    references.clear()
    y = ops.convert_to_tensor(normal(2, 3))
    with keras.StatelessScope(collect_losses=True) as scope:
        layer(y)
    assert len(references) == (8 if nested else 4)
    assert all(reference() is not None for reference in references)
    del scope
    gc.collect()
    assert all(reference() is None for reference in references)


@pytest.mark.skipif(BACKEND != "jax", reason="only JAX has leaks of traced values to check")
@pytest.mark.parametrize("method", ["euler", "rk4"])
def test_nothing_traced_is_left_behind(method):
    import jax

    layer = RKResidual(dense(3, activity_regularizer="l2"), method)
    layer.build((None, 3))
    values = [v.value for v in layer.trainable_variables], []

    @jax.jit
    def call(y):
        return layer.stateless_call(*values, y, return_losses=True)

    with jax.checking_leaks():
        _, _, losses = call(ops.convert_to_tensor(normal(2, 3)))
    assert len(losses) == 1
