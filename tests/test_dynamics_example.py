"""examples/dynamics: the systems, what is measured, a tiny run and its report."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import json
import re
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

for module in ("scipy", "matplotlib"):
    pytest.importorskip(module)
if keras.backend.backend() != "jax":
    pytest.skip("examples/dynamics trains on JAX", allow_module_level=True)

DYNAMICS = Path(__file__).parents[1] / "examples" / "dynamics"
sys.path.insert(0, str(DYNAMICS))
cells = importlib.import_module("cells")
comparisons = importlib.import_module("comparisons")
evidence = importlib.import_module("evidence")
expectations = importlib.import_module("expectations")
fields = importlib.import_module("fields")
measuring = importlib.import_module("measuring")
snapshots = importlib.import_module("snapshots")
store = importlib.import_module("store")
systems = importlib.import_module("systems")
Cell = cells.Cell


def program(name):
    """run.py or report.py; examples/paper has modules of these names, too."""
    spec = importlib.util.spec_from_file_location(f"dynamics_{name}", DYNAMICS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


run, report = program("run"), program("report")


# ------------------------------------------------------------------------------------- systems


@pytest.mark.parametrize(
    "system, y, expected",
    [
        ("lotka_volterra", [3.0, 1.5], [0.0, 0.0]),
        ("lotka_volterra", [1.0, 1.0], [0.5, -2.0]),
        ("pendulum", [np.pi / 2, 0.5], [0.5, -9.81]),
        ("van_der_pol", [2.0, 1.0], [1.0, -5.0]),
        ("lorenz", [72**0.5, 72**0.5, 27.0], [0.0, 0.0, 0.0]),
        ("lorenz", [1.0, 2.0, 3.0], [10.0, 23.0, -6.0]),
    ],
)
def test_right_hand_sides(system, y, expected):
    one = systems.SYSTEMS[system]
    np.testing.assert_allclose(one.rhs(np.array(y), np), expected, atol=1e-12)
    z = (np.array(y) - one.center) / one.scale
    np.testing.assert_allclose(one.field(z), np.array(expected) / one.scale, atol=1e-12)


@pytest.mark.parametrize("number", [1, 3])
def test_waves_decay_as_the_discrete_heat_equation_says(number):
    width = 2 * np.pi / systems.POINTS
    wave = 1e-5 * np.cos(number * width * np.arange(systems.POINTS))
    rate = 1 - 4 * systems.DIFFUSION / width**2 * np.sin(number * width / 2) ** 2
    np.testing.assert_allclose(systems.heat(wave, np), rate * wave, atol=1e-14)


INVARIANTS = {
    "lotka_volterra": lambda x, y: x - 3 * np.log(x) + y - 1.5 * np.log(y),
    "pendulum": lambda angle, speed: speed**2 / 2 - 9.81 * np.cos(angle),
}


@pytest.mark.parametrize("system", INVARIANTS)
def test_the_flow_keeps_what_it_has_to(system):
    one = systems.SYSTEMS[system]
    z = one.states(np.random.default_rng(0), 4)
    before, after = (
        INVARIANTS[system](*(one.center + one.scale * state).T)
        for state in (z, one.flow(z, [0.1, 1.0, 3.0, 10.0]))
    )
    np.testing.assert_allclose(after, before, rtol=1e-10)


@pytest.mark.parametrize("system", cells.SYSTEM_NAMES)
def test_the_modified_field_is_that_of_eulers_method(system):
    """(phi_h - id) / h = f + h/2 f'f + O(h²), and f'f is the derivative of f along the flow."""
    one = systems.SYSTEMS[system]
    z = one.states(np.random.default_rng(1), 5)
    f, slope = measuring.second_derivative(system, z)
    h = 1e-4
    along = (one.field(one.flow(z, h)) - one.field(one.flow(z, -h))) / (2 * h)
    np.testing.assert_allclose(slope, along, rtol=1e-4, atol=1e-4 * np.abs(along).max())
    distances = [
        np.linalg.norm((one.flow(z, dt) - z) / dt - (f + dt / 2 * slope)) for dt in (4e-3, 2e-3)
    ]
    assert np.log2(distances[0] / distances[1]) == pytest.approx(2, abs=0.1)


# ----------------------------------------------------------------------------------- snapshots


@pytest.fixture
def small(monkeypatch):
    """Few pairs, states and orbits, and none of them kept for another test."""
    kept = (snapshots.first_states, snapshots.test_states, snapshots.test_orbits)
    kept += (measuring.modified_field, measuring.exact_euler_field, measuring.rate)

    def forget():
        for function in kept:
            function.cache_clear()

    monkeypatch.setattr(snapshots, "PAIRS", {False: 120, True: 6})
    monkeypatch.setattr(snapshots, "TEST_STATES", 20)
    monkeypatch.setattr(snapshots, "ORBITS", 2)
    for module in (snapshots, measuring):
        monkeypatch.setattr(module, "HORIZON", 0.8)
    forget()
    yield
    forget()


@pytest.mark.parametrize("sampling", ["even", "uneven", "noise", "derivatives"])
def test_pairs_are_what_their_sampling_says(small, sampling):
    cell = Cell("pendulum", "rk4", 0.2, sampling)
    z, h, after = (part[1] for part in snapshots.pairs(cell, [7, 8]))
    system = systems.SYSTEMS["pendulum"]
    assert z.shape == after.shape == (120, 2)
    assert h.shape == (120, 1)
    if sampling == "derivatives":
        np.testing.assert_allclose(after, z + h * system.field(z))
        return
    distance = np.abs(after - system.flow(z, h[:, 0])).max()
    if sampling == "noise":
        assert snapshots.NOISE / 2 < distance < 20 * snapshots.NOISE
    else:
        assert distance < 1e-10
    assert np.unique(h).size == (120 if sampling == "uneven" else 1)
    assert np.all((h >= 0.1) & (h <= 0.3))


def test_methods_see_the_same_snapshots(small):
    one, other = (
        snapshots.pairs(Cell("lorenz", method, 0.1, "noise"), [3]) for method in ("euler", "rk8")
    )
    np.testing.assert_array_equal(one.z, other.z)
    np.testing.assert_array_equal(one.z_next, other.z_next)


# ------------------------------------------------------------------------------------ networks


def numpy_field(weights, z, local):
    if local:
        left, right = np.roll(z, 1, axis=-1), np.roll(z, -1, axis=-1)
        z = np.stack([z, 2 * (right - left), 4 * (left - 2 * z + right)], axis=-1)
    first, bias, last, end = weights
    z = np.tanh(z @ first + bias) @ last + end
    return z[..., 0] if local else z


@pytest.mark.parametrize("dimension, local, steps", [(2, False, 2), (8, True, 1)])
def test_a_step_is_that_of_the_method_in_double_precision(dimension, local, steps):
    shape = cells.Shape(dimension, local)
    weights = fields.first_weights(shape, 0)
    z = np.random.default_rng(0).normal(size=(4, dimension))
    h = np.array([[0.1], [0.2], [0.3], [0.4]])
    with fields.double_precision():
        model = fields.stepper(shape, "heun2", steps)
        model.set_weights(weights)
        found = np.asarray(model([z, h]))
    h = h / steps
    for _ in range(steps):
        k1 = numpy_field(weights, z, local)
        k2 = numpy_field(weights, z + h * k1, local)
        z = z + h / 2 * (k1 + k2)
    np.testing.assert_allclose(found, z, rtol=1e-13, atol=1e-13)


def test_orbits_are_compared_as_told():
    true = np.zeros((4, 2, 1))  # times, orbits, d
    orbits = np.array([[[0.1], [0.0]], [[0.4], [0.0]], [[np.nan], [0.0]]])[None]
    error, valid = measuring.compare_orbits(orbits, true)
    np.testing.assert_allclose(error, [np.sqrt((0.01 + 0.16 + 1) / 6)])
    np.testing.assert_allclose(valid, [0.4 * (1 + 3) / 2])


# ------------------------------------------------------------------------------------- the run

FEW = [cells.floor_cell("lotka_volterra"), Cell("lotka_volterra", "euler", 0.4)]


def call(main, *options):
    """What a program prints and returns."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        status = main([str(option) for option in options])
    return status, printed.getvalue()


@pytest.mark.slow
def test_a_run_goes_on_and_its_report_is_written(small, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "cells", lambda experiment, quick: FEW * (experiment == "even"))
    results = tmp_path / "results"
    options = ("--jobs", 1, "--iterations", 40, "--output", results)
    status, printed = call(run.main, "--seeds", 1, *options)
    assert status == 0, printed
    record = json.loads((results / f"records/{FEW[1].name}/seed100.json").read_text())
    assert record["exact_euler_error"] < 0.1 < record["modified_error"] < record["field_error"]
    assert record["rollout"]["own"]["error"] < record["rollout"]["fine"]["error"]
    [(cell, seed, diagnosis)] = store.Store(results).diagnoses()
    assert (cell, seed) == (FEW[1], 100)
    assert diagnosis["report"]["verdict"] == "relies on its own steps"
    assert diagnosis["report"]["distance"] == pytest.approx(record["field_error"], rel=0.3)

    before = {path: path.stat().st_mtime_ns for path in results.rglob("seed*")}
    assert "2 of 2 networks are finished" in call(run.main, "--seeds", 1, *options)[1]
    assert {path: path.stat().st_mtime_ns for path in results.rglob("seed*")} == before
    with pytest.raises(SystemExit, match="trained with iterations"):
        call(run.main, "--seeds", 1, *options[:-3], 30, *options[-2:])

    call(report.main, "--results", results, "--output", tmp_path / "report")
    text = (tmp_path / "report" / "REPORT.md").read_text()
    assert "2 networks: 2 cells, 1 seeds each" in text
    assert "even 1 of 125 cells" in text
    for picture in re.findall(r"\]\((images/\w+\.png)\)", text):
        assert (tmp_path / "report" / picture).exists()
    again = tmp_path / "again"
    monkeypatch.setattr(report, "draw_all", lambda results, folder: None)
    call(report.main, "--results", tmp_path / "report" / "records.tar.xz", "--output", again)
    assert (again / "REPORT.md").read_text() == text


@pytest.mark.parametrize("quick", [False, True])
def test_cells_have_names_of_their_own(quick):
    listed = [cell for name in cells.EXPERIMENTS for cell in cells.cells(name, quick)]
    assert len({cell.name for cell in listed}) == len(set(listed)) == len(listed)


def test_groups_of_equal_evaluations_are_equal():
    for group in cells.EQUAL:
        counts = [Cell("heat", method, 0.1, steps=steps).evaluations for method, steps in group]
        assert max(counts) - min(counts) <= 1


# ---------------------------------------------------------------------------------- statistics


def invented(tmp_path, error_of):
    """Results in which the error of f is what a function of cell and seed says."""
    folder = store.Store(tmp_path)
    listed = [Cell("lotka_volterra", method, dt) for method in cells.METHODS for dt in cells.DTS]
    for cell in [cells.floor_cell("lotka_volterra"), *listed]:
        for seed in range(5):
            error = error_of(cell, seed)
            found = {"cell": cell.to_dict(), "seed": seed, "field_error": error, "rate": 2.7}
            folder.keep(cell, seed, found, [])
    return evidence.Results(folder)


FLOOR = 2e-5


def of_order(cell, seed):
    """dt^p above a floor; p is the order."""
    wobble = 1 + 0.01 * np.sin(100 * seed + 10 * cell.order)
    if cell.sampling == "derivatives":
        return FLOOR * wobble
    return float(np.hypot(0.5 * cell.dt**cell.order * wobble, FLOOR))


def test_slopes_are_the_orders_above_the_floor(tmp_path):
    results = invented(tmp_path, of_order)
    slopes = {
        method: results.slope(Cell("lotka_volterra", method, 0.4)) for method in cells.METHODS
    }
    assert (slopes["euler"].coarse, slopes["euler"].fine) == (0.05, 0.025)
    assert slopes["euler"].value.mean == pytest.approx(1, abs=0.02)
    assert slopes["heun2"].value.mean == pytest.approx(2, abs=0.02)
    assert (slopes["rk4"].coarse, slopes["rk4"].fine) == (0.4, 0.2)
    assert slopes["rk4"].agrees(4)
    assert not slopes["rk4"].agrees(3.5)
    assert slopes["rk8"] is None  # 0.5 * 0.2^8 lies below the floor
    verdict, decides = expectations.slopes(results)
    assert verdict == "**Found**: 4 of 4."
    assert decides.endswith("no slope above the floor for rk8")


def test_wrong_slopes_refute(tmp_path):
    results = invented(tmp_path, lambda cell, seed: 0.01 * cell.dt**0.5)
    for_floor = evidence.Results(results.store)
    for_floor.floor = lambda system: 1e-6
    assert expectations.slopes(for_floor)[0] == "**Refuted**: 0 of 5."


def test_errors_have_factors():
    found = evidence.factor([0.01, 0.1, 1.0])
    assert found.mean == pytest.approx(0.1)
    assert found.factor == pytest.approx(np.exp(4.302653 * np.log(10) / 3**0.5), rel=1e-5)


def test_the_error_at_a_time_lies_between_two_measurements():
    record = {"curve": {"seconds": [0.0, 1.0, 2.0], "field_error": [1.0, 0.1, 0.001]}}
    assert evidence.at_time(record, 1.5) == pytest.approx(0.01)
    assert evidence.at_time(record, 9.0) == pytest.approx(0.001)


def test_comparisons_are_of_logarithms():
    [one] = comparisons.of_values(4, "a - b", {0: 0.1, 1: 0.2, 2: 0.1}, {0: 0.01, 1: 0.02, 3: 1.0})
    assert one.difference.mean == pytest.approx(1)
    assert one.difference.count == 2


def test_seeds_that_agree_to_all_digits_differ_from_others_by_more_than_rounding():
    equal = dict.fromkeys(range(5), 0.1)
    [one] = comparisons.of_values(3, "a - b", equal, dict.fromkeys(range(5), 0.2))
    assert one.p < 1e-9
    [one] = comparisons.of_values(3, "a - b", equal, equal)
    assert one.p == 1
