"""What a stack is called with and what it returns: masks, states on the way, dtypes."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rk.layers import RKResidual, RKStack
from tests.keras_helpers import BACKEND, MODES, Chain, call_in, dense, float64, normal, numpy


def lengths_mask(lengths, size):
    return np.arange(size)[None] < np.array(lengths)[:, None]


def lstm():
    return keras.layers.LSTM(3, return_sequences=True, zero_output_for_mask=True)


def attention():
    y = keras.Input((None, 3))
    return keras.Model(y, keras.layers.MultiHeadAttention(1, 2)(y, y))


class CountsWhatIsMasked(keras.layers.Layer):
    """Adds one where the mask is set."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, y, mask=None):
        return y if mask is None else y + ops.cast(mask, y.dtype)[..., None]


class LessMean(keras.layers.Layer):
    """y less its mean over time, of which masked steps are no part; they do not move."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, y, mask=None):
        weights = ops.ones_like(y) if mask is None else ops.cast(mask, y.dtype)[..., None]
        total = ops.sum(weights * y, axis=1, keepdims=True)
        return weights * (y - total / ops.sum(weights, axis=1, keepdims=True))


# JAX compiles each operation of a recurrent layer by itself unless it is told to compile all.
QUICK = "jit" if BACKEND == "jax" else "eager"


@pytest.mark.parametrize("attached", [True, False], ids=["attached", "argument"])
@pytest.mark.parametrize(("make", "steps"), [(lstm, 1), (LessMean, 2)])
def test_a_mask_reaches_every_block(make, steps, attached):
    stack = RKStack(make(), 2, "midpoint", [0.5, 2], steps)
    y, mask = normal(2, 5, 3), lengths_mask([2, 5], 5)
    y[~mask] = 0
    stack.build((None, 5, 3))
    chain = Chain(stack.unstack())
    expected = numpy(call_in(QUICK, chain, y, mask=ops.convert_to_tensor(mask)))
    assert not np.allclose(expected, numpy(call_in(QUICK, chain, y)))
    if attached:
        model = keras.Sequential([keras.Input((5, 3)), keras.layers.Masking(), stack])
        result = model.predict(y, verbose=0)
    else:
        result = numpy(call_in(QUICK, stack, y, mask=ops.convert_to_tensor(mask)))
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(result[0, 2:], 0)  # does not move


@pytest.mark.filterwarnings("ignore:.*does not support masking")  # its layers see it all the same
def test_a_mask_reaches_attention_in_a_model():
    inputs = keras.Input((None, 3))
    stack = RKStack(attention(), 2, "heun2", after=keras.layers.LayerNormalization())
    model = keras.Model(inputs, stack(keras.layers.Masking()(inputs)))
    y = normal(2, 4, 3)
    y[0, 2:] = 0
    short = model.predict(y[:1, :2], verbose=0)
    result = model.predict(y, verbose=0)
    np.testing.assert_allclose(result[:1, :2], short, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("where", ["layer", "after"])
def test_a_mask_reaches_what_takes_it_by_name(where, mode):
    parts = {"layer": keras.layers.Rescaling(0.0), "after": None, where: CountsWhatIsMasked()}
    stack = RKStack(parts["layer"], 3, "euler", after=parts["after"])
    mask = ops.convert_to_tensor(lengths_mask([1, 3], 3))
    y = np.zeros((2, 3, 1), "float32")
    stack.build(y.shape)
    result = numpy(call_in(mode, stack, y, mask=mask))
    growth = 3 if where == "after" else 7  # y + (y + 1), three times
    np.testing.assert_array_equal(result[..., 0], growth * numpy(mask))


@pytest.mark.parametrize("after", [None, "layer normalization"])
def test_the_mask_of_an_embedding_is_passed_on(after):
    inputs = keras.Input((None,), dtype="int32")
    y = keras.layers.Embedding(5, 3, mask_zero=True)(inputs)
    y = RKStack(LessMean(), 2, "heun2", after=after and keras.layers.LayerNormalization())(y)
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling1D()(y))
    short, padded = np.array([[1, 2]]), np.array([[1, 2, 0, 0]])
    np.testing.assert_allclose(
        model.predict(padded, verbose=0), model.predict(short, verbose=0), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("after", [None, "layer normalization"])
def test_states_of_a_stack(after, mode):
    after = after and keras.layers.LayerNormalization()
    stack = RKStack(dense(), 3, "rk4", [0.5, 1, 2], 2, after=after, return_states=True)
    y = normal(4, 3)
    stack.build(y.shape)
    expected = [y]
    for layer in stack.unstack():
        expected.append(numpy(layer(expected[-1])))
    result = numpy(call_in(mode, stack, y))
    np.testing.assert_allclose(result, np.stack(expected, axis=1), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("steps", [1, 3])
def test_states_of_a_residual_layer(steps, mode):
    f, y = dense(), normal(4, 3)
    layer = RKResidual(f, "rk4", 0.5, steps, return_states=True)
    layer.build(y.shape)
    expected = [y]
    for _ in range(steps):
        expected.append(numpy(RKResidual(f, "rk4", 0.5)(expected[-1])))
    result = numpy(call_in(mode, layer, y))
    np.testing.assert_allclose(result, np.stack(expected, axis=1), rtol=1e-5, atol=1e-5)


# name: a layer with `return_states` that returns four states
WITH_STATES = {
    "stack": lambda: RKStack(dense(), 3, "heun2", return_states=True),
    "residual layer": lambda: RKResidual(dense(), "heun2", steps=3, return_states=True),
}


@pytest.mark.parametrize("make", WITH_STATES.values(), ids=WITH_STATES)
def test_states_of_a_symbolic_call(make):
    layer = make()
    assert layer(keras.KerasTensor((None, 7, 3))).shape == (None, 4, 7, 3)
    assert layer.compute_output_shape((None, 7, 3)) == (None, 4, 7, 3)
    assert layer.compute_mask(None, np.ones((2, 7), bool)) is None


@pytest.mark.parametrize("make", WITH_STATES.values(), ids=WITH_STATES)
def test_states_in_a_model(make):
    y = keras.Input((3,))
    states = make()(y)
    model = keras.Model(y, [states, keras.layers.Dense(1)(states)])
    x = normal(5, 3)
    states, heads = model.predict(x, batch_size=2, verbose=0)  # the last batch is smaller
    assert (states.shape, heads.shape) == ((5, 4, 3), (5, 4, 1))
    np.testing.assert_array_equal(states[:, 0], x)
    whole = model.predict(x, batch_size=5, verbose=0)[0]
    np.testing.assert_allclose(states, whole, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", WITH_STATES.values(), ids=WITH_STATES)
def test_training_on_the_states(make):
    model = keras.Sequential([keras.Input((3,)), make()])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    target = np.tile(normal(8, 1, 3), (1, 4, 1))
    history = model.fit(normal(8, 3), target, epochs=3, verbose=0).history["loss"]
    assert history[-1] < history[0]


@pytest.mark.parametrize("shape", [(2, 3, 4), (5, 3, 4), (2, 9, 4)])
def test_dynamic_batch_and_length(shape):
    y = keras.Input((None, 4))
    stack = RKStack(keras.layers.Conv1D(4, 3, padding="same"), 2, "midpoint")
    model = keras.Model(y, stack(y))
    assert model.output_shape == (None, None, 4)
    expected = numpy(Chain(stack.unstack())(normal(*shape)))
    np.testing.assert_allclose(
        model.predict(normal(*shape), verbose=0), expected, rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        ("mixed_bfloat16", "mixed_bfloat16"),
        ("mixed_bfloat16", "float32"),
        ("float32", "mixed_bfloat16"),
        ("mixed_float16", "float16"),
        ("bfloat16", "bfloat16"),
    ],
)
def test_f_runs_in_its_policy_and_the_output_has_the_stacks(outer, inner, mode):
    stack = RKStack(dense(dtype=inner), 3, "heun2", dtype=outer)
    y = normal(4, 3)
    stack.build(y.shape)
    assert {weight.dtype for weight in stack.weights} == {stack.layer.variable_dtype}
    result = call_in(mode, stack, y)
    assert keras.backend.standardize_dtype(result.dtype) == stack.compute_dtype
    assert stack(keras.KerasTensor((2, 3))).dtype == stack.compute_dtype
    exact = RKStack(dense(), 3, "heun2")
    exact.build(y.shape)
    exact.set_weights([numpy(ops.cast(weight, "float32")) for weight in stack.weights])
    np.testing.assert_allclose(
        numpy(ops.cast(result, "float32")), numpy(exact(y)), rtol=0.05, atol=0.05
    )


def test_a_mixed_policy_does_not_round_the_weights_of_f():
    stack = RKStack(dense(dtype="float32"), 3, "heun2", dtype="mixed_bfloat16")
    exact = RKStack(dense(dtype="float32"), 3, "heun2")
    y = ops.cast(ops.convert_to_tensor(normal(2, 3)), "bfloat16")
    result, expected = (layer(y) for layer in (stack, exact))
    np.testing.assert_array_equal(
        numpy(ops.cast(result, "float32")),
        numpy(ops.cast(ops.cast(expected, "bfloat16"), "float32")),
    )


def test_many_blocks_add_up_in_bfloat16():
    f = keras.layers.Rescaling(0.3, dtype="bfloat16")
    result = RKStack(f, 50, "euler", "1/50", dtype="bfloat16")(np.ones((1, 1)))
    np.testing.assert_allclose(numpy(result).astype("float32"), (1 + 0.3 / 50) ** 50, rtol=1e-2)


def test_float64():
    with float64():
        f = keras.layers.Rescaling(1.0, dtype="float64")
        stack = RKStack(f, 2, "euler", [1, 1e-9], dtype="float64")
        result = stack(ops.convert_to_tensor([[1.0]], dtype="float64"))
        assert keras.backend.standardize_dtype(result.dtype) == "float64"
        assert numpy(result)[0, 0] == pytest.approx(2 * (1 + 1e-9), abs=1e-15)
