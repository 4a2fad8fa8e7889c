"""The same trained network with another method and smaller steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_rk.diagnostics.arguments import outermost_layers
from keras_rk.diagnostics.copies import made_again
from keras_rk.layers import RKStack
from keras_rk.layers.arguments import block_step_sizes
from keras_rk.layers.method_layer import MethodLayer
from keras_rk.models.inner_layers import method_layers, numbers
from keras_rk.models.method_replacement import copy_with_method, divided
from keras_rk.numbers.coefficients import exact, to_text


def refined(model: keras.Model, tableau: Any, substeps: int, weights: str) -> keras.Model:
    """A copy of a model that integrates with steps of dt / substeps.

    Args:
        tableau: the method; None for that of each layer.
        weights: what becomes of the weights of an `RKStack`. `"piecewise_constant"`: each block
            keeps its own for all of its substeps. `"interpolated"`: see `interpolated`.
    """
    if weights == "piecewise_constant":
        return copy_with_method(model, tableau, substeps=substeps)
    single = [x.name for x in method_layers(model) if not isinstance(x, RKStack)]
    new = copy_with_method(model, tableau)
    if substeps == 1:
        return new
    if single:
        new = copy_with_method(new, substeps=substeps, blocks=single)
    return interpolated(new, substeps)


def leading_weights(model: keras.Model) -> str:
    """Interpolated weights where they make a difference, and a limit."""
    layers = method_layers(model, templates=True)
    stacks = [layer for layer in layers if isinstance(layer, RKStack) and layer.depth > 1]
    is_flat = len(layers) == len(outermost_layers(model))
    if stacks and is_flat and all(stack.after is None for stack in stacks):
        return "interpolated"
    return "piecewise_constant"


def check_interpolable(model: keras.Model) -> None:
    """Refuses stacks of which no depth between two blocks can be made."""
    layers = method_layers(model, templates=True)
    stacks = [layer for layer in layers if isinstance(layer, RKStack)]
    if stacks and len(layers) > len(outermost_layers(model)):
        raise ValueError(
            "Weights can be interpolated in an RKStack only where no Runge-Kutta layer is inside "
            "another one; take `weights='piecewise_constant'`. "
            f"Received: model {model.name!r} with {[layer.name for layer in layers]}."
        )
    for stack in stacks:
        if stack.after is not None:
            raise ValueError(
                "A layer `after` each block acts at certain depths, once for each block, so that "
                "there are no blocks between two others; take `weights='piecewise_constant'`. "
                f"Received: stack {stack.name!r} with `after` {stack.after.name!r}."
            )


def interpolated(model: keras.Model, parts: int) -> keras.Model:
    """A copy in which each block of an `RKStack` becomes several, with weights in between.

    The weights of a block live at the middle of its part of the depth, and in between they are
    linear in depth:

        theta(s_n) = theta_n,    s_n = |dt_0| + ... + |dt_(n-1)| + |dt_n| / 2

    before s_0 and after the last one they are constant. Each of the new blocks gets theta at its
    own middle.
    """

    def change(config: dict[str, Any]) -> None:
        if "depth" in config:
            given = block_step_sizes(config["dt"], config["depth"])[0]
            dts = given if isinstance(given, tuple) else (given,) * config["depth"]
            config["dt"] = [divided(dt, parts) for dt in dts for _ in range(parts)]
            config["depth"] *= parts

    new = made_again(model, change)
    refine: dict[int, Callable[[np.ndarray], np.ndarray]] = {}
    for layer in method_layers(model):
        if isinstance(layer, RKStack):
            nearest = np.repeat(np.arange(layer.depth), parts)
            refine.update(_resampled(layer, _sizes(layer)[nearest] / parts, nearest))
    for one, other in zip(model.variables, new.variables, strict=True):
        other.assign(refine.get(id(one), np.asarray)(numbers(one)))
    return new


def coarsened(model: keras.Model, factor: int) -> keras.Model | None:
    """A copy with steps `factor` times as large; None where steps or blocks do not divide by it.

    Weight-tied steps become fewer and larger. So do the blocks of a stack, each with the weights
    that `interpolated` has at its middle.
    """
    layers = method_layers(model)
    is_nested = len(method_layers(model, templates=True)) > len(outermost_layers(model))
    if is_nested or not all(_divides(layer, factor) for layer in layers):
        return None

    def change(config: dict[str, Any]) -> None:
        if "depth" not in config:
            config["dt"] = to_text(exact(config["dt"]) * factor)
            config["steps"] //= factor
            return
        given = block_step_sizes(config["dt"], config["depth"])[0]
        dts = given if isinstance(given, tuple) else (given,) * config["depth"]
        groups = [dts[n : n + factor] for n in range(0, len(dts), factor)]
        config["dt"] = [to_text(sum(map(exact, group))) for group in groups]
        config["depth"] //= factor

    new = made_again(model, change)
    merge: dict[int, Callable[[np.ndarray], np.ndarray]] = {}
    for layer in layers:
        if isinstance(layer, RKStack):
            lengths = _sizes(layer).reshape(-1, factor).sum(axis=1)
            merge.update(_resampled(layer, lengths, np.arange(layer.depth)[factor // 2 :: factor]))
    for one, other in zip(model.variables, new.variables, strict=True):
        other.assign(merge.get(id(one), np.asarray)(numbers(one)))
    return new


def _divides(layer: MethodLayer, factor: int) -> bool:
    """Whether a layer can be made again with steps so many times as large."""
    if layer.return_states:
        return False
    if isinstance(layer, RKStack):
        return layer.depth % factor == 0 and layer.after is None and not layer.trainable_dt
    return layer.steps % factor == 0 and layer.statistics is None


def _sizes(stack: RKStack) -> np.ndarray:
    """|dt| of each block, as learned so far, the mean over channels."""
    return np.abs(stack.step_sizes).reshape(stack.depth, -1).mean(axis=1)


def _resampled(
    stack: RKStack, lengths: np.ndarray, nearest: np.ndarray
) -> dict[int, Callable[[np.ndarray], np.ndarray]]:
    """What makes the values for new blocks, by the `id` of each stacked variable.

    Args:
        lengths: |dt| of each new block, one after the other.
        nearest: which old block it takes values from that cannot be interpolated.
    """
    sizes = _sizes(stack)
    sites, points = np.cumsum(sizes) - sizes / 2, np.cumsum(lengths) - lengths / 2
    statistics = [] if stack.statistics is None else stack.statistics.weights
    in_depth = [*(v for part in stack._parts for v in part.variables), *statistics]
    states = {id(v) for v in in_depth}

    def of(variable: keras.Variable) -> Callable[[np.ndarray], np.ndarray]:
        is_float = "float" in keras.backend.standardize_dtype(variable.dtype)
        if id(variable) in states and is_float and stack.depth > 1:
            return lambda values: linear(values, sites, points)
        return lambda values: values[nearest]

    return {id(v): of(v) for v in [*in_depth, *stack.block_weights]}


def linear(values: np.ndarray, sites: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Linear interpolation along the first axis, constant beyond the ends.

    >>> linear(np.array([[0.0], [10.0]]), np.array([0.5, 1.5]), np.array([0.0, 1.0, 1.25]))[:, 0]
    array([0. , 5. , 7.5])

    Args:
        values: shape `(sites, ...)`.
        sites: where they are, increasing; at least two.
        points: where values are wanted.
    """
    upper = np.clip(np.searchsorted(sites, points), 1, len(sites) - 1)
    share = (points - sites[upper - 1]) / (sites[upper] - sites[upper - 1])
    share = np.clip(share, 0, 1).reshape(-1, *[1] * (values.ndim - 1))
    return ((1 - share) * values[upper - 1] + share * values[upper]).astype(values.dtype)
