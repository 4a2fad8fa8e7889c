#!/usr/bin/env bash
# keras-tuner 1.4.8, Keras 3.15.1, JAX 0.10.2: `import keras_tuner` fails where nothing else brings six.
#
# keras-tuner imports six, and does not declare it as a dependency (Keras, packaging, requests,
# kt-legacy, grpcio, protobuf). TensorFlow requires six, so that nobody who has TensorFlow sees it; in a
# fresh environment with JAX the import ends in a ModuleNotFoundError, and with six it works.
#
# Output seen:
#   keras-tuner 1.4.8 requires six: False
#   keras_tuner without six: No module named 'six'
#   keras_tuner with six: 1.4.8
set -euo pipefail
venv=$(mktemp -d)
trap 'rm -rf "$venv"' EXIT
python3 -m venv "$venv"
"$venv/bin/pip" install --quiet keras==3.15.1 jax==0.10.2 keras-tuner==1.4.8
cd "$venv"
export KERAS_BACKEND=jax
cat > try.py <<'PY'
try:
    import keras_tuner
    print(keras_tuner.__version__)
except ImportError as error:
    print(error)
PY
declared=$(bin/python -c "import importlib.metadata as m
print(any(r.startswith('six') for r in m.requires('keras-tuner')))")
without=$(bin/python try.py)
bin/pip install --quiet six==1.17.0
with=$(bin/python try.py)
echo "keras-tuner 1.4.8 requires six: $declared"
echo "keras_tuner without six: $without"
echo "keras_tuner with six: $with"
[ "$declared/$without/$with" = "False/No module named 'six'/1.4.8" ]
