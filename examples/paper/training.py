"""Training one network with several seeds at once, in one compiled program.

Networks as small as these leave a processor idle most of the time, so those that differ only in
their seed train together (jax.vmap); each computes what Keras's `fit` would compute for it. Each
seed has its own points, initial weights and batches.
"""

from __future__ import annotations

import math
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import keras
import numpy as np
from grid import Network
from harder import points
from networks import build, stack_of
from records import record
from spirals_example import BATCH, CURVES

Values = list[Any]


class State(NamedTuple):
    """What training changes, with the seeds along a first axis."""

    trainable: Values
    others: Values
    optimizer: Values


class Data(NamedTuple):
    x: Any
    y: Any
    x_test: Any
    y_test: Any


def cross_entropy(logits: Any, labels: Any) -> Any:
    return jnp.mean(keras.ops.binary_crossentropy(labels, logits, from_logits=True))


def right(logits: Any, labels: Any) -> Any:
    """The share of right answers."""
    return jnp.mean((logits > 0) == (labels > 0.5))


def learning_rate(network: Network, steps: int) -> Any:
    """Keras's default for Adam, or a fall from there to 0 in that many steps."""
    rate = 0.001
    if network.schedule == "constant":
        return rate
    return keras.optimizers.schedules.CosineDecay(rate, steps)


class Trainer:
    """A network, and the compiled functions that train it."""

    def __init__(self, network: Network, steps: int) -> None:
        self.network = network
        self.model = build(network)
        self.optimizer = keras.optimizers.Adam(learning_rate(network, steps))
        self.optimizer.build(self.model.trainable_variables)
        stack = {id(variable) for variable in stack_of(self.model).trainable_variables}
        self.stacked = [id(v) in stack for v in self.model.trainable_variables]
        self.kernel = next(
            n
            for n, variable in enumerate(self.model.trainable_variables)
            if self.stacked[n] and len(variable.shape) == 3
        )
        self.epoch = jax.jit(jax.vmap(self._epoch))
        self.evaluate = jax.jit(jax.vmap(self._evaluate))

    def initial(self, seeds: list[int]) -> State:
        """The weights that `build` draws for each seed."""
        states = []
        for seed in seeds:
            keras.utils.set_random_seed(seed)
            model = build(self.network)
            states.append(
                State(
                    [variable.value for variable in model.trainable_variables],
                    [variable.value for variable in model.non_trainable_variables],
                    [variable.value for variable in self.optimizer.variables],
                )
            )
        return jax.tree.map(lambda *values: jnp.stack(values), *states)

    def _loss(self, trainable: Values, others: Values, x: Any, y: Any) -> tuple[Any, Any]:
        logits, others = self.model.stateless_call(trainable, others, x, training=True)
        loss = cross_entropy(logits, y)
        return loss + self._roughness(trainable), (others, loss, right(logits, y))

    def _roughness(self, trainable: Values) -> Any:
        """The penalty on differences of the weights of consecutive blocks."""
        if not self.network.smoothness:
            return 0.0
        stacked = [value for value, is_in in zip(trainable, self.stacked, strict=True) if is_in]
        return self.network.smoothness * sum(jnp.sum(jnp.diff(w, axis=0) ** 2) for w in stacked)

    def _step(self, state: State, batch: tuple[Any, Any]) -> tuple[State, Any]:
        gradient_of = jax.value_and_grad(self._loss, has_aux=True)
        (_, (others, loss, accuracy)), gradients = gradient_of(
            state.trainable, state.others, *batch
        )
        trainable, optimizer = self.optimizer.stateless_apply(
            state.optimizer, gradients, state.trainable
        )
        norms = jnp.sqrt(jnp.sum(gradients[self.kernel] ** 2, axis=(1, 2)))
        return State(trainable, others, optimizer), (loss, accuracy, norms)

    def _epoch(self, state: State, data: Data, order: Any) -> tuple[State, Any]:
        """An epoch: its mean loss and accuracy, and the mean norm of the gradient of each block."""
        whole = len(order) // BATCH * BATCH
        batches = order[:whole].reshape(-1, BATCH)
        rest = order[whole:]
        state, results = jax.lax.scan(
            lambda state, batch: self._step(state, (data.x[batch], data.y[batch])), state, batches
        )
        sums = [jnp.sum(result, axis=0) * BATCH for result in results]
        if len(rest):
            state, results = self._step(state, (data.x[rest], data.y[rest]))
            sums = [one + result * len(rest) for one, result in zip(sums, results, strict=True)]
        return state, [one / len(order) for one in sums]

    def _evaluate(self, state: State, x: Any, y: Any) -> tuple[Any, Any]:
        logits, _ = self.model.stateless_call(state.trainable, state.others, x, training=False)
        return cross_entropy(logits, y), right(logits, y)

    def weights(self, state: State, number: int) -> list[np.ndarray]:
        """The weights of one seed, in the order of `model.get_weights()`."""
        values: dict[int, Any] = {}
        for variables, parts in (
            (self.model.trainable_variables, state.trainable),
            (self.model.non_trainable_variables, state.others),
        ):
            values |= {
                id(v): np.asarray(part[number]) for v, part in zip(variables, parts, strict=True)
            }
        return [values[id(variable)] for variable in self.model.weights]


def load_data(network: Network, seeds: list[int]) -> Data:
    """The points of each seed."""
    each = (points(network.data, seed) for seed in seeds)
    return Data(*(np.stack(parts) for parts in zip(*each, strict=True)))


def train(
    network: Network, seeds: list[int], epochs: int
) -> list[tuple[dict[str, Any], list[np.ndarray]]]:
    """Trains a network with each seed; a record and the weights for each."""
    start = time.perf_counter()
    data = jax.device_put(load_data(network, seeds))
    trainer = Trainer(network, epochs * math.ceil(data.x.shape[1] / BATCH))
    state = trainer.initial(seeds)
    shuffles = [np.random.default_rng(seed) for seed in seeds]
    curves: dict[str, list[Any]] = {curve: [] for curve in CURVES}
    norms, times = [], []
    for _ in range(epochs):
        order = np.stack([rng.permutation(data.x.shape[1]) for rng in shuffles])
        times.append(time.perf_counter())
        state, (loss, accuracy, norm) = jax.block_until_ready(trainer.epoch(state, data, order))
        times[-1] = time.perf_counter() - times[-1]
        validation = trainer.evaluate(state, data.x_test, data.y_test)
        for curve, values in zip(CURVES, (loss, accuracy, *validation), strict=True):
            curves[curve].append(np.asarray(values))
        norms.append(np.asarray(norm))
    _, train_accuracy = trainer.evaluate(state, data.x, data.y)
    seconds = time.perf_counter() - start
    return [
        (
            record(
                network,
                seed,
                history={curve: [float(v[n]) for v in curves[curve]] for curve in CURVES},
                parameters=trainer.model.count_params(),
                train_accuracy=float(train_accuracy[n]),
                gradient_norms={
                    "first_epoch": norms[0][n].tolist(),
                    "last_epoch": norms[-1][n].tolist(),
                },
                epoch_seconds=min(times) / len(seeds),
                seconds=seconds / len(seeds),
                trained_together=len(seeds),
            ),
            trainer.weights(state, n),
        )
        for n, seed in enumerate(seeds)
    ]
