"""The weights of a stack: initial values, regularizers and constraints are those of its blocks."""

import itertools
import random

import keras
import numpy as np
import pytest
from keras import ops

from keras_rk.layers import RKStack, initial_values
from keras_rk.layers.blocks import BlockMaker
from keras_rk.layers.stacked_layer import StackedLayer
from tests.keras_helpers import dense, normal, numpy

GLOROT = 6.0 / (8 + 8)  # the square of the bound of glorot_uniform for 8 inputs and 8 outputs


def built(layer, depth=3, shape=(None, 3), **kwargs):
    stack = RKStack(layer, depth, "heun2", **kwargs)
    stack.build(shape)
    return stack


def kernels(stack):
    return list(numpy(stack.weights[0]))


def all_differ(arrays):
    return not any(np.allclose(one, other) for one, other in itertools.combinations(arrays, 2))


@pytest.mark.parametrize(
    ("initializer", "variance"),
    [("glorot_uniform", GLOROT / 3), ("he_normal", 2 / 8), ("lecun_uniform", 1 / 8)],
)
def test_initial_values_are_drawn_for_one_block(initializer, variance):
    layer = keras.layers.Dense(8, kernel_initializer=initializer)
    values = np.array(kernels(built(layer, depth=40, shape=(None, 8))))
    assert np.var(values) == pytest.approx(variance, rel=0.1)  # 2560 of them
    if initializer == "glorot_uniform":
        assert np.abs(values).max() <= np.sqrt(GLOROT)
    assert all_differ(values)


def test_initial_kernels_are_orthogonal_in_each_block():
    layer = keras.layers.Dense(4, kernel_initializer="orthogonal")
    values = kernels(built(layer, shape=(None, 4)))
    products = np.array([kernel.T @ kernel for kernel in values])
    np.testing.assert_allclose(products, np.tile(np.eye(4), (3, 1, 1)), atol=1e-5)
    assert all_differ(values)


def test_initial_values_are_those_of_single_layers():
    def make(block):
        initializer = keras.initializers.GlorotUniform(seed=block)
        return keras.layers.Dense(3, kernel_initializer=initializer)

    expected = [make(block) for block in range(3)]
    for layer in expected:
        layer.build((None, 3))
    np.testing.assert_array_equal(kernels(built(make)), [numpy(layer.kernel) for layer in expected])


def drawn_layers():
    f = {"kernel_initializer": "he_normal", "bias_initializer": "normal"}
    wide = {**f, "kernel_size": 3, "padding": "same"}
    layers = keras.layers
    return {
        "Dense": layers.Dense(4, **f),
        "Dense, orthogonal": layers.Dense(4, kernel_initializer="orthogonal"),
        "Dense, seeded": dense(4, seed=7),
        "Dense, not drawn": layers.Dense(4, kernel_initializer="identity", bias_initializer="ones"),
        "Conv1D": layers.Conv1D(4, **wide),
        "DepthwiseConv1D": layers.DepthwiseConv1D(3, padding="same"),
        "SeparableConv1D": layers.SeparableConv1D(4, 3, padding="same"),
        "BatchNormalization": layers.BatchNormalization(gamma_initializer="uniform"),
        "LayerNormalization": layers.LayerNormalization(beta_initializer="truncated_normal"),
        "GroupNormalization": layers.GroupNormalization(2),
        "RMSNormalization": layers.RMSNormalization(),
        "PReLU": layers.PReLU(alpha_initializer="lecun_uniform"),
    }


@pytest.mark.parametrize("many", [100, 2])  # from which number on they are drawn in one graph
@pytest.mark.parametrize("name", drawn_layers())
def test_values_drawn_without_layers_are_those_of_layers(monkeypatch, name, many):
    monkeypatch.setattr(initial_values, "MANY", many)
    shape, layer, seed = (None, 5, 4), drawn_layers()[name], None if "seeded" in name else 3
    maker = BlockMaker(layer, seed, "layer")
    expected = [maker.make(block) for block in range(3)]
    for one in expected:
        one.build(shape)
    monkeypatch.setattr(StackedLayer, "_of_layers", None)  # which would make them
    stack = StackedLayer(maker)
    owner = keras.layers.Layer()
    stack.build(owner, 3, shape, lambda layer: layer.build(shape))
    for place, variable in enumerate(stack.variables):
        values = np.stack([numpy(one.variables[place]) for one in expected])
        np.testing.assert_array_equal(numpy(variable), values)
        variable.assign(2 * values)  # each value has a place of its own
        np.testing.assert_array_equal(numpy(variable), 2 * values)


def weights_after(seed):
    keras.utils.set_random_seed(seed)
    stack = built(keras.layers.Dense(3), after=keras.layers.Dense(3))
    return [numpy(variable) for variable in stack.weights], random.random()


def test_values_drawn_without_layers_follow_the_seed_of_keras(monkeypatch):
    drawn, next_number = weights_after(5)
    monkeypatch.setattr(StackedLayer, "_drawn", lambda *_: None)
    of_layers, same_number = weights_after(5)
    assert next_number == same_number
    for one, other in zip(drawn, of_layers, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "layer",
    [
        lambda: keras.layers.Dense(3, lora_rank=1),
        lambda: keras.layers.BatchNormalization(renorm=True),
        lambda: keras.layers.Dropout(0.5),
        lambda: keras.Sequential([keras.layers.Dense(3)]),
        lambda: lambda block: keras.layers.Dense(3),
    ],
    ids=["lora", "renormalization", "seed", "model", "factory"],
)
def test_values_that_arguments_do_not_tell_are_those_of_layers(monkeypatch, layer):
    made = []
    make = BlockMaker.make
    monkeypatch.setattr(
        BlockMaker, "make", lambda maker, block: made.append(block) or make(maker, block)
    )
    built(layer())
    assert made[-2:] == [1, 2]


SEEDS = {
    "layer": lambda: dense(seed=7),
    "generator": lambda: keras.layers.Dense(
        3, kernel_initializer=keras.initializers.GlorotUniform(keras.random.SeedGenerator(7))
    ),
    "inner layer": lambda: keras.Sequential([dense(3, seed=7)]),
}


@pytest.mark.parametrize("make", SEEDS.values(), ids=SEEDS)
def test_a_seed_in_the_configuration_gives_each_block_its_own(make):
    first, second = built(make()), built(make())
    assert all_differ(kernels(first))
    np.testing.assert_array_equal(kernels(first), kernels(second))


def test_seeds_of_the_configuration_matter():
    one, other = built(dense(seed=7)), built(dense(seed=8))
    assert all_differ([*kernels(one), *kernels(other)])


def test_seed_is_where_the_seeds_come_from():
    one, same, other = (built(keras.layers.Dense(3), seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(kernels(one), kernels(same))
    assert all_differ([*kernels(one), *kernels(other)])


def test_seed_gives_each_weight_its_own():
    f = keras.Sequential([keras.layers.Dense(3), keras.layers.Dense(3)])
    stack = built(f, depth=2, seed=3, after=keras.layers.Dense(3))
    first, second, after = (numpy(stack.weights[place]) for place in (0, 2, 4))
    assert all_differ([*first, *second, *after])


@pytest.mark.parametrize("make", [keras.layers.Dense, lambda n: lambda: keras.layers.Dense(n)])
def test_the_seed_of_keras_makes_it_reproducible(make):
    found = []
    for seed in (5, 5, 6):
        keras.utils.set_random_seed(seed)
        found.append(kernels(built(make(3))))
    np.testing.assert_array_equal(found[0], found[1])
    assert all_differ([*found[0], *found[2]])


@pytest.mark.parametrize(
    "layer", [keras.layers.Dropout(0.5, seed=3), keras.layers.GaussianNoise(1.0)]
)
def test_each_block_draws_random_numbers_of_its_own(layer):
    stack = built(layer, depth=4)
    (states,) = (numpy(variable) for variable in stack.variables)
    assert len({tuple(state) for state in states}) == 4
    start = ops.convert_to_tensor(np.ones((1, 1000), "float32"))
    stack = built(layer, depth=2, shape=(1, 1000), return_states=True)
    states = numpy(stack(start, training=True))[0]
    assert not np.allclose(states[1] / states[0], states[2] / states[1])


def test_a_factory_is_called_for_each_block():
    seen = []

    def make(block):
        seen.append(block)
        return dense(seed=block)

    assert all_differ(kernels(built(make)))
    assert seen == [0, 1, 2]


def test_a_factory_without_arguments():
    assert all_differ(kernels(built(lambda: keras.layers.Dense(3))))


def test_a_factory_for_the_layer_after_each_block():
    def make(block):
        return keras.layers.LayerNormalization(
            gamma_initializer=keras.initializers.Constant(block + 1)
        )

    stack = built(dense(), after=make)
    np.testing.assert_array_equal(numpy(stack.weights[2]), [[1] * 3, [2] * 3, [3] * 3])


REGULARIZERS = {
    "l1": lambda: keras.regularizers.L1(0.1),
    "l2": lambda: keras.regularizers.L2(0.1),
    "orthogonal": lambda: keras.regularizers.OrthogonalRegularizer(0.1),
}


@pytest.mark.parametrize("where", ["layer", "after"])
@pytest.mark.parametrize("make", REGULARIZERS.values(), ids=REGULARIZERS)
def test_regularizers_act_on_each_block(make, where):
    regularized = dense(kernel_regularizer=make())
    both = {"layer": dense(seed=1), "after": dense(seed=2), where: regularized}
    stack = built(both["layer"], after=both["after"])
    expected = sum(float(numpy(loss)) for layer in stack.unstack() for loss in layer.losses)
    assert [float(numpy(loss)) for loss in stack.losses] == [pytest.approx(expected, rel=1e-5)]
    assert expected > 0


@pytest.mark.parametrize("make", REGULARIZERS.values(), ids=REGULARIZERS)
def test_regularizers_in_fit(make):
    stack = built(dense(kernel_regularizer=make()))
    layers = stack.unstack()
    found = []
    for model in (keras.Sequential([stack]), keras.Sequential(layers)):
        model.compile(keras.optimizers.SGD(0.1), "mse")
        x = normal(4, 3)
        found.append(model.fit(x, 2 * x, epochs=2, shuffle=False, verbose=0).history["loss"])
    np.testing.assert_allclose(*found, rtol=1e-4)
    expected = [numpy(layer.layer.kernel) for layer in layers]
    np.testing.assert_allclose(kernels(stack), expected, rtol=1e-4, atol=1e-5)


def norms(kernel):
    return np.linalg.norm(kernel, axis=-2)


CONSTRAINTS = {
    "unit norm": (lambda: keras.constraints.UnitNorm(axis=0), lambda w: np.abs(norms(w) - 1)),
    "max norm": (lambda: keras.constraints.MaxNorm(0.5, axis=0), lambda w: norms(w) - 0.5),
    "non-negative": (keras.constraints.NonNeg, lambda w: -w),
}


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_constraints_hold_in_each_block_after_fit(name):
    make, violation = CONSTRAINTS[name]
    stack = built(dense(kernel_constraint=make()))
    assert violation(np.array(kernels(stack))).max() > 0.01
    layers = stack.unstack()
    for model in (keras.Sequential([stack]), keras.Sequential(layers)):
        model.compile(keras.optimizers.SGD(0.1), "mse")
        model.fit(normal(4, 3), normal(4, 3), verbose=0)
    assert violation(np.array(kernels(stack))).max() < 1e-5
    expected = [numpy(layer.layer.kernel) for layer in layers]
    np.testing.assert_allclose(kernels(stack), expected, rtol=1e-4, atol=1e-5)
