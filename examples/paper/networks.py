"""The Keras models of the paper's networks.

Each lifts the plane to width 8, passes `depth` blocks, and ends in one unit, whose output is the
logit of a point being on the second spiral. With F one dense layer (two for "residual2"):

    standard       y -> BN(F(y))
    residual       y -> BN(y + F(y))
    Runge-Kutta    y -> BN(y + dt * sum_i b_i k_i),    k_i = F(y + dt * sum_j a_ij k_j)

or with BN, batch normalization, inside F. With the shortcut scaled: y -> dt y + sum_i b_i k_i.
"""

from __future__ import annotations

from typing import Any

import keras
from grid import Network

from keras_rk import Tableau
from keras_rk.layers import RKResidual, RKStack

WIDTH = 8
INCONSISTENT = Tableau(
    [[], ["1/2"], [0, "1/2"], [0, 0, 1]], ["1/2", "1/2", "1/2", "1/2"], name="inconsistent"
)


def build(network: Network) -> keras.Model:
    """The model of a network for the spirals, with new initial weights."""
    x = keras.Input((2,))
    y = keras.layers.Dense(WIDTH, name="lift")(x)
    y = blocks(network)(y)
    return keras.Model(x, keras.layers.Dense(1, name="logit")(y), name=network.method)


def stack_of(model: keras.Model) -> RKStack:
    """The blocks in a model that `build` made."""
    return next(layer for layer in model.layers if isinstance(layer, RKStack))


def blocks(network: Network) -> RKStack:
    f, after = vector_field(network), after_block(network)
    if network.method in ("standard", "residual", "residual2"):
        return repeated(plain_block(network, f, after), network.depth)
    if network.scaled == "shortcut":
        return repeated(shortcut_block(network, f, after), network.depth)
    return RKStack(f, network.depth, dt=network.dt, after=after, **method(network))


def method(network: Network) -> dict[str, Any]:
    """The method of a Runge-Kutta network, as the layers take it."""
    state = "shared" if network.normalization == "inside_shared" else "per_evaluation"
    if network.method == "inconsistent":
        return {"tableau": INCONSISTENT, "require": "explicit", "state": state}
    return {"tableau": network.method, "state": state}


def vector_field(network: Network) -> keras.layers.Layer:
    """F."""
    layers = []
    for _ in range(2 if network.method == "residual2" else 1):
        initializer = "glorot_uniform"
        if network.stddev is not None:
            initializer = keras.initializers.RandomNormal(stddev=network.stddev)
        layers.append(keras.layers.Dense(WIDTH, kernel_initializer=initializer))
        activated = [keras.layers.Activation(network.activation)]
        if network.normalization.startswith("inside"):
            place = 1 if network.normalization == "inside_last" else 0
            activated.insert(place, keras.layers.BatchNormalization())
        layers += activated
    return keras.Sequential(layers)


def after_block(network: Network) -> keras.layers.Layer | None:
    """What follows the sum."""
    layers: list[keras.layers.Layer] = []
    if network.activation_after:
        layers.append(keras.layers.Activation(network.activation))
    if network.normalization == "after":
        layers.append(keras.layers.BatchNormalization())
    if len(layers) > 1:
        return keras.Sequential(layers)
    return layers[0] if layers else None


def plain_block(network: Network, f: Any, after: Any) -> keras.Model:
    """A block of a standard or a residual network, in Keras layers."""
    y = keras.Input((WIDTH,))
    y_next = f(y) if network.method == "standard" else keras.layers.Add()([y, f(y)])
    return keras.Model(y, y_next if after is None else after(y_next))


def shortcut_block(network: Network, f: Any, after: Any) -> keras.Model:
    """dt y + sum_i b_i k_i, where the stages are those of a step of size 1."""
    y = keras.Input((WIDTH,))
    step = RKResidual(f, **method(network))(y)
    y_next = keras.layers.Add()([keras.layers.Rescaling(network.dt - 1.0)(y), step])
    return keras.Model(y, y_next if after is None else after(y_next))


def repeated(block: keras.Model, depth: int) -> RKStack:
    """`depth` blocks like this one, each with its own weights, in one loop.

    RKStack puts each block after a step of Euler's method for y' = 0, which leaves y as it is, to
    the last bit. Blocks one after another compute the same, but fifty take long to compile.
    """
    return RKStack(keras.layers.Rescaling(0.0), depth, "euler", dt=1.0, after=block)
