"""lipschitz: Jacobians that are known, beside stability intervals that are known."""

import json

import keras
import numpy as np
import pytest

from keras_rk.analysis.stability import stability_function
from keras_rk.diagnostics import lipschitz
from keras_rk.diagnostics.amplification import amplification, is_disc_inside
from keras_rk.diagnostics.jacobians import along, full_jacobians, norm_and_eigenvalues
from keras_rk.diagnostics.norms import norm_bounds
from keras_rk.diagnostics.spectra import leading_eigenvalues
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
    pytest.importorskip("scipy")
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
    assert "2/2 blocks" in capsys.readouterr().err
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
    norm, eigenvalues = norm_and_eigenvalues(jacobians)
    assert norm == pytest.approx(np.abs(eigenvalues).max())
    each = np.arange(5)

    def symmetric(v):  # these Jacobians are
        return along(f, y, each, along(f, y, each, v))

    norms, above = norm_bounds(symmetric, 5, 4, 40, np.random.default_rng(0))
    assert norms.max() == pytest.approx(norm, rel=0.05)
    assert norms.max() <= norm * 1.001
    assert norm <= above < norm * 1.003


def gaussian(size, seed=1):
    """Of norm two or nearly, with many singular values close to it."""
    return (normal(size, size, seed=seed) / np.sqrt(size)).astype("float32")


def test_large_states_get_bounds_from_both_sides():
    """A power iteration on J alone found 1.75 for a matrix of norm 2.93, and called it inside."""
    pytest.importorskip("scipy")
    W = (1.47 * gaussian(100)).astype("float32")
    norm, radius = np.linalg.norm(W, 2), np.abs(np.linalg.eigvals(W)).max()
    assert 2.8 < norm < 2.95
    model = sequential(RKResidual(linear(W), "rk4", 1.0), size=100)
    model.set_weights([W])
    report = lipschitz(model, normal(4, 100), verbose=0)
    (block,) = report.blocks
    assert block.lipschitz == pytest.approx(norm, rel=1e-3)
    assert norm <= block.lipschitz_bound < 1.02 * norm
    assert block.spectral_radius == pytest.approx(radius, rel=5e-3)
    assert (block.is_inside_real, block.is_inside) == (False, None)  # by L, and by eigenvalues
    assert report.verdict == "not known for 1 of 1 blocks"
    (few,) = steepness(model, normal(4, 100), iterations=3)
    assert few.lipschitz < norm < few.lipschitz_bound
    assert few.is_inside_real is None
    model.set_weights([0.2 * W])
    assert steepness(model, normal(4, 100))[0].is_inside is True  # |z| <= 0.6 is inside for RK4
    model.set_weights([W - 3 * np.eye(100)])
    assert steepness(model, normal(4, 100))[0].is_inside is False


@pytest.mark.parametrize(
    "size, iterations, within", [(90, 20, 0.05), (90, 90, 1e-3), (400, 40, 0.03)]
)
def test_norms_of_matrices(size, iterations, within):
    matrices = np.stack([gaussian(size, seed).astype("float64") for seed in range(3)])

    def product(v):
        return (matrices.swapaxes(1, 2) @ (matrices @ v[:, :, None]))[:, :, 0]

    norms, above = norm_bounds(product, 3, size, iterations, np.random.default_rng(0))
    exact = np.linalg.norm(matrices, 2, axis=(1, 2))
    assert np.all(norms <= exact * (1 + 1e-12))
    np.testing.assert_allclose(norms, exact, rtol=within)
    assert exact.max() <= above <= exact.max() * (1 + within)


@pytest.mark.parametrize(
    "matrix, norm, radius",
    [
        (np.zeros((80, 80)), 0, 0),
        (np.eye(80, k=1) * np.eye(80)[0][:, None], 1, 0),  # nilpotent
        (-np.eye(80), 1, 1),
        (np.diag([3.0] + [1.0] * 79), 3, 3),
        (np.kron(np.eye(40), 2 * ROTATION), 2, 2),
    ],
)
def test_iterations_on_special_matrices(matrix, norm, radius):
    pytest.importorskip("scipy")
    rng = np.random.default_rng(0)
    norms, above = norm_bounds(lambda v: v @ matrix.T @ matrix, 2, 80, 20, rng)
    np.testing.assert_allclose(norms, norm, atol=1e-9)
    assert norm <= above <= 1.06 * norm
    found = leading_eigenvalues(lambda v: v @ matrix.T, 2, 80, rng)
    np.testing.assert_allclose(np.abs(found).max(), radius, atol=1e-6)


def test_without_scipy_there_are_no_eigenvalues(monkeypatch):
    monkeypatch.setattr("keras_rk.diagnostics.spectra._sparse_linear_algebra", lambda: None)
    model = sequential(RKResidual(linear(TALL), "rk4", 1.0), size=3)
    model.set_weights([TALL])
    report = lipschitz(model, Y, full_up_to=2, verbose=0)
    (block,) = report.blocks
    assert (block.spectral_radius, block.amplification, block.is_inside) == (None, None, None)
    assert "pip install scipy" in str(report)
    json.dumps(report.to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    "tableau, z, factor, outside",
    [
        ("euler", 0.5j, np.sqrt(1.25), 1),  # no rotation is stable for Euler's method
        ("euler", -1 + 0.9j, 0.9, 0),
        ("euler", -1 + 1.1j, 1.1, 1),
        ("euler", 0.01 + 0.5j, np.hypot(1.01, 0.5), 1),  # the ODE grows by one percent only
        ("euler", 0.4, 1.4, 0),  # the ODE grows, too
        ("euler", -2.1, 1.1, 1),
        ("midpoint", 1j, np.sqrt(1.25), 1),
        ("rk4", 2.8j, np.hypot(1 - 2.8**2 / 2 + 2.8**4 / 24, 2.8 - 2.8**3 / 6), 0),
        ("rk4", 2.9j, np.hypot(1 - 2.9**2 / 2 + 2.9**4 / 24, 2.9 - 2.9**3 / 6), 1),
    ],
)
def test_what_a_step_makes_of_an_eigenvalue(tableau, z, factor, outside):
    found = amplification(stability_function(tableau), np.array([z, -0.01]))
    assert found.factors[found.scaled.index(z)] == pytest.approx(factor)
    assert found.outside == outside
    if outside:
        assert found.worst == pytest.approx((z, factor, np.exp(np.real(z))))


def test_a_disc_around_zero():
    euler, rk4 = stability_function("euler"), stability_function("rk4")
    assert not is_disc_inside(euler, 0.1)  # it holds 0.1i, for which |R| = 1.005
    assert is_disc_inside(rk4, 0.9)
    assert not is_disc_inside(rk4, np.inf)


@pytest.mark.parametrize(
    "tableau, dt, verdict",
    [
        ("euler", 0.5, "eigenvalues outside in 1 of 1 blocks"),
        ("euler", -0.5, "eigenvalues outside in 1 of 1 blocks"),
        ("rk4", 0.5, "inside"),
    ],
)
def test_a_rotation_is_inside_for_some_methods_only(tableau, dt, verdict):
    model = sequential(RKResidual(linear(ROTATION), tableau, dt))
    model.set_weights([ROTATION])
    report = lipschitz(model, Y[:, :2], verbose=0)
    (block,) = report.blocks
    assert report.verdict == verdict
    assert block.is_inside is (verdict == "inside")
    assert np.abs(block.amplification.worst[0]) == pytest.approx(0.5, rel=1e-3)
    if tableau == "euler":
        assert block.is_inside_real  # which is why the real interval is no verdict
        assert block.amplification.worst[1:] == pytest.approx((np.sqrt(1.25), 1), rel=1e-3)
    assert report.to_dict()["blocks"][0]["eigenvalues_outside"] == (24 if tableau == "euler" else 0)


def test_each_channel_with_its_own_step():
    layer = RKResidual(linear(ROTATION), "euler", 1.0, trainable_dt="channel")
    model = sequential(layer)
    model.set_weights([np.log([0.5, 2.0]).astype("float32"), 2 * ROTATION])
    (block,) = steepness(model, Y[:, :2])
    assert block.dt == pytest.approx(2)
    z = block.amplification.worst[0]  # an eigenvalue of diag(1/2, 2) J
    assert (z.real, abs(z.imag)) == pytest.approx((0, 2), abs=2e-3)


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
