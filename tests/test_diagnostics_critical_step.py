"""CriticalStep: networks whose critical step is known."""

import keras
import numpy as np
import pytest

from keras_rk.diagnostics import CriticalStep
from tests.diagnosed_networks import circle, coarse_rotation
from tests.keras_helpers import dense


def fitted(callback, speed=3**0.5, epochs=1):
    """Steps that turn each point by 180 degrees, which a learning rate of zero leaves alone."""
    model = coarse_rotation(speed)
    model.compile(keras.optimizers.SGD(0.0), "binary_crossentropy")
    y = circle(100)
    history = model.fit(y, np.ones((100, 1)), epochs=epochs, verbose=0, callbacks=[callback])
    return model, history.history


def test_the_critical_step_of_a_rotation():
    y = circle(400)
    angle = 3 * 3**0.5  # by which the flow turns; Euler's method with m substeps turns by less
    counts = (1, 2, 4, 8, 16)
    callback = CriticalStep(y, y[:, 0] < 0, threshold=0.02, substeps=counts, every=2, stop=True)
    _, logs = fitted(callback, epochs=4)
    check = callback.checks[0]
    turned = np.array([3 * m * np.arctan(3**0.5 / m) for m in counts])
    wrong = np.abs(turned - angle) / np.pi  # half of the points beside each boundary
    first = next(n for n in range(5) if all(wrong[n:] < 0.02))
    assert (check.epoch, check.dt, check.substeps) == (1, 1.0, counts[first])
    assert callback.critical_step == check.critical_step == 1 / counts[first]
    assert check.gap == pytest.approx(1 - (2 - angle / np.pi), abs=0.01)
    assert np.isnan(logs["critical_step"][0])
    assert logs["ode_gap"][1:] == [check.gap]  # training stopped
    finer = callback.refined()
    assert (finer.layers[0].dt, finer.layers[0].steps) == (0.5, 6)
    assert finer.compiled


def test_weights_are_read_again_at_each_check():
    y = circle(100)

    class Slower(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                kernel, head = self.model.get_weights()
                self.model.set_weights([kernel / 20, head])

    callback = CriticalStep(y, y[:, 0] > 0, threshold=0.02, substeps=(1, 16))
    model = coarse_rotation()
    model.compile(keras.optimizers.SGD(0.0), "binary_crossentropy")
    model.fit(y, np.ones((100, 1)), epochs=2, verbose=0, callbacks=[Slower(), callback])
    assert [check.is_ode for check in callback.checks] == [False, True]


@pytest.mark.parametrize(
    "arguments, match",
    [
        ({"substeps": (2, 4)}, r"begins with 1.*\(2, 4\)"),
        ({"threshold": -1}, "`threshold` must be a finite number"),
        ({"every": 0}, "every"),
        ({"stop": 1}, "`stop` must be True or False"),
    ],
)
def test_refusals(arguments, match):
    with pytest.raises(ValueError, match=match):
        CriticalStep(np.ones((2, 2)), np.ones(2), **arguments)


def test_a_model_without_runge_kutta_layers():
    model = keras.Sequential([keras.Input((2,)), dense(2)])
    model.compile("sgd", "mse")
    y = circle(8)
    with pytest.raises(ValueError, match="RKResidual or an RKStack"):
        model.fit(y, y, verbose=0, callbacks=[CriticalStep(y, y)])
