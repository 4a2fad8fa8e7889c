#!/usr/bin/env bash
# TensorFlow 2.21.0, Keras 3.15.1: LiteRT export fails for Dense after Dense on one channel.
#
# Two `Dense` layers on sequences, (batch, length, 1) -> (batch, length, 4) -> (batch, length, 4),
# export to LiteRT for any size of the batch, and for two channels, but not for one channel and a
# batch of one given size: the converter raises, with an error of a product
# that does not broadcast ('tfl.mul' op result type '4x3x4' not broadcast compatible with broadcasted
# operands's shapes '4x3x16'). The same happens with attention after such a layer.
#
# Output seen (CPU):
#   channels 1, batch None: exported
#   channels 1, batch 4: ConverterError
#   channels 2, batch None: exported
#   channels 2, batch 4: exported
set -euo pipefail
venv=$(mktemp -d)
trap 'rm -rf "$venv"' EXIT
python3 -m venv "$venv"
"$venv/bin/pip" install --quiet keras==3.15.1 tensorflow-cpu==2.21.0
cd "$venv"
KERAS_BACKEND=tensorflow TF_CPP_MIN_LOG_LEVEL=3 "$venv/bin/python" - <<'PY'
import keras
import numpy as np

failed = []
for channels in (1, 2):
    y = keras.Input((3, channels))
    model = keras.Model(y, keras.layers.Dense(4)(keras.layers.Dense(4)(y)))
    model(np.ones((4, 3, channels), "float32"))
    for batch in (None, 4):
        signature = [keras.InputSpec(shape=(batch, 3, channels), dtype="float32")]
        try:
            model.export("m.tflite", format="litert", verbose=False, input_signature=signature)
            result = "exported"
        except Exception as error:
            result = type(error).__name__
            failed.append((channels, batch))
        print(f"channels {channels}, batch {batch}: {result}")
if failed != [(1, 4)]:
    raise SystemExit("not as seen with TensorFlow 2.21.0")
PY
