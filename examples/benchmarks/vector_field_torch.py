"""The contestants of `vector_field.py` in PyTorch: eager, on one thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from vector_field_cases import Field, Problem
from vector_field_entries import BARE, BY_HAND, KERAS_FIELD, OURS, Entries, Entry

torch.set_num_threads(1)

GROUPS = {"": 1.2}  # at most so many times as long as written by hand
OTHERS = {"torchdiffeq": 1.0}  # at least so many times as long as ours
METHODS = ("heun2", "rk4", "rk38")
PACKAGES = ("torch", "torchdiffeq")

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
CHANNELS_FIRST, CHANNELS_LAST = (0, 3, 1, 2), (0, 2, 3, 1)
OIHW, HWIO = (3, 2, 0, 1), (2, 3, 1, 0)

Integrate = Callable[[Field, Any], Any]


def device() -> str:
    return torch.cuda.get_device_name() if on_gpu() else "cpu"


def on_gpu() -> bool:
    return DEVICE == "cuda"


def dense(weights: Sequence[Any], y: Any) -> Any:
    """The kernels are stored as `torch.nn.Linear` stores them."""
    W1, b1, W2, b2 = weights
    return F.linear(torch.tanh(F.linear(y, W1, b1)), W2, b2)


def conv(weights: Sequence[Any], y: Any) -> Any:
    """Of (batch, channels, ...), whatever the order in memory; kernels as in `torch.nn.Conv2d`."""
    W1, b1, W2, b2 = weights
    return F.conv2d(torch.tanh(F.conv2d(y, W1, b1, padding=1)), W2, b2, padding=1)


def conv_channels_last(weights: Sequence[Any], y: Any) -> Any:
    """Data and kernels laid out as in Keras, turned around for each product."""
    W1, b1, W2, b2 = weights
    hidden = F.conv2d(y.permute(CHANNELS_FIRST), W1.permute(OIHW), b1, padding=1)
    hidden = torch.tanh(hidden.permute(CHANNELS_LAST))
    end = F.conv2d(hidden.permute(CHANNELS_FIRST), W2.permute(OIHW), b2, padding=1)
    return end.permute(CHANNELS_LAST)


def heun2(f: Field, y: Any, dt: float) -> Any:
    """With fewer kernels: `torch.add` multiplies as well."""
    k1 = f(y)
    k2 = f(torch.add(y, k1, alpha=dt))
    return torch.add(y, k1 + k2, alpha=dt / 2)


def rk4(f: Field, y: Any, dt: float) -> Any:
    k1 = f(y)
    k2 = f(torch.add(y, k1, alpha=dt / 2))
    k3 = f(torch.add(y, k2, alpha=dt / 2))
    k4 = f(torch.add(y, k3, alpha=dt))
    return torch.add(y, torch.add(k1 + k4, k2 + k3, alpha=2.0), alpha=dt / 6)


FUSED = {"heun2": heun2, "rk4": rk4}


def fused(problem: Problem) -> Integrate:
    step = FUSED[problem.method]

    def integrate(f: Field, y: Any) -> Any:
        for _ in range(problem.steps):
            y = step(f, y, problem.dt)
        return y

    return integrate


def with_torchdiffeq(problem: Problem, name: str) -> Integrate:
    from torchdiffeq import odeint

    times = torch.tensor([0.0, problem.dt * problem.steps], device=DEVICE)
    options = {"step_size": problem.dt}

    def integrate(f: Field, y: Any) -> Any:
        return odeint(lambda t, y: f(y), y, times, method=name, options=options)[-1]

    return integrate


def run(
    problem: Problem, integrate: Integrate, f: Callable, weights: Sequence[Any], y: Any
) -> Callable[[], Any]:
    """Loss, end, gradients; f(weights, y) is written by hand."""
    half = problem.half

    def solve() -> Any:
        if not half:
            return integrate(lambda y: f(weights, y), y)
        halves = [w.bfloat16() for w in weights]  # once, not per evaluation
        start = y.bfloat16().float()  # a layer of a mixed policy does it, too
        return integrate(lambda y: f(halves, y.bfloat16()).float(), start).bfloat16()

    return differentiated(solve, weights, y)


def differentiated(solve: Callable[[], Any], weights: Sequence[Any], y: Any) -> Callable[[], Any]:
    variables = [*weights, y]

    def value_and_gradient() -> Any:
        end = solve()
        loss = end.float().square().mean()
        answer = loss, end, torch.autograd.grad(loss, variables)
        if on_gpu():
            torch.cuda.synchronize()
        return answer

    return value_and_gradient


def reader(kernel: tuple[int, ...] | None, y: tuple[int, ...] | None) -> Callable[[Any], list]:
    """Reads an answer whose kernels and states are to be permuted into Keras's layout."""

    def read(answer: Any) -> list[np.ndarray]:
        loss, end, (W1, b1, W2, b2, y_gradient) = answer
        if kernel:
            W1, W2 = W1.permute(kernel), W2.permute(kernel)
        if y:
            end, y_gradient = end.permute(y), y_gradient.permute(y)
        arrays = (loss, end, W1, b1, W2, b2, y_gradient)
        return [x.detach().float().cpu().numpy() for x in arrays]

    return read


def tensors(arrays: Sequence[np.ndarray], permutation: tuple[int, ...] | None = None) -> list:
    """Leaves to differentiate; those with as many axes as the permutation get it, in memory."""
    found = []
    for array in arrays:
        if permutation and array.ndim == len(permutation):
            array = np.ascontiguousarray(array.transpose(permutation))
        found.append(torch.tensor(array, device=DEVICE, requires_grad=True))
    return found


def entries(problem: Problem) -> list[Entry]:
    layer, f = problem.layer, problem.layer.layer
    weights = [variable.value for variable in layer.trainable_variables]
    (y,) = tensors([problem.y])
    found = Entries(reader(None, None))
    found.add(OURS, OURS, differentiated(lambda: layer(y), weights, y))

    def keras_field() -> Any:
        return problem.unrolled(lambda y: f(y).float(), y)

    found.add(KERAS_FIELD, "f in Keras, loop by hand", differentiated(keras_field, weights, y))
    by_hand = dense_entries if problem.case == "dense" else conv_entries
    return found.found + by_hand(problem)


def dense_entries(problem: Problem) -> list[Entry]:
    weights, (y,) = tensors(problem.weights, (1, 0)), tensors([problem.y])
    found = Entries(reader((1, 0), None))

    def add(role: str, name: str, integrate: Integrate) -> None:
        found.add(role, name, run(problem, integrate, dense, weights, y))

    add_methods(found, add, problem)
    return found.found


def viewed(integrate: Integrate) -> Integrate:
    """One view at each end; in between, PyTorch's `channels_last` memory format."""
    return lambda f, y: integrate(f, y.permute(CHANNELS_FIRST)).permute(CHANNELS_LAST)


def conv_entries(problem: Problem) -> list[Entry]:
    """Channels first in memory, Keras's channels last in a view, and Keras's way of doing it."""
    weights, keras_weights = tensors(problem.weights, OIHW), tensors(problem.weights)
    (first,), (last,) = tensors([problem.y], CHANNELS_FIRST), tensors([problem.y])
    first_found = Entries(reader(HWIO, CHANNELS_LAST))
    last_found = Entries(reader(HWIO, None))

    def add_first(role: str, name: str, integrate: Integrate) -> None:
        first_found.add(role, f"{name}, NCHW", run(problem, integrate, conv, weights, first))

    def add_last(role: str, name: str, integrate: Integrate) -> None:
        entry = run(problem, viewed(integrate), conv, weights, last)
        last_found.add(role, f"{name}, NHWC viewed", entry)

    add_methods(first_found, add_first, problem)
    add_methods(last_found, add_last, problem)
    integrate = fused(problem) if problem.method in FUSED else problem.unrolled
    entry = run(problem, integrate, conv_channels_last, keras_weights, last)
    last_found.add(BY_HAND, "by hand, Keras's layouts", entry, read=reader(None, None))
    return first_found.found + last_found.found


def add_methods(found: Entries, add: Callable[..., None], problem: Problem) -> None:
    """The methods that depend on no layout; `add(role, name, integrate)` times one around f."""
    add(BY_HAND, "by hand", problem.unrolled)
    if problem.method in FUSED:
        add(BY_HAND, "by hand, torch.add(alpha)", fused(problem))
    add(BARE, "bare", problem.bare)
    name = {"heun2": "heun2", "rk38": "rk4", "heun3": "heun3"}.get(problem.method)
    if name and find_spec("torchdiffeq"):
        add("torchdiffeq", f'torchdiffeq "{name}"', with_torchdiffeq(problem, name))
    elif name:
        found.add_missing("torchdiffeq")
