"""What RKStack refuses, and what it says; its config."""

import json
import re
from fractions import Fraction

import keras
import numpy as np
import pytest

from keras_rk import Tableau, TableauError, tableaux
from keras_rk.layers import RKStack
from tests.keras_helpers import BACKEND, batch_normalized, dense, normal, numpy

MIDPOINT_RULE = Tableau([["1/2"]], [1], name="implicit midpoint")
GAUSS = tableaux.gauss(2)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"depth": 0}, ValueError, "`depth` must be an integer of at least 1. Received: depth=0"),
        ({"depth": -1}, ValueError, "Received: depth=-1"),
        ({"depth": 2.5}, ValueError, "Received: depth=2.5"),
        ({"depth": True}, ValueError, "Received: depth=True"),
        ({"depth": None}, ValueError, "Received: depth=None"),
        ({"dt": [1.0]}, ValueError, "one for each block. Received: 1 numbers, depth=3"),
        ({"dt": [1, 1, 1, 1]}, ValueError, "one for each block. Received: 4 numbers, depth=3"),
        ({"dt": []}, ValueError, "Received: 0 numbers, depth=3"),
        ({"dt": [1, 0, 1]}, ValueError, "`dt` must be a finite number other than zero. Received"),
        ({"dt": [1, float("nan"), 1]}, ValueError, "`dt` must be a finite number"),
        ({"dt": [1, "fast", 1]}, ValueError, "`dt` must be a finite number"),
        ({"dt": [1, 1, "1e60"]}, ValueError, "fit into float32"),
        ({"dt": [1, 1, 3e-45]}, ValueError, "not round to zero in float32 for one block and not"),
        ({"dt": 0}, ValueError, "`dt` must be a finite number other than zero. Received: dt=0"),
        ({"steps": 0}, ValueError, "Received: steps=0"),
        ({"seed": -1}, ValueError, "`seed` must be an integer of at least 0, or None. Received"),
        ({"seed": 1.5}, ValueError, "Received: seed=1.5 (of type float)"),
        ({"seed": True}, ValueError, "Received: seed=True"),
        ({"seed": "a"}, ValueError, "Received: seed='a'"),
        ({"return_states": 1}, ValueError, "`return_states` must be True or False. Received"),
        ({"return_states": None}, ValueError, "Received: return_states=None"),
        ({"state": "last"}, ValueError, "'shared'"),
        ({"require": "nothing"}, ValueError, "'consistent'"),
        ({"tableau": MIDPOINT_RULE}, TableauError, "implicit midpoint"),
        ({"tableau": GAUSS, "require": "explicit"}, TableauError, "explicit method, whose `A`"),
        ({"tableau": "rk4", "order": 5}, TableauError, "5"),
        ({"tableau": "rk5"}, TableauError, "rk5"),
        ({"layer": 3}, ValueError, "`layer` of RKStack must be a Keras layer or model, or a func"),
        ({"layer": None}, ValueError, "Received: None (of type NoneType)"),
        ({"layer": keras.layers.Dense}, ValueError, "lambda block: Dense(8)"),
        ({"layer": [dense(), dense()]}, ValueError, "of type list"),
        ({"layer": lambda block: None}, ValueError, "`layer` must return a Keras layer. Received"),
        ({"after": "relu"}, ValueError, "`after` of RKStack must be a Keras layer"),
        ({"after": lambda: 3}, ValueError, "given as `after` must return a Keras layer"),
        ({"unknown": 1}, ValueError, "unknown"),
    ],
    ids=lambda value: re.sub(r" at 0x\w+", "", str(value)) if isinstance(value, dict) else "",
)
def test_refused_at_construction(arguments, error, message):
    with pytest.raises(error, match=re.escape(message)):
        RKStack(**{"layer": dense(), "depth": 3, **arguments})


def with_kernels_of(shapes):
    """A factory of layers that look alike and have different weights."""

    class Growing(keras.layers.Layer):
        def build(self, input_shape):
            self.kernel = self.add_weight((next(shapes),))

        def call(self, y):
            return y

    return lambda: Growing()


def changing(**kwargs):
    """A factory whose layer of the second block has other arguments."""
    return lambda block: dense(**({} if block == 0 else kwargs))


class Opaque(keras.layers.Layer):
    """Cannot be made again from its configuration."""

    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        self.function = function

    def call(self, y):
        return self.function(y)


BUILT_FROM = {
    # name: arguments, and what the error says
    "changed shape": (lambda: {"layer": dense(4)}, r"\(None, 3\), output shape \(None, 4\)"),
    "after changes the shape": (
        lambda: {"after": dense(4, name="wide")},
        r"^`after` must.*\(None, 4\).*'wide'",
    ),
    "activation": (
        lambda: {"layer": changing(activation="relu")},
        "config.activation is 'tanh' in block 0 and 'relu' in block 1",
    ),
    "bias": (
        lambda: {"layer": changing(use_bias=False)},
        "config.use_bias is True in block 0 and False in block 1",
    ),
    "class": (
        lambda: {"layer": lambda block: [dense(), keras.layers.Identity()][block]},
        "is 'Dense' in block 0 and 'Identity' in block 1",
    ),
    "after": (
        lambda: {"after": lambda block: keras.layers.Rescaling([1.0, 2.0][block])},
        "config.scale is 1.0 in block 0 and 2.0 in block 1",
    ),
    "not always a layer": (
        lambda: {"layer": lambda block: [dense(), "no"][block]},
        "must return a Keras layer. Received: 'no'.*for block 1",
    ),
    "shapes of weights": (
        lambda: {"layer": with_kernels_of(iter(range(1, 9)))},
        "variables of the same shapes and dtypes",
    ),
    "not reproducible": (
        lambda: {"layer": Opaque(np.tanh)},
        r"can be made again from its configuration, also where a factory makes it.*type Opaque",
    ),
}


@pytest.mark.parametrize(("arguments", "message"), BUILT_FROM.values(), ids=BUILT_FROM)
def test_refused_when_built(arguments, message):
    with pytest.raises(ValueError, match=message):
        RKStack(**{"layer": dense(), "depth": 2, **arguments()}).build((None, 3))


def test_several_outputs_are_refused():
    f = keras.layers.LSTM(3, return_sequences=True, return_state=True)
    with pytest.raises(ValueError, match="one tensor"):
        RKStack(f, 2)(normal(2, 4, 3))


def test_several_outputs_of_after_are_refused():
    after = keras.layers.LSTM(3, return_sequences=True, return_state=True)
    with pytest.raises(ValueError, match="`after` must return one tensor"):
        RKStack(dense(), 2, after=after)(normal(2, 4, 3))


@pytest.mark.parametrize("built", [False, True], ids=["new", "built"])
def test_what_is_not_one_tensor_is_refused(built):
    stack = RKStack(dense(), 2)
    if built:
        stack.build((None, 3))
    with pytest.raises(ValueError, match="must be one tensor"):
        stack([normal(2, 3), normal(2, 3)])


def test_further_arguments_that_f_does_not_take_are_refused():
    with pytest.raises(TypeError, match="further inputs"):
        RKStack(dense(), 2)(normal(2, 3), other=normal(2, 3))


@pytest.mark.skipif(BACKEND != "torch", reason="PyTorch's modules are for PyTorch")
@pytest.mark.parametrize("inside", [False, True], ids=["layer", "inside"])
def test_a_torch_module_is_refused(inside):
    import torch

    f = keras.layers.TorchModuleWrapper(torch.nn.Linear(3, 3))
    f = keras.Sequential([f]) if inside else f
    with pytest.raises(ValueError, match=r"torch\.nn\.Module.*RKResidual layers"):
        RKStack(f, 2).build((None, 3))


CHANGES = {
    "depth": 3,
    "dt": [0.5, 0.25],
    "seed": 4,
    "tableau": tableaux.get("euler"),
    "steps": 2,
    "order": 2,
    "require": "explicit",
    "state": "other",
    "return_states": True,
}


@pytest.mark.parametrize("name", CHANGES)
def test_an_argument_cannot_be_set_after_construction(name):
    stack = RKStack(dense(), 2)
    before = stack.get_config()
    with pytest.raises(AttributeError, match=rf"RKStack\.from_config\(.*{name!r}"):
        setattr(stack, name, CHANGES[name])
    assert stack.get_config() == before


@pytest.mark.parametrize("name", [name for name in CHANGES if name not in ("depth", "state")])
def test_a_new_stack_with_another_argument(name):
    stack, y = RKStack(dense(), 2), normal(2, 3)
    stack(y)
    new = RKStack.from_config({**stack.get_config(), name: CHANGES[name]})
    new(y)
    new.set_weights(stack.get_weights())
    other = RKStack.from_layers([layer.layer for layer in stack.unstack()], **{name: CHANGES[name]})
    np.testing.assert_array_equal(numpy(new(y)), numpy(other(y)))


@pytest.mark.parametrize(
    ("dt", "stored"),
    [
        (0.1, 0.1),
        ("0.1", "1/10"),
        (Fraction(1, 3), "1/3"),
        ([0.5, "1/3"], [0.5, "1/3"]),
        ((1, -2), [1, -2]),
        (np.array([0.5, 0.25]), [0.5, 0.25]),
        ([0.5, "1/2"], 0.5),  # all the same
    ],
    ids=str,
)
def test_dt_in_the_config_is_exact(dt, stored):
    config = json.loads(json.dumps(RKStack(dense(), 2, dt=dt).get_config()))
    assert config["dt"] == stored
    again = RKStack.from_config(config)
    assert again.get_config()["dt"] == stored


@pytest.mark.parametrize(
    "make",
    [
        lambda: RKStack(dense(), 2, "rk8", "1/3", 2, order=8, return_states=True, name="mine"),
        lambda: RKStack(batch_normalized(), 2, after=keras.layers.BatchNormalization(), seed=3),
        lambda: RKStack(lambda n: dense(seed=n), 2, after=lambda: keras.layers.ReLU()),
        lambda: RKStack(dense(), 2, ([[], [0.1]], [0, 1.0]), require="explicit"),
    ],
    ids=["method", "after", "factory", "tableau"],
)
def test_the_config_survives(make):
    stack = make()
    config = json.loads(json.dumps(stack.get_config()))
    copy = json.loads(json.dumps(config))
    again = RKStack.from_config(config)
    assert config == copy
    assert again.get_config() == stack.get_config()
    assert again.tableau == stack.tableau
