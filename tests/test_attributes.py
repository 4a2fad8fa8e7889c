"""Whether the attributes of a layer are those of before, for each kind of attribute."""

import json
import weakref
from functools import partial
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import ops

from keras_rk.field import attributes
from keras_rk.field.attributes import Attributes
from keras_rk.layers import RKResidual, RKStack

FACTOR = 1.0


class Own(keras.layers.Layer):
    """A layer with whatever attributes."""

    kind = "own"

    def __init__(self, **values):
        super().__init__()
        for name, value in values.items():
            setattr(self, name, value)

    def call(self, y):
        return FACTOR * y


class Scale:
    def __init__(self, factor):
        self.factor = factor


def enclosing(factor):
    def function(y):
        return factor * y

    def change(value):
        nonlocal factor
        factor = value

    return function, change


def with_closure():
    function, change = enclosing(1.0)
    return keras.layers.Lambda(function), lambda layer: change(2.0)


def setting(name, value, make, *path):
    """A layer, and what sets one attribute of what is found at a path of attributes."""

    def change(layer):
        for part in path:
            layer = layer[part] if isinstance(part, int) else getattr(layer, part)
        setattr(layer, name, value)

    return make(), change


def defaults(y, factor=1.0):
    return factor * y


def change_defaults(layer):
    defaults.__defaults__ = (defaults.__defaults__[0] + 1,)


def assign_in(array):
    array[0] += 1


layers = keras.layers
CHANGES = {
    "rate": lambda: setting("rate", 0.5, lambda: layers.Dropout(0.1)),
    "type of a number": lambda: setting("rate", 1, lambda: Own(rate=1.0)),
    "trainable": lambda: setting("trainable", False, lambda: layers.Dense(3)),
    "activation": lambda: setting("activation", ops.relu, lambda: layers.Dense(3)),
    "policy": lambda: setting("dtype_policy", "mixed_bfloat16", lambda: layers.Dense(3)),
    "regularizer": lambda: setting(
        "activity_regularizer", keras.regularizers.L2(1.0), lambda: layers.Dense(3)
    ),
    "inside of a regularizer": lambda: setting(
        "l2", 2.0, lambda: layers.Dense(3, activity_regularizer="l2"), "activity_regularizer"
    ),
    "in a model": lambda: setting(
        "rate", 0.5, lambda: keras.Sequential([layers.Dropout(0.1)]), "layers", 0
    ),
    "in an attribute": lambda: setting("rate", 0.5, lambda: Own(f=layers.Dropout(0.1)), "f"),
    "in a list": lambda: setting("rate", 0.5, lambda: Own(f=[layers.Dropout(0.1)]), "f", 0),
    "in a wrapper": lambda: setting(
        "rate", 0.5, lambda: RKResidual(layers.Dropout(0.1), "euler"), "layer"
    ),
    "in a stack": lambda: setting(
        "rate", 0.5, lambda: RKStack(layers.Dropout(0.1), 2, "euler"), "layer"
    ),
    "after each block": lambda: setting(
        "rate", 0.5, lambda: RKStack(layers.ReLU(), 2, "euler", after=layers.Dropout(0.1)), "after"
    ),
    "another layer": lambda: setting("f", layers.ReLU(), lambda: Own(f=layers.ReLU())),
    "of an object": lambda: setting("factor", 2.0, lambda: Own(scale=Scale(1.0)), "scale"),
    "of a namespace": lambda: setting("a", 2, lambda: Own(x=SimpleNamespace(a=1)), "x"),
    "of a method's object": lambda: setting(
        "factor", 2.0, lambda: Own(f=Scale(1.0).__init__), "f", "__self__"
    ),
    "new": lambda: setting("more", 1, Own),
    "list": lambda: (Own(numbers=[1, 2]), lambda layer: layer.numbers.append(3)),
    "dictionary": lambda: (Own(numbers={"a": 1}), lambda layer: layer.numbers.update({"a": 2})),
    "key": lambda: (Own(x={"a": {"b": 1}}), lambda layer: layer.x.update({"c": layer.x.pop("a")})),
    "array": lambda: (Own(numbers=np.zeros(3)), lambda layer: assign_in(layer.numbers)),
    "closure": with_closure,
    "partial": lambda: (
        Own(f=partial(defaults, factor=[1])),
        lambda x: x.f.keywords["factor"].pop(),
    ),
    "defaults": lambda: (Own(f=defaults), change_defaults),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_a_change_is_seen(kind):
    layer, change = CHANGES[kind]()
    before = Attributes([layer])
    assert before.rows == Attributes([layer]).rows
    change(layer)
    assert not before.are_untouched([layer])
    assert before.rows != Attributes([layer]).rows
    assert Attributes([layer]).changed_since(before)


@pytest.mark.parametrize("name, value", [("kind", "other"), ("call", lambda self, y: y)])
def test_a_change_of_the_class_is_seen(monkeypatch, name, value):
    layer = Own()
    before = Attributes([layer])
    monkeypatch.setattr(Own, name, value)
    assert not before.are_untouched([layer])
    assert before.rows != Attributes([layer]).rows


def test_a_number_of_the_module_is_seen(monkeypatch):
    layer = Own()
    before = Attributes([layer])
    monkeypatch.setitem(globals(), "FACTOR", 2.0)
    assert not before.are_untouched([layer])
    assert before.rows != Attributes([layer]).rows


SETTINGS = {"factor": 1.0}
SCALE = Scale(1.0)


def helper(y):
    return SETTINGS["factor"] * y


FOUND_BY_NAME = {
    "a dictionary": lambda y: SETTINGS["factor"] * y,
    "in a comprehension": lambda y: [SETTINGS["factor"] * part for part in (y, y)],
    "by a function inside": lambda y: (lambda: SETTINGS["factor"] * y)(),
    "by a helper": lambda y: helper(y),
    "an object": lambda y: SCALE.factor * y,
    "of a module": lambda y: attributes.MOST_DEPTH * y,
}


@pytest.mark.parametrize("kind", FOUND_BY_NAME)
def test_what_a_function_finds_by_name_is_seen(monkeypatch, kind):
    layer = layers.Lambda(FOUND_BY_NAME[kind])
    before = Attributes([layer])
    assert before.are_untouched([layer])
    monkeypatch.setitem(SETTINGS, "factor", 2.0)
    monkeypatch.setattr(SCALE, "factor", 2.0)
    monkeypatch.setattr(attributes, "MOST_DEPTH", 9)
    assert not before.are_untouched([layer])
    assert before.rows != Attributes([layer]).rows


def test_libraries_are_not_looked_into():
    def activation(y):
        return json.loads(ops.tanh(np.tanh(y)))

    assert len(Attributes([layers.Lambda(activation)]).rows) < 60


def test_a_number_among_the_values_is_seen():
    layer = Own()
    assert Attributes([layer, 1.5]).rows != Attributes([layer, 2.5]).rows
    assert not Attributes([layer, 1.5]).are_untouched([layer, 2.5])


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.Dense(3),
        lambda: keras.Sequential([layers.Dense(3), layers.BatchNormalization()]),
        lambda: Own(numbers=[1, 2], f=[layers.ReLU()], scale=Scale(1.0)),
        lambda: layers.Lambda(enclosing(1.0)[0]),
    ],
    ids=["layer", "model", "own", "function"],
)
def test_nothing_is_seen_where_nothing_has_changed(make):
    layer = make()
    layer(np.ones((2, 3), "float32"))
    before = Attributes([layer])
    layer(np.ones((2, 3), "float32"))
    assert before.are_untouched([layer])
    assert before.rows == Attributes([layer]).rows


def test_setting_the_same_again_is_no_change():
    layer = layers.Dropout(0.1)
    before = Attributes([layer])
    layer.rate = float("0.1")
    assert before.rows == Attributes([layer]).rows


def test_tensors_do_not_count():
    layer = Own(x=ops.ones(3))
    before = Attributes([layer])
    layer.x = ops.zeros(3)
    assert before.rows == Attributes([layer]).rows


def test_what_is_left_out_does_not_count():
    layer = Own(calls=1, other=1)
    before = Attributes([layer])
    layer.calls = 2
    changed = Attributes([layer]).changed_since(before)
    assert changed == {(id(layer), "calls")}
    before.leave_out(changed)
    assert before.rows == Attributes([layer], changed).rows
    layer.other = 2
    assert before.rows != Attributes([layer], changed).rows


def in_itself():
    numbers = [1]
    numbers.append(numbers)
    return numbers


def chain(length):
    scale = Scale(None)
    for _ in range(length):
        scale = Scale(scale)
    return scale


@pytest.mark.parametrize(
    "make",
    [
        lambda: list(range(10**5)),
        lambda: np.zeros(10**5),
        lambda: chain(10**4),
        lambda: weakref.proxy(Scale(1.0)),
        in_itself,
    ],
    ids=["list", "array", "objects", "dead reference", "in itself"],
)
def test_nothing_is_too_much(make):
    layer = Own()
    layer.__dict__["what"] = make()
    one = Attributes([layer])
    assert len(one.rows) <= attributes.MOST_ROWS + 100
    assert one.rows == Attributes([layer]).rows
