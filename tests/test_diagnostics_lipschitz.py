"""lipschitz: Jacobians that are known, beside stability intervals that are known."""

import json

import keras
import numpy as np
import pytest

from keras_rk.diagnostics import lipschitz
from keras_rk.diagnostics.jacobians import estimated, full_jacobians, norms_and_radii
from keras_rk.layers import ConcatTime, RKResidual, RKStack
from tests.diagnosed_networks import ROTATION, sequential
from tests.keras_helpers import dense, normal, numpy, unrolled

Y = normal(12, 3)
TALL = np.array([[0.0, 3.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, -0.5]], "float32")  # not normal


def linear(matrix):
    """f(y) = y W as a layer, to be given W."""
    return keras.layers.Dense(len(matrix), use_bias=False)


def steepness(model, data, **kwargs):
    return lipschitz(model, data, verbose=0, **kwargs).blocks


@pytest.mark.parametrize(
    "W, norm, radius",
    [
        (TALL, np.linalg.norm(TALL, 2), 0.5),
        (np.diag([1.0, -2.0, 0.5]), 2.0, 2.0),
        (np.kron(np.eye(2), 1.5 * ROTATION), 1.5, 1.5),
    ],
)
def test_linear_fields(W, norm, radius):
    size = len(W)
    model = sequential(RKResidual(linear(W), "rk4", "-1/2", steps=2, name="block"), size=size)
    model.set_weights([W])
    (block,) = steepness(model, normal(12, size))
    assert (block.layer, block.block, block.method, block.is_exact) == ("block", None, "rk4", True)
    assert block.lipschitz == pytest.approx(norm, rel=2e-3)
    assert block.spectral_radius == pytest.approx(radius, rel=2e-3)
    assert block.dt == 0.5
    assert block.scaled == 0.5 * block.lipschitz


@pytest.mark.parametrize(
    "tableau, speed, real, imaginary",
    [
        ("euler", 1.9, True, False),
        ("euler", 2.1, False, False),
        ("rk4", 2.75, True, True),
        ("rk4", 2.8, False, True),
        ("rk4", 2.9, False, False),
    ],
)
def test_stability_intervals(tableau, speed, real, imaginary):
    model = sequential(RKResidual(linear(ROTATION), tableau, 1.0))
    model.set_weights([speed * ROTATION])
    (block,) = steepness(model, Y[:, :2])
    assert (block.is_inside_real, block.is_inside_imaginary) == (real, imaginary)


def states_and_jacobians(tableau, dts, weights, y):
    """Of tanh(y W + b), by hand: the largest norm and radius over the states before each block."""
    for dt, (W, b) in zip(dts, weights, strict=True):
        slopes = 1 - np.tanh(y @ W + b) ** 2
        jacobians = slopes[:, :, None] * W.T
        norms = np.linalg.norm(jacobians, 2, axis=(1, 2))
        yield norms.max(), np.abs(np.linalg.eigvals(jacobians)).max()
        y = unrolled(lambda y, W=W, b=b: np.tanh(y @ W + b), y, tableau, dt)


@pytest.mark.parametrize("after", [None, keras.layers.BatchNormalization(epsilon=0.0)])
def test_each_block_of_a_stack_at_its_own_states(after):
    dts = [0.5, 1.0, 0.25]
    stack = RKStack(dense(3), 3, "heun2", dts, after=after, name="stack", seed=1)
    model = sequential(keras.layers.Dense(3, kernel_initializer="identity"), stack, size=3)
    W, b = (numpy(w) for w in stack.weights[:2])
    blocks = steepness(model, Y)
    tableau = stack.tableau
    expected = states_and_jacobians(tableau, dts, list(zip(W, b, strict=True)), Y)
    assert [(block.layer, block.block) for block in blocks] == [("stack", n) for n in range(3)]
    assert [block.dt for block in blocks] == dts
    for block, (norm, radius) in zip(blocks, expected, strict=True):
        assert block.lipschitz == pytest.approx(norm, rel=2e-3)
        assert block.spectral_radius == pytest.approx(radius, rel=2e-3)


def test_states_after_each_step_count():
    model = sequential(RKResidual(dense(3), "euler", 1.0, steps=4), size=3)
    W, b = (numpy(w) for w in model.weights)
    expected = states_and_jacobians(model.layers[0].tableau, [1.0] * 4, [(W, b)] * 4, Y)
    (block,) = steepness(model, Y)
    assert block.lipschitz == pytest.approx(max(norm for norm, _ in expected), rel=2e-3)


def test_large_states_get_a_lower_bound():
    W = np.diag([1.0, -2.0, 0.5]).astype("float32")
    model = sequential(RKResidual(linear(W), "rk4", 0.5), size=3)
    model.set_weights([W])
    report = lipschitz(model, Y, full_up_to=2, verbose=0)
    (block,) = report.blocks
    assert not block.is_exact
    assert block.lipschitz <= 2 * 1.002
    assert block.lipschitz == pytest.approx(2, rel=5e-3)
    assert block.spectral_radius == pytest.approx(2, rel=5e-3)
    assert "L is a lower bound" in str(report)


def test_images():
    f = keras.layers.Conv2D(2, 3, padding="same", use_bias=False)
    model = keras.Sequential([keras.Input((3, 3, 2)), RKResidual(f, "heun2", 0.5)])
    x = normal(6, 3, 3, 2)
    (exact,) = steepness(model, x, states=2)
    (bound,) = steepness(model, x, states=2, full_up_to=17)
    assert exact.is_exact
    assert not bound.is_exact
    assert 0.5 * exact.lipschitz < bound.lipschitz < 1.005 * exact.lipschitz


def with_time():
    return sequential(RKResidual(ConcatTime(dense(3)), "rk4", 0.5, t0=2), size=3), Y


def with_context():
    y, context = keras.Input((3,)), keras.Input((3,))
    f = keras.Model([y, context], dense(3)(y + context))
    return keras.Model([y, context], RKResidual(f, "rk4", 0.5)(y, context)), [Y, Y[::-1].copy()]


def test_further_inputs_belong_to_their_samples():
    (of_time,), (of_context,) = (steepness(*make()) for make in (with_time, with_context))
    model, (y, context) = with_context()
    W, b = (numpy(w) for w in model.weights)
    slopes = 1 - np.tanh((y + context) @ W + b) ** 2
    expected = np.linalg.norm(slopes[:, :, None] * W.T, 2, axis=(1, 2)).max()
    assert of_context.lipschitz == pytest.approx(expected, rel=2e-3)
    model, _ = with_time()
    W, b = (numpy(w) for w in model.weights)
    slopes = 1 - np.tanh(Y @ W[:3] + 2 * W[3] + b) ** 2
    expected = np.linalg.norm(slopes[:, :, None] * W[:3].T, 2, axis=(1, 2)).max()
    assert of_time.lipschitz == pytest.approx(expected, rel=2e-3)


def test_a_layer_in_a_nested_model_and_one_inside_another():
    inner = sequential(
        RKResidual(RKResidual(dense(3), "euler", name="inside"), name="outer"), size=3
    )
    blocks = steepness(sequential(inner, keras.layers.Dense(1), size=3), Y)
    assert [block.layer for block in blocks] == ["outer"]


def test_what_a_reader_sees(tmp_path, capsys):
    model = sequential(RKStack(dense(3), 2, "rk4", 0.1, name="stack"), size=3)
    before = model.get_weights()
    report = lipschitz(model, Y, verbose=1)
    assert "2/2" in capsys.readouterr().out
    lines = str(report).splitlines()
    assert lines[2].split()[:5] == ["block", "method", "|dt|", "L", "radius"]
    names = [line.split()[:3] for line in lines[3:]]
    assert names == [["stack", "0", "rk4"], ["stack", "1", "rk4"]]
    data = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert data["blocks"][1]["scaled"] == report.blocks[1].scaled
    report.plot(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 1000
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert "call" not in vars(model.layers[0])


def test_jacobians_of_a_function():
    y = normal(5, 2, 2, dtype="float64")

    def f(y, of_state):
        return y**2 * (1 + of_state)[:, None, None]

    jacobians = full_jacobians(f, y)
    for n in range(5):
        np.testing.assert_allclose(jacobians[n], np.diag(2 * (1 + n) * y[n].ravel()), atol=1e-6)
    norm, radius = norms_and_radii(jacobians)
    bound, estimate = estimated(f, y, 40, np.random.default_rng(0))
    assert norm == pytest.approx(radius)
    assert bound == pytest.approx(norm, rel=0.05)
    assert estimate <= bound <= norm * 1.001


def unused():
    y = keras.Input((3,))
    model = keras.Model(y, dense(3)(y))
    model.unused = RKResidual(dense(3))
    return model


@pytest.mark.parametrize(
    "make, data, arguments, match",
    [
        (lambda: sequential(dense(3), size=3), Y, {}, "RKResidual or an RKStack"),
        (unused, Y, {}, "called by the model"),
        (None, "data", {}, r"lipschitz needs arrays.*str"),
        (None, Y[:0], {}, "at least one sample"),
        (None, Y, {"states": 0}, "`states` must be an integer of at least 1"),
        (None, Y, {"full_up_to": -1}, "`full_up_to` must be"),
        (None, Y, {"iterations": 1.5}, "`iterations` must be"),
    ],
)
def test_refusals(make, data, arguments, match):
    model = make() if make else sequential(RKResidual(dense(3)), size=3)
    with pytest.raises(ValueError, match=match):
        lipschitz(model, data, verbose=0, **arguments)
