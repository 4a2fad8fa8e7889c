#!/usr/bin/env bash
# TensorFlow 2.21.0: inside a `tf.while_loop`, XLA computes `tf.repeat` but not its gradient, even
# where all shapes are known and the number of repetitions is a Python number.
#
# The gradient of `tf.tile` reshapes by its multiples, which `tf.repeat` packs from tensors; a loop
# hands them to its gradient in a list, and what comes out of a list XLA takes for no shape:
# "Input 1 to node ... with op Reshape must be a compile-time constant". So Keras's
# GroupQueryAttention cannot be trained within such a loop. `tf.tile` with a list of numbers can.
#
# Output seen (CPU):
#   repeat, forwards: computed
#   repeat, gradient: InvalidArgumentError
#   tile, forwards: computed
#   tile, gradient: computed
set -euo pipefail
venv=$(mktemp -d)
trap 'rm -rf "$venv"' EXIT
python3 -m venv "$venv"
"$venv/bin/pip" install --quiet tensorflow-cpu==2.21.0
cd "$venv"
TF_CPP_MIN_LOG_LEVEL=3 "$venv/bin/python" - <<'PY'
import tensorflow as tf


def repeated(y):
    return tf.reduce_mean(tf.reshape(tf.repeat(y, 2, axis=1), (5, 4, 2)), -1)


def tiled(y):
    return tf.reduce_mean(tf.tile(y[:, :, None], (1, 1, 2)), -1)


def looped(function, y):
    def goes_on(i, y):
        return i < 3

    def step(i, y):
        return i + 1, function(y)

    return tf.while_loop(goes_on, step, (0, y), maximum_iterations=3)[1]


def gradient(function, y):
    with tf.GradientTape() as tape:
        tape.watch(y)
        value = tf.reduce_sum(looped(function, y) ** 2)
    return tape.gradient(value, y)


def outcome(run, function):
    try:
        tf.function(run, jit_compile=True, autograph=False)(function, tf.ones((5, 4)))
    except tf.errors.InvalidArgumentError as error:
        return type(error).__name__
    return "computed"


found = {}
for name, function in (("repeat", repeated), ("tile", tiled)):
    for what, run in (("forwards", looped), ("gradient", gradient)):
        found[name, what] = outcome(run, function)
        print(f"{name}, {what}: {found[name, what]}")
if list(found.values()) != ["computed", "InvalidArgumentError", "computed", "computed"]:
    raise SystemExit("not as seen with TensorFlow 2.21.0")
PY
