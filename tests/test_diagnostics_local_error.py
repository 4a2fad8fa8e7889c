"""local_error: how far steps are off the flow, and what an embedded pair says, by hand."""

import json

import keras
import numpy as np
import pytest

from keras_rk import Tableau, tableaux
from keras_rk.diagnostics import local_error
from keras_rk.diagnostics.local_errors import _beside_reference
from keras_rk.layers import RKResidual, RKStack
from tests.diagnosed_networks import sequential
from tests.keras_helpers import dense, normal, numpy, unrolled

pytestmark = pytest.mark.repeated  # the kinds of networks run on each backend

Y = normal(20, 3)
PAIR = Tableau([[], [1]], ["1/2", "1/2"], b_hat=[1, 0], name="heun_euler21")


def by_hand(tableau, dt, W, b, y):
    """dt * sum_i (b_i - b_hat_i) k_i for tanh(y W + b)."""
    k = []
    for row in tableau.A:
        stage = sum((float(a) * ki for a, ki in zip(row, k, strict=False)), 0 * y)
        k.append(np.tanh((y + dt * stage) @ W + b))
    differences = zip(tableau.b, tableau.b_hat, k, strict=True)
    return dt * sum(float(x - x_hat) * ki for x, x_hat, ki in differences)


def flowed(W, b, y, dt):
    """Where y' = tanh(y W + b) takes y, by many steps of RK4 in float64."""
    return unrolled(lambda y: np.tanh(y @ W + b), y, tableaux.get("rk4"), dt / 64, 64)


def rms(x):
    return np.sqrt(np.mean(np.square(x)))


def errors(model, data, *args, **kwargs):
    return local_error(model, data, *args, verbose=0, **kwargs)


@pytest.mark.parametrize("batch_size", [None, 8])
@pytest.mark.parametrize("pair", [PAIR, tableaux.get("bogacki_shampine32")])
def test_each_block_of_a_stack(pair, batch_size):
    dts = [0.5, 1.0, -0.25]
    stack = RKStack(dense(3), 3, "euler", dts, name="stack", seed=1)
    model = sequential(stack, size=3)
    report = errors(model, Y, pair, batch_size=batch_size)
    y = Y.astype("float64")
    for block, (W, b) in enumerate(zip(*map(numpy, stack.weights), strict=True)):
        found = report.blocks[block]
        assert (found.layer, found.block, found.pair) == ("stack", block, pair.name)
        assert found.dt == dts[block]
        assert found.pair_error == pytest.approx(rms(by_hand(pair, dts[block], W, b, y)), rel=1e-3)
        y = unrolled(lambda y, W=W, b=b: np.tanh(y @ W + b), y, pair, dts[block])
    y = Y.astype("float64")  # the network's own way, which is that of Euler's method
    for block, (W, b) in enumerate(zip(*map(numpy, stack.weights), strict=True)):
        found = report.blocks[block]
        stepped = y + dts[block] * np.tanh(y @ W + b)
        assert found.method == "euler"
        assert found.error == pytest.approx(rms(stepped - flowed(W, b, y, dts[block])), rel=1e-3)
        assert found.is_resolved
        y = stepped
    np.testing.assert_array_equal(report.errors, [found.error for found in report.blocks])


def test_several_steps_count_as_their_mean():
    model = sequential(RKResidual(dense(3), PAIR, 0.5, steps=3, name="block"), size=3)
    W, b = map(numpy, model.weights)
    y, expected, own = Y.astype("float64"), [], []
    for _ in range(3):
        expected.append(rms(by_hand(PAIR, 0.5, W, b, y)))
        before = y
        y = unrolled(lambda y: np.tanh(y @ W + b), y, PAIR, 0.5)
        own.append(rms(y - flowed(W, b, before, 0.5)))
    before = model.get_weights()
    (block,) = errors(model, Y, batch_size=20).blocks
    assert (block.layer, block.block, block.dt) == ("block", None, 0.5)
    assert (block.method, block.pair) == ("heun_euler21", "heun_euler21")
    assert block.pair_error == pytest.approx(np.mean(expected), rel=1e-4)
    assert block.error == pytest.approx(np.mean(own), rel=1e-3)
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_smaller_steps_have_smaller_errors():
    model = sequential(RKResidual(dense(3), PAIR, 0.4), size=3)
    half = sequential(RKResidual(dense(3), PAIR, 0.2), size=3)
    half.set_weights(model.get_weights())
    one, other = errors(model, Y), errors(half, Y)
    ratio = one.pair_errors[0] / other.pair_errors[0]
    assert ratio == pytest.approx(4, rel=0.1)  # the embedded method is of order 1
    assert one.errors[0] / other.errors[0] == pytest.approx(8, rel=0.15)  # the method of order 2


@pytest.mark.parametrize("tableau", ["euler", "heun2", "rk4"])
def test_a_field_with_a_known_flow(tableau):
    """y' = -y: the error of a step of size dt is (R(-dt) - exp(-dt)) y."""
    f = keras.layers.Dense(2, use_bias=False)
    model = sequential(RKResidual(f, tableau, 1.0))
    model.set_weights([-np.eye(2, dtype="float32")])
    model.compile(run_eagerly=True)
    (block,) = errors(model, Y[:, :2]).blocks
    factor = {"euler": 0.0, "heun2": 0.5, "rk4": 0.375}[tableau] - np.exp(-1)
    assert block.error == pytest.approx(abs(factor) * rms(Y[:, :2]), rel=0.01)
    assert block.is_resolved
    assert (block.pair, block.pair_error) == (None, None)


def test_a_reference_that_is_too_coarse_is_named(tmp_path):
    f = keras.layers.Dense(2, use_bias=False)
    model = sequential(RKResidual(f, "rk4", 1.0))
    model.set_weights([-10 * np.eye(2, dtype="float32")])
    model.compile(run_eagerly=True)  # so many stages take long to compile
    report = errors(model, Y[:, :2])
    assert report.unresolved == 1
    assert "try substeps=16" in str(report)
    assert "~" in str(report).splitlines()[3]
    (finer,) = errors(model, Y[:, :2], substeps=8).blocks
    assert finer.is_resolved
    R = 1 - 10 + 10**2 / 2 - 10**3 / 6 + 10**4 / 24
    assert finer.error == pytest.approx(R * rms(Y[:, :2]), rel=0.01)
    report.plot(tmp_path / "picture.png")


def test_the_own_stages_keep_their_moving_statistics():
    """Each evaluation of f has its own: those of the network's stages, in inference."""
    f = keras.Sequential([dense(3), keras.layers.BatchNormalization(momentum=0.5)])
    layer = RKResidual(f, "heun2", 0.5, steps=2)
    model = sequential(layer, size=3)
    model(normal(8, 3), training=True)
    before = numpy(model(Y))
    copy = _beside_reference(model, 4)
    np.testing.assert_allclose(numpy(copy(Y)), before, rtol=1e-6, atol=1e-6)


def plain():
    return sequential(RKResidual(dense(3), "heun2", name="block"), size=3)


def learned():
    return sequential(RKResidual(dense(3), "heun2", 0.5, trainable_tableau=True), size=3)


def weighted():
    layer = RKResidual(dense(3), "dormand_prince54", 0.5, error_weight=0.1, state="shared")
    return sequential(layer, size=3)


def normalized():
    f = keras.Sequential([dense(3), keras.layers.BatchNormalization()])
    model = sequential(RKStack(f, 2, "heun2", 0.5, trainable_dt=True), size=3)
    model(normal(8, 3), training=True)
    return model


def nested():
    inner = sequential(RKResidual(RKResidual(dense(3), "euler"), "heun2"), size=3)
    return sequential(inner, keras.layers.Dense(1), size=3)


@pytest.mark.parametrize("make, count", [(learned, 1), (weighted, 1), (normalized, 2), (nested, 1)])
def test_other_models(make, count, tmp_path):
    report = errors(make(), Y, "bogacki_shampine32")
    assert len(report.blocks) == count
    assert np.all((report.errors > 0) & (report.errors < 0.5))
    assert np.all((report.pair_errors > 0) & (report.pair_errors < 0.5))
    assert {block.pair for block in report.blocks} == {"bogacki_shampine32"}
    report.plot(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 1000
    lines = str(report).splitlines()
    assert lines[2].split() == ["block", "method", "dt", "error", "of", "bogacki_shampine32"]
    assert len(lines) == 5 + count  # and what the last column is
    data = json.loads(json.dumps(report.to_dict()))
    assert data["blocks"][0]["error"] == report.errors[0]


@pytest.mark.parametrize(
    "make, arguments, match",
    [
        (lambda: sequential(dense(3), size=3), {}, "RKResidual or an RKStack"),
        (plain, {"substeps": 3}, "at least 4"),
        (learned, {"tableau": "rk4"}, r"`b_hat`.*tableau 'rk4' without"),
        (learned, {"tableau": "no_such_method"}, "no_such_method"),
    ],
)
def test_refusals(make, arguments, match):
    with pytest.raises(ValueError, match=match):
        errors(make(), Y, **arguments)


def test_steps_of_a_call_are_measured_and_have_no_size_of_the_layer():
    y, times = keras.Input((3,)), keras.Input((2,))
    layer = RKResidual(dense(3), "heun2", dt=0.5)
    own = errors(keras.Model(y, layer(y)), Y)
    timed = keras.Model([y, times], layer(y, times=times))
    called = errors(timed, [Y, np.tile(np.float32([0, 0.5]), (len(Y), 1))])
    assert called.errors == pytest.approx(own.errors, rel=1e-3)
    assert own.blocks[0].dt == 0.5
    assert called.blocks[0].dt is None
