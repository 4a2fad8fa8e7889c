"""Rematerialisation: the same gradients, computed from values that were not kept."""

from functools import cache, partial
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import ops

from keras_rk import loops
from tests.keras_helpers import BACKEND, MODES, gradients, normal, numpy, slow

tree = keras.tree
NOTHING = SimpleNamespace(trainable_weights=[])
VECTOR = normal(60, seed=3)
LENGTH = 4


def weighted(results):
    """A scalar in which every result counts, each entry with another weight."""
    parts = [ops.reshape(ops.cast(x, "float32"), (-1,)) for x in tree.flatten(results)]
    whole = ops.concatenate(parts)
    return ops.sum(whole * ops.convert_to_tensor(normal(*whole.shape, seed=9)))


def dense(v):
    """y, nothing sliced, and the weights W and b as constants."""
    return (ops.reshape(v[:12], (4, 3)),), (), (ops.reshape(v[12:21], (3, 3)), (v[21:24],))


def dense_body(carry, _x, constants):
    (y,), (W, (b,)) = carry, constants
    y = y + ops.tanh(ops.matmul(y, W) + b)
    return (y,), (ops.sum(y, axis=0),)


def sliced(v):
    """y, and weights of their own for each iteration."""
    weights = ops.reshape(v[12:48], (LENGTH, 3, 3)), ops.reshape(v[48:60], (LENGTH, 3))
    return (ops.reshape(v[:12], (4, 3)),), weights, ()


def sliced_body(carry, x, _constants):
    (y,), (W, b) = carry, x
    return (y + ops.tanh(ops.matmul(y, W) + b),), ()


def seeded(v):
    """y, and the state of a random number generator, which a mask is drawn from."""
    seed = ops.convert_to_tensor(np.array([1, 5], "uint32"))
    return (ops.reshape(v[:12], (4, 3)), seed), (), (ops.reshape(v[12:21], (3, 3)),)


def seeded_body(carry, _x, constants):
    (y, seed), (W,) = carry, constants
    mask = bits(seed, (4, 3))
    return (y + mask * ops.tanh(ops.matmul(y, W)), next_seed(seed)), (mask,)


def bits(seed, shape):
    """Zeros and twos that look random, from operations that every backend can trace."""
    numbers = ops.reshape(ops.arange(int(np.prod(shape)), dtype="float32"), shape)
    key = ops.cast(seed, "float32")
    noise = ops.sin(numbers * 12.9898 + key[0] * 78.233 + key[1]) * 43758.5453
    return 2.0 * ops.cast(noise - ops.floor(noise) > 0.5, "float32")


def next_seed(seed):
    return seed + ops.cast([0, 1], seed.dtype)


def counted(v):
    """Integers are carried, sliced and put out, and stand before what has a gradient."""
    start = ops.zeros((3,), "int32"), v[:3]
    return start, (ops.arange(LENGTH, dtype="int32"), v[3 : 3 + LENGTH]), ()


def counted_body(carry, x, _constants):
    (n, a), (i, p) = carry, x
    n = n + i
    return (n, a + ops.sin(a * p) * ops.cast(n, "float32")), (n, a)


CASES = {
    "dense": (dense, dense_body),
    "sliced": (sliced, sliced_body),
    "seeded": (seeded, seeded_body),
    "counted": (counted, counted_body),
}


def scanned(name, v, remat, **options):
    values, body = CASES[name]
    carry, xs, constants = values(v)
    _, outputs = body(carry, tree.map_structure(lambda x: x[0], xs), constants)
    options = {"outputs": outputs, "key": name, **options}
    return loops.Loop().scan(body, carry, xs, constants, LENGTH, remat=remat, **options)


def repeated(name, v, remat):
    """The same loop in Python, with each iteration rematerialised."""
    values, body = CASES[name]
    carry, xs, constants = values(v)
    collected = []
    for i in range(LENGTH):
        x = tree.map_structure(lambda x, i=i: x[i], xs)
        if remat:
            carry, results = loops.remat(body, carry, x, constants)
        else:
            carry, results = body(carry, x, constants)
        collected.append(results)
    return carry, tuple(collected)


def nested(name, v, remat):
    """Rematerialised parts of iterations inside a scan."""
    values, body = CASES[name]

    def outer(carry, x, constants):
        return loops.remat(body, carry, x, constants) if remat else body(carry, x, constants)

    carry, xs, constants = values(v)
    _, outputs = body(carry, tree.map_structure(lambda x: x[0], xs), constants)
    return loops.Loop().scan(
        outer, carry, xs, constants, LENGTH, outputs=outputs, key=name, remat=remat == "both"
    )


PLACES = {
    "scan": (scanned, True),
    "not traceable": (lambda *a: scanned(*a, traceable=False), True),
    "unrolled": (lambda *a: scanned(*a, unroll=True), True),
    "alone": (repeated, True),
    "inside a scan": (nested, True),
    "inside and around": (nested, "both"),
}


@cache  # the same for every mode
def gradient_without(name, function):
    return gradients(lambda v: weighted(function(name, v, False)), NOTHING, VECTOR)[0]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "place",
    ["scan", "unrolled", "alone", "inside a scan", *slow("not traceable", "inside and around")],
)
@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_those_without(name, place, mode):
    function, remat = PLACES[place]
    ours = function(name, ops.convert_to_tensor(VECTOR), remat)
    expected = function(name, ops.convert_to_tensor(VECTOR), False)
    tree.assert_same_structure(ours, expected)
    for one, other in zip(tree.flatten(ours), tree.flatten(expected), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(numpy(one), numpy(other), rtol=1e-6, atol=1e-6)
    (dv,) = gradients(lambda v: weighted(function(name, v, remat)), NOTHING, VECTOR, mode)
    np.testing.assert_allclose(dv, gradient_without(name, function), rtol=1e-5, atol=1e-5)
    assert np.abs(dv).max() > 0.1


def second_derivative(function, mode):
    """The gradient of the squared gradient."""
    x = ops.convert_to_tensor(VECTOR)
    if BACKEND == "jax":
        import jax

        double = jax.grad(lambda v: ops.sum(jax.grad(function)(v) ** 2))
        return numpy((jax.jit(double) if mode == "jit" else double)(x))
    if BACKEND == "torch":
        import torch

        x = x.clone().requires_grad_()
        (first,) = torch.autograd.grad(function(x), x, create_graph=True)
        return numpy(torch.autograd.grad(torch.sum(first**2), x)[0])
    import tensorflow as tf

    def double(v):
        with tf.GradientTape() as outer:
            outer.watch(v)
            with tf.GradientTape() as inner:
                inner.watch(v)
                value = function(v)
            squared = tf.reduce_sum(inner.gradient(value, v) ** 2)
        return outer.gradient(squared, v)

    run = double if mode == "eager" else tf.function(double, jit_compile=mode == "jit")
    return numpy(run(x))


@cache
def second_derivative_without(name, function):
    return second_derivative(lambda v: weighted(function(name, v, False)), "eager")


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", ["dense", "seeded"])
def test_second_derivatives(name, place, mode):
    function, remat = PLACES[place]
    ours = second_derivative(lambda v: weighted(function(name, v, remat)), mode)
    expected = second_derivative_without(name, function)
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-4)


# --------------------------------------------------------------------- values that were not kept


def tanhs(function, mode):
    """How often the gradient of a function computes tanh; on JAX, how often its code does."""
    return {"torch": _tanhs_torch, "jax": _tanhs_jax, "tensorflow": _tanhs_tensorflow}[BACKEND](
        function, mode
    )


def _tanhs_jax(function, _mode):
    import jax

    def count(jaxpr):
        own = sum(equation.primitive.name == "tanh" for equation in jaxpr.eqns)
        inner = [jax.core.jaxprs_in_params(equation.params) for equation in jaxpr.eqns]
        return own + sum(count(part) for parts in inner for part in parts)

    return count(jax.make_jaxpr(jax.grad(function))(VECTOR).jaxpr)


def _tanhs_torch(function, mode):
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    count = []

    class Counting(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            if function is torch.ops.aten.tanh.default and type(args[0]) is torch.Tensor:
                count.append(1)  # not of a trace
            return function(*args, **(kwargs or {}))

    with Counting():
        gradients(function, NOTHING, VECTOR, mode)
    return len(count)


def _tanhs_tensorflow(function, mode):
    import tensorflow as tf

    count, tanh = [], ops.tanh

    def counted(x):
        return x + tf.ensure_shape(tf.numpy_function(zero, [x], "float32"), ())

    def zero(_x):
        count.append(1)
        return np.zeros((), "float32")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ops, "tanh", lambda x: tanh(counted(x)))
        gradients(function, NOTHING, VECTOR, mode)
    return len(count)


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "jit" or BACKEND == "jax"])
@pytest.mark.parametrize("place", ["scan", "alone", "inside a scan"])
def test_the_backward_pass_computes_again(place, mode):
    function, _ = PLACES[place]
    kept, again = (
        tanhs(lambda v, r=r: weighted(function("dense", v, r)), mode) for r in (False, True)
    )
    # JAX's code has one iteration, once for each pass.
    assert again - kept == (1 if BACKEND == "jax" and place != "alone" else LENGTH)


@pytest.mark.skipif(BACKEND != "torch", reason="what autograd keeps")
@pytest.mark.parametrize("traceable", [True, False])
def test_autograd_keeps_the_carry_alone(traceable):
    import torch

    def kept(remat):
        sizes = {}

        def note(x):
            sizes[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
            return x

        v = torch.as_tensor(VECTOR).requires_grad_()
        with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
            result = scanned("dense", v, remat, traceable=traceable)
        assert result[0][0].requires_grad
        return sum(sizes.values())

    y, inputs = 4 * 12, 4 * 60
    assert kept(True) <= inputs + (LENGTH + 1) * y
    assert kept(False) >= kept(True) + (LENGTH - 1) * y


@pytest.mark.skipif(BACKEND != "jax", reason="XLA says what it is going to use")
@pytest.mark.parametrize("place", ["scan", "unrolled"])
def test_memory_of_compiled_loops(place):
    """Each iteration has values of 6 times the size of what is carried."""
    import jax

    def body(carry, _x, _constants):
        y = ops.concatenate([carry[0]] * 6)
        return (ops.split(ops.tanh(ops.sin(ops.tanh(y))), 6)[0],), ()

    def loss(remat):
        def function(y):
            options = {"outputs": (), "key": 0, "remat": remat, "unroll": place == "unrolled"}
            return ops.sum(loops.Loop().scan(body, (y,), (), (), 50, **options)[0][0])

        return jax.jit(jax.grad(function)).lower(np.zeros(1000, "float32")).compile()

    kept, again = (loss(remat).memory_analysis().temp_size_in_bytes for remat in (False, True))
    assert again < 4000 * 75
    assert kept > 4000 * 300


@pytest.mark.skipif(BACKEND != "tensorflow", reason="what a graph keeps")
def test_graphs_keep_the_carry_alone():
    """What a `tf.while_loop` keeps for its gradient, it pushes to lists."""
    import tensorflow as tf

    def kept(remat):
        @tf.function
        def gradient(v):
            with tf.GradientTape() as tape:
                tape.watch(v)
                value = weighted(scanned("dense", v, remat))
            return tape.gradient(value, v)

        graph = gradient.get_concrete_function(tf.TensorSpec((60,))).graph.as_graph_def()
        nodes = [node for function in graph.library.function for node in function.node_def]
        pushes = [node for node in nodes if node.op == "TensorListPushBack"]
        return sum(
            node.attr["element_dtype"].type == tf.float32.as_datatype_enum for node in pushes
        )

    assert kept(False) > kept(True) == 1


# ------------------------------------------------------------------- random numbers of the backend


@pytest.mark.skipif(BACKEND != "torch", reason="elsewhere, random numbers come from seeds")
@pytest.mark.parametrize(
    "place, jit_compile",
    [*((place, False) for place in PLACES), ("scan", True)],  # compiled code draws other numbers
)
def test_the_same_numbers_are_drawn_again(place, jit_compile, monkeypatch):
    """The body multiplies by a mask, so the gradient is the product of all masks."""
    import torch

    def body(carry, _x, _constants):
        return (ops.tanh(torch.nn.functional.dropout(carry[0], 0.3)),), (carry[0],)

    monkeypatch.setitem(CASES, "dropout", (lambda v: ((v,), (), ()), body))
    monkeypatch.setattr(loops, "Loop", partial(loops.Loop, jit_compile))
    function, remat = PLACES[place]
    found = []
    for r in (remat, False):
        torch.manual_seed(5)
        v = torch.as_tensor(VECTOR).requires_grad_()
        value = weighted(function("dropout", v, r))
        torch.rand(7)  # the generator has moved on
        state = torch.get_rng_state()
        found.append(torch.autograd.grad(value, v)[0])
        assert torch.equal(state, torch.get_rng_state())
        found.append(value.detach())
    np.testing.assert_allclose(numpy(found[0]), numpy(found[2]), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(numpy(found[1]), numpy(found[3]), rtol=1e-5, atol=1e-6)
