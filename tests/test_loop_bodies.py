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
pytest.importorskip("jax.export")
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


@jax.jit
def uniform():
    return jax.lax.rng_uniform(0.0, 1.0, ())


def bits(x, partitionable):
    with jax.threefry_partitionable(partitionable):
        return jax.random.bits(jax.random.key(1), x.shape)


@pytest.mark.parametrize(
    "function, number",
    [
        (lambda x: (x + 1) * (x + 1), 2),
        (lambda x: (-(x * x) + 1) * (-(x * x) + 1), 4),
        (lambda x: (x + 1, x + 2), 2),
        (lambda x: (jnp.sum(x), jnp.max(x)), 2),
        (lambda x: (jnp.sum(x, 0), jnp.sum(x, 1)), 2),
        (lambda x: (x.astype("int16"), x.astype("int8"), x.astype("int16")), 2),
        (lambda x: (jnp.where(x > 0, x, 1), jnp.where(x > 0, x, 1)), 2),
        (lambda x: (bits(x, True), bits(x, True)), None),
        (lambda x: (bits(x, True), bits(x, False)), None),
        (lambda x: printing(printing(x)), 2),
        (lambda x: jax.lax.rng_uniform(0, 9, ()) - jax.lax.rng_uniform(0, 9, ()), 3),
        (lambda x: uniform() - uniform(), 3),
        # gradients pass here: XLA merges them
        (lambda x: (x + 1.0) * (x + 1.0), 4),
        (lambda x: (x / 0.0, x / -0.0), 3),
    ],
)
def test_what_is_equal_is_merged_and_nothing_else(function, number):
    x = np.arange(6, dtype="int32").reshape(2, 3) - 2
    jaxpr = merged(function, x)
    if number is not None:
        assert len(jaxpr.jaxpr.eqns) == number
    values = jax.extend.core.jaxpr_as_fun(jaxpr)(x)
    if "rng_uniform" not in str(jaxpr):
        for value, expected in zip(values, jax.tree.leaves(function(x)), strict=True):
            np.testing.assert_array_equal(value, expected)


def test_a_result_that_nobody_asked_for_is_not_passed_on():
    def two_calls(x):
        value, _ = jax.lax.top_k(x, 1)
        return value + jax.lax.top_k(x, 1)[1]

    x = np.array([3, 1, 2])
    (found,) = jax.extend.core.jaxpr_as_fun(merged(two_calls, x))(x)
    np.testing.assert_array_equal(found, two_calls(x))


@jax.custom_vjp
def clipped(w):
    """w, with a gradient that is no linear function of what it is made of."""
    return w


clipped.defvjp(lambda w: (w, None), lambda _, g: (jnp.clip(g, -0.3, 0.3),))


class Clipped(keras.layers.Layer):
    """tanh(y W), where the gradient of W is clipped at each evaluation, and a call counted."""

    def build(self, shape):
        self.w = self.add_weight((shape[-1], shape[-1]), "glorot_normal")

    def call(self, y):
        return ops.tanh(y @ jax.jit(clipped)(ops.convert_to_tensor(self.w)))


def test_gradients_of_equal_calls_are_their_own():
    stack = RKStack(Clipped(), 20, "rk4", 0.5)
    y = normal(4, 3)
    stack.build(y.shape)
    (w,) = stack.trainable_weights
    blocks = stack.unstack()

    def loss(w, y):
        return ops.sum(stack.stateless_call([w], [], y)[0] ** 2)

    def loss_of_blocks(weights, y):
        for block, w in zip(blocks, weights, strict=True):
            y = block.stateless_call([w], [], y)[0]
        return ops.sum(y**2)

    found = jax.jit(jax.grad(loss))(w.value, y)
    single = [block.trainable_weights[0].value for block in blocks]
    expected = jax.jit(jax.grad(loss_of_blocks))(single, y)
    np.testing.assert_allclose(found, np.stack(expected), rtol=1e-4, atol=1e-5)
    assert np.max(np.abs(found)) > 0.31  # more than one evaluation clips to


def test_batches_of_an_unknown_size():
    layer = RKResidual(noisy(), "heun2", steps=20)
    layer.build((None, 3))
    weights = [
        [v.value for v in part] for part in (layer.trainable_weights, layer.non_trainable_variables)
    ]

    def value(y):
        return layer.stateless_call(*weights, y, training=True)[0]

    (b,) = jax.export.symbolic_shape("b")
    exported = jax.export.export(jax.jit(value))(jax.ShapeDtypeStruct((b, 3), "float32"))
    y = normal(5, 3)
    np.testing.assert_allclose(exported.call(y), jax.jit(value)(y), rtol=1e-5)
