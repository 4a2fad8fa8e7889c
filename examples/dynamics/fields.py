"""The networks: f is a small MLP inside an RKResidual.

Everything is computed in double precision, since a difference of snapshots is divided by dt. On
JAX most of `keras.ops`, and so `keras.layers.Dense`, return float32 for float64; f is therefore
written with `jax.numpy`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
from cells import Shape

from keras_rk.layers import RKResidual

UNITS = {False: (40,), True: (24,)}  # of the hidden layers: global fields, local ones
FIRST = 2.0  # the first kernel is so many times Glorot's, so that tanh bends within the data
BIAS = 2.0  # biases of hidden layers are uniform in [-BIAS, BIAS] at first


@contextmanager
def double_precision() -> Iterator[None]:
    """Keras and JAX compute in float64."""
    policy, wide = keras.config.dtype_policy(), jax.config.jax_enable_x64
    keras.config.set_dtype_policy("float64")
    jax.config.update("jax_enable_x64", True)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)
        jax.config.update("jax_enable_x64", wide)


class Field(keras.layers.Layer):
    """f(z), an MLP with tanh.

    Args:
        units: the widths of its hidden layers.
        local: whether it is applied at each point of a circle, to the values there and at both
            neighbours: convolutions along z, periodic, the first of width three. Neighbours are
            nearly equal, so the three values enter as one of them and two differences, which are
            scaled to be of about the same size.
    """

    def __init__(self, units: tuple[int, ...], local: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units, self.local = units, local

    def build(self, shape: Any) -> None:
        inputs, outputs = (3, 1) if self.local else (shape[-1], shape[-1])
        sizes = (inputs, *self.units, outputs)
        self.layers = []
        for n, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes)):
            kernel = self.add_weight(shape=(fan_in, fan_out), name=f"kernel{n}")
            bias = self.add_weight(shape=(fan_out,), initializer="zeros", name=f"bias{n}")
            self.layers.append((kernel, bias))

    def call(self, z: Any) -> Any:
        if self.local:
            left, right = jnp.roll(z, 1, axis=-1), jnp.roll(z, -1, axis=-1)
            z = jnp.stack([z, 2 * (right - left), 4 * (left - 2 * z + right)], axis=-1)
        *hidden, (kernel, bias) = self.layers
        for inner_kernel, inner_bias in hidden:
            z = jnp.tanh(z @ inner_kernel.value + inner_bias.value)
        z = z @ kernel.value + bias.value
        return z[..., 0] if self.local else z

    def compute_output_shape(self, shape: Any) -> Any:
        return shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units, "local": self.local}


def field(shape: Shape) -> keras.Model:
    """f as a model of its own."""
    z = keras.Input((shape.dimension,), dtype="float64")
    return keras.Model(z, Field(UNITS[shape.local], shape.local)(z))


def stepper(shape: Shape, method: str, steps: int) -> keras.Model:
    """(z, h) -> z after `steps` steps of size h / steps; h has shape (batch, 1)."""
    z, h = (keras.Input((size,), dtype="float64") for size in (shape.dimension, 1))
    block = RKResidual(Field(UNITS[shape.local], shape.local), method, steps=steps)
    return keras.Model([z, h], block(z, dt=h / steps))


def first_weights(shape: Shape, seed: int) -> list[np.ndarray]:
    """The weights that a seed starts from, the same for every method."""
    rng = np.random.default_rng([seed, 1])
    values = []
    variables = field(shape).trainable_variables
    for n, variable in enumerate(variables):
        if len(variable.shape) == 2:
            limit = np.sqrt(6 / sum(variable.shape)) * (FIRST if n == 0 else 1.0)
            values.append(rng.uniform(-limit, limit, variable.shape))
        elif n < len(variables) - 1:
            values.append(rng.uniform(-BIAS, BIAS, variable.shape))
        else:
            values.append(np.zeros(variable.shape))
    return values
