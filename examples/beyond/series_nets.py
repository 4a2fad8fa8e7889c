"""The networks: a lift at each position, blocks, the mean over positions, a unit for each class.

    standard       y -> F(y)
    residual       y -> y + F(y)
    Runge-Kutta    y -> y + sum_i b_i k_i,    k_i = F(y + sum_j a_ij k_j)

F is a convolution over three positions and tanh, with weights of its own in each block. It holds no
normalization: batch normalization keeps statistics, and would see 4 times as many batches in RK4 as
in Euler's method (examples/paper asks what that does); without, F is one function of y, a vector
field, and tanh bounds it, so that nothing grows in depth by more than one in each block.

residual and euler are the same network, y + 1 F(y): tests/test_beyond.py trains both to the same
bits. It is trained once, as euler.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_rk import tableaux
from keras_rk.layers import RKStack

CHANNELS = 8


class Network(NamedTuple):
    """A method and how many blocks."""

    method: str
    depth: int

    @property
    def name(self) -> str:
        return f"{self.method}-{self.depth}"

    @property
    def evaluations(self) -> int:
        """How often an output evaluates F."""
        is_plain = self.method in ("standard", "residual")
        return self.depth * (1 if is_plain else tableaux.get(self.method).stages)


NETWORKS = {
    network.name: network
    for network in (
        Network("standard", 4),
        Network("euler", 4),
        Network("heun2", 4),
        Network("rk4", 4),
        Network("standard", 16),
        Network("euler", 16),
        Network("heun2", 8),
    )
}


@keras.saving.register_keras_serializable(package="beyond")
class Convolution(keras.layers.Dense):
    """Conv1D with three points and zeros outside, as one product of matrices.

    Many seeds train together by jax.vmap, and XLA's convolution with a kernel for each seed is slow
    on a processor. The kernel's rows are those of Conv1D's, point after point.
    """

    def build(self, input_shape: Any) -> None:
        super().build((*input_shape[:-1], 3 * input_shape[-1]))
        self.input_spec = None

    def compute_output_shape(self, input_shape: Any) -> tuple:
        return (*input_shape[:-1], self.units)

    def call(self, y: Any, training: bool | None = None) -> Any:
        outside = ops.zeros_like(y[:, :1])
        before = ops.concatenate([outside, y[:, :-1]], axis=1)
        after = ops.concatenate([y[:, 1:], outside], axis=1)
        return super().call(ops.concatenate([before, y, after], axis=-1))


def vector_field() -> keras.layers.Layer:
    """F."""
    return Convolution(CHANNELS, activation="tanh")


def blocks(network: Network) -> RKStack:
    """The blocks, in one loop."""
    if network.method not in ("standard", "residual"):
        return RKStack(vector_field(), network.depth, network.method)
    # Each block after a step of Euler's method for y' = 0, which leaves y as it is to the last bit.
    block = vector_field()
    if network.method == "residual":
        y = keras.Input((None, CHANNELS))
        block = keras.Model(y, keras.layers.Add()([y, block(y)]))
    return RKStack(keras.layers.Rescaling(0.0), network.depth, "euler", after=block)


def build(network: Network, shape: tuple[int, int], classes: int) -> keras.Model:
    """The Keras model for patches of a shape."""
    x = keras.Input(shape)
    y = keras.layers.Dense(CHANNELS, name="lift")(x)
    y = blocks(network)(y)
    y = keras.layers.GlobalAveragePooling1D()(y)
    return keras.Model(x, keras.layers.Dense(classes, name="logits")(y), name=network.method)


def initial(model: keras.Model, seed: int) -> list[np.ndarray]:
    """Values for the trained variables: kernels by Glorot and Bengio (uniform), biases zero.

    Networks of a seed begin alike: the first blocks of a deeper network are those of another.
    """
    values = []
    for number, variable in enumerate(model.trainable_variables):
        if "bias" in variable.name:
            values.append(np.zeros(variable.shape, "float32"))
            continue
        limit = np.sqrt(6 / sum(variable.shape[-2:]))
        rng = np.random.default_rng([seed, number])
        values.append(rng.uniform(-limit, limit, variable.shape).astype("float32"))
    return values
