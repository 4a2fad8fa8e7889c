"""Which moving statistics the diagnostics estimate anew, and from which points."""

import keras
import numpy as np
import pytest

from keras_rk import recalibrate
from keras_rk.diagnostics import observed_order, ode_consistency
from keras_rk.diagnostics.calibration import ESTIMATED, KEPT, NEAREST, Calibration
from keras_rk.diagnostics.distances import relative_distance
from keras_rk.layers import RKResidual, RKStack
from tests.diagnosed_networks import sequential
from tests.keras_helpers import dense, normal, numpy

pytestmark = pytest.mark.repeated  # the kinds of networks run on each backend

POINTS, JUDGED = normal(16, 2, seed=1) + 1, normal(8, 2, seed=2)


def normalization():
    return keras.layers.BatchNormalization(momentum=0.5)


def inside():
    """Batch normalization in f, and outside of blocks."""
    f = keras.Sequential([dense(2), normalization()])
    return sequential(RKResidual(f, "heun2", 0.5), normalization(), dense(1, seed=1))


def after():
    """Batch normalization after each block, which is called once for each."""
    return sequential(RKStack(dense(2), 2, "rk4", after=normalization()), dense(1, seed=1))


def without():
    return sequential(RKResidual(dense(2), "rk4"))


@pytest.mark.parametrize(
    "make, wanted, statistics",
    [
        (inside, None, ESTIMATED),
        (inside, True, ESTIMATED),
        (inside, False, NEAREST),
        (after, None, KEPT),
        (after, True, ESTIMATED),
        (after, False, KEPT),
        (without, None, None),
        (without, True, None),
    ],
)
def test_where_statistics_come_from(make, wanted, statistics):
    calibration = Calibration(make(), wanted, POINTS)
    assert calibration.statistics == statistics
    assert calibration.is_needed == (statistics == ESTIMATED)


@pytest.mark.parametrize("wanted", [None, True])
def test_statistics_are_those_of_the_points(wanted):
    """Outside of f only where it is asked for."""
    model, other = inside(), inside()
    other.set_weights(model.get_weights())
    outside = model.layers[1]
    Calibration(model, wanted, POINTS, batch_size=16).of(model).run()
    recalibrate(other, POINTS, batch_size=16, verbose=0)
    for ours, theirs in zip(model.layers[0].variables, other.layers[0].variables, strict=True):
        np.testing.assert_allclose(numpy(ours), numpy(theirs), rtol=1e-5, atol=1e-6)
    assert np.all(numpy(outside.moving_mean) == 0) == (wanted is None)
    assert np.any(numpy(model.layers[0].layer.layers[1].moving_mean) != 0)


@pytest.mark.parametrize(
    "arguments, match",
    [
        ((None, None), "not those that are judged.*calibration=x_train"),
        ((True, None), "calibration=x_train"),
        ((None, iter([POINTS])), "can be read only once"),
        (("yes", POINTS), "`recalibrate`"),
    ],
)
def test_refusals(arguments, match):
    with pytest.raises(ValueError, match=match):
        Calibration(inside(), *arguments)


def test_none_are_needed_where_none_are_estimated():
    assert not Calibration(after()).is_needed
    assert Calibration(inside(), False).estimated(inside()) == []


def test_what_is_called_once_for_each_block_stays_as_trained():
    model = after()
    model(POINTS, training=True)
    report = ode_consistency(
        model, JUDGED, methods=["rk4"], substeps=(1, 2), coarsening=(), verbose=0
    )
    assert (report.statistics, report.recalibration_shift) == (KEPT, None)
    assert report.runs[0].to_trained == 0
    assert report.control == ()  # whose statistics would fit nothing
    assert "statistics         as trained\n" in str(report)


def test_the_shift_of_recalibration_alone_is_printed():
    model = inside()
    model(3 * POINTS, training=True)
    report = observed_order(
        model, JUDGED, substeps=(1, 2), reference="heun2", calibration=POINTS, verbose=0
    )
    before = model.predict(JUDGED, verbose=0)
    Calibration(model, None, POINTS).of(model).run()
    shift = relative_distance(model.predict(JUDGED, verbose=0), before)
    assert report.recalibration_shift == pytest.approx(shift, rel=1e-4)
    assert f"statistics {ESTIMATED}, which alone moved the outputs by {shift:.3g}" in str(report)
