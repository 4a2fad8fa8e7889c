"""recalibrate: statistics that repeat training, and nothing else that changes."""

import keras
import numpy as np
import pytest

from keras_rk import recalibrate
from keras_rk.layers import RKResidual, RKStack
from tests.keras_helpers import BACKEND, dense, normal, numpy, slow

X = 2 * normal(24, 3) + 1


def normalized(**kwargs):
    return keras.Sequential([dense(3), keras.layers.BatchNormalization(**kwargs)])


def residual(steps=3, f=None, **kwargs):
    return RKResidual(f or normalized(), "rk4", dt="1/4", steps=steps, **kwargs)


def stack(steps=3, f=None, **kwargs):
    after = keras.layers.BatchNormalization()
    return RKStack(f or normalized(), 2, "heun2", dt="1/4", steps=steps, after=after, **kwargs)


def model_of(*layers):
    """A model with batch normalization outside of the layers, too, that has seen other data."""
    norm = keras.layers.BatchNormalization
    model = keras.Sequential([keras.Input((3,)), norm(), *layers, norm(), dense(2, seed=1)])
    model(normal(8, 3, seed=5), training=True)
    return model


def difference(model, x=X):
    """Between inference and training, on one batch; the statistics stay as they are."""
    inference = numpy(model(x))
    before = model.get_weights()
    training = numpy(model(x, training=True))
    model.set_weights(before)
    return np.max(np.abs(inference - training))


@pytest.mark.parametrize("steps", [1, 3, *slow(8)])
@pytest.mark.parametrize("make", [residual, stack])
def test_inference_repeats_training(make, steps):
    model = model_of(make(steps))
    assert difference(model) > 1e-2
    weights = [numpy(w).copy() for w in model.trainable_weights]
    recalibrate(model, X, batch_size=len(X), verbose=0)
    assert difference(model) < 1e-5
    for before, weight in zip(weights, model.trainable_weights, strict=True):
        np.testing.assert_array_equal(before, numpy(weight))


def nested_residual():
    return RKResidual(RKResidual(normalized(), "midpoint", dt="1/4"), "heun2", dt="1/2", steps=2)


def nested_in_stack():
    f = RKResidual(normalized(), "midpoint", dt="1/4")
    return RKStack(f, 2, "heun2", dt="1/2", after=residual(2))


@pytest.mark.parametrize("make", [nested_residual, nested_in_stack])
def test_layers_inside_each_other(make):
    model = model_of(make())
    assert difference(model) > 1e-2
    recalibrate(model, X, batch_size=len(X), verbose=0)
    assert difference(model) < 1e-5


def batches():
    return [X[:8], X[8:16], X[16:]]


class Pairs(keras.utils.PyDataset):
    def __len__(self):
        return 3

    def __getitem__(self, index):
        return batches()[index], np.zeros((8, 1))


def generator():
    yield from ((x, np.zeros((8, 1))) for x in batches())


def dataset():
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((X, np.zeros((24, 1)))).batch(8)


def expected(model):
    """The averages over batches, from calls in training mode without a memory."""
    layers = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    outer = [w for layer in layers for w in (layer.moving_mean, layer.moving_variance)]
    moving = [*outer, *model.layers[1].non_trainable_weights]
    inner = [model.layers[1].layer.layers[1]]
    inner += [model.layers[1].after] if isinstance(model.layers[1], RKStack) else []
    momenta = [(layer, layer.momentum) for layer in (*layers, *inner)]
    for layer, _ in momenta:
        layer.momentum = 0.0
    model.layers[1].loop.traces.clear()
    before, found = model.get_weights(), []
    for x in batches():
        model(x, training=True)
        found.append([numpy(w).copy() for w in moving])
    model.set_weights(before)
    for layer, momentum in momenta:
        layer.momentum = momentum
    model.layers[1].loop.traces.clear()
    return moving, [np.mean(values, axis=0) for values in zip(*found, strict=True)]


@pytest.mark.parametrize("data", [lambda: X, dataset, *slow(Pairs, generator)])
@pytest.mark.parametrize("make", [residual, stack])
def test_the_average_over_the_batches(make, data):
    model = model_of(make())
    moving, averages = expected(model)
    arguments = {"batch_size": 8} if data() is X else {}
    recalibrate(model, data(), verbose=0, **arguments)
    for variable, average in zip(moving, averages, strict=True):
        np.testing.assert_allclose(numpy(variable), average, rtol=1e-5, atol=1e-6)


def test_as_many_batches_as_asked_for():
    one, other = model_of(residual()), None
    other = keras.models.clone_model(one)
    other.set_weights(one.get_weights())
    recalibrate(one, X, batches=2, batch_size=8, verbose=0)
    recalibrate(other, X[:16], batch_size=8, verbose=0)
    for ours, theirs in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


@pytest.mark.parametrize("state, updates", [("shared", range(8)), ("first", [0, 4])])
def test_shared_statistics_become_the_mean_over_the_evaluations(state, updates):
    per_evaluation = residual(2, noise="per_stage")
    apart = model_of(per_evaluation)
    together = model_of(residual(2, state=state, noise="per_stage"))
    for ours, theirs in zip(together.trainable_weights, apart.trainable_weights, strict=True):
        ours.assign(numpy(theirs).copy())
    recalibrate(apart, X, batch_size=8, verbose=0)
    recalibrate(together, X, batch_size=8, verbose=0)
    norm, own = together.layers[1].layer.layers[1], per_evaluation.layer.layers[1]
    firsts = own.moving_mean, own.moving_variance
    targets = norm.moving_mean, norm.moving_variance
    for target, first, others in zip(
        targets, firsts, per_evaluation.statistics.weights, strict=True
    ):
        each = np.concatenate([numpy(first)[None], numpy(others)])
        np.testing.assert_allclose(numpy(target), each[list(updates)].mean(0), rtol=1e-4, atol=1e-5)


def test_nothing_else_changes():
    f = keras.Sequential(
        [
            keras.layers.SpectralNormalization(dense(3)),
            keras.layers.BatchNormalization(momentum=0.7),
            keras.layers.Dropout(0.5, seed=3),
        ]
    )
    frozen = keras.layers.BatchNormalization(trainable=False)
    model = model_of(residual(2, f, error_estimate=False), frozen)
    model.compile("adam", "mse")
    model.fit(X, np.zeros((24, 2)), verbose=0)
    optimizer = [numpy(v).copy() for v in model.optimizer.variables]
    before = [numpy(v).copy() for v in model.variables]
    recalibrate(model, X, verbose=0)
    changed = {
        variable.path.rsplit("/", 1)[-1]
        for variable, value in zip(model.variables, before, strict=True)
        if not np.array_equal(numpy(variable), value)
    }
    assert changed == {"moving_mean", "moving_variance", "0_moving_mean", "1_moving_variance"}
    np.testing.assert_array_equal(numpy(frozen.moving_mean), np.zeros(3))
    assert f.layers[1].momentum == 0.7
    for value, variable in zip(optimizer, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(value, numpy(variable))
    model.fit(X, np.zeros((24, 2)), verbose=0)  # still compiled


def failing():
    for _ in range(5):
        yield from generator()
    raise RuntimeError("interrupted here")


def test_an_interruption_restores_the_statistics():
    model = model_of(stack())
    before = model.get_weights()
    with pytest.raises(Exception, match="interrupted here"):
        recalibrate(model, failing(), verbose=0)
    for ours, theirs in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    recalibrate(model, X, batch_size=len(X), verbose=0)
    assert difference(model) < 1e-5


def test_statistics_that_diverged_are_found_again():
    model = model_of(residual())
    model.layers[0].moving_variance.assign(np.full(3, np.nan))
    recalibrate(model, X, batch_size=len(X), verbose=0)
    assert difference(model) < 1e-5


def test_a_layer_by_itself_and_traces_of_before():
    layer = stack(1)
    layer(X, training=True)
    before = layer.loop.traces
    known = dict(before)
    recalibrate(layer, X, batch_size=len(X), verbose=0)
    assert layer.loop.traces is before
    assert layer.loop.traces == known
    assert bool(known) == (BACKEND == "torch")
    np.testing.assert_allclose(numpy(layer(X)), numpy(layer(X, training=True)), atol=1e-5)


def test_training_goes_on_with_the_old_momentum():
    layer = residual(1)
    model = model_of(layer)
    norm = layer.layer.layers[1]
    recalibrate(model, X, batch_size=len(X), verbose=0)
    before = numpy(norm.moving_mean).copy()
    model(X, training=True)
    np.testing.assert_allclose(numpy(norm.moving_mean), before, atol=1e-5)
    model(X**3, training=True)
    assert np.any(np.abs(numpy(norm.moving_mean) - before) > 1e-5)


@pytest.mark.parametrize(
    "model, match",
    [
        (lambda: keras.Sequential([keras.Input((3,)), dense(3)]), "without any"),
        (lambda: keras.Sequential([normalized()]), "that is built"),
        (lambda: "model", "that is built"),
    ],
)
def test_refusals(model, match):
    with pytest.raises(ValueError, match=match):
        recalibrate(model(), X, verbose=0)
