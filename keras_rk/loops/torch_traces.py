"""One iteration of a loop, traced to graphs of PyTorch's own operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from threading import RLock
from typing import Any

import torch
import torch._inductor
from torch._subclasses import FakeTensorMode
from torch.fx.experimental.proxy_tensor import get_proxy_mode

from keras_rk.loops import torch_calls, torch_fusions, torch_graphs
from keras_rk.loops.torch_graphs import Part
from keras_rk.loops.torch_recording import Recorder

_TRACING = RLock()
MOST_TRACES = 32  # for each layer; one for each shape of a batch


@dataclass(frozen=True)
class Traced:
    """One iteration as graphs of PyTorch's own operations, without Python in between.

    Inputs are the carry, a slice of each of `xs`, and the constants; outputs are the carry and what
    is stacked.

    Attributes:
        forward: inputs -> outputs, and the values that `backward` needs.
        backward: those values, a gradient for each of `differentiable`, and a sum for each of
            `summed`, which its gradient is added to -> a gradient for each of `with_gradient`.
        functional: the same without the sums, and never compiled.
        length: how many outputs there are.
        differentiable, with_gradient: positions of outputs and of inputs.
        summed: the positions of the constants that a gradient reaches.
        is_random: whether a second run would not compute the same.
    """

    forward: Callable[..., Sequence[Any]]
    backward: Callable[..., Sequence[Any]]
    functional: Callable[..., Sequence[Any]]
    length: int
    differentiable: tuple[int, ...]
    with_gradient: tuple[int, ...]
    summed: tuple[int, ...]
    is_random: bool


def lookup(
    traces: dict, key: tuple, step: Callable, inputs: list, carried: int, changing: int
) -> Traced | None:
    """The trace for inputs like these, newly made where there is none; None if impossible.

    Args:
        carried, changing: how many of the inputs are carried, and how many are no constants.
    """

    if not all(type(x) in (torch.Tensor, torch.nn.Parameter) for x in inputs):
        return None  # symbolic tensors of one kind or another
    if torch.is_autocast_enabled(inputs[0].device.type):
        return None
    if get_proxy_mode() is not None or torch.jit.is_tracing() or torch.compiler.is_compiling():
        return None  # somebody else is tracing
    if torch._C._are_functorch_transforms_active() or torch.autograd.forward_ad._current_level >= 0:
        return None  # other derivatives than those of `backward`
    gradients = torch.is_grad_enabled() and any(x.requires_grad for x in inputs)
    # What is carried may start as a constant and needs a gradient from the second block on.
    needs = [
        gradients and x.is_floating_point() and (x.requires_grad or place < carried)
        for place, x in enumerate(inputs)
    ]
    kinds = tuple((x.shape, x.dtype, x.device, need) for x, need in zip(inputs, needs, strict=True))
    key = (*key, torch.is_grad_enabled(), kinds)
    with _TRACING:  # PyTorch traces in one thread at a time
        if key not in traces:
            if len(traces) >= MOST_TRACES:
                traces.pop(next(iter(traces)))
            traces[key] = _trace(step, inputs, needs, changing, key[1])
        return traces[key]


def same_generators(device: Any) -> AbstractContextManager:
    """Leaves the generators that are drawn from on a device as they were before."""
    devices = [] if device.type == "cpu" else [device]
    return torch.random.fork_rng(devices, device_type=device.type)


def _trace(
    step: Callable,
    inputs: list,
    needs: list[bool],
    changing: int,
    compiled: bool,
) -> Traced | None:
    """`step` as graphs, or None where they would not compute what its Python code does."""
    try:
        forward, backward, length, differentiable = _recorded(step, inputs, needs)
    except Exception:
        return None
    parts = forward, backward
    for part in parts:
        torch_graphs.drop_writes(part)
    if torch_graphs.is_random(backward):  # it would draw again what the forward pass has drawn
        return None
    is_random = torch_graphs.is_random(forward)
    with_gradient = tuple(place for place, need in enumerate(needs) if need)
    returned = torch_graphs.output_of(backward.graph).args[0]
    reached = [
        n for n, place in enumerate(with_gradient) if place >= changing and returned[n] is not None
    ]
    if not compiled and not any(map(torch_graphs.writes, parts)):
        torch_graphs.simplify(forward, length)
        torch_graphs.simplify(backward)
        for part in parts:
            torch_fusions.fuse(part)
            torch_calls.call_directly(part)
    for part in parts:
        torch_graphs.forget_values(part)
    try:
        run: tuple[Callable, Callable] = forward.finish(), backward.finish()
    except SyntaxError:  # an operation has the name of a keyword, as `random_.from` has
        return None
    if compiled:
        run = _compiled(forward, backward, inputs, length, differentiable)
    return Traced(
        run[0],
        torch_graphs.adding(run[1], reached),
        backward,
        length,
        differentiable,
        with_gradient,
        tuple(with_gradient[n] for n in reached),
        is_random,
    )


def _recorded(
    step: Callable, inputs: list, needs: list[bool]
) -> tuple[Part, Part, int, tuple[int, ...]]:
    """Graphs of `step` and of its gradients, how many outputs it has, and which have gradients.

    It is recorded together with its gradients as autograd computes them, so that a gradient of
    its own (`keras.ops.custom_gradient`) or one that is stopped is in the graph as such; and on
    tensors without values, which refuse to leave PyTorch: seeds that Keras turns into Python
    numbers, choices by values, and tensors that f takes from elsewhere raise an error.
    """
    hooks = torch.autograd.graph.saved_tensors_hooks(_saved, _unchanged)
    with same_generators(torch.device("cpu")), hooks, FakeTensorMode():  # a recorder counts by it
        examples = [torch.empty(x.shape, dtype=x.dtype, device=x.device) for x in inputs]
        forwards = Recorder(examples)
        with torch.set_grad_enabled(any(needs)), forwards:
            leaves = [
                x.detach().requires_grad_() if need else x
                for x, need in zip(examples, needs, strict=True)
            ]
            outputs = step(*leaves)
            forwards.check_generator()
        differentiable = tuple(n for n, out in enumerate(outputs) if out.requires_grad)
        tangents = [torch.empty_like(outputs[n]).contiguous() for n in differentiable]
        backwards = Recorder(tangents, forwards)
        gradients: Sequence[Any] = ()
        if differentiable:
            with backwards:
                gradients = torch.autograd.grad(
                    [outputs[place] for place in differentiable],
                    [x for x, need in zip(leaves, needs, strict=True) if need],
                    tangents,
                    allow_unused=True,
                )
    backward = backwards.finish(gradients)
    forward = forwards.finish([*outputs, *backwards.taken])
    return forward, backward, len(outputs), differentiable


def _saved(x: Any) -> tuple[Any, int]:
    return x, x._version


def _unchanged(saved: tuple[Any, int]) -> Any:
    """What autograd saved; hooks take its own check of this away."""
    x, version = saved
    if x._version != version:
        raise RuntimeError("What a gradient needs has been changed by an operation in place")
    return x


def _compiled(
    forward: Any, backward: Any, inputs: list, outputs: int, differentiable: tuple[int, ...]
) -> tuple[Callable, Callable]:
    """The graphs as machine code for inputs of these shapes, contiguous in memory."""

    def machine_code(graph: Any, inputs: list) -> Callable:
        run = torch._inductor.compile(graph, [x.detach().contiguous() for x in inputs])
        return lambda *inputs: run(*[x.contiguous() for x in inputs])

    with same_generators(inputs[0].device), torch.no_grad():
        forward = machine_code(forward, inputs)
        results = forward(*inputs)
        if differentiable:
            tangents = [results[place] for place in differentiable]
            backward = machine_code(backward, [*results[outputs:], *tangents])
    return forward, backward
