"""Recalibrate in `fit`, what RKMonitor says of statistics, and how many updates they need."""

import warnings

import keras
import numpy as np
import pytest

from keras_rk import Recalibrate, RKMonitor
from keras_rk.layers import RKResidual, RKStack
from keras_rk.models.moving_statistics import (
    moving_statistics,
    statistics_in_fields,
    updates_to_settle,
)
from tests.keras_helpers import dense, normal, numpy

X, Y = 2 * normal(24, 3) + 1, normal(24, 1, seed=1)


def normalized(momentum=0.9, **kwargs):
    return keras.Sequential([dense(3), keras.layers.BatchNormalization(momentum=momentum)])


def network(*layers):
    model = keras.Sequential([keras.Input((3,)), *layers, dense(1, seed=1)])
    model.compile("sgd", "mse")
    return model


def fit(model, *callbacks, **kwargs):
    arguments = {"epochs": 2, "batch_size": 8, "shuffle": False, "verbose": 0, **kwargs}
    return model.fit(X, Y, callbacks=list(callbacks), **arguments).history


def test_validation_and_inference_repeat_training():
    """In each epoch, before validation; what is trained is the same as without."""
    plain, model = (network(RKResidual(normalized(), "heun2", dt="1/4")) for _ in range(2))
    with pytest.warns(UserWarning, match=r"have seen 6 updates.* need 50 .*keras_rk\.Recalibrate"):
        fit(plain, RKMonitor())
    callback = Recalibrate(X, batch_size=24, each_epoch=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        history = fit(
            model, RKMonitor(), callback, validation_data=(X, Y), validation_batch_size=24
        )
    for ours, theirs in zip(model.trainable_weights, plain.trainable_weights, strict=True):
        np.testing.assert_allclose(numpy(ours), numpy(theirs), rtol=1e-5, atol=1e-6)
    callback.on_test_begin()  # of an `evaluate` by itself
    inference, training = numpy(model(X)), numpy(model(X, training=True))
    np.testing.assert_allclose(inference, training, atol=1e-5)
    assert history["val_loss"][-1] == pytest.approx(np.mean((training - Y) ** 2), rel=1e-4)
    assert np.max(np.abs(numpy(plain(X)) - numpy(plain(X, training=True)))) > 1e-2


def test_only_when_training_ends():
    model = network(RKResidual(normalized(), "euler", dt="1/4"))
    seen = []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(numpy(moving_statistics(model)[0]))
    )
    fit(model, watch, Recalibrate(X, batch_size=24), epochs=1)
    assert np.any(seen[-1] != numpy(moving_statistics(model)[0]))
    np.testing.assert_allclose(numpy(model(X)), numpy(model(X, training=True)), atol=1e-5)


def same_whatever_y():
    """Batch normalization that sees a mean of 1."""
    ones = keras.layers.Dense(3, kernel_initializer="zeros", bias_initializer="ones")
    return keras.Sequential([ones, keras.layers.BatchNormalization(momentum=0.9)])


@pytest.mark.parametrize("state, updates", [("per_evaluation", 1), ("first", 3), ("shared", 6)])
@pytest.mark.parametrize("depth", [None, 2])
def test_updates_in_a_batch(state, updates, depth):
    """After n updates the moving mean of ones is 1 - momentum ** n, for each evaluation."""
    f, kwargs = same_whatever_y(), {"steps": 3, "state": state}
    layer = RKStack(f, depth, "heun2", **kwargs) if depth else RKResidual(f, "heun2", **kwargs)
    layer(X)
    for _ in range(2):
        layer(X, training=True)
    means = moving_statistics(layer)[::2]
    assert len(means) == (2 if state == "per_evaluation" else 1)
    for mean in means:
        np.testing.assert_allclose(numpy(mean), 1 - 0.9 ** (2 * updates), rtol=1e-5)
    assert updates_to_settle(layer) == np.ceil(50 / updates)


@pytest.mark.parametrize(
    "make, needed, inside",
    [
        (lambda: [keras.layers.BatchNormalization()], 500, []),
        (lambda: [RKResidual(normalized(0.99), "rk4"), keras.layers.BatchNormalization()], 500, 4),
        (lambda: [RKResidual(normalized(0.5), "euler")], 10, 2),
        (lambda: [RKResidual(RKResidual(normalized(), "heun2"), "euler", steps=2)], 50, 8),
        (
            lambda: [RKStack(normalized(0.5), 2, "rk4", after=keras.layers.BatchNormalization())],
            500,
            4,
        ),
        (
            lambda: [RKStack(dense(), 2, after=RKResidual(normalized(), "heun2"))],
            50,
            4,
        ),
        (lambda: [RKResidual(keras.layers.BatchNormalization(momentum=1.0), "euler")], 0, 2),
        (lambda: [RKResidual(keras.layers.BatchNormalization(trainable=False), "euler")], 0, 0),
    ],
)
def test_which_statistics_belong_to_evaluations(make, needed, inside):
    model = network(*make())
    assert updates_to_settle(model) == needed
    found = statistics_in_fields(model)
    assert len(found) == (inside or 0)
    ours = {id(variable) for variable in moving_statistics(model)}
    assert {id(variable) for variable in found} <= ours
    assert not any(variable.path.startswith("batch_normalization") for variable in found)


@pytest.mark.parametrize(
    "make, match",
    [
        (lambda: Recalibrate(iter([X]), each_epoch=True), "can be read only once"),
        (lambda: Recalibrate(X, each_epoch="yes"), "`each_epoch`"),
        (lambda: Recalibrate(X, batches=0), "`batches`"),
        (lambda: fit(network(dense()), Recalibrate(X)), "without any"),
    ],
)
def test_refusals(make, match):
    with pytest.raises(ValueError, match=match):
        make()
