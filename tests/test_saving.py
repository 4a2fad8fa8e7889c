"""A model saved under one backend loads under each other one, with equal outputs.

Each run of this file loads, under its own backend, what all installed backends have saved; the
runs on three backends make nine pairs.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_rk
from keras_rk.layers import RKResidual
from tests.keras_helpers import dense, normal, numpy, slow
from tests.saved_models import IRRATIONAL, MODELS, inputs

WRITERS = ("tensorflow", "jax", "torch")
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def saved(tmp_path_factory):
    """Starts one process for each installed backend; waits for one when it is asked for."""
    processes = {}
    for writer in filter(importlib.util.find_spec, WRITERS):
        folder = tmp_path_factory.mktemp(writer)
        path = os.pathsep.join([str(ROOT), str(Path(keras_rk.__file__).parents[1])])
        processes[writer] = (
            folder,
            subprocess.Popen(
                [sys.executable, "-m", "tests.saved_models", str(folder)],
                env={**os.environ, "KERAS_BACKEND": writer, "PYTHONPATH": path},
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            ),
        )

    def folder_of(writer):
        if writer not in processes:
            pytest.skip(f"{writer} is not installed")
        folder, process = processes[writer]
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output
        processes[writer] = folder, _Finished()
        return folder

    yield folder_of
    for _, process in processes.values():
        process.kill()


class _Finished:
    returncode = 0

    def communicate(self, timeout):
        return "", None

    def kill(self):
        pass


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("writer", ["tensorflow", *slow("jax", "torch")])
def test_loads_with_equal_outputs(saved, writer, name):
    folder = saved(writer)
    model = keras.models.load_model(folder / f"{name}.keras")
    expected = np.load(folder / f"{name}.npy")
    result = model.predict(inputs(name), verbose=0)
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("writer", ["tensorflow", *slow("jax", "torch")])
def test_weights_load_with_equal_outputs(saved, writer, name):
    folder = saved(writer)
    model = MODELS[name]()
    model.load_weights(folder / f"{name}.weights.h5")
    expected = np.load(folder / f"{name}.npy")
    result = model.predict(inputs(name), verbose=0)
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("writer", ["tensorflow", *slow("jax", "torch")])
def test_loaded_coefficients_are_exact(saved, writer):
    model = keras.models.load_model(saved(writer) / "custom.keras")
    (layer,) = model.layers
    assert layer.tableau == IRRATIONAL
    assert layer.dt == -0.1


@pytest.mark.parametrize("writer", ["tensorflow", *slow("jax", "torch")])
def test_loaded_step_sizes_of_blocks_are_exact(saved, writer):
    (stack,) = keras.models.load_model(saved(writer) / "stacked.keras").layers
    assert stack.dt == (0.5, "1/3", -1)


def test_state_and_trained_weights_survive(tmp_path):
    f = keras.Sequential([dense(3), keras.layers.BatchNormalization()])
    model = keras.Sequential([keras.Input((3,)), RKResidual(f, "rk4"), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    model.fit(normal(16, 3), normal(16, 1), epochs=2, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for one, other in zip(model.variables, loaded.variables, strict=True):
        np.testing.assert_array_equal(numpy(one), numpy(other))
    loaded.fit(normal(16, 3), normal(16, 1), verbose=0)  # compiled as it was


@pytest.mark.parametrize("tableau", ["rk4", keras_rk.tableaux.hermite("rk4")], ids=["", "dense"])
def test_a_layer_by_itself_survives_serialisation(tableau):
    layer = RKResidual(dense(3), tableau, "1/3", 2, order=4)
    y = normal(2, 3)
    layer(y)
    revived = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert revived.built
    assert revived.tableau == layer.tableau
    revived.set_weights(layer.get_weights())
    np.testing.assert_array_equal(numpy(revived(y)), numpy(layer(y)))
