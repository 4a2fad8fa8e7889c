"""Stacks in models that train: each way to write a model, each way to compile it."""

import keras
import numpy as np
import pytest

from keras_rk.layers import RKStack
from tests.keras_helpers import (
    BACKEND,
    assert_same_variables,
    batch_normalized,
    dense,
    dropped_out,
    normal,
    numpy,
    slow,
)

FIELDS = {
    "dense": (dense, (3,)),
    "batch norm": (batch_normalized, (3,)),
    "dropout": (dropped_out, (3,)),
    "conv": (lambda: keras.layers.Conv1D(3, 3, padding="same", activation="relu"), (4, 3)),
}
COMPILE = {"graph": {"jit_compile": False}, "jit": {"jit_compile": True}}


def stacked(name="dense", depth=3, **kwargs):
    make, shape = FIELDS[name]
    stack = RKStack(make(), depth, "heun2", **{"dt": "1/2", **kwargs})
    stack.build((None, *shape))
    return stack


def data(shape, samples=16):
    x = normal(samples, *shape)
    return x, 2 * x + 1


def train(*layers, shape=(3,), samples=16, optimizer=None, fit=None, **compile_options):
    """A model of these layers, trained on 4 samples at a time, and its history."""
    model = keras.Sequential([keras.Input(shape), *layers])
    model.compile(optimizer or keras.optimizers.SGD(0.05), "mse", **compile_options)
    options = {"batch_size": 4, "epochs": 3, "shuffle": False, "verbose": 0, **(fit or {})}
    return model, model.fit(*data(shape, samples), **options).history["loss"]


@pytest.mark.parametrize("how", COMPILE)
@pytest.mark.parametrize("name", ["dense", "batch norm", "conv"])
def test_training_lowers_the_loss(name, how):
    if BACKEND == "torch" and how == "jit" and name != "dense":
        pytest.skip("torch.compile takes half a minute; the dense layer does so")
    if BACKEND == "jax" and how == "graph" and name != "dense":
        pytest.skip("JAX without jit takes long")
    stack = stacked(name)
    before = [numpy(variable) for variable in stack.trainable_variables]
    _, history = train(stack, shape=FIELDS[name][1], **COMPILE[how])
    assert history[-1] < history[0]
    for old, variable in zip(before, stack.trainable_variables, strict=True):
        assert not np.isclose(old, numpy(variable)).any(axis=tuple(range(1, old.ndim))).all()


@pytest.mark.parametrize(
    ("name", "after"),
    [("dense", None), ("dropout", None), ("batch norm", keras.layers.BatchNormalization)],
)
def test_three_steps_of_sgd_equal_those_of_the_single_layers(name, after):
    stack = stacked(name, dt=[0.5, 1, "1/3"], after=after and after(momentum=0.5))
    layers = stack.unstack()
    _, ours = train(stack, samples=12, fit={"epochs": 1})
    _, theirs = train(*layers, samples=12, fit={"epochs": 1})
    assert ours == pytest.approx(theirs, rel=1e-4)
    for block, layer in zip(stack.unstack(), layers, strict=True):
        for one, other in zip(block.variables, layer.variables, strict=True):
            np.testing.assert_allclose(numpy(one), numpy(other), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("how", COMPILE)
def test_compiled_or_not_the_weights_are_the_same(how):
    if BACKEND == "torch" and how == "jit":
        pytest.skip("torch.compile takes half a minute; test_training_lowers_the_loss does so")
    stack = stacked("batch norm", depth=2, after=keras.layers.BatchNormalization())
    eager = RKStack.from_config(stack.get_config())
    eager.build((None, 3))
    eager.set_weights(stack.get_weights())
    train(stack, samples=8, fit={"epochs": 1}, **COMPILE[how])
    train(eager, samples=8, fit={"epochs": 1}, run_eagerly=True)
    for one, other in zip(stack.variables, eager.variables, strict=True):
        np.testing.assert_allclose(numpy(one), numpy(other), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["dense", "batch norm"])
def test_a_last_batch_of_another_size(name):
    stack = stacked(name)
    model, history = train(stack, samples=10)  # 4, 4 and 2
    assert history[-1] < history[0]
    x, target = data((3,), 10)
    expected = np.mean((model.predict(x, batch_size=10, verbose=0) - target) ** 2)
    assert model.evaluate(x, target, batch_size=4, verbose=0) == pytest.approx(expected, rel=1e-4)


@pytest.mark.skipif(BACKEND == "torch", reason="Keras takes one step at a time on PyTorch")
def test_several_steps_per_execution():
    stack = stacked("batch norm")
    other = RKStack.from_layers(stack.unstack())
    _, one = train(stack, steps_per_execution=1)
    _, two = train(other, steps_per_execution=2)
    assert one == pytest.approx(two, rel=1e-4)
    assert_same_variables(stack, other)


@pytest.mark.parametrize(
    ("make", "per_weight"),
    [(lambda: keras.optimizers.SGD(0.05, momentum=0.9), 1), (keras.optimizers.Adam, 2)],
    ids=["momentum", "adam"],
)
def test_the_optimizer_has_state_for_each_stacked_weight(make, per_weight):
    stack, optimizer = stacked(), make()
    _, history = train(stack, optimizer=optimizer)
    assert history[-1] < history[0]
    shapes = sorted(tuple(variable.shape) for variable in optimizer.variables[2:])
    expected = sorted(tuple(weight.shape) for weight in stack.trainable_weights)
    assert shapes == sorted(expected * per_weight)
    moments = [numpy(variable) for variable in optimizer.variables[2:]]
    assert all(np.any(block) for moment in moments for block in moment)


def test_moving_statistics_of_each_block_follow_its_own_activations():
    stack = stacked("dense", after=keras.layers.BatchNormalization(momentum=0.5))
    train(stack)
    mean, variance = (numpy(variable) for variable in stack.non_trainable_variables)
    assert not np.any(np.isclose(mean[0], mean[1]))
    assert not np.any(variance == 1)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.stack = RKStack(dense(), 2, "heun2")
        self.head = keras.layers.Dense(3)

    def call(self, y, training=None):
        return self.head(self.stack(y, training=training))


def functional():
    y = keras.Input((3,))
    return keras.Model(y, keras.layers.Dense(3)(RKStack(dense(), 2, "heun2")(y)))


def sequential():
    return keras.Sequential([RKStack(dense(), 2, "heun2"), keras.layers.Dense(3)])


@pytest.mark.parametrize("make", [functional, sequential, Subclassed])
def test_ways_to_write_a_model(make):
    model = make()
    model.compile(keras.optimizers.SGD(0.05), "mse")
    history = model.fit(*data((3,)), epochs=3, batch_size=8, verbose=0).history["loss"]
    assert history[-1] < history[0]
    assert [tuple(weight.shape) for weight in model.weights[:2]] == [(2, 3, 3), (2, 3)]


@pytest.mark.parametrize("policy", ["mixed_bfloat16", *slow("mixed_float16")])
def test_mixed_precision_trains(policy):
    keras.config.set_dtype_policy(policy)
    try:
        stack = stacked("batch norm", after=keras.layers.LayerNormalization())
        _, history = train(stack, keras.layers.Dense(3), fit={"epochs": 6})
    finally:
        keras.config.set_dtype_policy("float32")
    assert history[-1] < history[0]
    assert {weight.dtype for weight in stack.weights} == {"float32"}
