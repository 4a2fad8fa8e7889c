#!/usr/bin/env bash
# TensorFlow 2.21.0: in a graph, tf.nn.conv3d takes dilations that differ for those of other dimensions.
#
# A kernel of (1, 2, 1) with dilations (1, 2, 1) makes (9, 9, 9) into (9, 7, 9). The graph says
# (9, 8, 9), XLA computes (9, 7, 9); and with a kernel of (3, 2, 3) the graph refuses images of
# (4, 5, 4), for which there is a result. Output seen:
#
#   tensorflow 2.21.0
#   static shape (1, 9, 8, 9, 1), computed (1, 9, 7, 9, 1)
#   ValueError: Negative dimension size caused by subtracting 5 from 4
#
# What we do: kernels of 3D convolutions are dilated by hand where a loop is rewritten.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tensorflow-cpu==2.21.0
TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" - <<'PYTHON'
import sys

import tensorflow as tf


@tf.function(jit_compile=True)
def convolved(x, w):
    return tf.nn.conv3d(x, w, (1, 1, 1, 1, 1), "VALID", dilations=(1, 1, 2, 1, 1))


print("tensorflow", tf.__version__)
x, w = tf.zeros((1, 9, 9, 9, 1)), tf.zeros((1, 2, 1, 1, 1))
static = tuple(convolved.get_concrete_function(x, w).output_shapes)
computed = tuple(convolved(x, w).shape)
print(f"static shape {static}, computed {computed}")
try:
    convolved(tf.zeros((1, 4, 5, 4, 1)), tf.zeros((3, 2, 3, 1, 1)))
    refused = ""
except ValueError as error:
    refused = str(error).split("ValueError: ")[-1].split(" for '")[0]
print("ValueError:", refused)
sys.exit(not (static != computed and refused))
PYTHON
