"""RKStack computes what its blocks compute one after another, and what NumPy computes."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import ops

from keras_rk import tableaux
from keras_rk.layers import RKResidual, RKStack
from tests.keras_helpers import (
    BACKEND,
    MODES,
    Chain,
    NativeDense,
    WithLoss,
    assert_same_blocks,
    batch_normalized,
    call_in,
    dense,
    dropped_out,
    float64,
    gradients,
    noisy,
    normal,
    numpy,
    unrolled,
)


def conditioned():
    """tanh(W (y, context)), a functional model with two inputs."""
    inputs = [keras.Input((3,), name="y"), keras.Input((2,), name="context")]
    joined = keras.layers.Concatenate()(inputs)
    return keras.Model(inputs, keras.layers.Dense(3, activation="tanh")(joined))


CONTEXT = normal(4, 2, seed=8)
FIELDS = {
    # name: f, shape of y, how it is called
    "dense": (dense, (4, 3), {}),
    "batch norm": (batch_normalized, (4, 3), {}),
    "dropout": (dropped_out, (4, 3), {}),
    "noise": (noisy, (4, 3), {}),
    "spectral": (lambda: keras.layers.SpectralNormalization(dense()), (4, 3), {}),
    "conv1d": (
        lambda: keras.layers.Conv1D(3, 3, padding="same", activation="tanh"),
        (2, 4, 3),
        {},
    ),
    "lstm": (lambda: keras.layers.LSTM(3, return_sequences=True), (2, 4, 3), {}),
    "context by position": (conditioned, (4, 3), {"args": [CONTEXT]}),
    "context by keyword": (conditioned, (4, 3), {"kwargs": {"context": CONTEXT}}),
    "loss": (WithLoss, (4, 3), {}),
    "activity": (lambda: dense(activity_regularizer="l2"), (4, 3), {}),
}
AFTER = {
    "nothing": lambda: None,
    "batch norm": lambda: keras.layers.BatchNormalization(momentum=0.5),
    "layer norm": lambda: keras.layers.LayerNormalization(),
}
DTS = {
    "one": (0.5, lambda n: 0.5),
    "text": ("1/3", lambda n: 1 / 3),
    "list": (lambda depth: [0.2 * (n + 1) for n in range(depth)], lambda n: 0.2 * (n + 1)),
    "texts": (lambda depth: [f"-1/{n + 2}" for n in range(depth)], lambda n: -1 / (n + 2)),
}
COMPILED_TOO = ["batch norm", "dropout", "spectral", "context by keyword", "loss"]


def modes_of(name):
    """How to execute a field; XLA takes long for a recurrent one, and JAX without XLA longer."""
    if name == "lstm":
        return {"tensorflow": ["eager", "graph"], "jax": ["jit"]}.get(BACKEND, MODES)
    return MODES if name == "dropout" else MODES[:1] + MODES[-1:] * (name in COMPILED_TOO)


EXECUTIONS = list(dict.fromkeys((name, mode) for name in FIELDS for mode in modes_of(name)))


def weighted_sum(y):
    return ops.sum(y * ops.convert_to_tensor(normal(*y.shape, seed=9)))


def stack_of(name, **kwargs):
    """A built stack of two blocks, data, and how to call a layer in one of `MODES`."""
    make, shape, how = FIELDS[name]
    y = normal(*shape)
    args = [ops.convert_to_tensor(x) for x in how.get("args", ())]
    further = {key: ops.convert_to_tensor(x) for key, x in how.get("kwargs", {}).items()}
    arguments = {"depth": 2, "tableau": "heun2", "dt": [0.5, "-1/3"], **kwargs}
    stack = RKStack(make(), **arguments)
    stack(y, *args, **further)

    def call(layer, mode, training):
        return call_in(mode, layer, y, *args, training=training, **further)

    return stack, y, call


def in_float64(weights):
    return [numpy(weight).astype("float64") for weight in weights]


def normalized(name, weights, y):
    """What the layer of `AFTER` computes at inference from the weights of one block."""
    if name == "nothing":
        return y
    gamma, beta, *statistics = weights
    mean, variance = statistics or (y.mean(-1, keepdims=True), y.var(-1, keepdims=True))
    return gamma * (y - mean) / np.sqrt(variance + 1e-3) + beta


METHODS = [
    ("euler", "nothing"),
    ("dormand_prince54", "nothing"),
    *(("rk4", after) for after in AFTER),
]


@pytest.mark.parametrize(
    ("depth", "steps", "dts"),
    [(1, 1, "one"), (2, 3, "text"), (5, 1, "list"), (2, 3, "texts"), (1, 3, "texts")],
)
@pytest.mark.parametrize(("name", "after"), METHODS)
def test_equals_numpy(name, depth, steps, dts, after):
    given, dt_of = DTS[dts]
    dt = given(depth) if callable(given) else given
    stack = RKStack(dense(), depth, name, dt, steps, after=AFTER[after]())
    y = normal(4, 3)
    result = numpy(stack(y, training=False))
    assert [weight.shape[0] for weight in stack.weights] == [depth] * len(stack.weights)
    weights = in_float64(stack.weights)
    y = y.astype("float64")
    for n in range(depth):
        kernel, bias, *rest = (weight[n] for weight in weights)
        f = lambda y, w=kernel, b=bias: np.tanh(y @ w + b)  # noqa: E731
        y = normalized(after, rest, unrolled(f, y, tableaux.get(name), dt_of(n), steps))
    np.testing.assert_allclose(result, y, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["rk4", "cooper_verner8"])
@pytest.mark.parametrize("dt", [0.5, [0.5, "-1/3", 0.25]], ids=["one", "list"])
def test_equals_numpy_in_float64(name, dt):
    with float64():
        f = NativeDense(3, dtype="float64")
        stack = RKStack(f, 3, name, dt, dtype="float64")
        y = normal(4, 3, dtype="float64")
        result = numpy(stack(ops.convert_to_tensor(y, dtype="float64")))
        kernels, biases = map(numpy, stack.weights)
    assert result.dtype == "float64"
    for n, size in enumerate([0.5, -1 / 3, 0.25] if isinstance(dt, list) else [0.5] * 3):
        f = lambda y, w=kernels[n], b=biases[n]: np.tanh(y @ w + b)  # noqa: E731
        y = unrolled(f, y, tableaux.get(name), size)
    np.testing.assert_allclose(result, y, rtol=0, atol=1e-11)


@pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
@pytest.mark.parametrize(("name", "mode"), EXECUTIONS)
def test_equals_its_blocks_one_after_another(name, mode, training):
    stack, _, call = stack_of(name)
    chain = Chain(stack.unstack())
    expected = numpy(call(chain, mode, training))
    losses = float(sum(map(numpy, chain.losses))) if mode == "eager" else None
    result = numpy(call(stack, mode, training))
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)
    assert_same_blocks(stack, chain.chain)
    if mode == "eager":
        assert float(sum(map(numpy, stack.losses))) == pytest.approx(losses, rel=1e-5)
        assert (losses != 0) == (name in ("loss", "activity"))


@pytest.mark.parametrize(("name", "mode"), EXECUTIONS)
def test_gradients_equal_those_of_its_blocks(name, mode):
    stack, y, _ = stack_of(name)
    chain = Chain(stack.unstack())
    ours = gradients(lambda x: _scalar(stack, name, x), stack, y, mode)
    theirs = gradients(lambda x: _scalar(chain, name, x), chain, y, mode)
    assert_same_gradients(ours, theirs, stack, chain.chain)


def _scalar(layer, name, x):
    """A number that depends on the output in training and on the losses."""
    how = FIELDS[name][2]
    args = [ops.convert_to_tensor(value) for value in how.get("args", ())]
    further = {key: ops.convert_to_tensor(value) for key, value in how.get("kwargs", {}).items()}
    value = weighted_sum(layer(x, *args, training=True, **further))
    return value + sum(layer.losses) if name in ("loss", "activity") else value


def assert_same_gradients(ours, theirs, stack, layers, rtol=1e-4, atol=1e-5):
    """Gradients w.r.t. y and the stacked weights are those w.r.t. y and each block's weights."""
    count = len(stack.trainable_weights)
    assert [len(layer.trainable_weights) for layer in layers] == [count] * stack.depth
    np.testing.assert_allclose(ours[0], theirs[0], rtol=rtol, atol=atol)
    for place in range(count):
        expected = np.stack([theirs[1 + n * count + place] for n in range(stack.depth)])
        np.testing.assert_allclose(ours[1 + place], expected, rtol=rtol, atol=atol)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("after", "steps"), [("batch norm", 1), ("layer norm", 2)])
def test_equals_its_blocks_with_a_layer_after_each(after, steps, mode):
    stack, _, call = stack_of("batch norm", after=AFTER[after](), steps=steps)
    chain = Chain(stack.unstack())
    results = [numpy(call(layer, mode, True)) for layer in (stack, chain)]
    np.testing.assert_allclose(*results, rtol=1e-4, atol=1e-5)
    results = [numpy(call(layer, "eager", False)) for layer in (stack, chain)]
    np.testing.assert_allclose(*results, rtol=1e-4, atol=1e-5)
    assert_same_blocks(stack, chain.chain)


@pytest.mark.parametrize(("after", "mode"), [("batch norm", "eager"), ("layer norm", MODES[-1])])
def test_gradients_with_a_layer_after_each(after, mode):
    stack, y, _ = stack_of("dense", after=AFTER[after]())
    chain = Chain(stack.unstack())
    ours = gradients(lambda x: weighted_sum(stack(x, training=True)), stack, y, mode)
    theirs = gradients(lambda x: weighted_sum(chain(x, training=True)), chain, y, mode)
    assert_same_gradients(ours, theirs, stack, chain.chain, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("mode", MODES[-1:])
@pytest.mark.parametrize("name", ["dropout"])
def test_gradients_over_several_steps(name, mode):
    stack, y, _ = stack_of(name, steps=3)
    chain = Chain(stack.unstack())
    ours = gradients(lambda x: _scalar(stack, name, x), stack, y, mode)
    theirs = gradients(lambda x: _scalar(chain, name, x), chain, y, mode)
    assert_same_gradients(ours, theirs, stack, chain.chain)


@pytest.mark.parametrize("name", FIELDS)
def test_from_layers_equals_the_stack_it_came_from(name):
    stack, _, call = stack_of(name)
    again = RKStack.from_layers(stack.unstack())
    assert (again.depth, again.dt, again.tableau) == (stack.depth, stack.dt, stack.tableau)
    assert_same_blocks(again, stack.unstack())
    results = [numpy(call(layer, "eager", True)) for layer in (again, stack)]
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("wrapped", [True, False], ids=["residual layers", "vector fields"])
@pytest.mark.parametrize("after", AFTER)
def test_from_layers_that_were_made_one_by_one(after, wrapped):
    fields = [dense(seed=n) for n in range(3)]
    layers = [RKResidual(f, "midpoint", "1/2", steps=2) for f in fields]
    norms = [AFTER[after]() for _ in layers]
    y = expected = normal(4, 3)
    for layer, norm in zip(layers, norms, strict=True):
        expected = layer(expected) if norm is None else norm(layer(expected))
    method = {} if wrapped else {"tableau": "midpoint", "dt": "1/2", "steps": 2}
    given = None if after == "nothing" else norms
    stack = RKStack.from_layers(layers if wrapped else fields, after=given, **method)
    np.testing.assert_allclose(numpy(stack(y)), numpy(expected), rtol=1e-5, atol=1e-6)


def test_from_layers_leaves_the_layers_alone():
    layers = [RKResidual(dense(seed=n), "heun2") for n in range(2)]
    chain = Chain(layers)
    before = numpy(chain(normal(4, 3)))
    stack = RKStack.from_layers(layers)
    for weight in stack.weights:
        weight.assign(ops.zeros(weight.shape))
    np.testing.assert_array_equal(numpy(chain(normal(4, 3))), before)


def test_unstacked_layers_are_copies():
    stack, y, _ = stack_of("dense")
    before = numpy(stack(y))
    for layer in stack.unstack():
        layer.set_weights([np.zeros_like(weight) for weight in layer.get_weights()])
    np.testing.assert_array_equal(numpy(stack(y)), before)


def test_unstacked_layers_have_the_arguments_of_the_stack():
    stack = RKStack(dense(), 2, "rk8", [0.5, "1/3"], 2, order=8, name="mine")
    stack.build((None, 3))
    layers = stack.unstack()
    seen = [SimpleNamespace(**layer.get_config()) for layer in layers]
    assert [config.dt for config in seen] == [0.5, "1/3"]
    assert [(config.steps, config.order) for config in seen] == [(2, 8)] * 2
    assert [layer.name for layer in layers] == ["mine_0", "mine_1"]


def test_depth_one_equals_one_layer():
    layer = RKResidual(dense(), "rk4", 0.5, steps=2)
    y = normal(4, 3)
    expected = numpy(layer(y))
    stack = RKStack.from_layers([layer])
    assert (stack.depth, tuple(stack(y).shape)) == (1, (4, 3))
    np.testing.assert_allclose(numpy(stack(y)), expected, rtol=1e-6, atol=1e-7)
