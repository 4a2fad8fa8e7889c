"""Marches of PyTorch: Python loops over a traced try, and backwards over traced steps.

A try is traced without gradients; a step with them, as an iteration of a scan is (`torch_loops`),
of which the backward pass with rematerialisation is the one that is wanted here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from keras_rk.loops.common import March, Marching, flatten, pack, stacked
from keras_rk.loops.torch_loops import _TracedScan
from keras_rk.loops.torch_traces import Traced, lookup, same_generators


def march(marching: Marching, state: Any, constants: Any, traces: dict, key: Any) -> March:
    """`Loop.march`.

    Args:
        key: that of a trace; None where the march is not to be traced.
    """
    inputs = flatten((state, constants))
    if any(x.is_meta for x in inputs):  # Keras asks for shapes: those of one try
        control = marching.begin(state, constants)
        after, control, *_ = marching.attempt(state, control, constants)
        return March(after, control, stacked([state]) if marching.path else ())
    run = _March(marching, state, constants, traces, key)
    if torch.is_grad_enabled() and any(x.requires_grad for x in inputs):
        results = _Function.apply(run, *inputs)
    else:
        with torch.no_grad():
            results, _ = run.forward(inputs)
    return pack(run.structure, list(results))


class _March:
    """One march: its forward and its backward pass, from flat inputs to flat outputs."""

    def __init__(
        self, marching: Marching, state: Any, constants: Any, traces: dict, key: Any
    ) -> None:
        self.marching = marching
        self.given = state, constants
        path = state if marching.path else ()
        self.structure = March(state, marching.control, path)
        self.size = len(flatten(state))
        self._traces, self._key = traces, key

    def forward(self, inputs: Sequence[Any]) -> tuple[list, list[list]]:
        """The outputs; and for each step the state before it, and its record."""
        marching, (state, constants) = self.marching, self.given
        sizes = [len(flatten(x)) for x in (state, marching.control, marching.record)]
        a, b, c = np.cumsum(sizes).tolist()
        before, fixed = list(inputs[:a]), list(inputs[a:])
        control = self._flat("begin", marching.begin, self.given, inputs)(*inputs)
        arguments = state, marching.control, constants
        attempt = self._flat("attempt", marching.attempt, arguments, [*before, *control, *fixed])
        saved, states, tries, more = [], [], 0, True
        while more and tries < marching.most:
            results = attempt(*before, *control, *fixed)
            kept, more = results[c : c + 2]
            if kept:
                saved.append([*before, *results[b:c]])
            before, control, tries = list(results[:a]), results[a:b], tries + 1
        if marching.path:
            rows = [one[:a] for one in saved] or [before]
            states = [torch.stack(column) for column in zip(*rows, strict=True)]
        return [*before, *control, *states], saved

    def _flat(
        self, name: str, function: Callable, arguments: Any, inputs: Sequence[Any]
    ) -> Callable[..., Sequence[Any]]:
        """A function of nested tuples as one of tensors; its trace, if it can be traced."""

        def step(*values: Any) -> list:
            return flatten(function(*pack(arguments, list(values))))

        traced = self._lookup(name, step, list(inputs))
        return step if traced is None else traced.forward

    def _lookup(
        self, name: str, step: Callable, inputs: list, carried: int = 0, changing: int = 0
    ) -> Traced | None:
        if self._key is None:
            return None
        kind, *others = self._key
        return lookup(self._traces, ((kind, name), *others), step, inputs, carried, changing)

    def backward(self, inputs: list, saved: list[list], tangents: Sequence[Any]) -> list:
        """The gradients of the inputs; None for those that have none."""
        a, length = self.size, len(saved)
        last = list(tangents[:a])
        if not saved:
            return [*last, *(None for _ in inputs[a:])]
        path = tangents[len(tangents) - a :] if self.marching.path else ()
        b = len(saved[0])
        columns = [torch.stack(column) for column in zip(*(one[a:] for one in saved), strict=True)]
        given = [*inputs[:a], *columns, *inputs[a:]]
        first = [*saved[0], *inputs[a:]]
        with torch.enable_grad():
            traced = self._lookup("advance", self._step, first, a, b)
        if traced is None:
            found = self._backward_in_python(inputs[a:], saved, last, path)
        else:
            scan = _TracedScan(traced, self._step, length, a, b - a, True)
            states = [x for one in saved for x in one[:a]]
            gradients = scan.backward(given, states, [*last, *path])
            found = [gradients.get(n) for n in (*range(a), *range(b, len(given)))]
        return found

    def _step(self, *values: Any) -> list:
        """A step from flat inputs; and, as an output of it, the state before it, if asked for."""
        state, constants = self.given
        parts = pack((state, self.marching.record, constants), list(values))
        after = flatten(self.marching.advance(*parts))
        return [*after, *(x.clone() for x in values[: self.size])] if self.marching.path else after

    def _backward_in_python(
        self, constants: list, saved: list[list], tangent: list, path: Sequence[Any]
    ) -> list:
        """The same with each step computed again as it stands."""
        a = self.size
        sums: list = [None] * len(constants)
        active = [n for n, x in enumerate(constants) if x.requires_grad]
        with same_generators(tangent[0].device), torch.enable_grad():
            for n, one in reversed(list(enumerate(saved))):
                state = [x.detach().requires_grad_() for x in one[:a]]
                after = self._step(*state, *one[a:], *constants)[:a]
                inputs = [*state, *(constants[k] for k in active)]
                found = torch.autograd.grad(after, inputs, tangent, allow_unused=True)
                tangent = [
                    torch.zeros_like(x) if dx is None else dx
                    for x, dx in zip(state, found[:a], strict=True)
                ]
                tangent = [x + rows[n] for x, rows in zip(tangent, path, strict=False)] or tangent
                for k, dx in zip(active, found[a:], strict=True):
                    if dx is not None:
                        sums[k] = dx if sums[k] is None else sums[k] + dx
        return [*tangent, *sums]


class _Function(torch.autograd.Function):
    """A march as one node of autograd's graph."""

    @staticmethod
    def forward(ctx: Any, run: _March, *inputs: Any) -> tuple:
        outputs, saved = run.forward(inputs)
        outputs = [x.view_as(x) if any(x is y for y in inputs) else x for x in outputs]
        ctx.run, ctx.inputs, ctx.steps = run, len(inputs), len(saved)
        ctx.save_for_backward(*inputs, *(x for one in saved for x in one))
        a, end = run.size, len(flatten((run.structure.state, run.structure.control)))
        ctx.mark_non_differentiable(*outputs[a:end])
        return tuple(outputs)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *tangents: Any) -> tuple:
        inputs, saved = ctx.saved_tensors[: ctx.inputs], ctx.saved_tensors[ctx.inputs :]
        size = len(saved) // max(ctx.steps, 1)
        steps = [list(saved[n * size : (n + 1) * size]) for n in range(ctx.steps)]
        return None, *ctx.run.backward(list(inputs), steps, tangents)
