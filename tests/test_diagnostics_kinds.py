"""Every diagnostic on every kind of f and of state that the layers accept."""

import warnings

import keras
import numpy as np
import pytest

from keras_rk.diagnostics import lipschitz, local_error, observed_order, ode_consistency
from keras_rk.layers import ConcatTime, RKResidual, RKStack
from tests.keras_helpers import dense, normal


def normalized():
    return keras.Sequential([dense(3), keras.layers.BatchNormalization()])


def frozen():
    f = normalized()
    f.trainable = False
    return f


def dropped():
    return keras.Sequential([dense(3), keras.layers.Dropout(0.5)])


def dead():
    minus = keras.initializers.Constant(-1.0)
    return keras.layers.Dense(
        3, activation="relu", kernel_initializer="zeros", bias_initializer=minus
    )


def functional():
    y = keras.Input((3,))
    return keras.Model(y, dense(3)(keras.layers.Dense(4)(y)))


def recurrent():
    return keras.layers.LSTM(3, return_sequences=True)


def self_attention():
    y = keras.Input((2, 3))
    return keras.Model(y, keras.layers.MultiHeadAttention(1, 2)(y, y))


def convolution():
    return keras.layers.Conv2D(2, 3, padding="same", kernel_initializer="zeros")


def spectral():
    return keras.layers.SpectralNormalization(dense(3))


def inner():
    return RKResidual(normalized(), "heun2", 0.5)


# what f is, the shape of a state, and the norm of its Jacobian where that is known
KINDS = {
    "dense": (dense, (3,), None),
    "normalized": (normalized, (3,), None),
    "frozen": (frozen, (3,), None),
    "dropped": (dropped, (3,), None),
    "dead": (dead, (3,), 0.0),
    "functional": (functional, (3,), None),
    "recurrent": (recurrent, (2, 3), None),
    "self_attention": (self_attention, (2, 3), None),
    "convolution": (convolution, (3, 3, 2), 0.0),
    "with_time": (lambda: ConcatTime(dense(3)), (3,), None),
    "spectral": (spectral, (3,), None),
    "inner": (inner, (3,), None),
    "steps_of_inner": (lambda: RKResidual(dense(3), "euler", 0.5, steps=2), (3,), None),
}
STATES = ("per_evaluation", "shared", "first")


def with_context():
    y, context = keras.Input((3,)), keras.Input((3,))
    f = keras.Model([y, context], normalized()(y + context))
    outputs = RKResidual(f, "heun2", 0.5, steps=2)(y, context)
    return keras.Model([y, context], outputs), [normal(4, 3), normal(4, 3, seed=1)]


def network(make, shape, layer, state):
    if layer is RKStack:
        block = RKStack(make(), 2, "heun2", 0.5, state=state)
    else:
        block = RKResidual(make(), "heun2", 0.5, steps=2, state=state)
    return keras.Sequential([keras.Input(shape), block]), normal(4, *shape)


NETWORKS = {
    **{
        name: lambda make=make, shape=shape, n=n: network(make, shape, RKResidual, STATES[n % 3])
        for n, (name, (make, shape, _)) in enumerate(KINDS.items())
    },
    **{f"stack-{s}": lambda s=s: network(normalized, (3,), RKStack, s) for s in STATES},
    "stack-dropped": lambda: network(dropped, (3,), RKStack, "per_evaluation"),
    "with_context": with_context,
}


def cases(*quick):
    """All networks by name, of which a quick run, and most backends, take some."""
    rest = (pytest.mark.slow, pytest.mark.repeated)
    return [pytest.param(x, marks=() if x in quick else rest, id=x) for x in NETWORKS]


@pytest.mark.parametrize(
    "name", cases("dead", "normalized", "with_time", "with_context", "stack-dropped")
)
def test_lipschitz(name):
    model, data = NETWORKS[name]()
    before = model.get_weights()
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        whole = lipschitz(model, data, verbose=0)
        by_products = lipschitz(model, data, full_up_to=1, verbose=0)
    expected = KINDS[name][2] if name in KINDS else None
    for one, other in zip(whole.blocks, by_products.blocks, strict=True):
        assert one.is_exact
        assert not other.is_exact
        assert np.isfinite(one.lipschitz)
        assert other.lipschitz == pytest.approx(one.lipschitz, rel=0.02, abs=1e-6)
        assert one.lipschitz <= other.lipschitz_bound * 1.001
        if expected is not None:
            assert one.lipschitz == other.lipschitz == other.lipschitz_bound == expected
            assert one.is_inside
            assert other.is_inside
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", cases())
def test_those_that_run_the_network(name):
    model, data = NETWORKS[name]()
    model.compile(run_eagerly=True)  # so small a network takes longer to trace
    before = model.get_weights()
    errors = local_error(model, data, verbose=0)
    assert np.all(np.isfinite(errors.errors))
    assert np.all(errors.errors >= 0)
    given = {"calibration": data, "verbose": 0}
    order = observed_order(model, data, substeps=(1, 2), reference="heun2", **given)
    assert np.all(np.isfinite(order.distances))
    assert order.fit is not None or order.note
    report = ode_consistency(model, data, methods=["heun2"], substeps=(1, 2), **given)
    assert np.isfinite(report.distance)
    if name in KINDS and KINDS[name][2] == 0:  # f is constant: all methods are exact
        assert errors.errors == pytest.approx(0, abs=1e-6)
        assert report.distance == pytest.approx(0, abs=1e-5)
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
