"""Freezing a stack or part of it, LoRA weights, quantization."""

import keras
import numpy as np
import pytest

from keras_rk.layers import RKStack
from tests.keras_helpers import assert_same_blocks, batch_normalized, dense, normal, numpy


def built(layer, depth=2, **kwargs):
    stack = RKStack(layer, depth, "heun2", 0.5, **kwargs)
    stack.build((None, 3))
    return stack


def normalized_after_each():
    return built(batch_normalized(), after=keras.layers.BatchNormalization())


def fit(*layers, epochs=1):
    model = keras.Sequential([keras.Input((3,)), *layers])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    x = normal(8, 3)
    model.fit(x, 2 * x + 1, batch_size=4, epochs=epochs, shuffle=False, verbose=0)
    return model


def values(layer):
    return [numpy(variable) for variable in layer.variables]


def changed(layer, before):
    """For each variable, by name, whether it has moved."""
    return {
        variable.name: not np.array_equal(numpy(variable), old)
        for variable, old in zip(layer.variables, before, strict=True)
    }


def frozen_in_part():
    f = keras.Sequential([dense(5), dense(3, seed=1)])
    f.layers[0].trainable = False
    return f


def test_a_frozen_stack_does_not_move():
    stack = normalized_after_each()
    stack.trainable = False
    assert (len(stack.trainable_weights), len(stack.non_trainable_weights)) == (0, 12)
    before = values(stack)
    fit(stack, keras.layers.Dense(3))
    assert not any(changed(stack, before).values())


def test_an_unfrozen_stack_moves_as_if_it_had_never_been_frozen():
    stack = normalized_after_each()
    trainable = [weight.name for weight in stack.trainable_weights]
    stack.trainable = False
    stack.trainable = True
    assert [weight.name for weight in stack.trainable_weights] == trainable
    assert len(trainable) == 6
    before = values(stack)
    fit(stack)
    assert all(changed(stack, before).values())


def test_a_frozen_stack_normalizes_as_at_inference():
    stack = normalized_after_each()
    fit(stack)
    y = normal(8, 3)
    training, inference = (numpy(stack(y, training=value)) for value in (True, False))
    assert not np.allclose(training, inference, atol=1e-3)
    stack.trainable = False
    np.testing.assert_array_equal(numpy(stack(y, training=True)), numpy(stack(y, training=False)))


def test_frozen_at_construction():
    stack = built(batch_normalized(), trainable=False)
    assert not stack.trainable
    assert stack.trainable_weights == []
    stack.trainable = True
    assert len(stack.trainable_weights) == 4


@pytest.mark.filterwarnings("ignore:.*trainable weights")
def test_frozen_by_the_model_around_it():
    stack = normalized_after_each()
    model = keras.Sequential([keras.Input((3,)), stack, keras.layers.Dense(3)])
    model.trainable = False
    before = values(stack)
    model.compile(keras.optimizers.SGD(0.1), "mse")
    model.fit(normal(8, 3), normal(8, 3), verbose=0)
    assert not any(changed(stack, before).values())


def test_part_of_f_frozen_before_the_stack_is_built():
    stack = built(frozen_in_part())
    assert [tuple(w.shape) for w in stack.trainable_weights] == [(2, 5, 3), (2, 3)]
    before = values(stack)
    fit(stack)
    moved = [not np.array_equal(a, b) for a, b in zip(values(stack), before, strict=True)]
    frozen = [not variable.trainable for variable in stack.variables]
    assert moved == [not value for value in frozen]
    assert sum(frozen) == 2


def test_part_of_f_frozen_trains_as_the_single_layers_do():
    stack = built(frozen_in_part())
    layers = stack.unstack()
    assert [len(layer.trainable_weights) for layer in layers] == [2, 2]
    fit(stack, epochs=2)
    fit(*layers, epochs=2)
    assert_same_blocks(stack, layers)


def test_one_stacked_weight_can_be_frozen():
    stack = built(dense())
    stack.weights[0].trainable = False
    before = values(stack)
    layers = stack.unstack()
    assert [[w.name for w in layer.trainable_weights] for layer in layers] == [["bias"]] * 2
    fit(stack)
    kernel, bias = (not np.array_equal(a, b) for a, b in zip(values(stack), before, strict=True))
    assert (kernel, bias) == (False, True)
    fit(*layers)
    assert_same_blocks(stack, layers)


CHANGES = {
    "frozen": lambda f: setattr(f.layers[0], "trainable", False),
    "lora": lambda f: f.layers[0].enable_lora(2),
    "quantized": lambda f: f.layers[0].quantize("int8"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changing_part_of_f_once_built_is_refused(change):
    stack = built(keras.Sequential([dense(3), dense(3, seed=1)], name="field"), name="mine")
    change(stack.layer)
    with pytest.raises(ValueError, match=r"before the stack is built.*'field' of stack 'mine'"):
        stack(normal(2, 3))


def test_freezing_part_of_after_once_built_is_refused():
    stack = built(dense(), after=keras.layers.LayerNormalization(name="norm"))
    stack.after.trainable = False
    with pytest.raises(ValueError, match=r"before the stack is built.*'norm'"):
        stack(normal(2, 3))


def test_the_advice_for_freezing_works():
    layers = built(keras.Sequential([dense(3), dense(3, seed=1)])).unstack()
    for layer in layers:
        layer.layer.layers[0].trainable = False
    stack = RKStack.from_layers(layers)
    assert len(stack.trainable_weights) == 2
    before = values(stack)
    fit(stack)
    moved = [not np.array_equal(a, b) for a, b in zip(values(stack), before, strict=True)]
    assert moved == [variable.trainable for variable in stack.variables]


def test_lora_before_building():
    stack = built(keras.layers.Dense(3, activation="tanh", lora_rank=2))
    shapes = [tuple(weight.shape) for weight in stack.trainable_weights]
    assert sorted(shapes) == [(2, 2, 3), (2, 3), (2, 3, 2)]
    layers = stack.unstack()
    fit(stack, epochs=2)
    fit(*layers, epochs=2)
    assert_same_blocks(stack, layers)
    assert [layer.layer.lora_enabled for layer in layers] == [True] * 2


def test_quantization_is_refused():
    with pytest.raises(NotImplementedError, match=r"unstack\(\).*'mine'"):
        built(dense(), name="mine").quantize("int8")


@pytest.mark.filterwarnings("ignore:.*quantize")
def test_quantizing_a_model_leaves_the_stack_alone():
    stack = built(dense())
    model = keras.Sequential([keras.Input((3,)), stack])
    x, before = normal(4, 3), values(stack)
    expected = model.predict(x, verbose=0)
    with pytest.warns(UserWarning, match=r"RKStack cannot be quantized"):
        model.quantize("int8")
    assert not any(changed(stack, before).values())
    np.testing.assert_array_equal(model.predict(x, verbose=0), expected)


def test_the_advice_for_quantization_works():
    stack = built(keras.layers.Dense(3, activation="tanh"))
    model = keras.Sequential([keras.Input((3,)), *stack.unstack()])
    x = normal(4, 3)
    expected = numpy(stack(x))
    for layer in model.layers:
        layer.layer.quantize("int8")
    result = model.predict(x, verbose=0)
    np.testing.assert_allclose(result, expected, atol=0.1)
    assert not np.array_equal(result, expected)


@pytest.mark.parametrize("when", ["construction", "later"])
def test_the_single_layers_of_a_frozen_stack_are_frozen(when):
    stack = built(batch_normalized(), trainable=when == "later")
    stack.trainable = False
    assert not any(layer.trainable_weights for layer in stack.unstack())
