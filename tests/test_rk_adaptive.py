"""RKAdaptive: steps of its own choice, against closed solutions and SciPy."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy.integrate import solve_ivp

import keras_rk
from keras_rk import RKMonitor, TableauError
from keras_rk.layers import ConcatTime, RKAdaptive, RKStack
from tests.keras_helpers import MODES, call_in, dense, gradients, normal, numpy, slow

W = -0.7
Y = np.array([[1.0, 2.0], [3.0, -1.0], [0.1, 0.2]], "float32")


class Forced(keras.layers.Layer):
    """f = w y + cos(t)."""

    def build(self, input_shape):
        self.w = self.add_weight((), initializer=keras.initializers.Constant(W))

    def call(self, y, t):
        return self.w * y + ops.cos(t)

    def compute_output_shape(self, input_shape):
        return input_shape


def exact(y, t, w=W, start=0.0):
    """y(t) for y' = w y + cos(t), y(start) = y; by hand."""
    particular = lambda t: (np.sin(t) - w * np.cos(t)) / (1 + w * w)  # noqa: E731
    return np.exp(w * (t - start)) * (y - particular(start)) + particular(t)


class Plain(keras.layers.Layer):
    """A field that is a function of y, and further tensors."""

    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        self.function = function

    def call(self, y, *args):
        return self.function(y, *args)

    def compute_output_shape(self, input_shape, *args):
        return input_shape


def van_der_pol(y):
    x, v = y[..., :1], y[..., 1:]
    return ops.concatenate([v, 5 * (1 - x * x) * v - x], axis=-1)


def decay(y, rate):
    return -rate * y


TIMES = np.array([0, 1, 3, 3.5])


@pytest.mark.parametrize("control", ["sample", *slow("batch")])
@pytest.mark.parametrize("mode", MODES)
def test_values_and_gradients_at_several_times(mode, control):
    """In y, w and the times, against the closed solution."""
    layer = RKAdaptive(Forced(), "dormand_prince54", 1e-5, 1e-6, 64, control=control)
    layer.build((None, 2))
    times = ops.convert_to_tensor(TIMES.astype("float32"))

    def loss(y):
        return ops.sum(layer(y, times=times)[:, 1:] ** 2)

    expected = np.stack([exact(Y, t) for t in TIMES], axis=1)
    found = numpy(call_in(mode, layer, Y, times=times))
    np.testing.assert_allclose(found, expected, atol=2e-5)
    np.testing.assert_array_equal(found[:, 0], Y)
    dy, dw = gradients(loss, layer, Y, mode)
    np.testing.assert_allclose(
        dy, sum(2 * exact(Y, t) * np.exp(W * t) for t in TIMES[1:]), atol=2e-4
    )
    step = 1e-6
    change = [exact(Y, t, W + step) - exact(Y, t, W - step) for t in TIMES[1:]]
    terms = [2 * exact(Y, t) * d / (2 * step) for t, d in zip(TIMES[1:], change, strict=True)]
    np.testing.assert_allclose(dw, np.sum(terms), rtol=1e-4)
    assert layer.statistics.failed == 0


@pytest.mark.parametrize("control", ["sample", "batch"])
def test_gradients_in_times_are_f(control):
    """dy/dt_n = f(t_n, y_n) at every one of them, and -exp(w t) f(t_0, y_0) at the first."""
    layer = RKAdaptive(Forced(), "tsitouras54", 1e-5, 1e-6, 64, control=control)
    layer.build((None, 2))
    y = ops.convert_to_tensor(Y)
    times = np.tile(TIMES, (3, 1)).astype("float32")
    (dt, _) = gradients(lambda t: ops.sum(layer(y, times=t)[:, 1:]), layer, times)
    slopes = [(W * exact(Y, t) + np.cos(t)).sum(axis=1) for t in TIMES]
    first = -slopes[0] * sum(np.exp(W * t) for t in TIMES[1:])
    np.testing.assert_allclose(dt, np.stack([first, *slopes[1:]], axis=1), atol=3e-4)


def test_as_many_evaluations_as_scipy():
    """RK45 has the same pair, norm and guess, and an I controller."""
    layer = RKAdaptive(Plain(van_der_pol), "dormand_prince54", 1e-4, 1e-4, t1=8, control="batch")
    start = np.array([[2.0, 0.0]], "float32")

    def f(t, y):
        return [y[1], 5 * (1 - y[0] ** 2) * y[1] - y[0]]

    found = numpy(layer(start))[0]
    fine = solve_ivp(f, (0, 8), start[0].astype(float), "DOP853", rtol=1e-11, atol=1e-11).y[:, -1]
    scipy = solve_ivp(f, (0, 8), start[0].astype(float), "RK45", rtol=1e-4, atol=1e-4)
    error = np.max(np.abs(found - fine))
    assert error < 2 * np.max(np.abs(scipy.y[:, -1] - fine)) + 1e-4
    statistics = layer.statistics
    assert statistics.rejected > 0
    assert statistics.evaluations == 2 + 6 * (statistics.accepted + statistics.rejected)
    assert statistics.evaluations < 1.2 * scipy.nfev


@pytest.mark.parametrize("control", ["sample", "batch"])
def test_samples_of_their_own(control):
    """A sample with its own rate, times and direction; with its own steps also in company."""
    rates = np.array([[0.1], [60.0], [3.0]], "float32")
    layer = RKAdaptive(Plain(decay), "bogacki_shampine32", 1e-4, 1e-6, control=control)
    ends = np.array([2.0, 1.0, -0.5], "float32")
    y = np.ones((3, 1), "float32")
    found = numpy(layer(y, rates, t1=ends))
    np.testing.assert_allclose(found, np.exp(-rates * ends[:, None]), rtol=1e-3, atol=1e-5)
    if control == "sample":
        alone = numpy(layer(y[:1], rates[:1], t1=ends[:1]))
        np.testing.assert_allclose(found[:1], alone, rtol=1e-6)
        assert layer.statistics.accepted < 10  # and the second one takes many more


def test_ragged_times_forth_and_back():
    layer = RKAdaptive(Forced(), "bogacki_shampine32", 1e-5, 1e-6, 128)
    layer.build((None, 2))
    times = np.array([[0, 1, 1, 1], [0, 0.5, 2, 2], [1, 0, -1, -2]], "float32")
    found = numpy(layer(Y, times=times))
    for n, (row, y) in enumerate(zip(times, Y, strict=True)):
        expected = [exact(y, t, start=row[0]) for t in row]
        np.testing.assert_allclose(found[n], expected, rtol=3e-4, atol=1e-4)
    t = ops.convert_to_tensor(times)
    for gradient in gradients(lambda y: ops.sum(layer(y, times=t) ** 2), layer, Y):
        assert np.all(np.isfinite(gradient))


def blow_up(y):
    return y * y  # from y, infinite at t = 1/y


def test_failure_is_of_the_sample_alone():
    layer = RKAdaptive(
        Plain(blow_up), "tsitouras54", 1e-4, max_steps=40, on_failure="nan", name="f"
    )
    y = np.array([[0.5], [2.0], [-1.0]], "float32")
    with pytest.warns(RuntimeWarning, match="1 sample did not get to the end .*They are NaN"):
        found = numpy(layer(y))
    np.testing.assert_allclose(found[[0, 2]], [[1.0], [-0.5]], rtol=1e-3)
    assert np.isnan(found[1, 0])
    assert layer.statistics.failed == 1
    with pytest.warns(RuntimeWarning):
        (dy,) = gradients(lambda y: ops.sum(ops.where(y > 1, 0.0, layer(y))), layer, y)
    np.testing.assert_allclose(dy, [[4.0], [0.0], [0.25]], rtol=1e-3)

    model = keras.Sequential([keras.Input((1,)), layer])
    monitor = RKMonitor()
    monitor.set_model(model)
    monitor.on_train_begin()
    with pytest.warns(RuntimeWarning, match="1 sample did not"):
        monitor.on_train_batch_end(0)
    logs = {}
    monitor.on_epoch_end(0, logs)
    assert logs["f_failed"] == 1
    assert logs["f_evaluations"] == layer.statistics.evaluations > 100
    assert logs["f_accepted"] > logs["f_rejected"] > 0


def test_failure_is_an_error():
    layer = RKAdaptive(Plain(blow_up), "tsitouras54", max_steps=20)
    with pytest.raises(RuntimeError, match=r"1 sample did not .*max_steps=20.*on_failure='nan'"):
        layer(np.array([[2.0]], "float32"))
    with pytest.raises(RuntimeError, match="1 sample did not"):
        layer.report_failure(layer.statistics.failed)


def test_state_noise_and_losses():
    y = np.ones((64, 4), "float32")
    dropout = RKAdaptive(keras.layers.Dropout(0.5), "bogacki_shampine32", 1e-5)
    once, again = (numpy(dropout(y, training=True)) for _ in range(2))
    drawn = np.isclose(once, np.exp(2), rtol=1e-4)
    assert np.all(drawn | (once == 1))  # one mask all the way: y' = 2 y, or y' = 0
    assert 0.3 < drawn.mean() < 0.7
    assert np.any(once != again)

    normalized = RKAdaptive(keras.layers.BatchNormalization(), "heun_euler21", 1e-2)
    assert np.all(np.isfinite(numpy(normalized(y))))
    with pytest.raises(ValueError, match=r"one function of t and y.*LayerNormalization.*moving"):
        normalized(y, training=True)

    f = keras.layers.Activation("linear", activity_regularizer=keras.regularizers.L2(0.5))
    with_loss = RKAdaptive(f, "heun_euler21", 1e-1)
    with_loss(3 * y)
    np.testing.assert_allclose(numpy(ops.sum(with_loss.losses)), 0.5 * 9 * 4, rtol=1e-5)


def test_saving_and_precision(tmp_path):
    y = keras.Input((2,))
    times = keras.Input((4,))
    options = {"rtol": 1e-2, "control": "batch", "first_step": 0.1, "max_steps": 50}
    layer = RKAdaptive(ConcatTime(dense(2)), "heun_euler21", dtype="mixed_bfloat16", **options)
    model = keras.Model([y, times], layer(y, times=times))
    assert model.output_shape == (None, 4, 2)
    model.save(tmp_path / "model.keras")
    other = keras.saving.load_model(tmp_path / "model.keras")
    assert {name: other.layers[-1].get_config()[name] for name in options} == options
    when = np.array([[0, 0.5, 1, 1.001]] * 3)
    found, again = (ops.cast(one([Y, when]), "float32") for one in (model, other))
    np.testing.assert_array_equal(numpy(found), numpy(again))
    assert keras.backend.standardize_dtype(model([Y, when]).dtype) == "bfloat16"
    assert layer.statistics.accepted >= 3  # the last interval is none in bfloat16


def test_methods_without_reuse():
    layer = RKAdaptive(Forced(), "cash_karp54", 1e-4, 1e-6, t1="3/2", first_step=0.1)
    np.testing.assert_allclose(numpy(layer(Y)), exact(Y, 1.5), atol=1e-4)
    tries = layer.statistics.evaluations / 6
    assert tries == int(tries) >= layer.statistics.accepted


@pytest.mark.parametrize(
    "kwargs, message",
    [
        ({"tableau": "rk4"}, "embedded pair.*'tsitouras54'.*Received: tableau 'rk4'"),
        ({"rtol": -1}, "`rtol` must be a finite number of at least 0"),
        ({"rtol": 0, "atol": 0}, "One of `rtol` and `atol` must be positive"),
        ({"atol": float("nan")}, "`atol` must be"),
        ({"max_steps": 0}, "`max_steps` must be an integer of at least 1"),
        ({"t1": 0}, "`t1` must differ from `t0`"),
        ({"t1": "later"}, "`t1` must be a finite number"),
        ({"control": "all"}, "`control` must be one of"),
        ({"on_failure": "ignore"}, "`on_failure` must be one of"),
        ({"first_step": 0}, "`first_step` must be positive"),
        ({"dt": 0.1}, "RKAdaptive has no argument `dt`"),
        ({"dt0": 0.1}, "that is `first_step` here"),
    ],
    ids=str,
)
def test_bad_arguments(kwargs, message):
    with pytest.raises(ValueError, match=message):
        RKAdaptive(Forced(), **kwargs)


def test_f_is_a_layer():
    with pytest.raises(ValueError, match="`layer` of RKAdaptive must be a Keras layer"):
        RKAdaptive("dense")


def test_a_pair_that_estimates_nothing_is_refused():
    with pytest.raises(TableauError, match="always zero"):
        RKAdaptive(Forced(), keras_rk.Tableau([[], [1]], ["1/2", "1/2"], b_hat=["1/2", "1/2"]))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"times": [0, 2, 1]}, "Times must increase or decrease"),
        ({"times": [1, 1, 1]}, "Each sample needs an interval"),
        ({"times": [[0, 1], [0, 0], [0, 1]]}, "Each sample needs an interval"),
        ({"times": [0, float("nan")]}, "Times must be finite"),
        ({"times": [0]}, "at least two"),
        ({"times": [[0, 1]] * 2}, "a row for each sample"),
        ({"times": [0, 1], "t1": 2}, "leave out `t0` and `t1`"),
        ({"t1": 0}, "Each sample needs an interval"),
        ({"t0": [0, 1]}, "`t0` must be a number, or one for each sample"),
        ({"t1": "1/2"}, "`t1` must be real numbers"),
        ({"times": [[0, 1], [0, 1, 2]]}, "`times` must be real numbers"),
    ],
    ids=str,
)
def test_bad_calls(options, message):
    layer = RKAdaptive(Forced(), max_steps=2)
    layer.build((None, 2))
    with pytest.raises(ValueError, match=message):
        layer(Y, **options)


def test_a_y_that_does_not_fit():
    with pytest.raises(ValueError, match="shape that it is given"):
        RKAdaptive(dense(3))(Y)
    with pytest.raises(ValueError, match="must be one tensor"):
        RKAdaptive(Forced())([Y, Y])
    with pytest.raises(ValueError, match="real numbers"):
        RKAdaptive(Forced())(Y.astype("complex64"))


@pytest.mark.parametrize("inside", [False, True])
def test_it_cannot_be_unrolled(inside):
    layer = RKAdaptive(dense(2))
    layer = RKStack(layer, 2, "euler") if inside else layer
    model = keras.Sequential([keras.Input((2,)), layer])
    with pytest.raises(ValueError, match="steps of RKAdaptive follow from data"):
        keras_rk.unroll(model)


def test_a_mask_and_the_training_flag_reach_f():
    class Seen(keras.layers.Layer):
        supports_masking = True

        def call(self, y, mask=None, training=None):
            mask = ops.cast(mask, y.dtype)[..., None]
            return (2.0 if training else 1.0) * mask * ops.ones_like(y)

        def compute_output_shape(self, input_shape):
            return input_shape

    layer, y = RKAdaptive(Seen(), "heun_euler21"), normal(2, 3, 1)
    mask = np.array([[True, False, True], [False, True, True]])
    for training in (False, True):
        found = layer(y, mask=ops.convert_to_tensor(mask), training=training)
        np.testing.assert_allclose(numpy(found), y + (1 + training) * mask[..., None], rtol=1e-5)


@pytest.mark.parametrize(
    "control, times, shape", [("sample", [0, 1], (2, 1, 1)), ("batch", [0, 1], ())]
)
def test_the_time_that_f_gets(control, times, shape):
    shapes = []

    class Timed(keras.layers.Layer):
        def call(self, y, t):
            shapes.append(tuple(t.shape))
            return 2 * t * ops.ones_like(y)

        def compute_output_shape(self, input_shape):
            return input_shape

    layer = RKAdaptive(Timed(), "heun_euler21", control=control)
    layer.build((2, 3, 1))
    shapes.clear()
    y = normal(2, 3, 1)
    found = numpy(layer(y, times=times))
    assert set(shapes) == {shape}
    np.testing.assert_allclose(found[:, 1], y + 1, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("control", ["sample", "batch"])
def test_an_empty_batch(control):
    layer = RKAdaptive(Forced(), control=control)
    assert tuple(layer(Y[:0]).shape) == (0, 2)
    assert tuple(layer(Y[:0], times=TIMES).shape) == (0, 4, 2)


def test_a_state_of_zeros_needs_no_absolute_tolerance():
    layer = RKAdaptive(Plain(lambda y: W * y), rtol=1e-4, atol=0)
    y = Y * np.float32([1, 0])
    np.testing.assert_allclose(numpy(layer(y)), np.exp(W) * y, rtol=1e-3)
    np.testing.assert_allclose(numpy(layer(0 * Y)), 0 * Y)


def test_the_mask_of_y_has_no_axis_of_times():
    tokens = keras.layers.Embedding(5, 2, mask_zero=True)(np.array([[1, 2, 0], [1, 0, 0]]))
    layer = RKAdaptive(Plain(ops.negative))
    assert layer(tokens)._keras_mask is not None
    assert getattr(layer(tokens, times=TIMES), "_keras_mask", None) is None


def test_times_in_a_column():
    layer, ends = RKAdaptive(Plain(ops.negative), rtol=1e-5), np.float32([[1], [2], [0.5]])
    np.testing.assert_allclose(numpy(layer(Y, t1=ends)), Y * np.exp(-ends), rtol=1e-4)


def test_times_as_inputs_though_f_cannot_be_asked_for_shapes_alone():
    """Keras 3.15.1 on PyTorch asks with tensors of ones where f fails on the meta device.

    Its `ops.split` at given places does; it is `fit` that asks, for metrics that are not built.
    """

    class First(keras.layers.Layer):
        def call(self, y):
            first, rest = ops.split(y, [1], axis=-1)
            return ops.concatenate([rest, -first], axis=-1)

    y, times = keras.Input((2,)), keras.Input((3,))
    model = keras.Model([y, times], RKAdaptive(First(), max_steps=20)(y, times=times))
    model.compile("sgd", "mse")
    x = [np.ones((4, 2)), np.tile([0.0, 0.1, 0.3], (4, 1))]
    target = np.array([np.cos(x[1][0]) + np.sin(x[1][0]), np.cos(x[1][0]) - np.sin(x[1][0])]).T
    assert model.fit(x, np.tile(target, (4, 1, 1)), verbose=0).history["loss"][0] < 1e-6
