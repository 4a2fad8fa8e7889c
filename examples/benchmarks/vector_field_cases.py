"""What `vector_field.py` computes: two vector fields as Keras layers, and methods by hand.

The methods use nothing but + and *, so the same lines serve JAX, TensorFlow and PyTorch.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any

import numpy as np

Field = Callable[[Any], Any]
Step = Callable[[Field, Any, float], Any]


def heun2(f: Field, y: Any, dt: float) -> Any:
    k1 = f(y)
    k2 = f(y + dt * k1)
    return y + (dt / 2) * (k1 + k2)


def rk4(f: Field, y: Any, dt: float) -> Any:
    k1 = f(y)
    k2 = f(y + (dt / 2) * k1)
    k3 = f(y + (dt / 2) * k2)
    k4 = f(y + dt * k3)
    return y + (dt / 6) * (k1 + 2.0 * (k2 + k3) + k4)


def rk38(f: Field, y: Any, dt: float) -> Any:
    k1 = f(y)
    k2 = f(y + (dt / 3) * k1)
    k3 = f(y + dt * (k2 - k1 * (1 / 3)))
    k4 = f(y + dt * (k1 - k2 + k3))
    return y + (dt / 8) * (k1 + 3.0 * (k2 + k3) + k4)


def weighted_sum(weights: Sequence[float], derivatives: Sequence[Any]) -> Any:
    """Without the terms that are zero; at least one is not."""
    terms = [w * k for w, k in zip(weights, derivatives, strict=False) if w]
    return reduce(operator.add, terms)


def any_method(name: str) -> tuple[Step, int]:
    """One step of a named method, and its number of evaluations.

    Trailing stages without a weight, which the embedded method of a pair has, are left out.
    """
    from keras_rk import tableaux

    coefficients = tableaux.get(name).to_numpy("float64")
    A, b = coefficients.A.tolist(), coefficients.b.tolist()
    stages = max(i for i, weight in enumerate(b) if weight) + 1

    def step(f: Field, y: Any, dt: float) -> Any:
        derivatives: list = []
        for row in A[:stages]:
            used = [dt * a for a in row[: len(derivatives)]]
            argument = y + weighted_sum(used, derivatives) if any(used) else y
            derivatives.append(f(argument))
        return y + weighted_sum([dt * weight for weight in b], derivatives)

    return step, stages


LITERAL: dict[str, tuple[Step, int]] = {"heun2": (heun2, 2), "rk4": (rk4, 4), "rk38": (rk38, 4)}


@dataclass(frozen=True)
class Problem:
    """y' = f(y), solved by `steps` steps of a method; the loss is mean(y_end**2).

    `layer` is the RKResidual. `weights` are those of f: kernel, bias, kernel, bias, as Keras lays
    them out.
    """

    case: str
    method: str
    dt: float
    steps: int
    half: bool  # products in bfloat16, y in float32
    y: np.ndarray
    layer: Any
    weights: tuple[np.ndarray, ...]

    @cached_property
    def _step_and_evaluations(self) -> tuple[Step, int]:
        return LITERAL.get(self.method) or any_method(self.method)

    @property
    def evaluations(self) -> int:
        return self._step_and_evaluations[1]

    def step(self, f: Field, y: Any) -> Any:
        return self._step_and_evaluations[0](f, y, self.dt)

    def unrolled(self, f: Field, y: Any) -> Any:
        """All steps, one after another."""
        for _ in range(self.steps):
            y = self.step(f, y)
        return y

    def bare_step(self, f: Field, y: Any) -> Any:
        """What a step evaluates, chained and not combined: nothing of this work can go away."""
        for _ in range(self.evaluations):
            y = f(y)
        return y

    def bare(self, f: Field, y: Any) -> Any:
        for _ in range(self.steps):
            y = self.bare_step(f, y)
        return y


def dense_field(width: int) -> list:
    from keras import layers

    return [layers.Dense(width, activation="tanh"), layers.Dense(width)]


def conv_field(width: int) -> list:
    from keras import layers

    first = layers.Conv2D(width, 3, padding="same", activation="tanh")
    return [first, layers.Conv2D(width, 3, padding="same")]


@dataclass(frozen=True)
class Case:
    """A vector field of two layers, with its default sizes."""

    layers: Callable[[int], list]
    batch: int
    width: int
    inner_shape: tuple[int, ...] = ()

    def problem(self, name: str, method: str, options: Any) -> Problem:
        import keras

        from keras_rk.layers import RKResidual

        keras.config.set_dtype_policy(
            "mixed_bfloat16" if options.dtype == "bfloat16" else "float32"
        )
        keras.utils.set_random_seed(0)
        batch, width = options.batch or self.batch, options.width or self.width
        random = np.random.default_rng(0)
        y = random.normal(size=(batch, *self.inner_shape, width)).astype("float32")
        f = keras.Sequential(self.layers(width))
        layer = RKResidual(f, method, dt=options.dt, steps=options.steps)
        layer.build(y.shape)
        for kernel_or_bias in layer.weights:
            if len(kernel_or_bias.shape) == 1:
                kernel_or_bias.assign(random.normal(scale=0.1, size=kernel_or_bias.shape))
        half = options.dtype == "bfloat16"
        weights = tuple(layer.get_weights())
        return Problem(name, method, options.dt, options.steps, half, y, layer, weights)


CASES = {"dense": Case(dense_field, 64, 256), "conv": Case(conv_field, 8, 16, (16, 16))}
