"""Loops of the backend are loops in Python: values, gradients, and code that does not grow."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import ops

from keras_rk.layers import RKResidual, RKStack
from keras_rk.loops import Loop
from keras_rk.steps import integration
from tests.keras_helpers import (
    BACKEND,
    MODES,
    NATIVE,
    batch_normalized,
    call_in,
    dense,
    dropped_out,
    gradients,
    normal,
    numpy,
)

COMPILED = [mode for mode in MODES if mode != "eager"]
tree = keras.tree


# ------------------------------------------------------------------------------- Loop.scan itself


def nested(v):
    return (v[:3], (v[3:6],)), (ops.reshape(v[6:18], (4, 3)), (v[18:22],)), ((v[22:25],),)


def nested_body(carry, x, constants):
    (a, (b,)), (p, (q,)), ((c,),) = carry, x, constants
    a = ops.tanh(a * p + b * c)
    return (a, (b + q * a,)), ((a * b,), ops.sum(b))


def recurrent(v):
    return (v[:3],), (), (v[3:6],)


def recurrent_body(carry, _x, constants):
    a = ops.sin(carry[0] * constants[0])
    return (a,), (a,)


def silent_body(carry, x, _constants):
    return (ops.sin(carry[0] + x[0]),), ()


def counted(v):
    return (v[:3], ops.zeros((3,), "int32")), (ops.arange(4, dtype="int32"), v[3:7]), ()


def counted_body(carry, x, _constants):
    (a, n), (i, p) = carry, x
    n = n + i
    return (a + ops.sin(a * p) * ops.cast(n, "float32"), n), (n, a)


def idle(v):
    return (v[:3], v[3:6]), (v[6:10], v[10:14]), (v[14:17], v[17:20])


def idle_body(carry, x, constants):
    """A constant, a slice and a gradient have no use; a carried value is passed on and put out."""
    (a, b), (p, _), (c, _) = carry, x, constants
    return (ops.cos(a) * p + c, b), (b, c)


CASES = {
    # name: values from a vector, body, length
    "nested": (nested, nested_body, 4),
    "nothing sliced": (recurrent, recurrent_body, 5),
    "nothing put out": (lambda v: ((v[:3],), (v[3:7],), ()), silent_body, 4),
    "integers": (counted, counted_body, 4),
    "idle parts": (idle, idle_body, 4),
    "once": (recurrent, recurrent_body, 1),
}
VECTOR = normal(25, seed=3)


def in_python(body, carry, xs, constants, length):
    collected = []
    for i in range(length):
        carry, results = body(carry, tree.map_structure(lambda x, i=i: x[i], xs), constants)
        collected.append(results)
    return carry, tree.map_structure(lambda *column: ops.stack(column), *collected)


def scanned(name, v, loop=None):
    values, body, length = CASES[name]
    carry, xs, constants = values(v)
    _, outputs = body(carry, tree.map_structure(lambda x: x[0], xs), constants)
    return (loop or Loop()).scan(
        body, carry, xs, constants, length, outputs=outputs, key=("test", name)
    )


def unrolled(name, v):
    values, body, length = CASES[name]
    return in_python(body, *values(v), length)


def compiled(mode, function):
    if mode == "eager":
        return function
    if BACKEND == "jax":
        import jax

        return jax.jit(function)
    return NATIVE.function(function, jit_compile=mode == "jit")


def weighted(results):
    """A scalar in which every result counts, each entry with another weight."""
    parts = [ops.reshape(ops.cast(x, "float32"), (-1,)) for x in tree.flatten(results)]
    whole = ops.concatenate(parts)
    return ops.sum(whole * ops.convert_to_tensor(normal(*whole.shape, seed=9)))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", CASES)
def test_scan_is_a_loop_in_python(name, mode):
    v = ops.convert_to_tensor(VECTOR)
    ours, expected = compiled(mode, lambda v: scanned(name, v))(v), unrolled(name, v)
    tree.assert_same_structure(ours, expected)
    for one, other in zip(tree.flatten(ours), tree.flatten(expected), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(numpy(one), numpy(other), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", CASES)
def test_gradients_of_a_scan(name, mode):
    """Those with respect to what is carried, sliced, and constant, all parts of one vector."""
    nothing = SimpleNamespace(trainable_weights=[])
    (ours,) = gradients(lambda v: weighted(scanned(name, v)), nothing, VECTOR, mode)
    (expected,) = gradients(lambda v: weighted(unrolled(name, v)), nothing, VECTOR)
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)
    assert np.abs(ours).max() > 0.1


@pytest.mark.parametrize("name", ["nested", "nothing sliced"])
def test_a_loop_used_again_computes_with_the_new_values(name):
    loop, vectors = Loop(), [ops.convert_to_tensor(normal(25, seed=seed)) for seed in (1, 2)]
    ours = tree.flatten([scanned(name, v, loop) for v in vectors])
    expected = tree.flatten([unrolled(name, v) for v in vectors])
    for one, other in zip(ours, expected, strict=True):
        np.testing.assert_allclose(numpy(one), numpy(other), rtol=1e-5, atol=1e-6)


def test_keys_tell_bodies_apart():
    loop, v = Loop(), ops.convert_to_tensor(VECTOR[:3])

    def body(factor):
        return lambda carry, _x, _constants: ((factor * carry[0],), ())

    results = [
        loop.scan(body(factor), (v,), (), (), 2, outputs=(), key=factor)[0][0] for factor in (2, 3)
    ]
    np.testing.assert_allclose(numpy(results[0]), 4 * VECTOR[:3], rtol=1e-6)
    np.testing.assert_allclose(numpy(results[1]), 9 * VECTOR[:3], rtol=1e-6)


# ----------------------------------------------------------------------- code that does not grow


@pytest.fixture
def never_unrolled(monkeypatch):
    """Loops of few iterations, too, are loops of the backend."""
    monkeypatch.setattr(integration, "UNROLLED", 0, raising=False)


@keras.saving.register_keras_serializable("test_loops")
class Counting(keras.layers.Layer):
    """-y, and how often Python was asked for it."""

    calls = 0

    def call(self, y):
        Counting.calls += 1
        return -y / 100

    def compute_output_shape(self, input_shape):
        return input_shape


LONG = {
    "steps": lambda n, f: RKResidual(f(), "heun2", 0.01, steps=n),
    "depth": lambda n, f: RKStack(f(), n, "heun2", 0.01),
    "steps in a stack": lambda n, f: RKStack(f(), 3, "heun2", 0.01, steps=n),
}


def size(layer):
    """The number of operations in the compiled gradient of a layer."""
    if BACKEND == "jax":
        return _equations(layer)
    import tensorflow as tf

    @tf.function
    def gradient(y):
        with tf.GradientTape() as tape:
            value = tf.reduce_sum(layer(y, training=True) ** 2)
        return tape.gradient(value, [w.value for w in layer.trainable_weights])

    graph = gradient.get_concrete_function(tf.TensorSpec((None, 3))).graph.as_graph_def()
    return len(graph.node) + sum(len(function.node_def) for function in graph.library.function)


def _equations(layer):
    import jax

    from keras_rk.loops.jax_bodies import equations

    values = [[v.value for v in part] for part in variables(layer)]

    def loss(trainable, others, y):
        result, state = layer.stateless_call(trainable, others, y, training=True)
        return ops.sum(result**2), state

    gradient = jax.grad(loss, has_aux=True)
    jaxpr = jax.make_jaxpr(gradient)(*values, ops.convert_to_tensor(normal(4, 3)))
    return len(list(equations({"jaxpr": jaxpr})))


def variables(layer):
    return layer.trainable_variables, layer.non_trainable_variables


@pytest.mark.skipif(not COMPILED, reason="PyTorch's graph is that of one step, by construction")
@pytest.mark.parametrize("case", LONG)
def test_compiled_code_does_not_grow(case, never_unrolled):
    sizes = []
    for n in (5, 50):
        layer = LONG[case](n, batch_normalized)
        layer.build((None, 3))
        sizes.append(size(layer))
    assert sizes[0] > 50
    assert abs(sizes[1] - sizes[0]) <= 2  # JAX broadcasts the counter of a loop in two ways


@pytest.mark.parametrize("mode", COMPILED or MODES)
@pytest.mark.parametrize("case", LONG)
def test_f_is_called_no_more_often_to_compile_a_longer_loop(case, mode):
    counts = []
    for n in (100, 400):
        layer = LONG[case](n, Counting)
        layer.build((None, 3))
        Counting.calls = 0
        call_in(mode, layer, normal(4, 3))
        counts.append(Counting.calls)
    assert counts[0] == counts[1] > 0


# ------------------------------------------------------------------------------- loops in loops


def nested_layer():
    inner = RKStack(dense(), 2, "euler", 0.3)
    return RKStack(RKResidual(inner, "euler", 0.5, steps=2), 2, "euler", 0.5, steps=2)


@pytest.mark.parametrize("mode", MODES)
def test_loops_in_loops_in_loops(mode, never_unrolled):
    layer, y = nested_layer(), normal(4, 3)
    layer.build((None, 3))

    def by_hand(x):
        for block in layer.unstack():
            inner = block.layer.layer.unstack()
            for _ in range(2):
                x = x + 0.5 * two_steps(inner, x)
        return x

    ours = numpy(call_in(mode, layer, y))
    np.testing.assert_allclose(ours, numpy(by_hand(ops.convert_to_tensor(y))), rtol=1e-4)
    dy = gradients(lambda x: weighted(layer(x)), layer, y, mode)[0]
    expected = gradients(lambda x: weighted(by_hand(x)), SimpleNamespace(trainable_weights=[]), y)[
        0
    ]
    np.testing.assert_allclose(dy, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


def two_steps(inner, y):
    """y after two steps of size 1/2 along the layers of the inner stack."""
    for _ in range(2):
        k = y
        for block in inner:
            k = block(k)
        y = y + 0.5 * k
    return y


# ------------------------------------------------------------------------------------- randomness


@pytest.mark.parametrize("mode", [mode for mode in MODES if (BACKEND, mode) != ("jax", "jit")])
@pytest.mark.parametrize("kind", ["keras.random", "dropout"])
def test_unseeded_noise_differs_between_blocks_and_calls(kind, mode):
    def make(_block):
        if kind == "dropout":
            return keras.layers.Dropout(0.5)
        noise = keras.layers.Lambda(lambda y: keras.random.normal((4, 60)), lambda shape: shape)
        return noise

    layer = RKStack(make, 3, "euler", return_states=True)
    layer.build((4, 60))
    y = np.ones((4, 60))
    paths = [numpy(call_in(mode, layer, y, training=True)) for _ in range(2)]
    drawn = [(path[:, 1:] - path[:, :-1]) / path[:, :-1] for path in paths]
    samples = np.stack([sample[:, block] for sample in drawn for block in range(3)])
    same = [np.mean(samples[i] == samples[j]) for i in range(6) for j in range(i)]
    assert max(same) < 0.7  # two masks of dropout agree in half of their places


# ------------------------------------------------------------------------------------------- JAX

on_jax = pytest.mark.skipif(BACKEND != "jax", reason="how JAX transforms functions")


def eager_calls(transform):
    """How often Python evaluates f of 7 steps."""
    layer = RKResidual(Counting(), "euler", steps=7)
    y = ops.convert_to_tensor(normal(4, 3))
    layer(y)
    Counting.calls = 0
    transform(layer, y)
    return Counting.calls


@on_jax
@pytest.mark.parametrize(
    "transform",
    [
        lambda jax, layer, y: layer(y),
        lambda jax, layer, y: jax.grad(lambda y: ops.sum(layer(y)))(y),
        lambda jax, layer, y: jax.vjp(layer, y),
        lambda jax, layer, y: jax.jvp(layer, (y,), (y,)),
        lambda jax, layer, y: jax.linearize(layer, y),
        lambda jax, layer, y: jax.hessian(lambda t: ops.sum(layer(t * y) ** 2)) and layer(y),
    ],
    ids=["call", "grad", "vjp", "jvp", "linearize", "again"],
)
def test_nothing_is_compiled_eagerly(transform):
    import jax

    assert eager_calls(lambda layer, y: transform(jax, layer, y)) == 7


@on_jax
@pytest.mark.parametrize("name", ["jit", "vmap"])
def test_abstract_values_are_scanned(name, never_unrolled):
    import jax

    assert eager_calls(lambda layer, y: getattr(jax, name)(layer)(y)) < 7


def stateless(layer, training=True):
    values = [[v.value for v in part] for part in variables(layer)]

    def loss(trainable, y):
        result, _ = layer.stateless_call(trainable, values[1], y, training=training)
        return ops.sum(result**2)

    return loss, values[0]


@pytest.fixture(scope="module")
def differentiated():
    """A loss, a point, and the gradients there without any compiler."""
    import jax

    layer = RKResidual(batch_normalized(), "euler", 0.5, steps=3)
    layer.build((None, 3))
    loss, weights = stateless(layer)
    point = weights, ops.convert_to_tensor(normal(4, 3))
    return loss, point, jax.grad(loss)(*point)


@on_jax
@pytest.mark.parametrize(
    "transform",
    [
        lambda jax, loss: jax.jit(jax.grad(loss)),
        lambda jax, loss: jax.grad(jax.jit(loss)),
        lambda jax, loss: jax.grad(jax.checkpoint(loss)),
        lambda jax, loss: jax.jit(jax.grad(jax.checkpoint(loss))),
    ],
    ids=["jit of grad", "grad of jit", "checkpoint", "jit of checkpoint"],
)
def test_transformed_gradients_are_those_without_jit(transform, differentiated, never_unrolled):
    import jax

    loss, point, expected = differentiated
    for one, other in zip(transform(jax, loss)(*point), expected, strict=True):
        np.testing.assert_allclose(numpy(one), numpy(other), rtol=1e-4, atol=1e-5)


@on_jax
def test_vmap_over_samples(never_unrolled):
    import jax

    layer, y = RKStack(batch_normalized(), 3, "heun2"), ops.convert_to_tensor(normal(4, 3))
    expected = numpy(layer(y, training=False))
    ours = jax.vmap(lambda x: layer(x[None], training=False)[0])(y)
    np.testing.assert_allclose(numpy(ours), expected, rtol=1e-5, atol=1e-6)


@on_jax
@pytest.mark.parametrize("case", LONG)
def test_no_traced_value_leaks(case, never_unrolled):
    import jax

    layer = LONG[case](3, dropped_out)
    layer.build((None, 3))
    loss, weights = stateless(layer)
    y = ops.convert_to_tensor(normal(4, 3))
    with jax.checking_leaks():
        found = jax.jit(jax.grad(loss))(weights, y)
        jax.vmap(lambda x: loss(weights, x[None]))(y)
    assert all(np.isfinite(numpy(x)).all() for x in found)


# ------------------------------------------------------------------------------------- TensorFlow

on_tensorflow = pytest.mark.skipif(BACKEND != "tensorflow", reason="graphs of TensorFlow")


@on_tensorflow
@pytest.mark.parametrize("mode", COMPILED or MODES)
@pytest.mark.parametrize("case", LONG)
def test_a_graph_for_batches_of_any_size(case, mode, never_unrolled):
    import tensorflow as tf

    layer = LONG[case](3, dense)
    layer.build((None, 3))
    signature = [tf.TensorSpec((None, 3))]
    run = tf.function(layer, input_signature=signature, jit_compile=mode == "jit")
    for size in (2, 5):
        y = ops.convert_to_tensor(normal(size, 3))
        np.testing.assert_allclose(numpy(run(y)), numpy(layer(y)), rtol=1e-5, atol=1e-6)
    assert run.experimental_get_tracing_count() == 1


@on_tensorflow
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", ["steps", "depth"])
def test_second_derivatives(case, mode, never_unrolled):
    import tensorflow as tf

    layer = LONG[case](3, dense)
    layer.build((None, 3))
    blocks = layer.unstack() if case == "depth" else [_single(layer)] * 3

    def one_after_another(y):
        for block in blocks:
            y = block(y)
        return y

    def penalty(function):
        def compute(y):
            with tf.GradientTape() as outer:
                outer.watch(y)
                with tf.GradientTape() as inner:
                    inner.watch(y)
                    value = tf.reduce_sum(function(y) ** 2)
                slope = tf.reduce_sum(inner.gradient(value, y) ** 2)
            return outer.gradient(slope, y)

        return compute

    y = ops.convert_to_tensor(normal(4, 3))
    ours = numpy(compiled(mode, penalty(layer))(y))
    expected = numpy(penalty(one_after_another)(y))
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-4)


def _single(layer):
    """One step of a layer with several, along the same f."""
    single = RKResidual(layer.layer, layer.tableau, layer.dt)
    single.build((None, 3))
    return single


@on_tensorflow
@pytest.mark.parametrize("case", LONG)
def test_an_exported_model(case, tmp_path, never_unrolled):
    import tensorflow as tf

    layers = [LONG[case](4, dense), keras.layers.BatchNormalization()]
    model = keras.Sequential([keras.Input((3,)), *layers])
    model.export(tmp_path / "model", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "model")
    for size in (2, 5):
        y = normal(size, 3)
        np.testing.assert_allclose(numpy(loaded.serve(y)), numpy(model(y)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("jit_compile", [False, True], ids=["plain", "jit"])
def test_fit(jit_compile, never_unrolled):
    """Training with and without a compiler, from the same weights, leads to the same ones."""
    if BACKEND == "torch" and jit_compile:
        pytest.skip("compiled by PyTorch: test_torch_traces.py")
    if BACKEND == "jax" and not jit_compile:
        pytest.skip("what jit is compared with")
    model = keras.Sequential([keras.Input((3,)), LONG["steps in a stack"](2, batch_normalized)])
    weights = model.get_weights()
    model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=jit_compile)
    model.fit(normal(8, 3), normal(8, 3, seed=2), batch_size=8, verbose=0)
    ours = model.get_weights()
    model.set_weights(weights)
    model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=True, jit_compile=False)
    model.fit(normal(8, 3), normal(8, 3, seed=2), batch_size=8, verbose=0)
    for one, other, before in zip(ours, model.get_weights(), weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
        assert not np.array_equal(one, before)


@keras.saving.register_keras_serializable("test_loops")
class Repeating(keras.layers.Layer):
    """The mean of several copies of tanh(w y), made by a function of Keras."""

    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        self.function = function

    def build(self, input_shape):
        self.w = self.add_weight(shape=(input_shape[-1],), initializer=dense().kernel_initializer)

    def call(self, y):
        y = ops.expand_dims(ops.tanh(self.w * y), -1)
        copies = {
            "repeat": lambda: ops.repeat(y, 2, axis=-1),
            "tile": lambda: ops.tile(y, (1, 1, 2)),
            "broadcast": lambda: ops.broadcast_to(y, (*ops.shape(y)[:-1], 2)),
        }
        return ops.mean(copies[self.function](), -1)

    def get_config(self):
        return {**super().get_config(), "function": self.function}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("function", ["repeat", "tile", "broadcast"])
def test_gradients_of_what_is_repeated(function, mode):
    """TensorFlow 2.21: XLA cannot compute the gradient of `tf.repeat` in a `tf.while_loop`.

    `findings/tensorflow_xla_repeat_in_a_loop.sh`: numbers that it packs are no constants there.
    """
    y = normal(4, 3)
    layer = RKStack(Repeating(function), 9, "heun2", "1/10")
    layer.build((None, 3))
    blocks = layer.unstack()

    def plain(y):
        for block in blocks:
            y = block(y)
        return ops.sum(y**2)

    (by_y, by_w) = gradients(lambda y: ops.sum(layer(y) ** 2), layer, y, mode)
    outside = gradients(plain, keras.Sequential(blocks), y)
    np.testing.assert_allclose(by_y, outside[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(by_w, np.stack(outside[1:]), rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(BACKEND == "torch", reason="nothing is compiled as a whole")
def test_grouped_attention_in_a_compiled_loop():
    """It repeats keys and values."""
    y = keras.Input((6, 8))
    attention = keras.Model(y, keras.layers.GroupQueryAttention(4, 4, 2, seed=1)(y, y))
    stack = RKStack(attention, 5, "heun2", "1/10")
    stack.build((None, 6, 8))
    losses = []
    for layers in (stack.unstack(), [stack]):
        model = keras.Sequential([keras.Input((6, 8)), *layers])
        model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=True)
        history = model.fit(normal(4, 6, 8), normal(4, 6, 8, seed=2), epochs=3, verbose=0)
        losses.append(history.history["loss"])
    np.testing.assert_allclose(*losses, rtol=1e-4)
