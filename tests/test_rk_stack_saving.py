"""Stacks that are saved, loaded, copied and cloned."""

import copy

import keras
import numpy as np
import pytest

from keras_rk.layers import RKStack
from tests.keras_helpers import assert_same_variables, batch_normalized, dense, normal, numpy


def plain():
    return RKStack(dense(), 3, "rk4", "1/3", 2, name="stack")


def of_many_kinds():
    """A stack with state, a layer after each block, and a dt for each."""
    after = keras.layers.BatchNormalization()
    return RKStack(batch_normalized(), 3, "heun2", [0.5, "1/3", -1], after=after, name="stack")


def of_a_factory():
    return RKStack(lambda block: dense(seed=block), 3, "heun2", after=lambda: dense(), name="stack")


def of_layers():
    return RKStack.from_layers(of_many_kinds_built().unstack(), name="stack")


def of_many_kinds_built():
    stack = of_many_kinds()
    stack.build((None, 3))
    return stack


STACKS = [plain, of_many_kinds, of_a_factory, of_layers]


def trained(make):
    """A model with a stack, after three steps."""
    model = keras.Sequential([keras.Input((3,)), make(), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.01), "mse")
    model.fit(normal(6, 3), normal(6, 1), batch_size=2, verbose=0)
    return model


def with_other_weights(make):
    """A model with a stack, with weights that no seed gives."""
    model = keras.Sequential([keras.Input((3,)), make(), keras.layers.Dense(1)])
    model.set_weights([np.abs(normal(*weight.shape)) for weight in model.weights])
    return model


def assert_equal_variables(one, other):
    for ours, theirs in zip(one.variables, other.variables, strict=True):
        np.testing.assert_array_equal(numpy(ours), numpy(theirs))


@pytest.mark.parametrize("make", STACKS)
def test_a_model_survives(make, tmp_path):
    model = with_other_weights(make)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert_equal_variables(model, loaded)
    names = ("depth", "dt", "steps", "tableau", "seed", "return_states", "name")
    configs = [layer.get_config() for layer in (loaded.layers[0], model.layers[0])]
    assert [configs[0][name] for name in names] == [configs[1][name] for name in names]
    x = normal(4, 3)
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


def test_training_goes_on_after_loading(tmp_path):
    model = trained(of_many_kinds)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert_equal_variables(model, loaded)
    assert_equal_variables(model.optimizer, loaded.optimizer)
    for each in (model, loaded):
        each.fit(normal(6, 3), normal(6, 1), batch_size=3, shuffle=False, verbose=0)
    assert_same_variables(model, loaded)


@pytest.mark.parametrize("make", [plain, of_many_kinds, of_a_factory])
def test_weights_survive(make, tmp_path):
    model = with_other_weights(make)
    model.save_weights(tmp_path / "model.weights.h5")
    other = keras.Sequential([keras.Input((3,)), make(), keras.layers.Dense(1)])
    other.load_weights(tmp_path / "model.weights.h5")
    assert_equal_variables(model, other)


def test_weights_of_another_depth_are_refused(tmp_path):
    model = keras.Sequential([keras.Input((3,)), RKStack(dense(), 3)])
    model.save_weights(tmp_path / "model.weights.h5")
    other = keras.Sequential([keras.Input((3,)), RKStack(dense(), 2)])
    with pytest.raises(ValueError, match=r"\(2, 3, 3\)|shape"):
        other.load_weights(tmp_path / "model.weights.h5")


@pytest.mark.parametrize("make", STACKS)
def test_a_stack_by_itself_survives_serialisation(make):
    stack, y = make(), normal(2, 3)
    stack(y)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(stack))
    assert again.built
    again.set_weights(stack.get_weights())
    np.testing.assert_array_equal(numpy(again(y)), numpy(stack(y)))


@pytest.mark.parametrize("make", STACKS)
def test_a_deep_copy_is_independent(make):
    stack, y = make(), normal(2, 3)
    before = numpy(stack(y))
    again = copy.deepcopy(stack)
    np.testing.assert_array_equal(numpy(again(y)), before)
    again.set_weights([weight + 1 for weight in again.get_weights()])
    np.testing.assert_array_equal(numpy(stack(y)), before)
    assert not np.allclose(numpy(again(y)), before)


@pytest.mark.parametrize("make", STACKS)
def test_clone_model(make):
    model = with_other_weights(make)
    clone = keras.models.clone_model(model)
    assert clone.layers[0] is not model.layers[0]
    assert clone.layers[0].get_config() == model.layers[0].get_config()
    clone.set_weights(model.get_weights())
    x = normal(2, 3)
    np.testing.assert_array_equal(clone.predict(x, verbose=0), model.predict(x, verbose=0))


@keras.saving.register_keras_serializable(package="keras_rk_tests")
class Subclassed(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.stack = of_many_kinds()

    def build(self, input_shape):
        self.stack.build(input_shape)

    def call(self, y, training=None):
        return self.stack(y, training=training)


def test_a_subclassed_model(tmp_path):
    model, x = Subclassed(), normal(2, 3)
    model(x, training=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert_equal_variables(model, loaded)
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


class Unregistered(keras.layers.Layer):
    def build(self, input_shape):
        self.kernel = self.add_weight((input_shape[-1], input_shape[-1]), initializer="normal")

    def call(self, y):
        return keras.ops.matmul(y, self.kernel)


@pytest.mark.parametrize("wrapped", [False, True], ids=["layer", "inside"])
def test_a_layer_that_is_not_registered_needs_custom_objects(wrapped, tmp_path):
    f = keras.Sequential([Unregistered()]) if wrapped else Unregistered()
    model, x = keras.Sequential([keras.Input((3,)), RKStack(f, 2)]), normal(2, 3)
    model.save(tmp_path / "model.keras")
    scope = {"Unregistered": Unregistered}
    loaded = keras.models.load_model(tmp_path / "model.keras", custom_objects=scope)
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
    with pytest.raises(TypeError, match="Unregistered"):
        keras.models.load_model(tmp_path / "model.keras")


def test_a_lambda_is_loaded_only_without_safe_mode(tmp_path):
    f = keras.layers.Lambda(lambda y: -y, output_shape=(3,))
    model, x = keras.Sequential([keras.Input((3,)), RKStack(f, 2, "euler", 0.5)]), normal(2, 3)
    model.save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match="safe_mode"):
        keras.models.load_model(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=False)
    np.testing.assert_allclose(loaded.predict(x, verbose=0), x / 4, rtol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "bfloat16"])
def test_dtype_policies_survive(policy, tmp_path):
    stack = RKStack(dense(dtype="float32"), 2, after=dense(dtype=policy), dtype=policy)
    model, x = keras.Sequential([keras.Input((3,)), stack]), normal(2, 3)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    (again,) = loaded.layers
    names = [layer.dtype_policy.name for layer in (again, again.layer, again.after)]
    assert names == [policy, "float32", policy]
    np.testing.assert_array_equal(
        loaded.predict(x, verbose=0).astype("float32"),
        model.predict(x, verbose=0).astype("float32"),
    )
