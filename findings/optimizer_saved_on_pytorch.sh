#!/usr/bin/env bash
# A model compiled and saved on PyTorch cannot be trained further on another backend, and without
# PyTorch it cannot be loaded. Keras 3.15.1, torch 2.13.0, JAX 0.10.2, TensorFlow 2.21.0.
#
# On PyTorch, `keras.optimizers.Adam(...)` returns an object of a subclass that computes with
# tensors of PyTorch. `model.save` writes that class, `keras.src.backend.torch.optimizers...Adam`,
# into the file, so `load_model` makes the same one on every backend: where torch is installed,
# predict works and fit raises from inside torch; where it is not, loading raises. Files saved on
# JAX or TensorFlow name `keras.optimizers.Adam` and train everywhere. `load_model(compile=False)`
# and a fresh compile mend it; so does `custom_objects={"Adam": keras.optimizers.Adam}`, which keeps
# the state of the optimizer.
#
# Output seen:
#   torch saves keras.src.backend.torch.optimizers.torch_adam.Adam
#   jax saves keras.optimizers.Adam
#   tensorflow saves keras.optimizers.Adam
#   torch -> torch: fit works
#   torch -> jax: fit fails: TypeError: expected Tensor as element 0 in argument 0, but got jaxlib._jax.ArrayImpl
#   torch -> tensorflow: fit fails: TypeError: expected Tensor as element 0 in argument 0, but got ResourceVariable
#   jax -> torch, jax -> jax, jax -> tensorflow: fit works
#   tensorflow -> torch, tensorflow -> jax, tensorflow -> tensorflow: fit works
#   torch -> jax without torch: load fails: TypeError: Could not deserialize class 'Adam' because its parent module ...
#   compiled afresh: fit works in all of them
#   with custom_objects: fit works in all of them, after 1 step
#
# Exits with 1 if any of that has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet keras==3.15.1 torch==2.13.0 jax==0.10.2 tensorflow-cpu==2.21.0
export TF_CPP_MIN_LOG_LEVEL=3

cat >"$folder/save.py" <<'PYTHON'
import json
import sys
import zipfile

import keras
import numpy as np

x = np.ones((8, 4), "float32")
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])
model.compile("adam", "mse")
model.fit(x, x, verbose=0)
model.save(sys.argv[1])
with zipfile.ZipFile(sys.argv[1]) as archive:
    saved = json.loads(archive.read("config.json"))["compile_config"]["optimizer"]
print(keras.backend.backend(), "saves", saved["module"] + "." + saved["class_name"])
PYTHON

cat >"$folder/load.py" <<'PYTHON'
import sys

if "without-torch" in sys.argv:
    sys.modules["torch"] = None  # importing it fails, as where it is not installed

import keras
import numpy as np

x = np.ones((8, 4), "float32")


def outcome(**options):
    try:
        model = keras.models.load_model(sys.argv[1], **options)
    except Exception as error:
        return f"load fails: {type(error).__name__}: {str(error)[:75]}"
    model.predict(x, verbose=0)
    if not options.get("compile", True):
        model.compile("adam", "mse")
    steps = int(model.optimizer.iterations)
    try:
        model.fit(x, x, verbose=0)
    except Exception as error:
        return f"fit fails: {type(error).__name__}: {str(error)[:75]}"
    return f"fit works after {steps}"


print("as saved:", outcome())
print("compiled afresh:", outcome(compile=False))
print("custom_objects:", outcome(custom_objects={"Adam": keras.optimizers.Adam}))
PYTHON

run() { KERAS_BACKEND=$1 "$folder/venv/bin/python" "${@:2}" 2>/dev/null; }
changed=0
expect() { # what was printed, what is expected
    case $1 in *"$2"*) ;; *) echo "CHANGED: expected '$2'" && changed=1 ;; esac
}

"$folder/venv/bin/python" -c 'import importlib.metadata as m
print(*(f"{name} {m.version(name)}" for name in ("keras", "torch", "jax", "tensorflow-cpu")), sep=", ")'
for saver in torch jax tensorflow; do
    line=$(run "$saver" "$folder/save.py" "$folder/$saver.keras")
    echo "$line"
    module=keras.optimizers.Adam
    if [ "$saver" = torch ]; then module=keras.src.backend.torch.optimizers.torch_adam.Adam; fi
    expect "$line" "$saver saves $module"
done
for saver in torch jax tensorflow; do
    for loader in torch jax tensorflow; do
        found=$(run "$loader" "$folder/load.py" "$folder/$saver.keras")
        printf '%s -> %s\n%s\n' "$saver" "$loader" "$found"
        wanted="as saved: fit works after 1"
        if [ "$saver" = torch ] && [ "$loader" != torch ]; then
            wanted="as saved: fit fails: TypeError: expected Tensor as element 0"
        fi
        expect "$found" "$wanted"
        expect "$found" "compiled afresh: fit works after 0"
        expect "$found" "custom_objects: fit works after 1"
    done
done
found=$(run jax "$folder/load.py" "$folder/torch.keras" without-torch)
printf 'torch -> jax without torch\n%s\n' "$found"
expect "$found" "as saved: load fails: TypeError: Could not deserialize class 'Adam'"
expect "$found" "compiled afresh: fit works after 0"
expect "$found" "custom_objects: fit works after 1"
exit "$changed"
