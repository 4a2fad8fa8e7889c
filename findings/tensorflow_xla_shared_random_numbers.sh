#!/usr/bin/env bash
# TensorFlow 2.21.0, XLA on a CPU: in a loop, random numbers that are drawn once and used twice are
# computed more often than when they are drawn twice, from the same seed.
#
# The body of a `tf.while_loop` applies dropout twice with one mask. If each use draws the mask for
# itself, the compiled gradient multiplies 40 times for drawing (two multiplications in each of ten
# rounds of Philox, two numbers at a time); if the body draws it once and keeps it in a variable, 78
# times: XLA fuses the drawing into each place that uses the mask. The program got slower, too.
#
# Output seen (the times are those of one machine; they are printed, not judged):
#   drawn for each use: 40 multiplications
#   drawn once: 78 multiplications
#   a step of "drawn once" takes 1.5 times as long
#
# What we do: on TensorFlow, stages that share their random numbers draw them each for itself.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tensorflow-cpu==2.21.0
TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" - <<'PYTHON'
import re
import statistics
import sys
import time

import tensorflow as tf

steps, shape = 8, (8, 64, 64)
weights = tf.random.normal((steps, 64, 64)) / 8
seeds = tf.random.uniform((steps, 2), maxval=10000, dtype=tf.int32)
y = tf.random.normal(shape)


def gradient_of_a_loop(draws_once):
    def mask(i):
        return tf.random.stateless_uniform(shape, seeds[i]) >= 0.1

    def body(i, y):
        first = mask(i)
        k1 = tf.where(first, y / 0.9, 0.0) @ weights[i]
        second = first if draws_once else mask(i)
        k2 = tf.where(second, (y + k1) / 0.9, 0.0) @ weights[i]
        return i + 1, y + 0.1 * (k1 + k2)

    @tf.function(jit_compile=True)
    def gradient(y):
        with tf.GradientTape() as tape:
            tape.watch(y)
            _, last = tf.while_loop(lambda i, y: i < steps, body, (0, y), maximum_iterations=steps)
            value = tf.reduce_sum(last**2)
        return tape.gradient(value, y)

    return gradient


def multiplications(function):
    program = function.experimental_get_compiler_ir(y)(stage="optimized_hlo")
    return len(re.findall(r"= u64\S* multiply\(", program))


def seconds(function):
    start = time.perf_counter()
    for _ in range(20):
        result = function(y)
    result.numpy()
    return time.perf_counter() - start


functions = {"drawn for each use": False, "drawn once": True}
functions = {name: gradient_of_a_loop(once) for name, once in functions.items()}
each, once = functions.values()
if float(tf.reduce_max(tf.abs(each(y) - once(y)))) > 1e-3:
    sys.exit("the gradients differ")
found = {name: multiplications(function) for name, function in functions.items()}
for name, number in found.items():
    print(f"{name}: {number} multiplications")
ratio = statistics.median(seconds(once) / seconds(each) for _ in range(9))
print(f'a step of "drawn once" takes {ratio:.1f} times as long')
if found["drawn once"] <= found["drawn for each use"]:
    sys.exit("not as seen with TensorFlow 2.21.0")
PYTHON
