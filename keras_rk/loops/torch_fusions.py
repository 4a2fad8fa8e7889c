"""Several operations in a graph of PyTorch, made one: a product and a sum, a cast and a sum."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch.fx import GraphModule, Node

from keras_rk.loops.torch_graphs import (
    alike,
    aten,
    calls,
    clean,
    is_sum,
    last_argument,
    value,
)


def fuse(module: GraphModule) -> None:
    """Sums of products become one operation each."""
    _fuse_biases(module.graph)
    _fuse_multiples(module.graph)
    _fuse_products(module.graph)
    module.graph.eliminate_dead_code()  # whose use of a cast counts for nothing
    _fuse_casts(module.graph)
    clean(module)


def _fuse_biases(graph: Any) -> None:
    """permute(convolution(x, w)) + b, with the channels last, is a convolution with a bias."""
    for node in filter(is_sum, calls(graph, aten.add.Tensor)):
        permuted, viewed = node.args
        if not (
            isinstance(viewed, Node)
            and permuted.target is aten.permute.default
            and viewed.target is aten.view.default
            and _is_given(bias := viewed.args[0])
            and (convolution := permuted.args[0]).target is aten.convolution.default
            and len(convolution.users) == len(permuted.users) == 1
        ):
            continue
        without_bias, is_transposed = convolution.args[2] is None, convolution.args[6]
        channels_last = permuted.args[1][-1] == 1 and len(value(bias).shape) == 1
        channels_last = channels_last and viewed.args[1][-1] == value(bias).shape[0]
        same = alike(node, permuted) and value(bias).dtype == value(node).dtype
        if without_bias and not is_transposed and channels_last and same:
            if bias.op != "placeholder":
                last_argument(graph).append(bias)  # so it is there when it is needed
            convolution.update_arg(2, bias)
            node.replace_all_uses_with(permuted)


def _is_given(bias: Node) -> bool:
    """Whether a bias is an argument of the graph, maybe cast."""
    if bias.target is aten._to_copy.default:
        (bias,) = bias.args
    return bias.op == "placeholder"


def _fuse_multiples(graph: Any) -> None:
    """x + c k, in one operation."""
    for node in filter(is_sum, calls(graph, aten.add.Tensor)):
        for x, multiple in (node.args, node.args[::-1]):
            if (
                isinstance(multiple, Node)
                and multiple.target in (aten.mul.Tensor, aten.mul.Scalar)
                and isinstance(multiple.args[1], float)
                and len(multiple.users) == 1
                and isinstance(x, Node)
                and alike(node, x, multiple, multiple.args[0])
                and value(node).is_floating_point()
            ):
                node.args, node.kwargs = (x, multiple.args[0]), {"alpha": multiple.args[1]}
                break


def _fuse_products(graph: Any) -> None:
    """x + a b, in one operation."""
    for node in filter(is_sum, calls(graph, aten.add.Tensor)):
        for x, product in (node.args, node.args[::-1]):
            if (
                isinstance(product, Node)
                and product.target is aten.mm.default
                and len(product.users) == 1
                and alike(node, product)
                and value(x) is not None
                and value(x).dtype == value(product).dtype
                and value(x).shape in (value(product).shape, value(product).shape[1:])
            ):
                node.target, node.args, node.kwargs = aten.addmm.default, (x, *product.args), {}
                break


def _fuse_casts(graph: Any) -> None:
    """x + a, where a is cast to the dtype of x for this sum alone: the sum casts by itself."""
    for node in calls(graph, aten._to_copy.default):
        (source,) = node.args
        before, after = value(source), value(node)
        if (
            before is not None
            and before.is_floating_point()
            and before.device == after.device
            and torch.promote_types(before.dtype, after.dtype) == after.dtype
            and all(map(partial(_adds_as_it_is, term=node), node.users))
        ):
            node.replace_all_uses_with(source)


def _adds_as_it_is(node: Node, term: Node) -> bool:
    """Whether a sum has the dtype of the other number, whatever that of the term."""
    if node.target not in (aten.add.Tensor, aten.add_.Tensor):
        return False
    others = [x for x in node.args if x is not term]
    return len(others) == 1 and alike(node, term, others[0])
