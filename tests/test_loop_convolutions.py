"""Convolutions inside a loop are those outside: values and all derivatives, of every kind."""

import importlib
import re
from functools import partial
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import ops

from keras_rk.loops import Loop
from tests.keras_helpers import BACKEND, MODES, gradients, normal, numpy, slow

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
QUICK = ("plain", "strides", "groups", "depthwise, strides", "transposed, strides")


def values(kind):
    """x and w, small enough for products of several."""
    _, x, w = KINDS[kind]
    return normal(*x, seed=1), normal(*w, seed=2) / 3


def looped(kind, x, w, remat=False, keep=True):
    """A scalar of what comes out of a loop, each entry with another weight."""
    f = KINDS[kind][0]

    def body(carry, _x, constants):
        y = f(carry[0], constants[0])
        return (carry[0] * ops.sin(ops.mean(y) + 1),), (y,) if keep else ()

    outputs = (f(x, w),) if keep else ()
    carry, kept = Loop().scan(body, (x,), (), (w,), LENGTH, outputs=outputs, key=kind, remat=remat)
    return sum(weighted(part) for part in (*carry, *kept))


def written_out(kind, x, w, keep=True):
    f, kept = KINDS[kind][0], []
    for _ in range(LENGTH):
        y = f(x, w)
        x = x * ops.sin(ops.mean(y) + 1)
        kept.append(y)
    return weighted(x) + (weighted(ops.stack(kept)) if keep else 0)


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


@pytest.mark.parametrize("kind", [*QUICK, *slow(*(kind for kind in KINDS if kind not in QUICK))])
def test_gradients(kind):
    expected = both(kind, written_out, MODE)
    assert min(np.abs(part).max() for part in expected) > 1e-3
    assert_close(both(kind, looped, MODE), expected)


SOME = ["strides", "groups", "depthwise, strides", "transposed, strides", "1D"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", SOME)
def test_gradients_with_rematerialisation(kind):
    again = both(kind, lambda *values: looped(*values, remat=True), MODE)
    assert_close(again, both(kind, written_out, MODE))


# ------------------------------------------------------------------------- further derivatives


@pytest.mark.parametrize("kind", ["strides", *slow("groups", "depthwise, strides")])
def test_second_derivatives(kind):
    """Those of a gradient penalty."""
    assert_close(both(kind, penalty(looped), MODE), both(kind, penalty(written_out), MODE), 1e-4)


def penalty(function):
    """The squared gradient of a function of x and w with respect to x."""

    def of_tensorflow(kind, x, w):
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(x)
            value = function(kind, x, w)
        return tf.reduce_sum(tape.gradient(value, x) ** 2)

    def of_jax(kind, x, w):
        import jax

        return ops.sum(jax.grad(lambda x: function(kind, x, w))(x) ** 2)

    def of_torch(kind, x, w):
        import torch

        (dx,) = torch.autograd.grad(function(kind, x, w), x, create_graph=True)
        return ops.sum(dx**2)

    return {"tensorflow": of_tensorflow, "jax": of_jax, "torch": of_torch}[BACKEND]


@pytest.mark.skipif(BACKEND == "torch", reason="a loop of PyTorch has no forward mode")
@pytest.mark.parametrize("kind", ["strides", *slow("depthwise, strides")])
def test_forward_mode(kind):
    np.testing.assert_allclose(
        directional(looped, kind), directional(written_out, kind), rtol=2e-4, atol=1e-4
    )


def directional(function, kind):
    """The derivative along x in x, and along w in w.

    TensorFlow has none of what a loop puts out.
    """
    function = partial(function, keep=False)
    x, w = map(ops.convert_to_tensor, values(kind))
    if BACKEND == "jax":
        import jax

        along = jax.jit(lambda *v: jax.jvp(lambda x, w: function(kind, x, w), v, v)[1])
        return numpy(along(x, w))
    import tensorflow as tf

    @tf.function(jit_compile=True)
    def along(x, w):
        with tf.autodiff.ForwardAccumulator([x, w], [x, w]) as accumulator:
            value = function(kind, x, w)
        return accumulator.jvp(value)

    return numpy(along(x, w))


jax_only = pytest.mark.skipif(BACKEND != "jax", reason="a transformation of JAX")


@jax_only
@pytest.mark.parametrize("kind", ["strides", *slow("depthwise, strides")])
def test_gradients_of_single_examples(kind):
    """vmap of gradients, where the kernel is one for all, and where each has its own."""
    import jax

    def found(function, axes):
        gradient = jax.grad(lambda x, w: function(kind, x, w), (0, 1))
        x, w = values(kind)
        several = np.stack([x, -2 * x]), w if axes[1] is None else np.stack([w, 2 * w])
        return [numpy(d) for d in jax.jit(jax.vmap(gradient, axes))(*several)]

    for axes in [(0, None), (0, 0)]:
        assert_close(found(looped, axes), found(written_out, axes))


# ---------------------------------------------------------------- what there is in place of others


def operations(kind):
    """The convolutions in the graph of a gradient, each as far as XLA on a CPU looks at it."""
    x, w = map(ops.convert_to_tensor, values(kind))
    if BACKEND == "jax":
        import jax

        gradient = jax.jit(jax.grad(lambda x, w: looped(kind, x, w), (0, 1)))
        return re.findall(r"dim_numbers = (.*?), window", gradient.lower(x, w).as_text())
    import tensorflow as tf

    @tf.function(jit_compile=True)
    def gradient(x, w):
        return tf.gradients(looped(kind, x, w), [x, w])

    graph = gradient.get_concrete_function(x, w).graph.as_graph_def()
    nodes = [node for function in graph.library.function for node in function.node_def]
    return [node.op for node in nodes if "Conv" in node.op]


PLAIN_2D = "[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]"


@pytest.mark.skipif(BACKEND == "torch", reason="PyTorch has no XLA")
@pytest.mark.parametrize("kind", ["plain", "strides", "dilated", "transposed, strides"])
def test_every_convolution_in_a_loop_is_one_in_the_plain_layout(kind):
    found = set(operations(kind))
    if BACKEND == "jax":
        assert found == {PLAIN_2D}
    else:  # the operation that another one has the place of is still there, without use
        assert "Conv2D" in found
        assert not any("BackpropFilter" in name for name in found)


@pytest.mark.skipif(BACKEND != "jax", reason="a graph of TensorFlow keeps what has no use")
@pytest.mark.parametrize("kind", ["depthwise", "depthwise, strides", "depthwise, several outputs"])
def test_no_depthwise_convolution_is_left_in_a_loop(kind):
    assert not operations(kind)


@pytest.mark.skipif(BACKEND == "torch", reason="PyTorch has no XLA")
def test_a_gpu_convolves_as_it_did(monkeypatch):
    native, lists = {
        "jax": ("jax", {"default_backend": lambda: "gpu"}),
        "tensorflow": ("tensorflow.config", {"list_logical_devices": lambda: [CPU, GPU]}),
    }[BACKEND]
    for name, replacement in lists.items():
        monkeypatch.setattr(importlib.import_module(native), name, replacement)
    assert set(operations("plain")) - {PLAIN_2D, "Conv2D"}


CPU, GPU = SimpleNamespace(device_type="CPU"), SimpleNamespace(device_type="GPU")
