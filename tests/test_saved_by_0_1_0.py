"""Files that keras_rk 0.1.0 saved, before its modules moved into wings, load and predict the same.

`saved_by_0_1_0/` has one model of each backend, written by Keras 3.15.1: `RKResidual` around
`ConcatTime`, with batch normalization, an error estimate and a trainable dt; one whose tableau has
square roots and is trained; an `RKStack` with a layer after each block; and what the model
predicted for the inputs below.
"""

from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_rk  # noqa: F401  (it registers the layers)
from tests.keras_helpers import slow

FOLDER = Path(__file__).parent / "saved_by_0_1_0"
WRITERS = ("tensorflow", "jax", "torch")


def loaded(writer):
    """Its optimizer, too, unless it is one that Keras 3.15.1 looks for in PyTorch alone."""
    can_compile = writer != "torch" or find_spec("torch") is not None
    return keras.models.load_model(FOLDER / f"{writer}.keras", compile=can_compile)


@pytest.mark.parametrize("writer", WRITERS)
def test_a_file_from_before_the_move_loads(writer):
    model = loaded(writer)
    x = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")
    expected = np.load(FOLDER / f"{writer}.npy")
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, atol=1e-5)
    assert [layer.name for layer in model.layers] == ["timed", "learned", "stack"]


@pytest.mark.parametrize("writer", ["tensorflow", *slow("jax", "torch")])
def test_it_trains_on(writer):
    model = loaded(writer)
    # Keras 3.15.1 loads the optimizer that PyTorch saved as PyTorch's, whatever the backend.
    model.compile("adam", "mse")
    x = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")
    before = model.evaluate(x, x, verbose=0)
    model.fit(x, x, epochs=3, verbose=0)
    assert model.evaluate(x, x, verbose=0) < before
