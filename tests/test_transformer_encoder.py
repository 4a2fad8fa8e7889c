"""Encoder layers of transformers as Runge-Kutta steps, beside the formulas and beside KerasHub."""

import keras
import numpy as np
import pytest
from keras import ops
from keras.src.testing import TestCase

from keras_rk import TableauError, unroll, with_method
from keras_rk.layers import RKTransformerEncoder

from .keras_helpers import MODES, call_in, normal, numpy, slow

layers = keras.layers
X = normal(3, 5, 8)
PADDING = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 1, 0, 0, 0]], "bool")
CAUSAL = np.tril(np.ones((3, 5, 5), "bool"))
MASKS = {
    "no mask": {},
    "padding": {"padding_mask": PADDING},
    "causal": {"attention_mask": CAUSAL},
    "both": {"padding_mask": PADDING, "attention_mask": CAUSAL},
}
first = pytest.mark.parametrize("normalize_first", [True, False], ids=["pre-norm", "post-norm"])
split = pytest.mark.parametrize("split", [True, False], ids=["split", "one field"])


@keras.saving.register_keras_serializable(package="test_transformer_encoder")
class Encoder(layers.Layer):
    """An encoder layer as KerasHub and text-books have it, without masks of its own."""

    def __init__(self, normalize_first, intermediate_dim=16, num_heads=2, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.normalize_first, self.dropout = normalize_first, dropout
        self.intermediate_dim, self.num_heads = intermediate_dim, num_heads
        self.supports_masking = True

    def build(self, input_shape):
        size = input_shape[-1]
        self.attention = layers.MultiHeadAttention(self.num_heads, size // self.num_heads)
        self.norms = [layers.LayerNormalization(epsilon=1e-3) for _ in range(2)]
        self.dense = [layers.Dense(self.intermediate_dim, "gelu"), layers.Dense(size)]
        self.attention.build(input_shape, input_shape)
        for layer in (*self.norms, self.dense[0]):
            layer.build(input_shape)
        self.dense[1].build((*input_shape[:-1], self.intermediate_dim))
        self.built = True

    def A(self, y, mask=None):
        x = self.norms[0](y) if self.normalize_first else y
        return self.attention(x, x, attention_mask=mask)

    def G(self, y):
        x = self.norms[1](y) if self.normalize_first else y
        return self.dense[1](self.dense[0](x))

    def call(self, y, mask=None):
        if self.normalize_first:
            z = y + self.A(y, mask)
            return z + self.G(z)
        z = self.norms[0](y + self.A(y, mask))
        return self.norms[1](z + self.G(z))

    def get_config(self):
        return {
            **super().get_config(),
            "intermediate_dim": self.intermediate_dim,
            "num_heads": self.num_heads,
            "dropout": self.dropout,
            "activation": "gelu",
            "layer_norm_epsilon": 1e-3,
            "kernel_initializer": "glorot_uniform",
            "bias_initializer": "zeros",
            "normalize_first": self.normalize_first,
        }


def trained(encoder, seed=0):
    """An encoder whose weights are far from those of a new one."""
    encoder(X)
    rng = np.random.default_rng(seed)
    for variable in encoder.trainable_variables:
        variable.assign(0.5 * rng.normal(size=variable.shape) + (variable.name == "gamma"))
    return encoder


def merged(padding_mask=None, attention_mask=None):
    mask = np.ones((3, 5, 5), "bool")
    mask = mask if padding_mask is None else mask & padding_mask[:, None]
    return mask if attention_mask is None else mask & attention_mask


@pytest.mark.parametrize("mode", MODES)
@split
@first
def test_euler_is_the_encoder_layer(normalize_first, split, mode):
    encoder = trained(Encoder(normalize_first))
    ours = RKTransformerEncoder.from_encoder(encoder, "euler", split=split)
    found, expected = (numpy(call_in(mode, layer, X)) for layer in (ours, encoder))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("masks", MASKS)
@first
def test_masks_are_those_of_attention(normalize_first, masks):
    encoder = trained(Encoder(normalize_first))
    ours = RKTransformerEncoder.from_encoder(encoder, "euler")
    expected = numpy(encoder(X, mask=merged(**MASKS[masks])))
    np.testing.assert_allclose(numpy(ours(X, **MASKS[masks])), expected, rtol=1e-5, atol=1e-5)
    if masks != "no mask":
        assert np.abs(numpy(encoder(X)) - expected).max() > 1e-2


def heun(f, y, dt):
    k = f(y)
    return y + 0.5 * dt * (k + f(y + dt * k))


def by_hand(encoder, y, dt, split):
    """Two steps of Heun's method, along the fields of the docstring."""

    def twice(f, y):
        return heun(f, heun(f, y, dt), dt)

    def both(y):
        if encoder.normalize_first:
            return encoder.A(y) + encoder.G(y + encoder.A(y))
        z = encoder.norms[0](y + encoder.A(y))
        return z - y + encoder.G(z)

    norms = [lambda y: y] * 2 if encoder.normalize_first else encoder.norms
    if split:
        return norms[1](twice(encoder.G, norms[0](twice(encoder.A, y))))
    return norms[1](twice(both, y))


@split
@first
def test_steps_of_other_methods_follow_the_fields(normalize_first, split):
    encoder = trained(Encoder(normalize_first))
    ours = RKTransformerEncoder.from_encoder(encoder, "heun2", 0.5, 2, split=split)
    expected = numpy(by_hand(encoder, ops.convert_to_tensor(X), 0.5, split))
    np.testing.assert_allclose(numpy(ours(X)), expected, rtol=1e-4, atol=1e-4)


@split
@first
def test_keras_hub(normalize_first, split):
    keras_hub = pytest.importorskip("keras_hub")
    theirs = keras_hub.layers.TransformerEncoder(
        16, 2, dropout=0.1, activation="gelu", normalize_first=normalize_first, name="theirs"
    )
    ours = RKTransformerEncoder.from_encoder(trained(theirs), "euler", split=split)
    assert ours.name == "theirs"
    assert ours.count_params() == theirs.count_params()
    for masks in MASKS.values():
        found, expected = (numpy(layer(X, **masks)) for layer in (ours, theirs))
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    tokens = np.where(PADDING, np.arange(5) + 1, 0)
    y = keras.Input((5,), dtype="int32")
    embedded = layers.Embedding(7, 8, mask_zero=True)(y)
    models = [keras.Model(y, layers.GlobalAveragePooling1D()(e(embedded))) for e in (ours, theirs)]
    found, expected = (numpy(model(tokens)) for model in models)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


CONFORMANCE = {
    # name: arguments, trainable weights, seed generators
    "default": ({}, 16, 0),
    "split": ({"split": True, "normalize_first": True, "tableau": "heun2", "steps": 2}, 16, 0),
    "dropout": ({"split": True, "dropout": 0.1, "tableau": "euler"}, 16, 3),
    "learned": ({"normalize_first": True, "dt": "1/2", "trainable_dt": True}, 17, 0),
}


@pytest.mark.parametrize("name", ["default", *slow("split", "dropout", "learned")])
def test_run_layer_test(name):
    arguments, weights, seeds = CONFORMANCE[name]
    TestCase().run_layer_test(
        RKTransformerEncoder,
        init_kwargs={"intermediate_dim": 6, "num_heads": 2, **arguments},
        input_shape=(2, 3, 4),
        expected_output_shape=(2, 3, 4),
        expected_num_trainable_weights=weights,
        expected_num_non_trainable_weights=0,
        expected_num_seed_generators=seeds,
        expected_num_losses=0,
        supports_masking=True,
    )


def model_with(layer, dtype="float32"):
    y = keras.Input((5, 8), dtype=dtype)
    padding = keras.Input((5,), dtype="bool")
    return keras.Model([y, padding], layers.Dense(1)(layer(y, padding_mask=padding)))


@split
@first
def test_models_are_saved_and_unrolled(normalize_first, split, tmp_path):
    encoder = trained(Encoder(normalize_first))
    model = model_with(RKTransformerEncoder.from_encoder(encoder, "rk4", "1/3", split=split))
    expected = numpy(model([X, PADDING]))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(numpy(loaded([X, PADDING])), expected, rtol=1e-6, atol=1e-6)
    plain = unroll(model)
    assert "keras_rk" not in plain.to_json()
    np.testing.assert_allclose(numpy(plain([X, PADDING])), expected, rtol=1e-5, atol=1e-5)


def test_it_trains_with_dropout_and_masks():
    layer = RKTransformerEncoder(16, 2, "heun2", split=True, dropout=0.2)
    model = model_with(layer)
    model.compile(keras.optimizers.SGD(0.1), "mse")
    before = layer.get_weights()
    model.fit([X, PADDING], np.ones((3, 5, 1)), epochs=2, verbose=0)
    # the bias of keys shifts all scores alike, so attention does not depend on it
    still = [np.abs(a - b).max() < 1e-6 for a, b in zip(before, layer.get_weights(), strict=True)]
    assert sum(still) <= 1


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "float16"])
def test_half_precision(policy):
    encoder = trained(Encoder(True))
    exact = RKTransformerEncoder.from_encoder(encoder, "heun2", 0.5)
    half = RKTransformerEncoder.from_encoder(encoder, "heun2", 0.5, dtype=policy)
    found = half(X)
    assert keras.backend.standardize_dtype(found.dtype) == policy.removeprefix("mixed_")
    found = numpy(ops.cast(found, "float32"))
    np.testing.assert_allclose(found, numpy(exact(X)), rtol=0.1, atol=0.2)


def test_weights_differ_where_they_are_drawn_for_themselves():
    layer = RKTransformerEncoder(8, 2, kernel_initializer="glorot_uniform")
    layer.build((None, 5, 8))
    kernels = [numpy(v.value).ravel() for v in layer.weights if "kernel" in v.name]
    assert len({kernel[:8].tobytes() for kernel in kernels}) == len(kernels) == 6


def test_an_implicit_tableau_is_refused_at_construction():
    with pytest.raises(TableauError, match="explicit"):
        RKTransformerEncoder(16, 2, ([["1/2"]], [1]))


REFUSED = {
    "an argument": (lambda: RKTransformerEncoder(16, 2, heads=3), "no argument `heads`"),
    "heads": (lambda: RKTransformerEncoder(16, 0), "`num_heads` must be"),
    "channels": (lambda: RKTransformerEncoder(16, 9)(X), "at least one channel for each head"),
    "no layer": (lambda: RKTransformerEncoder.from_encoder("bert"), "'bert' .of type str"),
    "not built": (lambda: RKTransformerEncoder.from_encoder(Encoder(True)), "not built"),
    "another layer": (
        lambda: RKTransformerEncoder.from_encoder(trained(layers.Dense(8, name="d"))),
        "'d' of type Dense without intermediate_dim",
    ),
}


@pytest.mark.parametrize("make, message", REFUSED.values(), ids=REFUSED)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@split
def test_with_method_changes_it(split):
    encoder = trained(Encoder(False))
    layer = RKTransformerEncoder.from_encoder(
        encoder, "euler", trainable_dt=True, split=split, name="encoder"
    )
    model = model_with(layer)
    model([X, PADDING])
    finer = with_method(model, "heun2", dt=0.5, blocks="encoder")
    expected = RKTransformerEncoder.from_encoder(encoder, "heun2", 0.5, split=split)
    found = finer.get_layer("encoder")
    assert found.get_config()["dt"] == 0.5
    np.testing.assert_allclose(numpy(found(X)), numpy(expected(X)), rtol=1e-5, atol=1e-5)
    copy = unroll(model, copy_weights=True)
    np.testing.assert_allclose(
        numpy(copy([X, PADDING])), numpy(model([X, PADDING])), rtol=1e-5, atol=1e-5
    )
