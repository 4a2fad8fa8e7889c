"""Step sizes and tableaux that are trained, and error estimates."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from keras_rk import check, tableaux
from keras_rk.layers import ConcatTime, RKResidual, RKStack
from keras_rk.proof.order_conditions import order_conditions
from keras_rk.steps.order_penalty import order_penalty
from tests.keras_helpers import MODES, call_in, dense, float64, gradients, normal, numpy, slow

DEPTH = 3


def residual(f, *args, **kwargs):
    return RKResidual(f, *args, **{"dt": 0.3, **kwargs})


def stack(f, *args, **kwargs):
    return RKStack(f, DEPTH, *args, **{"dt": 0.3, "seed": 1, **kwargs})


LAYERS = [residual, stack]


def fit(layer, epochs=2, rate=0.05):
    model = keras.Sequential([keras.Input((3,)), layer])
    model.compile(keras.optimizers.Adam(rate), "mse")
    model.fit(normal(32, 3), 2 * normal(32, 3) + 1, epochs=epochs, verbose=0)
    return model


def with_weights_of(layer, other):
    """A layer built, with the weights of f that another one has."""
    layer.build((None, 3))
    if isinstance(layer, RKResidual):
        layer.layer.set_weights(other.layer.get_weights())
        return layer
    named = {weight.name: weight for weight in other.weights}
    for weight in layer.weights:
        if weight.name in named:
            weight.assign(named[weight.name])
    return layer


@pytest.mark.parametrize("make", LAYERS)
@pytest.mark.parametrize("trainable", [True, "channel"])
def test_dt_starts_where_it_was_given_to_the_last_bit(make, trainable):
    y = normal(4, 3)
    learned = make(dense(3), "rk4", trainable_dt=trainable)
    learned.build((None, 3))
    fixed = with_weights_of(make(dense(3), "rk4"), learned)
    np.testing.assert_allclose(numpy(learned(y)), numpy(fixed(y)), rtol=1e-6)
    np.testing.assert_allclose(learned.step_sizes, 0.3, rtol=1e-6)


@pytest.mark.parametrize("make", LAYERS)
@pytest.mark.parametrize("dt", [0.3, -0.3])
@pytest.mark.parametrize("trainable", [True, "channel"])
def test_dt_is_trained_and_keeps_its_sign(make, trainable, dt):
    layer = make(dense(3), "heun2", dt=dt, steps=2, trainable_dt=trainable)
    fit(layer)
    blocks = () if make is residual else (DEPTH,)
    assert layer.step_sizes.shape == blocks + ((3,) if trainable == "channel" else ())
    assert np.all(layer.step_sizes * dt > 0)
    assert np.all(np.abs(layer.step_sizes - dt) > 1e-4)


@pytest.mark.parametrize("mode", MODES)
def test_the_gradient_with_respect_to_dt(mode):
    """d/dtheta of y + dt f(y) is dt f(y)."""
    f = dense(3)
    layer = RKResidual(f, "euler", dt=0.3, trainable_dt=True)
    layer.build((None, 3))
    y = normal(4, 3)
    *_, found = gradients(lambda y: ops.sum(layer(y)), layer, y, mode)
    position = [w.name for w in layer.trainable_weights].index("log_dt_ratio")
    found = gradients(lambda y: ops.sum(layer(y)), layer, y, mode)[1 + position]
    assert found == pytest.approx(0.3 * numpy(f(y)).sum(), rel=1e-4)


def test_channels_step_by_themselves():
    layer = RKResidual(dense(3), "rk4", dt=0.5, trainable_dt="channel")
    layer.build((None, 3))
    weight = next(w for w in layer.weights if w.name == "log_dt_ratio")
    weight.assign(np.log([1.0, 2.0, 4.0]))
    np.testing.assert_allclose(layer.step_sizes, [0.5, 1, 2], rtol=1e-6)
    euler = RKResidual(layer.layer, "euler", dt=0.5, trainable_dt="channel")
    euler.build((None, 3))
    next(w for w in euler.weights if w.name == "log_dt_ratio").assign(numpy(weight))
    y = normal(4, 3)
    expected = y + numpy(layer.layer(y)) * np.array([0.5, 1, 2])
    np.testing.assert_allclose(numpy(euler(y)), expected, rtol=1e-5)


@pytest.mark.parametrize(
    "name", ["heun2", "rk4", "dormand_prince54", *slow("ralston2", "midpoint")]
)
@pytest.mark.parametrize("make", LAYERS)
def test_a_learned_tableau_stays_explicit_and_consistent(make, name):
    layer = make(dense(3), name, trainable_tableau=True)
    start = tableaux.get(name)
    layer.build((None, 3))
    y = normal(4, 3)
    fixed = with_weights_of(make(dense(3), name), layer)
    np.testing.assert_allclose(numpy(layer(y)), numpy(fixed(y)), rtol=1e-5, atol=1e-6)
    fit(layer)
    report = check(layer.tableau)
    assert report.explicit
    assert report.consistent
    assert report.row_sums
    assert layer.tableau != start
    zeros = [x == 0 for row in start.A for x in row]
    assert [x == 0 for row in layer.tableau.A for x in row] == zeros or name == "dormand_prince54"


@pytest.mark.parametrize("make", LAYERS)
def test_the_layer_computes_what_its_tableau_says(make):
    layer = make(dense(3), "rk4", trainable_tableau=True)
    fit(layer)
    y = normal(4, 3)
    same = with_weights_of(make(dense(3), layer.tableau), layer)
    np.testing.assert_allclose(numpy(same(y)), numpy(layer(y)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("make", LAYERS)
@pytest.mark.parametrize("learned", ["trainable_dt", "trainable_tableau"])
def test_learned_methods_survive(make, learned, tmp_path):
    layer = make(dense(3), "heun2", **{learned: True})
    model = fit(layer)
    model.save(tmp_path / "model.keras")
    other = keras.saving.load_model(tmp_path / "model.keras")
    y = normal(4, 3)
    np.testing.assert_array_equal(numpy(other(y)), numpy(model(y)))
    np.testing.assert_array_equal(other.layers[0].step_sizes, layer.step_sizes)
    assert other.layers[0].tableau == layer.tableau


@pytest.mark.parametrize("learned", ["trainable_dt", "trainable_tableau"])
def test_learned_methods_are_unstacked_and_stacked_again(learned):
    layer = stack(dense(3), "heun2", order=2, **{learned: True})
    fit(layer)
    y = z = normal(4, 3)
    blocks = layer.unstack()
    for block in blocks:
        z = block(z)
    expected = numpy(layer(y))
    np.testing.assert_allclose(numpy(z), expected, rtol=1e-5, atol=1e-6)
    again = RKStack.from_layers(blocks)
    np.testing.assert_allclose(numpy(again(y)), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", LAYERS)
@pytest.mark.parametrize("estimates", [(True, False), *slow((False, True), (True, True))])
def test_the_last_error_is_not_in_the_weights_file(make, estimates, tmp_path):
    one, other = (make(dense(3), "bogacki_shampine32", error_estimate=e) for e in estimates)
    fit(one).save_weights(tmp_path / "model.weights.h5")
    model = fit(other)
    model.load_weights(tmp_path / "model.weights.h5")
    y = normal(4, 3)
    np.testing.assert_array_equal(numpy(one(y)), numpy(other(y)))


@pytest.mark.parametrize("make", LAYERS)
def test_weights_without_a_learned_dt_are_refused(make, tmp_path):
    fit(make(dense(3), "heun2")).save_weights(tmp_path / "model.weights.h5")
    model = fit(make(dense(3), "heun2", trainable_dt=True))
    with pytest.raises(ValueError, match=r"weights of its own|expected"):
        model.load_weights(tmp_path / "model.weights.h5")


def test_the_error_of_a_layer_inside_f_is_its_last():
    inner = residual(dense(3), "bogacki_shampine32", error_estimate=True)
    outer = residual(inner, "midpoint")
    y = normal(4, 3)
    outer(y)
    assert outer.statistics is None
    second = y + 0.15 * numpy(inner(y))
    outer(y)
    found = float(inner.estimated_error)
    inner(second)
    assert found == pytest.approx(float(inner.estimated_error), rel=1e-3)


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("name", ["euler", "heun2", "rk4", "ssprk33"])
def test_the_penalty_is_the_sum_of_squared_residuals(name, order):
    tableau = tableaux.get(name)
    A = {
        (i, j): ops.convert_to_tensor(float(x), dtype="float32")
        for i, row in enumerate(tableau.A)
        for j, x in enumerate(row)
        if x != 0
    }
    b = {i: ops.convert_to_tensor(float(x), dtype="float32") for i, x in enumerate(tableau.b)}
    expected = sum(
        float(condition.residual) ** 2
        for n in range(1, order + 1)
        for condition in order_conditions(tableau, n)
        if condition.tree.order == n
    )
    found = float(numpy(order_penalty(A, b, tableau.stages, order)))
    assert found == pytest.approx(expected, abs=1e-6)


def test_the_penalty_finds_a_method_of_that_order():
    start = ([[], ["1/2"]], ["1/2", "1/2"])
    layer = residual(dense(3), start, trainable_tableau=True, order_penalty=(2, 100.0))
    assert check(layer.tableau).order == 1
    fit(layer, epochs=60)
    (condition,) = order_conditions(layer.tableau, 2)[-1:]
    assert abs(float(condition.residual)) < 0.02


@pytest.mark.parametrize("make", LAYERS)
def test_the_penalty_is_one_loss(make):
    layer = make(dense(3), "heun2", trainable_tableau=True, order_penalty=(3, 0.5))
    layer(normal(4, 3))
    expected = 0.5 * sum(float(c.residual) ** 2 for c in order_conditions("heun2", 3))
    assert float(numpy(sum(layer.losses))) == pytest.approx(expected, rel=1e-4)


# ------------------------------------------------------------------------- error estimates


def estimate_by_hand(f, y, tableau, dt):
    """The estimate, and how large round-off in float32 may make it."""
    arrays = tableaux.get(tableau).to_numpy()
    k = []
    for row in arrays.A:
        k.append(numpy(f(y + dt * sum((a * ki for a, ki in zip(row, k, strict=False)), 0 * y))))
    error = dt * sum((b - h) * ki for b, h, ki in zip(arrays.b, arrays.b_hat, k, strict=True))
    spread = np.abs(arrays.b - arrays.b_hat) @ (1 + dt * np.abs(arrays.A).sum(1))
    return np.sqrt(np.mean(error**2)), 1e-6 * dt * spread


PAIRS = [name for name in tableaux.names() if tableaux.get(name).b_hat is not None]


@pytest.mark.parametrize("name", PAIRS)
def test_the_error_estimate(name):
    layer = RKResidual(dense(3), name, dt=1.5, error_estimate=True)
    y = normal(4, 3)
    layer(y)
    expected, roundoff = estimate_by_hand(layer.layer, y, name, 1.5)
    # a difference of two stages in the middle, which pass on the round-off of those before them
    rel = 1e-2 if name == "feagin1412" else 1e-3
    assert layer.estimated_error == pytest.approx(expected, rel=rel, abs=roundoff)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("steps", [1, 3])
def test_the_error_estimate_of_each_block(steps, mode):
    layer = RKStack(dense(3), 3, "bogacki_shampine32", [0.5, 1, 2], steps, error_estimate=True)
    layer.build((None, 3))
    y = normal(4, 3)
    call_in(mode, layer, y)
    for block, error in zip(layer.unstack(), layer.estimated_error, strict=True):
        y = numpy(block(y))
        assert error == pytest.approx(float(block.estimated_error), rel=1e-4)


def test_the_error_estimate_costs_no_result():
    """dormand_prince54 evaluates its last stage for the estimate alone."""
    f, y = dense(3), normal(4, 3)
    layers = [RKResidual(f, "dormand_prince54", error_estimate=e) for e in (False, True)]
    np.testing.assert_array_equal(*(numpy(layer(y)) for layer in layers))


@pytest.mark.parametrize("make", [residual, *slow(stack)])
def test_the_error_as_a_loss_makes_the_network_smooth(make):
    errors = []
    for weight in (0.0, 300.0):
        keras.utils.set_random_seed(0)
        layer = make(dense(3), "bogacki_shampine32", dt=1, error_estimate=True, error_weight=weight)
        fit(layer, epochs=20)
        layer(normal(4, 3))
        errors.append(layer.estimated_error.max())
    assert errors[1] < errors[0]


def test_no_error_has_no_gradient_that_is_not_a_number():
    layer = RKResidual(
        keras.layers.Dense(3, kernel_initializer="zeros"), "bogacki_shampine32", error_weight=1.0
    )
    y = normal(4, 3)
    layer.build((None, 3))

    def loss(y):
        return ops.sum(layer(y)) + sum(layer.losses)

    assert all(np.all(np.isfinite(g)) for g in gradients(loss, layer, y))


# ------------------------------------------------------------------------------- refused

REFUSED = {
    "channel with time": (
        {"trainable_dt": "channel", "layer": "clock"},
        "one time for all channels",
    ),
    "a word": ({"trainable_dt": "always"}, "must be True, False or 'channel'"),
    "one": ({"trainable_dt": 1}, "must be True, False or 'channel'"),
    "no truth": ({"trainable_tableau": "yes"}, "must be True or False"),
    "nothing to choose": (
        {"tableau": "euler", "trainable_tableau": True},
        "coefficients to choose",
    ),
    "inconsistent": (
        {"tableau": ([[], [1]], [1, 1]), "require": "explicit", "trainable_tableau": True},
        "stays consistent",
    ),
    "a penalty alone": ({"order_penalty": (2, 0.1)}, "acts on coefficients that are trained"),
    "half a penalty": ({"order_penalty": 2, "trainable_tableau": True}, "must be a pair"),
    "a negative penalty": (
        {"order_penalty": (2, -1), "trainable_tableau": True},
        "at least 0",
    ),
    "order 9": ({"order_penalty": (9, 1), "trainable_tableau": True}, "goes up to order 8"),
    "no pair": ({"tableau": "rk4", "error_estimate": True}, "needs an embedded pair"),
    "no pair for a weight": ({"tableau": "rk4", "error_weight": 0.1}, "needs an embedded pair"),
    "a negative weight": ({"error_weight": -1.0}, "at least 0"),
    "a learned pair": (
        {"tableau": "bogacki_shampine32", "error_estimate": True, "trainable_tableau": True},
        "embedded weights b_hat belong",
    ),
}


class Clock(keras.layers.Layer):
    def call(self, y, t):
        return t * y


@pytest.mark.parametrize("make", LAYERS)
def test_channels_have_to_be_known(make):
    f = keras.layers.Activation("tanh")
    with pytest.raises(ValueError, match="needs the size of y's last axis"):
        make(f, "heun2", trainable_dt="channel").build((None, None))


@pytest.mark.parametrize("make", LAYERS)
@pytest.mark.parametrize("case", REFUSED)
def test_refused(make, case):
    arguments, message = REFUSED[case]
    arguments = dict(arguments)
    f = Clock() if arguments.pop("layer", None) else dense(3)
    with pytest.raises(ValueError, match=message):
        make(f, **arguments)


@pytest.mark.slow
@pytest.mark.repeated
def test_the_example_learns_a_method():
    example = Path(__file__).parent.parent / "examples" / "learned_method.py"
    done = subprocess.run(
        [sys.executable, str(example), "--epochs", "1"],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("consistent, order             True, 1") == 2


@pytest.mark.parametrize("make", LAYERS)
@pytest.mark.parametrize(
    ("learned", "first", "then"),
    [
        ({"trainable_dt": "channel", "error_estimate": True}, "float32", "float64"),
        ({"trainable_tableau": True, "steps": 2}, "float32", "float64"),
        (
            {"trainable_dt": True, "trainable_tableau": True, "order_penalty": (2, 1.0)},
            "float64",
            "mixed_bfloat16",
        ),
    ],
    ids=["dt", "tableau", "both"],
)
def test_a_dtype_policy_that_is_set_anew(learned, first, then, make):
    """What is learned keeps the dtype that it was built with."""
    with float64():
        layer = make(dense(3), "bogacki_shampine32", dtype=first, **learned)
        y = ops.convert_to_tensor(normal(4, 3))
        before = ops.cast(layer(y), "float32")
        layer.dtype_policy = then
        after = layer(y)
        assert keras.backend.standardize_dtype(after.dtype) == layer.compute_dtype
        np.testing.assert_allclose(
            numpy(ops.cast(after, "float32")),
            numpy(before),
            rtol=1e-5 if then == "float64" else 1e-2,
            atol=1e-6 if then == "float64" else 1e-2,
        )
        found = gradients(lambda y: ops.sum(layer(y) ** 2), layer, y)[1:]
        for weight, gradient in zip(layer.trainable_weights, found, strict=True):
            assert gradient.any(), weight.name


@pytest.mark.parametrize("make", LAYERS)
def test_times_follow_a_dtype_policy_that_is_set_anew(make):
    layer = make(ConcatTime(dense(3)), "heun2", trainable_dt=True)
    y = normal(4, 3)
    with float64():
        before = numpy(layer(y))
        layer.dtype_policy = "float64"
        after = layer(y)
        assert keras.backend.standardize_dtype(after.dtype) == "float64"
        np.testing.assert_allclose(numpy(after), before, rtol=1e-5, atol=1e-6)
