#!/usr/bin/env bash
# Keras 3.15.1 on PyTorch 2.13.0: `fit` may call a layer with tensors of ones that nobody gave.
#
# For metrics that are not built, `fit` asks the model for the shape of its output, on PyTorch's meta
# device. `keras.ops.split` at given places cannot run there, though the shapes do not depend on any
# value; Keras then runs the whole model on real tensors of ones before the first step.
# A layer that checks what it is given (times that increase, probabilities, indices) sees values that
# are not in the data. Slices in the place of `split` run on the meta device.
#
# Output seen (CPU):
#   slices: values seen [[0. 1.]]
#   split: values seen [[1. 1.]]
set -euo pipefail
venv=$(mktemp -d)
trap 'rm -rf "$venv"' EXIT
python3 -m venv "$venv"
"$venv/bin/pip" install --quiet keras==3.15.1 torch==2.13.0
cd "$venv"
KERAS_BACKEND=torch "$venv/bin/python" - <<'PY'
import keras
import numpy as np


class Seen(keras.layers.Layer):
    """y with the order of its halves changed; keeps the first row of the first values it is given."""

    first = None

    def __init__(self, splits):
        super().__init__()
        self.splits = splits

    def call(self, y):
        if self.first is None and not y.is_meta:
            self.first = keras.ops.convert_to_numpy(y[:1])
        one, other = keras.ops.split(y, [1], axis=-1) if self.splits else (y[:, :1], y[:, 1:])
        return keras.ops.concatenate([other, one], axis=-1)


found = {}
for name in ("slices", "split"):
    layer = Seen(name == "split")
    model = keras.Sequential([keras.Input((2,)), layer, keras.layers.Dense(1)])
    layer.first = None
    model.compile("sgd", "mse")
    model.fit(np.tile([0.0, 1.0], (4, 1)), np.zeros((4, 1)), verbose=0)
    found[name] = layer.first.tolist()
    print(f"{name}: values seen {layer.first}")
if found != {"slices": [[0.0, 1.0]], "split": [[1.0, 1.0]]}:
    raise SystemExit("not as seen with Keras 3.15.1 on PyTorch 2.13.0")
PY
