"""Modules of PyTorch inside f: what they count and average is no variable of Keras."""

import keras
import numpy as np
import pytest

from keras_rk.layers import RKResidual
from tests.keras_helpers import BACKEND, ByHand, dense, normal, numpy

if BACKEND != "torch":
    pytest.skip("modules of PyTorch", allow_module_level=True)

import torch


def wrapped(module):
    return keras.layers.TorchModuleWrapper(module, output_shape=(None, 3))


class InAList(keras.layers.Layer):
    """Layers where PyTorch does not look for modules, and without a shape of the output."""

    def __init__(self, layers):
        super().__init__()
        self.parts = list(layers)

    def call(self, y):
        for layer in self.parts:
            y = layer(y)
        return y


FIELDS = {
    "module": wrapped,
    "chain of modules": lambda m: wrapped(torch.nn.Sequential(torch.nn.Tanh(), m)),
    "in a list": lambda m: InAList([dense(), wrapped(m)]),
    "beside Keras's own": lambda m: keras.Sequential(
        [keras.Input((3,)), wrapped(m), keras.layers.BatchNormalization()]
    ),
}


@pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS.keys())
@pytest.mark.parametrize(
    "method",
    [
        {"tableau": "midpoint"},
        {"tableau": "midpoint", "remat": "stage"},
        {"tableau": "euler", "steps": 3},
        {"tableau": "midpoint", "steps": 2, "remat": "step"},
    ],
    ids=str,
)
def test_each_evaluation_counts_once(method, field):
    """Nor does it count when f is built, or looked at to see what it does."""
    module = torch.nn.BatchNorm1d(3)
    layer = RKResidual(field(module), **method)
    stages, steps = 1 + (method["tableau"] == "midpoint"), method.get("steps", 1)
    for call in range(1, 3):
        with torch.no_grad():  # a backward pass would run again what is rematerialised
            layer(normal(4, 3), training=True)
        assert int(module.num_batches_tracked) == call * stages * steps


def test_statistics_are_those_of_the_evaluations():
    module, other = torch.nn.BatchNorm1d(3), torch.nn.BatchNorm1d(3)
    ours, by_hand = RKResidual(wrapped(module), "midpoint", steps=2), ByHand(wrapped(other))
    y = normal(4, 3)
    results = [layer(y, training=True) for layer in (ours, by_hand)]
    np.testing.assert_allclose(*(x.detach().numpy() for x in results), rtol=1e-5)
    np.testing.assert_allclose(module.running_mean, other.running_mean, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(module.running_var, other.running_var, rtol=1e-5)
    assert numpy(module.running_mean).any()
