"""Small convolutional networks on scikit-learn's images of digits, 8 x 8 pixels.

A convolution lifts an image to 16 channels, blocks follow, the mean over all pixels, and one unit
for each digit. F is a 3 x 3 convolution, batch normalization and a relu, so that the Euler network
is a ResNet; RKResidual keeps statistics for each evaluation of F. Adam's learning rate falls from
0.001 to 0 along a cosine.

    standard       y -> F(y)
    Runge-Kutta    y -> y + sum_i b_i k_i,    k_i = F(y + sum_j a_ij k_j)
"""

from __future__ import annotations

import math
import time
from typing import Any

import keras
import numpy as np
from grid import Network
from records import record
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from keras_rk.layers import RKResidual

CHANNELS = 16
BATCH = 32


def build(network: Network) -> keras.Model:
    """The model of a network, with new initial weights."""
    x = keras.Input((8, 8, 1))
    y = keras.layers.Conv2D(CHANNELS, 3, padding="same", activation="relu", name="lift")(x)
    for _ in range(network.depth):
        f = vector_field(network)
        y = f(y) if network.method == "standard" else RKResidual(f, network.method, network.dt)(y)
    y = keras.layers.GlobalAveragePooling2D()(y)
    return keras.Model(x, keras.layers.Dense(10, name="logits")(y), name=network.method)


def vector_field(network: Network) -> keras.layers.Layer:
    """F."""
    return keras.Sequential(
        [
            keras.layers.Conv2D(CHANNELS, 3, padding="same"),
            keras.layers.BatchNormalization(momentum=0.9),
            keras.layers.Activation(network.activation),
        ]
    )


def digits_data(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """1,437 training and 360 test images, split anew for each seed, with equal shares of digits."""
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype("float32").reshape(-1, 8, 8, 1)
    x, x_test, y, y_test = train_test_split(
        images, labels, test_size=0.2, random_state=seed, stratify=labels
    )
    return x, y, x_test, y_test


def train(
    network: Network, seeds: list[int], epochs: int
) -> list[tuple[dict[str, Any], list[np.ndarray]]]:
    """Trains a network with each seed, one after another; a record and the weights for each."""
    return [train_one(network, seed, epochs) for seed in seeds]


def train_one(network: Network, seed: int, epochs: int) -> tuple[dict[str, Any], list[np.ndarray]]:
    start = time.perf_counter()
    x, y, x_test, y_test = digits_data(seed)
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    model = build(network)
    steps = epochs * math.ceil(len(x) / BATCH)
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-3, steps)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    clock = Clock()
    history = model.fit(
        x,
        y,
        batch_size=BATCH,
        epochs=epochs,
        validation_data=(x_test, y_test),
        validation_batch_size=len(x_test),
        callbacks=[clock],
        verbose=0,
    ).history
    _, train_accuracy = model.evaluate(x, y, batch_size=len(x_test), verbose=0)
    return (
        record(
            network,
            seed,
            history={curve: [float(v) for v in values] for curve, values in history.items()},
            parameters=model.count_params(),
            train_accuracy=float(train_accuracy),
            epoch_seconds=min(clock.epochs),
            seconds=time.perf_counter() - start,
            trained_together=1,
        ),
        model.get_weights(),
    )


class Clock(keras.callbacks.Callback):
    """How long each epoch takes, without validation."""

    def __init__(self) -> None:
        super().__init__()
        self.epochs: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.start = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.end = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.epochs.append(self.end - self.start)
