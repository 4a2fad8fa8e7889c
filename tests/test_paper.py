"""examples/paper: what is trained, how, what is left after an interruption, and the diagnosis."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

for module in ("joblib", "scipy", "sklearn", "distributed", "matplotlib"):
    pytest.importorskip(module)
if keras.backend.backend() != "jax":
    pytest.skip("examples/paper trains on JAX", allow_module_level=True)

PAPER = Path(__file__).parents[1] / "examples" / "paper"
sys.path.insert(0, str(PAPER))
grid = importlib.import_module("grid")
harder = importlib.import_module("harder")
networks = importlib.import_module("networks")
plan = importlib.import_module("plan")
records = importlib.import_module("records")
run = importlib.import_module("run")
training = importlib.import_module("training")
work = importlib.import_module("work")
spirals = importlib.import_module("spirals")
Network = grid.Network

SMALL = {  # one of each kind
    "depth": [Network(method="residual", depth=2), Network(method="rk4", depth=2)],
    "ode": [Network(method="euler", depth=2, normalization="none", smoothness=0.1)],
    "digits": [Network("digits", "heun2", 1, "inside", activation="relu")],
}


@pytest.fixture
def small(monkeypatch):
    """The program with few small networks."""
    monkeypatch.setattr(run, "experiments", lambda quick: SMALL)
    monkeypatch.setattr(run, "EPOCHS", {"spirals": 1, "digits": 1})


def call(*options):
    """What the program prints and returns."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        status = run.main([str(option) for option in options])
    return status, printed.getvalue()


def files_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# ---------------------------------------------------------------------------------------- grid


@pytest.mark.parametrize("quick", [False, True])
def test_each_network_has_a_name_of_its_own(quick):
    all_networks = list(grid.unique(grid.experiments(quick)))
    assert len({network.name for network in all_networks}) == len(all_networks)


@pytest.mark.parametrize("method", grid.METHODS)
@pytest.mark.parametrize("depth", range(5, 51, 5))
def test_each_method_is_trained_at_each_depth(method, depth):
    assert Network(method=method, depth=depth) in grid.experiments(False)["depth"]


@pytest.mark.parametrize("method", ["euler", "heun2", "rk4", "rk8"])
@pytest.mark.parametrize("scaled", ["residual", "shortcut"])
@pytest.mark.parametrize("dt", [0.1, 0.5, 0.8, 1.5])
def test_each_step_size_scales_the_residual_and_the_shortcut(method, scaled, dt):
    assert Network(method=method, dt=dt, scaled=scaled) in grid.experiments(False)["dt"]


@pytest.mark.parametrize("experiment", grid.EXPERIMENTS)
def test_the_quick_run_has_networks_of_each_experiment(experiment):
    assert grid.experiments(True)[experiment]


@pytest.mark.parametrize("depth", [10, 20, 40, 80])
@pytest.mark.parametrize("method", ["euler", "heun2", "rk4"])
def test_deeper_networks_take_smaller_steps_to_the_same_end(method, depth):
    network = Network(method=method, depth=depth, normalization="none", dt=5 / depth)
    assert network in grid.experiments(False)["horizon"]
    assert grid.seeds_of(network) == 20


def test_the_penalty_that_grows_with_depth_is_the_other_one_at_the_first():
    networks = [n for n in grid.experiments(False)["roughness"] if n.method == "rk4"]
    weights = {(n.depth, n.smoothness) for n in networks}
    assert weights == {
        *((depth, 0.01) for depth in (10, 20, 40, 80)),
        *((20, 0.02), (40, 0.04), (80, 0.08)),
    }


@pytest.mark.parametrize(
    "network, seeds",
    [
        (Network(method="standard", depth=50), 20),
        (Network(method="rk4", depth=5), 20),
        (Network(method="heun2", dt=0.1), 20),
        (Network(method="euler", depth=10, schedule="cosine"), 20),
        (Network("spirals_noise", "rk4", 12), 20),
        (Network(method="rk4", smoothness=0.1), 20),
        (Network(method="rk8", depth=45), 20),
        (Network(method="rk8", dt=0.5), 20),
        (Network(method="rk4", depth=12), 20),
        (Network(method="euler", depth=25), 5),
        (Network(method="heun2", dt=0.5, scaled="shortcut"), 5),
        (Network(method="rk8", dt=0.1), 5),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_questions_get_more_seeds(network, seeds):
    assert network in set(grid.unique(grid.experiments(False)))
    assert grid.seeds_of(network) == seeds


# ---------------------------------------------------------------------------------------- plan


PLAN = plan.plan()


def test_every_planned_comparison_has_a_claim_of_its_own():
    assert len({one.claim for one in PLAN}) == len(PLAN)
    assert {one.question for one in PLAN} == set(plan.QUESTIONS)


def test_what_is_compared_is_trained_and_what_is_asked_of_diagnoses_diagnosed():
    groups = grid.experiments(False)
    assert plan.networks_of(PLAN) <= set(grid.unique(groups))
    asked = [one for one in PLAN if one.measure != "accuracy"]
    assert plan.networks_of(asked) <= set(run.diagnosed(groups))


def test_networks_that_are_one_count_once():
    compared = plan.networks_of(PLAN)
    assert not any(network.method == "residual" for network in compared)
    assert Network(method="rk8", dt=0.1) not in compared
    assert Network(method="rk8", dt=0.1, scaled="shortcut") in compared


# ------------------------------------------------------------------------------------ networks


@pytest.mark.parametrize("data, radius", [("spirals", 13.6), ("spirals_turns", 20.4)])
def test_spirals_turn(data, radius):
    x, y, x_test, y_test = harder.points(data, 0)
    assert (x.shape, x_test.shape) == ((2000, 2), (600, 2))
    assert abs(np.linalg.norm(x, axis=1).max() - radius) < 1
    assert np.mean(y) == np.mean(y_test) == 0.5


def test_noise_is_normal():
    """The half turn between the spirals leaves noise as it is, and r is known from the angle."""
    rng = np.random.default_rng(0)
    plain, _ = spirals.two_spirals(2000, rng, 0.0)
    noise = harder.points("spirals_noise", 0)[0] - plain
    np.testing.assert_allclose(noise.std(axis=0), 0.8, rtol=0.05)
    np.testing.assert_allclose(noise.mean(axis=0), 0.0, atol=0.06)
    np.testing.assert_allclose(np.mean(np.abs(noise) < 0.8), 0.6827, atol=0.02)


def outputs(network, x, seed=0):
    keras.utils.set_random_seed(seed)
    return np.asarray(networks.build(network)(x))


POINTS = np.random.default_rng(0).normal(size=(5, 2)).astype("float32")


def test_the_residual_network_is_euler():
    one, other = (outputs(Network(method=m, depth=4), POINTS) for m in ("residual", "euler"))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("method", ["euler", "heun2", "rk4", "inconsistent"])
def test_the_shortcut_is_scaled(method):
    network = Network(method=method, depth=1, normalization="none", dt=0.5, scaled="shortcut")
    keras.utils.set_random_seed(0)
    model = networks.build(network)
    plain = networks.build(replace(network, dt=1.0, scaled="residual"))
    plain.set_weights(model.get_weights())
    y = model.get_layer("lift")(POINTS)
    step = networks.stack_of(plain)(y)
    expected = model.get_layer("logit")(step - 0.5 * y)
    np.testing.assert_allclose(model(POINTS), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "change, parameters",
    [({}, 24 + 72 + 9), ({"method": "residual2"}, 24 + 144 + 9), ({"depth": 3}, 24 + 216 + 9)],
)
def test_parameters(change, parameters):
    network = replace(Network(method="residual", depth=1, normalization="none"), **change)
    assert networks.build(network).count_params() == parameters


# ------------------------------------------------------------------------------------ training


def fitted(network, seed):
    """The weights after an epoch of Keras's `fit`, and its loss."""
    x, y, _, _ = spirals.paper_data(seed)
    order = np.random.default_rng(seed).permutation(len(x))
    keras.utils.set_random_seed(seed)
    model = networks.build(network)
    rate = 0.001
    if network.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, math.ceil(len(x) / 32))
    optimizer = keras.optimizers.Adam(rate)
    model.compile(optimizer, keras.losses.BinaryCrossentropy(from_logits=True))
    history = model.fit(x[order], y[order], batch_size=32, shuffle=False, verbose=0)
    return model.get_weights(), history.history["loss"]


@pytest.mark.parametrize(
    "network",
    [
        Network(method="standard", depth=3),
        Network(method="rk4", depth=2, normalization="inside"),
        Network(method="euler", depth=3, dt=0.5, scaled="shortcut", activation="relu"),
        Network(method="euler", depth=1, normalization="none", schedule="cosine"),
    ],
    ids=lambda network: network.name,
)
def test_seeds_that_train_together_are_trained_as_fit_does(network):
    results = training.train(network, [0, 3], epochs=1)
    for seed, (record, weights) in zip((0, 3), results, strict=True):
        expected, loss = fitted(network, seed)
        for one, other in zip(weights, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-3)
        np.testing.assert_allclose(record["history"]["loss"], loss, rtol=1e-3)


def test_a_penalty_makes_weights_smooth_in_depth():
    rough = Network(method="euler", depth=6, normalization="none")
    steps = []
    for network in (rough, replace(rough, smoothness=1.0)):
        [(_, weights)] = training.train(network, [0], epochs=2)
        stacked = [w for w in weights if len(w.shape) > 1 and w.shape[0] == 6]
        steps.append(np.mean([np.mean(np.diff(w, axis=0) ** 2) for w in stacked]))
    assert steps[1] < steps[0] / 2


def test_gradients_are_recorded_for_each_block():
    [(record, _)] = training.train(Network(method="heun2", depth=3), [0], epochs=1)
    norms = np.array(record["gradient_norms"]["first_epoch"])
    assert norms.shape == (3,)
    assert np.all(norms > 0)


# ------------------------------------------------------------------------------------- the run


def test_a_run_leaves_records_weights_and_diagnoses(small, tmp_path):
    options = ("--seeds", 1, "--jobs", 1, "--output", tmp_path)
    status, printed = call(*options)
    assert status == 0
    assert "[4/4]" in printed
    for network in grid.unique(SMALL):
        record = json.loads((tmp_path / f"records/{network.name}/seed0.json").read_text())
        assert 0 <= record["test_accuracy"] <= 1
        assert records.Folder(tmp_path).weights(network, 0)
    [network] = SMALL["ode"]
    diagnoses = list(records.Folder(tmp_path).diagnoses())
    assert [(of, seed) for of, seed, _ in diagnoses] == [(network, 0)]
    found = {seed: one for _, seed, one in diagnoses}
    assert len(found[0]["constant"]["runs"]) == 15
    assert len(found[0]["steepness"]["blocks"]) == 2

    before = {file: (tmp_path / file).stat().st_mtime_ns for file in files_in(tmp_path)}
    assert "4 of 4 are finished" in call(*options)[1]
    del before["settings.json"]
    assert before == {file: (tmp_path / file).stat().st_mtime_ns for file in before}


def test_more_seeds_train_only_what_is_missing(small, tmp_path):
    options = ("--experiments", "depth", "--jobs", 1, "--output", tmp_path)
    call("--seeds", 1, *options)
    first = (tmp_path / "records/rk4_depth2_after/seed0.json").read_bytes()
    assert "2 of 4 are finished" in call("--seeds", 2, *options)[1]
    assert (tmp_path / "records/rk4_depth2_after/seed0.json").read_bytes() == first


@pytest.mark.parametrize(
    "options, seeds",
    [
        ([], range(20)),
        (["--first-seed", "5"], range(5, 25)),
        (["--seeds", "15", "--first-seed", "5"], range(5, 20)),
        (["--quick"], range(2)),
    ],
    ids=str,
)
def test_seeds_can_be_chosen(options, seeds):
    assert run.seeds_to_run(Network(method="rk4"), run.arguments(options)) == seeds


def test_records_of_an_earlier_run_are_taken(small, tmp_path):
    earlier = records.Folder(tmp_path / "earlier")
    earlier.open({"epochs": {"spirals": 1}}, {"machine": "another"})
    trained, diagnosed = SMALL["depth"][1], SMALL["ode"][0]
    for network in (trained, diagnosed):
        record = {"network": network.to_dict(), "seed": 0, "test_accuracy": 0.5}
        records.write_json(earlier.file(network, 0), record)
    earlier.pack(tmp_path / "records.tar.xz")
    folder = records.Folder(tmp_path / "new")
    folder.open({"epochs": {"spirals": 1, "digits": 1}}, {"machine": "this one"})
    seeds = {network: range(1) for network in grid.unique(SMALL)}
    taken = run.adopted(tmp_path / "records.tar.xz", seeds, {diagnosed}, folder)
    assert taken == 1
    assert [(of, seed) for of, seed, _ in folder.records()] == [(trained, 0)]
    machines = [one["machine"] for one in folder.settings()["machines"]]
    assert machines == ["this one", "another"]


def test_other_settings_are_refused(small, tmp_path):
    options = ("--experiments", "digits", "--seeds", 1, "--jobs", 1, "--output", tmp_path)
    call(*options)
    with pytest.raises(SystemExit, match="trained with epochs"):
        call(*options, "--epochs", 7)


def test_a_failure_leaves_the_others_alone(small, tmp_path, monkeypatch, capsys):
    broken = Network(method="no_such_method", depth=1)
    monkeypatch.setitem(grid.STAGES, "no_such_method", 1)
    monkeypatch.setattr(run, "experiments", lambda quick: {"depth": [broken, *SMALL["depth"]]})
    status, printed = call("--seeds", 1, "--jobs", 1, "--output", tmp_path)
    assert status == 1
    assert "no_such_method_depth1_after: FAILED" in printed
    assert "no_such_method" in capsys.readouterr().err
    assert len(list(tmp_path.glob("records/*/seed0.json"))) == 2


KILLED = """
import sys
sys.path.insert(0, {paper!r})
import grid, run
networks = [grid.Network(method="euler", depth=depth) for depth in (1, 2)]
run.experiments = lambda quick: {{"depth": networks}}
run.main(["--seeds", "2", "--jobs", "1", "--epochs", "1", "--output", {output!r}])
"""


def test_a_run_that_is_killed_goes_on(tmp_path):
    script = KILLED.format(paper=str(PAPER), output=str(tmp_path))
    process = subprocess.Popen([sys.executable, "-c", script], start_new_session=True)
    deadline = time.monotonic() + 300
    while not list(tmp_path.glob("records/*/seed1.json")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kept = {path: path.read_bytes() for path in tmp_path.glob("records/*/seed*.json")}
    assert 2 <= len(kept) < 4
    finished = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=300, check=True
    )
    assert f"{len(kept)} of 4 are finished" in finished.stdout
    assert len(list(tmp_path.glob("records/*/seed*.json"))) == 4
    assert kept == {path: path.read_bytes() for path in kept}


def test_dask_with_two_workers(small, tmp_path):
    from distributed import Client, LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, local_directory=tmp_path / "dask"
    ) as cluster:
        status, printed = call(
            *("--experiments", "depth", "--seeds", 1, "--output", tmp_path / "results"),
            *("--dask", cluster.scheduler_address),
        )
        with Client(cluster) as client:
            assert len(client.scheduler_info()["workers"]) == 2
    assert status == 0, printed
    assert len(list((tmp_path / "results").glob("records/*/seed0.json"))) == 2


def test_a_scheduler_that_is_not_there(small, tmp_path, monkeypatch):
    with pytest.raises(SystemExit, match=r"no scheduler answers at 'tcp://127\.0\.0\.1:9'"):
        call("--output", tmp_path, "--dask", "tcp://127.0.0.1:9")


@pytest.mark.parametrize(
    "options, message",
    [
        (["--seeds", "0"], "at least 1. Received: '0'"),
        (["--epochs", "many"], "at least 1. Received: 'many'"),
        (["--experiments", "depht"], "invalid choice: 'depht'"),
        (["--first-seed", "-1"], "at least 0. Received: '-1'"),
    ],
)
def test_bad_options(options, message, capsys):
    with pytest.raises(SystemExit):
        run.main(options)
    assert message in capsys.readouterr().err


# ----------------------------------------------------------------------------------- the files


def test_numbers_that_are_not_finite_are_kept_as_none():
    found = records.plain({"loss": [np.inf, np.float32(1.23456789), np.nan], "n": np.int64(3)})
    assert found == {"loss": [None, 1.235, None], "n": 3}


def test_what_fails_while_it_is_written_leaves_nothing(tmp_path):
    def fails(temporary):
        temporary.write_text("half")
        raise RuntimeError

    with pytest.raises(RuntimeError), records.replacing(tmp_path / "record.json") as temporary:
        fails(temporary)
    assert not files_in(tmp_path)
