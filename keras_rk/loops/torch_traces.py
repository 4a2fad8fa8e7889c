"""One iteration of a loop, traced to graphs of PyTorch's own operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from threading import RLock
from typing import Any

import torch
import torch._inductor
from torch._subclasses import FakeTensorMode
from torch.fx.experimental.proxy_tensor import get_proxy_mode, make_fx

from keras_rk.loops import torch_calls, torch_fusions, torch_graphs

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
        functional: returns the same without the sums, a gradient for each of `with_gradient`;
            made when second derivatives ask for it.
        length: how many outputs there are.
        differentiable, with_gradient: positions of outputs and of inputs.
        summed: the positions of the constants that a gradient reaches.
        is_random: whether a second run would not compute the same.
    """

    forward: Callable[..., Sequence[Any]]
    backward: Callable[..., Sequence[Any]]
    functional: Callable[[], Callable[..., Sequence[Any]]]
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
            traces[key] = _trace(step, inputs, needs, changing, key[1], key[2])
        return traces[key]


def _trace(
    step: Callable,
    inputs: list,
    needs: list[bool],
    changing: int,
    compiled: bool,
    one_draw: bool,
) -> Traced | None:
    """`step` as graphs, or None where they would not compute what its Python code does.

    It is traced together with its gradients as autograd computes them, so that a gradient of
    its own (`keras.ops.custom_gradient`) or one that is stopped is in the graph as such. It is
    traced on tensors without values, which refuse to leave PyTorch: seeds that Keras turns into
    Python numbers, choices by values, and tensors that f takes from elsewhere are not traceable.
    """

    mode = FakeTensorMode()
    try:
        with torch.autograd.graph.saved_tensors_hooks(lambda x: x, lambda x: x), mode:
            examples = [torch.empty(x.shape, dtype=x.dtype, device=x.device) for x in inputs]
            with torch.set_grad_enabled(any(needs)):
                outputs = step(*_leaves(examples, needs))
            differentiable = tuple(n for n, out in enumerate(outputs) if out.requires_grad)
            tangents = [torch.empty_like(outputs[n]).contiguous() for n in differentiable]
            graph = make_fx(_joint(step, needs, differentiable))(*examples, *tangents)
    except Exception:
        return None
    if any(isinstance(x, torch._subclasses.FakeTensor) for x in vars(graph).values()):
        return None
    torch_graphs.drop_writes(graph)
    forward, backward = _split(graph, len(inputs), len(outputs))
    if torch_graphs.is_random(backward):  # it would draw again what the forward pass has drawn
        return None
    is_random = torch_graphs.is_random(forward)
    if is_random and one_draw:
        return None
    with_gradient = tuple(place for place, need in enumerate(needs) if need)
    returned = torch_graphs.output_of(backward.graph).args[0]
    reached = [
        n for n, place in enumerate(with_gradient) if place >= changing and returned[n] is not None
    ]
    if not compiled and not torch_graphs.writes(graph):
        torch_graphs.simplify(forward, len(outputs))
        torch_graphs.simplify(backward)
        for part in (forward, backward):
            torch_fusions.fuse(part)
            torch_calls.call_directly(part)
    forward, backward = forward.finish(), backward.finish()
    if compiled:
        forward, backward = _compiled(forward, backward, inputs, len(outputs), differentiable)

    @cache
    def functional() -> Callable:
        return _split(graph, len(inputs), len(outputs))[1].finish()

    return Traced(
        forward,
        torch_graphs.adding(backward, reached),
        functional,
        len(outputs),
        differentiable,
        with_gradient,
        tuple(with_gradient[n] for n in reached),
        is_random,
    )


def _leaves(values: Sequence[Any], needs: Sequence[bool]) -> list:
    return [
        x.detach().requires_grad_() if need else x for x, need in zip(values, needs, strict=True)
    ]


def _joint(step: Callable, needs: list[bool], differentiable: tuple[int, ...]) -> Callable:
    """`step` and its vector-Jacobian product as one function of inputs and gradients.

    The last result marks where the one ends and the other begins.
    """

    def joint(*arguments: Any) -> tuple:
        inputs, tangents = arguments[: len(needs)], arguments[len(needs) :]
        with torch.set_grad_enabled(any(needs)):
            leaves = _leaves(inputs, needs)
            outputs = step(*leaves)
            marker = outputs[0].clone()
            gradients: Sequence = ()
            if differentiable:
                gradients = torch.autograd.grad(
                    [outputs[place] for place in differentiable],
                    [x for x, need in zip(leaves, needs, strict=True) if need],
                    tangents,
                    allow_unused=True,
                )
        return (*outputs, *gradients, marker)

    return joint


def _split(graph: Any, inputs: int, outputs: int) -> tuple[Any, Any]:
    """The graph of a joint function, cut in two: what comes before the marker, and after."""
    nodes = list(graph.graph.nodes)
    *results, marker = nodes[-1].args[0]
    cut = nodes.index(marker)
    same = {  # without autograd, `detach` does nothing
        node: node.args[0] for node in nodes if node.target is torch.ops.aten.detach.default
    }

    def origin(node: Any) -> Any:
        while node in same:
            node = same[node]
        return node

    results = [None if node is None else origin(node) for node in results]
    placeholders = [node for node in nodes if node.op == "placeholder"]
    before = [node for node in nodes[:cut] if node not in same]
    after = [node for node in nodes[cut + 1 : -1] if node not in same]
    needed = [origin(x) for node in after for x in node.all_input_nodes]
    needed += [node for node in results[outputs:] if node is not None]
    known = set(before) - set(placeholders[inputs:])
    saved = list(dict.fromkeys(node for node in needed if node in known))

    part = torch_graphs.part
    forward = part(graph, before, placeholders[:inputs], results[:outputs] + saved, origin)
    backward = part(graph, after, saved + placeholders[inputs:], results[outputs:], origin)
    return forward, backward


def _compiled(
    forward: Any, backward: Any, inputs: list, outputs: int, differentiable: tuple[int, ...]
) -> tuple[Callable, Callable]:
    """The graphs as machine code for inputs of these shapes, contiguous in memory."""

    def machine_code(graph: Any, inputs: list) -> Callable:
        run = torch._inductor.compile(graph, [x.detach().contiguous() for x in inputs])
        return lambda *inputs: run(*[x.contiguous() for x in inputs])

    with torch.no_grad():
        forward = machine_code(forward, inputs)
        results = forward(*inputs)
        if differentiable:
            tangents = [results[place] for place in differentiable]
            backward = machine_code(backward, [*results[outputs:], *tangents])
    return forward, backward
