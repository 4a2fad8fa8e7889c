"""smoothness: are the weights of a stack a function of depth?"""

from __future__ import annotations

import math
from collections.abc import Sequence

import keras
import numpy as np

from keras_rk.diagnostics.arguments import outermost_layers
from keras_rk.diagnostics.smoothness_report import Scaling, SmoothnessReport, WeightInDepth
from keras_rk.layers import RKStack
from keras_rk.models.inner_layers import numbers

LEAST = 4  # blocks; with fewer there is nothing to fit


def smoothness(model: keras.Model | Sequence[keras.Model]) -> SmoothnessReport:
    """Measures how the weights of each `RKStack` change from block to block.

    A residual network is the discretisation of a neural ODE with weights theta(s), 0 <= s <= 1, if
    theta_n = theta(n / N) in block n of N with a theta that is smooth: then

        |theta_(n+1) - theta_n| = O(1 / N),    |theta_(n+k) - theta_n| ~ (k / N)^H,    H = 1

    with the Frobenius norm. Blocks that have nothing to do with each other, as initializers draw
    them, have H = 0 and increments as large as the weights; a random walk along depth, whose limit
    is a stochastic differential equation, has H = 1/2.

    Of one model, H is fitted over the distances k = 1, 2, 4, ..., up to N / 4, and

        roughness = rms(theta_(n+1) - theta_n) / (sqrt(2) rms(theta_n - mean over n))

    is about 1 for independent blocks, and O(1 / N) for a smooth theta. Of several models that
    differ in depth N, also the exponents with which norms and increments scale with depth,

        max_n |theta_n| ~ N^a,    max_n |theta_(n+1) - theta_n| ~ N^b

    are fitted, by least squares of the logarithms; b - a = -1 for a smooth theta.

    Example:

    >>> from keras_rk.layers import RKStack
    >>> stack = RKStack(keras.layers.Dense(4), 16, seed=0)
    >>> model = keras.Sequential([keras.Input((4,)), stack])
    >>> kernel = smoothness(model).weights[0]
    >>> kernel.roughness > 0.8  # initial weights are independent from block to block
    True
    >>> ramp = np.linspace(0, 1, 16)[:, None, None] * np.ones((16, 4, 4))
    >>> _ = stack.weights[0].assign(ramp)
    >>> round(smoothness(model).weights[0].hoelder, 2)
    1.0

    Args:
        model: a Keras model with an `RKStack` of at least four blocks; or several of them, which
            differ in depth, with the same stacks otherwise.

    Returns:
        A `SmoothnessReport`, with an entry for each trained weight of each stack in each model.

    Raises:
        ValueError: for models without such stacks.

    Reference:
        - A.-S. Cohen, R. Cont, A. Rossier, R. Xu, Scaling Properties of Deep Residual Networks
          (2021): exponents of the largest norm and the largest increment, by regression over depth
        - M. E. Sander, P. Ablin, G. Peyre, Do Residual Neural Networks discretize Neural Ordinary
          Differential Equations? (2022): without smoothness in depth the distance does not vanish
        - P. Marion, Y.-H. Wu, M. E. Sander, G. Biau, Implicit regularization of deep residual
          networks towards neural ODEs (2023)
    """
    models = list(model) if isinstance(model, (list, tuple)) else [model]
    found = [_of_model(one) for one in models]
    weights = tuple(weight for group in found for weight in group)
    depths = {weight.depth for weight in weights}
    return SmoothnessReport(weights, _scalings(found) if len(depths) > 1 else ())


def _of_model(model: keras.Model) -> list[WeightInDepth]:
    stacks = [x for x in outermost_layers(model) if isinstance(x, RKStack) and x.depth >= LEAST]
    if not stacks:
        raise ValueError(
            f"smoothness needs an RKStack of at least {LEAST} blocks, whose weights are a function "
            f"of depth. Received: model {model.name!r} without any."
        )
    return [
        _measured(stack.name, variable.name, numbers(variable).astype("float64"))
        for stack in stacks
        for part in stack._parts
        for variable in part.variables
        if variable.trainable and variable.name
    ]


def _measured(stack: str, name: str, values: np.ndarray) -> WeightInDepth:
    theta = values.reshape(len(values), -1)
    steps = np.linalg.norm(np.diff(theta, axis=0), axis=1)
    spread = _rms(np.linalg.norm(theta - theta.mean(axis=0), axis=1))
    lags = [2**n for n in range(int(math.log2(max(len(theta) // 4, 2))) + 1)]
    moved = [_rms(np.linalg.norm(theta[k:] - theta[:-k], axis=1)) for k in lags]
    return WeightInDepth(
        stack=stack,
        weight=name,
        depth=len(theta),
        norm=float(np.max(np.linalg.norm(theta, axis=1))),
        increment=float(np.max(steps)),
        roughness=float(_rms(steps) / (math.sqrt(2) * spread)) if spread else 0.0,
        lags=tuple(lags),
        increments=tuple(moved),
        hoelder=slope(lags, moved),
    )


def _scalings(found: Sequence[Sequence[WeightInDepth]]) -> tuple[Scaling, ...]:
    """The exponents of each weight, by its place in the models."""
    if len({len(group) for group in found}) > 1:
        raise ValueError(
            "Models of several depths must have the same stacks with the same weights. "
            f"Received: {[len(group) for group in found]} weights."
        )
    return tuple(
        Scaling(
            stack=same[0].stack,
            weight=same[0].weight,
            depths=tuple(weight.depth for weight in same),
            norm=slope([w.depth for w in same], [w.norm for w in same]),
            increment=slope([w.depth for w in same], [w.increment for w in same]),
        )
        for same in zip(*found, strict=True)
    )


def slope(xs: Sequence[float], ys: Sequence[float]) -> float | None:
    """The exponent p of y ~ x^p by least squares; None where there is none.

    >>> round(slope([1, 2, 4], [3, 12, 48]), 6)
    2.0
    """
    points = [(x, y) for x, y in zip(xs, ys, strict=True) if y > 0 and math.isfinite(y)]
    if len({x for x, _ in points}) < 2:
        return None
    logs = np.log(np.array(points, "float64"))
    return float(np.polyfit(logs[:, 0], logs[:, 1], 1)[0])


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
