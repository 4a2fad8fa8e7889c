"""Pictures of the reports of diagnostics, whatever the numbers: nothing is covered or lost."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

from keras_rk import tableaux
from keras_rk.analysis.stability import stability_function
from keras_rk.diagnostics import (
    BlockError,
    ConsistencyReport,
    Limit,
    LipschitzReport,
    LocalErrorReport,
    OrderReport,
    Run,
    SmoothnessReport,
    Steepness,
    WeightInDepth,
)
from keras_rk.diagnostics.amplification import amplification
from tests.html_helpers import parsed

pytest.importorskip("matplotlib")
pytestmark = pytest.mark.repeated
RK4 = stability_function(tableaux.get("rk4"))
SUBSTEPS = (1, 2, 4, 8)


def steepness(values):
    return LipschitzReport(
        tuple(
            Steepness("s$t$ack", n, "rk4", 0.1, 10 * x, 12 * x, x, True, x < 2, found, RK4)
            for n, x in enumerate(values)
            for found in [amplification(RK4, np.array([-x, 1j * x])) if math.isfinite(x) else None]
        )
    )


def local_errors(values):
    blocks = [
        BlockError("s$t$ack", n, "heun2", 0.1, x, x / 100, "dormand_prince54", x / 7)
        for n, x in enumerate(values)
    ]
    return LocalErrorReport(tuple(blocks), 16)


def order(values):
    note = "distances do not fall from one number of substeps to the next, which they would"
    distances = tuple(np.resize(values, len(SUBSTEPS)).tolist())
    numbers = (SUBSTEPS, distances, (None,) * 3, 1e-6, None)
    return OrderReport("rk4", 4, *numbers, note, "rk8, 32 substeps", "interpolated")


def consistency(values):
    distances = np.resize(values, len(SUBSTEPS)).tolist()
    runs = [
        Run(name, 1, m, x, x, 0.99 if math.isfinite(x) else x)
        for name in ("euler", "heun2", "rk4")
        for m, x in zip(SUBSTEPS, distances, strict=True)
    ]
    untrained = Limit("interpolated", 0.4, None, None, None, None)
    given = ("euler", "interpolated", None, None, tuple(runs), runs[-1], 1e-4, distances[0])
    scores = ("accuracy", 1.0, runs[-1].score, 0.05, 0.01, (), tuple(values))
    return ConsistencyReport(*given, *scores, None, (untrained,), (Run("euler", 1, 0.5, 1, 1, 1),))


def smoothness(values):
    lags = tuple(2**n for n in range(max(1, len(values).bit_length() - 1)))
    found = tuple(values[: len(lags)])
    return SmoothnessReport(
        tuple(
            WeightInDepth("stack", name, len(values), 1.0, found[0], 0.1, lags, found, 0.5)
            for name in ("dense/kernel", "dense/bias")
        ),
        (),
    )


def panels(report):
    """Each panel in a figure of its own, as large as in a picture."""
    from matplotlib.figure import Figure

    painters = report._painters()
    if isinstance(report, ConsistencyReport):
        from keras_rk.diagnostics.consistency_plot import ConsistencyPlot

        painters = [*painters, ConsistencyPlot(report).depth]
    for paint in painters:
        figure = Figure(figsize=(5, 3.8))
        axes = figure.add_axes((0.15, 0.15, 0.8, 0.6))
        paint(axes)
        yield figure, axes


VALUES = {
    "one": [0.3],
    "all zero": [0.0] * 10,
    "some not finite": [0.3, math.nan, 0.2, math.inf, 0.1, 0.3],
    "none finite": [math.nan] * 5,
    "unstable, fifty": [10.0**n for n in range(25)] * 2,
}


@pytest.mark.parametrize("make", [steepness, local_errors, order, consistency, smoothness])
@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_a_picture_shows_all_there_is(make, values):
    report = make(values)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for figure, axes in panels(report):
            figure.draw_without_rendering()
            frame, legend = axes.get_window_extent(), axes.get_legend()
            assert legend.get_window_extent().y0 >= frame.y1 - 1  # it covers nothing
            title = axes.title.get_window_extent()
            assert title.y0 >= legend.get_window_extent().y1 - 1
            assert title.width < figure.bbox.width
            names = [text.get_text() for text in legend.get_texts()]
            finite = np.isfinite(np.ravel(axes.get_xlim() + axes.get_ylim()))
            assert finite.all()
            if axes.get_xlabel().startswith("Re") or axes.get_ylabel() == "accuracy":
                continue
            seen = [x for x in values if x is not None]
            if make is smoothness:
                seen = report.weights[0].increments
            if make is order or (make is consistency and axes.get_xlabel() == "substeps"):
                seen = np.resize(values, len(SUBSTEPS)).tolist()
            assert ("not finite" in names) == (not np.isfinite(seen).all())
            assert ("exactly 0" in names) == (0 in seen and make is not steepness)


@pytest.mark.parametrize("make", [steepness, local_errors, order, consistency, smoothness])
def test_a_notebook_shows_tables(make):
    found = parsed(make([0.3, 0.2])._repr_html_())
    (headings,) = [
        row
        for row in found.rows
        if row[0] in ("block", "substeps", "weight", "method") and len(row) > 2
    ]
    below = found.rows[found.rows.index(headings) + 1 :]
    assert below
    assert {len(row) for row in below} == {len(headings)}


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("make", [steepness, local_errors])
def test_blocks_are_whole_numbers(make, count):
    axes = next(panels(make([0.3] * count)))[1]
    assert [text.get_text() for text in axes.get_xticklabels()] == [
        f"s$t$ack {n}" for n in range(count)
    ]
    assert axes.get_xlim() == (-0.75, count - 0.25)


def test_one_sample_is_no_cliff():
    axes = next(axes for _, axes in panels(consistency([0.3])) if axes.get_ylabel() == "accuracy")
    low, high = axes.get_ylim()
    assert high - low >= 0.2
    assert axes.get_title() == "accuracy: 0.01 lost at the limit"


def test_titles_say_the_verdict():
    assert next(panels(consistency([0.3])))[1].get_title().startswith("ODE consistency: relies")
    outside = steepness([0.3, 40.0])
    assert next(panels(outside))[1].get_title() == (
        "Steepness: eigenvalues outside in 1 of 2 blocks"
    )
    lost = local_errors([0.1, math.nan])
    assert "at most 0.1, in s$t$ack 0" in next(panels(lost))[1].get_title().replace("\n", " ")


def test_steep_blocks_do_not_hide_the_intervals():
    axes = next(panels(steepness([1e6, 1.0])))[1]
    assert axes.get_yscale() == "log"
    assert axes.get_ylim()[0] < RK4.real_interval < axes.get_ylim()[1]
