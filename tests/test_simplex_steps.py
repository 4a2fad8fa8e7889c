"""Step sizes of a stack that share out a fixed sum: `trainable_dt="simplex"`."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rk import unroll, with_method
from keras_rk.layers import RKResidual, RKStack, RKTransformerEncoder
from tests.keras_helpers import dense, gradients, normal, numpy

DTS = {"equal": (0.3, 0.9), "exact": ([1, "1/2", 0.25], 1.75), "backwards": ([-1, -2, -3], -6.0)}


def simplex(dt=0.3, f=None, tableau="heun2", **kwargs):
    layer = RKStack(f or dense(3), 3, tableau, dt, seed=1, trainable_dt="simplex", **kwargs)
    layer.build((None, 3))
    return layer


def give(layer, theta):
    next(w for w in layer.weights if w.name == "log_dt_ratio").assign(theta)


def softmax(x):
    powers = np.exp(x - np.max(x))
    return powers / powers.sum()


@pytest.mark.parametrize("name", DTS)
def test_steps_start_as_given_and_keep_sign_and_sum(name):
    dt, total = DTS[name]
    layer = simplex(dt)
    start = np.broadcast_to([float(layer.exact_dts[n]) for n in range(3)], 3)
    np.testing.assert_allclose(layer.step_sizes, start, rtol=3e-7)
    fixed = RKStack(dense(3), 3, "heun2", dt, seed=1)
    fixed.build((None, 3))
    fixed.set_weights([w for w in layer.get_weights() if w.shape != (3,)])
    y = normal(4, 3)
    np.testing.assert_allclose(numpy(layer(y)), numpy(fixed(y)), rtol=1e-5, atol=1e-6)
    for theta in ([0.3, -1.2, 2.0], [0, 500, -500], [-2000, -2000, -2000]):
        give(layer, theta)
        expected = total * softmax(np.array(theta) + np.log(start / total))
        np.testing.assert_allclose(layer.step_sizes, expected, rtol=1e-4, atol=1e-30)
        assert np.sum(layer.step_sizes) == pytest.approx(total, rel=1e-6)
        assert np.all(layer.step_sizes * total >= 0)


def test_the_gradient_is_that_of_the_shares():
    """y + sum dt_n c_n has the derivative dt_m (c_m - mean of c), weighted by dt."""
    f = keras.layers.Dense(3, kernel_initializer="zeros", bias_initializer="random_normal")
    layer = simplex([0.1, 0.3, 0.6], f, "euler")
    give(layer, [0.5, 0.0, -1.0])
    kernels, biases = (numpy(w) for w in layer.weights[:2])
    assert not np.any(kernels)  # so that f is constant
    rates, steps = biases.sum(axis=1), layer.step_sizes
    place = 1 + [w.name for w in layer.trainable_weights].index("log_dt_ratio")
    found = gradients(lambda y: ops.sum(layer(y)), layer, normal(1, 3))[place]
    expected = steps * (rates - np.sum(steps * rates) / np.sum(steps))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)
    give(layer, [0, 300, -300])
    assert np.all(np.isfinite(gradients(lambda y: ops.sum(layer(y)), layer, normal(1, 3))[place]))


class Clock(keras.layers.Layer):
    def call(self, y, t):
        return t + 0 * y


def test_the_last_block_ends_when_it_did():
    """y' = t by a method of order 2: (t_end^2 - t_0^2) / 2 whatever the steps are."""
    layer = simplex([1, "1/2", "1/2"], Clock(), t0=1)
    for theta in ([0, 0, 0], [2.0, -1.0, 0.5]):
        give(layer, theta)
        np.testing.assert_allclose(numpy(layer(np.zeros((1, 3)))), (3**2 - 1) / 2, rtol=1e-5)


@pytest.fixture(scope="module")
def trained():
    layer = RKStack(dense(3), 3, "heun2", "1/5", seed=1, trainable_dt="simplex", name="stack")
    model = keras.Sequential([keras.Input((3,)), layer])
    model.compile(keras.optimizers.Adam(0.1), "mse")
    for _ in range(4):
        model.train_on_batch(normal(16, 3), 2 * normal(16, 3) + 1)
    return model


def test_the_sum_is_kept_under_training_and_saving(trained, tmp_path):
    layer = trained.get_layer("stack")
    assert np.ptp(layer.step_sizes) > 0.01
    assert np.sum(layer.step_sizes) == pytest.approx(0.6, rel=1e-6)
    assert layer.get_config()["trainable_dt"] == "simplex"
    trained.save(tmp_path / "model.keras")
    other = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(other.layers[0].step_sizes, layer.step_sizes)
    y = normal(4, 3)
    np.testing.assert_array_equal(numpy(other(y)), numpy(trained(y)))


def test_other_methods_share_out_the_same_sum(trained):
    layer = trained.get_layer("stack")
    finer = with_method(trained, "rk4", substeps=2).get_layer("stack")
    np.testing.assert_allclose(finer.step_sizes, layer.step_sizes / 2, rtol=1e-6)
    anew = with_method(trained, dt=[1, 2, 3]).get_layer("stack")
    np.testing.assert_allclose(anew.step_sizes, [1, 2, 3], rtol=1e-6)
    with pytest.raises(ValueError, match="all of `dt` must be positive, or all negative"):
        with_method(trained, dt=[1, -2, 3])


def test_single_layers_have_the_sizes_and_no_sum(trained):
    layer, y = trained.get_layer("stack"), normal(4, 3)
    blocks = layer.unstack()
    assert [block.trainable_dt for block in blocks] == [True] * 3
    np.testing.assert_allclose([b.step_sizes for b in blocks], layer.step_sizes, rtol=1e-6)
    again = RKStack.from_layers(blocks)
    assert again.trainable_dt is True
    for network in (again, unroll(trained)):
        np.testing.assert_allclose(numpy(network(y)), numpy(trained(y)), rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="method of a stack of RKResidual layers is theirs"):
        RKStack.from_layers(blocks, trainable_dt="simplex")


REFUSED = {
    "one block": (lambda: RKResidual(dense(3), trainable_dt="simplex"), "blocks of an RKStack"),
    "an encoder": (
        lambda: RKTransformerEncoder(8, 2, trainable_dt="simplex"),
        "blocks of an RKStack",
    ),
    "two signs": (lambda: simplex([1, -1, 1]), r"Received: dt=\[1.0, -1.0, 1.0\]"),
    "another word": (lambda: RKStack(dense(3), 2, trainable_dt="cube"), "also 'simplex'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    make, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        make()
