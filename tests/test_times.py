"""`dt` and `times` of a call: steps of its own sizes, at times of its own."""

from itertools import pairwise

import keras
import numpy as np
import pytest
from keras import ops

from keras_rk import tableaux
from keras_rk.layers import RKResidual, RKStack
from tests.keras_helpers import MODES, call_in, normal, numpy

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
