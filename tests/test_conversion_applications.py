"""Networks of `keras.applications`, converted; `examples/convert_applications.py` does all of them.

How many blocks there are follows from the architectures: with bottlenecks [3, 4, 6, 3] in ResNet50
the first of each stage has a projection in the shortcut, and in ResNet50V2 the last one of the
first three pools it; MobileNetV2 has 17 bottlenecks in 7 groups, of which the first never adds.
"""

import importlib.util
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_rk import convert_residuals, with_method
from keras_rk.layers import RKStack

from .keras_helpers import numpy

EXAMPLE = Path(__file__).parents[1] / "examples" / "convert_applications.py"
BLOCKS = {
    # name: the sums, and how many of them are residual connections
    "MobileNetV2": (10, 10),
    "ResNet50": (16, 12),
    "ResNet50V2": (16, 9),
    "EfficientNetB0": (9, 9),
    "ConvNeXtTiny": (18, 18),
    "Xception": (12, 8),
    "InceptionResNetV2": (40, 40),
    "DenseNet121": (0, 0),
}
QUICK = "MobileNetV2"
ONCE = (pytest.mark.slow, pytest.mark.repeated)  # it is the graph's affair, on every backend alike
NAMES = [name if name == QUICK else pytest.param(name, marks=ONCE) for name in BLOCKS]
RUN = [
    pytest.param(QUICK, marks=pytest.mark.repeated),
    *[
        pytest.param(name, marks=ONCE)
        for name in ("EfficientNetB0", "ResNet50", "ResNet50V2", "ConvNeXtTiny")
    ],
]


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("convert_applications", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def networks(example):
    """Each network once, calibrated."""
    made = {}

    def get(name):
        if name not in made:
            model = small() if name == QUICK else example.network(name)
            size = model.input_shape[1:]
            images = np.random.default_rng(0).uniform(-1, 1, (8, *size)).astype("float32")
            example.calibrate(model, images)
            made[name] = model, images
        return made[name]

    return get


def small():
    return keras.applications.MobileNetV2(
        alpha=0.35,
        weights=None,
        input_shape=(32, 32, 3),
        classes=10,
        classifier_activation=None,
    )


@pytest.mark.repeated  # graphs of Keras
@pytest.mark.parametrize("name", NAMES)
def test_every_sum_is_in_the_report(name, example):
    model = small() if name == QUICK else example.network(name)
    _, report = convert_residuals(model, "euler", allow_none=True, verbose=0)
    sums, converted = BLOCKS[name]
    assert len(report.converted) == converted
    assert len(report.kept) == sums - converted


@pytest.mark.parametrize("name", RUN)
def test_euler_gives_the_outputs_bit_for_bit(name, networks):
    model, images = networks(name)
    converted, report = convert_residuals(model, "euler", verbose=0)
    expected = numpy(model(images))
    np.testing.assert_array_equal(numpy(converted(images)), expected)
    last = report.converted[-1].name
    dropped, _ = convert_residuals(model, "euler", dt={last: 1e-30, "*": 1}, verbose=0)
    moved = np.abs(numpy(dropped(images)) - expected).max()
    assert moved > 0.01 * np.abs(expected).max()


@pytest.mark.slow
@pytest.mark.repeated
@pytest.mark.parametrize("name", ["ResNet50", "MobileNetV2"])
def test_a_network_from_a_file_in_stacks(name, networks, tmp_path):
    model, images = networks(name)
    model.save(tmp_path / "given.keras")
    model = keras.saving.load_model(tmp_path / "given.keras")
    stacked, report = convert_residuals(model, "euler", stacks=True, verbose=0)
    depths = [layer.depth for layer in stacked.layers if isinstance(layer, RKStack)]
    assert depths == {"ResNet50": [2, 3, 5, 2], "MobileNetV2": [2, 3, 2, 2]}[name]
    np.testing.assert_allclose(numpy(stacked(images)), numpy(model(images)), rtol=1e-4, atol=1e-4)
    stacked.save(tmp_path / "stacked.keras")
    loaded = keras.saving.load_model(tmp_path / "stacked.keras")
    np.testing.assert_array_equal(numpy(loaded(images)), numpy(stacked(images)))
    heun = with_method(loaded, "heun2")
    assert np.abs(numpy(heun(images)) - numpy(model(images))).max() > 0.1
    assert sum(depths) + 1 * (name == "MobileNetV2") == len(report.converted)
