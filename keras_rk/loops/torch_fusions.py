"""Several operations in a graph of PyTorch, made one: a convolution and its bias, x + c k."""

from __future__ import annotations

from typing import Any

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
    """Convolutions add their bias, and sums their multiples, in one operation each."""
    _fuse_biases(module.graph)
    _fuse_multiples(module.graph)
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
