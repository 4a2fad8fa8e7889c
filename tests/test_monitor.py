"""RKMonitor: what it writes into the logs, and keeps."""

import keras
import numpy as np
import pytest

from keras_rk import RKMonitor
from keras_rk.layers import RKResidual, RKStack
from tests.keras_helpers import dense, normal

PAIR = {"tableau": "dormand_prince54", "error_estimate": True}


def model_of(*layers, **kwargs):
    model = keras.Sequential([keras.Input((3,)), *layers, keras.layers.Dense(1)])
    model.compile("sgd", "mse", **kwargs)
    return model


def fit(model, *callbacks, **kwargs):
    arguments = {"epochs": 2, "batch_size": 4, "verbose": 0, **kwargs}
    data = normal(8, 3), normal(8, 1, seed=1)
    return model.fit(*data, callbacks=list(callbacks), **arguments).history


@pytest.mark.parametrize("jit_compile", [True, False])
def test_history_has_errors_and_step_sizes(jit_compile):
    stack = RKStack(dense(3), 4, dt=0.1, name="stack", **PAIR)
    learned = RKResidual(dense(3), "rk4", dt=-0.5, trainable_dt="channel", name="learned")
    monitor = RKMonitor()
    model = model_of(stack, learned, jit_compile=jit_compile)
    history = fit(model, monitor)
    assert {"stack_error", "learned_dt"} <= set(history)
    assert not {"stack_dt", "learned_error"} & set(history)
    assert [x.shape for x in monitor.history["stack_error"]] == [(4,), (4,)]
    assert [x.shape for x in monitor.history["learned_dt"]] == [(3,), (3,)]
    np.testing.assert_allclose(monitor.history["stack_error"][-1], stack.estimated_error)
    np.testing.assert_allclose(monitor.history["learned_dt"][-1], learned.step_sizes)
    for name, arrays in monitor.history.items():
        assert all(isinstance(value, float) for value in history[name])
        np.testing.assert_allclose(history[name], [np.mean(x) for x in arrays])
    assert history["stack_error"][0] > 0
    assert history["stack_error"][0] != history["stack_error"][1]
    assert history["learned_dt"][0] != history["learned_dt"][1]


def test_callbacks_after_it_see_the_values(tmp_path):
    stack = RKStack(dense(3), 2, name="stack", **PAIR)
    stop = keras.callbacks.EarlyStopping(monitor="stack_error", mode="min", min_delta=1e9)
    file = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    history = fit(model_of(stack), RKMonitor(), file, stop, epochs=4)
    assert len(history["loss"]) == 2
    assert "stack_error" in (tmp_path / "log.csv").read_text().splitlines()[0].split(",")


def test_callbacks_see_the_values_where_they_come_after_it(tmp_path):
    """Keras calls callbacks in the order of the list, as the docstring says."""
    before, after = (keras.callbacks.CSVLogger(tmp_path / name) for name in ("1.csv", "2.csv"))
    history = fit(model_of(RKStack(dense(3), 2, name="stack", **PAIR)), before, RKMonitor(), after)
    early, late = ((tmp_path / name).read_text().splitlines() for name in ("1.csv", "2.csv"))
    assert "stack_error" not in early[0]
    column = late[0].split(",").index("stack_error")
    written = [float(line.split(",")[column]) for line in late[1:]]
    np.testing.assert_allclose(written, history["stack_error"], rtol=1e-6)


@pytest.mark.slow  # where TensorBoard is installed
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="summaries are TensorFlow's")
def test_tensorboard_shows_the_values(tmp_path):
    pytest.importorskip("tensorboard")
    board = keras.callbacks.TensorBoard(tmp_path, write_graph=False)
    fit(model_of(RKStack(dense(3), 2, name="stack", **PAIR)), RKMonitor(), board)
    events = b"".join(path.read_bytes() for path in tmp_path.rglob("events*"))
    assert b"epoch_stack_error" in events


@keras.saving.register_keras_serializable(package="keras_rk_tests")
class Holding(keras.layers.Layer):
    """A layer that keeps others in a dictionary of lists."""

    def __init__(self, inner, **kwargs):
        super().__init__(**kwargs)
        self.kept = {"inner": [inner]}

    def build(self, input_shape):
        self.kept["inner"][0].build(input_shape)

    def call(self, y):
        return self.kept["inner"][0](y)

    def compute_output_shape(self, input_shape):
        return input_shape


def inside_nested_model(layer):
    return keras.Sequential([keras.Sequential([keras.Input((3,)), layer])])


def inside_residual(layer):
    return RKResidual(layer, "euler")


@pytest.mark.parametrize("around", [inside_nested_model, inside_residual, Holding])
def test_finds_layers_wherever_they_are(around):
    layer = RKResidual(dense(3), name="inner", **PAIR)
    assert fit(model_of(around(layer)), RKMonitor())["inner_error"][0] > 0


def test_finds_layers_in_time_distributed():
    layer = RKResidual(dense(3), "rk4", trainable_dt=True, name="inner")
    model = keras.Sequential([keras.Input((2, 3)), keras.layers.TimeDistributed(layer)])
    model.compile("sgd", "mse")
    x = normal(4, 2, 3)
    history = model.fit(x, x, verbose=0, callbacks=[RKMonitor()]).history
    assert history["inner_dt"] == [pytest.approx(float(layer.step_sizes))]


def test_layers_of_one_name_are_numbered():
    inner = RKResidual(dense(3), "rk4", trainable_dt=True, name="same")
    outer = RKResidual(inner, "rk4", dt=0.5, trainable_dt=True, name="same")
    history = fit(model_of(outer), RKMonitor())
    assert history["same_dt"][0] == pytest.approx(0.5, abs=0.2)
    assert history["same_dt_1"][0] == pytest.approx(1.0, abs=0.2)


def test_nothing_to_monitor():
    model = model_of(RKResidual(dense(3), "rk4", name="plain"))
    with pytest.raises(ValueError, match=r"error_estimate=True.*Received: a model with 'plain'"):
        fit(model, RKMonitor())
    with pytest.raises(ValueError, match="no Runge-Kutta layers"):
        fit(model_of(), RKMonitor())
