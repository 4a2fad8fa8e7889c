#!/usr/bin/env bash
# Keras 3.15.1, all backends: a float8 layer that a model calls twice counts its ranges twice.
#
# `overwrite_with_gradient`: a float8 layer hands its next scales and ranges (amax) on as the
# gradients of the variables that hold them, and the optimizer assigns these. Where the layer is
# called more than once, automatic differentiation adds its gradients up, so these, too: a kernel
# of ones has the range 2 after two calls, 3 after three. The scale doubles as well, and is then
# read as twice too large; in the next step what is added has grown again. (Where Keras accumulates
# the gradients of several batches it takes the largest instead.)
#
# Output seen (keras 3.15.1, jax 0.10.2, CPU):
#   1 call:  range of a kernel of ones 1.0, scale after three steps 0.002232
#   2 calls: range of a kernel of ones 2.0, scale after three steps 0.017857
set -euo pipefail
venv=$(mktemp -d)
trap 'rm -rf "$venv"' EXIT
python3 -m venv "$venv"
"$venv/bin/pip" install --quiet keras==3.15.1 "jax[cpu]==0.10.2"
KERAS_BACKEND=jax "$venv/bin/python" - <<'PY'
import keras
import numpy as np


def trained(calls):
    layer = keras.layers.Dense(2, kernel_initializer="ones", dtype="float8_from_float32")
    y = x = keras.Input((2,))
    for _ in range(calls):
        y = layer(y)
    model = keras.Model(x, y)
    model.compile(keras.optimizers.SGD(0.0), "mse")
    ranges = []
    for _ in range(3):
        model.fit(np.ones((1, 2)), np.ones((1, 2)), verbose=0)
        ranges.append(float(np.max(layer.kernel_amax_history)))
    scale = float(keras.ops.convert_to_numpy(layer.kernel_scale))
    name = f"{calls} call: " if calls == 1 else f"{calls} calls:"
    print(f"{name} range of a kernel of ones {ranges[0]:.1f}, scale after three steps {scale:.6f}")
    return ranges[0], scale


print("keras", keras.__version__)
(once, scale), (twice, other) = trained(1), trained(2)
assert once == 1 and twice == 2 and other > 1.5 * scale, "the behaviour has changed"
PY
