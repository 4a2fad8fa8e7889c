"""By hand in TensorFlow: a tf.while_loop over stacked variables, GradientTape, Adam by assignments.

XLA compiles a step, which makes it several times faster than the same loop in the graph executor,
and a graph around it goes from batch to batch, for calling a compiled step from Python takes 0.4
ms. Reading a block's weights by `tf.gather` is as fast as from a TensorArray under XLA, and faster
without. Fifty blocks written out are slower than a loop under XLA, and compile for longer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

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


def block(method: Method, y: Any, kernel: Any, bias: Any, gamma: Any, beta: Any) -> tuple:
    """BN(y + sum_i b_i k_i), and the mean and variance of the batch."""
    derivatives: list[Any] = []
    for row in method.stages:
        derivatives.append(tf.tanh(combine(y, row, derivatives) @ kernel + bias))
    y = combine(y, method.update, derivatives)
    mean = tf.reduce_mean(y, 0)
    centred = y - mean
    variance = tf.reduce_mean(centred * centred, 0)
    return centred * (gamma * tf.math.rsqrt(variance + BN_EPSILON)) + beta, mean, variance


def loss_and_statistics(weights: dict, method: Method, x: Any, labels: Any) -> tuple:
    """The mean cross-entropy of a batch, and the mean and variance of each block's batch."""
    depth, width = weights["gamma"].shape
    stacked = [tf.convert_to_tensor(weights[name]) for name in BLOCK]

    def body(i: Any, y: Any, means: Any, variances: Any) -> tuple:
        y, mean, variance = block(method, y, *(tf.gather(values, i) for values in stacked))
        means = means.write(i, tf.stop_gradient(mean))
        return i + 1, y, means, variances.write(i, tf.stop_gradient(variance))

    y = x @ weights["lift_kernel"] + weights["lift_bias"]
    empty = [tf.TensorArray(tf.float32, depth, element_shape=(width,)) for _ in range(2)]
    _, y, means, variances = tf.while_loop(
        lambda i, *_: i < depth, body, (tf.constant(0), y, *empty), maximum_iterations=depth
    )
    logits = y @ weights["head_kernel"] + weights["head_bias"]
    losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits)
    return tf.reduce_mean(losses), (means.stack(), variances.stack())


def batch_after_batch(step: Callable[[Any, Any], Any], jit_compile: bool = False) -> Any:
    """A graph that takes a training step on each batch; it returns the losses."""

    def steps(x: Any, labels: Any) -> Any:
        losses = tf.TensorArray(tf.float32, x.shape[0], element_shape=())
        for i in tf.range(x.shape[0]):
            losses = losses.write(i, step(x[i], labels[i]))
        return losses.stack()

    return tf.function(steps, jit_compile=jit_compile)


def step_of(model: Any) -> Any:
    """The training step of a Keras model, compiled like the one by hand; it returns the loss."""

    def step(x: Any, labels: Any) -> Any:
        return model.train_step((x, labels))["loss"]

    return tf.function(step, jit_compile=True)


def dataset(x: np.ndarray, labels: np.ndarray) -> Any:
    """Batches for Keras's `fit`, read by one thread, which is faster than from arrays."""
    options = tf.data.Options()
    options.autotune.enabled = False
    options.threading.private_threadpool_size = 1
    return tf.data.Dataset.from_tensor_slices((x, labels)).with_options(options)


class Network:
    """The network and its optimizer."""

    def __init__(self, weights: Weights, method: Method, jit_compile: bool = True) -> None:
        shape = weights["gamma"].shape
        self.method = method
        self.variables = {name: tf.Variable(value) for name, value in weights.items()}
        self.m = {name: tf.Variable(np.zeros_like(value)) for name, value in weights.items()}
        self.v = {name: tf.Variable(np.zeros_like(value)) for name, value in weights.items()}
        self.moving = [tf.Variable(tf.zeros(shape)), tf.Variable(tf.ones(shape))]
        self.steps = tf.Variable(0.0)
        self._step = tf.function(self._train_step, jit_compile=jit_compile)
        self._steps = batch_after_batch(self._step)
        self._steps_in_xla = batch_after_batch(self._step, jit_compile=True)

    def _train_step(self, x: Any, labels: Any) -> Any:
        with tf.GradientTape() as tape:
            loss, statistics = loss_and_statistics(self.variables, self.method, x, labels)
        gradient = tape.gradient(loss, self.variables)
        step = self.steps.assign_add(1.0)
        rate = LEARNING_RATE * tf.sqrt(1 - BETA_2**step) / (1 - BETA_1**step)
        for name, variable in self.variables.items():
            g = tf.convert_to_tensor(gradient[name])
            m = self.m[name].assign(BETA_1 * self.m[name] + (1 - BETA_1) * g)
            v = self.v[name].assign(BETA_2 * self.v[name] + (1 - BETA_2) * g * g)
            variable.assign_sub(rate * m / (tf.sqrt(v) + ADAM_EPSILON))
        for moving, new in zip(self.moving, statistics, strict=True):
            moving.assign(MOMENTUM * moving + (1 - MOMENTUM) * new)
        return loss

    def place(self, x: np.ndarray, labels: np.ndarray) -> tuple[Any, Any]:
        """Batches (batches, 32, features) on the device."""
        return tf.constant(x), tf.constant(labels)

    def first_step(self, x: np.ndarray, labels: np.ndarray) -> float:
        return float(self._step(tf.constant(x), tf.constant(labels)))

    def train(self, data: tuple[Any, Any]) -> list[float]:
        """One compiled step on each batch, in one call; the losses."""
        return self._steps(*data).numpy().tolist()

    def train_from_python(self, data: tuple[Any, Any]) -> list[float]:
        """The same steps, each called from Python."""
        batches = zip(*(tf.unstack(values) for values in data), strict=True)
        return tf.stack([self._step(*batch) for batch in batches]).numpy().tolist()

    def train_in_xla(self, data: tuple[Any, Any]) -> list[float]:
        """The same steps, with the loop over the batches compiled by XLA, too."""
        return self._steps_in_xla(*data).numpy().tolist()

    def weights(self) -> Weights:
        return {name: variable.numpy() for name, variable in self.variables.items()}


def variants(weights: Weights, method: Method) -> dict[str, Callable[[Any], list[float]]]:
    """Further ways to train a new network, for information."""
    return {
        "a step a call": Network(weights, method).train_from_python,
        "an epoch in XLA": Network(weights, method).train_in_xla,
        "without XLA": Network(weights, method, jit_compile=False).train,
    }


def warm_up() -> None:
    """One thread for a network this small, and the compiler's own start-up."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.function(lambda x: x + 1, jit_compile=True)(tf.zeros(3)).numpy()


def device() -> str | None:
    """The accelerator's name."""
    found = tf.config.list_physical_devices("GPU")
    details = tf.config.experimental.get_device_details(found[0]) if found else {}
    return details.get("device_name", "GPU") if found else None
