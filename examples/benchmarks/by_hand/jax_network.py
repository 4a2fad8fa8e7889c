"""By hand in JAX: a scan over stacked weights, Adam on the tree, a jitted step that donates."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from by_hand import (
    ADAM_EPSILON,
    BETA_1,
    BETA_2,
    BLOCK,
    BN_EPSILON,
    LEARNING_RATE,
    MOMENTUM,
    Method,
    Weights,
    combine,
)


def loss_and_statistics(weights: dict, method: Method, x: jax.Array, labels: jax.Array) -> tuple:
    """The mean cross-entropy of a batch, and the mean and variance of each block's batch."""

    def block(y: jax.Array, w: dict) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        derivatives: list[jax.Array] = []
        for row in method.stages:
            stage = combine(y, row, derivatives)
            derivatives.append(jnp.tanh(stage @ w["kernel"] + w["bias"]))
        y = combine(y, method.update, derivatives)
        mean = y.mean(0)
        centred = y - mean
        variance = (centred * centred).mean(0)  # jnp.var takes longer
        y = centred * (w["gamma"] * jax.lax.rsqrt(variance + BN_EPSILON)) + w["beta"]
        return y, jax.lax.stop_gradient((mean, variance))

    y = x @ weights["lift_kernel"] + weights["lift_bias"]
    y, statistics = jax.lax.scan(block, y, {name: weights[name] for name in BLOCK})
    logits = y @ weights["head_kernel"] + weights["head_bias"]
    # log(1 + exp(z)) - label z is the cross-entropy of sigmoid(z)
    return jnp.mean(jax.nn.softplus(logits) - labels * logits), statistics


def train_step(state: dict, batch: tuple, method: Method) -> tuple[dict, jax.Array]:
    (loss, statistics), gradient = jax.value_and_grad(loss_and_statistics, has_aux=True)(
        state["weights"], method, *batch
    )
    step = state["step"] + 1
    rate = LEARNING_RATE * jnp.sqrt(1 - BETA_2**step) / (1 - BETA_1**step)
    tree_map = jax.tree_util.tree_map
    m = tree_map(lambda m, g: BETA_1 * m + (1 - BETA_1) * g, state["m"], gradient)
    v = tree_map(lambda v, g: BETA_2 * v + (1 - BETA_2) * g * g, state["v"], gradient)
    new_state = {
        "weights": tree_map(
            lambda w, m, v: w - rate * m / (jnp.sqrt(v) + ADAM_EPSILON), state["weights"], m, v
        ),
        "moving": tree_map(
            lambda old, new: MOMENTUM * old + (1 - MOMENTUM) * new, state["moving"], statistics
        ),
        "m": m,
        "v": v,
        "step": step,
    }
    return new_state, loss


class Network:
    """The network and its optimizer."""

    def __init__(self, weights: Weights, method: Method) -> None:
        shape = weights["gamma"].shape
        self.state = {
            "weights": {name: jnp.asarray(value) for name, value in weights.items()},
            "moving": (jnp.zeros(shape), jnp.ones(shape)),
            "m": {name: jnp.zeros_like(value) for name, value in weights.items()},
            "v": {name: jnp.zeros_like(value) for name, value in weights.items()},
            "step": jnp.zeros(()),
        }
        step = partial(train_step, method=method)
        self._step = jax.jit(step, donate_argnums=0)
        self._epoch = jax.jit(lambda state, data: jax.lax.scan(step, state, data), donate_argnums=0)

    def place(self, x: np.ndarray, labels: np.ndarray) -> tuple[list, tuple]:
        """Batches (batches, 32, features) on the device: one by one, and all in one."""
        return [
            (jnp.asarray(a), jnp.asarray(b)) for a, b in zip(x, labels, strict=True)
        ], jax.device_put((x, labels))

    def first_step(self, x: np.ndarray, labels: np.ndarray) -> float:
        self.state, loss = self._step(self.state, (x, labels))
        jax.block_until_ready(self.state)
        return float(loss)

    def train(self, data: tuple[list, tuple]) -> list[float]:
        """One step on each batch, batch after batch from Python; the losses."""
        losses = []
        for batch in data[0]:
            self.state, loss = self._step(self.state, batch)
            losses.append(loss)
        jax.block_until_ready(self.state)
        return [float(loss) for loss in losses]

    def train_in_one_call(self, data: tuple[list, tuple]) -> list[float]:
        """The same steps, with the loop over the batches compiled, too."""
        self.state, losses = self._epoch(self.state, data[1])
        jax.block_until_ready(self.state)
        return losses.tolist()

    def weights(self) -> Weights:
        return {name: np.asarray(value) for name, value in self.state["weights"].items()}


def variants(weights: Weights, method: Method) -> dict[str, Callable[[Any], list[float]]]:
    """Further ways to train a new network, for information."""
    return {"an epoch a call": Network(weights, method).train_in_one_call}


def warm_up() -> None:
    """The compiler's own start-up."""
    jax.jit(lambda x: x + 1)(jnp.zeros(3)).block_until_ready()


def device() -> str | None:
    """The accelerator's name."""
    found = jax.devices()[0]
    return None if found.platform == "cpu" else str(found.device_kind)
