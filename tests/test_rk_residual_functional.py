"""f as a functional model with several inputs: y, and what is constant over the stages."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rk.layers import RKResidual
from tests.keras_helpers import normal, numpy

SHAPES = {"y": (3,), "context": (2,), "shift": (3,)}


def functional(*names, structure=list):
    """tanh(W (y, context, ...)), its inputs in the order of `names`."""
    inputs = {name: keras.Input(SHAPES[name], name=name) for name in names}
    joined = keras.layers.Concatenate()([inputs[name] for name in sorted(names)])
    outputs = keras.layers.Dense(3, activation="tanh")(joined)
    return keras.Model(structure(inputs.values()) if structure is not dict else inputs, outputs)


CALLS = {
    # name: f, and how it is called
    "position": (lambda: functional("y", "context"), lambda f, y, c, s: f(y, c)),
    "name": (lambda: functional("y", "context"), lambda f, y, c, s: f(y, context=c)),
    "name of the first": (lambda: functional("context", "y"), lambda f, y, c, s: f(y, context=c)),
    "tuple": (
        lambda: functional("y", "context", structure=tuple),
        lambda f, y, c, s: f(y, c),
    ),
    "dictionary": (
        lambda: functional("y", "context", structure=dict),
        lambda f, y, c, s: f(y, context=c),
    ),
    "three": (lambda: functional("y", "context", "shift"), lambda f, y, c, s: f(y, c, s)),
    "three, both ways": (
        lambda: functional("y", "context", "shift"),
        lambda f, y, c, s: f(y, s, context=c),
    ),
}


def data():
    return [normal(4, *shape, seed=seed) for seed, shape in enumerate(SHAPES.values())]


def residual_model(name):
    """A model of one layer, and data for it."""
    make, call = CALLS[name]
    f = make()
    used = sorted(tensor.name for tensor in f.inputs)
    inputs = {name: keras.Input(SHAPES[name]) for name in used}
    result = call(RKResidual(f, "midpoint", 0.5), *(inputs.get(name) for name in SHAPES))
    arrays = dict(zip(SHAPES, data(), strict=True))
    return keras.Model(list(inputs.values()), result), [arrays[name] for name in used]


@pytest.mark.parametrize("name", CALLS)
def test_equals_the_formula(name):
    make, call = CALLS[name]
    f = make()
    y, *rest = (ops.convert_to_tensor(x) for x in data())
    kernel, bias = f.weights
    values = dict(zip(SHAPES, [y, *rest], strict=True))

    def formula(y):
        names = sorted(tensor.name for tensor in f.inputs)
        joined = ops.concatenate([{**values, "y": y}[name] for name in names], axis=-1)
        return ops.tanh(ops.matmul(joined, kernel) + bias)

    expected = y + 0.5 * formula(y + 0.25 * formula(y))
    result = call(RKResidual(f, "midpoint", 0.5), y, *rest)
    np.testing.assert_allclose(numpy(result), numpy(expected), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", CALLS)
def test_trains_and_survives_saving(name, tmp_path):
    model, x = residual_model(name)
    model.compile(keras.optimizers.SGD(0.1), "mse")
    history = model.fit(x, 2 * data()[0], epochs=3, verbose=0).history["loss"]
    assert history[-1] < history[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-6)


@pytest.mark.parametrize("explicit", [True, False], ids=["argument", "attached"])
def test_a_mask_of_y_reaches_f(explicit):
    inputs = [keras.Input((5, 3), name="y"), keras.Input((5, 3), name="context")]
    lstm = keras.layers.LSTM(3, return_sequences=True, zero_output_for_mask=True)
    f = keras.Model(inputs, lstm(inputs[0]) * inputs[1])
    y, context = normal(2, 5, 3), ops.convert_to_tensor(normal(2, 5, 3, seed=1))
    y[0, 2:] = 0
    mask = ops.convert_to_tensor(np.any(y, axis=-1))
    options = {"mask": mask} if explicit else {}
    masked = ops.convert_to_tensor(y) if explicit else keras.layers.Masking()(y)
    result = numpy(RKResidual(f, "midpoint")(masked, context, **options))

    def formula(y):
        return lstm(y, mask=mask) * context

    y = ops.convert_to_tensor(y)
    expected = y + formula(y + 0.5 * formula(y))
    np.testing.assert_allclose(result, numpy(expected), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(result[0, 2:], 0)  # masked time does not move


@pytest.mark.parametrize(
    ("make", "call", "message"),
    [
        (lambda: functional("y", "context"), lambda f, y, c: f(y), "0 by position"),
        (lambda: functional("y", "context"), lambda f, y, c: f(y, c, c), "2 by position"),
        (lambda: functional("y", "context"), lambda f, y, c: f(y, other=c), "'other'"),
        (lambda: functional("y", structure=tuple), lambda f, y, c: f(y, other=c), "'other'"),
        (
            lambda: functional("y", "context", structure=dict),
            lambda f, y, c: f(y, c),
            "no order",
        ),
    ],
    ids=["too few", "too many", "unknown", "unknown to one input", "dictionary by position"],
)
def test_refused(make, call, message):
    y, context = (ops.convert_to_tensor(x) for x in data()[:2])
    with pytest.raises(TypeError, match=message):
        call(RKResidual(make()), y, context)
