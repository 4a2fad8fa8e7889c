"""Graphs of PyTorch's own operations, rewritten to compute the same in fewer and cheaper ones.

What `make_fx` records has no views or copies left out, and repeats itself: stages use the same
weights. Nothing here applies to a graph in which an operation writes into its input.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.fx import GraphModule, Node

aten = torch.ops.aten
SAME = {aten.mul.Scalar: aten.mul.Tensor, aten.div.Scalar: aten.div.Tensor}


def simplify(module: GraphModule, own: int = 0) -> None:
    """What is computed twice is computed once, without copies that change nothing.

    Args:
        own: how many of the results, the first ones, are to remain tensors of their own.
    """
    kept = set(_output(module.graph).args[0][:own])
    _merge_equal(module.graph, kept)
    _drop_copies(module.graph, kept)
    _clean(module)


def fuse(module: GraphModule) -> None:
    """Sums of products become one operation each."""
    _fuse_biases(module.graph)
    _fuse_multiples(module.graph)
    _fuse_products(module.graph)
    _clean(module)


def accumulate(module: GraphModule, results: Sequence[int]) -> None:
    """Results become sums that go on: each is added, term by term, to one more argument.

    Args:
        results: the positions of the results, which are None from then on.
    """
    if not results:
        return
    graph = module.graph
    output = _output(graph)
    returned = list(output.args[0])
    last = [node for node in graph.nodes if node.op == "placeholder"][-1]
    for place in results:
        with graph.inserting_after(last):
            total = last = graph.placeholder(f"total_{place}")
        for term in _terms(returned[place]):
            _add(graph, total, term, output)
        returned[place] = None
    output.args = (tuple(returned),)
    _clean(module)


def adding(function: Callable[..., Sequence[Any]], results: Sequence[int]) -> Callable:
    """The same for a function that is no graph, or one not to be changed."""

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
    return torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ())


def _output(graph: Any) -> Node:
    return next(iter(reversed(graph.nodes)))


def _clean(module: GraphModule) -> None:
    module.graph.eliminate_dead_code()
    module.recompile()


def _calls(graph: Any, *targets: Any) -> list[Node]:
    return [node for node in graph.nodes if node.target in targets]


def _value(node: Any) -> Any:
    """A tensor with the shape, strides and dtype of a node's result; None if unknown."""
    found = node.meta.get("val") if isinstance(node, Node) else None
    return found if isinstance(found, torch.Tensor) else None


def _alike(*nodes: Any) -> bool:
    values = [_value(node) for node in nodes]
    return all(x is not None for x in values) and len({(x.shape, x.dtype) for x in values}) == 1


def _is_sum(node: Node) -> bool:
    return node.target is aten.add.Tensor and node.kwargs.get("alpha", 1) == 1


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
    for node in _calls(graph, aten.clone.default):
        source = node.args[0]
        explicit = node.kwargs.get("memory_format") not in (None, torch.preserve_format)
        if explicit and source.target is aten.clone.default:
            node.args = source.args  # a copy of a copy
    for node in _calls(graph, aten.clone.default):
        source = node.args[0]
        same = _alike(node, source) and _value(node).stride() == _value(source).stride()
        if same and node not in kept and not any(map(_may_pass_on, node.users)):
            node.replace_all_uses_with(source)


def _may_pass_on(node: Node) -> bool:
    """Whether a result of the node may be its input, or a view of it."""
    if node.op == "output":
        return False
    schema = getattr(node.target, "_schema", None)
    return schema is None or any(result.alias_info is not None for result in schema.returns)


# ----------------------------------------------------------------------------------------- fusing


def _fuse_biases(graph: Any) -> None:
    """permute(convolution(x, w)) + b, with the channels last, is a convolution with a bias."""
    for node in filter(_is_sum, _calls(graph, aten.add.Tensor)):
        permuted, viewed = node.args
        if not (
            isinstance(viewed, Node)
            and permuted.target is aten.permute.default
            and viewed.target is aten.view.default
            and (bias := viewed.args[0]).op == "placeholder"
            and (convolution := permuted.args[0]).target is aten.convolution.default
            and len(convolution.users) == len(permuted.users) == 1
        ):
            continue
        without_bias, is_transposed = convolution.args[2] is None, convolution.args[6]
        channels_last = permuted.args[1][-1] == 1 and len(_value(bias).shape) == 1
        channels_last = channels_last and viewed.args[1][-1] == _value(bias).shape[0]
        same = _alike(node, permuted) and _value(bias).dtype == _value(node).dtype
        if without_bias and not is_transposed and channels_last and same:
            convolution.update_arg(2, bias)
            node.replace_all_uses_with(permuted)


def _fuse_multiples(graph: Any) -> None:
    """x + c k, in one operation."""
    for node in filter(_is_sum, _calls(graph, aten.add.Tensor)):
        for x, multiple in (node.args, node.args[::-1]):
            if (
                isinstance(multiple, Node)
                and multiple.target in (aten.mul.Tensor, aten.mul.Scalar)
                and isinstance(multiple.args[1], float)
                and len(multiple.users) == 1
                and isinstance(x, Node)
                and _alike(node, x, multiple, multiple.args[0])
                and _value(node).is_floating_point()
            ):
                node.args, node.kwargs = (x, multiple.args[0]), {"alpha": multiple.args[1]}
                break


def _fuse_products(graph: Any) -> None:
    """x + a b, in one operation."""
    for node in filter(_is_sum, _calls(graph, aten.add.Tensor)):
        for x, product in (node.args, node.args[::-1]):
            if (
                isinstance(product, Node)
                and product.target is aten.mm.default
                and len(product.users) == 1
                and _alike(node, product)
                and _value(x) is not None
                and _value(x).dtype == _value(product).dtype
                and _value(x).shape in (_value(product).shape, _value(product).shape[1:])
            ):
                node.target, node.args, node.kwargs = aten.addmm.default, (x, *product.args), {}
                break


# ----------------------------------------------------------------------------------- accumulating


def _terms(node: Node) -> list[Node]:
    if _is_sum(node) and len(node.users) == 1 and _alike(node, *node.args):
        return [term for x in node.args for term in _terms(x)]
    return [node]


def _add(graph: Any, total: Node, term: Node, output: Node) -> None:
    if term.target is aten.mm.default and len(term.users) == 1:
        with graph.inserting_before(term):
            graph.call_function(aten.addmm_.default, (total, *term.args))
    elif term.op == "placeholder" or term.target is operator.getitem:
        with graph.inserting_before(output):
            graph.call_function(aten.add_.Tensor, (total, term))
    else:
        with graph.inserting_after(term):
            graph.call_function(aten.add_.Tensor, (total, term))
