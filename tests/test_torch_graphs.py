"""Rewritten graphs of PyTorch compute what they did, in fewer operations."""

import keras
import numpy as np
import pytest

from keras_rk.layers import RKResidual
from tests.keras_helpers import BACKEND, normal

if BACKEND != "torch":
    pytest.skip("graphs of PyTorch", allow_module_level=True)

import torch
from torch.fx.experimental.proxy_tensor import make_fx

from keras_rk.loops import torch_calls, torch_fusions, torch_graphs


def tensor(*shape, seed=0):
    return torch.as_tensor(normal(*shape, seed=seed))


def graph_of(function, *inputs):
    with torch._subclasses.FakeTensorMode():
        return make_fx(function)(*(torch.empty(x.shape) for x in inputs))


def names(module):
    """The operations, in order."""
    calls = [node for node in module.graph.nodes if node.op == "call_function"]
    return [node.target.__name__.split(".")[0] for node in calls]


Y, W, B = tensor(4, 4), tensor(4, 4, seed=1), tensor(4, seed=2)
REWRITTEN = {
    # name: a function of three tensors, and the operations that are left
    "bias": (lambda y, w, b: (y @ w + b,), ["mm", "add"]),
    "bias first": (lambda y, w, b: (b + y @ w,), ["mm", "add"]),
    "sum": (lambda y, w, b: (y + w @ w,), ["mm", "add"]),
    "a product used twice": (lambda y, w, b: (y @ w + b, (y @ w).sin()), ["mm", "add", "sin"]),
    "multiple": (lambda y, w, b: (y + 0.5 * w.sin(),), ["sin", "add"]),
    "twice the same": (lambda y, w, b: (y.sin() + y.sin().cos(),), ["sin", "cos", "add"]),
    "a copy": (lambda y, w, b: (y.clone(memory_format=torch.contiguous_format).sin(),), ["sin"]),
    "a copy that is returned": (
        lambda y, w, b: (y.clone(memory_format=torch.contiguous_format),),
        ["clone"],
    ),
    "a copy in another order": (
        lambda y, w, b: (y.t().clone(memory_format=torch.contiguous_format).sin(),),
        ["t", "clone", "sin"],
    ),
    "scaled sum": (lambda y, w, b: (torch.add(y, w @ w, alpha=2.0),), ["mm", "add"]),
    "written into": (lambda y, w, b: (y.sin().mul_(w).add_(b),), ["sin", "mul", "add"]),
    "views there and back": (
        lambda y, w, b: (y - y.mean(0, keepdim=True).squeeze(0).view(1, 4),),
        ["mean", "sub"],
    ),
    "a cast for a sum": (
        lambda y, w, b: (y + (w.bfloat16() @ w.bfloat16()).float(),),
        ["_to_copy", "mm", "_to_copy", "add"],
    ),
    "a cast that loses digits": (
        lambda y, w, b: (y.bfloat16().sin() + w.bfloat16(),),
        ["_to_copy", "sin", "_to_copy", "add"],
    ),
    "a cast between kinds of half": (
        lambda y, w, b: (y.bfloat16().sin() + w.half().sin().bfloat16(),),
        ["_to_copy", "sin", "_to_copy", "sin", "_to_copy", "add"],
    ),
    "a cast for more than a sum": (
        lambda y, w, b: (y + (k := (w.bfloat16() @ w.bfloat16()).float()), k),
        ["_to_copy", "mm", "_to_copy", "add"],
    ),
}


@pytest.mark.parametrize("name", REWRITTEN)
def test_fewer_operations(name):
    function, expected = REWRITTEN[name]
    module = graph_of(function, Y, W, B)
    torch_graphs.drop_writes(module)
    assert not torch_graphs.writes(module)
    torch_graphs.simplify(module, own=1)
    torch_fusions.fuse(module)
    assert names(module) == expected
    for one, other in zip(module(Y, W, B), function(Y, W, B), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)


def test_a_copy_from_another_device_stays():
    def function(y, w, b):
        return (y + torch.ops.aten._to_copy(w, device="cpu"),)

    with torch._subclasses.FakeTensorMode():
        elsewhere = torch.empty(4, 4, device="cuda")
        module = make_fx(function)(torch.empty(4, 4), elsewhere, torch.empty(4))
    torch_fusions.fuse(module)
    torch_calls.call_directly(module)
    assert names(module) == ["_to_copy", "add"]


SEEN_ELSEWHERE = {
    "an argument": lambda y, w, b: (y.add_(w),),
    "a part of it": lambda y, w, b: ((z := y.sin()), z[0].add_(b)),
    "with another dtype": lambda y, w, b: (y.bfloat16().add_(w),),
    "by a view": lambda y, w, b: ((z := y.sin()), (part := z[0]), z.add_(w), part + 1),
}


@pytest.mark.parametrize("name", SEEN_ELSEWHERE)
def test_what_is_written_and_seen_elsewhere_stays(name):
    module = graph_of(SEEN_ELSEWHERE[name], Y, W, B)
    before = names(module)
    torch_graphs.drop_writes(module)
    assert names(module) == before
    assert torch_graphs.writes(module)
    found = module(Y.clone(), W, B)
    for one, other in zip(found, SEEN_ELSEWHERE[name](Y.clone(), W, B), strict=True):
        torch.testing.assert_close(one, other)


DIRECTLY = {
    "products": lambda y, w, b: (
        torch.addmm(b, y, w),
        y @ w,
        torch.bmm(y[None], w[None]),
        y.sin().addmm_(y, w),
    ),
    "views": lambda y, w, b: (
        y.t().unsqueeze(0).permute(2, 0, 1).squeeze(1).view(16),
        y.unsqueeze(0).squeeze((0,)).transpose(0, 1)[1].expand(3, 4),
    ),
    "sums": lambda y, w, b: (y.sum([0], True), y.mean([1]), torch.add(y, w, alpha=3.0), y - w),
    "in place": lambda y, w, b: (y.sin().add_(w),),
    "numbers": lambda y, w, b: (
        torch.ops.aten.mul.Scalar(y, 2.0),
        torch.ops.aten.div.Scalar(y, 3.0),
        y * w / b - 1,
        y.abs().sqrt() ** 2,
        -y,
    ),
    "casts": lambda y, w, b: (y.bfloat16(), y.double() + w, y.clone()),
    "functions": lambda y, w, b: (
        y.tanh() + y.sin() * y.cos(),
        y.relu() + y.sigmoid(),
        y.exp().rsqrt() + y.exp().reciprocal(),
    ),
    "convolution": lambda y, w, b: (
        torch.nn.functional.conv2d(y.view(1, 4, 2, 2), w.view(4, 4, 1, 1), b, padding=1),
    ),
}


@pytest.mark.parametrize("name", DIRECTLY)
def test_direct_calls_compute_the_same(name):
    module = graph_of(DIRECTLY[name], Y, W, B)
    torch_calls.call_directly(module)
    assert "torch.ops" not in module.code
    for one, other in zip(module(Y, W, B), DIRECTLY[name](Y, W, B), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_all_direct_calls_are_compared():
    graphs = [graph_of(function, Y, W, B).graph for function in DIRECTLY.values()]
    assert set(torch_calls.DIRECT) <= {node.target for graph in graphs for node in graph.nodes}


def test_a_copy_of_the_same_dtype_stays_a_copy():
    module = graph_of(lambda y, w, b: (torch.ops.aten._to_copy(y, dtype=torch.float32),), Y, W, B)
    torch_calls.call_directly(module)
    (found,) = module(Y, W, B)
    assert found.data_ptr() != Y.data_ptr()


def test_random_numbers_are_not_merged():
    module = graph_of(lambda y, w, b: (torch.bernoulli(y) + torch.bernoulli(y),), Y, W, B)
    torch_graphs.simplify(module)
    assert names(module).count("bernoulli") == 2


SUMS = {
    "products": lambda y, w, b: [y.t() @ w + w @ y, (y + w).sum(0)],
    "an argument": lambda y, w, b: [y + w @ y, b],
    "nothing to take apart": lambda y, w, b: [y.sin(), 2 * b],
    "used elsewhere": lambda y, w, b: [w @ y + y, (w @ y).sum(0) + b],
}


@pytest.mark.parametrize("name", SUMS)
def test_results_are_added_to_sums(name):
    function = SUMS[name]
    added = torch_graphs.adding(lambda *inputs: (*function(*inputs), inputs[0].cos()), [0, 1])
    start = tensor(4, 4, seed=5), tensor(4, seed=6)
    totals = [x.clone() for x in start]
    *nothing, last = added(Y, W, B, *totals)
    assert nothing == [None, None]
    torch.testing.assert_close(last, Y.cos())
    for total, before, term in zip(totals, start, function(Y, W, B), strict=True):
        torch.testing.assert_close(total, before + term, rtol=1e-5, atol=1e-5)


def test_convolutions_have_their_bias_and_no_copies():
    f = keras.layers.Conv2D(3, 3, padding="same", activation="tanh")
    layer = RKResidual(f, "heun2", steps=2)
    y = tensor(2, 5, 5, 3)
    ours = layer(y)
    (traced,) = layer.loop.traces.values()
    found = names(traced.forward)
    assert found.count("convolution") == 2
    assert "view" not in found
    assert found.count("clone") <= 1  # of the kernel
    for _ in range(2):
        k = f(y)
        y = y + 0.5 * (k + f(y + k))
    np.testing.assert_allclose(ours.detach().numpy(), y.detach().numpy(), rtol=1e-5, atol=1e-5)
