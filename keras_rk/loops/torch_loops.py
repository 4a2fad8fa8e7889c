"""Loops of PyTorch: Python over a traced body, as one node of autograd's graph.

Calling Keras layers takes longer than computing them, so one iteration is recorded once, forwards
and backwards, as a graph of PyTorch's own operations, and that graph is called again and again:

    torch_loops      this file: the loop over a traced iteration, its gradient, and `remat`
    torch_traces     one iteration becomes two graphs: outputs, and gradients as autograd has them
    torch_recording  how a graph is written down, operation by operation
    torch_graphs     these graphs with fewer operations
    torch_fusions    several operations become one
    torch_calls      the same operations, called with less Python in between

*What is traced*: whatever computes with tensors alone. An f that chooses by values, turns a seed
into a Python number, or leaves PyTorch is not; its loop runs in Python. All stages of a step draw
the same random numbers: in a trace, later ones take those of the first, so what is drawn may not
depend on y then (as it does on a GPU, where dropout is one operation). Neither is a loop inside of
somebody else's trace (export, `torch.compile`, functorch), or under autocast. With `jit_compile`
the two graphs are compiled, and none of the rewriting below is needed. A layer keeps its newest 32
traces, one for each kind of inputs.

*What the rewriting buys*: CPU time of a training step without one of them, divided by that with
all (examples/benchmarks/rewriting.py, one thread, 9 rounds, PyTorch 2.13). Blocks: 50 blocks of
Dense(8) with batch normalization, by Euler, RK4 and RK8; convolution: ten steps of RK4.

    writes in place become values    blocks 1.54, 1.63, 1.67 (else nothing below applies)
    direct calls                     blocks 1.41, 1.40, 1.41; convolution 1.09
    copies                           convolution 1.12, in bfloat16 1.10
    a convolution adds its bias      convolution 1.06, in bfloat16 1.11
    x + c k in one operation         blocks 1.04, 1.05, 1.08
    views                            blocks 1.07, 1.04, 0.96
    equal operations                 bfloat16: two Dense(256) 1.05, convolution 1.05

Measured and not kept, since none of them reached 5 %: sums of gradients term by term (at most
1.04), products and sums in one operation (1.02), casts inside sums (1.00), what depends on
constants alone computed once (1.02).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.fx.experimental.proxy_tensor import get_proxy_mode
from torch.utils.checkpoint import checkpoint

from keras_rk.loops.common import Body, flatten, pack, rematerialised, scan_in_python
from keras_rk.loops.torch_recording import recording
from keras_rk.loops.torch_traces import Traced, lookup, same_generators


def is_dynamo_compiling() -> bool:
    return torch.compiler.is_dynamo_compiling() and not torch.compiler.is_exporting()


outside_dynamo = torch.compiler.disable(lambda function, *arguments: function(*arguments))


def is_at_hand(x: Any) -> bool:
    """Whether a tensor is an array in the memory of the host, and no trace is being made."""
    return (
        type(x) in (torch.Tensor, torch.nn.Parameter)
        and x.device.type == "cpu"
        and get_proxy_mode() is None
        and not torch.jit.is_tracing()
        and not torch.compiler.is_compiling()
        and not torch._C._are_functorch_transforms_active()
    )


def look(function: Callable[[Any], Any], values: Any) -> None:
    state = torch.random.get_rng_state()
    with torch.no_grad():
        function(values)
    torch.random.set_rng_state(state)


def transposed(function: Callable[[Any], Any], y: Any, k: Any) -> Any:
    with torch.enable_grad():
        y = y.detach().requires_grad_()
        values = function(y)
        if not values.requires_grad:  # f does not depend on y
            return torch.zeros_like(y)
        (found,) = torch.autograd.grad(values, y, k, allow_unused=True, materialize_grads=True)
    return found.detach()


def buffers(layer: Any) -> list:
    """What the modules of PyTorch inside a Keras layer assign to: statistics and counters.

    They are looked for in all attributes: PyTorch does not see layers in lists as its modules.
    """
    found: dict[int, Any] = {}
    waiting = [layer]
    while waiting:
        value = waiting.pop()
        is_module = isinstance(value, torch.nn.Module)
        if id(value) in found or not (is_module or isinstance(value, (dict, list, tuple, set))):
            continue
        found[id(value)] = value
        inside = vars(value) if is_module else value
        waiting += inside.values() if isinstance(inside, dict) else inside
    modules = (value for value in found.values() if isinstance(value, torch.nn.Module))
    return [buffer for module in modules for buffer in module.buffers(recurse=False)]


@contextmanager
def unchanged(layer: Any) -> Iterator[None]:
    before = [(buffer, buffer.clone()) for buffer in buffers(layer)]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in before:
                if not torch.equal(buffer, value):
                    buffer.copy_(value)


def scan(
    body: Body,
    carry: Any,
    xs: Any,
    constants: Any,
    length: int,
    outputs: Any,
    again: bool,
    traces: dict,
    key: tuple,
) -> tuple[Any, Any]:
    a, b = len(flatten(carry)), len(flatten(carry)) + len(flatten(xs))
    inputs = flatten((carry, xs, constants))

    def step(*values: Any) -> list:
        x = pack(xs, values[a:b]), pack(constants, values[b:])
        return flatten(body(pack(carry, values[:a]), *x))

    def direct(*values: Any) -> list:
        start, columns, fixed = pack((carry, xs, constants), values)
        function = rematerialised(body, remat) if again else body
        return flatten(scan_in_python(function, start, columns, fixed, length, outputs))

    if any(x.is_meta for x in inputs):  # Keras asks for shapes
        stacks = [
            torch.empty((length, *x.shape), dtype=x.dtype, device="meta") for x in flatten(outputs)
        ]
        return carry, pack(outputs, stacks)
    first = [x[0] if a <= place < b else x for place, x in enumerate(inputs)]
    traced = lookup(traces, key, step, first, a, b)
    ran: Sequence[Any]
    if traced is None:
        ran = direct(*inputs)
    else:
        ran = _run(_TracedScan(traced, direct, length, a, b - a, again), inputs)
    return pack(carry, ran[:a]), pack(outputs, ran[a:])


@dataclass(frozen=True)
class _TracedScan:
    """All iterations.

    Attributes:
        traced: one iteration.
        direct: the same scan in Python, from flat inputs to flat outputs.
        length: how many iterations there are.
        carried, sliced: how many of the inputs are carried, and how many are sliced.
        remat: whether the backward pass computes again what it needs.
    """

    traced: Traced
    direct: Callable[..., list]
    length: int
    carried: int
    sliced: int
    remat: bool

    def _rows(self, inputs: Sequence[Any]) -> tuple[list, list[tuple], Sequence]:
        """What the first iteration carries, what each slices, and what all have in common."""
        a, b = self.carried, self.carried + self.sliced
        given = [x.contiguous() for x in inputs]
        columns = [x.unbind(0) for x in given[a:b]]
        rows = list(zip(*columns, strict=True)) if columns else [()] * self.length
        return given[:a], rows, given[b:]

    def forward(self, inputs: Sequence[Any]) -> tuple[list, list]:
        """The outputs, and what the backward pass needs of each iteration beside the inputs."""

        a, end = self.carried, self.traced.length
        values, rows, common = self._rows(inputs)
        collected: list = []
        saved: list = []
        for x in rows:
            if self.remat:
                saved += [*values, *self._generators(inputs)]
            results = self.traced.forward(*values, *x, *common)
            values = [value.contiguous() for value in results[:a]]
            collected.append(results[a:end])
            if not self.remat:
                saved.extend(results[end:])
            del results
        stacked = [torch.stack(column) for column in zip(*collected, strict=True)]
        return [*values, *stacked], saved

    def _generators(self, inputs: Sequence[Any]) -> list:
        """The states of the generators that an iteration draws from."""
        return _generators_for(inputs[0].device) if self.traced.is_random else []

    def _needed(self, inputs: Sequence[Any], saved: Sequence[Any]) -> Iterator[Sequence[Any]]:
        """What the backward pass of each iteration needs, the last iteration first."""
        size = len(saved) // self.length
        parts = [saved[i * size : (i + 1) * size] for i in range(self.length)]
        if not self.remat:
            yield from reversed(parts)
            return
        _, rows, common = self._rows(inputs)
        for part, x in zip(reversed(parts), reversed(rows), strict=True):
            values, states = part[: self.carried], part[self.carried :]
            with _drawing_again(states, inputs[0].device):
                needed = self.traced.forward(*values, *x, *common)[self.traced.length :]
            yield needed
            del needed  # or else those of two iterations are there at a time

    def backward(
        self, inputs: Sequence[Any], saved: Sequence[Any], tangents: Sequence[Any]
    ) -> dict[int, Any]:
        """The gradients, by the positions of the inputs."""

        a, b = self.carried, self.carried + self.sliced
        traced = self.traced
        carried = dict(zip(range(a), tangents[:a], strict=True))
        stacked = {a + n: column.unbind(0) for n, column in enumerate(tangents[a:])}
        slices: dict[int, list] = {place: [] for place in traced.with_gradient if a <= place < b}
        gradients: dict[int, Any] = {p: torch.zeros_like(inputs[p]) for p in traced.summed}
        batched = any(map(torch._C._functorch.is_legacy_batchedtensor, tangents))
        for n, needed in enumerate(self._needed(inputs, saved), start=1):
            received = [
                (carried[place] if place < a else stacked[place][-n]).contiguous()
                for place in traced.differentiable
            ]
            if batched:  # those of many outputs at once cannot be added in place
                found = traced.functional(*needed, *received)
            else:
                found = traced.backward(*needed, *received, *gradients.values())
            del needed
            for place, gradient in zip(traced.with_gradient, found, strict=True):
                if place < a:
                    carried[place] = (
                        torch.zeros_like(tangents[place]) if gradient is None else gradient
                    )
                elif place < b:
                    slices[place].append(gradient)
                elif batched and place in gradients:
                    gradients[place] = gradients[place] + gradient
        for place in traced.with_gradient:
            if place < a:
                gradients[place] = carried[place]
            elif place < b and slices[place][0] is not None:
                gradients[place] = torch.stack(slices[place][::-1])
        return gradients


@contextmanager
def _drawing_again(states: Sequence[Any], device: Any) -> Iterator[None]:
    """Inside, the generators are in these states."""
    if not states:
        yield
        return

    with same_generators(device):
        set_generators(states, device)
        yield


def generator_states(y: Any) -> Any:
    """Those that f at y draws from; None where y is symbolic.

    While a trace is recorded, a number that stands for them.
    """
    recorder = recording()
    if recorder is not None:
        return recorder.position
    symbolic = y.is_meta or type(y) not in (torch.Tensor, torch.nn.Parameter)
    if symbolic or get_proxy_mode() is not None or torch.compiler.is_compiling():
        return None
    return _generators_for(y.device)


def _generators_for(device: Any) -> list:
    states = [torch.random.get_rng_state()]
    if device.type != "cpu":
        states.append(torch.get_device_module(device).get_rng_state(device))
    return states


def set_generators(states: Any, device: Any) -> None:
    """To what `generator_states` has said."""
    recorder = recording()
    if recorder is not None and isinstance(states, int):
        recorder.position = states
        return
    torch.random.set_rng_state(states[0])
    for state in states[1:]:
        torch.get_device_module(device).set_rng_state(state, device)


def remat(function: Callable[..., Any], arguments: tuple) -> Any:
    inputs = flatten(arguments)
    if (
        not torch.is_grad_enabled()
        or any(x.is_meta for x in inputs)
        or torch.jit.is_tracing()
        or torch.compiler.is_exporting()
        or torch._C._are_functorch_transforms_active()  # they keep what they need by themselves
    ):
        return function(*arguments)
    # `_trace` refuses what draws random numbers again.
    is_fake = any(isinstance(x, torch._subclasses.FakeTensor) for x in inputs)
    return checkpoint(function, *arguments, use_reentrant=False, preserve_rng_state=not is_fake)


def _run(scan: _TracedScan, inputs: Sequence[Any]) -> Sequence[Any]:
    if not scan.traced.differentiable:
        with torch.no_grad():
            return scan.forward(inputs)[0]
    return _Scan.apply(scan, *inputs)


class _Scan(torch.autograd.Function):
    """A traced loop as one node of autograd's graph."""

    @staticmethod
    def forward(ctx: Any, scan: _TracedScan, *inputs: Any) -> tuple:
        states = _generators_for(inputs[0].device) if scan.traced.is_random else []
        outputs, saved = scan.forward(inputs)
        ctx.scan, ctx.inputs, ctx.states = scan, len(inputs), len(states)
        ctx.save_for_backward(*inputs, *states, *saved)
        differentiable = scan.traced.differentiable
        constant = [x for place, x in enumerate(outputs) if place not in differentiable]
        ctx.mark_non_differentiable(*constant)
        return tuple(outputs)

    @staticmethod
    def backward(ctx: Any, *tangents: Any) -> tuple:
        scan, kept = ctx.scan, ctx.saved_tensors
        a, b = ctx.inputs, ctx.inputs + ctx.states
        inputs, states, saved = kept[:a], kept[a:b], kept[b:]
        if torch.is_grad_enabled():  # derivatives of the gradient are asked for
            gradients = _differentiable_gradients(scan, inputs, states, tangents)
        else:
            gradients = scan.backward(inputs, saved, tangents)
        return (None, *(gradients.get(place) for place in range(ctx.inputs)))


def _differentiable_gradients(
    scan: _TracedScan, inputs: Sequence[Any], states: Sequence[Any], tangents: Sequence[Any]
) -> dict[int, Any]:
    """The gradients once more, computed such that they can be differentiated.

    Args:
        states: those of the generators before the loop, where it draws from them.
    """
    # One input may depend on another by what comes before the loop: aliases do not. The trace saw
    # contiguous ones; random numbers are drawn in the order of memory.
    inputs = [(x.view_as(x) if x.requires_grad else x).contiguous() for x in inputs]
    with _drawing_again(states, inputs[0].device):
        outputs = scan.direct(*inputs)
    active = [n for n in scan.traced.with_gradient if inputs[n].requires_grad]
    found = torch.autograd.grad(
        [outputs[place] for place in scan.traced.differentiable],
        [inputs[place] for place in active],
        [tangents[place] for place in scan.traced.differentiable],
        create_graph=True,
        allow_unused=True,
    )
    return dict(zip(active, found, strict=True))


def add_multiple(x: Any, k: Any, factor: float) -> Any:
    """x + factor * k."""
    if isinstance(x, torch.Tensor) and not torch.compiler.is_exporting():
        return torch.add(x, k, alpha=factor)
    return x + k * factor
