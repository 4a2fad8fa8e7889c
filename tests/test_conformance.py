"""Keras's own checks of a layer: serialisation, symbolic and eager calls, training, precision."""

import keras
import pytest
from keras.src.testing import TestCase

from keras_rk.layers import RKAdaptive, RKResidual, RKStack
from tests.keras_helpers import dense, slow


def functional():
    y = keras.Input((4,))
    return keras.Model(y, keras.layers.multiply([dense(4)(y), dense(4, seed=1)(y)]))


CASES = {
    # name: f, shape of y, trainable and non-trainable weights, seed generators, losses
    "dense": (lambda: dense(4), (2, 4), 2, 0, 0, 0),
    "losses": (
        lambda: dense(4, kernel_regularizer="l2", activity_regularizer="l2"),
        (2, 4),
        2,
        0,
        0,
        2,
    ),
    "conv1d": (lambda: keras.layers.Conv1D(3, 3, padding="same"), (2, 5, 3), 2, 0, 0, 0),
    "conv2d": (lambda: keras.layers.Conv2D(2, 3, padding="same"), (2, 5, 4, 2), 2, 0, 0, 0),
    "lstm": (lambda: keras.layers.LSTM(3, return_sequences=True), (2, 4, 3), 3, 0, 1, 0),
    "batch normalization": (lambda: keras.layers.BatchNormalization(), (2, 4), 2, 4, 0, 0),
    "dropout": (lambda: keras.layers.Dropout(0.5, seed=1), (2, 4), 0, 0, 1, 0),
    "sequential": (lambda: keras.Sequential([dense(5), dense(4)]), (2, 4), 4, 0, 0, 0),
    "functional": (functional, (2, 4), 4, 0, 0, 0),
}
QUICK_OR_SLOW = [*(name for name in CASES if name != "lstm"), *slow("lstm")]


@pytest.mark.parametrize("name", QUICK_OR_SLOW)
def test_run_layer_test(name):
    make, shape, trainable, non_trainable, seeds, losses = CASES[name]
    TestCase().run_layer_test(
        RKResidual,
        init_kwargs={"layer": make(), "tableau": "heun2", "dt": "1/2", "steps": 2},
        input_shape=shape,
        expected_output_shape=shape,
        expected_num_trainable_weights=trainable,
        expected_num_non_trainable_weights=non_trainable,
        expected_num_seed_generators=seeds,
        expected_num_losses=losses,
        supports_masking=True,
        run_training_check=trainable > 0,
    )


def test_run_layer_test_with_a_custom_tableau():
    TestCase().run_layer_test(
        RKResidual,
        init_kwargs={
            "layer": dense(4),
            "tableau": ([[], ["sqrt(2)/2"]], [0, "1/2"]),
            "dt": -0.5,
            "require": "explicit",
            "name": "custom",
        },
        input_shape=(2, 4),
        expected_output_shape=(2, 4),
        supports_masking=True,
    )


@pytest.mark.parametrize("name", ["dense", *slow("losses", "conv1d", "dropout", "functional")])
def test_run_layer_test_of_adaptive_steps(name):
    make, shape, trainable, non_trainable, seeds, losses = CASES[name]
    TestCase().run_layer_test(
        RKAdaptive,
        init_kwargs={"layer": make(), "tableau": "heun_euler21", "rtol": 0.1, "t1": "1/2"},
        input_shape=shape,
        expected_output_shape=shape,
        expected_num_trainable_weights=trainable,
        expected_num_non_trainable_weights=non_trainable + 1,  # the statistics
        expected_num_seed_generators=seeds,
        expected_num_losses=losses,
        supports_masking=True,
        run_training_check=trainable > 0,
    )


@pytest.mark.parametrize("name", QUICK_OR_SLOW)
def test_run_layer_test_of_a_stack(name):
    make, shape, trainable, non_trainable, seeds, losses = CASES[name]
    TestCase().run_layer_test(
        RKStack,
        init_kwargs={"layer": make(), "depth": 3, "tableau": "heun2", "dt": ["1/2", 1, 2]},
        input_shape=shape,
        expected_output_shape=shape,
        expected_num_trainable_weights=trainable,
        # The states of seeds are stacked, too: they are variables, and no generators.
        expected_num_non_trainable_weights=non_trainable + seeds,
        expected_num_seed_generators=0,
        expected_num_losses=losses,
        supports_masking=True,
        run_training_check=trainable > 0,
    )


STACKS = {
    # name: arguments, trainable and non-trainable weights
    "batch normalization after": ({"after": keras.layers.BatchNormalization}, 4, 2),
    "layer normalization after": ({"after": keras.layers.LayerNormalization, "dt": [1, 2]}, 4, 0),
    "several steps": ({"steps": 2, "dt": [1, "-1/3"]}, 2, 0),
    "one block": ({"depth": 1, "seed": 3}, 2, 0),
}


@pytest.mark.parametrize("return_states", [False, *slow(True)], ids=["state", "states"])
@pytest.mark.parametrize("name", STACKS)
def test_run_layer_test_of_a_stack_with_arguments(name, return_states):
    arguments, trainable, non_trainable = STACKS[name]
    kwargs = {"layer": dense(4), "depth": 2, "tableau": "heun2", **arguments}
    if "after" in kwargs:
        kwargs["after"] = kwargs["after"]()
    states = (kwargs["depth"] + 1,) if return_states else ()
    TestCase().run_layer_test(
        RKStack,
        init_kwargs={**kwargs, "return_states": return_states},
        input_shape=(2, 4),
        expected_output_shape=(2, *states, 4),
        expected_num_trainable_weights=trainable,
        expected_num_non_trainable_weights=non_trainable,
        supports_masking=True,
    )
