"""The networks: 20 layers in the first study, Runge-Kutta networks of 15 in the second.

    net                  y -> tanh(K y + b)
    resnet               y -> y + 1/20 tanh(K y + b)
    odenet               y -> y + h_n tanh(K y + b),    h_n learned, of either sign
    odenet_positive      the same with h_n = exp(theta_n) / 20: `trainable_dt=True`
    odenet_simplex       h_n >= 0, their sum 1, by a softmax: `trainable_dt="simplex"`
    odenet_projected     the same by projection after each update, as the paper has it
    euler, heun2, kutta3, rk4      y' = tanh(K y + b), 15 steps of 1/10

Then a sigmoid of a linear function of y, with the objective 1/2 mean (output - label)^2.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import keras
import numpy as np

from keras_rk.layers import RKStack


class Network(NamedTuple):
    """One of the networks.

    Attributes:
        study: 1 compares ways to choose steps, 2 methods.
        depth: how many blocks.
        options: arguments of its `RKStack`.
        field: the class of its vector field.
        projected: whether the factors h are projected onto the simplex after each update.
    """

    study: int
    depth: int
    options: dict[str, Any]
    field: type
    projected: bool = False


@keras.saving.register_keras_serializable(package="benning")
class Plain(keras.layers.Dense):
    """tanh(K y + b) - y, with which a step of size one leaves no shortcut."""

    def call(self, y: Any, training: bool | None = None) -> Any:
        return super().call(y) - y


@keras.saving.register_keras_serializable(package="benning")
class Signed(keras.layers.Dense):
    """h tanh(K y + b) with a trained factor of either sign, 1/20 at first."""

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        start = keras.initializers.Constant(1 / 20)
        self.factor = self.add_weight(shape=(), initializer=start, name="factor")

    def call(self, y: Any, training: bool | None = None) -> Any:
        return self.factor * super().call(y)


Dense = keras.layers.Dense
NETWORKS = {
    "net": Network(1, 20, {"tableau": "euler"}, Plain),
    "resnet": Network(1, 20, {"tableau": "euler", "dt": "1/20"}, Dense),
    "odenet": Network(1, 20, {"tableau": "euler"}, Signed),
    "odenet_positive": Network(
        1, 20, {"tableau": "euler", "dt": "1/20", "trainable_dt": True}, Dense
    ),
    "odenet_simplex": Network(
        1, 20, {"tableau": "euler", "dt": "1/20", "trainable_dt": "simplex"}, Dense
    ),
    "odenet_projected": Network(1, 20, {"tableau": "euler"}, Signed, projected=True),
    **{
        method: Network(2, 15, {"tableau": method, "dt": "1/10"}, Dense)
        for method in ("euler", "heun2", "kutta3", "rk4")
    },
}


def build(network: Network) -> keras.Model:
    """The Keras model."""
    stack = RKStack(network.field(2, activation="tanh"), network.depth, **network.options)
    output = keras.layers.Dense(1, activation="sigmoid")
    return keras.Sequential([keras.Input((2,)), stack, output])


def initial(model: keras.Model, network: Network, seed: int) -> list[np.ndarray]:
    """Values for the trained variables: K normal, b zero (in study 2 normal, too), as theirs.

    The networks of a study begin with the same weights.
    """
    rng = np.random.default_rng([seed, 100 + network.study])
    values = []
    for variable in model.trainable_variables:
        is_random = "kernel" in variable.name or (network.study == 2 and "bias" in variable.name)
        value = (
            rng.normal(size=variable.shape) if is_random else keras.ops.convert_to_numpy(variable)
        )
        values.append(np.asarray(value, "float32"))
    return values


def factors(model: keras.Model) -> int | None:
    """The place of the factors h among the trained variables."""
    names = [variable.name for variable in model.trainable_variables]
    return next((n for n, name in enumerate(names) if name.endswith("factor")), None)


def step_sizes(model: keras.Model, network: Network, trained: list[np.ndarray]) -> np.ndarray:
    """h of each block."""
    place = factors(model)
    if place is not None:
        return trained[place]
    for variable, value in zip(model.trainable_variables, trained, strict=True):
        variable.assign(value)
    return model.layers[0].step_sizes


def onto_simplex(h: Any) -> Any:
    """The nearest point with h_n >= 0 and sum 1 (Duchi et al., ICML 2008)."""
    ordered = jnp.sort(h)[::-1]
    excess = (jnp.cumsum(ordered) - 1) / jnp.arange(1, len(h) + 1)
    return jnp.maximum(h - excess[jnp.sum(ordered > excess) - 1], 0)
