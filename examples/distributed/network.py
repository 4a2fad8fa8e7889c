"""What the examples in this folder train, and how they compare losses."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import keras
import numpy as np

from keras_rk.layers import RKResidual, RKStack

EPOCHS = 5
BATCH = 32  # over all devices
TOLERANCE = 1e-5  # relative: sums over the batch are added up in another order


def points(number: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """Points of the plane, and whether each lies inside of a circle."""
    x = np.random.default_rng(0).normal(size=(number, 2)).astype("float32")
    return x, (np.sum(x**2, axis=1, keepdims=True) < 1.4).astype("float32")


def network(normalization: type[keras.layers.Layer]) -> keras.Model:
    """A small network with both layers, the same weights in each call."""
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(8),
            RKResidual(keras.layers.Dense(8, activation="tanh"), "rk4", dt=0.5, steps=2),
            RKStack(
                keras.layers.Dense(8, activation="tanh"), 4, "heun2", 0.5, after=normalization()
            ),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )


def compare(one: Sequence[float], several: Sequence[float], devices: str) -> None:
    """Prints the losses of one device and of several; ends the program where they differ."""
    print(f"epoch  one device  {devices}")
    for epoch, (loss, other) in enumerate(zip(one, several, strict=True), start=1):
        print(f"{epoch:5}  {loss:10.7f}  {other:.7f}")
    if not np.allclose(one, several, rtol=TOLERANCE):
        sys.exit("The losses differ by more than round-off.")
    print("The losses agree within round-off.")
