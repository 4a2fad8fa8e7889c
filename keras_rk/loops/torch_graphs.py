"""Graphs of PyTorch's own operations, rewritten to compute the same in fewer and cheaper ones.

What is recorded has no views or copies left out, and repeats itself: stages use the same weights.
But for `drop_writes`, nothing here applies to a graph in which an operation writes into its input.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.fx import GraphModule, Node

aten = torch.ops.aten
FUNCTIONAL = {aten.bernoulli_.float: aten.bernoulli.p}  # with other names than a "_" less
SAME = {aten.mul.Scalar: aten.mul.Tensor, aten.div.Scalar: aten.div.Tensor}
VIEWS = (aten.view.default, aten.squeeze.dim, aten.squeeze.dims, aten.unsqueeze.default)


def drop_writes(module: GraphModule) -> None:
    """Operations that write into a value that nothing else is a view of return a new one."""
    nodes = list(module.graph.nodes)
    for number, node in enumerate(nodes):
        functional = _without_write(node)
        if functional is None or not _is_own(node.args[0], node):
            continue
        written, node.args, node.target = node.args[0], _completed(node), functional
        for later in set(written.users).intersection(nodes[number + 1 :]):
            later.replace_input_with(written, node)
    clean(module)


def simplify(module: GraphModule, own: int = 0) -> None:
    """What is computed twice is computed once, without copies that change nothing.

    Args:
        own: how many of the results, the first ones, are to remain tensors of their own.
    """
    kept = set(output_of(module.graph).args[0][:own])
    _merge_equal(module.graph, kept)
    _drop_copies(module.graph, kept)
    _drop_views(module.graph, kept)
    clean(module)


class Part(GraphModule):
    """A graph that is still to be rewritten: its Python code is written once, by `finish`."""

    def recompile(self) -> None:
        """Nothing yet."""

    def finish(self) -> Part:
        super().recompile()
        return self


def forget_values(module: GraphModule) -> None:
    """The nodes' example values hold what autograd kept of the recording."""
    for node in module.graph.nodes:
        node.meta.pop("val", None)


def adding(function: Callable[..., Sequence[Any]], results: Sequence[int]) -> Callable:
    """A function whose results at some places are added to further arguments, and None then."""

    def added(*arguments: Any) -> Sequence[Any]:
        size = len(arguments) - len(results)
        found = list(function(*arguments[:size]))
        for place, total in zip(results, arguments[size:], strict=True):
            total.add_(found[place])
            found[place] = None
        return found

    return added


def writes(module: GraphModule) -> bool:
    """Whether an operation writes into its input."""
    schemas = [getattr(node.target, "_schema", None) for node in module.graph.nodes]
    return any(schema is not None and schema.is_mutable for schema in schemas)


def is_random(module: GraphModule) -> bool:
    return any(map(_draws, module.graph.nodes))


def _draws(node: Node) -> bool:
    return draws(node.target, node.args, node.kwargs)


def draws(operation: Any, arguments: tuple, options: dict) -> bool:
    """Whether an operation draws random numbers: attention has dropout, and may drop nothing."""
    if torch.Tag.nondeterministic_seeded not in getattr(operation, "tags", ()):
        return False
    names = [argument.name for argument in operation._schema.arguments]
    given = {**dict(zip(names, arguments, strict=False)), **options}
    return "dropout_p" not in names or given.get("dropout_p", 0.0) != 0.0


def output_of(graph: Any) -> Node:
    return next(iter(reversed(graph.nodes)))


def last_argument(graph: Any) -> Node:
    return [node for node in graph.nodes if node.op == "placeholder"][-1]


def clean(module: GraphModule) -> None:
    module.graph.eliminate_dead_code()
    module.recompile()


def calls(graph: Any, *targets: Any) -> list[Node]:
    return [node for node in graph.nodes if node.target in targets]


def value(node: Any) -> Any:
    """A tensor with the shape, strides and dtype of a node's result; None if unknown."""
    found = node.meta.get("val") if isinstance(node, Node) else None
    return found if isinstance(found, torch.Tensor) else None


def alike(*nodes: Any) -> bool:
    values = [value(node) for node in nodes]
    return all(x is not None for x in values) and len({(x.shape, x.dtype) for x in values}) == 1


def is_sum(node: Node) -> bool:
    return node.target is aten.add.Tensor and node.kwargs.get("alpha", 1) == 1


# ----------------------------------------------------------------------------------------- writes


def _without_write(node: Node) -> Any:
    """The operation that returns what this one writes into its first argument, if there is one."""
    schema = getattr(node.target, "_schema", None)
    packet, _, overload = str(node.target).removeprefix("aten.").partition(".")
    if schema is None or not schema.is_mutable or not packet.endswith("_"):
        return None
    first, *others = schema.arguments
    if first.alias_info is None or any(x.alias_info is not None for x in others):
        return None
    if len({getattr(value(x), "dtype", None) for x in node.all_input_nodes}) > 1:
        return None  # what is written has the dtype of what was there before
    found = getattr(getattr(aten, packet[:-1], None), overload, None)
    return FUNCTIONAL.get(node.target, found)


def _completed(node: Node) -> tuple:
    """The arguments of an operation, with those that have a default: another may have none."""
    missing = node.target._schema.arguments[len(node.args) :]
    return *node.args, *(
        x.default_value for x in missing if not (x.kwarg_only or x.name in node.kwargs)
    )


def _is_own(written: Node, writer: Node) -> bool:
    """Whether a value is no view of another, nor another a view of it."""
    if written.op != "call_function" or _may_pass_on(written):
        return False
    return not any(_may_pass_on(user) for user in written.users if user is not writer)


# ------------------------------------------------------------------------------------ simplifying


def _merge_equal(graph: Any, kept: set[Node]) -> None:
    known: dict[Any, Node] = {}
    for node in list(graph.nodes):
        if node.op != "call_function" or _draws(node) or node in kept:
            continue
        target = SAME.get(node.target, node.target)
        key = target, _frozen(node.args), _frozen(node.kwargs)
        if known.setdefault(key, node) is not node:
            node.replace_all_uses_with(known[key])
            graph.erase_node(node)


def _frozen(x: Any) -> Any:
    if isinstance(x, (list, tuple)):
        return tuple(map(_frozen, x))
    if isinstance(x, dict):
        return tuple((name, _frozen(x[name])) for name in sorted(x))
    return x if isinstance(x, Node) else (type(x), repr(x))


def _drop_copies(graph: Any, kept: set[Node]) -> None:
    for node in calls(graph, aten.clone.default):
        source = node.args[0]
        explicit = node.kwargs.get("memory_format") not in (None, torch.preserve_format)
        if explicit and source.target is aten.clone.default:
            node.args = source.args  # a copy of a copy
    for node in calls(graph, aten.clone.default):
        source = node.args[0]
        same = alike(node, source) and value(node).stride() == value(source).stride()
        if same and node not in kept and not any(map(_may_pass_on, node.users)):
            node.replace_all_uses_with(source)


def _drop_views(graph: Any, kept: set[Node]) -> None:
    """Views that lead back to the shape of a value they were taken from."""
    for node in calls(graph, *VIEWS):
        source, before = node, None
        while source.target in VIEWS:
            source = source.args[0]
            if alike(node, source) and value(source).is_contiguous():
                before = source
        if before is not None and node not in kept:
            node.replace_all_uses_with(before)


def _may_pass_on(node: Node) -> bool:
    """Whether a result of the node may be its input, or a view of it."""
    if node.op == "output":
        return False
    schema = getattr(node.target, "_schema", None)
    return schema is None or any(result.alias_info is not None for result in schema.returns)
