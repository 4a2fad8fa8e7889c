"""RKStack: many Runge-Kutta residual blocks, each with its own weights, in one loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_rk.layers.arguments import block_step_sizes, fixed, positive_integer, random_seed
from keras_rk.layers.blocks import BlockMaker
from keras_rk.layers.inputs import evaluate
from keras_rk.layers.integration import Integration, cast_like, total
from keras_rk.layers.method_layer import MethodLayer, check_derivative
from keras_rk.layers.rk_residual import RKResidual
from keras_rk.layers.stacked_layer import StackedLayer
from keras_rk.layers.stages import stage_plan
from keras_rk.layers.vector_field import Effects, VectorField


class _Part(NamedTuple):
    """The vector field of a stack, or the layer after each block, in one call."""

    stacked: StackedLayer
    field: VectorField
    effects: Effects


@keras.saving.register_keras_serializable(package="keras_rk")
class RKStack(MethodLayer):
    """DOCSTRING"""

    depth, dt, seed = map(fixed, ("depth", "dt", "seed"))

    def __init__(
        self,
        layer: Any,
        depth: int,
        tableau: Any = "rk4",
        dt: Any = 1.0,
        steps: int = 1,
        *,
        after: Any = None,
        seed: int | None = None,
        order: int | None = None,
        require: str = "order",
        state: str = "shared",
        return_states: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(tableau, steps, order, require, state, return_states, **kwargs)
        self._depth = positive_integer("depth", depth)
        self._dt, self._exact_dts = block_step_sizes(dt, self.depth)
        self._seed = random_seed(seed)
        self._layer = StackedLayer(BlockMaker(layer, self.seed, "layer"))
        self._after = None
        if after is not None:
            self._after = StackedLayer(BlockMaker(after, self.seed, "after"))
        self.supports_jit = all(part.template.supports_jit for part in self._parts)
        if not self.trainable:
            self.trainable = False  # what is inside, too
        self._new_integration()

    @property
    def _parts(self) -> list[StackedLayer]:
        return [self._layer] if self._after is None else [self._layer, self._after]

    @property
    def layer(self) -> keras.layers.Layer:
        """The layer that computes f, with the weights of one block after another."""
        return self._layer.template

    @property
    def after(self) -> keras.layers.Layer | None:
        """The layer after each block."""
        return None if self._after is None else self._after.template

    @property
    def length(self) -> int:
        return self.depth

    @property
    def trainable(self) -> bool:
        """Whether the weights of all blocks are trained."""
        return super().trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        keras.layers.Layer.trainable.fset(self, value)
        for part in self._parts:
            part.template.trainable = value
            part.note_flags()

    def build(self, input_shape: Any) -> None:
        self._layer.build(self, self.depth, lambda layer: self.build_field(layer, input_shape))
        if self._after is not None:
            self._after.build(self, self.depth, lambda layer: self._build_after(layer, input_shape))
        self._input_shape = input_shape
        self.built = True

    def _build_after(self, layer: keras.layers.Layer, input_shape: Any) -> None:
        y = keras.KerasTensor(input_shape, dtype=self._state_dtype)
        check_derivative(layer, y, evaluate(layer, y, (), {}), "`after`")

    def advance(
        self, y: Any, args: tuple, kwargs: dict[str, Any], mask: Any, training: bool | None
    ) -> tuple[Any, Any, Any]:
        if self._integration.plan.dtype != self._state_dtype:  # the dtype policy was set anew
            self._new_integration()
        parts = self._parts_of_a_call(y, args, kwargs, mask, training)
        foreign = parts[0].field.foreign
        factors = () if self._factors is None else (ops.convert_to_tensor(self._factors),)
        losses = (ops.zeros((), self._state_dtype),) if any(p.effects.losses for p in parts) else ()
        outputs = (
            tuple(_one_block(v) for p in parts for v in p.stacked.written(p.effects)),
            (y,) if self.return_states else (),
        )
        (y, last, losses), (written, path) = self.loop.scan(
            self._block(parts),
            (y, tuple(variable.value for variable in foreign), losses),
            (tuple(part.stacked.values() for part in parts), factors),
            tuple(tuple(part.field.constants()) for part in parts),
            self.depth,
            outputs=outputs,
            key=tuple(part.field.key for part in parts),
            traceable=self.steps == 1 and not any(part.effects.reads_foreign for part in parts),
        )
        stacked = [v for part in parts for v in part.stacked.written(part.effects)]
        for variable, value in zip([*stacked, *foreign], [*written, *last], strict=True):
            variable.assign(value)
        return y, path[0] if path else None, losses[0] if losses else None

    def _parts_of_a_call(
        self, y: Any, args: tuple, kwargs: dict[str, Any], mask: Any, training: bool | None
    ) -> list[_Part]:
        fields = [self.field(self.layer, args, kwargs, mask, training)]
        if self._after is not None:
            fields.append(self.field(self._after.template, (), {"mask": mask}, mask, training))
        for part in self._parts:
            part.check_unchanged(self.name)
        effects = [self._integration.effects(field, y) for field in fields]
        foreign = list(dict.fromkeys(variable for e in effects for variable in e.foreign))
        return [
            _Part(part, field.owning(foreign), e)
            for part, field, e in zip(self._parts, fields, effects, strict=True)
        ]

    def _block(self, parts: list[_Part]) -> Any:
        """One iteration of the loop: the steps of a block, and the layer after it."""

        def body(carry: tuple, x: tuple, constants: tuple) -> tuple:
            y, foreign, losses = carry
            values, factors = x
            written: list = []
            for number, (part, own) in enumerate(zip(parts, values, strict=True)):
                field = part.field.with_constants(constants[number])
                if number == 0:
                    y, state, loss, _ = self._integration.solve(
                        field,
                        y,
                        (*own, *foreign),
                        effects=part.effects.owning(len(own), len(foreign)),
                        factors=factors[0] if factors else None,
                    )
                else:
                    y, state, added = field((*own, *foreign), y)
                    loss = total(added, self._state_dtype)
                changed = tuple(state[place] for place in part.effects.written)
                before = tuple(own[place] for place in part.effects.written)
                written += cast_like(changed, before)
                foreign = cast_like(state[len(own) :], foreign)
                if loss is not None:
                    losses = tuple(so_far + loss for so_far in losses)
            return (y, foreign, losses), (tuple(written), (y,) if self.return_states else ())

        return body

    def _new_integration(self) -> None:
        dtype = self._state_dtype
        plans = [stage_plan(self.tableau, dt, dtype) for dt in self._exact_dts]
        self._integration = Integration(plans[0], self.steps, self.loop)
        self._factors = None
        if len(plans) > 1:
            self._factors = np.array([plan.factors for plan in plans], dtype=dtype)

    def unstack(self) -> list[keras.layers.Layer]:
        """The blocks as `depth` single layers with copies of their weights and state."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "layer": self._layer.maker.config,
            "depth": self.depth,
            "dt": list(self.dt) if isinstance(self.dt, tuple) else self.dt,
            "after": None if self._after is None else self._after.maker.config,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> RKStack:
        config = dict(config)
        for name in ("layer", "after"):
            config[name] = keras.saving.deserialize_keras_object(
                config[name], custom_objects=custom_objects
            )
        return cls(**config)


def _one_block(variable: keras.Variable) -> keras.KerasTensor:
    return keras.KerasTensor(variable.shape[1:], dtype=variable.dtype)
