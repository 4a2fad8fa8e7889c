"""examples/paper/report.py: its statistics, and that its answers follow from the records."""

from __future__ import annotations

import csv
import importlib
import re
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

stats = pytest.importorskip("scipy.stats")
pytest.importorskip("matplotlib")

PAPER = Path(__file__).parents[1] / "examples" / "paper"
sys.path.insert(0, str(PAPER))
oddities = importlib.import_module("oddities")
answers = importlib.import_module("answers")
grid = importlib.import_module("grid")
questions = importlib.import_module("questions")
records = importlib.import_module("records")
report = importlib.import_module("report")
results = importlib.import_module("results")
significance = importlib.import_module("significance")

SEEDS = range(5)


# ---------------------------------------------------------------------------------- statistics


def test_interval_is_students():
    values = [0.9, 0.95, 1.0, 0.85]
    low, high = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    one = significance.interval(values)
    np.testing.assert_allclose([one.mean - one.half_width, one.mean + one.half_width], [low, high])


def test_a_single_seed_has_no_interval():
    assert np.isnan(significance.interval([0.5]).half_width)


def test_paired_test_is_scipys():
    a, b = [0.9, 0.8, 0.95, 0.7], [0.85, 0.82, 0.9, 0.6]
    assert significance.compare(1, "a - b", a, b).p == pytest.approx(stats.ttest_rel(a, b).pvalue)


@pytest.mark.parametrize("difference, p", [([0.0] * 5, 1.0), ([0.1] * 5, 1 / 16)])
def test_paired_test_without_variance(difference, p):
    assert significance.paired_p(np.array(difference)) == p


def test_holm():
    ps = [0.01, 0.04, 0.03, 0.005]
    found = significance.holm(
        [significance.Comparison(1, "", significance.interval([0.0]), p) for p in ps]
    )
    np.testing.assert_allclose([one.corrected for one in found], [0.03, 0.06, 0.06, 0.02])


def test_holm_leaves_out_what_was_not_tested():
    ps = [0.01, np.nan]
    found = significance.holm(
        [significance.Comparison(1, "", significance.interval([0.0]), p) for p in ps]
    )
    assert found[0].corrected == 0.01
    assert np.isnan(found[1].corrected)


def compared(question, *values, tests=("differs",), overlap=0.0):
    zeros = [0.0] * len(values)
    return significance.compare(question, "a - b", values, zeros, tests, 0.02, overlap)


def test_equivalence_is_two_one_sided_tests():
    values = [0.004, -0.002, 0.006, 0.001, -0.003]
    one = compared(1, *values, tests=("differs", "within"))
    above = stats.ttest_1samp(values, -0.02, alternative="greater").pvalue
    below = stats.ttest_1samp(values, 0.02, alternative="less").pvalue
    assert one.within == pytest.approx(max(above, below))
    assert np.isnan(one.at_least)


def test_non_inferiority_is_one_sided():
    values = [0.1, 0.05, -0.01, 0.2, 0.03]
    one = compared(1, *values, tests=("differs", "at least"))
    expected = stats.ttest_1samp(values, -0.02, alternative="greater").pvalue
    assert one.at_least == pytest.approx(expected)


def test_overlapping_splits_widen_the_interval():
    """Nadeau and Bengio: the variance over n is multiplied by 1 + n (test over training size)."""
    values = [0.02, 0.01, 0.03, 0.02, 0.015]
    plain, corrected = compared(1, *values), compared(1, *values, overlap=0.25)
    factor = np.sqrt(1 + 5 * 0.25)
    assert corrected.difference.half_width == pytest.approx(factor * plain.difference.half_width)
    t = np.mean(values) / (factor * stats.sem(values))
    assert corrected.p == pytest.approx(2 * stats.t.sf(t, 4))


@pytest.mark.parametrize(
    "values, tests, verdict",
    [
        ([0.001, -0.001, 0.002, 0.0, -0.002], ("differs", "within"), "within 0.02"),
        ([-0.009, -0.011, -0.01, -0.012, -0.008], ("differs", "within"), "lower, within 0.02"),
        ([-0.3, -0.31, -0.29, -0.3, -0.32], ("differs", "within"), "lower"),
        ([0.3, 0.31, 0.29, 0.3, 0.32], ("differs", "at least"), "higher"),
        ([0.01, -0.01, 0.012, 0.03, -0.002], ("differs", "at least"), "not lower by 0.02"),
        ([-0.010, 0.355, -0.375, 0.1, -0.12], ("differs", "at least"), "open"),
    ],
)
def test_verdicts_are_those_of_the_tests(values, tests, verdict):
    [one] = significance.holm([compared(1, *values, tests=tests)])
    assert one.verdict == verdict


def test_all_tests_of_a_question_are_corrected_together():
    [one] = significance.holm([compared(1, 0.01, 0.02, 0.03, 0.01, tests=("differs", "within"))])
    smaller, larger = sorted([one.p, one.within])
    corrected = sorted([one.corrected, one.corrected_within])
    np.testing.assert_allclose(corrected, [2 * smaller, max(larger, 2 * smaller)])


def test_detectable_difference_is_cohens():
    """d = 0.660 with 20 pairs (and 1.68 with five), as tables of power say, for 80 % and 5 %."""
    for count, d in ((20, 0.660), (5, 1.682)):
        error = 1 / np.sqrt(count)
        assert significance.detectable(error, count, 0.05) == pytest.approx(d, abs=0.005)


@pytest.mark.parametrize(
    "values",
    [[1.0, 1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 0.9, 1.0, 0.99], [0.0, 0.0], [0.5, 0.52, 0.48]],
    ids=str,
)
def test_intervals_of_shares_stay_inside_and_hold_the_mean(values):
    one = significance.share_interval(values, 600)
    assert 0 <= one.low <= one.mean <= one.high <= 1
    assert one.low < one.high


def test_intervals_of_shares_in_the_middle_are_students():
    values = [0.5, 0.52, 0.48, 0.51, 0.47]
    share, plain = significance.share_interval(values, 10**9), significance.interval(values)
    np.testing.assert_allclose([share.low, share.high], [plain.low, plain.high], atol=1e-3)


def test_five_seeds_that_agree_are_not_certain():
    """Of 3,000 points none was wrong: the rule of three says up to one in a thousand may be."""
    assert 0.99 < significance.share_interval([1.0] * 5, 600).low < 0.999


@pytest.mark.parametrize("epochs, last", [(200, 20), (30, 3), (5, 1)])
def test_the_endpoint_is_the_last_tenth(epochs, last):
    curve = [0.0] * (epochs - last) + [1.0] * last
    assert results.endpoint()({"history": {"val_accuracy": curve}}) == 1.0
    curve[-last - 1] = 1.0
    assert len(results.ending(curve)) == last


# ----------------------------------------------------------------------------------- published


def test_published_experiments_are_whole():
    assert len(results.published_depths()) == 70
    assert results.published_depths()["euler", 50]["final_train_accuracy"] == 0.64
    curves = results.published_step_sizes()
    assert list(curves) == [0.1, 0.5, 0.8, 1.0, 1.5]
    assert {len(curve["loss"]) for curve in curves.values()} == {200}


# -------------------------------------------------------------------------------------- report


def invented(network, seed, accuracy):
    """A record as a run leaves it."""
    noise = 0.002 * np.random.default_rng([seed, zlib.crc32(network.name.encode())]).normal()
    accuracy = float(np.clip(accuracy + noise, 0, 1))
    curve = [0.5, 0.8 * accuracy, accuracy]
    return {
        "network": network.to_dict(),
        "seed": seed,
        "parameters": 100,
        "evaluations": network.evaluations,
        "train_accuracy": accuracy,
        "test_accuracy": accuracy,
        "history": {
            **{"accuracy": curve, "val_accuracy": curve},
            **{"loss": [1.0, 0.5, 0.1], "val_loss": [1.0, 0.5, 0.2]},
        },
        "gradient_norms": dict.fromkeys(("first_epoch", "last_epoch"), [0.1] * network.depth),
        "epoch_seconds": 0.01 * network.evaluations,
        "seconds": 1.0,
        "trained_together": 5,
    }


def folder_with(path, accuracy_of, experiments=("depth",)):
    """A folder of invented records."""
    folder = records.Folder(path)
    folder.open({"epochs": {"spirals": 3, "digits": 3}}, {"machine": "none"})
    chosen = {name: grid.experiments(False)[name] for name in experiments}
    for network in grid.unique(chosen):
        for seed in SEEDS:
            folder.keep(network, seed, invented(network, seed, accuracy_of(network)), [])
    return results.Results(folder)


def consistency(seed, distance, lost, untrained):
    """What `ode_consistency` keeps, as far as the report reads it."""
    noise = 10 ** (0.02 * np.random.default_rng(seed).normal())
    run = {"method": "rk4", "substeps": 1, "to_limit": distance * noise}
    return {
        "distance": distance * noise,
        "accuracy": 1.0,
        "accuracy_at_limit": 1.0 - lost,
        "accuracy_lost": lost + 0.001 * noise,
        "is_resolved": True,
        "verdict": "behaves like an ODE" if distance < 0.05 else "relies on its own steps",
        "control": [{"distance": untrained}],
        "runs": [run, {**run, "substeps": 2, "to_limit": run["to_limit"] / 4}],
    }


def keep_diagnoses(found_results, distance_of, lost=0.0, untrained=0.2):
    """Invented diagnoses of all networks that are asked; returns all results."""
    groups = grid.experiments(False)
    block = {"scaled": 0.5, "real_interval": 2.0, "imaginary_interval": 0.0, "is_inside": False}
    for network in grid.unique({name: groups[name] for name in grid.DIAGNOSED}):
        for seed in SEEDS:
            one = consistency(seed, distance_of(network), lost, untrained)
            weights = ("constant", "interpolated")[: 2 if network.normalization == "none" else 1]
            steepness = {"blocks": [{**block, "worst": {"factor": 1.1}}]}
            found = {"network": network.to_dict(), "seed": seed, "steepness": steepness}
            found_results.folder.keep_diagnosis(network, seed, found | dict.fromkeys(weights, one))
    return results.Results(found_results.folder)


def answer(found_results, number):
    found = answers.answers(found_results, questions.comparisons(found_results))[number]
    return "\n".join([found.short, *found.details])


def falling(*methods):
    """Networks of these methods get worse with depth; all others are good."""
    return lambda network: 1 - 0.01 * network.depth * (network.method in methods)


RUNGE_KUTTA = ("euler", "heun2", "rk4", "rk8")


@pytest.mark.parametrize(
    "falls, degrades, cures, runge_kutta",
    [
        (("standard",), "Yes", "Yes", "Yes"),
        ((), "No", "No", "No"),
        (("standard", "euler"), "Yes", "No", "No"),  # euler is the residual network
        (("standard", *RUNGE_KUTTA[1:]), "Yes", "Yes", "No"),
    ],
)
def test_answers_follow_from_the_records(tmp_path, falls, degrades, cures, runge_kutta):
    found = folder_with(tmp_path, falling(*falls))
    assert answer(found, 1) == f"**{degrades}.**"
    assert answer(found, 2) == f"**{cures}.**"
    assert answer(found, 3).startswith(f"**{runge_kutta}.**")


def test_what_a_test_does_not_show_is_not_decided(tmp_path):
    found = folder_with(tmp_path, lambda n: 1 - 0.02 * n.depth * (n.method == "standard") / 5)
    noise = iter([0.6, 0.1, 0.9, 0.4, 0.0])
    for seed in SEEDS:
        lost = next(noise)
        for depth in (40, 45, 50):
            network = grid.Network(method="standard", depth=depth)
            found.networks[network][seed]["history"]["val_accuracy"] = [1 - lost]
    assert answer(found, 1) == "Not decided."


def test_methods_that_are_not_cured_are_named(tmp_path):
    found = answer(folder_with(tmp_path, falling("standard", "rk4")), 3)
    assert "Cured: euler, heun2, rk8; not cured: rk4" in found
    assert "Worse than the residual network: rk4." in found


def test_the_best_step_size_is_named(tmp_path):
    def accuracy(network):
        return 0.9 - 0.3 * (network.scaled == "shortcut") * (network.dt != 1.0)

    found = answer(folder_with(tmp_path, accuracy, ("dt",)), 4)
    residual, shortcut = found.split("\n* dt y + F(y)")
    assert ", 0 are worse and 0 better" in residual
    assert "of 36 comparisons with dt = 1, 36 are worse and 0 better" in shortcut
    assert "best mean: dt 1 in 9 of 9" in shortcut


@pytest.mark.parametrize(
    ("distance", "lost", "untrained", "expected"),
    [
        (0.01, 0.0, 0.2, "yes, learned"),
        (0.01, 0.0, 0.001, "yes, but untrained ones are nearer"),
        (0.2, 0.0, 0.2, "no"),
        (0.01, 0.1, 0.2, "no"),
        (0.05, 0.0, 0.2, "open"),
    ],
)
def test_which_networks_are_odes_and_what_of_it_was_learned(
    tmp_path, distance, lost, untrained, expected
):
    network = grid.Network(method="rk4", normalization="none")
    found = folder_with(tmp_path, lambda network: 1.0, ())
    for seed in SEEDS:
        one = consistency(seed, distance, lost, untrained)
        diagnosis = {"network": network.to_dict(), "seed": seed, "constant": one}
        found.folder.keep_diagnosis(network, seed, diagnosis)
    rows = answer(results.Results(found.folder), 5)
    assert f"| rk4, no BN, no penalty | - | {expected} |" in rows


def test_the_figure_has_the_losses_of_the_construction_that_has_them(tmp_path):
    """Figure 5 is compared with every candidate; here one of them is the paper's."""
    found = folder_with(tmp_path, lambda network: 1.0, ("dt",))
    published = results.published_step_sizes()
    for dt in grid.STEP_SIZES:
        network = grid.Network(method="euler", dt=dt, normalization="none")
        for record in found.networks[network].values():
            for curve in ("loss", "val_loss"):
                record["history"][curve] = published[dt][curve]
    text = "\n".join(oddities.fifth_figure(found))
    assert "Closest, of 8 candidates: no BN, tanh, y + dt F(y) (1);" in text


@pytest.mark.slow
def test_the_report_of_a_whole_run_has_every_section_and_figure(tmp_path):
    found = folder_with(tmp_path / "results", falling("standard"), grid.EXPERIMENTS)
    keep_diagnoses(found, lambda network: 0.5 / network.depth)
    report.main(["--results", str(tmp_path / "results"), "--output", str(tmp_path / "out")])
    text = (tmp_path / "out/REPORT.md").read_text()
    for title, _ in report.SECTIONS:
        assert f"## {title}\n" in text
    assert "nan" not in text
    assert "exponent of distance in depth: rk4, no BN, weights interpolated | 5 | -1.0" in text
    for image in set(re.findall(r"images/\w+\.png", text)):
        assert (tmp_path / "out" / image).stat().st_size > 5000
    with (tmp_path / "out/networks.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 5 * len(found.networks)


@pytest.mark.slow
def test_a_partial_run_can_be_reported(tmp_path):
    folder_with(tmp_path / "results", falling("standard"), ("digits",))
    report.main(["--results", str(tmp_path / "results"), "--output", str(tmp_path / "out")])
    assert "Not decided." in (tmp_path / "out/REPORT.md").read_text()


def test_a_folder_without_networks_is_refused(tmp_path):
    with pytest.raises(SystemExit, match="no finished networks"):
        report.main(["--results", str(tmp_path)])


@pytest.mark.slow
def test_the_report_can_be_written_again_from_the_packed_records(tmp_path):
    folder_with(tmp_path / "results", falling("standard"), ("digits",))
    report.main(["--results", str(tmp_path / "results"), "--output", str(tmp_path / "one")])
    archive = tmp_path / "one/records.tar.xz"
    report.main(["--results", str(archive), "--output", str(tmp_path / "other")])
    for name in ("REPORT.md", "networks.csv", "records.tar.xz"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


def test_a_damaged_record_is_named(tmp_path):
    found = folder_with(tmp_path, falling("standard"), ("digits",))
    file = found.folder.file(next(iter(found.networks)), 0)
    file.write_text('{"network": ')
    with pytest.raises(SystemExit, match=r"seed0\.json is not what a run writes"):
        report.main(["--results", str(tmp_path)])


def test_a_file_that_is_no_archive_is_refused(tmp_path):
    (tmp_path / "records.tar.xz").write_text("nothing")
    with pytest.raises(SystemExit, match="is no archive of records"):
        report.main(["--results", str(tmp_path / "records.tar.xz")])
