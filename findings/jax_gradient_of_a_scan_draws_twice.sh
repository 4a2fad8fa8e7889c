#!/usr/bin/env bash
# JAX 0.10.2 (CPU): the gradient of `lax.scan` draws equal random numbers twice.
#
# The body of a loop applies dropout to two values with the same key. XLA draws their mask once where
# the loop is run, and once for each block where the blocks are written out, with a gradient or
# without. In the gradient of the loop it draws twice: differentiating gives each of the two calls a
# function of its own, and on a CPU drawing is a loop, of which XLA merges no two.
#
# Output seen (how often the compiled program draws):
#   lax.scan: 1
#   gradient of lax.scan: 2
#   8 blocks written out: 8
#   gradient of 8 blocks written out: 8
set -euo pipefail
venv=$(mktemp -d)
trap 'rm -rf "$venv"' EXIT
python3 -m venv "$venv"
"$venv/bin/pip" install --quiet jax==0.10.2 jaxlib==0.10.2
cd "$venv"
JAX_PLATFORMS=cpu "$venv/bin/python" - <<'PY'
import jax
from jax import numpy as jnp

keys = jax.random.split(jax.random.PRNGKey(0), 8)
y = jnp.ones((64, 64))


def dropout(y, key):
    return jnp.where(jax.random.bernoulli(key, 0.9, y.shape), y / 0.9, 0.0)


def block(y, key):
    """A step of Heun's method with the same mask at both stages."""
    k1 = jnp.tanh(dropout(y, key))
    k2 = jnp.tanh(dropout(y + k1, key))
    return y + (k1 + k2) / 2, None


def loop(y):
    return jnp.sum(jax.lax.scan(block, y, keys)[0])


def written_out(y):
    for key in keys:
        y, _ = block(y, key)
    return jnp.sum(y)


def draws(function, loops):
    """How many loops there are but for those of the blocks."""
    return jax.jit(function).lower(y).compile().as_text().count(" while(") - loops


found = {
    "lax.scan": draws(loop, 1),
    "gradient of lax.scan": draws(jax.grad(loop), 2),
    "8 blocks written out": draws(written_out, 0),
    "gradient of 8 blocks written out": draws(jax.grad(written_out), 0),
}
for name, number in found.items():
    print(f"{name}: {number}")
if list(found.values()) != [1, 2, 8, 8]:
    raise SystemExit("not as seen with JAX 0.10.2")
PY
