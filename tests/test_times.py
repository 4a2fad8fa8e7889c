"""`dt` and `times` of a call: steps of its own sizes, at times of its own."""

from itertools import pairwise

import keras
import numpy as np
import pytest
from keras import ops

from keras_rk import tableaux
from keras_rk.layers import RKResidual, RKStack
from keras_rk.layers.times import over_time
from keras_rk.steps.dense_output import interpolated
from tests.keras_helpers import MODES, call_in, float64, gradients, normal, numpy

COMPILED = MODES[-1]  # where the backend compiles at all
UNEVEN = [0.0, 0.4, 0.5, 1.25]
RAGGED = np.array([[0, 0.5, 1, 1.5], [1, 0.7, 0.7, 0.7], [-1, 0.5, 0.7, 0.7]])


class Decay(keras.layers.Layer):
    """f = -y + cos(t)."""

    def call(self, y, t):
        return ops.cos(t) - y

    def compute_output_shape(self, input_shape):
        return input_shape


def steps_by_hand(tableau, y, times, steps=1):
    """y at the times, by the method written out for y' = cos(t) - y, and all samples by themselves.

    Args:
        y: shape (batch, ...).
        times: shape (batch, T).
    """
    arrays = tableaux.get(tableau).to_numpy()
    results = []
    for row, state in zip(times, y.astype("float64"), strict=True):
        states = [state]
        for start, end in pairwise(row):
            h = (end - start) / steps
            for n in range(steps):
                k = []
                for a, c in zip(arrays.A, arrays.c, strict=True):
                    stage = state + h * sum((x * ki for x, ki in zip(a, k, strict=False)), 0 * y[0])
                    k.append(np.cos(start + (n + c) * h) - stage)
                state = state + h * sum(b * ki for b, ki in zip(arrays.b, k, strict=True))
            states.append(state)
        results.append(states)
    return np.array(results)


def residual(f, *args, **kwargs):
    return RKResidual(f, *args, **kwargs)


def stack(f, *args, **kwargs):
    return RKStack(f, 3, *args, **kwargs)


MAKERS = [residual, stack]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("make", MAKERS)
def test_times_of_the_batch_and_of_each_sample(make, steps, mode):
    layer, y = make(Decay(), "rk4", steps=steps), normal(3, 2)
    layer.build((None, 2))
    for times in (np.array(UNEVEN), RAGGED):
        rows = np.broadcast_to(times, (3, 4))
        expected = steps_by_hand("rk4", y, rows, steps)
        found = numpy(call_in(mode, layer, y, times=times.astype("float32")))
        assert found.shape == (3, 4, 2)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(found[:, 0], y)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(
    "dt", [0.2, [0.1, -0.3, 0.5], [[0.1], [-0.3], [0.5]]], ids=["one", "each", "broadcast"]
)
def test_dt_of_the_batch_and_of_each_sample(make, dt, mode):
    layer, y = make(Decay(), "midpoint", dt=7, steps=2, t0="1/2"), normal(3, 2)
    layer.build((None, 2))
    count = 2 if make is residual else 6
    sizes = np.broadcast_to(np.ravel(dt), (3,))
    times = 0.5 + sizes[:, None] * np.arange(count + 1)
    given = dt if isinstance(dt, float) else ops.convert_to_tensor(dt, "float32")
    found = numpy(call_in(mode, layer, y, dt=given))
    np.testing.assert_allclose(
        found, steps_by_hand("midpoint", y, times)[:, -1], rtol=1e-5, atol=1e-6
    )


class Growth(keras.layers.Layer):
    """f = w y, with y(t) = y_0 exp(w t)."""

    def build(self, input_shape):
        self.w = self.add_weight((), initializer=keras.initializers.Constant(-0.7))

    def call(self, y):
        return self.w * y

    def compute_output_shape(self, input_shape):
        return input_shape


def heun_growth(times, steps, w=-0.7):
    """y(t_n) / y_0 of `steps` steps of Heun's method in each interval."""
    z = w * np.diff(times, axis=-1) / steps
    factors = (1 + z + z**2 / 2) ** steps
    return np.cumprod(np.concatenate([np.ones_like(times[..., :1]), factors], axis=-1), axis=-1)


def derivatives(function, x, eps=1e-6):
    """By central differences, in float64."""
    x = np.asarray(x, "float64")
    moved = [eps * unit.reshape(x.shape) for unit in np.eye(x.size)]
    return np.array([(function(x + d) - function(x - d)) / (2 * eps) for d in moved]).reshape(
        x.shape
    )


def hermite_by_hand(y, h, times, w):
    """y at the times, of shape (batch, T), between two steps of Heun's method of size h, (batch,).

    For y' = w y, written out.
    """
    h = h[:, None]
    place = (times - times[:, :1]) / h
    n = np.clip(place.astype(int), 0, 1)
    x, factor = place - n, 1 + h * w + (h * w) ** 2 / 2
    start, end = factor**n, factor ** (n + 1)
    value = (1 + 2 * x) * (1 - x) ** 2 * start + x**2 * (3 - 2 * x) * end
    value += h * w * (x * (1 - x) ** 2 * start + x**2 * (x - 1) * end)
    return value[..., None] * y[:, None]


def test_interpolation_and_its_gradients():
    layer, y = RKResidual(Growth(), "heun2", steps=2), normal(3, 2)
    layer.build((None, 2))
    start, sizes = ops.convert_to_tensor(y), np.array([0.4, -0.5, 0.6], "float32")
    times = sizes[:, None] * np.array([0, 0.2, 0.9, 1.3, 1.9], "float32") + np.arange(3.0)[:, None]
    times = times.astype("float32")
    found = numpy(call_in(COMPILED, layer, y, times=times, dt=sizes, interpolate=True))
    np.testing.assert_allclose(found, hermite_by_hand(y, sizes, times, -0.7), rtol=1e-5, atol=1e-6)
    weights = normal(3, 5, 2, seed=1)

    def total(times, sizes):
        return ops.sum(ops.multiply(weights, layer(start, times=times, dt=sizes, interpolate=True)))

    def by_hand(times, sizes):
        return np.sum(weights * hermite_by_hand(y, sizes, times, -0.7))

    by_times = gradients(lambda t: total(t, ops.convert_to_tensor(sizes)), layer, times, COMPILED)[
        0
    ]
    expected = derivatives(lambda t: by_hand(t, sizes.astype("float64")), times)
    np.testing.assert_allclose(by_times, expected, rtol=1e-3, atol=1e-4)
    by_size = gradients(lambda h: total(ops.convert_to_tensor(times), h), layer, sizes, COMPILED)[0]
    expected = derivatives(lambda h: by_hand(times.astype("float64"), h), sizes)
    np.testing.assert_allclose(by_size, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "times, dt",
    [
        ([0, 0.3, 1], [0.5, 0.6]),
        ([[0, 0.3, 1], [1, 1.9, 2]], None),
        ([[0, 0.3, 1], [1, 1.9, 2]], [0.5, 0.6]),
    ],
    ids=["sizes", "times", "both"],
)
def test_sizes_and_times_of_the_batch_and_of_each_sample(times, dt):
    """y' = 2 t, which every method of order 2 and its interpolant follow exactly."""

    class Twice(keras.layers.Layer):
        def call(self, y, t):
            return 2 * t * ops.ones_like(y)

        def compute_output_shape(self, input_shape):
            return input_shape

    layer = RKResidual(Twice(), "midpoint", dt=0.5, steps=2, t0=17)
    found = numpy(layer(np.zeros((2, 1), "float32"), times=times, dt=dt, interpolate=True))
    rows = np.broadcast_to(np.array(times), (2, 3))
    np.testing.assert_allclose(found[..., 0], rows**2 - rows[:, :1] ** 2, rtol=1e-5, atol=1e-6)


class Rational(keras.layers.Layer):
    """f = -2 t y^2, with y = 1 / (1 + t^2); `keras.ops` would return float32."""

    def call(self, y, t):
        return -2 * t * y * y

    def compute_output_shape(self, input_shape):
        return input_shape


@pytest.mark.parametrize(
    "tableau, order",
    [("rk4", 4), ("dormand_prince54", 5)],
)
def test_order_of_what_is_between_the_steps(tableau, order):
    """In the middle of the steps: that of the method, or one more than that of the extension."""
    errors = []
    with float64():
        for steps in (8, 16):
            h = 1.2 / steps
            times = np.concatenate([[0], h * (np.arange(steps) + 0.5)])
            layer = RKResidual(Rational(dtype="float64"), tableau, h, steps, dtype="float64")
            y = ops.ones((1, 1), dtype="float64")
            found = numpy(layer(y, times=times, interpolate=True))[0, :, 0]
            errors.append(np.abs(found - 1 / (1 + times**2)).max())
    assert np.log2(errors[0] / errors[1]) > order - 0.3


@pytest.mark.parametrize("remat", [None, "step"])
@pytest.mark.parametrize("make", MAKERS)
def test_gradients_by_times(make, remat):
    layer, y = make(Growth(), "heun2", steps=2, remat=remat), normal(3, 2)
    layer.build((None, 2))
    weights, start = normal(3, 4, 2, seed=1), ops.convert_to_tensor(y)
    times = np.array([[0, 0.5, 0.6, 1], [1, 0.7, 0.4, 0.1], [-1, 0.5, 0.7, 0.7]], "float32")

    def by_hand(times, w=-0.7):
        return np.sum(weights * y[:, None] * heun_growth(times, 2, w)[..., None])

    expected = derivatives(by_hand, times)
    expected[2, 2:] = expected[2, 2] + expected[2, 3], 0  # the same time again is no step
    found = gradients(
        lambda t: ops.sum(ops.multiply(weights, layer(start, times=t))), layer, times, COMPILED
    )
    np.testing.assert_allclose(found[0], expected, rtol=1e-4, atol=1e-5)
    expected = derivatives(lambda w: by_hand(times.astype("float64"), w.item()), [-0.7])
    np.testing.assert_allclose(np.sum(found[1]), expected[0], rtol=1e-4)


@pytest.mark.parametrize("make", MAKERS)
def test_gradients_by_dt(make):
    layer, y = make(Growth(), "heun2", steps=2), normal(3, 2)
    layer.build((None, 2))
    start, sizes = ops.convert_to_tensor(y), np.array([0.1, -0.2, 0.3], "float32")
    count = np.arange(3 if make is residual else 7)

    def by_hand(h):
        return np.sum(y * heun_growth(h[:, None] * count, 1)[:, -1:])

    found = gradients(lambda h: ops.sum(layer(start, dt=h)), layer, sizes, COMPILED)
    np.testing.assert_allclose(found[0], derivatives(by_hand, sizes), rtol=1e-4)


class Towards(keras.layers.Layer):
    """f = (w - y) / (1 - t), a flow that is over at t = 1, where f is infinite or no number."""

    def build(self, input_shape):
        self.w = self.add_weight((), initializer="ones")

    def call(self, y, t):
        return (self.w - y) / (1 - t)

    def compute_output_shape(self, input_shape):
        return input_shape


@pytest.mark.parametrize("make", MAKERS)
def test_no_step_is_taken_at_repeated_times(make):
    """Euler's method is exact for a straight line; after its end nothing more is asked of f."""
    layer, y = make(Towards(), "euler"), ops.convert_to_tensor(np.zeros((2, 1), "float32"))
    layer.build((None, 1))
    times = np.array([[0, 0.25, 1, 1], [0, 0.5, 1, 1]], "float32")
    found = numpy(call_in(COMPILED, layer, y, times=ops.convert_to_tensor(times)))
    np.testing.assert_allclose(found[..., 0], times, rtol=1e-6)
    found = gradients(lambda t: ops.sum(layer(y, times=t)), layer, times, COMPILED)
    assert np.all(np.isfinite(found[0]))
    np.testing.assert_allclose(np.sum(found[1]), np.sum(times), rtol=1e-6)


@pytest.mark.parametrize("times", [[0, 0.7, 1.1, -0.1], [[0, 0.7, 1.1, -0.1]] * 2])
def test_beyond_the_steps_is_no_number(times):
    """Times that nobody knew beforehand: of two steps along y' = 1 of size 1/2."""
    y = ops.zeros((2, 3))
    path = ops.convert_to_tensor(np.array([0.5, 1.0], "float32")[:, None, None] * np.ones((2, 3)))
    slopes = 0.5 * ops.ones((2, 2, 3))
    times = over_time(ops.convert_to_tensor(times, "float32"), 2)
    path = ops.cast(path, "float32")
    found = numpy(interpolated(y, path, [slopes], ops.convert_to_tensor(0.5), times))
    np.testing.assert_allclose(found[:, 0], np.broadcast_to([[0.7], [np.nan], [np.nan]], (3, 3)))
