"""f frozen, adapted and quantized after it was built; masks, losses and precision."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rk.layers import RKResidual, RKStack
from tests.keras_helpers import dense, normal, numpy

BATCH = normal(16, 8, seed=3)


def normalized():
    return keras.Sequential([dense(8), keras.layers.BatchNormalization(momentum=0.1)])


def model_of(*layers):
    model = keras.Sequential([keras.Input((8,)), *layers])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model


def fit(model):
    model.fit(BATCH, 2 * BATCH + 1, batch_size=8, shuffle=False, verbose=0)


@pytest.mark.parametrize("tableau, steps", [("euler", 1), ("rk4", 1), ("heun2", 3)])
def test_freezing_and_unfreezing_f(tableau, steps):
    layer = RKResidual(normalized(), tableau, dt=0.3, steps=steps)
    model = model_of(layer)
    fit(model)
    before = [numpy(v) for v in layer.variables]
    layer.layer.trainable = False
    model.compile(keras.optimizers.SGD(0.1), "mse")
    fit(model_of(layer, keras.layers.Dense(8)))
    np.testing.assert_equal([numpy(v) for v in layer.variables], before)
    for inner in [layer.layer, *layer.layer.layers]:
        inner.trainable = True
    fit(model_of(layer))
    after = [numpy(v) for v in layer.variables]
    assert all(np.any(a != b) for a, b in zip(after, before, strict=True))


@pytest.mark.parametrize("tableau, steps", [("rk4", 1), ("heun2", 3)])
def test_lora_weights_alone_are_trained(tableau, steps):
    layer = RKResidual(normalized(), tableau, dt=0.3, steps=steps)
    model = model_of(layer)
    fit(model)
    kernel = numpy(layer.layer.layers[0].kernel)
    output = numpy(model(BATCH))
    layer.layer.layers[0].enable_lora(2)
    np.testing.assert_allclose(numpy(model(BATCH)), output, rtol=1e-5, atol=1e-5)
    model.compile(keras.optimizers.SGD(0.1), "mse")
    start = [numpy(w) for w in layer.trainable_weights]
    fit(model)
    assert any("lora" in w.name for w in layer.trainable_weights)
    moved = [np.any(numpy(w) != old) for w, old in zip(layer.trainable_weights, start, strict=True)]
    assert all(moved)
    assert np.any(numpy(layer.layer.layers[0].kernel) != kernel)  # with the update


@pytest.mark.parametrize("steps", [1, 3])
def test_int8_stays_close_and_keeps_its_statistics(steps):
    layer = RKResidual(normalized(), "heun2", dt=0.3, steps=steps)
    model = model_of(layer)
    fit(model)
    expected = numpy(model(BATCH, training=False))
    statistics = [numpy(w) for w in layer.statistics.weights]
    model.quantize("int8")
    assert "int8" in [keras.backend.standardize_dtype(v.dtype) for v in layer.variables]
    found = numpy(model(BATCH, training=False))
    assert np.abs(found - expected).max() < 0.05 * np.abs(expected).max()
    np.testing.assert_equal([numpy(w) for w in layer.statistics.weights], statistics)


def test_int8_survives(tmp_path):
    model = model_of(RKResidual(normalized(), "rk4", dt=0.3, steps=2))
    fit(model)
    model.quantize("int8")
    model.save(tmp_path / "model.keras")
    other = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(numpy(other(BATCH)), numpy(model(BATCH)))


class Counting(keras.layers.Layer):
    """A loss of one for each evaluation, and the mean of the mask as derivative."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, y, mask=None):
        self.add_loss(ops.ones(()))
        seen = ops.ones_like(y[..., 0]) if mask is None else ops.cast(mask, y.dtype)
        return ops.ones_like(y) * seen[..., None]

    def compute_output_shape(self, input_shape):
        return input_shape


@pytest.mark.parametrize("remat", [None, "step", "stage"])
@pytest.mark.parametrize("tableau", ["euler", "rk4", "rk8"])
@pytest.mark.parametrize("steps", [1, 3, 40])
def test_losses_count_once_for_each_step(tableau, steps, remat):
    layer = RKResidual(Counting(), tableau, dt=0.1, steps=steps, remat=remat)
    layer(normal(2, 4, 8))
    assert float(numpy(sum(layer.losses))) == pytest.approx(steps)


@pytest.mark.parametrize("remat", [None, "step", "stage"])
@pytest.mark.parametrize(
    "make",
    [
        lambda **kwargs: RKResidual(Counting(), "rk4", dt=0.1, **kwargs),
        lambda **kwargs: RKResidual(Counting(), "rk4", dt=0.1, steps=3, **kwargs),
        lambda **kwargs: RKStack(Counting(), 3, "rk4", dt=0.1, **kwargs),
    ],
)
def test_a_mask_reaches_every_stage(make, remat):
    layer = make(remat=remat)
    mask = np.array([[True, True, False, False]])
    result = numpy(layer(np.zeros((1, 4, 2), "float32"), mask=ops.convert_to_tensor(mask)))
    steps = layer.length
    np.testing.assert_allclose(result[0, :, 0], [0.1 * steps, 0.1 * steps, 0, 0], rtol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize(
    "make",
    [
        lambda f, policy: RKResidual(f, "euler", dt="1/50", steps=50, dtype=policy),
        lambda f, policy: RKResidual(f, "rk4", dt="1/50", steps=50, dtype=policy),
        lambda f, policy: RKStack(f, 50, "rk4", dt="1/50", dtype=policy),
    ],
)
def test_half_precision_inside_f_sums_up_in_float32(make, policy):
    """y' = 0.3 y over 50 steps, within a per cent of float32."""

    def growth(policy):
        f = keras.layers.Rescaling(0.3, dtype=policy)
        layer = make(f, policy)
        return float(np.mean(numpy(ops.cast(layer(np.ones((4, 8), "float32")), "float32"))))

    exact = growth("float32")
    assert exact == pytest.approx(np.exp(0.3), rel=4e-3)
    assert growth(policy) == pytest.approx(exact, rel=0.01)
