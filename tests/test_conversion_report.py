"""What a report on a conversion says, and the picture that it draws."""

import json

import keras
import pytest

import keras_rk
from keras_rk import convert_residuals

from .html_helpers import parsed
from .keras_helpers import dense

pytestmark = pytest.mark.repeated  # a graph is the same on every backend

layers = keras.layers


def network():
    y = keras.Input((3,))
    x = layers.Add(name="block")([y, dense(name="f")(y)])
    x = layers.Add(name="projected")([dense()(x), dense()(x)])
    inner = layers.Add(name="sum")([y, layers.Dense(3, use_bias=False)(y)])
    return keras.Model(y, keras.Model(y, inner, name="i")(layers.ReLU()(x)), name="network")


@pytest.fixture(scope="module")
def report():
    return convert_residuals(network(), "rk4", dt="1/2", steps=2)[1]


def test_it_counts_blocks_parameters_and_evaluations(report):
    assert isinstance(report, keras_rk.ConversionReport)
    assert [one.name for one in report.converted] == ["block", "i/sum"]
    assert [one.parameters for one in report.converted] == [3 * 3 + 3, 3 * 3]
    assert [one.evaluations for one in report.converted] == [4 * 2] * 2
    assert (report.parameters, report.evaluations_before, report.evaluations) == (21, 2, 16)
    assert report.converted[0].field == ("Dense",)
    assert report.converted[0].dt == "1/2"


def test_it_prints_every_sum(report):
    lines = str(report).splitlines()
    assert lines[0] == "network: 2 of 3 sums converted"
    assert lines[1].split() == "block method dt steps evaluations parameters inside".split()
    assert lines[2].split() == "block rk4 1/2 2 8 12".split()
    assert lines[3].split() == "i/sum rk4 1/2 2 8 9".split()
    assert lines[4] == "  21 parameters in blocks; 2 evaluations of F before, 16 now"
    rows = parsed(report._repr_html_()).rows
    assert [row[0] for row in rows] == ["block", "block", "i/sum"]
    assert lines[5:6] == ["kept:"]
    assert lines[6].split()[:3] == "projected neither term".split()


def test_it_says_in_which_stack_a_block_is():
    y = x = keras.Input((3,))
    for n in range(2):
        x = layers.Add(name=f"block_{n}")([x, dense(seed=n)(x)])
    _, report = convert_residuals(keras.Model(y, x), "euler", stacks=True)
    assert [one.layer for one in report.converted] == ["block_1", "block_1"]
    assert str(report).splitlines()[2].endswith("block_1")


def test_it_is_json(report):
    found = json.loads(json.dumps(report.to_dict()))
    assert found["evaluations"] == 16
    assert found["kept"][0]["name"] == "projected"
    assert found["converted"][0]["shape"] == [None, 3]


def test_it_draws_the_network(report, tmp_path):
    pytest.importorskip("matplotlib")
    report.plot(tmp_path / "network.png")
    assert (tmp_path / "network.png").stat().st_size > 1000
    texts = [text.get_text() for text in report.plot().axes[0].texts]
    assert "block\nrk4" in texts
    assert "projected" in texts
    assert "sum\nrk4" in texts
    assert "network" in texts


def test_it_draws_into_axes(report):
    figure = pytest.importorskip("matplotlib.figure").Figure()
    axes = figure.subplots()
    assert report.plot(axes) is figure
    with pytest.raises(ValueError, match="path or into Matplotlib axes"):
        report.plot(3)


@pytest.mark.parametrize("verbose, shown", [(0, False), (1, True), ("auto", False)])
def test_progress_is_shown_where_it_is_asked_for(verbose, shown, capsys):
    convert_residuals(network(), "euler", verbose=verbose)
    assert ("2/2 blocks" in capsys.readouterr().err) == shown


def test_progress_is_shown_where_it_takes_long_and_somebody_watches(capsys, monkeypatch):
    monkeypatch.setattr("keras_rk.progress._AFTER", 0.0)
    convert_residuals(network(), "euler")
    assert not capsys.readouterr().err
    monkeypatch.setattr("keras_rk.progress.watched", lambda: "terminal")
    convert_residuals(network(), "euler")
    assert "converting: 0/2 blocks" in capsys.readouterr().err
