"""Convolutions inside a loop are those outside: values and all derivatives, of every kind."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rk.loops import Loop
from tests.keras_helpers import BACKEND, MODES, gradients, normal

MODE = MODES[-1]  # compiled by XLA, where there is such a thing
LENGTH = 2


def conv(**kwargs):
    return lambda x, w: ops.conv(x, w, **{"padding": "same", **kwargs})


def depthwise(**kwargs):
    return lambda x, w: ops.depthwise_conv(x, w, **{"padding": "same", **kwargs})


def transposed(**kwargs):
    return lambda x, w: ops.conv_transpose(x, w, **{"padding": "same", **kwargs})


FIRST = {"data_format": "channels_first"}
KINDS = {
    # name: a function of x and w, their shapes
    "plain": (conv(), (2, 6, 5, 3), (3, 2, 3, 4)),
    "valid": (conv(padding="valid"), (2, 6, 5, 3), (3, 2, 3, 4)),
    "strides": (conv(strides=(2, 3)), (2, 7, 8, 3), (3, 2, 3, 4)),
    "strides that leave a rest": (
        conv(strides=3, padding="valid"),
        (2, 8, 9, 3),
        (2, 2, 3, 4),
    ),
    "strides longer than the kernel": (conv(strides=3), (2, 8, 7, 3), (1, 2, 3, 4)),
    "dilated": (conv(dilation_rate=(2, 1)), (2, 7, 5, 3), (3, 2, 3, 4)),
    "1D": (conv(), (2, 7, 3), (3, 3, 4)),
    "1D, strides": (conv(strides=2), (2, 7, 3), (3, 3, 4)),
    "3D": (conv(strides=(1, 2, 1)), (2, 3, 4, 3, 2), (2, 3, 2, 2, 3)),
    "groups": (conv(strides=(2, 1)), (2, 5, 4, 4), (3, 2, 2, 6)),
    "as many groups as channels": (conv(), (2, 5, 4, 4), (3, 3, 1, 8)),
    "1D, groups": (conv(), (2, 5, 4), (3, 2, 6)),
    "depthwise": (depthwise(), (2, 5, 4, 3), (3, 2, 3, 1)),
    "depthwise, strides": (depthwise(strides=2), (2, 5, 6, 3), (3, 3, 3, 1)),
    "depthwise, dilated": (depthwise(dilation_rate=2), (2, 6, 5, 3), (3, 2, 3, 1)),
    "depthwise, several outputs": (depthwise(padding="valid"), (2, 5, 4, 3), (3, 2, 3, 2)),
    "depthwise, a large kernel": (depthwise(), (2, 3, 9, 2), (2, 8, 2, 1)),
    "depthwise, one channel": (depthwise(), (2, 5, 4, 1), (3, 2, 1, 2)),
    "depthwise, 1D": (depthwise(), (2, 6, 3), (3, 3, 1)),
    "transposed": (transposed(), (2, 4, 3, 3), (3, 2, 4, 3)),
    "transposed, strides": (transposed(strides=2), (2, 4, 3, 3), (3, 3, 4, 3)),
    "transposed, 1D": (transposed(strides=2, padding="valid"), (2, 4, 3), (3, 4, 3)),
    "transposed, 3D": (transposed(), (2, 3, 2, 3, 2), (2, 2, 2, 3, 2)),
    "3D, dilated": (conv(dilation_rate=2), (2, 3, 4, 3, 2), (2, 2, 2, 2, 3)),
    "pointwise": (conv(), (2, 4, 3, 3), (1, 1, 3, 5)),
}
if BACKEND == "jax":  # TensorFlow convolves so on a GPU alone, or compiled
    KINDS |= {
        "channels first": (conv(strides=(2, 1), **FIRST), (2, 3, 6, 5), (3, 2, 3, 4)),
        "groups, channels first": (conv(**FIRST), (2, 4, 5, 4), (3, 2, 2, 6)),
        "depthwise, channels first": (depthwise(**FIRST), (2, 3, 5, 4), (3, 3, 3, 1)),
        "transposed, channels first": (
            transposed(strides=2, **FIRST),
            (2, 3, 4, 3),
            (3, 3, 4, 3),
        ),
    }


def values(kind):
    """x and w, small enough for products of several."""
    _, x, w = KINDS[kind]
    return normal(*x, seed=1), normal(*w, seed=2) / 3


def looped(kind, x, w, remat=False):
    """A scalar of what comes out of a loop, each entry with another weight."""
    f = KINDS[kind][0]

    def body(carry, _x, constants):
        y = f(carry[0], constants[0])
        return (carry[0] * ops.sin(ops.mean(y) + 1),), (y,)

    outputs = (f(x, w),)
    carry, kept = Loop().scan(body, (x,), (), (w,), LENGTH, outputs=outputs, key=kind, remat=remat)
    return weighted(carry[0]) + weighted(kept[0])


def written_out(kind, x, w):
    f, kept = KINDS[kind][0], []
    for _ in range(LENGTH):
        y = f(x, w)
        x = x * ops.sin(ops.mean(y) + 1)
        kept.append(y)
    return weighted(x) + weighted(ops.stack(kept))


def weighted(x):
    return ops.sum(ops.sin(x) * ops.convert_to_tensor(normal(*x.shape, seed=3)))


class Kernel(keras.layers.Layer):
    """Holds a kernel, so that gradients are taken with respect to it."""

    def __init__(self, value):
        super().__init__()
        self.kernel = self.add_weight(value.shape, initializer="zeros")
        self.kernel.assign(value)


def both(kind, function, mode):
    x, w = values(kind)
    kernel = Kernel(w)
    return gradients(
        lambda x: function(kind, x, ops.convert_to_tensor(kernel.kernel)), kernel, x, mode
    )


def assert_close(ours, expected, tolerance=2e-5):
    for one, other in zip(ours, expected, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * np.abs(other).max())


@pytest.mark.parametrize("kind", KINDS)
def test_gradients(kind):
    expected = both(kind, written_out, MODE)
    assert min(np.abs(part).max() for part in expected) > 1e-3
    assert_close(both(kind, looped, MODE), expected)


SOME = ["strides", "groups", "depthwise, strides", "transposed, strides", "1D"]


@pytest.mark.parametrize("kind", SOME)
def test_gradients_with_rematerialisation(kind):
    again = both(kind, lambda *values: looped(*values, remat=True), MODE)
    assert_close(again, both(kind, written_out, MODE))
