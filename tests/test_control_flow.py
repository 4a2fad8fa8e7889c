"""Branches and loops of the backend inside f."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rk.layers import RKResidual, RKStack
from tests.keras_helpers import BACKEND, MODES, PLAIN, call_in, gradients, normal, numpy

pytestmark = pytest.mark.slow  # each case in every way to execute, for minutes

Y = normal(4, 3)
LAYERS = {
    "one step": lambda f: RKResidual(f, "midpoint", 0.5, **PLAIN),
    "steps": lambda f: RKResidual(f, "midpoint", 0.5, steps=2, **PLAIN),
    "remat": lambda f: RKResidual(f, "midpoint", 0.5, remat="stage", **PLAIN),
    "stack": lambda f: RKStack(f, 2, "midpoint", 0.5, seed=0, **PLAIN),
}
KINDS = {
    "cond": lambda g, y: ops.cond(ops.sum(y) > -1e9, lambda: g(y), lambda: 0.0 * y),
    "switch": lambda g, y: ops.switch(
        ops.cast(ops.sum(y) > -1e9, "int32"), [lambda y: 0.0 * y, g], y
    ),
    "while_loop": lambda g, y: ops.while_loop(
        lambda n, _: n < 1, lambda n, y: (n + 1, g(y)), (0, y), maximum_iterations=1
    )[1],
    "fori_loop": lambda g, y: ops.fori_loop(0, 1, lambda n, y: g(y), y),
    "map": lambda g, y: ops.map(g, y),
    "scan": lambda g, y: ops.scan(lambda y, _: (g(y), y), y, None, 1)[0],
    "vectorized_map": lambda g, y: ops.vectorized_map(g, y),
}
wrapped = pytest.mark.parametrize("wrapper", LAYERS)
by_mode = pytest.mark.parametrize("mode", MODES)


@keras.saving.register_keras_serializable(package="test_control_flow")
class Inside(keras.layers.Layer):
    """weight * tanh(y) inside of a branch or a loop, where it may also draw or assign."""

    def __init__(self, kind, writes=None, **kwargs):
        super().__init__(**kwargs)
        self.kind, self.writes = kind, writes
        self.draws = keras.random.SeedGenerator(3, name="draws")

    def build(self, input_shape):
        self.weight = self.add_weight(shape=(3,), initializer="ones")
        self.count = self.add_weight(shape=(), initializer="zeros", trainable=False, name="count")
        self.built = True

    def inner(self, y):
        if self.writes == "count":
            self.count.assign(self.count + 1)
        if self.writes == "draws":
            return keras.random.dropout(y, 0.5, seed=self.draws)
        return self.weight * ops.tanh(y)

    def call(self, y):
        return self.inner(y) if self.kind is None else KINDS[self.kind](self.inner, y)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "kind": self.kind, "writes": self.writes}


@by_mode
@wrapped
@pytest.mark.parametrize("kind", KINDS)
def test_it_computes_what_it_computes_outside(kind, wrapper, mode):
    ours, plain = LAYERS[wrapper](Inside(kind)), LAYERS[wrapper](Inside(None))
    for layer in (ours, plain):
        layer.build((4, 3))
    wanted = numpy(plain(Y))
    np.testing.assert_allclose(numpy(call_in(mode, ours, Y)), wanted, rtol=1e-5, atol=1e-6)


@wrapped
@pytest.mark.parametrize("kind", ["cond", "map"])
def test_its_gradients_are_those_outside(kind, wrapper):
    ours, plain = LAYERS[wrapper](Inside(kind)), LAYERS[wrapper](Inside(None))
    for layer in (ours, plain):
        layer.build((4, 3))
    found, wanted = (
        gradients(lambda y, f=layer: ops.sum(f(y) ** 2), layer, Y, MODES[-1])
        for layer in (ours, plain)
    )
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="graphs of TensorFlow")
@wrapped
@pytest.mark.parametrize("writes", ["count", "draws"])
@pytest.mark.parametrize("kind", ["cond", "switch", "while_loop", "map"])
def test_assigning_there_is_refused_in_a_graph(kind, writes, wrapper):
    layer = LAYERS[wrapper](Inside(kind, writes, name="inner_f"))
    layer.build((4, 3))
    name = {"count": "count", "draws": "seed_generator_state"}[writes]
    with pytest.raises(ValueError, match=rf"(?s)`ops.where.*Received.*{name}.*'inner_f'"):
        call_in("graph", layer, Y)


@pytest.mark.skipif(BACKEND == "jax", reason="JAX cannot assign there, with Keras alone, either")
@wrapped
@pytest.mark.parametrize("kind", ["cond", "switch", "while_loop", "fori_loop"])
def test_assigning_there_works_eagerly(kind, wrapper):
    layer = LAYERS[wrapper](Inside(kind, "count"))
    layer.build((4, 3))
    layer(Y)
    evaluations = 4 if wrapper == "steps" else 2
    counted = max(float(np.max(numpy(v))) for v in layer.variables if "count" in v.name)
    assert counted == evaluations


@keras.saving.register_keras_serializable(package="test_control_flow")
class Chosen(keras.layers.Layer):
    """The way out: random numbers are drawn in any case, and used where y is large."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dropout = keras.layers.Dropout(0.5, seed=3)

    def call(self, y, training=None):
        return ops.where(ops.sum(y) > -1e9, self.dropout(y, training=training), y)


@by_mode
@wrapped
def test_choosing_works(wrapper, mode):
    layer = LAYERS[wrapper](Chosen())
    layer.build((4, 3))
    one, other = (numpy(call_in(mode, layer, Y, training=True)) for _ in range(2))
    assert np.any(one != other)
