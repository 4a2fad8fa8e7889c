"""Steps whose number is an argument of the computation, so that one trace serves all refinements.

A layer that was made with `most` substeps takes n <= `most` of them instead, each of dt / n: the
factors of its plan are multiplied by `most` / n, and of its moving statistics, of which there are
some for each evaluation, the first ones count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import MethodType
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_rk import loops
from keras_rk.field.effects import Effects
from keras_rk.field.overwritten import for_each_evaluation, overwritten
from keras_rk.field.vector_field import VectorField
from keras_rk.layers import RKStack
from keras_rk.layers.method_layer import MethodLayer
from keras_rk.layers.stacked_layer import StackedLayer
from keras_rk.steps.clock import Clock
from keras_rk.steps.integration import Integration, Solution, cast_like

NO_EFFECTS = Effects((), (), False, False)


def count_steps(layer: MethodLayer, most: int, interpolated: bool) -> CountedSteps:
    """Makes a layer take as many substeps as the object that is returned says.

    Args:
        layer: a layer that was made with `most` substeps; it gives no losses and errors any more.
        interpolated: whether the weights of a stack are linear in depth.
    """
    in_depth: list[bool] = []
    if interpolated and isinstance(layer, RKStack) and layer.depth > 1:
        ratio = _ratios_to_neighbours(layer)
        for part in layer._parts:
            in_depth += [is_float(variable) for variable in part.variables]
            vars(part)["values"] = MethodType(_values_and_ends(ratio), part)
    counted = CountedSteps(layer, most, in_depth)
    layer._integration = counted
    return counted


class _Step(NamedTuple):
    """What one step needs beside y and what f assigns to.

    Attributes:
        others: the variables that f leaves alone.
        further: the tensors that f is called with.
        factors: those of the plan.
        clock: where f takes t: the time at the start, and dt.
        depth: with interpolated weights: the number of substeps, and the slope.
    """

    others: tuple
    further: tuple
    factors: tuple
    clock: tuple
    depth: tuple


class CountedSteps(Integration):
    """`steps * count` steps of dt / count, in the place of a layer's integration.

    Attributes:
        count: how many substeps there are, a scalar tensor of integers, to be set before a call.
        slope: 1 for interpolated weights, 0 for weights that are constant within each block: a
            scalar, or a tensor.
    """

    def __init__(self, layer: MethodLayer, most: int, in_depth: Sequence[bool]) -> None:
        given = layer._integration
        super().__init__(given.plan, given.steps, given.loop, given.policy, None)
        self.count: Any = most
        self.slope: Any = 1.0
        self._most = most
        self._in_depth = list(in_depth)  # which variables come with their values at both ends
        self._nodes = [float(layer._tableau.exact_c[i]) for i in given.plan.stages]

    @property
    def needs_effects(self) -> bool:
        return True

    def solve(
        self,
        field: VectorField,
        y: Any,
        state: tuple,
        statistics: Sequence[Any] = (),
        *,
        effects: Effects | None = None,
        factors: Sequence[Any] = (),
        times: Any = None,
        path: bool = False,
        clock: Clock | None = None,
    ) -> Solution:
        """The steps from y, as in `Integration.solve`, but for losses and errors."""
        if clock is not None:
            raise NotImplementedError(
                "This diagnosis divides the steps that a layer takes by itself, of its own `dt`. "
                "Received: a model that calls a layer with `times` of its own."
            )
        effects = effects or NO_EFFECTS
        stages, separate = len(self.plan.stages), self.policy.separate(field.variables)
        changing = [n for n, place in enumerate(separate) if place in effects.written]
        carried = effects.without(separate)
        if any(n < len(self._in_depth) and self._in_depth[n] for n in carried.written):
            raise NotImplementedError("What f assigns to cannot be interpolated.")
        spread = [
            for_each_evaluation(state[place], self.evaluations)
            for place in overwritten(field.variables)
        ]
        rows = tuple(
            ops.reshape(values, (self.steps, stages, *values.shape[1:]))
            for values in (*statistics, *spread)
        )
        scale = self._most / self._number(self.count)
        written, others = carried.split(state)
        needs = _Step(
            others,
            tuple(field.constants()),
            tuple(factor * scale for factor in (factors or self.plan.factors)),
            () if times is None else self._clock(times, scale),
            tuple(map(self._number, (self.count, self.slope))) if any(self._in_depth) else (),
        )

        def step(i: Any, y: Any, written: tuple, rows: tuple, needs: _Step) -> tuple:
            y, new, left, *_ = self._step(
                field.with_constants(needs.further),
                y,
                self._at(i, carried.merge(written, needs.others), needs.depth),
                [loops.rows(values, stages) for values in rows],
                self._times(i, needs.clock),
                needs.factors,
                effects,
            )
            left = cast_like([ops.stack(left[n]) for n in changing], [rows[n] for n in changing])
            return y, cast_like(carried.split(new)[0], written), left

        run = self._in_graph if loops.is_making_graph((y, self.count)) else self._in_python
        key = ("counted", effects.kind, effects.traceable)
        y, written, left, states = run(step, y, written, rows, changing, needs, path, key)
        after = list(statistics)
        for n, values in zip(changing, left, strict=True):
            if n < len(after):
                after[n] = ops.reshape(values, statistics[n].shape)
        return Solution(y, carried.merge(written, others), tuple(after), None, None, states)

    def _clock(self, times: Any, scale: Any) -> tuple[Any, Any]:
        """The time at the start, and dt, from the times of all evaluations with `most` substeps."""
        dt = times[1, 0] - times[0, 0]
        return times[0, 0] - self._nodes[0] * dt, dt * scale

    def _times(self, i: Any, clock: tuple) -> Sequence[Any]:
        if not clock:
            return ()
        start, dt = clock
        return [start + dt * (ops.cast(i, self.plan.dtype) + node) for node in self._nodes]

    @property
    def _per_substep(self) -> int:
        """How many steps there are in one part of a block."""
        return self.steps // self._most

    def _number(self, value: Any) -> Any:
        return ops.cast(value, self.plan.dtype)

    def _at(self, i: Any, state: tuple, depth: tuple) -> tuple:
        """The variables of f in step i: with interpolated weights, in the middle of its part."""
        if not depth:
            return state
        dtype, (count, slope) = self.plan.dtype, depth
        part = self._number(i // self._per_substep)
        place = (2 * part + 1) / count - 1  # from -1 to 1, at the ends
        share = ops.abs(place) * slope

        def at(values: Any) -> Any:
            own, start, end = (ops.cast(values[n], dtype) for n in range(3))
            other = ops.where(place < 0, start, end)
            return ops.cast(own + share * (other - own), values.dtype)

        pairs = zip(state, [*self._in_depth, *[False] * len(state)], strict=False)
        return tuple(at(values) if is_float else values for values, is_float in pairs)

    def _in_graph(
        self,
        step: Callable[..., tuple],
        y: Any,
        written: tuple,
        rows: tuple,
        changing: Sequence[int],
        needs: _Step,
        path: bool,
        key: tuple,
    ) -> tuple:
        steps = self._per_substep
        states = (ops.repeat(y[None], steps, axis=0),) if path else ()

        def body(i: Any, carry: tuple) -> tuple:
            y, written, left, states = carry
            now = tuple(ops.take(values, i, axis=0) for values in rows)
            y, written, new = step(i, y, written, now, needs)
            left = tuple(_set(old, i, value) for old, value in zip(left, new, strict=True))
            return y, written, left, tuple(_set(s, i // self.count, y) for s in states)

        carry = y, written, tuple(rows[n] for n in changing), states
        y, written, left, states = loops.repeat(body, carry, steps * self.count)
        return y, written, left, states[0] if path else None

    def _in_python(
        self,
        step: Callable[..., tuple],
        y: Any,
        written: tuple,
        rows: tuple,
        changing: Sequence[int],
        needs: _Step,
        path: bool,
        key: tuple,
    ) -> tuple:
        count = int(ops.convert_to_numpy(self.count))
        total = self._per_substep * count
        numbers = ops.arange(total, dtype="int32")

        def body(carry: tuple, x: tuple, needs: tuple) -> tuple:
            y, written = carry
            y, written, left = step(x[0], y, written, x[1], _Step(*needs))
            return (y, written), (left, (y,) if path else ())

        (y, written), (left, states) = self.loop.scan(
            body,
            (y, written),
            (numbers, tuple(values[:total] for values in rows)),
            tuple(needs),
            total,
            outputs=(tuple(rows[n][0] for n in changing), (y,) if path else ()),
            key=(*key, path),
            traceable=key[-1],
        )
        left = tuple(
            ops.concatenate([values, rows[n][total:]], axis=0)
            for n, values in zip(changing, left, strict=True)
        )
        return y, written, left, states[0][count - 1 :: count] if path else None


def _set(values: Any, i: Any, value: Any) -> Any:
    """`values` with another entry at place i of the first axis."""
    start = [ops.cast(i, "int32"), *[np.int32(0)] * (len(values.shape) - 1)]  # JAX: of one type
    return ops.slice_update(values, start, value[None])


def is_float(variable: Any) -> bool:
    return "float" in keras.backend.standardize_dtype(variable.dtype)


def _ratios_to_neighbours(stack: RKStack) -> np.ndarray:
    """How far between two middles of blocks their border lies, as a share of the way."""
    sizes = np.abs(stack.step_sizes).reshape(stack.depth, -1).mean(axis=1)
    return sizes[:-1] / (sizes[:-1] + sizes[1:])


def _values_and_ends(ratios: np.ndarray) -> Callable[[StackedLayer, Effects], tuple]:
    """What returns the values of each block, and those at its ends, along a new second axis."""

    def values_and_ends(part: StackedLayer, effects: Effects) -> tuple:
        return tuple(
            _with_ends(values, ratios) if is_float(values) else values
            for values in StackedLayer.values(part, effects)
        )

    return values_and_ends


def _with_ends(values: Any, ratios: np.ndarray) -> Any:
    shape = (-1, *[1] * (len(values.shape) - 1))
    share = ops.cast(ops.convert_to_tensor(ratios.reshape(shape).astype("float32")), values.dtype)
    borders = values[:-1] + share * (values[1:] - values[:-1])
    starts = ops.concatenate([values[:1], borders], axis=0)
    ends = ops.concatenate([borders, values[-1:]], axis=0)
    return ops.stack([values, starts, ends], axis=1)
