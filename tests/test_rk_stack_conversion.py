"""What `RKStack.from_layers` and `unstack` refuse, and what they say."""

import keras
import pytest

from keras_rk.layers import RKResidual, RKStack
from tests.keras_helpers import dense, normal


def layers(count=2, method="heun2", dt=1.0, steps=1, **kwargs):
    """Built RKResidual layers."""
    made = [RKResidual(dense(seed=n, **kwargs), method, dt, steps) for n in range(count)]
    for layer in made:
        layer.build((None, 3))
    return made


def fields(*made):
    for layer in made:
        layer.build((None, 3))
    return list(made)


FROM_LAYERS = {
    # name: positional arguments, keyword arguments, and what the error says
    "none": (lambda: ([], {}), "at least one Keras layer. Received: no layers"),
    "no layers": (lambda: ([1, dense()], {}), r"Received: \['int', 'Dense'\]"),
    "not built": (lambda: ([dense(name="new")], {}), "must be built. Received: layer 'new'"),
    "method": (lambda: ([*layers(1), *layers(1, "rk4")], {}), "same `tableau`.*'?heun2'? and"),
    "steps": (lambda: ([*layers(1), *layers(1, steps=2)], {}), "same `steps`. Received: 1 and"),
    "kind": (
        lambda: ([*layers(1), *layers(1, activation="relu")], {}),
        "config.activation is 'tanh' in block 0 and 'relu' in block 1",
    ),
    "residual and not": (
        lambda: ([*layers(1), *fields(dense(name="flat"))], {}),
        r"in block 0 and .* in block 1 \(layer 'flat' of type Dense\)",
    ),
    "kind of after": (
        lambda: (layers(), {"after": fields(dense(), dense(activation="relu"))}),
        "'tanh' in block 0 and 'relu' in block 1",
    ),
    "number after": (
        lambda: (layers(), {"after": fields(dense())}),
        "one layer `after` each block. Received: 1 layers after 2 blocks",
    ),
    "after not built": (
        lambda: (layers(), {"after": [dense(name="new"), dense()]}),
        "must be built. Received: layer 'new'",
    ),
    "tableau twice": (lambda: (layers(), {"tableau": "rk4"}), "theirs. Received: tableau for"),
    "dt twice": (lambda: (layers(), {"dt": 0.5, "steps": 2}), "Received: dt, steps for"),
}


@pytest.mark.parametrize(("arguments", "message"), FROM_LAYERS.values(), ids=FROM_LAYERS)
def test_from_layers_refuses(arguments, message):
    given, kwargs = arguments()
    with pytest.raises(ValueError, match=message):
        RKStack.from_layers(given, **kwargs)


def test_unstack_before_building():
    with pytest.raises(ValueError, match=r"build the stack.*stack 'mine', which is not built"):
        RKStack(dense(), 2, name="mine").unstack()


def test_unstack_with_further_inputs_and_a_layer_after_each():
    inputs = [keras.Input((3,)), keras.Input((3,))]
    f = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Add()(inputs)))
    stack = RKStack(f, 2, after=keras.layers.LayerNormalization(), name="mine")
    stack(normal(2, 3), normal(2, 3))
    with pytest.raises(ValueError, match=r"further inputs of f.*stack 'mine'"):
        stack.unstack()
