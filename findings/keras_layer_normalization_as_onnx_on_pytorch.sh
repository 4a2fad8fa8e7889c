#!/usr/bin/env bash
# Keras 3.15.1 on PyTorch 2.13.0: a model with LayerNormalization does not export to ONNX.
#
# `keras.layers.LayerNormalization` alone, (batch, 3, 4) -> (batch, 3, 4), makes `model.export(...,
# format="onnx")` raise: the exporter wants the size of the last axis as a constant and finds it
# computed. Keras's BatchNormalization, Dense and MultiHeadAttention export from the same program.
#
# Output seen (CPU):
#   Dense: exported
#   BatchNormalization: exported
#   LayerNormalization: SymbolicValueError
set -euo pipefail
venv=$(mktemp -d)
trap 'rm -rf "$venv"' EXIT
python3 -m venv "$venv"
"$venv/bin/pip" install --quiet keras==3.15.1 torch==2.13.0 onnx==1.23.2 onnxscript==0.7.2
cd "$venv"
KERAS_BACKEND=torch "$venv/bin/python" - <<'PY'
import keras
import numpy as np

failed = []
for layer in (
    keras.layers.Dense(4),
    keras.layers.BatchNormalization(),
    keras.layers.LayerNormalization(),
):
    model = keras.Sequential([keras.Input((3, 4)), layer])
    model(np.ones((2, 3, 4), "float32"))
    try:
        model.export("model.onnx", format="onnx", verbose=False)
        result = "exported"
    except Exception as error:
        result = type(error).__name__
        failed.append(type(layer).__name__)
    print(f"{type(layer).__name__}: {result}")
if failed != ["LayerNormalization"]:
    raise SystemExit("not as seen with Keras 3.15.1 on PyTorch 2.13.0")
PY
