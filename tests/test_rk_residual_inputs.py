"""What else reaches f: further inputs, masks, `training`; dynamic shapes; dtypes."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rk.layers import RKResidual
from tests.keras_helpers import BACKEND, dense, float64, normal, numpy


def lengths_mask(lengths, size):
    return np.arange(size)[None] < np.array(lengths)[:, None]


class Conditioned(keras.layers.Layer):
    """A layer that cannot be built from the shape of y alone."""

    def build(self, y_shape, context_shape):
        self.own = self.add_weight((y_shape[-1], y_shape[-1]), initializer="glorot_normal")
        self.other = self.add_weight((context_shape[-1], y_shape[-1]), initializer="normal")

    def call(self, y, context, factor=1.0):
        return factor * ops.tanh(ops.matmul(y, self.own) + ops.matmul(context, self.other))

    def compute_output_shape(self, y_shape, context_shape):
        return y_shape


class Spy(keras.layers.Layer):
    """Remembers how it was called."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.seen = []

    def call(self, y, mask=None, training=None):
        self.seen = [*self.seen, (None if mask is None else numpy(mask), training, y.dtype)]
        return -y

    def compute_output_shape(self, input_shape):
        return input_shape


def midpoint(f, y):
    y = ops.convert_to_tensor(y)
    return numpy(y + f(y + 0.5 * f(y)))


@pytest.mark.parametrize("how", ["position", "keyword"])
def test_further_inputs_are_constant_over_the_stages(how):
    f = Conditioned()
    y, c = normal(2, 3), ops.convert_to_tensor(normal(2, 5, seed=1))
    layer = RKResidual(f, "midpoint")
    result = layer(y, c) if how == "position" else layer(y, context=c)
    np.testing.assert_allclose(numpy(result), midpoint(lambda y: f(y, c), y), rtol=1e-5)


def test_tensors_by_position_and_options_by_keyword():
    f = Conditioned()
    y, c = normal(2, 3), ops.convert_to_tensor(normal(2, 5, seed=1))
    result = RKResidual(f, "midpoint")(y, c, factor=0.5)
    np.testing.assert_allclose(numpy(result), midpoint(lambda y: f(y, c, factor=0.5), y), rtol=1e-5)


def test_further_inputs_in_a_functional_model_survive_saving(tmp_path):
    y, context = keras.Input((3,)), keras.Input((5,))
    layer = RKResidual(Conditioned(), "rk4")
    model = keras.Model([y, context], layer(y, context=context))
    assert [tuple(weight.shape) for weight in layer.weights] == [(3, 3), (5, 3)]
    inputs = [normal(2, 3), normal(2, 5)]
    model.save(tmp_path / "model.keras")
    scope = {"Conditioned": Conditioned}
    loaded = keras.models.load_model(tmp_path / "model.keras", custom_objects=scope)
    np.testing.assert_array_equal(
        loaded.predict(inputs, verbose=0), model.predict(inputs, verbose=0)
    )


def test_a_layer_that_needs_the_further_inputs_builds_from_its_build_config():
    layer = RKResidual(Conditioned())
    layer(normal(2, 3), context=ops.convert_to_tensor(normal(2, 5)))
    with keras.saving.custom_object_scope({"Conditioned": Conditioned}):
        revived = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert revived.built
    assert [weight.shape for weight in revived.weights] == [w.shape for w in layer.weights]


def test_nested_further_inputs():
    class Pair(keras.layers.Layer):
        def call(self, y, pair):
            return y * pair["scale"] + pair["shift"]

    pair = {"scale": ops.convert_to_tensor([2.0]), "shift": ops.convert_to_tensor([1.0])}
    np.testing.assert_allclose(numpy(RKResidual(Pair(), "euler")(np.ones((1, 1)), pair)), [[4.0]])


@pytest.mark.parametrize("training", [True, False])
def test_training_reaches_every_stage(training):
    spy = Spy()
    layer = RKResidual(spy, "rk4")
    layer.build((None, 3))
    layer(normal(2, 3), training=training)
    assert [seen[1] for seen in spy.seen] == [training] * 4


@pytest.mark.parametrize("explicit", [True, False], ids=["argument", "attached"])
def test_a_mask_reaches_every_stage(explicit):
    spy, mask = Spy(), lengths_mask([2, 4], 4)
    layer = RKResidual(spy, "rk4")
    layer.build((None, 4, 3))
    y = normal(2, 4, 3)
    if explicit:
        layer(y, mask=ops.convert_to_tensor(mask))
    else:
        y[~mask] = 0
        layer(keras.layers.Masking()(y))
    assert len(spy.seen) == 4
    assert all(np.array_equal(seen[0], mask) for seen in spy.seen)


@pytest.mark.parametrize("wrapped", [False, True], ids=["lstm", "model"])
def test_masked_lstm_equals_the_formula(wrapped):
    lstm = keras.layers.LSTM(3, return_sequences=True, zero_output_for_mask=True)
    f = keras.Sequential([lstm]) if wrapped else lstm
    y, mask = normal(2, 5, 3), ops.convert_to_tensor(lengths_mask([2, 5], 5))
    expected = midpoint(lambda y: lstm(y, mask=mask), y)
    result = numpy(RKResidual(f, "midpoint")(y, mask=mask))
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(result[0, 2:], y[0, 2:])  # masked time does not move


def test_a_mask_reaches_attention_in_a_layer_without_mask_argument():
    class SelfAttention(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.supports_masking = True
            self.attention = keras.layers.MultiHeadAttention(1, 2)

        def build(self, shape):
            self.attention.build(shape, shape)

        def call(self, y):
            return self.attention(y, y)

        def compute_output_shape(self, shape):
            return shape

    y, mask = normal(2, 4, 3), lengths_mask([2, 4], 4)
    y[~mask] = 0
    layer = RKResidual(SelfAttention(), "heun2")
    short = numpy(layer(y[:1, :2]))
    masked = numpy(layer(keras.layers.Masking()(y)))
    np.testing.assert_allclose(masked[:1, :2], short, rtol=1e-5, atol=1e-6)


def test_an_attached_mask_reaches_f_beside_further_inputs():
    class Beside(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.supports_masking = True
            self.masks = []

        def call(self, y, context, y_mask=None):
            self.masks = [*self.masks, y_mask]
            return -y

        def compute_output_shape(self, y_shape, context_shape):
            return y_shape

    f, mask = Beside(), lengths_mask([2, 4], 4)
    y, context = normal(2, 4, 3), ops.convert_to_tensor(normal(2, 1))
    y[~mask] = 0
    layer = RKResidual(f, "rk4")
    layer(y, context)
    f.masks = []
    layer(keras.layers.Masking()(y), context)
    assert len(f.masks) == 4
    assert all(np.array_equal(numpy(seen), mask) for seen in f.masks)


def test_the_mask_is_passed_on():
    inputs = keras.Input((None,), dtype="int32")
    y = keras.layers.Embedding(5, 3, mask_zero=True)(inputs)
    y = RKResidual(dense(3), "heun2")(y)
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling1D()(y))
    short, padded = np.array([[1, 2]]), np.array([[1, 2, 0, 0]])
    np.testing.assert_allclose(
        model.predict(padded, verbose=0), model.predict(short, verbose=0), rtol=1e-5
    )


@pytest.mark.parametrize("shape", [(2, 3, 4), (5, 3, 4), (2, 9, 4)])
def test_dynamic_batch_and_length(shape):
    y = keras.Input((None, 4))
    f = keras.layers.Conv1D(4, 3, padding="same")
    model = keras.Model(y, RKResidual(f, "midpoint")(y))
    assert model.output_shape == (None, None, 4)
    np.testing.assert_allclose(
        model.predict(normal(*shape), verbose=0), midpoint(f, normal(*shape)), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        ("mixed_bfloat16", "mixed_bfloat16"),
        ("mixed_bfloat16", "float32"),
        ("float32", "mixed_bfloat16"),
        ("float32", "bfloat16"),
        ("bfloat16", "bfloat16"),
    ],
)
def test_f_runs_in_its_policy_and_the_output_has_the_layers(outer, inner):
    spy = Spy(dtype=inner)
    layer = RKResidual(spy, "rk4", dtype=outer)
    y = ops.convert_to_tensor(normal(2, 3))
    result = layer(y)
    standard = keras.backend.standardize_dtype
    assert {standard(seen[2]) for seen in spy.seen} == {spy.compute_dtype}
    assert standard(result.dtype) == layer.compute_dtype
    assert layer(keras.KerasTensor((2, 3))).dtype == layer.compute_dtype


def test_many_small_steps_add_up_in_bfloat16():
    f = keras.layers.Rescaling(0.3, dtype="bfloat16")
    result = RKResidual(f, "euler", "1/50", steps=50, dtype="bfloat16")(np.ones((1, 1)))
    np.testing.assert_allclose(numpy(result).astype("float32"), (1 + 0.3 / 50) ** 50, rtol=1e-2)


def test_a_mixed_policy_does_not_round_the_weights_of_f():
    """A variable reads in the compute dtype of the layer around it, unless one looks closer."""
    f = dense(3, dtype="float32")
    y = ops.cast(ops.convert_to_tensor(normal(2, 3)), "bfloat16")
    expected = ops.cast(ops.cast(y, "float32") + f(y), "bfloat16")
    result = RKResidual(f, "euler", dtype="mixed_bfloat16")(y)
    np.testing.assert_array_equal(
        numpy(ops.cast(result, "float32")), numpy(ops.cast(expected, "float32"))
    )
    assert not np.array_equal(
        numpy(f.kernel), numpy(ops.cast(ops.cast(f.kernel, "bfloat16"), "float32"))
    )


def test_float64():
    with float64():
        layer = RKResidual(keras.layers.Rescaling(1.0, dtype="float64"), "euler", dtype="float64")
        result = layer(ops.convert_to_tensor([[1e-12]], dtype="float64") + 1)
        assert keras.backend.standardize_dtype(result.dtype) == "float64"
        assert numpy(result)[0, 0] == 2 + 2e-12


@pytest.mark.skipif(BACKEND != "jax", reason="float64 needs a switch on JAX only")
def test_float64_without_x64_says_what_to_set():
    with pytest.warns(UserWarning, match="x64"), pytest.raises(ValueError, match="JAX_ENABLE_X64"):
        RKResidual(dense(3, dtype="float64"), dtype="float64")(normal(2, 3))
