"""The contestants of `vector_field.py` in TensorFlow: `tf.function` around a `GradientTape`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from vector_field_cases import Field, Problem
from vector_field_entries import BARE, BY_HAND, KERAS_FIELD, OURS, Entries, Entry

tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)
tf.get_logger().setLevel("ERROR")  # one tf.function per contestant is no mistake

GROUPS = {"XLA": 1.05, "no XLA": 1.05}  # at most so many times as long as written by hand
OTHERS: dict[str, float] = {}
METHODS = ("heun2", "rk4")
PACKAGES = ("tensorflow",)

Solve = Callable[[Sequence[Any], Any], Any]


def gpus() -> list[Any]:
    return tf.config.list_physical_devices("GPU")


def device() -> str:
    found = gpus()
    return tf.config.experimental.get_device_details(found[0])["device_name"] if found else "cpu"


def on_gpu() -> bool:
    return bool(gpus())


def dense(weights: Sequence[Any], y: Any) -> Any:
    W1, b1, W2, b2 = weights
    return tf.tanh(y @ W1 + b1) @ W2 + b2


def conv(weights: Sequence[Any], y: Any) -> Any:
    W1, b1, W2, b2 = weights
    hidden = tf.tanh(tf.nn.bias_add(tf.nn.conv2d(y, W1, 1, "SAME"), b1))
    return tf.nn.bias_add(tf.nn.conv2d(hidden, W2, 1, "SAME"), b2)


FIELDS = {"dense": dense, "conv": conv}


def solver(problem: Problem, integrate: Callable[[Field, Any], Any]) -> Solve:
    """y_end as a function of (weights, y): f written by hand, under a loop over the steps."""
    field = FIELDS[problem.case]

    def solve(weights: Sequence[Any], y: Any) -> Any:
        if not problem.half:
            weights = [tf.convert_to_tensor(w) for w in weights]  # read once
            return integrate(lambda y: field(weights, y), y)
        weights = [tf.cast(w, tf.bfloat16) for w in weights]  # once, not per evaluation

        def f(y: Any) -> Any:
            return tf.cast(field(weights, tf.cast(y, tf.bfloat16)), tf.float32)

        y = tf.cast(tf.cast(y, tf.bfloat16), tf.float32)  # a layer of a mixed policy does it, too
        return tf.cast(integrate(f, y), tf.bfloat16)

    return solve


def looped(steps: int, step: Callable[[Field, Any], Any]) -> Callable[[Field, Any], Any]:
    """The same step so many times in one `tf.while_loop`, which XLA can differentiate."""

    def integrate(f: Field, y: Any) -> Any:
        def body(i: Any, y: Any) -> tuple[Any, Any]:
            return i + 1, step(f, y)

        start = (tf.constant(0), y)
        return tf.while_loop(lambda i, y: i < steps, body, start, maximum_iterations=steps)[1]

    return integrate


def run(solve: Solve, weights: Sequence[Any], problem: Problem, xla: bool) -> Callable[[], Any]:
    @tf.function(jit_compile=xla, autograph=False)
    def value_and_gradient(y: Any) -> tuple[Any, Any, list]:
        with tf.GradientTape() as tape:
            tape.watch(y)
            end = solve(weights, y)
            loss = tf.reduce_mean(tf.square(tf.cast(end, tf.float32)))
        return loss, end, tape.gradient(loss, [*weights, y])

    y = tf.constant(problem.y)

    def computed() -> Any:
        answer = value_and_gradient(y)
        if on_gpu():
            tf.test.experimental.sync_devices()
        return answer

    return computed


def read(answer: Any) -> list[np.ndarray]:
    loss, end, gradients = answer
    return [np.asarray(tf.cast(x, tf.float32)) for x in (loss, end, *gradients)]


def entries(problem: Problem) -> list[Entry]:
    layer, f = problem.layer, problem.layer.layer
    theirs = [variable.value for variable in layer.trainable_variables]
    weights = [tf.Variable(w) for w in problem.weights]

    def keras_field(weights: Sequence[Any], y: Any) -> Any:
        return problem.unrolled(lambda y: tf.cast(f(y), tf.float32), y)

    found = Entries(read)
    for group, xla in {"XLA": True, "no XLA": False}.items():

        def add(role: str, name: str, solve: Solve, own: Sequence[Any] = weights) -> None:
            found.add(role, f"{name}, {group}", run(solve, own, problem, xla), group)  # noqa: B023

        add(OURS, OURS, lambda weights, y: layer(y), theirs)
        add(BY_HAND, "by hand, unrolled", solver(problem, problem.unrolled))
        add(BY_HAND, "by hand, tf.while_loop", solver(problem, looped(problem.steps, problem.step)))
        add(KERAS_FIELD, "f in Keras, unrolled", keras_field, theirs)
        add(BARE, "bare, unrolled", solver(problem, problem.bare))
        bare_loop = looped(problem.steps, problem.bare_step)
        add(BARE, "bare, tf.while_loop", solver(problem, bare_loop))
    return found.found
