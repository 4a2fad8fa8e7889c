"""What is remembered of f between two calls is still true in the next one."""

import copy

import keras
import numpy as np
import pytest
from keras import ops

from keras_rk.field import known_effects
from keras_rk.layers import RKResidual, RKStack
from tests.keras_helpers import BACKEND, MODES, PLAIN, call_in, dense, normal, numpy

pytestmark = pytest.mark.slow  # each case in every way to execute, for minutes

Y = normal(4, 3)
LAYERS = {
    "steps": lambda f: RKResidual(f, "midpoint", 0.5, steps=2, **PLAIN),
    "remat": lambda f: RKResidual(f, "midpoint", 0.5, remat="stage", **PLAIN),
    "stack": lambda f: RKStack(f, 2, "midpoint", 0.5, seed=0, **PLAIN),
}
wrapped = pytest.mark.parametrize("wrapper", LAYERS)
by_mode = pytest.mark.parametrize("mode", MODES[:2])  # eager, and a graph where there are such


@keras.saving.register_keras_serializable(package="test_known_effects")
class Switched(keras.layers.Layer):
    """A layer that counts its calls, adds a loss, and adds a number, each as its attributes say."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.counts, self.adds_loss, self.shift = False, False, 0.0

    def build(self, input_shape):
        self.count = self.add_weight(shape=(), initializer="zeros", trainable=False)
        self.built = True

    def call(self, y):
        if self.counts:
            self.count.assign(self.count + 1)
        if self.adds_loss:
            self.add_loss(ops.mean(y))
        return ops.tanh(y) + self.shift


@keras.saving.register_keras_serializable(package="test_known_effects")
class Normalized(keras.layers.Layer):
    """Batch normalization without weights, which no attribute of a model or a wrapper holds."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner = keras.layers.BatchNormalization(center=False, scale=False, momentum=0.5)

    def build(self, input_shape):
        self.inner.build(input_shape)
        self.built = True

    def call(self, y, training=None):
        return self.inner(y, training=training)


class Scaled(keras.layers.Layer):
    """factor * (y + c), counting its calls in Python."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.calls = 0

    def call(self, y, c, factor=1.0):
        self.calls += 1
        return factor * (y + c)


def dropped_out():
    return keras.Sequential([dense(3), keras.layers.Dropout(0.5, seed=3)])


def normalized():
    return keras.Sequential([dense(3), keras.layers.BatchNormalization(momentum=0.5)])


# f, what is set before the first call, and what after it.
CHANGES = {
    "counts": (Switched, {"counts": False}, {"counts": True}),
    "counts no more": (Switched, {"counts": True}, {"counts": False}),
    "adds a loss": (Switched, {"adds_loss": False}, {"adds_loss": True}),
    "adds no loss": (Switched, {"adds_loss": True}, {"adds_loss": False}),
    "another number": (Switched, {"shift": 0.0}, {"shift": 0.5}),
    "regularized": (
        lambda: dense(3),
        {"activity_regularizer": None},
        {"activity_regularizer": keras.regularizers.L2(1.0)},
    ),
    "regularized no more": (
        lambda: dense(3),
        {"activity_regularizer": keras.regularizers.L2(1.0)},
        {"activity_regularizer": None},
    ),
    "rate": (dropped_out, {"rate": 0.0}, {"rate": 0.5}),
    "momentum": (normalized, {"momentum": 0.5}, {"momentum": 0.0}),
    "training": (Normalized, {"trainable": False}, {"trainable": True}),
}


def set_all(layer, values):
    """Sets attributes of f, or of the last of the layers that it is made of."""
    f = layer.layer
    f = f.layers[-1] if isinstance(f, keras.Sequential) else getattr(f, "inner", f)
    for name, value in values.items():
        setattr(f, name, value)


def results(layer, mode):
    """What calls lead to: values, losses, and the variables after each."""
    found = []
    for _ in range(3 if mode == "eager" else 1):  # PyTorch traces at the second one at the latest
        found.append(numpy(call_in(mode, layer, Y, training=True)))
        if mode == "eager":
            found += [numpy(loss) for loss in layer.losses]
        found += [numpy(variable).astype("float64") for variable in layer.variables]
    return found


@by_mode
@wrapped
@pytest.mark.parametrize("change", CHANGES)
def test_a_layer_changed_later_is_as_if_changed_before(change, wrapper, mode):
    make, before, after = CHANGES[change]
    if change == "training" and wrapper == "stack":
        pytest.skip("a stack refuses a template that is frozen later")
    ours, fresh = LAYERS[wrapper](make()), LAYERS[wrapper](make())
    for layer in (ours, fresh):
        layer.build((4, 3))
    for one, other in zip(fresh.variables, ours.variables, strict=True):
        one.assign(other.value)
    set_all(ours, before)
    results(ours, mode)
    for one, other in zip(ours.variables, fresh.variables, strict=True):
        one.assign(other.value)
    for layer in (ours, fresh):
        set_all(layer, after)
    found, wanted = results(ours, mode), results(fresh, mode)
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@wrapped
def test_a_layer_that_starts_counting_between_two_fits(wrapper):
    layer = LAYERS[wrapper](Switched())
    model = keras.Sequential([keras.Input((3,)), layer, keras.layers.Dense(3)])
    for counts in (False, True):
        layer.layer.counts = counts
        model.compile("sgd", "mse")
        model.fit(Y, Y, batch_size=4, epochs=2, verbose=0)
    evaluations = 2 if wrapper == "stack" else 2 * layer.steps
    counted = max(float(np.max(numpy(v))) for v in layer.variables)
    assert counted == 2 * evaluations


@pytest.mark.parametrize("regularizers", [(None, "l2"), ("l2", None)], ids=["given", "taken"])
@pytest.mark.parametrize("wrapper", ["steps", "stack"])
def test_a_regularizer_between_two_evaluations(wrapper, regularizers):
    layer = LAYERS[wrapper](dense(3))
    model = keras.Sequential([keras.Input((3,)), layer])
    losses = []
    for regularizer in (*regularizers, regularizers[0]):
        layer.layer.activity_regularizer = keras.regularizers.get(regularizer)
        model.compile("sgd", "mse")
        losses.append(model.evaluate(Y, Y, verbose=0))
    first, second, third = losses
    assert first == pytest.approx(third)
    assert (second > first + 0.01) == (regularizers[0] is None)


def test_parts_of_a_stack_are_not_taken_for_each_other():
    """f and the layer after it have as many variables, and one adds a loss."""
    after = dense(3, activity_regularizer=keras.regularizers.L2(1.0))
    stack = RKStack(dense(3), 2, "euler", after=after)
    stack(Y)
    assert [float(numpy(loss)) > 0 for loss in stack.losses] == [True]


@pytest.mark.parametrize("wrapper", ["steps", "stack"])
def test_numbers_among_the_arguments(wrapper):
    layer = LAYERS[wrapper](Scaled())
    by_hand = RKResidual(Scaled(), "midpoint", 0.5, **PLAIN)
    kinds = known_effects.MOST_KINDS
    for n in range(kinds + 4):
        factor = n / kinds
        y = by_hand(by_hand(Y, Y, factor=factor), Y, factor=factor)
        np.testing.assert_allclose(numpy(layer(Y, Y, factor=factor)), numpy(y), rtol=1e-5)
    assert len(layer._integration._known._kinds) == kinds
    traces = len(layer.loop.traces)
    assert traces == (BACKEND == "torch")  # that of the first number
    layer(Y, Y, factor=factor)  # that number again
    assert len(layer.loop.traces) == 2 * traces


def test_counting_in_python_is_no_change():
    layer = LAYERS["steps"](Scaled())
    for _ in range(3):
        layer(Y, Y)
    assert len(layer._integration._known._kinds) == 1
    assert len(layer.loop.traces) == (BACKEND == "torch")


@pytest.mark.skipif(BACKEND != "torch", reason="traces of PyTorch")
def test_going_back_and_forth_traces_each_once():
    layer = LAYERS["stack"](Switched())
    for _ in range(3):
        for shift in (0.0, 0.5):
            layer.layer.shift = shift
            layer(Y)
    assert len(layer.loop.traces) == 2


def test_a_copy_finds_out_for_itself():
    layer = LAYERS["steps"](Switched())
    layer(Y)
    other = copy.deepcopy(layer)
    assert not other._integration._known._kinds
    other.layer.counts = True
    other(Y)
    assert float(numpy(other.layer.count)) == 4
    assert float(numpy(layer.layer.count)) == 0
