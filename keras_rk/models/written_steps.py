"""Steps of a method written out: sums of layers of Keras and operations of `keras.ops`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rk.field.copies import layers_inside
from keras_rk.field.inputs import MULTI_HEADED, takes_time
from keras_rk.layers.method_layer import MethodLayer
from keras_rk.layers.rk_residual import RKResidual
from keras_rk.models.plain_names import Names
from keras_rk.models.recorded_graph import Graph, mask_of
from keras_rk.steps.stages import StagePlan, Term

# A function of a symbolic tensor for each operation that is needed. Keras has no public names for
# the classes behind `keras.ops`, which are what can be given a name in a model.
_EXAMPLES: dict[str, Callable[[Any], Any]] = {
    "multiply": lambda x: x * 2.0,
    "cast": lambda x: ops.cast(x, "float64"),
    "stack": lambda x: ops.stack([x, x], axis=1),
    "pad": lambda x: ops.pad(x, [[0, 0], [0, 1]], constant_values=1.0),
}


@lru_cache(maxsize=len(_EXAMPLES))
def _class_of(kind: str) -> type:
    x = keras.Input((1,))
    return type(Graph(keras.Model(x, _EXAMPLES[kind](x))).calls[-1].operation)


def operation(kind: str, name: str, **config: Any) -> Any:
    """What a function of `keras.ops` makes, with a name of its own.

    Keras chooses such names by counting, anew in each session, so that those of a model that was
    loaded could occur twice.
    """
    return _class_of(kind)(name=name, **config)


def cast_to(x: Any, dtype: str, name: Callable[[], str]) -> Any:
    """A symbolic tensor in another dtype; itself where it has that already."""
    found = keras.backend.standardize_dtype(x.dtype)
    if found == dtype:
        return x
    if "float" in found:  # a layer, which keeps the mask
        return keras.layers.Identity(dtype=dtype, name=name())(x)
    return operation("cast", name(), dtype=dtype)(x)


def plan_written_out(layer: MethodLayer) -> StagePlan:
    """The evaluations of a step, with the factors that the layer has now."""
    plan, factors = layer._method.plan, layer._method.factors(*layer._learned)
    if factors is None:
        return plan
    values = np.array(ops.convert_to_numpy(factors))
    return plan.with_factors([v.tolist() if v.ndim == 0 else v for v in values])


def times_written_out(layer: MethodLayer) -> list[list[float]]:
    """The times of all evaluations, for each step and stage."""
    return np.array(ops.convert_to_numpy(layer._method.times(*layer._learned))).tolist()


class Sums:
    """y + (factor k + factor k + ...) of symbolic tensors, in the order in which layers add.

    Args:
        dtype: the dtype of y, in which everything is added up.
        masked: whether y carries a mask, which sums then carry on.
        name: makes a name of what a tensor is.
    """

    def __init__(self, dtype: str, masked: bool, name: Callable[[str], str]) -> None:
        self.dtype, self._masked, self._name = dtype, masked, name

    def in_dtype(self, dtype: str) -> Sums:
        """The same in another dtype."""
        return Sums(dtype, self._masked, self._name)

    def combine(self, y: Any, terms: Sequence[Term], derivatives: Sequence[Any], name: str) -> Any:
        """The sum, as the last operation, which has that name."""
        if not terms:
            return y
        name = self._name(name)
        parts = [self._multiple(derivatives[j], factor, f"{name}_k{j + 1}") for j, factor in terms]
        increment = parts[0] if len(parts) == 1 else self._add(parts, self._name(f"{name}_sum"))
        return self._add([y, increment], name)

    def _add(self, parts: Sequence[Any], name: str) -> Any:
        return keras.layers.Add(dtype=self.dtype, name=name)(list(parts))

    def _multiple(self, k: Any, factor: Any, name: str) -> Any:
        k = cast_to(k, self.dtype, lambda: self._name(f"{name}_cast"))
        if isinstance(factor, float) and factor == 1.0:
            return k
        name = self._name(name)
        if not self._masked:
            return operation("multiply", name)(k, factor)
        scale = factor if isinstance(factor, float) else factor.tolist()
        return keras.layers.Rescaling(scale, dtype=self.dtype, name=name)(k)


def with_mask_of_its_own(y: Any, f: keras.layers.Layer, name: Callable[[], str]) -> Any:
    """What f is called with: a copy of y where f would take the mask off y itself.

    `MultiHeadAttention` does that to the tensors that it is given, and whatever uses them next
    finds none.
    """
    if mask_of(y) is None or not any(isinstance(x, MULTI_HEADED) for x in layers_inside(f)):
        return y
    return keras.layers.Rescaling(1.0, dtype=y.dtype, name=name())(y)


def check_mask_kept(k: Any, layer: MethodLayer) -> None:
    """Refuses an f that does not return the mask that y carries, which plain sums would lose."""
    if mask_of(k) is None:
        raise ValueError(
            "y carries a mask, which each evaluation of f gets from the layer itself; sums of "
            "plain layers carry it only where what f returns has it, too. Use layers that support "
            f"masking in f. Received: layer {layer.name!r} with f {layer.layer.name!r}."
        )


def written_steps(
    layer: RKResidual, y: Any, f: Callable[[int, Any, dict[str, float]], Any], names: Names
) -> list[Any]:
    """y, and the states after each step, in the dtype in which they are summed up.

    Args:
        f: `f(evaluation, y, time)`, the derivative; `time` is `{"t": number}` where f takes it.
    """
    plan = plan_written_out(layer)
    times = times_written_out(layer) if takes_time(layer.layer) else None
    is_sum = _is_sum(layer, plan)
    if not is_sum:
        y = cast_to(y, layer._state_dtype, lambda: names.new(f"{layer.name}_y"))
    masked = mask_of(y) is not None
    sums = Sums(layer._state_dtype, masked, names.new)
    states = [y]
    for step in range(layer.steps):
        inner = f"{layer.name}_step_{step + 1}" if layer.steps > 1 else layer.name
        derivatives: list[Any] = []
        for stage, row in enumerate(plan.rows):
            start = sums.combine(states[-1], row, derivatives, f"{inner}_stage_{stage + 1}")
            start = with_mask_of_its_own(
                start, layer.layer, lambda: names.new(f"{layer.name}_stage")
            )
            time = {} if times is None else {"t": times[step][stage]}
            derivatives.append(f(step * len(plan.rows) + stage, start, time))
            if masked:
                check_mask_kept(derivatives[-1], layer)
        if is_sum and {x.dtype for x in (y, *derivatives)} == {layer.compute_dtype}:
            sums = sums.in_dtype(layer.compute_dtype)  # as y + f(y) would be
        name = layer.name if step == layer.steps - 1 else inner
        states.append(sums.combine(states[-1], plan.update, derivatives, name))
    return states


def _is_sum(layer: RKResidual, plan: StagePlan) -> bool:
    """Whether a layer computes y + f(y)."""
    one = len(plan.stages) == layer.steps == 1 and not layer.return_states
    factors = [factor for _, factor in plan.update]
    return one and all(isinstance(factor, float) for factor in factors) and factors == [1.0]
