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
    y = keras.Input((4, 3))
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
    "recurrent": (recurrent, (4, 3), None),
    "self_attention": (self_attention, (4, 3), None),
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


CASES = [
    *(
        pytest.param(lambda k=k: network(*KINDS[k][:2], RKResidual, STATES[n % 3]), id=k)
        for n, k in enumerate(KINDS)
    ),
    *(
        pytest.param(lambda s=s: network(normalized, (3,), RKStack, s), id=f"stack-{s}")
        for s in STATES
    ),
    pytest.param(lambda: network(dropped, (3,), RKStack, "per_evaluation"), id="stack-dropped"),
    pytest.param(with_context, id="with_context"),
]


@pytest.mark.parametrize("make", CASES)
def test_lipschitz(make, request):
    model, data = make()
    before = model.get_weights()
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        whole = lipschitz(model, data, verbose=0)
        by_products = lipschitz(model, data, full_up_to=1, verbose=0)
    expected = KINDS.get(request.node.callspec.id, (None, None, None))[2]
    for one, other in zip(whole.blocks, by_products.blocks, strict=True):
        assert one.is_exact and not other.is_exact
        assert np.isfinite(one.lipschitz)
        assert other.lipschitz == pytest.approx(one.lipschitz, rel=0.02, abs=1e-6)
        assert one.lipschitz <= other.lipschitz_bound * 1.001
        if expected is not None:
            assert one.lipschitz == other.lipschitz == other.lipschitz_bound == expected
            assert one.is_inside and other.is_inside
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
