"""One f in two layers of a model: refused where Keras cannot load it back, and nowhere else.

What Keras 3.15.1 loads was tried for each case with the check left out.
"""

import copy
import gc

import keras
import numpy as np
import pytest

from keras_rk import with_method
from keras_rk.diagnostics.refinement import refined
from keras_rk.layers import RKResidual, RKStack, rk_residual
from tests.keras_helpers import batch_normalized, dense, normal, numpy

SHARED = "Keras cannot load a layer back that two wrappers share"
X = normal(5, 3)


def sequential(*layers, shape=(3,)):
    return keras.Sequential([keras.Input(shape), *layers])


def functional(*layers):
    y = x = keras.Input((3,))
    for layer in layers:
        x = layer(x)
    return keras.Model(y, x)


def with_skip_connections(f):
    y = keras.Input((3,))
    x = keras.layers.Add()([RKResidual(f, "euler")(y), y]) * 2.0
    return keras.Model(y, RKResidual(f, "rk4")(x))


def built_before(f):
    layers = [RKResidual(f), RKResidual(f)]
    for layer in layers:
        layer.build((None, 3))
    return sequential(*layers)


def called_on_data(f):
    model = keras.Sequential([RKResidual(f), dense(3), RKResidual(f)])
    model(X)
    return model


REFUSED = {
    # name: what makes the model of f
    "two": lambda f: sequential(RKResidual(f, "euler"), RKResidual(f, "rk4")),
    "functional": lambda f: functional(RKResidual(f), dense(3), RKResidual(f)),
    "skip connections": with_skip_connections,
    "built before": built_before,
    "called on data": called_on_data,
    "in TimeDistributed": lambda f: sequential(
        keras.layers.TimeDistributed(f), RKResidual(f), shape=(4, 3)
    ),
    "inside a wrapper inside": lambda f: sequential(
        RKResidual(keras.layers.TimeDistributed(f)), RKResidual(f), shape=(4, 3)
    ),
    "inside models": lambda f: sequential(
        RKResidual(keras.Sequential([f])), RKResidual(keras.Sequential([f]))
    ),
    "inside a model before": lambda f: sequential(sequential(f), RKResidual(f)),
    "inside a model with a wrapper": lambda f: sequential(sequential(RKResidual(f)), RKResidual(f)),
    "nested": lambda f: sequential(RKResidual(RKResidual(f)), RKResidual(f)),
    "alone in between": lambda f: sequential(RKResidual(f), f, RKResidual(f)),
}


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED)
def test_refused_where_keras_cannot_load_it_back(make):
    with pytest.raises(ValueError, match=SHARED) as error:
        make(dense(3, name="mine"))
    assert "'mine'" in str(error.value)
    assert "from_config" in str(error.value)
    assert "block(block(y))" in str(error.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: sequential(dense(3)),
        lambda: functional(dense(3)),
        batch_normalized,
        lambda: keras.layers.BatchNormalization(),
        lambda: keras.layers.SpectralNormalization(dense(3)),
    ],
    ids=["sequential", "functional", "unbuilt", "statistics", "wrapper"],
)
def test_any_f_is_refused(make):
    f = make()
    with pytest.raises(ValueError, match=SHARED):
        sequential(RKResidual(f), RKResidual(f))


def one_wrapper_twice(f):
    block = RKResidual(f)
    return functional(block, dense(3), block)


def nested_after(f):
    block = RKResidual(f)
    return sequential(block, RKResidual(block))


LOADED = {
    "one wrapper twice": one_wrapper_twice,
    "alone before": lambda f: sequential(f, RKResidual(f)),
    "alone before two": lambda f: sequential(f, RKResidual(f), RKResidual(f, "euler")),
    "alone before, inside": lambda f: sequential(f, RKResidual(keras.Sequential([f]))),
    "alone before, functional": lambda f: functional(f, RKResidual(f)),
    "alone before, with another between": lambda f: functional(f, dense(3), RKResidual(f)),
    "a model alone before": lambda f: functional(g := sequential(f), RKResidual(g)),
    "nested": lambda f: sequential(RKResidual(RKResidual(f))),
    "nested after": nested_after,
    "in a stack": lambda f: sequential(RKStack(f, 2), RKResidual(f), RKStack(f, 2)),
}


@pytest.mark.parametrize("make", LOADED.values(), ids=LOADED)
def test_what_keras_loads_back_is_accepted(make, tmp_path):
    model = make(dense(3))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(numpy(loaded(X)), numpy(model(X)), rtol=1e-5, atol=1e-6)
    assert len(loaded.weights) == len(model.weights)


@pytest.mark.parametrize(
    "f", [keras.layers.Activation("tanh"), keras.layers.Dropout(0.5)], ids=lambda f: f.name
)
def test_an_f_without_weights_is_accepted(f, tmp_path):
    model = sequential(RKResidual(f), RKResidual(f))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(numpy(loaded(X)), numpy(model(X)), rtol=1e-6)


def test_two_models_of_one_f_are_accepted(tmp_path):
    f, y = dense(3), keras.Input((3,))
    models = [keras.Model(y, RKResidual(f, name)(y)) for name in ("euler", "rk4")]
    for model in models:
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        np.testing.assert_allclose(numpy(loaded(X)), numpy(model(X)), rtol=1e-5, atol=1e-6)


def test_wrappers_that_are_only_called_are_accepted():
    f = dense(3)
    results = [numpy(RKResidual(f, name)(X)) for name in ("euler", "rk4")]
    assert not np.allclose(*results)


def after_a_collected_one(model):
    f = dense(3)
    sequential(RKResidual(f))
    gc.collect()
    return sequential(RKResidual(f))


COPIED = {
    "collected": after_a_collected_one,
    "from_config": lambda model: sequential(
        *(RKResidual.from_config(layer.get_config()) for layer in model.layers)
    ),
    "clone_model": keras.models.clone_model,
    "with_method": lambda model: with_method(model, "rk4"),
    "deepcopy": copy.deepcopy,
    "unstack": lambda model: sequential(*RKStack.from_layers(model.layers).unstack()),
    "diagnostics": lambda model: refined(model, "rk4", 2, "piecewise_constant"),
    "inside another": lambda model: sequential(model, RKResidual(dense(3))),
    "a part": lambda model: keras.Model(model.layers[0].input, model.layers[0].output),
    "called again": lambda model: functional(model, model),
}


@pytest.mark.parametrize("make", COPIED.values(), ids=COPIED)
def test_copies_are_accepted(make):
    make(sequential(RKResidual(dense(3), "heun2"), RKResidual(dense(3), "heun2")))


@keras.saving.register_keras_serializable(package="keras_rk_tests")
class Tied(keras.Model):
    """Makes both wrappers itself, also when it is loaded."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        f = dense(3)
        self.one, self.two = RKResidual(f, "euler"), RKResidual(f, "rk4")

    def call(self, y):
        return self.two(self.one(y))


def test_a_model_that_makes_both_in_its_code_is_accepted(tmp_path):
    model = Tied()
    model(X)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(numpy(loaded(X)), numpy(model(X)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED)
def test_keras_still_cannot_load_them(make, tmp_path, monkeypatch):
    """Keras 3.15.1. Where this fails, Keras has learned it, and the check may go."""
    monkeypatch.setattr(rk_residual, "check_not_shared", lambda owner, y: None)
    model = make(dense(3))
    model.save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match="expected 2 variables, but received 0"):
        keras.saving.load_model(tmp_path / "model.keras")


def test_with_method_says_that_a_layer_is_shared():
    f = dense(3)
    with pytest.raises(ValueError, match=r"becomes two when the model is made again.*2 layers.*3"):
        with_method(sequential(f, RKResidual(f)), "euler")
