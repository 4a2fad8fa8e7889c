"""Which sums `convert_residuals` takes for residual connections, and why not the others."""

import re

import keras
import numpy as np
import pytest
from keras import ops

from keras_rk import convert_residuals

from .keras_helpers import dense, normal, numpy

pytestmark = pytest.mark.repeated  # a graph is the same on every backend

layers = keras.layers
X = normal(4, 3)


def model_of(make, shape=(3,)):
    """The model of x in, `make(x)` out; x is not the input itself, but a layer's output."""
    y = keras.Input(shape)
    x = layers.Rescaling(1.0, name="x")(y)
    return keras.Model(y, make(x))


def squeeze_and_excite(x):
    h = layers.Conv2D(3, 3, padding="same")(x)
    s = layers.GlobalAveragePooling2D(keepdims=True)(h)
    return x + h * layers.Conv2D(3, 1, activation="sigmoid")(s)


def attention(x):
    h = layers.LayerNormalization()(x)
    return layers.Add()([x, layers.MultiHeadAttention(2, 2)(h, h)])


def nested_field(x):
    h = z = keras.Input((3,))
    for _ in range(2):
        h = dense()(h)
    return x + keras.Model(z, h)(x)


def used_before(x):
    f = dense()(x)
    return layers.Concatenate()([x + f, dense()(x)])


def from_two_outputs(x):
    h = layers.Concatenate()([dense()(x), dense()(x)])
    one, two = ops.split(h, 2, axis=-1)
    return x + one * two


CONVERTED = {
    # name: what is made of x, the shape, how many blocks
    "Add": (lambda x: layers.Add()([x, dense()(x)]), (3,), 1),
    "Add, F first": (lambda x: layers.Add()([dense()(x), x]), (3,), 1),
    "layers.add": (lambda x: layers.add([x, dense()(x)]), (3,), 1),
    "plus": (lambda x: x + dense()(x), (3,), 1),
    "ops.add": (lambda x: ops.add(dense()(x), x), (3,), 1),
    "no parameters": (lambda x: x + ops.tanh(x), (3,), 1),
    "operations": (lambda x: x + ops.sin(2.0 * x - 1.0) * ops.cos(x), (3,), 1),
    "x several times in F": (lambda x: x + dense()(x) * x, (3,), 1),
    "a sum inside F": (lambda x: x + (dense()(x) + dense()(x)), (3,), 1),
    "x used elsewhere": (used_before, (3,), 1),
    "two blocks of one x": (
        lambda x: layers.Concatenate()([x + dense()(x), x + dense()(x)]),
        (3,),
        2,
    ),
    "one after another": (lambda x: (z := x + dense()(x)) + dense()(z), (3,), 2),
    "squeeze and excite": (squeeze_and_excite, (6, 6, 3), 1),
    "attention": (attention, (5, 3), 1),
    "a model inside F": (nested_field, (3,), 1),
    "several outputs inside F": (from_two_outputs, (3,), 1),
    "stochastic depth": (
        lambda x: x + layers.Dropout(0.5, noise_shape=(None, 1), seed=1)(dense()(x)),
        (3,),
        1,
    ),
    "a layer twice in one F": (lambda x: x + (f := dense())(f(x)), (3,), 1),
}


@pytest.mark.parametrize("make, shape, count", CONVERTED.values(), ids=CONVERTED)
def test_a_residual_connection_becomes_a_block(make, shape, count):
    model = model_of(make, shape)
    euler, report = convert_residuals(model, "euler")
    assert len(report.converted) == count
    x = normal(4, *shape)
    np.testing.assert_array_equal(numpy(model(x)), numpy(euler(x)))
    rk4, _ = convert_residuals(model, "rk4")
    assert np.abs(numpy(rk4(x)) - numpy(model(x))).max() > 1e-3


class ScaledAdd(layers.Add):
    """Adds something else than its terms."""

    def call(self, inputs):
        return inputs[0] + 0.5 * inputs[1]


def cross_attention(x):
    context = layers.Rescaling(0.5, name="context")(x)
    y = layers.Rescaling(2.0, name="y")(x)
    return y + layers.MultiHeadAttention(2, 2)(y, context)


def shared_pre_activation(x):
    a = layers.Activation("tanh", name="pre")(x)
    return layers.Concatenate()([x + dense()(a), dense()(a)])


def field_twice(x):
    f = dense(name="mine")(x)
    return layers.Concatenate()([x + f, f])


def field_in_two_sums(x):
    f = dense(name="mine")(x)
    return layers.Concatenate()([x + f, (x * 2.0) + f])


KEPT = {
    # name: what is made of x, the shape, the reason
    "three terms": (lambda x: layers.Add()([x, dense()(x), dense()(x)]), (3,), "3 terms"),
    "broadcasting": (lambda x: x + dense(1)(x), (3,), "broadcasting"),
    "x + x": (lambda x: x + x, (3,), "the same tensor"),
    "a number": (lambda x: x + 1.0, (3,), "constant"),
    "an array": (lambda x: x + np.ones(3, "float32"), (3,), "constant"),
    "cross-attention": (cross_attention, (5, 3), "side input, which comes from 'x'"),
    "a tapped interior": (shared_pre_activation, (3,), "'pre' inside F is also used by 'dense"),
    "F used twice": (field_twice, (3,), r"F\(x\) is also used by 'concatenate"),
    "projection": (lambda x: dense()(x) + dense()(x), (3,), "neither term comes from the other"),
    "scaling": (lambda x: 0.5 * x + dense()(x), (3,), "neither term comes from the other"),
    "dropout": (
        lambda x: layers.Dropout(0.1)(x) + dense()(x),
        (3,),
        "neither term comes from the other",
    ),
    "a subclass": (lambda x: ScaledAdd()([x, dense()(x)]), (3,), "subclass of Add, ScaledAdd"),
    "integers": (
        lambda x: (i := ops.cast(x, "int32")) + ops.abs(i),
        (3,),
        "dtype int32",
    ),
    "dtypes": (
        lambda x: x + ops.cast(dense()(x), "float16"),
        (3,),
        "dtypes float",
    ),
    "two sums": (lambda x: (x + dense()(x)) + dense()(x), (3,), "one of several terms"),
    "two sums, x last": (lambda x: dense()(x) + (dense()(x) + x), (3,), "one of several terms"),
    "a sum and a difference": (
        lambda x: (x + dense()(x)) - dense()(x),
        (3,),
        "one of several terms",
    ),
    "two sums and a third one": (
        lambda x: layers.Add()([x + dense()(x), dense()(x), dense()(x)]),
        (3,),
        "one of several terms",
    ),
    "two blocks added up": (
        lambda x: (x + dense()(x)) + (x + dense()(x)),
        (3,),
        "one of several terms",
    ),
    "F in two sums": (field_in_two_sums, (3,), r"F\(x\) is also used by"),
}


@pytest.mark.parametrize("make, shape, reason", KEPT.values(), ids=KEPT)
def test_another_sum_is_kept_with_the_reason(make, shape, reason):
    model = model_of(make, shape)
    same, report = convert_residuals(model, allow_none=True)
    assert same is model
    assert report.converted == ()
    assert re.search(reason, " ".join(one.reason for one in report.kept))
    assert all(one.name in str(report) and one.reason in str(report) for one in report.kept)
    with pytest.raises(ValueError, match=r"no residual connection.*Received: model"):
        convert_residuals(model)


def tapped(model_with):
    y = keras.Input((3,))
    h = dense(name="mine")(y)
    f = dense(name="last")(h)
    return keras.Model(y, model_with(h, f, y + f))


@pytest.mark.parametrize(
    "outputs, reason",
    [
        (lambda h, f, s: [s, h], "'mine' inside F is also an output"),
        (lambda h, f, s: {"sum": s, "f": f}, "F(x) is also an output"),
    ],
)
def test_outputs_of_the_model_stay(outputs, reason):
    _, report = convert_residuals(tapped(outputs), allow_none=True)
    assert report.kept[0].reason.startswith(reason)


def nested_skips():
    y = keras.Input((3,))
    z = layers.Add(name="inner")([y, dense()(y)])
    return keras.Model(y, layers.Add(name="outer")([y, dense()(z)]))


def test_of_nested_connections_the_innermost_is_converted():
    model = nested_skips()
    converted, report = convert_residuals(model, "euler")
    assert [one.name for one in report.converted] == ["inner"]
    assert report.kept[0].name == "outer"
    assert "inside F is converted" in report.kept[0].reason
    np.testing.assert_array_equal(numpy(model(X)), numpy(converted(X)))


def test_another_one_can_be_chosen():
    model = nested_skips()
    converted, report = convert_residuals(model, "euler", blocks="outer")
    assert [one.name for one in report.converted] == ["outer"]
    assert [(one.name, one.reason) for one in report.kept] == [("inner", "not selected")]
    np.testing.assert_array_equal(numpy(model(X)), numpy(converted(X)))


def test_a_skip_over_blocks_is_kept():
    y = keras.Input((3,))
    x = y
    for _ in range(2):
        x = x + dense()(x)
    _, report = convert_residuals(keras.Model(y, layers.Add(name="global")([x, y])))
    assert len(report.converted) == 2
    assert [one.name for one in report.kept] == ["global"]


def test_a_block_is_integrated_as_the_formula_says():
    """y' = a y with Heun's method: y (1 + z + z^2 / 2), z = a dt."""
    y = keras.Input((3,))
    x = y * 1.0
    model = keras.Model(y, x + 0.3 * x)
    heun, _ = convert_residuals(model, "heun2", dt=0.5)
    np.testing.assert_allclose(numpy(heun(X)), X * (1 + 0.15 + 0.15**2 / 2), rtol=1e-6)


def test_the_scale_of_inception_resnet_becomes_dt():
    module = pytest.importorskip("keras.src.applications.inception_resnet_v2")
    y = keras.Input((3,))
    model = keras.Model(y, module.CustomScaleLayer(0.17, name="scaled")([y, dense()(y)]))
    euler, report = convert_residuals(model, "euler")
    assert euler.get_layer("scaled").dt == 0.17
    assert report.converted[0].dt == 0.17
    np.testing.assert_allclose(numpy(model(X)), numpy(euler(X)), rtol=1e-6)  # product and sum
    halves, _ = convert_residuals(model, "euler", dt="1/2", steps=2)
    assert float(halves.get_layer("scaled").step_sizes) == 0.085
