"""What y may be: every dtype gives what y + f(y) gives in Keras's own layers, or is refused."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rk.layers import RKResidual, RKStack
from tests.keras_helpers import BACKEND, numpy

LAYERS = {
    "residual": lambda f, **kwargs: RKResidual(f, "euler", **kwargs),
    "stack": lambda f, **kwargs: RKStack(f, 1, "euler", **kwargs),
}
each_layer = pytest.mark.parametrize("wrap", LAYERS.values(), ids=LAYERS.keys())

NUMBERS = [
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"),
    *("float8_e4m3fn", "float8_e5m2", "float16", "bfloat16", "float32", "float64"),
]
if BACKEND != "torch":
    NUMBERS.append("uint64")


def dense():
    return keras.layers.Dense(3, activation="tanh", kernel_initializer=CONSTANT)


CONSTANT = keras.initializers.Constant(0.01)  # the same in every block
VALUES = [[0.0, 1.0, 3.0], [2.0, 1.0, 96.0]]


def tensor(dtype):
    return ops.cast(ops.convert_to_tensor(np.array(VALUES, "float32")), dtype)


@each_layer
@pytest.mark.filterwarnings("ignore:Explicitly requested dtype")  # JAX without 64 bits
@pytest.mark.parametrize("dtype", NUMBERS)
def test_numbers_are_taken_as_by_keras_layers(dtype, wrap):
    f, y = dense(), tensor(dtype)
    expected = keras.layers.Add()([y, f(y)])
    result = wrap(dense())(y)
    assert keras.backend.standardize_dtype(result.dtype) == "float32"
    np.testing.assert_allclose(numpy(result), numpy(expected), rtol=1e-6)


@each_layer
@pytest.mark.filterwarnings("ignore:Explicitly requested dtype")
@pytest.mark.parametrize("dtype", NUMBERS)
def test_numbers_in_a_functional_model(dtype, wrap):
    y = keras.Input((3,), dtype=dtype)
    result = wrap(dense())(y)
    assert result.dtype == "float32"
    by_hand = keras.Model(y, keras.layers.Add()([y, dense()(y)]))
    np.testing.assert_allclose(
        numpy(keras.Model(y, result)(tensor(dtype))), numpy(by_hand(tensor(dtype))), rtol=1e-6
    )


@each_layer
def test_integers_do_not_wrap_around(wrap):
    y = ops.convert_to_tensor(np.array([[100]], "int8"))
    result = wrap(keras.layers.Rescaling(1.0))(y)
    assert numpy(result)[0, 0] == 200


class Turned(keras.layers.Layer):
    """A quarter turn in the complex plane."""

    def call(self, y):
        return 1j * ops.cast(y, "complex64")

    def compute_output_shape(self, input_shape):
        return input_shape


@each_layer
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("symbolic", [False, True], ids=["tensor", "symbolic"])
def test_a_complex_state_is_refused_before_anything_is_built(symbolic, dtype, wrap):
    layer = wrap(Turned())
    values = np.array([[1j]], dtype)
    y = keras.Input((1,), dtype=dtype) if symbolic else ops.convert_to_tensor(values)
    with pytest.raises(ValueError, match=r"real numbers.*Received: dtype=complex\d+ \(layer 'rk_"):
        layer(y)
    assert not layer.built
    if not symbolic:
        with pytest.raises(ValueError, match="real numbers"):
            layer(values)


@each_layer
def test_text_is_refused_before_anything_is_built(wrap):
    layer = wrap(dense())
    for y in (np.array([["a"]]), keras.Input((1,), dtype="string")):
        with pytest.raises(ValueError, match=r"real numbers.*Received: dtype="):
            layer(y)
    assert not layer.built


@each_layer
@pytest.mark.parametrize("steps", [1, 3])
def test_a_complex_derivative_is_refused(steps, wrap):
    with pytest.raises(ValueError, match=r"What f returns.*Received: dtype=complex64 \(layer 'it'"):
        wrap(Turned(name="it"), steps=steps)(np.ones((1, 1)))


@pytest.mark.parametrize("dtype", ["int32", "bool", "complex64"])
def test_an_output_that_could_not_hold_the_sum_is_refused(dtype):
    with pytest.raises(ValueError, match=rf"compute dtype, one of.*Received: dtype='{dtype}'"):
        RKResidual(dense(), dtype=dtype)
    layer = RKResidual(dense())
    layer.dtype_policy = dtype
    with pytest.raises(ValueError, match=r"compute dtype, one of"):
        layer(np.ones((1, 3)))


@each_layer
def test_context_may_be_complex(wrap):
    class TurnedBy(keras.layers.Layer):
        def call(self, y, context):
            return ops.real(ops.cast(y, "complex64") * context)

        def compute_output_shape(self, y_shape, context_shape):
            return y_shape

    context = ops.convert_to_tensor(np.array([[2 + 1j]], "complex64"))
    assert numpy(wrap(TurnedBy())(np.ones((1, 1)), context))[0, 0] == 3
