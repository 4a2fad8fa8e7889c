"""By hand in PyTorch, eager: modules in a list, a Python loop over them, torch.optim.Adam."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from by_hand import (
    ADAM_EPSILON,
    BETA_1,
    BETA_2,
    BN_EPSILON,
    LEARNING_RATE,
    MOMENTUM,
    Method,
    Terms,
    Weights,
)

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def combine(y: Tensor, terms: Terms, derivatives: list[Tensor]) -> Tensor:
    """y + sum_j a_j k_j, one operation a term."""
    for j, factor in terms:
        y = torch.add(y, derivatives[j], alpha=factor)
    return y


class Block(nn.Module):
    """y -> BN(y + sum_i b_i k_i)."""

    def __init__(self, width: int, method: Method) -> None:
        super().__init__()
        self.method = method
        self.dense = nn.Linear(width, width)
        # PyTorch's momentum is the share of the new value; its moving variance is the unbiased one
        self.norm = nn.BatchNorm1d(width, eps=BN_EPSILON, momentum=1 - MOMENTUM)

    def forward(self, y: Tensor) -> Tensor:
        derivatives: list[Tensor] = []
        for row in self.method.stages:
            derivatives.append(torch.tanh(self.dense(combine(y, row, derivatives))))
        return self.norm(combine(y, self.method.update, derivatives))


class Model(nn.Module):
    """From the points of the plane to logits."""

    def __init__(self, depth: int, width: int, method: Method) -> None:
        super().__init__()
        self.lift = nn.Linear(2, width)
        self.blocks = nn.ModuleList(Block(width, method) for _ in range(depth))
        self.head = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.lift(x)
        for block in self.blocks:
            y = block(y)
        return self.head(y)


class Network:
    """The network and its optimizer."""

    def __init__(self, weights: Weights, method: Method, fused: bool | None = None) -> None:
        depth, width = weights["gamma"].shape
        self.model = Model(depth, width, method)
        with torch.no_grad():
            for name, parameters in self._parameters().items():
                values = weights[name]
                for parameter, value in zip(parameters, _by_block(name, values), strict=True):
                    value = value.T if name.endswith("kernel") else value
                    parameter.copy_(torch.from_numpy(np.ascontiguousarray(value)))
        self.model.to(DEVICE)
        self.optimizer = torch.optim.Adam(
            self.model.parameters(),
            lr=LEARNING_RATE,
            betas=(BETA_1, BETA_2),
            eps=ADAM_EPSILON,
            fused=fused,
        )

    def place(self, x: np.ndarray, labels: np.ndarray) -> list[tuple[Tensor, Tensor]]:
        """Batches (batches, 32, features) on the device, one by one."""
        whole = (torch.from_numpy(array).to(DEVICE) for array in (x, labels))
        return list(zip(*(array.unbind() for array in whole), strict=True))

    def first_step(self, x: np.ndarray, labels: np.ndarray) -> float:
        return self.train(self.place(x[None], labels[None]))[0]

    def train(self, data: list[tuple[Tensor, Tensor]]) -> list[float]:
        """One step on each batch; the losses."""
        self.model.train()
        losses = []
        for x, labels in data:
            loss = nn.functional.binary_cross_entropy_with_logits(self.model(x), labels)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            losses.append(loss.detach())
        return torch.stack(losses).tolist()

    def weights(self) -> Weights:
        found = {}
        for name, parameters in self._parameters().items():
            values = [parameter.detach().cpu().numpy() for parameter in parameters]
            values = [value.T for value in values] if name.endswith("kernel") else values
            found[name] = values[0] if name.startswith(("lift", "head")) else np.stack(values)
        return found

    def _parameters(self) -> dict[str, list[Tensor]]:
        model, blocks = self.model, self.model.blocks
        return {
            "lift_kernel": [model.lift.weight],
            "lift_bias": [model.lift.bias],
            "kernel": [block.dense.weight for block in blocks],
            "bias": [block.dense.bias for block in blocks],
            "gamma": [block.norm.weight for block in blocks],
            "beta": [block.norm.bias for block in blocks],
            "head_kernel": [model.head.weight],
            "head_bias": [model.head.bias],
        }


def _by_block(name: str, values: np.ndarray) -> list[np.ndarray]:
    return [values] if name.startswith(("lift", "head")) else list(values)


def variants(
    weights: Weights, method: Method
) -> dict[str, Callable[[list[tuple[Tensor, Tensor]]], list[float]]]:
    """Further ways to train a new network, for information."""
    return {"fused Adam": Network(weights, method, fused=True).train}


def warm_up() -> None:
    """One thread for a network this small, and PyTorch's own start-up."""
    torch.set_num_threads(1)
    torch.ones(3, device=DEVICE, requires_grad=True).sum().backward()


def device() -> str | None:
    """The accelerator's name."""
    return torch.cuda.get_device_name() if DEVICE.type == "cuda" else None
