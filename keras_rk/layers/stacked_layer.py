"""One layer for each block: a template that computes, and the weights of all, stacked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

import keras
from keras import ops

from keras_rk import loops
from keras_rk.field.copies import layers_inside, unfreeze
from keras_rk.field.effects import Effects
from keras_rk.field.vector_field import own_variables
from keras_rk.layers.blocks import BlockMaker
from keras_rk.layers.initial_values import (
    CONSTANTS,
    Initializer,
    Weight,
    added_weights,
    drawing,
    sources,
    stacking,
)

_ALIKE = ContextVar("alike", default=False)
ELEMENTWISE = (keras.regularizers.L1, keras.regularizers.L2, keras.regularizers.L1L2)


@contextmanager
def with_alike_blocks() -> Iterator[None]:
    """Where all blocks of a stack that is built begin with the weights of the first one.

    That spares making a layer for each block, where the stack gets other weights afterwards.
    """
    token = _ALIKE.set(True)
    try:
        yield
    finally:
        _ALIKE.reset(token)


class StackedLayer:
    """`depth` layers of one kind, whose variables are stacked along a new first axis.

    The template is evaluated with the variables of one block after another in the place of its
    own. It is not tracked by Keras (nor is anything that this object holds): what Keras sees, saves
    and trains are the stacked variables.

    Attributes:
        template: the layer of the first block; its own variables are not used once built.
        variables: the stacked variables, in the order of the template's.
        existing: layers whose weights are taken over when built.
    """

    def __init__(self, maker: BlockMaker) -> None:
        self.maker = maker
        self.template = maker.template
        self.variables: list[keras.Variable] = []
        self.existing: list[keras.layers.Layer] = []
        self._flags: list[bool] = []

    def build(
        self,
        owner: keras.layers.Layer,
        depth: int,
        input_shape: Any,
        build_one: Callable[[Any], None],
    ) -> None:
        """Creates the stacked variables of `owner`, with initial values block by block.

        Args:
            build_one: builds a layer by calling it with symbolic tensors, and checks what it does.
        """
        loops.check_stackable(self.template, layers_inside(self.template))
        with added_weights(self.template) as weights:
            build_one(self.template)
        if self.maker.arguments is not None:  # the check of the template is one of all
            build_one = partial(_build_plain, input_shape=input_shape)
        if _ALIKE.get() and not self.existing:
            self.existing = [self.template] * depth
        beginnings = self._drawn(depth, weights)
        if beginnings is None:
            beginnings = self._of_layers(depth, build_one)
        unfrozen = self.maker.copy()
        build_one(unfrozen)
        unfreeze(unfrozen)
        kinds = [variable.trainable for variable in own_variables(unfrozen)]
        rows = zip(own_variables(self.template), kinds, beginnings, strict=True)
        for place, (variable, trainable, initializer) in enumerate(rows):
            # PyTorch's `zero_grad` finds weights by name, so each name occurs once in a stack.
            name = f"{self.maker.argument}_{place}_{variable.name}"
            shape = (depth, *variable.shape)
            stacked = _stacked_variable(owner, name, variable, trainable, shape, initializer)
            self.variables.append(stacked)
        self.existing = []
        self.note_flags()

    def _drawn(self, depth: int, weights: Sequence[Weight]) -> list[Initializer] | None:
        """Initializers of the stacked variables, where Keras's arguments tell all initial values.

        Args:
            weights: those that the template has added.
        """
        arguments = self.maker.arguments
        if self.existing or arguments is None or self.maker.factory is not None:
            return None
        names = sources(self.template, weights, arguments)
        if names is None:
            return None
        constants = {name: keras.initializers.get(name) for name in CONSTANTS}
        first = {name: getattr(self.template, name) for name in arguments}
        blocks = [first, *map(self.maker.arguments_of_block, range(1, depth))]
        return [drawing([{**block, **constants}[name] for block in blocks]) for name in names]

    def _of_layers(self, depth: int, build_one: Callable[[Any], None]) -> list[Initializer]:
        """The same from a layer for each block."""
        layers = self.existing or [self.template, *map(self.maker.make, range(1, depth))]
        for layer in layers:
            if not self.existing and layer is not self.template:
                build_one(layer)
        check_same_variables([self.template, *layers])
        return [stacking(column) for column in zip(*map(own_variables, layers), strict=True)]

    def note_flags(self) -> None:
        """Remembers which weights of the template are frozen."""
        self._flags = [variable.trainable for variable in own_variables(self.template)]

    def check_unchanged(self, name: str) -> None:
        """Refuses a template that was changed behind the back of the stacked variables."""
        if self._flags == [variable.trainable for variable in own_variables(self.template)]:
            return
        raise ValueError(
            "What is inside an RKStack cannot be frozen, quantized or given LoRA weights in part "
            "once it is built. Do it before the stack is built; or freeze the whole stack "
            "(`stack.trainable = False`) or one of `stack.weights`; or take `stack.unstack()`, "
            "change those layers, and stack them again with `RKStack.from_layers(...)`. "
            f"Received: layer {self.template.name!r} of stack {name!r}, whose variables changed."
        )

    def values(self, effects: Effects) -> tuple:
        """The present values of all blocks."""
        return tuple(
            loops.value(variable, place in effects.written)
            for place, variable in enumerate(self.variables)
        )

    def first_block(self) -> tuple:
        """The present values of the first block."""
        return tuple(loops.value(variable)[0] for variable in self.variables)

    def written(self, effects: Effects) -> tuple[keras.Variable, ...]:
        """The stacked variables that evaluations assign to."""
        return tuple(self.variables[place] for place in effects.written)

    def set_block(self, block: int, layer: keras.layers.Layer) -> None:
        """Gives a layer of the same kind the weights and the state of one block."""
        for variable, stacked in zip(own_variables(layer), self.variables, strict=True):
            variable.assign(ops.convert_to_tensor(stacked.value)[block])
            variable.trainable = stacked.trainable


def _build_plain(layer: keras.layers.Layer, input_shape: Any) -> None:
    """Builds a layer that needs no call for it, which would take much longer."""
    if not layer.built:
        layer.build(input_shape)


def _stacked_variable(
    owner: keras.layers.Layer,
    name: str,
    variable: keras.Variable,
    trainable: bool,
    shape: tuple[int, ...],
    initializer: Initializer,
) -> keras.Variable:
    stacked = owner.add_weight(
        shape=shape,
        initializer=initializer,
        dtype=variable.dtype,
        trainable=trainable,
        autocast=False,
        aggregation=variable.aggregation,
        name=name,
    )
    stacked.regularizer = per_block_regularizer(variable.regularizer)
    stacked.constraint = per_block_constraint(variable.constraint)
    stacked.overwrite_with_gradient = variable.overwrite_with_gradient
    if trainable:
        stacked.trainable = variable.trainable
    return stacked


def per_block_regularizer(regularizer: Any) -> Any:
    """The sum over the blocks of a regularizer of each."""
    elementwise = regularizer is None or type(regularizer) in ELEMENTWISE
    return regularizer if elementwise else _PerBlockRegularizer(regularizer)


def per_block_constraint(constraint: Any) -> Any:
    """A constraint applied to each block by itself."""
    return None if constraint is None else _PerBlockConstraint(constraint)


class _PerBlockRegularizer(keras.regularizers.Regularizer):
    def __init__(self, of_one: Callable[[Any], Any]) -> None:
        self.of_one = of_one

    def __call__(self, x: Any) -> Any:
        return ops.sum(ops.vectorized_map(self.of_one, ops.convert_to_tensor(x)))


class _PerBlockConstraint(keras.constraints.Constraint):
    def __init__(self, of_one: Callable[[Any], Any]) -> None:
        self.of_one = of_one

    def __call__(self, w: Any) -> Any:
        return ops.vectorized_map(self.of_one, ops.convert_to_tensor(w))


def check_same_variables(layers: Sequence[keras.layers.Layer]) -> None:
    """Refuses layers whose variables cannot be stacked."""
    kinds = [[(tuple(v.shape), v.dtype) for v in own_variables(layer)] for layer in layers]
    for kind, layer in zip(kinds, layers, strict=True):
        if kind != kinds[0]:
            raise ValueError(
                "The blocks of a stack must have variables of the same shapes and dtypes. "
                f"Received: {kinds[0]} in one block and {kind} in another (layer {layer.name!r})."
            )
