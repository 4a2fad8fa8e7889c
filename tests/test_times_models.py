"""`dt` and `times` of a call in models: trained, saved, with state, masks and half precision."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_rk
from keras_rk.layers import ConcatTime, RKResidual
from tests.keras_helpers import dense, normal, numpy
from tests.test_times import RAGGED, UNEVEN, Decay, residual, stack, steps_by_hand

# --------------------------------------------------------------------------- in models

FORWARD = np.array([[0, 0.5, 1, 1.5], [1, 1.2, 1.2, 1.2], [-1, 0.5, 0.7, 0.7]], "float32")


def timed_model(times=4, make=residual, interpolate=False, **kwargs):
    """Time-dependent f, with times, or a dt, from the model's input."""
    y, t = keras.Input((3,)), keras.Input(() if times is None else (times,), name="times")
    layer = make(ConcatTime(dense(3)), "heun2", **kwargs)
    given = {"dt": t} if times is None else {"times": t}
    if interpolate:
        given["interpolate"] = True
    encoder = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])
    return keras.Model([y, t], keras.layers.Dense(1)(layer(encoder(y), **given)))


@pytest.mark.parametrize(
    "make, times, kwargs",
    [
        (residual, 4, {"steps": 3, "remat": "step"}),
        (residual, 4, {"steps": 4, "dt": 0.75, "interpolate": True}),
        (stack, 4, {}),
        (residual, None, {"steps": 2}),
    ],
    ids=["residual", "interpolated", "stack", "dt"],
)
def test_a_functional_model_trains_and_survives(make, times, kwargs, tmp_path):
    model = timed_model(times, make, **kwargs)
    assert model.output_shape == ((None, 4, 1) if times else (None, 1))
    model.compile("sgd", "mse")
    y = normal(3, 3)
    t = np.array([0.1, 0.3, -0.2], "float32") if times is None else FORWARD
    target = normal(3, 4, 1) if times else normal(3, 1)
    before = [numpy(w).copy() for w in model.trainable_weights]
    assert np.isfinite(model.train_on_batch([y, t], target))
    for weight, old in zip(model.trainable_weights, before, strict=True):
        assert np.any(numpy(weight) != old)
    expected = model.predict_on_batch([y, t])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict_on_batch([y, t]), expected, rtol=1e-5, atol=1e-6)


def test_times_that_are_written_into_a_model(tmp_path):
    """As numbers in its configuration, exact; in half precision, too, nothing is rounded."""
    y, layer = keras.Input((2,)), RKResidual(Decay(dtype="float32"), "rk4", dtype="mixed_bfloat16")
    times = np.array([100.0, 100.001, 100.003])
    model = keras.Model(y, layer(y, times=times))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", custom_objects={"Decay": Decay})
    found = numpy(ops.cast(again(np.zeros((1, 2), "float32")), "float32"))
    np.testing.assert_allclose(found[0, :, 0], np.cos(100) * (times - 100), rtol=0.01)


def test_a_subclassed_model_learns_its_time():
    """dt as a weight of a model: y' = -y over the time that leads from 1 to 1/2."""

    class Learner(keras.Model):
        def __init__(self):
            super().__init__()
            self.h = self.add_weight((), initializer=keras.initializers.Constant(0.1))
            self.block = RKResidual(keras.layers.Rescaling(-1.0), "rk4", steps=4)

        def call(self, y):
            return self.block(y, dt=self.h)

    model = Learner()
    model.compile(keras.optimizers.SGD(0.1), "mse")
    ones = np.ones((4, 1), "float32")
    for _ in range(20):
        model.train_on_batch(ones, ones / 2)
    np.testing.assert_allclose(4 * numpy(model.h), np.log(2), rtol=1e-3)


class MaskedOut(keras.layers.Layer):
    """f = 1 where the mask is true."""

    def __init__(self):
        super().__init__()
        self.supports_masking = True

    def call(self, y, mask=None):
        return ops.expand_dims(ops.cast(mask, y.dtype), -1) * ops.ones_like(y)

    def compute_output_spec(self, y, mask=None):
        return keras.KerasTensor(y.shape, y.dtype)


class WithMask(keras.layers.Layer):
    """Remembers the mask of what it is called with."""

    def __init__(self):
        super().__init__()
        self.supports_masking = True

    def call(self, y, mask=None):
        self.mask = mask
        return y


def test_a_mask_does_not_pass_to_the_times():
    """f sees it; the result, which has an axis more, does not carry it."""
    layer, y = RKResidual(MaskedOut(), "euler"), normal(2, 4, 3)
    mask = ops.convert_to_tensor([[True, True, False, False]] * 2)
    seen = WithMask()
    found = numpy(seen(layer(y, mask=mask, times=[0, 1.0])))
    np.testing.assert_allclose(found[:, 1], y + numpy(mask)[..., None], rtol=1e-6)
    assert seen.mask is None
    seen(layer(y, mask=mask, dt=1.0))
    assert seen.mask is not None


# --------------------------------------------------------------------------- what f has


def test_the_time_of_each_sample_in_a_functional_f():
    """An input t of one number takes the time of all, and that of each."""
    y, t = keras.Input((2,)), keras.Input((1,), name="t")
    f = keras.Model([y, t], keras.layers.Subtract()([ops.cos(t) * ops.ones_like(y), y]))
    layer, start = RKResidual(f, "rk4"), normal(3, 2)
    for times in (UNEVEN, RAGGED):
        expected = steps_by_hand("rk4", start, np.broadcast_to(times, (3, 4)))
        found = numpy(layer(start, times=times))
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    scalar = keras.Input(batch_shape=(), name="t")
    layer = RKResidual(keras.Model([y, scalar], scalar * y))
    with pytest.raises(ValueError, match=r"scalar as its input `t`.*keras.Input\(\(1,\)"):
        layer(start, times=RAGGED)


def batch_norm(state, tableau="euler"):
    f = keras.Sequential([dense(3), keras.layers.BatchNormalization(momentum=0.5)])
    return RKResidual(f, tableau, state=state)


@pytest.mark.parametrize("tableau", ["euler", "heun2"])
def test_statistics_of_each_evaluation_need_as_many_evaluations(tableau):
    layer, y = batch_norm("per_evaluation", tableau), normal(8, 3)
    layer(y, dt=0.5, training=True)
    layer(y, times=[0, 0.5], training=True)
    with pytest.raises(ValueError, match=r"choose `state='first'` or `state='shared'`"):
        layer(y, times=[0, 0.5, 1], training=True)
    assert numpy(RKResidual(dense(3), tableau)(y, times=[0, 0.5, 1])).shape == (8, 3, 3)


@pytest.mark.parametrize("state", ["first", "shared"])
def test_one_set_of_statistics_takes_any_times(state):
    layer, y = batch_norm(state, "heun2"), normal(8, 3)
    layer(y, times=[0, 0.5, 1], training=True)
    f, norm = layer.layer.layers
    expected, state_of_y = np.zeros(3), y.astype("float64")
    w, bias = (numpy(v).astype("float64") for v in f.weights)
    for _ in range(2):
        k = []
        for stage in range(2):
            x = np.tanh((state_of_y + 0.5 * stage * sum(k, 0 * y)) @ w + bias)
            if stage == 0 or state == "shared":
                expected = 0.5 * expected + 0.5 * x.mean(0)
            k.append((x - x.mean(0)) / np.sqrt(x.var(0) + 1e-3))
        state_of_y = state_of_y + 0.25 * (k[0] + k[1])
    np.testing.assert_allclose(numpy(norm.moving_mean), expected, rtol=1e-3, atol=1e-5)


def test_an_error_estimate_is_the_mean_of_all_steps():
    """Of Heun's method with Euler's in it, for y' = y: h^2 / 2 y_n in each step."""
    layer = RKResidual(keras.layers.Rescaling(1.0), "heun_euler21", error_estimate=True)
    layer(np.ones((1, 1), "float32"), times=[0, 0.5, 0.75])
    first = 1 + 0.5 + 0.125
    np.testing.assert_allclose(layer.estimated_error, (0.125 + first / 32) / 2, rtol=1e-5)


# --------------------------------------------------------------------------- what follows steps


def test_what_follows_the_steps_of_a_layer_refuses_others():
    y = keras.Input((3,))
    layer = RKResidual(dense(3), "rk4", name="block")
    model = keras.Model(y, layer(y, dt=0.5))
    timed = keras.Model(y, layer(y, times=[0, 0.5]))
    for one in (model, timed):
        with pytest.raises(ValueError, match="Unrolling follows the steps that a layer takes by"):
            keras_rk.unroll(one)
        with pytest.raises(ValueError, match="diagnosis follows the steps that a layer takes by"):
            keras_rk.diagnostics.lipschitz(one, normal(4, 3))
    with pytest.raises(ValueError, match="a call gives a `dt` of its own, divide that"):
        keras_rk.with_method(model, substeps=2)


def test_another_method_keeps_the_times_of_a_call():
    y = normal(3, 2)
    start = keras.Input((2,))
    model = keras.Model(start, RKResidual(Decay(), "euler")(start, times=UNEVEN))
    other = keras_rk.with_method(model, "rk4", substeps=2)
    expected = steps_by_hand("rk4", y, np.broadcast_to(UNEVEN, (3, 4)), 2)
    np.testing.assert_allclose(numpy(other(y)), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", [residual, stack])
def test_learned_coefficients_and_further_inputs(make):
    """Nodes that are learned give the times of each sample; a context is that of its sample."""

    class Forced(Decay):
        def call(self, y, context, t):
            return super().call(y, t) + context

        def compute_output_shape(self, input_shape, *others, **more):
            return input_shape

    layer, y = make(Forced(), "rk4", trainable_tableau=True), normal(3, 2)
    found = numpy(layer(y, np.zeros((3, 2), "float32"), times=RAGGED))
    expected = steps_by_hand("rk4", y, RAGGED)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    context = normal(3, 2, seed=1)
    found = numpy(layer(y, context, times=RAGGED))
    alone = numpy(layer(y[1:2], context[1:2], times=RAGGED[1]))
    np.testing.assert_allclose(found[1:2], alone, rtol=1e-5, atol=1e-6)
