"""examples/spirals.py: its data, a short run, what an interruption leaves, and its options."""

from __future__ import annotations

import contextlib
import csv
import importlib
import io
import json
import math
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.keras_helpers import slow

pytest.importorskip("matplotlib")

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "examples"))
spirals = importlib.import_module("spirals")
results = importlib.import_module("spirals_results")

BACKEND = keras.backend.backend()
SHORT = ["--networks", "residual", "euler", "--depth", "2", "--epochs", "2", "--dt", "1"]


def call(*options):
    """What the program prints and returns."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        status = spirals.main([str(option) for option in options])
    return status, printed.getvalue()


@pytest.fixture(scope="module")
def short_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("short_run")
    status, printed = call(*SHORT, "--output", folder)
    return status, printed, folder


@pytest.fixture
def finished(short_run, tmp_path):
    """A copy of the finished run's folder."""
    return Path(shutil.copytree(short_run[2], tmp_path / "finished"))


@pytest.fixture
def trained(monkeypatch):
    """The networks that a call begins to train; each attempt is interrupted at once."""
    begun = []

    def interrupted(network, *_):
        begun.append(network)
        raise KeyboardInterrupt

    monkeypatch.setattr(spirals, "train", interrupted)
    return begun


def record(folder, network):
    """A network's record without its run time."""
    stored = json.loads((folder / "networks" / f"{network}.json").read_text())
    del stored["seconds"]
    return stored


# ---------------------------------------------------------------------------------------- data


def test_data_has_the_papers_sizes():
    x_train, y_train, x_test, y_test = spirals.paper_data(0)
    assert x_train.shape == (2000, 2)
    assert y_train.shape == (2000, 1)
    assert x_test.shape == (600, 2)
    assert y_test.shape == (600, 1)


@pytest.mark.parametrize("points", [2000, 600])
def test_spirals_are_balanced_and_reach_a_radius_of_13(points):
    x, y = spirals.two_spirals(points, np.random.default_rng(0))
    assert np.sum(y == 0) == np.sum(y == 1) == points // 2
    assert 12.5 < np.linalg.norm(x, axis=1).max() < 14.4
    assert x.dtype == y.dtype == "float32"


def test_spirals_without_noise_lie_on_the_curve():
    x, y = spirals.two_spirals(100, np.random.default_rng(0), noise=0)
    r = np.linalg.norm(x, axis=1)
    turn = np.where(y[:, 0] == 0, 1, -1)
    curve = turn * r * np.array([-np.cos(r), np.sin(r)])
    np.testing.assert_allclose(x, curve.T, atol=1e-4)


def test_data_is_that_of_the_seed():
    np.testing.assert_array_equal(spirals.paper_data(3)[0], spirals.paper_data(3)[0])
    assert np.abs(spirals.paper_data(3)[0] - spirals.paper_data(4)[0]).max() > 1


def test_every_epoch_has_all_points_in_an_order_of_its_own(monkeypatch):
    x = np.arange(70, dtype="float32")[:, None]
    data = spirals.batches(x, x, seed=0)
    taken = []
    take = type(data).__getitem__

    def take_and_note(self, index):
        taken.append(take(self, index))
        return taken[-1]

    monkeypatch.setattr(type(data), "__getitem__", take_and_note)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(loss="mse", **spirals.compile_options(BACKEND))
    model.fit(data, epochs=3, shuffle=False, verbose=0)
    assert all(np.array_equal(x, y) for x, y in taken)
    taken = [x[:, 0].tolist() for x, _ in taken[-9:]]
    assert [len(batch) for batch in taken] == 3 * [32, 32, 6]
    epochs = [[*taken[i], *taken[i + 1], *taken[i + 2]] for i in (0, 3, 6)]
    assert [sorted(epoch) for epoch in epochs] == 3 * [x[:, 0].tolist()]
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]


# ------------------------------------------------------------------------------------ networks


@pytest.mark.parametrize("network", spirals.NETWORKS)
def test_all_networks_have_equally_many_weights(network):
    model = spirals.build(network, depth=3, dt=1.0, activation="tanh")
    lift, block, output = 2 * 8 + 8, 8 * 8 + 8 + 4 * 8, 8 + 1
    assert model.count_params() == lift + 3 * block + output


def built(network):
    keras.utils.set_random_seed(3)
    return spirals.build(network, depth=3, dt=1.0, activation="tanh")


@pytest.mark.parametrize("network", spirals.NETWORKS[1:])
def test_all_networks_start_from_the_same_weights(network):
    expected = built("standard").get_weights()
    assert np.std(expected[2], axis=0).min() > 0  # the blocks differ
    for ours, theirs in zip(built(network).get_weights(), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def one_layer_after_another(network, weights):
    """The standard or the residual network without RKStack, with these weights."""
    x = keras.Input((2,))
    y = keras.layers.Dense(8)(x)
    for _ in range(3):
        f_of_y = keras.layers.Dense(8, activation="tanh")(y)
        y = keras.layers.BatchNormalization()(f_of_y if network == "standard" else y + f_of_y)
    model = keras.Model(x, keras.layers.Dense(1, activation="sigmoid")(y))
    lift, blocks, output = weights[:2], weights[2:-2], weights[-2:]
    model.set_weights([*lift, *(weight[n] for n in range(3) for weight in blocks), *output])
    return model


@pytest.mark.repeated
@pytest.mark.parametrize("network", [*slow("standard"), "residual"])
def test_standard_and_residual_networks_are_plain_keras_layers(network):
    model = built(network)
    plain = one_layer_after_another(network, model.get_weights())
    x, labels = (array[::20] for array in spirals.paper_data(0)[:2])
    losses = []
    for trained in (model, plain):
        options = spirals.compile_options(BACKEND) if trained is model else {}
        trained.compile(optimizer="adam", loss="binary_crossentropy", **options)
        fitted = trained.fit(x, labels, batch_size=25, epochs=2, shuffle=False, verbose=0)
        losses.append(fitted.history["loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    outputs = plain.predict(x, verbose=0)
    np.testing.assert_allclose(model.predict(x, verbose=0), outputs, rtol=1e-3)


# ------------------------------------------------------------------------------------ one run


def test_run_succeeds_and_prints_a_table(short_run):
    status, printed, _ = short_run
    assert status == 0
    table = printed[printed.index("network ") :].splitlines()
    assert table[0].split() == ["network", "parameters", "train", "test", "seconds"]
    assert [line.split()[:2] for line in table[1:3]] == [["residual", "241"], ["euler", "241"]]


def test_the_table_holds_the_mean_and_the_range_of_the_last_epochs(short_run):
    accuracies = record(short_run[2], "euler")["history"]["val_accuracy"]
    line = next(line for line in short_run[1].splitlines() if line.startswith("euler "))
    mean, low, high = sum(accuracies) / 2, min(accuracies), max(accuracies)
    assert f"{mean:.4f} ({low:.3f} to {high:.3f})" in line


def test_the_running_mean_is_over_the_last_twenty():
    values = np.random.default_rng(0).random(50).tolist()
    means = results.running_mean(values)
    expected = [np.mean(values[max(0, n - 20) : n]) for n in range(1, 51)]
    np.testing.assert_allclose(means, expected)
    ending = results.at_the_end({"history": {"val_accuracy": values}})
    np.testing.assert_allclose(ending, [np.mean(values[30:]), min(values[30:]), max(values[30:])])


@pytest.mark.parametrize("name", ["curves.png", "regions.png"])
def test_run_writes_pictures(short_run, name):
    picture = (short_run[2] / name).read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 10_000


def test_run_writes_the_history(short_run):
    with (short_run[2] / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["network"], row["epoch"]) for row in rows] == [
        ("residual", "1"),
        ("residual", "2"),
        ("euler", "1"),
        ("euler", "2"),
    ]
    assert all(0 <= float(row["val_accuracy"]) <= 1 for row in rows)


def test_run_leaves_no_temporary_files(short_run):
    assert list(short_run[2].rglob(".*")) == []


def test_run_takes_the_backend_of_the_environment(short_run):
    settings = json.loads((short_run[2] / "spirals-settings.json").read_text())
    assert settings["backend"] == BACKEND


def test_euler_learns_what_the_residual_network_learns(short_run):
    residual, euler = (record(short_run[2], network) for network in ("residual", "euler"))
    assert euler["history"]["loss"] == pytest.approx(residual["history"]["loss"], rel=1e-4)


def test_saved_model_gives_the_recorded_outputs(short_run):
    model = keras.models.load_model(short_run[2] / "networks" / "euler.keras")
    outputs = spirals.predict(model, spirals.paper_data(0)[2])
    np.testing.assert_allclose(outputs, record(short_run[2], "euler")["test_outputs"], atol=1e-3)


# -------------------------------------------------------------------------------- interruption


def test_second_call_trains_nothing_again(finished, trained):
    before = (finished / "networks" / "euler.json").read_bytes()
    (finished / "regions.png").unlink()
    status, printed = call(*SHORT, "--output", finished)
    assert (status, trained) == (0, [])
    assert printed.count("is finished, kept") == 2
    assert (finished / "networks" / "euler.json").read_bytes() == before
    assert (finished / "regions.png").exists()


def test_interrupted_it_keeps_what_is_finished_and_says_so(finished, trained):
    (finished / "networks" / "euler.json").unlink()
    status, printed = call(*SHORT, "--output", finished)
    assert (status, trained) == (130, ["euler"])
    assert "Finished and kept: residual." in printed
    assert "The same command goes on from there." in printed


@pytest.mark.slow
@pytest.mark.repeated
def test_going_on_gives_what_an_uninterrupted_run_gives(finished):
    expected = record(finished, "euler")
    (finished / "networks" / "euler.json").unlink()
    status, printed = call(*SHORT, "--output", finished)
    assert status == 0
    assert printed.count("is finished, kept") == 1
    assert record(finished, "euler") == expected


@pytest.mark.slow
@pytest.mark.repeated
def test_killed_it_goes_on_from_the_finished_networks(tmp_path):
    """`--backend` decides, whatever the environment says."""
    program = [sys.executable, str(ROOT / "examples" / "spirals.py"), "--backend", BACKEND]
    options = ["--depth", "1", "--epochs", "1", "--output", str(tmp_path)]
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    process = subprocess.Popen(
        [*program, *options, "--networks", "residual", "rk8", "heun2", "rk4", "rk38"],
        env={**os.environ, "KERAS_BACKEND": "no-such-backend", "PYTHONPATH": path},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    kept = tmp_path / "networks" / "residual.json"
    deadline = time.monotonic() + 60
    while not kept.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    before = kept.read_bytes()
    status, printed = call(*options, "--networks", "residual", "standard")
    assert status == 0
    assert "[1/2] residual  is finished, kept" in printed
    assert kept.read_bytes() == before
    assert (tmp_path / "networks" / "standard.json").exists()


@pytest.mark.parametrize(
    "option, difference",
    [
        (["--depth", "3"], "depth 2 there, 3 here"),
        (["--epochs", "1"], "epochs 2 there, 1 here"),
        (["--dt", "-0.5"], "dt 1.0 there, -0.5 here"),
        (["--seed", "1"], "seed 0 there, 1 here"),
        (["--activation", "relu"], "activation tanh there, relu here"),
    ],
)
def test_networks_of_other_settings_are_never_mixed(finished, trained, option, difference):
    with pytest.raises(SystemExit, match=difference):
        call(*SHORT, *option, "--output", finished)
    assert trained == []


def test_restart_trains_again(finished, trained):
    status, printed = call(*SHORT, "--depth", "3", "--output", finished, "--restart")
    assert (status, trained) == (130, ["residual"])
    assert "Finished and kept: none yet." in printed
    assert "without --restart" in printed


def test_default_folder_is_named_by_the_settings(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call(*SHORT)
    (folder,) = (tmp_path / "spirals-results").iterdir()
    assert folder.name == f"depth2-epochs2-dt1-tanh-seed0-{BACKEND}"


def test_files_are_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text("old")
    with contextlib.suppress(KeyboardInterrupt), results.replacing(path) as temporary:
        temporary.write_text("ne")
        raise KeyboardInterrupt
    assert [(found.name, found.read_text()) for found in tmp_path.iterdir()] == [
        ("history.csv", "old")
    ]


# -------------------------------------------------------------------------------- command line


def test_it_trains_the_papers_networks_by_default():
    args = spirals.arguments([])
    assert (args.depth, args.epochs, args.dt, args.seed) == (50, 200, 1.0, 0)
    assert tuple(args.networks) == spirals.NETWORKS


def test_an_epoch_is_executed_in_one_go():
    assert math.ceil(len(spirals.paper_data(0)[0]) / spirals.BATCH) == spirals.BATCHES


@pytest.mark.parametrize(
    "options, message",
    [
        (["--depth", "0"], "--depth: must be a whole number of at least 1. Received: '0'"),
        (["--depth", "2.5"], "--depth: must be a whole number"),
        (["--epochs", "-1"], "--epochs: must be a whole number"),
        (["--dt", "nan"], "--dt: must be a finite number other than zero. Received: 'nan'"),
        (["--dt", "0"], "--dt: must be a finite number other than zero"),
        (["--seed", "4294967296"], "--seed: must be a whole number of at least 0 and at most"),
        (["--networks", "residul"], "'residul'; did you mean residual?"),
        (["--networks", "rk39"], "did you mean rk38"),
        (["--networks", "???"], "`keras-rk list` lists the methods"),
        (["--networks", "rk4", "RK4"], "a name is given twice"),
        (["--networks"], "expected at least one argument"),
        (["--activation", "tan"], "--activation: invalid choice: 'tan'"),
        (["--backend", "theano"], "--backend: invalid choice: 'theano'"),
    ],
)
def test_bad_options_are_refused_at_once(options, message, trained, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as refusal:
        spirals.main(options)
    assert refusal.value.code == 2
    assert message in capsys.readouterr().err
    assert trained == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "spelled, name",
    [("RK4", "rk4"), ("heun", "heun"), ("Dormand-Prince 5(4)", "dormand_prince54")],
)
def test_any_named_method_is_a_network(spelled, name):
    assert spirals.arguments(["--networks", "standard", spelled]).networks == ["standard", name]


def test_options_are_read_without_keras():
    program = (
        "import sys; sys.path[:0] = sys.argv[1:]; import spirals;"
        "spirals.arguments(['--networks', 'rk4']);"
        "assert not {'keras', 'matplotlib'} & set(sys.modules)"
    )
    paths = [str(ROOT / "examples"), str(ROOT)]
    subprocess.run([sys.executable, "-c", program, *paths], check=True)


def test_missing_matplotlib_is_told_before_training(monkeypatch, trained):
    monkeypatch.setattr(spirals, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="pip install matplotlib"):
        spirals.main(SHORT)
    assert trained == []


def test_another_backend_than_the_running_one_is_refused(monkeypatch, trained):
    monkeypatch.setenv("KERAS_BACKEND", BACKEND)
    other = "jax" if BACKEND != "jax" else "torch"
    with pytest.raises(SystemExit, match=f"Keras runs on {BACKEND}"):
        spirals.main(["--backend", other])
    assert trained == []


@pytest.mark.parametrize("folder", ["file", "file/folder"])
def test_unusable_output_folder_is_refused(folder, trained, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit, match="cannot be used as output folder"):
        call(*SHORT, "--output", tmp_path / folder)
    assert trained == []


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("stream, lines", [(io.StringIO(), 11), (Terminal(), 1)])
def test_progress_is_one_changing_line_on_a_terminal_and_few_lines_elsewhere(stream, lines):
    logs = {"loss": 0.5, "accuracy": 0.75, "val_accuracy": 0.5}
    with contextlib.redirect_stdout(stream):
        progress = spirals.Progress("[1/1] rk4")
        assert {progress(epoch, 200, logs) for epoch in range(1, 201)} == {None}
        progress.line("finished", last=True)
    shown = stream.getvalue()
    assert shown.count("\n") == lines
    assert "epoch  20/200  loss 0.5000  train 0.750  test 0.500  0 s left" in shown
