"""Training a network with all seeds at once, in one compiled program (jax.vmap)."""

from __future__ import annotations

import time
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
from series_data import Split
from series_nets import Network, build, initial
from series_plan import KEPT


def cross_entropy(logits: Any, labels: Any) -> Any:
    losses = keras.ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    return jnp.mean(losses)


def batches(seed: int, count: int, batch: int, steps: int) -> np.ndarray:
    """Which series are in the batch of each step: one order of all series after another."""
    rng = np.random.default_rng([seed, 1])
    passes = -(-steps * batch // count)
    order = np.concatenate([rng.permutation(count) for _ in range(passes)])
    return order[: steps * batch].reshape(steps, batch)


class Training:
    """A network, and the compiled functions that train it."""

    def __init__(self, network: Network, data: Split, rate: float, steps: int) -> None:
        self.model = build(network, data.x.shape[2:], int(data.y.max()) + 1)
        self.optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(rate, steps))
        self.optimizer.build(self.model.trainable_variables)
        self.others = [variable.value for variable in self.model.non_trainable_variables]
        self.data = jax.device_put(data)
        self.advance = jax.jit(jax.vmap(self._advance))
        self.evaluate = jax.jit(jax.vmap(self._evaluate))

    def start(self, seeds: list[int]) -> tuple[list, list]:
        """Weights and the optimizer's state, with the seeds along a first axis."""
        weights = zip(*(initial(self.model, seed) for seed in seeds), strict=True)
        state = [jnp.stack([v.value] * len(seeds)) for v in self.optimizer.variables]
        return [jnp.stack(values) for values in weights], state

    def _logits(self, weights: list, x: Any) -> Any:
        return self.model.stateless_call(weights, self.others, x, training=True)[0]

    def _advance(self, weights: list, state: list, x: Any, y: Any, order: Any) -> tuple:
        """Some steps of Adam, and the mean loss in them."""

        def step(carry: tuple, batch: Any) -> tuple:
            weights, state = carry
            loss, gradients = jax.value_and_grad(
                lambda weights: cross_entropy(self._logits(weights, x[batch]), y[batch])
            )(weights)
            weights, state = self.optimizer.stateless_apply(state, gradients, weights)
            return (weights, state), loss

        carry, losses = jax.lax.scan(step, (weights, state), order)
        return (*carry, jnp.mean(losses))

    def _evaluate(self, weights: list, x: Any, y: Any) -> Any:
        """The share of right answers."""
        return jnp.mean(jnp.argmax(self._logits(weights, x), axis=-1) == y)


def train(
    network: Network, data: Split, settings: dict[str, Any]
) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Trains a network with all seeds; a record of all, and the weights, seeds along an axis."""
    start = time.perf_counter()
    seeds, steps = settings["seeds"], settings["steps"]
    training = Training(network, data, settings["rate"], steps)
    weights, state = training.start(seeds)
    order = np.stack([batches(s, data.sizes[0], settings["batch"], steps) for s in seeds])
    losses, accuracies = [], []
    for part in np.array_split(order, KEPT, axis=1):
        weights, state, loss = training.advance(
            weights, state, training.data.x, training.data.y, part
        )
        losses.append(np.asarray(loss))
        accuracies.append(
            np.asarray(training.evaluate(weights, training.data.x_test, training.data.y_test))
        )
    train_accuracy = training.evaluate(weights, training.data.x, training.data.y)
    record = {
        "network": network.name,
        "parameters": training.model.count_params(),
        "evaluations": network.evaluations,
        "sizes": list(data.sizes),
        "test_accuracy": rounded(accuracies[-1], 6),
        "train_accuracy": rounded(train_accuracy, 6),
        "loss": rounded(losses[-1], 4),
        "loss_curve": rounded(np.mean(losses, axis=1), 4),
        "test_curve": rounded(np.mean(accuracies, axis=1), 4),
        "seconds": round(time.perf_counter() - start, 1),
    }
    return record, [np.asarray(value) for value in weights]


def rounded(values: Any, places: int) -> list[float]:
    return [round(float(value), places) for value in values]
