"""Errors point the way that a new user has to go."""

import functools

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_rk import TableauError, tableaux, with_method
from keras_rk.layers import RKResidual, RKStack, field_layer
from tests.keras_helpers import dense, normal, numpy

IN_TIME, IMAGE, ROWS = normal(2, 5, 4), normal(2, 8, 8, 3), normal(2, 4)
SEQUENCES, STATE = "`return_sequences=True`", "`return_state=False`"
SIZE, SUM = "`padding='same'` and `strides=1`", "`merge_mode='sum'`"
EVERY = (SEQUENCES, STATE, SIZE, SUM, "units=", "filters=")

SHAPES = {
    # f, y, and what the error says of EVERY
    "recurrent": (lambda: layers.GRU(4), IN_TIME, [SEQUENCES]),
    "recurrent, other units": (lambda: layers.GRU(16), IN_TIME, [SEQUENCES, "units="]),
    "units of a recurrent layer": (
        lambda: layers.LSTM(8, return_sequences=True),
        IN_TIME,
        ["units="],
    ),
    "cells": (lambda: layers.RNN(layers.GRUCell(4)), IN_TIME, [SEQUENCES]),
    "convolutional cells": (
        lambda: layers.ConvLSTM1D(4, 3, padding="same"),
        normal(2, 3, 5, 4),
        [SEQUENCES],
    ),
    "bidirectional": (lambda: layers.Bidirectional(layers.GRU(4)), IN_TIME, [SEQUENCES, SUM]),
    "bidirectional sequences": (
        lambda: layers.Bidirectional(layers.GRU(4, return_sequences=True)),
        IN_TIME,
        [SUM],
    ),
    "recurrent inside": (
        lambda: keras.Sequential([layers.GRU(8), layers.Dense(4)]),
        IN_TIME,
        [SEQUENCES],
    ),
    "convolution": (lambda: layers.Conv2D(3, 3), IMAGE, [SIZE]),
    "strides": (lambda: layers.Conv2D(3, 3, 2, padding="same"), IMAGE, [SIZE]),
    "filters": (lambda: layers.Conv2D(8, 3, padding="same"), IMAGE, ["filters="]),
    "convolution and filters": (lambda: layers.Conv2D(8, 3), IMAGE, [SIZE, "filters="]),
    "transposed": (lambda: layers.Conv2DTranspose(3, 3), IMAGE, [SIZE]),
    "convolutions inside": (
        lambda: keras.Sequential([layers.Conv2D(8, 3), layers.Conv2D(3, 1)]),
        IMAGE,
        [SIZE],
    ),
    "pooling": (lambda: layers.MaxPooling2D(), IMAGE, [SIZE]),
    "dense": (lambda: layers.Dense(7), ROWS, ["units="]),
    "dense inside": (
        lambda: keras.Sequential([layers.Dense(4), layers.Dense(8), layers.ReLU()]),
        ROWS,
        ["units="],
    ),
    "flatten": (lambda: layers.Flatten(), IMAGE, []),
    "global pooling": (lambda: layers.GlobalAveragePooling2D(), IMAGE, []),
    "reshape": (lambda: layers.Reshape((2, 2)), ROWS, []),
}


@pytest.mark.parametrize("wrap", [RKResidual, lambda f: RKStack(f, 2)], ids=["residual", "stack"])
@pytest.mark.parametrize("make, y, expected", SHAPES.values(), ids=SHAPES)
def test_what_would_keep_the_shape(make, y, expected, wrap):
    with pytest.raises(ValueError, match="put a projection before it") as error:
        wrap(make())(y)
    assert [text for text in EVERY if text in str(error.value)] == expected


def test_the_advice_names_the_layer_and_the_number():
    f = keras.Sequential([layers.Dense(16, name="wide"), layers.Dense(8, name="narrow")])
    with pytest.raises(ValueError, match="With `units=4` layer 'narrow' has as many channels as y"):
        RKResidual(f)(ROWS)


@pytest.mark.parametrize(
    "make, y",
    [
        (lambda: layers.GRU(4, return_sequences=True), IN_TIME),
        (
            lambda: layers.Bidirectional(layers.GRU(4, return_sequences=True), merge_mode="sum"),
            IN_TIME,
        ),
        (lambda: layers.Conv2D(3, 3, 1, padding="same"), IMAGE),
        (lambda: layers.MaxPooling2D(strides=1, padding="same"), IMAGE),
    ],
    ids=["sequences", "sum", "convolution", "pooling"],
)
def test_the_advice_works(make, y):
    assert RKResidual(make())(y).shape == y.shape


def test_several_outputs():
    f = layers.GRU(4, return_sequences=True, return_state=True)
    with pytest.raises(ValueError, match="return_state=False"):
        RKResidual(f)(IN_TIME)


def test_channels_first():
    f = layers.Conv2D(5, 3, padding="same", data_format="channels_first")
    with pytest.raises(ValueError, match="With `filters=3` layer") as error:
        RKResidual(f).build((None, 3, 8, 8))
    assert SIZE not in str(error.value)


class WithParameters:
    """What a module of PyTorch looks like."""

    def named_parameters(self):
        return ()

    def __call__(self, y):
        return y


NO_LAYERS = {
    "list": (lambda: [dense(), dense()], "keras.Sequential([...])"),
    "tuple": (lambda: (dense(), dense()), "keras.Sequential([...])"),
    "class": (lambda: keras.layers.Dense, "`Dense(...)` is one"),
    "class of a model": (lambda: keras.Sequential, "`Sequential(...)` is one"),
    "called": (lambda: dense()(keras.Input((3,))), "the layer itself, not called"),
    "name of a tableau": (lambda: "rk4", "The layer comes first"),
    "tableau": (lambda: tableaux.get("rk4"), "The layer comes first"),
    "module": (WithParameters, "keras.layers.TorchModuleWrapper(module)"),
    "function": (lambda: np.tanh, "keras.layers.Lambda"),
    "partial": (lambda: functools.partial(ops.softmax, axis=1), "keras.layers.Lambda"),
}
ADVICE = {advice for _, advice in NO_LAYERS.values()}


@pytest.mark.parametrize("make, advice", NO_LAYERS.values(), ids=NO_LAYERS)
def test_what_is_no_layer(make, advice):
    with pytest.raises(ValueError, match="`layer` of RKResidual must be a Keras layer") as error:
        RKResidual(make())
    assert [text for text in ADVICE if text in str(error.value)] == [advice]


@pytest.mark.parametrize("layer", [4, "dense", None, []], ids=str)
def test_no_advice_where_there_is_none(layer):
    with pytest.raises(ValueError, match=r"= f\(y\)\. (Several .*)?Received: ") as error:
        RKResidual(layer)
    assert "Lambda" not in str(error.value)


@pytest.mark.parametrize("name", ["list", "class", "tableau", "name of a tableau"])
@pytest.mark.parametrize("argument", ["layer", "after"])
def test_what_is_no_layer_of_a_stack(argument, name):
    make, advice = NO_LAYERS[name]
    with pytest.raises(ValueError, match=f"`{argument}` of RKStack") as error:
        RKStack(**{"layer": dense(), "depth": 2, argument: make()})
    assert advice in str(error.value)


def test_a_function_that_is_f_and_no_factory():
    with pytest.raises(ValueError, match=r"makes the layer of a block.*keras\.layers\.Lambda\(f\)"):
        RKStack(lambda y: 2 * y, 3)


KEYWORDS = {
    "method": "that is `tableau` here",
    "solver": "that is `tableau` here",
    "scheme": "that is `tableau` here",
    "integrator": "that is `tableau` here",
    "tablaeu": "that is `tableau` here",
    "h": "that is `dt` here",
    "step_size": "that is `dt` here",
    "delta_t": "that is `dt` here",
    "Dt": "that is `dt` here",
    "n_steps": "that is `steps` here",
    "num_steps": "that is `steps` here",
    "learn_dt": "that is `trainable_dt` here",
    "return_sequences": "that is `return_states` here",
    "nmae": "that is `name` here",
    "trainabel": "that is `trainable` here",
    "stages": "the stages are those of the tableau",
    "substeps": "with_method(model, substeps=2)",
    "rtol": "steps have a fixed size",
    "adaptive": "steps have a fixed size",
    "bogus": "there are layer, ",
}


@pytest.mark.parametrize(
    "make",
    [lambda **kwargs: RKResidual(dense(), **kwargs), lambda **kw: RKStack(dense(), 2, **kw)],
    ids=["RKResidual", "RKStack"],
)
@pytest.mark.parametrize("name", KEYWORDS)
def test_an_argument_of_another_name(name, make):
    with pytest.raises(ValueError, match=f"has no argument `{name}`: .*Received: {name}=") as error:
        make(**{name: 2})
    assert KEYWORDS[name] in str(error.value)


@pytest.mark.parametrize("name, word", [("depth", "depth"), ("blocks", "depth"), ("seed", "seed")])
def test_what_only_a_stack_has(name, word):
    with pytest.raises(ValueError, match=f"RKStack has `{word}`"):
        RKResidual(dense(), **{name: 3})


@pytest.mark.parametrize("make", [RKResidual, lambda f, **kwargs: RKStack(f, 2, **kwargs)])
def test_what_every_layer_takes(make):
    layer = make(dense(), name="mine", dtype="float32", trainable=False, activity_regularizer="l2")
    assert layer.name == "mine"
    assert not layer.trainable
    assert layer.activity_regularizer is not None


@pytest.mark.parametrize("dt", [[0.1, 0.2, 0.3], (0.1,), np.array([0.1, 0.2])], ids=str)
@pytest.mark.parametrize(
    "call",
    [
        lambda dt: RKResidual(dense(), dt=dt),
        lambda dt: with_method(keras.Sequential([RKResidual(dense())]), dt=dt),
    ],
    ids=["RKResidual", "with_method"],
)
def test_a_list_of_step_sizes_is_for_a_stack(call, dt):
    with pytest.raises(ValueError, match=r"one for each block is for `RKStack\(.*Received: dt="):
        call(dt)


@pytest.mark.parametrize(
    "dt", ["auto", "trainable", lambda n: 0.1, keras.Variable(0.1)], ids=lambda dt: str(type(dt))
)
def test_a_step_size_that_is_to_be_learned(dt):
    with pytest.raises(ValueError, match="finite number other than zero; `trainable_dt=True`"):
        RKResidual(dense(), dt=dt)


@pytest.mark.parametrize("steps", [0.5, 0.1, np.float32(2.5)])
def test_a_step_size_given_as_steps(steps):
    with pytest.raises(ValueError, match="`steps` must be an integer of at least 1; `dt` is the"):
        RKResidual(dense(), "rk4", 4, steps)


@pytest.mark.parametrize("steps", [2.0, float("nan"), float("inf"), "2", [1, 2], True])
def test_other_numbers_of_steps(steps):
    with pytest.raises(ValueError, match="`steps` must be an integer of at least 1"):
        RKResidual(dense(), steps=steps)


@pytest.mark.parametrize("depth", ["rk4", tableaux.get("rk4")], ids=["name", "tableau"])
def test_a_tableau_given_as_depth(depth):
    with pytest.raises(ValueError, match=r"comes before the tableau: `RKStack\(layer, depth, tab"):
        RKStack(dense(), depth, 3)


@pytest.mark.parametrize(
    "several", [["euler", "rk4"], ("euler", "heun2", "rk4"), [tableaux.get("rk4")]], ids=str
)
def test_several_tableaux(several):
    with pytest.raises(TableauError, match="One tableau is needed here, not several"):
        RKResidual(dense(), several)


@pytest.mark.parametrize("layer", [dense(), keras.Sequential([dense()])], ids=["layer", "model"])
def test_from_layers_of_one_layer(layer):
    with pytest.raises(ValueError, match=r"a list of at least one Keras layer; `model\.layers` is"):
        RKStack.from_layers(layer)


ATTENTION = [layers.MultiHeadAttention, layers.GroupQueryAttention]


def attention(kind, **kwargs):
    if kind is layers.MultiHeadAttention:
        return kind(2, 4, **kwargs)
    return kind(4, 2, 1, **kwargs)


@pytest.mark.parametrize("kind", ATTENTION, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize(
    "call",
    [
        lambda block: block(IN_TIME, IN_TIME),
        lambda block: block(IN_TIME, value=IN_TIME),
        lambda block: block(*[keras.Input((5, 4))] * 2),
    ],
    ids=["position", "name", "symbolic"],
)
@pytest.mark.parametrize("wrap", [RKResidual, lambda f: RKStack(f, 2)], ids=["residual", "stack"])
def test_self_attention_that_would_be_held_still(kind, call, wrap):
    with pytest.raises(ValueError, match=r"attention\(y, y\).*keras\.ops\.copy\(y\).*y twice"):
        call(wrap(attention(kind)))


def test_both_ways_of_the_advice_work():
    """Attention of each stage to itself, or keys and values held: two different things."""
    mine, y = attention(layers.MultiHeadAttention), keras.Input((5, 4))
    of_each_stage = RKResidual(keras.Model(y, mine(y, y)), "midpoint")(IN_TIME)
    half = IN_TIME + 0.5 * numpy(mine(IN_TIME, IN_TIME))
    np.testing.assert_allclose(
        numpy(of_each_stage), IN_TIME + numpy(mine(half, half)), rtol=1e-4, atol=1e-5
    )
    held = RKResidual(mine, "midpoint")(IN_TIME, ops.copy(IN_TIME))
    np.testing.assert_allclose(
        numpy(held), IN_TIME + numpy(mine(half, IN_TIME)), rtol=1e-4, atol=1e-5
    )
    symbolic = keras.Model(y, RKResidual(mine, "midpoint")(y, ops.copy(y)))
    np.testing.assert_allclose(numpy(symbolic(IN_TIME)), numpy(held), rtol=1e-4, atol=1e-5)


def test_a_model_saved_with_y_twice_still_loads(tmp_path, monkeypatch):
    y = keras.Input((5, 4))
    with monkeypatch.context() as patch:
        patch.setattr(field_layer, "check_held_still", lambda *_: None)
        model = keras.Model(y, RKResidual(attention(layers.MultiHeadAttention), "heun2")(y, y))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(numpy(loaded(IN_TIME)), numpy(model(IN_TIME)), rtol=1e-5, atol=1e-6)


def test_another_f_may_have_y_as_its_context():
    y, context = keras.Input((4,)), keras.Input((4,))
    f = keras.Model([y, context], dense(4)(y + context))
    assert RKResidual(f)(ROWS, ROWS).shape == (2, 4)


@pytest.mark.parametrize("kind", [layers.Attention, layers.AdditiveAttention])
@pytest.mark.parametrize("further", [(), (IN_TIME,)], ids=["alone", "twice"])
def test_attention_that_takes_a_list(kind, further):
    with pytest.raises(TypeError, match=r"takes a list of tensors.*attention\(\[y, y\]\)"):
        RKResidual(kind())(IN_TIME, *further)


def test_the_advice_for_attention_that_takes_a_list_works():
    y = keras.Input((5, 4))
    f = keras.Model(y, layers.Attention()([y, y]))
    assert RKResidual(f)(IN_TIME).shape == (2, 5, 4)
