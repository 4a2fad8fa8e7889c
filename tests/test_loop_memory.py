"""What a compiled loop keeps for its backward pass: what is expensive to compute again.

JAX 0.10.2, and Keras 3.15.1 on it, keep each value that a gradient needs, in an array with a row
for each iteration; TensorFlow and PyTorch are tested in test_remat.py.
"""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rk.layers import RKResidual, RKStack
from tests.keras_helpers import BACKEND, normal

jax = pytest.importorskip("jax")
pytestmark = pytest.mark.skipif(BACKEND != "jax", reason="what JAX's loops keep")
SHAPE = (4, 6, 6, 8)
K = keras.layers


@pytest.fixture(autouse=True)
def weighed(monkeypatch):
    """All loops, however small, weigh what they keep."""
    from keras_rk.loops import jax_loops

    monkeypatch.setattr(jax_loops, "SMALL", 0)


class Checkpointed(K.Layer):
    """tanh(sin(tanh(y))), which decides for itself that nothing of it is kept."""

    def call(self, y):
        return jax.checkpoint(lambda y: ops.tanh(ops.sin(ops.tanh(y))))(y)


class Calling(K.Layer):
    """Calls back into Python: an effect, which `jax.checkpoint` refuses in gradients."""

    def call(self, y):
        from jax.experimental import io_callback

        io_callback(lambda _: None, None, jax.lax.stop_gradient(y[0, 0, 0, 0]))
        return ops.tanh(y)


def kept(layer):
    """How many arrays as large as y each iteration of a layer's loop keeps."""
    layer.build((None, *SHAPE[1:]))
    weights = [variable.value for variable in layer.trainable_variables]
    state = [variable.value for variable in layer.non_trainable_variables]

    def loss(weights, y):
        return ops.sum(layer.stateless_call(weights, state, y, training=True)[0] ** 2)

    jaxpr = jax.make_jaxpr(jax.grad(loss, (0, 1)))(weights, normal(*SHAPE))
    forwards = next(e for e in jaxpr.jaxpr.eqns if e.primitive.name == "scan")
    length = forwards.params["length"]
    stacked = [value.aval for value in forwards.outvars if value.aval.shape[:1] == (length,)]
    return sum(x.size * x.dtype.itemsize for x in stacked) / length / (4 * np.prod(SHAPE))


@pytest.mark.parametrize(
    "f, method, number",
    [
        (K.BatchNormalization, "euler", 1),  # y; and moments, which are small
        (lambda: K.GroupNormalization(2), "euler", 1),
        (lambda: K.GroupNormalization(2), "rk4", 1),  # what stages are made of follows from moments
        (lambda: K.PReLU(shared_axes=(1, 2)), "rk4", 3),  # y, and eight masks of a byte each
        (lambda: K.Dense(8), "heun2", 2),  # where both stages are evaluated
        (lambda: K.Dense(8, activation="relu"), "heun2", 2.5),  # y, a product, and two masks
        (lambda: K.Dense(8, activation="tanh"), "heun2", 3),  # y and tanh; products are not needed
        (lambda: K.Conv2D(8, 3, padding="same", activation="relu"), "heun2", 2.5),
    ],
)
def test_only_what_is_expensive_is_kept(f, method, number):
    assert number <= kept(RKStack(f(), 50, method)) < number + 0.3


def test_fewer_than_jax_by_itself_keeps(monkeypatch):
    from keras_rk.loops import jax_loops

    monkeypatch.setattr(jax_loops, "may_compute_again", lambda jaxpr: False)
    assert kept(RKStack(K.GroupNormalization(2), 50, "rk4")) > 8


@pytest.mark.parametrize("small", [True, False])
def test_small_loops_keep_what_jax_keeps(monkeypatch, small):
    from keras_rk.loops import jax_loops

    monkeypatch.setattr(jax_loops, "SMALL", 2**24 if small else 2**20)
    assert (kept(RKStack(K.GroupNormalization(2), 50, "rk4")) > 8) == small


@pytest.mark.parametrize("layer", [RKStack, RKResidual])
def test_what_f_says_about_its_memory_holds(layer):
    size = {"depth": 50} if layer is RKStack else {"steps": 50}
    assert kept(layer(Checkpointed(), tableau="euler", **size)) == 1


@pytest.mark.parametrize("remat", ["step", "stage"])
def test_what_the_layer_says_about_its_memory_holds(remat):
    f = K.Dense(8, activation="tanh")
    assert kept(RKResidual(f, "rk4", steps=50, remat=remat)) == {"step": 1, "stage": 4}[remat]


class Maximum(K.Layer):
    """The maximum over channels of something that XLA may round in one way or another, less y."""

    def build(self, input_shape):
        self.mixing = K.Dense(input_shape[-1], kernel_initializer="glorot_normal")
        self.mixing.build(input_shape)

    def call(self, y):
        mixed = self.mixing(y) * 0.9 + 0.1 * y
        return {"max": ops.max, "min": ops.min}[self.name](mixed, -1, keepdims=True) - y


@pytest.mark.parametrize("name", ["max", "min"])
@pytest.mark.parametrize("method", ["euler", "rk4"])
def test_a_maximum_is_where_it_was(name, method):
    """Its gradient compares, and XLA may round differently what is computed a second time.

    JAX 0.10.2, `findings/jax_checkpoint_of_a_maximum.sh`: no error, a part of the gradient is lost.
    """
    keras.utils.set_random_seed(0)
    layer = RKResidual(Maximum(name=name), method, "1/30", steps=30)
    y = normal(4, 6, 6, 8)
    layer(y)

    def gradient(y):
        return jax.grad(lambda y: ops.sum(layer(y) ** 2))(y)

    by_hand = gradient(ops.convert_to_tensor(y))  # outside of `jit`: no loop of JAX
    np.testing.assert_allclose(jax.jit(gradient)(y), by_hand, rtol=1e-3, atol=1e-4)


def test_integers_are_not_made_again_of_floats():
    """Places in a table: a number that is rounded in another way would be another place."""
    from jax import lax

    from keras_rk.loops.jax_loops import is_kept

    def asked(dtype):
        (equation,) = jax.make_jaxpr(lambda x: lax.convert_element_type(x, dtype))(0.5).eqns
        return is_kept(equation.primitive, **equation.params)

    assert [asked(dtype) for dtype in ("int32", "bool", "bfloat16")] == [True, True, False]


def test_fields_with_effects_have_gradients():
    def gradient(f):
        layer = RKResidual(f, "heun2", steps=20)
        return jax.jit(jax.grad(lambda y: ops.sum(layer(y))))(normal(*SHAPE))

    np.testing.assert_allclose(gradient(Calling()), gradient(K.Activation("tanh")), rtol=1e-6)


class Halving(K.Layer):
    """y / 2 until it is small: a loop that only has derivatives forwards."""

    def call(self, y):
        return jax.lax.while_loop(lambda y: ops.any(ops.abs(y) > 1), lambda y: y / 2, y)


class Outside(K.Layer):
    """tanh(y) by NumPy, which has no derivatives at all."""

    def call(self, y):
        return jax.pure_callback(np.tanh, jax.ShapeDtypeStruct(y.shape, y.dtype), y)


class Solving(K.Layer):
    """x with 3 x = y, solved as a system: an operation whose parameters have names."""

    def call(self, y):
        return jax.numpy.linalg.solve(3 * jax.numpy.eye(y.shape[-1]), y.T).T


@pytest.mark.parametrize("f", [Halving, Outside, Solving])
def test_fields_run_whether_they_have_gradients_or_not(f):
    layer = RKResidual(f(), "heun2", steps=20)
    y = ops.convert_to_tensor(normal(4, 3))
    np.testing.assert_allclose(jax.jit(layer)(y), layer(y), rtol=1e-5)


def test_fields_with_derivatives_forwards_alone_have_them():
    layer, y = RKResidual(Halving(), "heun2", steps=20), ops.convert_to_tensor(normal(4, 3))
    outside = jax.jvp(layer, (y,), (y,))[1]
    np.testing.assert_allclose(jax.jit(lambda y: jax.jvp(layer, (y,), (y,)))(y)[1], outside, 1e-5)


def test_every_cheap_operation_is_one_of_jax():
    from jax.extend.core import primitives

    from keras_rk.loops.jax_loops import CALLS, CHEAP, REMAT

    known = {getattr(value, "name", "") for value in vars(primitives).values()}
    assert known >= (CHEAP | CALLS) - {"jit", "pjit"}
    for wrapper, names in ((jax.jit, CALLS), (jax.checkpoint, {REMAT})):
        (equation,) = jax.make_jaxpr(wrapper(jax.numpy.sin))(1.0).eqns
        assert equation.primitive.name in names
