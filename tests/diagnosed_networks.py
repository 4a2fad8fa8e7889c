"""Networks of which it is known by construction whether they are ODEs."""

from __future__ import annotations

import keras
import numpy as np

from keras_rk.layers import RKResidual, RKStack
from tests.keras_helpers import normal

ROTATION = np.array([[0.0, 1.0], [-1.0, 0.0]])


def circle(count):
    """Points on the unit circle, none on an axis."""
    angles = 2 * np.pi * (np.arange(count) + 0.3) / count
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype("float32")


def sequential(*layers, size=2):
    return keras.Sequential([keras.Input((size,)), *layers])


def coarse_rotation(speed=3**0.5, steps=3, tableau="euler"):
    """Steps of y' = speed J y: Euler's method turns by atan(speed) and grows, the flow does not.

    With speed sqrt(3) and 3 steps Euler's method turns by 180 degrees and the flow by 297.7.
    """
    f = keras.layers.Dense(2, use_bias=False)
    head = keras.layers.Dense(1, use_bias=False, activation="sigmoid")
    model = sequential(RKResidual(f, tableau, 1.0, steps=steps, name="block"), head)
    model.set_weights([(speed * ROTATION).astype("float32"), np.array([[1.0], [0.0]])])
    return model


def smooth_field(t):
    """The weights of a vector field tanh(y W + b) that depends on the time smoothly."""
    W = np.array([[np.cos(t), np.sin(2 * t)], [-np.sin(2 * t), np.cos(3 * t)]])
    return W, np.array([0.5 * np.sin(t), -0.3 * np.cos(t)])


def weights_of(field, depth, end=2.0):
    """The weights of a field at the middles of `depth` blocks, stacked."""
    times = end * (np.arange(depth) + 0.5) / depth
    W, b = zip(*map(field, times), strict=True)
    return np.stack(W).astype("float32"), np.stack(b).astype("float32")


def discretisation(depth, tableau="euler", end=2.0, field=smooth_field, **kwargs):
    """A stack that integrates the field from 0 to `end`, and a head."""
    f = keras.layers.Dense(2, activation="tanh")
    stack = RKStack(f, depth, tableau, end / depth, name="stack", **kwargs)
    head = keras.layers.Dense(1, use_bias=False, activation="sigmoid")
    model = sequential(stack, head)
    model.set_weights([*weights_of(field, depth, end), np.array([[4.0], [2.0]])])
    return model


def flow(field, y, end=2.0, steps=2000):
    """Where the field takes y, by many steps of RK4 in float64."""

    def f(t, y):
        W, b = field(t)
        return np.tanh(y @ W + b)

    y, dt = np.asarray(y, "float64"), end / steps
    for t in dt * np.arange(steps):
        one = f(t + 1e-12, y)  # a field that jumps counts with its value after the jump
        two = f(t + dt / 2, y + dt / 2 * one)
        three = f(t + dt / 2, y + dt / 2 * two)
        four = f(t + dt - 1e-12, y + dt * three)
        y = y + dt / 6 * (one + 2 * two + 2 * three + four)
    return y


def head_of(y):
    """What the head of `discretisation` makes of y."""
    return 1 / (1 + np.exp(-(4 * y[:, :1] + 2 * y[:, 1:])))


def normalized_network(depth=None, tableau="euler"):
    """Batch normalization in f, with statistics of other data."""
    f = keras.Sequential(
        [keras.layers.Dense(2, activation="tanh"), keras.layers.BatchNormalization(momentum=0.5)]
    )
    layer = RKResidual(f, tableau, 0.5) if depth is None else RKStack(f, depth, tableau, 0.5)
    model = sequential(layer, keras.layers.Dense(1))
    model(normal(8, 2, seed=5) + 2, training=True)
    return model
