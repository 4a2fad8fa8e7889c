"""Runge-Kutta layers written out in plain layers of Keras, with the same outputs and weights."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

from keras_rk import convert_residuals, unroll
from keras_rk.layers import ConcatTime, RKResidual, RKStack

from .keras_helpers import (
    BACKEND,
    MODES,
    batch_normalized,
    call_in,
    dense,
    dropped_out,
    normal,
    numpy,
)
from .keras_helpers import unrolled as by_hand
from .test_conversion import IMAGES, convolutional

layers = keras.layers
X = normal(4, 3)


def model_of(*inner, shape=(3,), **kwargs):
    return keras.Sequential([keras.Input(shape, **kwargs), *inner], name="model")


def kinds(model):
    """The classes of everything that a model calls, also in models inside."""
    found = set()
    for operation in model.operations:
        found.add(type(operation).__name__)
        if isinstance(operation, keras.Model):
            found |= kinds(operation)
    return found


def is_plain(model):
    """Whether nothing of keras_rk is in what Keras saves."""
    return "keras_rk" not in model.to_json()


@keras.saving.register_keras_serializable(package="test_unrolling")
class TimeDependent(layers.Layer):
    """f(t, y) = cos(t) tanh(W y + b)"""

    def build(self, input_shape):
        self.inner = dense()
        self.inner.build(input_shape)

    def call(self, y, t):
        return ops.cos(t) * self.inner(y)

    def compute_output_shape(self, input_shape, *args, **kwargs):
        return input_shape


def functional_in_time():
    y, t = keras.Input((3,), name="y"), keras.Input(batch_shape=(), name="t")
    return keras.Model([y, t], ops.sin(t) * dense()(y))


def give(layer, name, value):
    (variable,) = [variable for variable in layer.variables if variable.name == name]
    variable.assign(value)


def per_channel():
    layer = RKResidual(dense(), "rk4", 0.5, trainable_dt="channel")
    layer.build((None, 3))
    give(layer, "log_dt_ratio", [0.1, -0.3, 0.2])
    return layer


def learned():
    layer = RKResidual(dense(), "rk4", 0.5, trainable_tableau=True, trainable_dt=True)
    layer.build((None, 3))
    give(layer, "log_dt_ratio", 0.2)
    give(layer, "coefficients", normal(6) + 1)
    return layer


def learned_stack():
    stack = RKStack(dense(seed=None), 3, "heun2", [1, "1/2", "1/3"], trainable_dt="channel")
    stack.build((None, 3))
    give(stack, "log_dt_ratio", normal(3, 3))
    return stack


def after():
    return layers.BatchNormalization(momentum=0.5)


def nested():
    return RKResidual(keras.Sequential([dense(), RKResidual(dense(seed=1), "heun2", 0.3)]), "heun3")


CASES = {
    "Euler": lambda: RKResidual(dense(), "euler"),
    "Euler, dt": lambda: RKResidual(dense(), "euler", 0.3),
    "Heun": lambda: RKResidual(dense(), "heun2"),
    "RK4": lambda: RKResidual(dense(), "rk4", 0.5),
    "steps": lambda: RKResidual(dense(), "rk4", "1/3", steps=3),
    "a loop": lambda: RKResidual(dense(), "heun2", 0.1, steps=17),
    "first same as last": lambda: RKResidual(dense(), "dormand_prince54", 0.5, steps=2),
    "states": lambda: RKResidual(dense(), "heun2", 0.5, steps=3, return_states=True),
    "models": lambda: RKResidual(keras.Sequential([dense(5), dense()]), "rk4", 0.5),
    "statistics": lambda: RKResidual(batch_normalized(), "rk4", 0.5),
    "statistics, steps": lambda: RKResidual(batch_normalized(), "heun2", 0.5, steps=3),
    "statistics, one layer": lambda: RKResidual(after(), "heun2", 0.5),
    "shared statistics": lambda: RKResidual(batch_normalized(), "heun2", 0.5, state="shared"),
    "dropout": lambda: RKResidual(dropped_out(), "heun2", 0.5),
    "channels": per_channel,
    "learned": learned,
    "error estimate": lambda: RKResidual(dense(), "bogacki_shampine32", error_weight=0.1),
    "f(t, y)": lambda: RKResidual(TimeDependent(), "rk4", 0.5, steps=2, t0="1/7"),
    "f(t, y), time as a channel": lambda: RKResidual(ConcatTime(dense()), "rk4", 0.5, steps=2),
    "f(t, y), a model": lambda: RKResidual(functional_in_time(), "rk4", 0.5, steps=2),
    "inside one another": nested,
    "stack": lambda: RKStack(dense(seed=None), 3, "rk4", 0.5),
    "stack, Euler": lambda: RKStack(dense(seed=None), 3, "euler", [1, 2, "1/2"]),
    "stack, after": lambda: RKStack(dense(seed=None), 3, "heun2", 0.5, after=after()),
    "stack, statistics": lambda: RKStack(batch_normalized(), 3, "heun2", 0.5, steps=2),
    "stack, states": lambda: RKStack(dense(), 3, "euler", return_states=True, after=after()),
    "stack, learned": learned_stack,
    "stack, time": lambda: RKStack(ConcatTime(dense(seed=None)), 3, "rk4", 0.5),
    "stack of blocks": lambda: RKStack(nested(), 2, "euler"),
    "block of a stack": lambda: RKResidual(RKStack(batch_normalized(), 2, "euler"), "heun2"),
}


def used(layer):
    """A model with the layer, whose moving statistics are such as training leaves."""
    model = model_of(layer)
    rng = np.random.default_rng(1)
    for variable in model.non_trainable_variables:
        if "float" in keras.backend.standardize_dtype(variable.dtype):
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    return model


@pytest.mark.parametrize("name", CASES)
def test_outputs_are_the_same_without_layers_of_keras_rk(name):
    model = used(CASES[name]())
    plain = unroll(model)
    assert is_plain(plain)
    expected = numpy(model(X))
    assert np.abs(expected - numpy(dense()(X))).max() > 0.01
    np.testing.assert_allclose(numpy(plain(X)), expected, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("tableau", ["euler", "heun3", "rk4"])
def test_outputs_are_those_of_steps_by_hand(tableau):
    import keras_rk

    f = dense()
    plain = unroll(model_of(RKResidual(f, tableau, 0.25, steps=2)))
    method = keras_rk.tableaux.get(tableau)
    expected = by_hand(
        lambda y: numpy(f(y.astype("float32"))), X.astype("float64"), method, 0.25, 2
    )
    np.testing.assert_allclose(numpy(plain(X)), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_euler_becomes_the_add_it_came_from(mode):
    y = keras.Input((3,), name="y")
    original = keras.Model(y, layers.Add(name="sum")([y, dense(name="f")(y)]), name="network")
    converted, _ = convert_residuals(original, "euler")
    plain = unroll(converted)
    assert [layer.name for layer in plain.layers] == [layer.name for layer in original.layers]
    assert [type(x) for x in plain.operations] == [type(x) for x in original.operations]
    assert plain.get_layer("f") is original.get_layer("f")
    found, expected = (numpy(call_in(mode, model, X)) for model in (plain, original))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("mode", MODES)
def test_a_converted_network_with_statistics_goes_there_and_back(mode):
    original = convolutional()
    plain = unroll(convert_residuals(original, "euler")[0])
    assert [type(x) for x in plain.operations] == [type(x) for x in original.operations]
    pairs = zip(plain.variables, original.variables, strict=True)
    assert all(one is other for one, other in pairs)
    found, expected = (numpy(call_in(mode, model, IMAGES)) for model in (plain, original))
    np.testing.assert_array_equal(found, expected)


def test_a_stack_of_a_converted_network_becomes_its_blocks():
    y = x = keras.Input((3,))
    for n in range(3):
        x = layers.Add()([x, dense(seed=n)(x)])
    original = keras.Model(y, x)
    converted, _ = convert_residuals(original, "euler", stacks=True)
    plain = unroll(converted)
    assert [type(x) for x in plain.operations] == [type(x) for x in original.operations]
    np.testing.assert_array_equal(numpy(plain(X)), numpy(original(X)))
    for one, other in zip(plain.variables, original.variables, strict=True):
        np.testing.assert_array_equal(numpy(one.value), numpy(other.value))


def test_statistics_of_each_evaluation_are_copies_and_kernels_are_not():
    model = used(RKResidual(batch_normalized(), "heun2", 0.5, steps=2))
    plain = unroll(model)
    assert [type(x).__name__ for x in plain.layers].count("Dense") == 1
    assert [type(x).__name__ for x in plain.layers].count("BatchNormalization") == 4
    assert plain.get_layer(index=1) is model.layers[0].layer.layers[0]


def test_weights_are_shared_or_copied():
    model = model_of(RKResidual(dense(), "heun2"))
    expected = numpy(model(X))
    shared, copied = unroll(model), unroll(model, copy_weights=True)
    assert shared.weights[0] is model.weights[0]
    for variable in copied.variables:
        variable.assign(ops.zeros_like(variable.value))
    np.testing.assert_array_equal(numpy(model(X)), expected)
    np.testing.assert_array_equal(numpy(copied(X)), X)
    pairs = zip(shared.trainable_variables, model.trainable_variables, strict=True)
    assert all(one is other for one, other in pairs)


SAVED = ["RK4", "Euler", "statistics", "states", "channels", "f(t, y), time as a channel", "stack"]
SAVED += ["f(t, y), a model"]


@pytest.mark.slow  # it imports Keras once more
def test_files_load_where_keras_rk_is_not_installed(tmp_path):
    expected = {}
    for place, name in enumerate(SAVED):
        model = used(CASES[name]())
        expected[f"{place}"] = numpy(model(X))
        unroll(model).save(tmp_path / f"{place}.keras")
    np.savez(tmp_path / "expected.npz", **expected)
    np.save(tmp_path / "x.npy", X)
    program = """
import sys
sys.modules["keras_rk"] = None  # importing it fails
import keras, numpy as np
x = np.load("x.npy")
for name, expected in np.load("expected.npz").items():
    result = keras.ops.convert_to_numpy(keras.models.load_model(name + ".keras")(x))
    np.testing.assert_allclose(result, expected, rtol=2e-6, atol=2e-6)
assert not [name for name in sys.modules if name.startswith("keras_rk.")]
"""
    environment = {**os.environ, "KERAS_BACKEND": BACKEND}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# --------------------------------------------------------------- what is around the layers


def test_a_model_inside_that_is_called_twice_stays_one():
    inner = model_of(RKResidual(dense(), "heun2", 0.5))
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    model = keras.Model({"a": a, "b": b}, {"sum": inner(a) + 2 * inner(b)})
    plain = unroll(model)
    assert is_plain(plain)
    assert len(plain.weights) == 2
    assert [x.name for x in plain.inputs] == ["a", "b"]
    data = {"a": X, "b": normal(4, 3, seed=1)}
    expected, found = model(data)["sum"], plain(data)["sum"]
    np.testing.assert_allclose(numpy(found), numpy(expected), rtol=1e-6, atol=1e-6)


def test_one_layer_called_twice_keeps_one_set_of_weights():
    y = keras.Input((3,))
    block = RKStack(dense(seed=None), 2, "heun2", 0.5)
    model = keras.Model(y, block(block(y)))
    plain = unroll(model)
    assert len(plain.weights) == 4
    np.testing.assert_allclose(numpy(plain(X)), numpy(model(X)), rtol=1e-6, atol=1e-6)


def test_layers_with_one_name_get_names_of_their_own(tmp_path):
    y = keras.Input((3,))
    first = RKResidual(keras.Sequential([dense(name="f"), layers.ReLU(name="g")]), "heun2", 0.5)
    x = first(y)
    x = RKResidual(keras.Sequential([dense(seed=1, name="f"), layers.ReLU(name="g")]), "rk4")(x)
    model = keras.Model(y, dense(2, name="f")(x))
    plain = unroll(model)
    names = [operation.name for operation in plain.operations]
    assert len(set(names)) == len(names)
    assert plain.get_layer("f").units == 2
    np.testing.assert_allclose(numpy(plain(X)), numpy(model(X)), rtol=1e-6, atol=1e-6)
    plain.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    again = unroll(keras.Sequential([loaded, RKResidual(dense(2), "heun2", 0.5)]))
    np.testing.assert_array_equal(numpy(loaded(X)), numpy(plain(X)))
    assert is_plain(again)


def test_further_arguments_are_held_constant():
    y, context = keras.Input((3,)), keras.Input((3,))
    f = keras.Model([y, context], dense()(y) * context)
    block = RKResidual(f, "rk4", 0.5)
    model = keras.Model([y, context], block(y, context + 1))
    plain = unroll(model)
    data = [X, normal(4, 3, seed=1)]
    assert is_plain(plain)
    np.testing.assert_allclose(numpy(plain(data)), numpy(model(data)), rtol=1e-6, atol=1e-6)


def test_a_layer_with_further_arguments():
    y, context = keras.Input((5, 4)), keras.Input((6, 4))
    attention = layers.MultiHeadAttention(2, 2)
    model = keras.Model([y, context], RKStack(attention, 2, "heun2", 0.5)(y, context))
    plain = unroll(model)
    data = [normal(2, 5, 4), normal(2, 6, 4)]
    np.testing.assert_allclose(numpy(plain(data)), numpy(model(data)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("tableau", ["euler", "rk4"])
def test_masks_reach_every_evaluation(tableau, tmp_path):
    y = keras.Input((5,), dtype="int32")
    x = layers.Embedding(7, 4, mask_zero=True)(y)
    z = keras.Input((None, 4))
    attention = keras.Model(z, layers.MultiHeadAttention(2, 2)(z, z))
    x = RKResidual(attention, tableau, 0.5)(x)
    model = keras.Model(y, layers.GlobalAveragePooling1D()(x))
    plain = unroll(model)
    data = np.array([[1, 2, 3, 0, 0], [4, 5, 0, 0, 0]])
    found, expected = numpy(plain(data)), numpy(model(data))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    plain.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(numpy(loaded(data)), found, rtol=1e-6, atol=1e-6)
    unmasked = numpy(model(np.array([[1, 2, 3, 6, 6], [4, 5, 6, 6, 6]])))
    assert np.abs(unmasked - expected).max() > 1e-3


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "float16"])
@pytest.mark.parametrize("tableau, steps", [("euler", 1), ("heun2", 9)])
def test_y_is_summed_up_in_float32(policy, tableau, steps):
    y = keras.Input((3,), dtype="float32")
    block = RKResidual(dense(dtype=policy), tableau, 1, steps=steps, dtype=policy)
    model = keras.Model(y, block(y))
    plain = unroll(model)
    assert plain.output.dtype == model.output.dtype == policy.removeprefix("mixed_")
    found, expected = (np.asarray(numpy(m(X)), "float32") for m in (plain, model))
    np.testing.assert_allclose(found, expected, rtol=1e-2, atol=1e-2)


def test_integers_are_summed_up_as_floats():
    y = keras.Input((3,), dtype="int32")
    model = keras.Model(y, RKResidual(dense(), "heun2", 0.5)(y))
    x = np.arange(6).reshape(2, 3)
    np.testing.assert_allclose(numpy(unroll(model)(x)), numpy(model(x)), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("make", [lambda: RKResidual(dense(), "heun2", 0.5), CASES["stack"]])
def test_time_distributed(make):
    y = keras.Input((5, 3))
    model = keras.Model(y, layers.TimeDistributed(make())(y))
    plain = unroll(model)
    assert is_plain(plain)
    x = normal(2, 5, 3)
    np.testing.assert_allclose(numpy(plain(x)), numpy(model(x)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["RK4", "stack, after", "statistics"])
def test_a_layer_by_itself(name):
    layer = CASES[name]()
    expected = numpy(layer(X))
    np.testing.assert_allclose(numpy(unroll(layer)(X)), expected, rtol=1e-6, atol=1e-6)


def test_a_plain_model_comes_back_itself():
    model = model_of(dense())
    assert unroll(model) is model
    plain = unroll(model_of(RKResidual(dense(), "heun2")))
    assert unroll(plain) is plain


def test_subclasses_are_written_out_as_well():
    class Mine(RKResidual):
        pass

    model = model_of(Mine(dense(), "heun2", 0.5))
    plain = unroll(model)
    assert kinds(plain) == {"InputLayer", "Dense", "Add", "Multiply"}
    np.testing.assert_allclose(numpy(plain(X)), numpy(model(X)), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("copy_weights", [False, True])
def test_what_is_frozen_stays_so_and_the_model_is_compiled_alike(copy_weights):
    model = model_of(RKResidual(dense(), "heun2", 0.5), RKStack(dense(), 2, trainable=False))
    model.compile(keras.optimizers.SGD(0.5), "mse")
    plain = unroll(model, copy_weights=copy_weights)
    assert len(plain.trainable_variables) == 2
    assert type(plain.optimizer) is type(model.optimizer)
    assert plain.loss == "mse"
    before = numpy(plain(X))
    plain.fit(X, X, verbose=0)
    assert np.abs(numpy(plain(X)) - before).max() > 1e-3
    model.trainable = False
    assert not unroll(model, copy_weights=copy_weights).trainable_variables


# ------------------------------------------------------------------------------ refused


class Code(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.block = RKResidual(dense(), name="block")

    def call(self, y):
        return self.block(y)


def lambda_with_mask():
    y = keras.Input((5,), dtype="int32")
    z = keras.Input((None, 3))
    f = keras.Model(z, ops.tanh(z))
    f.supports_masking = True
    return keras.Model(y, RKResidual(f, name="block")(layers.Embedding(7, 3, mask_zero=True)(y)))


def mask_as_argument():
    y, mask = keras.Input((5, 3)), keras.Input((5,), dtype="bool")
    return keras.Model([y, mask], RKResidual(dense(), name="block")(y, mask=mask))


def weights_of_time():
    y, t = keras.Input((3,), name="y"), keras.Input(batch_shape=(), name="t")
    weight = layers.Dense(3, name="of_time")(ops.reshape(t, (1, 1)))
    return model_of(RKResidual(keras.Model([y, t], y * weight), "heun2"))


REFUSED = {
    "no model": (lambda: "model", "'model'"),
    "not built": (lambda: keras.Sequential([RKResidual(dense())], name="s"), "'s', which is not"),
    "a layer not built": (lambda: RKResidual(dense(), name="r"), "'r', which is not built"),
    "code": (lambda: model_of(Code(name="code")), "'code' of type Code, with 'block' inside"),
    "a layer with code": (lambda: Code(name="code"), "'code' of the class Code"),
    "a mask that f takes off": (lambda_with_mask, "layer 'block' with f"),
    "a mask as an argument": (mask_as_argument, "`mask` in a call of layer 'block'"),
    "a layer of the time alone": (weights_of_time, "layer 'of_time'"),
}


@pytest.mark.parametrize("make, message", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_written_out_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        unroll(make())
