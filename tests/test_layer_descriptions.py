"""How layers show themselves: `repr`, summaries, pictures of models."""

import io
import zipfile

import keras
import pytest

import keras_rk
from keras_rk.layers import RKAdaptive, RKResidual, RKStack
from tests.keras_helpers import dense

pytestmark = pytest.mark.repeated


def normalized():
    return keras.Sequential([keras.layers.Dense(3), keras.layers.BatchNormalization()])


def many():
    kinds = ("Dense", "Activation", "BatchNormalization", "Dropout", "LayerNormalization")
    arguments = {"Dense": [3], "Activation": ["relu"], "Dropout": [0.1]}
    return keras.Sequential([getattr(keras.layers, k)(*arguments.get(k, [])) for k in kinds])


DESCRIBED = {
    "block": (
        lambda: RKResidual(normalized(), "rk4", dt=0.1, steps=4, name="b"),
        "<RKResidual name=b, built=False: rk4, dt=0.1, 4 steps, Dense + BatchNormalization>",
    ),
    "defaults": (
        lambda: RKResidual(dense(3), name="b"),
        "<RKResidual name=b, built=False: rk4, dt=1.0, 1 step, Dense>",
    ),
    "exact and trained": (
        lambda: RKResidual(dense(3), "heun2", dt="1/3", trainable_dt=True, name="b"),
        "<RKResidual name=b, built=False: heun2, dt=1/3, trained, 1 step, Dense>",
    ),
    "stack": (
        lambda: RKStack(many(), 2, dt=[1, 0.5], name="s"),
        "<RKStack name=s, built=False: rk4, 2 blocks, a dt for each block, 1 step, "
        "Sequential of 5 layers>",
    ),
    "own method": (
        lambda: RKStack(
            keras.Sequential([dense(3), dense(3)]), 1, ([[], [1]], [0.5, 0.5]), name="s"
        ),
        "<RKStack name=s, built=False: method of 2 stages, 1 block, dt=1.0, 1 step, 2 Dense>",
    ),
    "adaptive": (
        lambda: RKAdaptive(dense(3), "tsitouras54", name="a"),
        "<RKAdaptive name=a, built=False: tsitouras54, Dense>",
    ),
}


@pytest.mark.parametrize("make, said", DESCRIBED.values(), ids=DESCRIBED)
def test_a_layer_says_method_step_and_field(make, said):
    assert repr(make()) == said


@pytest.fixture(scope="module")
def model():
    block = RKResidual(normalized(), "rk4", dt=0.1, steps=4, name="block")
    stack = RKStack(dense(3, name="of_one_block"), 2, "heun2", name="stack")
    return keras.Sequential([keras.Input((3,)), block, stack], name="whole")


def test_a_summary_shows_f(model):
    lines = []
    model.summary(expand_nested=True, print_fn=lines.append, line_length=72)
    text = "\n".join(lines)
    for shown in ("Sequential", "Dense", "BatchNormalization"):
        assert f"({shown})" in text
    assert "└ of_one_block (Dense)" in text


def test_files_are_what_they_were(model, tmp_path):
    """Keras saves every list of layers that `dir` shows, under its name."""
    h5py = pytest.importorskip("h5py")
    assert model.layers[0].layers == [model.layers[0].layer]
    model.save(tmp_path / "model.keras")
    data = zipfile.ZipFile(tmp_path / "model.keras").read("model.weights.h5")
    names = []
    with h5py.File(io.BytesIO(data)) as file:
        file.visit(names.append)
    assert "layers/rk_residual/layer/layers/dense/vars/0" in names
    for name in ("layers/rk_residual/layers", "layers/rk_stack/layers"):
        assert name not in names


def test_a_picture_of_a_model_says_it_in_the_labels(model, tmp_path):
    pytest.importorskip("pydot")
    y = keras.Input((3,))
    outer = keras.Model(y, model(y))
    text = keras_rk.plot_model(outer, tmp_path / "model.dot", expand_nested=True).to_string()
    assert "rk4, dt=0.1, 4 steps, Dense + BatchNormalization</font>" in text
    assert "heun2, 2 blocks, dt=1.0, 1 step, Dense</font>" in text
    assert (tmp_path / "model.dot").read_text().startswith("digraph")
