"""The network of stack.py without Keras: one module for each backend, and what they share.

    x -> x W + b                                                              to width 8
    y -> BN(y + sum_i b_i k_i),  k_i = tanh((y + sum_j a_ij k_j) W + b)       `depth` times
    y -> y W + b                                                              the logit

with Adam on the binary cross-entropy. The weights are NumPy arrays by name, those of the blocks
with the block as their first axis: lift_kernel (2, 8), lift_bias (8,), kernel (depth, 8, 8),
bias, gamma, beta (depth, 8), head_kernel (8, 1), head_bias (1,).
"""

from __future__ import annotations

import importlib
import math
from typing import Any, NamedTuple

import numpy as np

from keras_rk import tableaux

# Keras's defaults, of BatchNormalization and of Adam
MOMENTUM, BN_EPSILON = 0.99, 1e-3
LEARNING_RATE, BETA_1, BETA_2, ADAM_EPSILON = 1e-3, 0.9, 0.999, 1e-7

BLOCK = ("kernel", "bias", "gamma", "beta")  # the weights with the block as their first axis

Weights = dict[str, np.ndarray]
Terms = tuple[tuple[int, float], ...]


class Method(NamedTuple):
    """The nonzero coefficients: for each stage pairs (j, a_ij), at the end pairs (i, b_i)."""

    stages: tuple[Terms, ...]
    update: Terms


def method(name: str) -> Method:
    """A Runge-Kutta method with dt = 1, its coefficients rounded to float32."""
    arrays = tableaux.get(name).to_numpy("float32")
    rows = [*arrays.A.tolist(), arrays.b.tolist()]
    *stages, update = (tuple((j, x) for j, x in enumerate(row) if x) for row in rows)
    return Method(tuple(stages), update)


def combine(y: Any, terms: Terms, derivatives: list[Any]) -> Any:
    """y + sum_j a_j k_j, for a compiler that fuses it."""
    for j, factor in terms:
        y = y + (derivatives[j] if factor == 1 else factor * derivatives[j])
    return y


def initial_weights(depth: int, width: int, seed: int = 0) -> Weights:
    """Glorot's uniform distribution, as in Keras."""
    rng = np.random.default_rng(seed)

    def glorot(*shape: int) -> np.ndarray:
        limit = math.sqrt(6 / (shape[-2] + shape[-1]))
        return rng.uniform(-limit, limit, shape).astype("float32")

    def full(value: float, *shape: int) -> np.ndarray:
        return np.full(shape, value, "float32")

    return {
        "lift_kernel": glorot(2, width),
        "lift_bias": full(0, width),
        "kernel": glorot(depth, width, width),
        "bias": full(0, depth, width),
        "gamma": full(1, depth, width),
        "beta": full(0, depth, width),
        "head_kernel": glorot(width, 1),
        "head_bias": full(0, 1),
    }


def backend_module(backend: str) -> Any:
    """The module with the `Network` of a backend: "jax", "tensorflow" or "torch"."""
    return importlib.import_module(f"by_hand.{backend}_network")
