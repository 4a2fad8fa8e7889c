#!/usr/bin/env bash
# Keras 3.15.1, all backends: the second attention to one context attends to its padding.
#
# `MultiHeadAttention.call` takes the masks off the tensors that it is given, those of its caller,
# and does not put them back. So of two layers that attend to the same embedding, as the blocks of a
# decoder do to what an encoder returns, only the first leaves out what `mask_zero=True` masks; from
# the second on, the result depends on the vector that stands for padding. The same holds for one
# layer called twice. `GroupQueryAttention` leaves masks where they are.
#
# Output seen (keras 3.15.1, jax 0.10.2, CPU): by how much the result changes with the padding
#   MultiHeadAttention:  1 layer 0.0000, 2 layers 8.8841
#   GroupQueryAttention: 1 layer 0.0000, 2 layers 0.0000
set -euo pipefail
venv=$(mktemp -d)
trap 'rm -rf "$venv"' EXIT
python3 -m venv "$venv"
"$venv/bin/pip" install --quiet keras==3.15.1 "jax[cpu]==0.10.2"
KERAS_BACKEND=jax "$venv/bin/python" - <<'PY'
import keras
import numpy as np

keras.utils.set_random_seed(0)


def change(attention, count):
    """The largest change of the result where the vector of the padding becomes another one."""
    y, words = keras.Input((4, 3)), keras.Input((4,), dtype="int32")
    embedding = keras.layers.Embedding(5, 3, mask_zero=True)
    context, out = embedding(words), y
    for _ in range(count):
        out = out + attention()(out, context)
    model = keras.Model([y, words], out)
    weights, found = np.random.default_rng(0).normal(size=(5, 3)), []
    for padding in (0.0, 5.0):
        weights[0] = padding
        embedding.set_weights([weights])
        inputs = np.ones((2, 4, 3), "float32"), np.array([[1, 2, 0, 0], [3, 4, 0, 0]])
        found.append(model.predict(inputs, verbose=0))
    return float(np.max(np.abs(found[0] - found[1])))


attentions = {
    "MultiHeadAttention": lambda: keras.layers.MultiHeadAttention(1, 3),
    "GroupQueryAttention": lambda: keras.layers.GroupQueryAttention(3, 1, 1),
}
changes = {name: [change(make, n) for n in (1, 2)] for name, make in attentions.items()}
print("keras", keras.__version__)
for name, (one, two) in changes.items():
    print(f"{name + ':':20} 1 layer {one:.4f}, 2 layers {two:.4f}")
(one, two), others = changes["MultiHeadAttention"], changes["GroupQueryAttention"]
if not (one < 1e-4 < 1e-1 < two and max(others) < 1e-4):
    raise SystemExit("Keras behaves otherwise now.")
PY
