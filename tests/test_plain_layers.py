"""Keras's own layers as blocks: what RKStack makes without serializing is what Keras would make."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_rk.field.plain_layers import (
    PLAIN_LAYERS,
    arguments_of,
    assigns_to_no_weight,
    of_one_kind,
)
from keras_rk.layers import RKResidual, RKStack
from keras_rk.layers.blocks import BlockMaker, with_seeds

from .keras_helpers import dense, numpy

L = keras.layers
OTHER_ARGUMENTS = {
    "Activation": [{"activation": "gelu"}],
    "BatchNormalization": [{"momentum": 0.5, "scale": False, "gamma_constraint": "non_neg"}],
    "Conv1D": [{"filters": 4, "kernel_size": 3, "padding": "causal", "dilation_rate": 2}],
    "Conv2D": [
        {
            "filters": 4,
            "kernel_size": (3, 5),
            "padding": "same",
            "groups": 2,
            "activation": "tanh",
            "kernel_initializer": keras.initializers.HeNormal(seed=3),
            "bias_initializer": "random_normal",
            "kernel_regularizer": keras.regularizers.L2(0.1),
            "data_format": "channels_first",
        }
    ],
    "Conv3D": [{"filters": 4, "kernel_size": 3, "strides": 2, "use_bias": False}],
    "Dense": [
        {"units": 4, "dtype": "mixed_bfloat16", "name": "f", "trainable": False},
        {"units": 4, "activity_regularizer": "l1", "bias_constraint": keras.constraints.MaxNorm(2)},
        {"units": 4, "kernel_initializer": keras.initializers.Orthogonal(gain=0.1), "lora_rank": 2},
    ],
    "DepthwiseConv1D": [{"kernel_size": 3, "depth_multiplier": 2}],
    "DepthwiseConv2D": [{"kernel_size": 3, "depthwise_initializer": "he_uniform"}],
    "Dropout": [{"rate": 0.3, "noise_shape": (None, 1)}, {"rate": 0.3, "seed": 4}],
    "GaussianDropout": [{"rate": 0.3, "seed": 5}],
    "GaussianNoise": [{"stddev": 0.3}],
    "GroupNormalization": [{"groups": -1, "epsilon": 0.1}],
    "LayerNormalization": [{"axis": [1, 2], "center": False}],
    "LeakyReLU": [{"negative_slope": 0.2}],
    "PReLU": [{"shared_axes": [1], "alpha_initializer": "glorot_uniform"}],
    "ReLU": [{"max_value": 6.0, "threshold": 0.1}],
    "RMSNormalization": [{"epsilon": 0.1}],
    "SeparableConv1D": [{"filters": 4, "kernel_size": 3, "pointwise_initializer": "he_normal"}],
    "SeparableConv2D": [{"filters": 4, "kernel_size": 3, "activation": "relu"}],
    "Softmax": [{"axis": -2}],
    "UnitNormalization": [{"axis": 1}],
}
CASES = [(name, kwargs) for name, several in OTHER_ARGUMENTS.items() for kwargs in several]


def test_each_plain_layer_is_tested():
    assert {kind.__name__ for kind in PLAIN_LAYERS} == set(OTHER_ARGUMENTS)


@pytest.mark.parametrize("seed", [None, 7])
@pytest.mark.parametrize(("name", "kwargs"), CASES)
def test_a_block_is_what_its_configuration_says(name, kwargs, seed):
    layer = getattr(L, name)(**kwargs)
    assert arguments_of(layer) is not None
    maker, config = BlockMaker(layer, seed, "layer"), keras.saving.serialize_keras_object(layer)
    assert maker.config == config
    assert keras.saving.serialize_keras_object(maker.copy()) == config
    expected = with_seeds(config, seed, 3)
    assert keras.saving.serialize_keras_object(maker.make(3)) == expected


class Own(L.Dense):
    """Not what its attributes say."""

    def __init__(self, units, **kwargs):
        super().__init__(2 * units, **kwargs)


class OwnInitializer(keras.initializers.Initializer):
    def __call__(self, shape, dtype=None):
        return keras.ops.ones(shape, dtype)


def built():
    layer = L.Dense(4)
    layer.build((None, 4))
    return layer


@pytest.mark.parametrize(
    "make",
    [
        lambda: Own(2),
        lambda: L.Dense(4, activation=lambda x: x),
        lambda: L.Dense(4, activation=keras.ops.sin),
        lambda: L.Dense(4, activation=L.PReLU()),
        lambda: L.Dense(4, kernel_initializer=OwnInitializer()),
        lambda: L.Dense(4, dtype="int8_from_float32"),
        lambda: keras.Sequential([L.Dense(4)]),
        built,
    ],
)
def test_what_only_the_configuration_tells_is_left_to_it(make):
    assert arguments_of(make()) is None


def test_the_configuration_is_that_of_the_construction():
    layer = L.Dense(4, activation="tanh", name="f")
    stack = RKStack(layer, 3)
    before = keras.saving.serialize_keras_object(layer)
    layer.units = 5
    layer.build((None, 4))
    assert stack.get_config()["layer"] == before
    stack.build((None, 4))
    assert stack.get_config()["layer"] == before


def test_blocks_are_drawn_independently():
    stack = RKStack(L.Dense(16, bias_initializer="random_normal"), 4, seed=1)
    stack.build((None, 16))
    kernels = numpy(stack.weights[0])
    assert len(np.unique(kernels)) == kernels.size
    limit = np.sqrt(6 / 32)
    assert 0.95 * limit < np.abs(kernels).max() <= limit  # as for one kernel, not for a stack


@pytest.mark.parametrize(
    ("first", "other", "same"),
    [
        (lambda: dense(4), lambda: dense(4, seed=1, name="other"), True),
        (lambda: L.Dropout(0.5, seed=1), lambda: L.Dropout(0.5, seed=2), True),
        (lambda: dense(4), lambda: dense(4, activation="relu"), False),
        (lambda: dense(4), lambda: dense(4, dtype="float16"), False),
        (lambda: dense(4), lambda: dense(4, trainable=False), False),
        (lambda: L.ReLU(), lambda: L.LeakyReLU(), False),
        (lambda: Own(2), lambda: Own(2), False),  # not known
    ],
)
def test_one_kind(first, other, same):
    assert of_one_kind(first(), other()) is same


class Mine(keras.layers.Layer):
    def call(self, y):
        return y


@pytest.mark.parametrize(
    "layers, expected",
    [
        ([L.Dense(3), L.BatchNormalization(), L.Dropout(0.5)], True),
        ([L.Dense(3), Mine()], False),
        ([L.Lambda(lambda y: y)], False),
        ([L.SpectralNormalization(L.Dense(3))], False),
        ([L.TimeDistributed(L.SpectralNormalization(L.Dense(3)))], False),
        ([RKStack(L.Dense(3), 2)], False),
    ],
    ids=["Keras's", "a subclass", "a function", "assigning", "further inside", "ours"],
)
def test_which_layers_assign_to_no_weight(layers, expected):
    assert assigns_to_no_weight(keras.Sequential(layers)) is expected


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("dt", [1, 0.25])
def test_a_step_of_such_layers_is_what_the_pure_function_gives(dt, training):
    """With outputs, losses and what is left in the variables; on PyTorch it is called plainly."""

    def block(*more):
        f = [
            L.Dense(
                3, kernel_initializer=keras.initializers.HeNormal(1), activity_regularizer="l2"
            ),
            L.BatchNormalization(),
            L.Dropout(0.5, seed=1),
            *more,
        ]
        block = RKResidual(keras.Sequential(f), "euler", dt=dt)
        y = keras.ops.convert_to_tensor(np.random.default_rng(0).normal(size=(4, 3)), "float32")
        found = [numpy(block(y, training=training)) for _ in range(2)]
        state = [numpy(v) for v in block.variables]
        return [*found, *state, numpy(sum(block.losses))]

    for one, other in zip(block(), block(Mine()), strict=True):
        np.testing.assert_array_equal(one, other)
