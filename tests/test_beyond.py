"""examples/beyond: series and splits, networks that are the same, statistics, the report."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

for module in ("scipy", "matplotlib"):
    pytest.importorskip(module)
if keras.backend.backend() != "jax":
    pytest.skip("examples/beyond trains on JAX", allow_module_level=True)

BEYOND = Path(__file__).parents[1] / "examples" / "beyond"
sys.path.insert(0, str(BEYOND))
beyond_report = importlib.import_module("beyond_report")
series_data = importlib.import_module("series_data")
series_nets = importlib.import_module("series_nets")
series_plan = importlib.import_module("series_plan")
series_training = importlib.import_module("series_training")
series_verdicts = importlib.import_module("series_verdicts")
Network = series_nets.Network


def waves(_seed: int) -> object:
    """Waves of two lengths in two channels, of 21 or 24 points; half of 24 are for training."""
    rng = np.random.default_rng(0)
    y = np.arange(24) % 2
    points = np.arange(24.0)
    x = np.sin(points * (1 + y)[:, None] / 4 + rng.uniform(0, 6, (24, 1)))
    x = np.stack([x, 5 * x], axis=-1)
    x[::3, 21:] = np.nan
    return series_data.Series(x, y, 12)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setitem(series_data.LOADERS, "waves", waves)
    return tmp_path


def test_seeds_split_the_series_anew_and_the_first_as_the_set_does(folder):
    data = series_data.splits("waves", [0, 1, 2], folder)
    assert data.x.shape == (3, 12, 8, 6)  # at most ten positions: patches of three points
    assert data.x_test.shape == (3, 12, 8, 6)
    np.testing.assert_array_equal(data.y[0], np.arange(12) % 2)
    np.testing.assert_array_equal(np.sum(data.y, axis=1), [6, 6, 6])
    assert not np.array_equal(data.x[1], data.x[2])
    for seed in (1, 2):  # every series is on one side, once
        first_values = np.concatenate([data.x[seed, :, 0, 0], data.x_test[seed, :, 0, 0]])
        assert len(np.unique(first_values)) == 24
    again = series_data.splits("waves", [2], folder)
    np.testing.assert_array_equal(again.x[0], data.x[2])


def test_values_are_scaled_by_training_series_and_ends_are_zero(folder):
    data = series_data.splits("waves", [0], folder)
    np.testing.assert_array_equal(data.x[0, 0, 7], 0)  # points 21 to 23 of a shorter series
    x = waves(0).x[:12]
    values = (x - np.nanmean(x)) / np.nanstd(x)
    np.testing.assert_allclose(data.x[0, 1].reshape(24, 2), values[1], atol=1e-6)


def test_series_are_read_once(folder, monkeypatch):
    series_data.loaded("waves", 0, folder)
    monkeypatch.setitem(series_data.LOADERS, "waves", None)
    assert series_data.loaded("waves", 1, folder).train == 12


@pytest.mark.parametrize(
    "name, package, modules",
    [("mnist1d", "mnist1d", ["mnist1d", "mnist1d.data"]), ("GunPoint", "aeon", ["aeon"])],
)
def test_a_missing_package_is_said_in_words(name, package, modules, tmp_path, monkeypatch):
    for module in modules:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SystemExit, match=rf"{name} comes with .*{package}.*keras-rk\[beyond\]"):
        series_data.splits(name, [0], tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name, package, shape, train, classes",
    [
        ("mnist1d", "mnist1d", (5000, 40, 1), 4000, 10),
        ("digits", "sklearn", (1797, 8, 8), 0, 10),
        ("ArrowHead", "aeon", (211, 251, 1), 36, 3),
        ("GunPoint", "aeon", (200, 150, 1), 50, 2),
        ("ItalyPowerDemand", "aeon", (1096, 24, 1), 67, 2),
        ("JapaneseVowels", "aeon", (640, 29, 12), 270, 9),
        ("BasicMotions", "aeon", (80, 100, 6), 40, 4),
    ],
)
def test_what_the_packages_hold(name, package, shape, train, classes):
    """Sizes as timeseriesclassification.com, scikit-learn and mnist1d state them."""
    pytest.importorskip(package)
    series = series_data.LOADERS[name](0)
    assert series.x.shape == shape
    assert series.train == train
    assert np.unique(series.y).tolist() == list(range(classes))


def test_a_convolution_is_that_of_keras():
    layer = series_nets.Convolution(4)
    y = np.random.default_rng(0).normal(size=(2, 7, 3)).astype("float32")
    ours = layer(y)
    layer.bias.assign([0.5, 0, -1, 2])
    theirs = keras.layers.Conv1D(4, 3, padding="same")
    theirs.build(y.shape)
    theirs.kernel.assign(np.reshape(layer.kernel, (3, 3, 4)))
    theirs.bias.assign(layer.bias)
    assert ours.shape == layer.compute_output_shape(y.shape) == (2, 7, 4)
    np.testing.assert_allclose(layer(y), theirs(y), atol=1e-5)


def test_residual_and_euler_are_the_same_network_to_the_last_bit(folder):
    """y + F(y), by Keras's Add and as a step of Euler's method, trained with the same seeds."""
    data = series_data.splits("waves", [0, 1], folder)
    settings = {"seeds": [0, 1], "rate": 0.02, "batch": 5, "steps": 60}
    (record, weights), (other, others) = (
        series_training.train(Network(method, 3), data, settings)
        for method in ("residual", "euler")
    )
    assert len(weights) == len(others) == 6
    for value, same in zip(weights, others, strict=True):
        np.testing.assert_array_equal(value, same)
    assert (record["network"], other["network"]) == ("residual-3", "euler-3")
    assert record["test_accuracy"] == other["test_accuracy"]
    assert (record["evaluations"], record["sizes"]) == (3, [12, 12])
    assert min(record["train_accuracy"]) == 1  # they did learn
    assert record["loss_curve"][-1] < 0.1 < record["loss_curve"][0]


def test_networks_begin_alike_and_are_matched():
    networks = series_nets.NETWORKS
    models = {name: series_nets.build(networks[name], (5, 3), 2) for name in networks}
    assert len({models[name].count_params() for name in networks if name.endswith("-4")}) == 1
    matched = ("standard-16", "euler-16", "heun2-8", "rk4-4")
    assert {networks[name].evaluations for name in matched} == {16}
    shallow, deep = (series_nets.initial(models[name], 3) for name in ("rk4-4", "euler-16"))
    np.testing.assert_array_equal(shallow[2], deep[2][:4])  # kernels of blocks
    np.testing.assert_array_equal(shallow[-2], deep[-2])
    used = {name for question in series_plan.QUESTIONS for pair in question.pairs for name in pair}
    assert used == networks.keys() == set(beyond_report.ORDER)


def test_batches_pass_over_all_series():
    order = series_training.batches(0, 10, 4, 5)
    assert order.shape == (5, 4)
    assert sorted(order.ravel()[:10]) == sorted(order.ravel()[10:]) == list(range(10))


DIFFERENCE = [0.012, 0.004, -0.003, 0.008, 0.010, 0.001, 0.006, -0.002]


def test_without_overlap_the_tests_are_those_of_scipy():
    from scipy import stats

    found = series_verdicts.compared("", ("a", "b"), DIFFERENCE, 0.0)
    expected = stats.ttest_1samp(DIFFERENCE, 0.0)
    assert found.p == pytest.approx(expected.pvalue)
    ends = expected.confidence_interval()
    assert (found.low, found.high) == pytest.approx((ends.low, ends.high))
    margin = series_plan.MARGIN
    sides = [
        stats.ttest_1samp(DIFFERENCE, -margin, alternative="greater").pvalue,
        stats.ttest_1samp(DIFFERENCE, margin, alternative="less").pvalue,
    ]
    assert found.equivalence == pytest.approx(max(sides))


def test_overlapping_splits_have_the_variance_of_nadeau_and_bengio():
    plain, cautious = (series_verdicts.compared("", ("a", "b"), DIFFERENCE, r) for r in (0, 0.25))
    widths = [one.high - one.low for one in (plain, cautious)]
    assert widths[1] / widths[0] == pytest.approx(np.sqrt((1 / 8 + 0.25) / (1 / 8)))
    assert cautious.p > plain.p
    assert cautious.effect[0] == plain.effect[0]
    assert cautious.effect[1] < plain.effect[1] < plain.effect[0]


@pytest.mark.parametrize("mean", [0.3, 8.0])
def test_effect_sizes_of_opposite_differences_are_opposite(mean):
    up, down = (series_verdicts.effect_size(sign * mean, 1.0, 20, 20.0) for sign in (1, -1))
    assert up[1] < up[0] < up[2]
    assert down == (-up[0], -up[2], -up[1])


def test_power_is_what_simulation_says():
    rng = np.random.default_rng(0)
    found = series_verdicts.compared("", ("a", "b"), DIFFERENCE, 0.0)
    deviation = np.std(DIFFERENCE, ddof=1)
    draws = rng.normal(found.detectable, deviation, (20000, 8))
    t = np.mean(draws, axis=1) / np.std(draws, axis=1, ddof=1) * np.sqrt(8)
    assert np.mean(np.abs(t) > 2.3646) == pytest.approx(0.8, abs=0.015)  # t(0.975, 7)


@pytest.mark.parametrize(
    "values, verdict",
    [
        ([0.1, 0.11, 0.12, 0.1], "a better"),
        ([-0.1, -0.11, -0.12, -0.1], "b better"),
        ([0.010, 0.011, 0.012, 0.010], "a better, by less than 0.02"),
        ([0.001, -0.001, 0.002, -0.002], "equivalent"),
        ([0.1, -0.1, 0.2, -0.2], "not decided"),
        ([0.0] * 8, "equivalent"),
        ([0.1] * 8, "a better"),
    ],
)
def test_verdicts(values, verdict):
    assert series_verdicts.compared("", ("a", "b"), values, 0.0).verdict == verdict


def test_holm_multiplies_the_least_p_by_the_number_of_tests():
    some = [
        series_verdicts.compared("", ("a", "b"), [s * d for d in DIFFERENCE], 0) for s in (1, 2)
    ]
    some[1] = series_verdicts.replace(some[1], p=some[0].p / 3)
    found = series_verdicts.corrected(some)
    assert found[1].p == pytest.approx(2 * some[1].p)
    assert found[0].p == pytest.approx(max(some[0].p, found[1].p))


def test_an_interval_of_accuracies_stays_below_one():
    mean, low, high = series_verdicts.mean_interval([1, 1, 0.98, 1, 0.9], 0.25)
    assert 0.5 < low < mean < high < 1
    assert series_verdicts.mean_interval([1.0] * 5, 0.25) == (1.0, 1.0, 1.0)


def test_the_committed_report_is_what_the_records_say():
    records = beyond_report.load(BEYOND)
    assert beyond_report.text_of(records) == (BEYOND / "REPORT.md").read_text()
    assert list(records) == list(series_plan.TASKS)
    seeds = list(range(series_plan.SEEDS))
    for name, found in records.items():
        for record in found.values():
            assert record["settings"] == series_plan.settings_of(name, seeds)
            assert len(record["test_accuracy"]) == len(seeds) >= 20
