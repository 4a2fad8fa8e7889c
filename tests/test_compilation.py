"""with_method: the copy is compiled as the model is; diagnostics: it executes as the model does."""

import functools

import keras
import numpy as np
import pytest
from keras import ops

from keras_rk import recalibrate, with_method
from keras_rk.diagnostics import local_error, observed_order, ode_consistency
from keras_rk.layers import RKResidual
from tests.keras_helpers import BACKEND, dense, normal, numpy

BATCHES_AT_ONCE = 1 if BACKEND == "torch" else 2  # PyTorch takes no other number
X, Y = normal(8, 3), normal(8, 3, seed=1)


def block(**kwargs):
    return RKResidual(dense(3), "heun2", **kwargs)


def sequential():
    return keras.Sequential([keras.Input((3,)), block()])


def two_outputs():
    y = keras.Input((3,))
    middle = block(name="one")(y)
    return keras.Model(y, {"one": middle, "two": block(name="two")(middle)})


def error_above(threshold):
    def share_of_large_errors(targets, outputs):
        return ops.mean(ops.cast(ops.abs(targets - outputs) > threshold, "float32"), axis=-1)

    return share_of_large_errors


def power_of_error(targets, outputs, power):
    return ops.mean(ops.abs(targets - outputs) ** power, axis=-1)


class Worst(keras.metrics.Mean):
    """A metric that is not registered: the mean over the batches of the largest error."""

    def __init__(self, name="worst", **kwargs):
        super().__init__(name=name, **kwargs)

    def update_state(self, targets, outputs, sample_weight=None):
        super().update_state(ops.max(ops.abs(targets - outputs)))


TOLD = {
    # name: the model, what compile is told, the targets
    "names": (sequential, lambda: {"optimizer": "adam", "loss": "mse", "metrics": ["mae"]}, Y),
    "objects": (
        sequential,
        lambda: {
            "optimizer": keras.optimizers.SGD(0.25, momentum=0.5),
            "loss": keras.losses.Huber(0.1),
            "metrics": [keras.metrics.MeanAbsoluteError(name="mine")],
            "weighted_metrics": ["mse"],
        },
        Y,
    ),
    "functions": (
        sequential,
        lambda: {
            "loss": lambda targets, outputs: ops.mean(ops.square(targets - outputs), axis=-1),
            "metrics": [error_above(0.7), Worst(), functools.partial(power_of_error, power=3)],
        },
        Y,
    ),
    "outputs by name": (
        two_outputs,
        lambda: {
            "loss": {"one": "mse", "two": error_above(0.1)},
            "loss_weights": {"one": 0.5, "two": 2.0},
            "metrics": {"two": ["mae", Worst()]},
        },
        {"one": Y, "two": X},
    ),
    "execution": (
        sequential,
        lambda: {"loss": "mse", "run_eagerly": True, "steps_per_execution": BATCHES_AT_ONCE},
        Y,
    ),
    "no optimizer": (sequential, lambda: {"optimizer": None, "loss": "mse"}, Y),
}


@pytest.mark.parametrize("make, told, targets", TOLD.values(), ids=TOLD)
def test_the_copy_is_compiled_as_the_model_is(make, told, targets):
    model = make()
    model.compile(**told())
    copy = with_method(model)
    ours, theirs = (m.evaluate(X, targets, return_dict=True, verbose=0) for m in (model, copy))
    assert ours.keys() == theirs.keys()
    np.testing.assert_allclose(list(theirs.values()), list(ours.values()), rtol=1e-5)
    assert (copy.run_eagerly, copy.steps_per_execution, copy.jit_compile) == (
        *(model.run_eagerly, model.steps_per_execution),
        model.jit_compile,
    )


def test_the_optimizer_is_a_new_one_of_the_same_configuration():
    model = sequential()
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 5, 0.5)
    model.compile(keras.optimizers.Adam(schedule, beta_1=0.8, clipnorm=1.0), "mse")
    model.fit(X, Y, verbose=0)
    before = model.get_weights()
    copy = with_method(model, "rk4")
    assert copy.optimizer is not model.optimizer
    assert type(copy.optimizer) is type(model.optimizer)
    assert copy.optimizer.get_config() == model.optimizer.get_config()
    assert int(copy.optimizer.iterations) == 0
    copy.fit(X, Y, verbose=0)
    assert int(model.optimizer.iterations) == 1
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_learning_rate_that_was_lowered_goes_over():
    model = sequential()
    model.compile(keras.optimizers.SGD(0.5), "mse")
    model.optimizer.learning_rate = 0.125
    assert float(numpy(with_method(model, "rk4").optimizer.learning_rate)) == 0.125


def test_metrics_are_not_shared():
    model = sequential()
    model.compile("sgd", "mse", metrics=[Worst()])
    model.evaluate(X, Y, verbose=0)
    before = numpy(model.get_metrics_result()["worst"])
    copy = with_method(model)
    copy.evaluate(X, 2 * Y, verbose=0)
    assert numpy(copy.get_metrics_result()["worst"]) > before
    assert numpy(model.get_metrics_result()["worst"]) == before


def test_what_is_not_compiled_stays_so():
    assert not with_method(sequential(), "rk4").compiled
    assert not isinstance(with_method(block(), "rk4"), keras.Model)


def test_models_inside_are_compiled_too():
    inner = sequential()
    model = keras.Sequential([keras.Input((3,)), inner, keras.layers.Dense(1)])
    inner.compile("sgd", "mse")
    copy = with_method(model, "rk4")
    assert not copy.compiled
    assert np.isfinite(copy.layers[0].evaluate(X, Y, verbose=0))


@pytest.fixture
def mixed_float16():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    yield
    keras.config.set_dtype_policy(before)


@pytest.mark.usefixtures("mixed_float16")
@pytest.mark.parametrize("scale", [True, False])
def test_loss_scaling_goes_over(scale):
    model = sequential()
    model.compile("sgd", "mse", auto_scale_loss=scale)
    for one in (model, with_method(model, "rk4")):
        assert isinstance(one.optimizer, keras.optimizers.LossScaleOptimizer) == scale


@keras.saving.register_keras_serializable(package="keras_rk_tests")
class Told(keras.Model):
    """A model whose `compile` takes something else."""

    def __init__(self, block, **kwargs):
        super().__init__(**kwargs)
        self.block = block
        self.told = None

    def call(self, y):
        return self.block(y)

    def compile(self, strength, **kwargs):
        super().compile(**kwargs)
        self.told = strength

    def get_config(self):
        block = keras.saving.serialize_keras_object(self.block)
        return {**super().get_config(), "block": block}

    @classmethod
    def from_config(cls, config):
        return cls(keras.saving.deserialize_keras_object(config.pop("block")), **config)


@keras.saving.register_keras_serializable(package="keras_rk_tests")
class ToldAgain(Told):
    def get_compile_config(self):
        return {"strength": self.told}

    def compile_from_config(self, config):
        self.compile(**config, loss="mse")


def test_a_compile_of_its_own_goes_the_way_of_its_configuration():
    model = ToldAgain(block())
    model(X)
    model.compile(3, loss="mse")
    copy = with_method(model, "rk4")
    assert copy.compiled
    assert copy.told == 3


class Needy(keras.metrics.Metric):
    """Cannot be made again: its configuration lacks an argument."""

    def __init__(self, needed, **kwargs):
        super().__init__(**kwargs)

    def update_state(self, targets, outputs, sample_weight=None):
        pass

    def result(self):
        return ops.zeros(())


@pytest.mark.parametrize(
    "make, told, reason",
    [
        (lambda: Told(block()), {"strength": 3, "loss": "mse"}, "`get_compile_config`"),
        (sequential, {"loss": "mse", "metrics": [Needy(1)]}, "'needed'"),
    ],
    ids=["compile", "metric"],
)
def test_where_that_fails_a_warning_says_so(make, told, reason):
    model = make()
    model(X)
    model.compile(**told)
    with pytest.warns(UserWarning, match=f"is not compiled.*{reason}.*Call `compile` of the copy"):
        copy = with_method(model, "rk4")
    assert not copy.compiled


def test_an_optimizer_saved_on_pytorch_becomes_one_of_this_backend():
    """Keras 3.15.1 saves a class for PyTorch alone, and loads it on every backend."""
    name = "keras.src.backend.torch.optimizers.torch_adam"
    saved = type("Adam", (keras.optimizers.Adam,), {"__module__": name})
    model = sequential()
    model.compile(saved(0.25), "mse")
    copy = with_method(model, "rk4")
    assert type(copy.optimizer) is type(keras.optimizers.Adam())
    assert copy.optimizer.get_config() == model.optimizer.get_config()


def test_an_optimizer_of_the_user_keeps_its_class():
    class Adam(keras.optimizers.Adam):
        pass

    model = sequential()
    model.compile(Adam(), "mse")
    assert type(with_method(model, "rk4").optimizer) is Adam


class WithNumPy(keras.layers.Layer):
    """Only works eagerly, batch normalization inside."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.normalization = keras.layers.BatchNormalization()

    def build(self, input_shape):
        self.normalization.build(input_shape)

    def call(self, y, training=None):
        y = self.normalization(y, training=training)
        return ops.convert_to_tensor(np.tanh(numpy(y)).astype("float32"))

    def compute_output_spec(self, y, training=None):
        return keras.KerasTensor(y.shape, "float32")


PREDICTING = {
    "ode_consistency": lambda model: ode_consistency(
        model, X, methods=["rk4"], substeps=[1, 2], calibration=X, verbose=0
    ),
    "observed_order": lambda model: observed_order(
        model, X, substeps=[1, 2], calibration=X, verbose=0
    ),
    "local_error": lambda model: local_error(model, X, "dormand_prince54", verbose=0),
    "recalibrate": lambda model: recalibrate(model, X, verbose=0),
    "with_method": lambda model: with_method(model, "rk4").predict(X, verbose=0),
}


@pytest.mark.parametrize("run", PREDICTING.values(), ids=PREDICTING)
def test_a_model_that_runs_eagerly_does_so_everywhere(run):
    model = keras.Sequential([keras.Input((3,)), RKResidual(WithNumPy(), "heun2", state="first")])
    model.compile("sgd", "mse", run_eagerly=True)
    run(model)


@pytest.mark.skipif(BACKEND == "torch", reason="XLA is for TensorFlow and JAX")
def test_a_model_that_is_not_to_be_compiled_by_xla_is_not():
    model = sequential()
    model.compile("sgd", "mse", jit_compile=False)
    seen = []
    original = keras.Model.predict

    def predict(self, *args, **kwargs):
        seen.append(self.jit_compile)
        return original(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.Model, "predict", predict)
        observed_order(model, X, substeps=[1, 2], verbose=0)
    assert len(seen) > 1
    assert not any(seen)
