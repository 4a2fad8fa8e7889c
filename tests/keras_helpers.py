"""What the tests of layers share: conversions, gradients on each backend, reference formulas."""

from __future__ import annotations

import contextlib
import importlib

import keras
import numpy as np
import pytest
from keras import ops

BACKEND = keras.backend.backend()
NATIVE = importlib.import_module({"jax": "jax.numpy"}.get(BACKEND, BACKEND))


def slow(*values):
    """Values of a parameter whose tests a quick run leaves out."""
    return [pytest.param(value, marks=pytest.mark.slow) for value in values]


# The state of f as plain calls one after another treat it.
PLAIN = {"state": "shared", "noise": "per_stage"}


def numpy(x):
    """A backend's tensor as an array."""
    return np.asarray(ops.convert_to_numpy(x))


def normal(*shape, seed=0, dtype="float32"):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def assert_same_variables(ours, by_hand):
    """The variables of two layers agree, in order, to float32's accuracy."""
    for one, other in zip(ours.variables, by_hand.variables, strict=True):
        np.testing.assert_allclose(numpy(one), numpy(other), rtol=1e-5, atol=1e-6)


def dense(units=3, seed=0, **kwargs):
    """A nonlinear Dense layer with reproducible weights."""
    initializer = keras.initializers.RandomNormal(stddev=0.5, seed=seed)
    arguments = {"activation": "tanh", "bias_initializer": initializer, **kwargs}
    return keras.layers.Dense(units, kernel_initializer=initializer, **arguments)


class ByHand(keras.layers.Wrapper):
    """Two steps of the midpoint method, each evaluation a plain call."""

    def call(self, y):
        for _ in range(2):
            y = y + self.layer(y + 0.5 * self.layer(y))
        return y

    def compute_output_shape(self, input_shape):
        return input_shape


class WithLoss(keras.layers.Layer):
    def call(self, y):
        self.add_loss(ops.mean(y))
        return ops.ones_like(y)

    def compute_output_shape(self, input_shape):
        return input_shape


def batch_normalized():
    return keras.Sequential([dense(3), keras.layers.BatchNormalization(momentum=0.5)])


def dropped_out():
    return keras.Sequential([dense(3), keras.layers.Dropout(0.5, seed=3)])


def noisy():
    return keras.layers.GaussianNoise(1.0, seed=5)


STATEFUL = [batch_normalized, dropped_out, noisy]


class Chain(keras.layers.Layer):
    """Layers called one after another, each with the same further inputs."""

    def __init__(self, chain, **kwargs):
        super().__init__(**kwargs)
        self.chain = list(chain)
        self.supports_masking = True
        self.built = True

    def call(self, y, *args, training=None, **kwargs):
        for layer in self.chain:
            y = layer(y, *args, training=training, **kwargs)
        return y


def assert_same_blocks(stack, layers):
    """Weights and state of each block are those of a single layer, to float32's accuracy."""
    for block, layer in zip(stack.unstack(), layers, strict=True):
        assert_same_variables(block, layer)


class NativeDense(keras.layers.Layer):
    """tanh(y W + b) in the backend's own operations.

    Most of `keras.ops` returns float32 for float64 on JAX and PyTorch, `keras.layers.Dense` too.
    """

    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape):
        initializer = keras.initializers.RandomNormal(stddev=0.5, seed=0)
        self.kernel = self.add_weight((input_shape[-1], self.units), initializer=initializer)
        self.bias = self.add_weight((self.units,), initializer=initializer)

    def call(self, y):
        return NATIVE.tanh(y @ self.kernel.value + self.bias.value)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)


@contextlib.contextmanager
def float64():
    """A scope in which every backend, JAX too, computes in float64 when asked to."""
    if BACKEND != "jax":
        yield
        return
    import jax

    jax.config.update("jax_enable_x64", True)
    try:
        yield
    finally:
        jax.config.update("jax_enable_x64", False)


def unrolled(f, y, tableau, dt, steps=1):
    """Runge-Kutta steps written out, every stage and every zero; NumPy in, NumPy out.

    Independent of the layer's plan: it knows only the tableau's exact coefficients.
    """
    a = [[float(x) for x in row] for row in tableau.A]
    b = [float(x) for x in tableau.b]
    for _ in range(steps):
        k = []
        for row in a:
            k.append(f(y + dt * sum((x * ki for x, ki in zip(row, k, strict=False)), 0 * y)))
        y = y + dt * sum((x * ki for x, ki in zip(b, k, strict=True)), 0 * y)
    return y


# Ways to execute: "eager" is what calling a layer does; PyTorch traces a loop by itself.
MODES = {"tensorflow": ["eager", "graph", "jit"], "jax": ["eager", "jit"], "torch": ["eager"]}
MODES = MODES[BACKEND]


def call_in(mode, layer, *inputs, **kwargs):
    """`layer(*inputs, **kwargs)`, executed in one of `MODES`; state is updated in all of them."""
    inputs = [ops.convert_to_tensor(x) for x in inputs]
    if mode == "eager":
        return layer(*inputs, **kwargs)
    if BACKEND == "tensorflow":
        return _tf_function(lambda *inputs: layer(*inputs, **kwargs), mode)(*inputs)
    import jax

    variables = layer.trainable_variables, layer.non_trainable_variables
    pure = jax.jit(lambda *values: layer.stateless_call(*values, **kwargs))
    result, state = pure(*([v.value for v in part] for part in variables), *inputs)
    for variable, value in zip(variables[1], state, strict=True):
        variable.assign(value)
    return result


def _tf_function(function, mode):
    import tensorflow as tf

    return tf.function(function, jit_compile=mode == "jit")


def gradients(function, layer, x, mode="eager"):
    """d function(x) / d x and d function(x) / d w for the trainable weights w of `layer`.

    `function` maps a tensor to a scalar tensor and reads the weights of `layer`.
    """
    compute = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[BACKEND]
    return compute(function, layer, x, mode)


def _tensorflow(function, layer, x, mode):
    import tensorflow as tf

    def compute(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = function(x)
        return tape.gradient(value, [x, *(w.value for w in layer.trainable_weights)])

    run = compute if mode == "eager" else _tf_function(compute, mode)
    return [numpy(result) for result in run(tf.convert_to_tensor(x))]


def _jax(function, layer, x, mode):
    import jax

    weights = layer.trainable_weights

    def scalar(x, values):
        with keras.StatelessScope(state_mapping=list(zip(weights, values, strict=True))):
            return function(x)

    values = [w.value for w in weights]
    gradient = jax.grad(scalar, argnums=(0, 1))
    run = gradient if mode == "eager" else jax.jit(gradient)
    dx, dw = run(ops.convert_to_tensor(x), values)
    return [numpy(dx), *(numpy(d) for d in dw)]


def _torch(function, layer, x, mode):
    import torch

    x = torch.as_tensor(x).clone().detach().requires_grad_()
    inputs = [x, *(w.value for w in layer.trainable_weights)]
    return [numpy(result) for result in torch.autograd.grad(function(x), inputs)]
