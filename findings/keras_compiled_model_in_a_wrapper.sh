#!/usr/bin/env bash
# Keras 3.15.1, all backends: a model with metrics of its own (`compile(..., metrics=[...])`) cannot
# be used inside a `Wrapper` or any other layer: `fit` of the model around it ends in
# "Cannot get result() since the metric has not yet been built". Inside another model it can, since
# Keras leaves out the metrics of models in models, though not of models in other layers.
#
# Output seen (keras 3.15.1, jax 0.10.2, CPU):
#   in a Sequential: loss 0.0000
#   in TimeDistributed: ValueError: Cannot get result() since the metric has not yet been built.
set -euo pipefail
venv=$(mktemp -d)
trap 'rm -rf "$venv"' EXIT
python3 -m venv "$venv"
"$venv/bin/pip" install --quiet keras==3.15.1 "jax[cpu]==0.10.2"
KERAS_BACKEND=jax "$venv/bin/python" - <<'PY'
import keras
import numpy as np


def pretrained(shape):
    model = keras.Sequential([keras.Input(shape), keras.layers.Dense(2)])
    model.compile("sgd", "mse", metrics=["mae"])
    return model


def fitted(layer):
    model = keras.Sequential([keras.Input((3, 2)), layer])
    model.compile("sgd", "mse")
    return model.fit(np.zeros((1, 3, 2)), np.zeros((1, 3, 2)), verbose=0).history["loss"][0]


print("keras", keras.__version__)
print(f"in a Sequential: loss {fitted(keras.Sequential([pretrained((3, 2))])):.4f}")
try:
    fitted(keras.layers.TimeDistributed(pretrained((2,))))
except ValueError as error:
    print(f"in TimeDistributed: ValueError: {error}")
    assert "has not yet been built" in str(error)
else:
    raise SystemExit("the behaviour has changed")
PY
