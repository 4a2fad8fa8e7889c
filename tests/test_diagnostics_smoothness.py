"""smoothness: weights whose dependence on depth is known."""

import json

import keras
import numpy as np
import pytest

from keras_rk.diagnostics import smoothness
from keras_rk.layers import RKResidual, RKStack
from tests.diagnosed_networks import sequential
from tests.keras_helpers import dense

pytestmark = pytest.mark.repeated  # the kinds of networks run on each backend

TIMES = 3.0


def stack_of(depth, values):
    """A model whose kernels are given, one for each block, and whose biases are zero."""
    model = sequential(RKStack(dense(2), depth, "euler", TIMES / depth, name="stack"))
    model.set_weights([np.broadcast_to(values(depth), (depth, 2, 2)), np.zeros((depth, 2))])
    return model


def smooth(depth):
    s = (np.arange(depth) + 0.5) / depth
    return (s * (2 - s))[:, None, None]


def independent(depth):
    return np.random.default_rng(depth).normal(size=(depth, 2, 2))


def walk(depth):
    return np.cumsum(np.random.default_rng(0).normal(size=(depth, 2, 2)), axis=0) / depth**0.5


@pytest.mark.parametrize(
    "values, hoelder, roughness",
    [(smooth, 1, (0, 0.05)), (walk, 0.5, (0.03, 0.3)), (independent, 0, (0.9, 1.1))],
)
def test_smooth_weights_are_told_from_rough_ones(values, hoelder, roughness):
    report = smoothness(stack_of(256, values))
    kernel, bias = report.weights
    assert kernel.hoelder == pytest.approx(hoelder, abs=0.15)
    assert roughness[0] <= kernel.roughness <= roughness[1]
    assert (bias.norm, bias.increment, bias.roughness, bias.hoelder) == (0, 0, 0, None)
    theta = values(256) * np.ones((256, 2, 2))
    steps = np.linalg.norm(np.diff(theta, axis=0).reshape(255, -1), axis=1)
    assert kernel.increment == pytest.approx(max(steps), rel=1e-4)
    assert kernel.norm == pytest.approx(max(np.linalg.norm(theta.reshape(256, -1), axis=1)))


@pytest.mark.parametrize("values, exponent", [(smooth, -1), (independent, 0)])
def test_exponents_over_depths(values, exponent, tmp_path):
    report = smoothness([stack_of(depth, values) for depth in (16, 32, 64)])
    kernel = report.scalings[0]
    assert kernel.depths == (16, 32, 64)
    assert kernel.smooth == pytest.approx(exponent, abs=0.2)
    assert kernel.norm == pytest.approx(0, abs=0.2)
    data = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert data["scalings"][0]["smooth"] == kernel.smooth
    assert "b - a" in str(report)
    assert len(report.plot(tmp_path / "picture.png").axes) == 2


def test_a_norm_that_falls_with_depth():
    report = smoothness([stack_of(n, lambda depth: smooth(depth) / depth**0.5) for n in (32, 64)])
    assert report.scalings[0].norm == pytest.approx(-0.5, abs=0.03)


@pytest.mark.parametrize(
    "models, match",
    [
        (lambda: sequential(RKResidual(dense(2))), "at least 4 blocks.*Received: model"),
        (lambda: sequential(RKStack(dense(2), 3)), "at least 4 blocks"),
        (lambda: sequential(dense(2)), "RKResidual or an RKStack"),
        (
            lambda: [
                sequential(RKStack(dense(2), 4)),
                sequential(RKStack(keras.layers.Dense(2, use_bias=False), 8)),
            ],
            r"the same weights.*\[2, 1\]",
        ),
    ],
)
def test_refusals(models, match):
    with pytest.raises(ValueError, match=match):
        smoothness(models())
