"""A stack as single layers, and single layers as a stack: weights and state are copied."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import keras
from keras import ops

from keras_rk.field.inputs import takes_time
from keras_rk.layers.blocks import check_same_kind, configuration
from keras_rk.layers.method_layer import MethodLayer
from keras_rk.layers.options import OF_ONE_METHOD
from keras_rk.layers.rk_residual import RKResidual
from keras_rk.layers.stacked_layer import StackedLayer
from keras_rk.numbers.coefficients import exact, public
from keras_rk.steps.learned import SimplexStep


class Unstacking:
    """The blocks of a stack that is built, one by one.

    Args:
        stack: the stack.
        parts: its f and, if there is one, the layer after each block.
        build_after: builds a layer after a block.
    """

    def __init__(
        self,
        stack: MethodLayer,
        parts: Sequence[StackedLayer],
        build_after: Callable[[keras.layers.Layer], None],
    ) -> None:
        self.stack = stack
        self.f, *self.after = parts
        self.build_after = build_after

    def single(self, block: int, dt: Any) -> keras.layers.Layer:
        """One block: an RKResidual, with the layer after it in a `keras.Sequential`."""
        layer, after = self.residual(block, dt), self.after_block(block)
        if after is None:
            return layer
        name = f"{self.stack.name}_{block}_and_after"
        y = keras.Input(batch_shape=self.stack.built_for)
        return keras.Sequential([y, layer, after], name=name)

    def residual(self, block: int, dt: Any) -> RKResidual:
        """The steps of one block."""
        stack = self.stack
        options = {name: getattr(stack, name) for name in OF_ONE_METHOD}
        if stack.trainable_tableau:
            options["order"] = None  # it was proved of the tableau before it was trained
        if stack.trainable_dt == "simplex":
            options["trainable_dt"] = True  # single layers have no sum to keep
        layer = RKResidual(
            self.f.maker.copy(),
            stack.tableau,
            dt,
            **options,
            t0=start_of_block(stack, block),
            name=f"{stack.name}_{block}",
            dtype=stack.dtype_policy,
        )
        layer.build_like(stack)
        self.f.set_block(block, layer.layer)
        for one, all_blocks in zip(layer.block_weights, stack.block_weights, strict=True):
            one.assign(ops.convert_to_tensor(all_blocks.value)[block])
        if isinstance(step := stack._learned.step, SimplexStep):
            layer.block_weights[0].assign(step.log_ratio()[block])
        return self._frozen_alike(layer)

    def after_block(self, block: int) -> keras.layers.Layer | None:
        """The layer after one block, where there is one."""
        if not self.after:
            return None
        after = self.after[0].maker.copy(name=f"{self.stack.name}_{block}_after")
        self.build_after(after)
        self.after[0].set_block(block, after)
        return self._frozen_alike(after)

    def _frozen_alike(self, layer: Any) -> Any:
        """Freezes all of a layer if the stack is frozen.

        On TensorFlow that does not show in the variables, which `set_block` looks at.
        """
        if not self.stack.trainable:
            layer.trainable = False
        return layer


def start_of_block(stack: MethodLayer, block: int) -> Any:
    """The time at which a block begins."""
    if not takes_time(stack.layer):
        return stack.t0
    if stack.trainable_dt:
        return float(exact(stack.t0)) + stack.steps * float(sum(stack.step_sizes[:block]))
    return public(exact(stack.t0) + stack.steps * sum(stack.exact_dts[:block], Fraction(0)))


class Single:
    """Layers that become the blocks of a stack, looked at before anything is built.

    Attributes:
        layers: those that compute f, one for each block.
        after: those after each block; empty where there are none.
        residuals: the RKResidual layers around f; empty where there are none.
        options: the arguments of a stack that the RKResidual layers have already.
    """

    def __init__(self, layers: Any, after: Any, given: dict[str, Any]) -> None:
        self.layers, after = _split_blocks(layers, after)
        self.after = list(after or ())
        self.residuals: list[RKResidual] = []
        self.options: dict[str, Any] = {}
        if all(isinstance(layer, RKResidual) for layer in self.layers):
            self.residuals = self.layers
            self.options = _method_of(self.residuals, given)
            self.layers = [layer.layer for layer in self.residuals]
        _check_built([*self.layers, *self.after])
        for parts in (self.layers, self.after):
            first = configuration(parts[0], "layers") if parts else {}
            for block, layer in enumerate(parts[1:], start=1):
                check_same_kind(first, layer, block)

    def give_method_weights(self, stack: MethodLayer) -> None:
        """Builds a stack like the RKResidual layers, with what they have beside f's weights."""
        if not self.residuals:
            return
        stack.build_like(self.residuals[0])
        columns = zip(*(layer.block_weights for layer in self.residuals), strict=True)
        for weight, values in zip(stack.block_weights, columns, strict=True):
            weight.assign(ops.stack([ops.convert_to_tensor(v.value) for v in values]))
        _check_starts(stack, self.residuals)


def _check_starts(stack: MethodLayer, layers: Sequence[RKResidual]) -> None:
    """Refuses blocks of f(t, y) that do not begin where the one before has ended."""
    for block, layer in enumerate(layers):
        start = start_of_block(stack, block)
        late = float(exact(layer.t0) - exact(start))
        if takes_time(stack.layer) and abs(late) > 1e-5 * max(1, abs(float(exact(start)))):
            raise ValueError(
                "Each block of a stack begins at the time at which the one before has ended. "
                f"Received: t0={layer.t0} in block {block}, which begins at {start} "
                f"(layer {layer.name!r})."
            )


def _split_blocks(layers: Any, after: Any) -> tuple[list, list | None]:
    """The layers of the blocks and those after each, checked to be as many."""
    if isinstance(layers, keras.layers.Layer):
        raise ValueError(
            "RKStack.from_layers needs a list of at least one Keras layer; `model.layers` is one. "
            f"Received: layer {layers.name!r} of type {type(layers).__name__}."
        )
    layers = list(layers)
    if not layers or not all(isinstance(layer, keras.layers.Layer) for layer in layers):
        kinds = [type(layer).__name__ for layer in layers]
        raise ValueError(
            "RKStack.from_layers needs a list of at least one Keras layer. "
            f"Received: {kinds or 'no layers'}."
        )
    if after is None and all(map(_is_block_with_after, layers)):
        return [block.layers[0] for block in layers], [block.layers[1] for block in layers]
    if after is None:
        return layers, None
    after = list(after)
    if len(after) != len(layers):
        raise ValueError(
            "RKStack.from_layers needs one layer `after` each block. "
            f"Received: {len(after)} layers after {len(layers)} blocks."
        )
    return layers, after


def _is_block_with_after(layer: keras.layers.Layer) -> bool:
    return (
        isinstance(layer, keras.Sequential)
        and len(layer.layers) == 2
        and isinstance(layer.layers[0], RKResidual)
    )


def _method_of(layers: list[RKResidual], given: dict[str, Any]) -> dict[str, Any]:
    """The arguments that RKResidual layers of one method have in common, and their dt."""
    names = ("tableau", *OF_ONE_METHOD)
    twice = [name for name in given if name in (*names, "dt", "t0")]
    if twice:
        raise ValueError(
            "The method of a stack of RKResidual layers is theirs. "
            f"Received: {', '.join(twice)} for such layers."
        )
    for name in names:
        values = [getattr(layer, name) for layer in layers]
        if any(value != values[0] for value in values):
            raise ValueError(
                f"The blocks of a stack must have the same `{name}`. Received: "
                f"{getattr(values[0], 'name', values[0])} and others."
            )
    common = {name: getattr(layers[0], name) for name in (*names, "t0")}
    return {**common, "dt": [layer.dt for layer in layers], "dtype": layers[0].dtype_policy}


def _check_built(layers: Sequence[keras.layers.Layer]) -> None:
    """Refuses layers that have no weights yet."""
    for layer in layers:
        if not layer.built:
            raise ValueError(
                "RKStack.from_layers takes over weights, so the layers must be built. "
                f"Received: layer {layer.name!r} of type {type(layer).__name__}, not built."
            )
