"""What a body of a loop computes twice, JAX computes once.

Keras 3.15.1 on JAX 0.10.2: all stages of a step draw the same random numbers, each stage by itself,
and in a loop on a CPU XLA does not find out that they are equal, as it does without a loop.
"""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rk.layers import RKResidual, RKStack
from tests.keras_helpers import BACKEND, normal

jax = pytest.importorskip("jax")
jnp = jax.numpy
pytestmark = pytest.mark.skipif(BACKEND != "jax", reason="bodies of JAX's loops")


def noisy():
    return keras.Sequential([keras.layers.Dropout(0.5, seed=1), keras.layers.Dense(3)])


@pytest.mark.parametrize("method", ["euler", "heun2", "rk4"])
@pytest.mark.parametrize("kind", ["blocks", "steps"])
def test_all_stages_share_random_numbers(kind, method):
    if kind == "blocks":
        layer = RKStack(noisy(), 20, method)
    else:
        layer = RKResidual(noisy(), method, steps=20)
    y = normal(2, 3)
    layer(y)  # builds it

    def loss(y):
        return ops.sum(layer(y, training=True) ** 2)

    program = jax.jit(jax.grad(loss)).lower(y).compile().as_text()
    assert program.count(" while(") == 3  # both passes, and one that draws


def test_loops_and_blocks_drop_the_same():
    stack = RKStack(noisy(), 20, "rk4", 0.1)
    y = normal(2, 3)
    stack.build(y.shape)
    blocks = stack.unstack()

    def gradient(layers):
        def loss(y):
            for layer in layers:
                y = layer(y, training=True)
            return ops.sum(y**2)

        return jax.jit(jax.value_and_grad(loss))(y)

    for ours, by_hand in zip(gradient([stack]), gradient(blocks), strict=True):
        np.testing.assert_allclose(ours, by_hand, rtol=1e-5, atol=1e-6)


def merged(function, *arguments):
    from keras_rk.loops.jax_bodies import merged

    return merged(jax.make_jaxpr(function)(*arguments))


def printing(x):
    jax.debug.print("once and again")
    return x


def unused(x):
    value, _ = jax.lax.top_k(x, 1)
    return value + jax.lax.top_k(x, 1)[1]


@pytest.mark.parametrize(
    "function, number",
    [
        (lambda x: (x + 1.0) * (x + 1.0), 2),
        (lambda x: (jnp.sin(x) + 1.0) * (jnp.sin(x) + 1.0), 3),
        (lambda x: (x + 1.0, x + 2.0), 2),
        (lambda x: (x / 0.0, x / -0.0), 2),  # different infinities
        (lambda x: (jnp.sum(x), jnp.max(x)), 2),
        (lambda x: (jnp.sum(x, 0), jnp.sum(x, 1)), 2),
        (lambda x: (x.astype("int32"), x.astype("int8"), x.astype("int32")), 2),
        (
            lambda x: jax.lax.rng_uniform(0.0, x[0, 0], ()) - jax.lax.rng_uniform(0.0, x[0, 0], ()),
            3,
        ),
        (lambda x: printing(printing(x)), 2),
        (lambda x: (jnp.where(x > 0, x, 1.0), jnp.where(x > 0, x, 1.0)), 2),
        (lambda x: (jax.random.bits(jax.random.key(1)), jax.random.bits(jax.random.key(1))), None),
    ],
)
def test_what_is_equal_is_merged_and_nothing_else(function, number):
    x = np.arange(6.0, dtype="float32").reshape(2, 3) - 2
    jaxpr = merged(function, x)
    operations = [e for e in jaxpr.jaxpr.eqns if e.primitive.name not in ("slice", "squeeze")]
    if number is not None:
        assert len(operations) == number
    values = jax.extend.core.jaxpr_as_fun(jaxpr)(x)
    if not any("rng" in e.primitive.name for e in operations):
        for value, expected in zip(values, jax.tree.leaves(function(x)), strict=True):
            np.testing.assert_array_equal(value, expected)


def test_a_result_that_nobody_asked_for_is_not_passed_on():
    x = np.array([3.0, 1.0, 2.0], "float32")
    values = jax.extend.core.jaxpr_as_fun(merged(unused, x))(x)
    np.testing.assert_array_equal(values[0], unused(x))
