"""What a Python function does with tensors, written down as a graph of PyTorch's own operations.

`torch.fx.experimental.proxy_tensor.make_fx` does the same with much that is not needed here
(symbolic sizes, decompositions, where in the source an operation comes from). Recording is more
than half of a first training step: the first forward pass of 50 RK4 blocks takes 57 ms of CPU with
this, and took 103 with `make_fx`.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch.fx import Graph, Node
from torch.utils._python_dispatch import TorchDispatchMode, _get_current_dispatch_mode_stack
from torch.utils._pytree import tree_leaves

from keras_rk.loops.torch_graphs import Part, draws

aten = torch.ops.aten
DEVICE = torch.ops.prim.device.default
FIRST_SEED = 7_106_223_341_659  # no seed that anybody else sets
MAKES_A_CONSTANT = (aten.lift_fresh.default, aten.lift_fresh_copy.default)


def recording() -> Recorder | None:
    """What is being recorded."""
    found = [mode for mode in _get_current_dispatch_mode_stack() if isinstance(mode, Recorder)]
    return found[-1] if found else None


class Recorder(TorchDispatchMode):
    """Inside, operations on tensors without values join a graph, below autograd.

    A tensor from elsewhere is an error, but for constants that Python code makes of numbers.

    Attributes:
        taken: what was made in an earlier recording and is used in this one; the first arguments
            of the graph, before its inputs.
        position: how many times random numbers were drawn; set back, they are drawn again.
    """

    def __init__(self, inputs: Sequence[Any], earlier: Recorder | None = None) -> None:
        super().__init__()
        self.taken: list[Any] = []
        self.position = 0
        self._drawn: list[tuple[tuple, Node]] = []
        self._seed = FIRST_SEED
        torch.random.default_generator.manual_seed(FIRST_SEED)
        self._earlier = earlier
        self._graph = Graph()
        self._constants = torch.nn.Module()
        self._known: dict[int, tuple[Any, Node]] = {}
        self._taken_nodes: dict[Node, Node] = {}
        for x in inputs:
            self._keep(x, self._graph.placeholder(f"x{len(self._known)}"))
        self._first = next(iter(self._graph.nodes), None)

    def finish(self, results: Sequence[Any]) -> Part:
        """The graph, from its arguments to these results."""
        self._graph.output(tuple(None if x is None else self._node(x) for x in results))
        return Part(self._constants, self._graph)

    def __torch_dispatch__(
        self, operation: Any, types: Any, arguments: tuple = (), options: dict | None = None
    ) -> Any:
        if operation is DEVICE:  # two of three calls, and nothing to record
            return arguments[0].device
        options = options or {}
        if torch.Tag.inplace_view in operation.tags:
            raise RuntimeError(f"{operation} changes the shape of what was recorded before")
        results = operation(*arguments, **options)
        if operation is aten.detach.default:  # autograd's affair
            self._known[id(results)] = results, self._node(arguments[0])
        elif operation in MAKES_A_CONSTANT and not self._knows(arguments[0]):
            self._keep(results, self._constant(arguments[0]))
        elif draws(operation, arguments, options):
            self._draw(operation, arguments, options, results)
        else:
            self._call(operation, arguments, options, results)
        return results

    def check_generator(self) -> None:
        """Refuses random numbers of a function that ends where PyTorch's generator has been before.

        A graph cannot turn it back.
        """
        if self._drawn and (self._is_set or self.position < len(self._drawn)):
            raise RuntimeError("PyTorch's generator is turned back")

    @property
    def _is_set(self) -> bool:
        """Whether somebody has set PyTorch's generator, by whose seed a recording counts draws."""
        return torch.random.default_generator.initial_seed() != self._seed

    def _draw(self, operation: Any, arguments: tuple, options: dict, numbers: Any) -> None:
        """Records new random numbers, or earlier ones in their place."""
        given = tree_leaves((arguments, options))
        if self._is_set or any(isinstance(x, torch.Generator) for x in given):
            raise RuntimeError(
                f"{operation} draws from a generator of its own, or from a new state"
            )
        self._seed += 1
        torch.random.default_generator.manual_seed(self._seed)
        place, self.position = self.position, self.position + 1
        kind = (
            operation,
            *(repr(x) for x in given if not isinstance(x, torch.Tensor)),
            *((x.shape, x.dtype, x.device) for x in tree_leaves(numbers)),
        )
        if place == len(self._drawn):
            self._call(operation, arguments, options, numbers)
            (first, *_) = tree_leaves(numbers)
            kept = self._graph.call_function(aten.clone.default, (self._node(first),))
            kept.meta["val"] = first
            self._drawn.append((kind, kept))
            return
        earlier, kept = self._drawn[place]
        tensors = [x for x in given if isinstance(x, torch.Tensor)]
        is_in_place = operation._schema.is_mutable
        takes_shape = is_in_place or operation._schema.name.endswith("_like")
        if kind != earlier or len(tensors) > takes_shape or not isinstance(numbers, torch.Tensor):
            raise RuntimeError(f"{operation} draws what no earlier numbers can stand for")
        if is_in_place:
            node = self._graph.call_function(aten.copy_.default, (self._node(tensors[0]), kept))
        else:
            node = self._graph.call_function(aten.clone.default, (kept,))
        self._keep(numbers, node)

    def _call(self, operation: Any, arguments: tuple, options: dict, results: Any) -> None:
        nodes = self._nodes(arguments), self._nodes(options)
        self._keep_all(results, self._graph.call_function(operation, *nodes))

    def _knows(self, x: Any) -> bool:
        return id(x) in self._known or (self._earlier is not None and self._earlier._knows(x))

    def _node(self, x: Any) -> Node:
        """What computes a tensor."""
        if id(x) in self._known:
            return self._known[id(x)][1]
        if self._earlier is None:
            raise RuntimeError(f"A tensor comes from elsewhere: {x}")
        node = self._earlier._node(x)
        if node not in self._taken_nodes:
            self.taken.append(x)
            with self._graph.inserting_before(self._first):
                self._taken_nodes[node] = self._graph.placeholder(f"taken{len(self.taken)}")
        self._keep(x, self._taken_nodes[node])
        return self._taken_nodes[node]

    def _nodes(self, x: Any) -> Any:
        """Arguments, with what computes them in the place of tensors."""
        if isinstance(x, torch.Tensor):
            return self._node(x)
        if isinstance(x, (list, tuple)):
            return type(x)(map(self._nodes, x))
        return {name: self._nodes(value) for name, value in x.items()} if type(x) is dict else x

    def _keep(self, x: Any, node: Node) -> None:
        node.meta["val"] = x
        self._known[id(x)] = x, node  # the tensor as well, so that no other gets its id

    def _keep_all(self, results: Any, node: Node) -> None:
        if isinstance(results, torch.Tensor):
            self._keep(results, node)
        elif isinstance(results, (list, tuple)):
            for n, x in enumerate(results):
                if isinstance(x, torch.Tensor):
                    self._keep(x, self._graph.call_function(operator.getitem, (node, n)))

    def _constant(self, x: Any) -> Node:
        """A copy, since what is made of numbers is new each time."""
        name = f"constant{len(self._known)}"
        self._constants.register_buffer(name, x)
        node = self._graph.get_attr(name)
        node.meta["val"] = x
        return self._graph.call_function(aten.clone.default, (node,))
