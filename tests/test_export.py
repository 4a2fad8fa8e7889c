"""Models out of Keras: what `model.export` writes computes, elsewhere, what the model does.

The first model has a plain residual connection and none of our layers: what fails for it, Keras
or its backend cannot do.
"""

from __future__ import annotations

import importlib
import warnings
from importlib.util import find_spec

import keras
import numpy as np
import pytest
from keras import ops

from keras_rk import convert_residuals, unroll
from keras_rk.layers import ConcatTime, RKResidual, RKStack, RKTransformerEncoder

from .docs_pages import DOCS, run_page
from .keras_helpers import BACKEND, batch_normalized, dense, normal, numpy

pytestmark = pytest.mark.slow
BATCH = 4
PATH = {"return_states": True}


class TimeDependent(keras.layers.Layer):
    """f(t, y) = cos(t) tanh(W y + b)"""

    def build(self, input_shape):
        self.inner = dense()
        self.inner.build(input_shape)

    def call(self, y, t):
        return ops.cos(t) * self.inner(y)

    def compute_output_shape(self, input_shape, *args, **kwargs):
        return input_shape


def plain_residual():
    y = keras.Input((3,))
    return keras.Model(y, keras.layers.Add()([y, dense()(y)]))


def with_skip_connections():
    y = x = keras.Input((3,))
    for _ in range(2):
        x = keras.layers.Add()([x, batch_normalized()(x)])
    return keras.Model(y, x)


def with_an_encoder():
    y = keras.Input((3,))
    x = keras.layers.Reshape((3, 4))(keras.layers.Dense(12)(y))
    mask = ops.repeat(ops.expand_dims(y > -10, 1), 3, axis=1)
    x = RKTransformerEncoder(6, 2, "heun2", 0.5)(x, attention_mask=mask)
    return keras.Model(y, keras.layers.Flatten()(x))


def model_of(layer):
    return keras.Sequential([keras.Input((3,)), layer])


MODELS = {
    "plain residual": plain_residual,
    "one step": lambda: model_of(RKResidual(dense(), "rk4", 0.5)),
    "three steps": lambda: model_of(RKResidual(dense(), "rk4", 0.5, steps=3)),
    "a loop of steps": lambda: model_of(RKResidual(dense(), "rk4", 0.1, steps=5)),
    "states": lambda: model_of(RKResidual(dense(), "heun2", 0.1, steps=9, **PATH)),
    "statistics": lambda: model_of(
        RKResidual(batch_normalized(), "heun2", 0.5, state="per_evaluation")
    ),
    "statistics, a loop": lambda: model_of(
        RKResidual(batch_normalized(), "heun2", 0.05, steps=9, state="per_evaluation")
    ),
    "f(t, y)": lambda: model_of(RKResidual(TimeDependent(), "rk4", 0.5, steps=3)),
    "f(t, y), a loop": lambda: model_of(RKResidual(TimeDependent(), "rk4", 0.1, steps=5)),
    "stack": lambda: model_of(
        RKStack(dense(seed=None), 3, "rk4", 0.5, after=keras.layers.BatchNormalization())
    ),
    "converted": lambda: convert_residuals(with_skip_connections(), "heun2")[0],
    "converted, stack": lambda: convert_residuals(with_skip_connections(), "heun2", stacks=True)[0],
    "unrolled": lambda: unroll(model_of(RKResidual(batch_normalized(), "rk4", 0.5, steps=2))),
    "unrolled, states and time": lambda: unroll(
        model_of(RKResidual(ConcatTime(dense()), "heun2", 0.5, steps=3, **PATH))
    ),
    "unrolled, stack": lambda: unroll(
        model_of(
            RKStack(dense(seed=None), 3, "heun2", 0.5, after=keras.layers.BatchNormalization())
        )
    ),
    "transformer encoder": with_an_encoder,
    "stack, statistics": lambda: model_of(
        RKStack(batch_normalized(), 3, "heun2", 0.5, state="per_evaluation")
    ),
}
everything = pytest.mark.parametrize("name", list(MODELS))


def needs(*modules):
    """Skips where what an export needs is not installed."""
    missing = [module for module in modules if find_spec(module) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


def on(*backends):
    return pytest.mark.skipif(
        BACKEND not in backends, reason=f"runs where Keras runs on {' or '.join(backends)}"
    )


CONVERTERS = {"tensorflow": ["tf2onnx"], "jax": ["jax2onnx", "flax"], "torch": ["onnxscript"]}
onnx = needs("onnx", "onnxruntime", *CONVERTERS[BACKEND])


@pytest.fixture(autouse=True)
def _without_warnings():
    """Exporters warn of much, none of which is ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def used(name):
    """A model whose moving statistics are such as training leaves, and which was called once."""
    model = MODELS[name]()
    rng = np.random.default_rng(1)
    for variable in model.non_trainable_variables:
        if "float" in keras.backend.standardize_dtype(variable.dtype):
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    model(normal(BATCH, 3))
    return model


def export(model, path, format, batch=None):
    signature = None if batch is None else [keras.InputSpec(shape=(batch, 3), dtype="float32")]
    try:
        model.export(str(path), format=format, verbose=False, input_signature=signature)
    except ValueError as error:
        if str(error).startswith("Unrecognized format"):
            pytest.skip(f"Keras {keras.__version__} does not know the format {format!r}")
        raise
    return str(path)


def assert_same(model, run, *batches):
    for batch in batches:
        x = normal(batch, 3, seed=batch)
        expected = numpy(model(x, training=False))
        result = run(x)
        assert result.shape == expected.shape
        np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


# -------------------------------------------------------------------------- SavedModel


def saved_model(path):
    import tensorflow as tf

    loaded = tf.saved_model.load(path)
    return lambda x: loaded.serve(x).numpy()


@on("tensorflow", "jax")
@needs("tensorflow")
@everything
def test_saved_model(name, tmp_path):
    model = used(name)
    run = saved_model(export(model, tmp_path / "model", "tf_saved_model"))
    assert_same(model, run, BATCH, 7)


@on("torch")
@needs("tensorflow")
@pytest.mark.parametrize("batch", [None, BATCH])
def test_saved_model_of_a_plain_residual_model_is_more_than_keras_can_on_pytorch(batch, tmp_path):
    if find_spec("torch_xla") is not None:
        pytest.skip("torch_xla, without which it is impossible, is installed")
    with pytest.raises(Exception, match=r"torch_xla|dynamic_shapes"):
        export(used("plain residual"), tmp_path / "model", "tf_saved_model", batch)


# -------------------------------------------------------------------------------- ONNX


def onnx_session(path):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (argument,) = session.get_inputs()
    return lambda x: session.run(None, {argument.name: x})[0]


# On PyTorch, Keras 3.15's own LayerNormalization cannot be written as ONNX (see below).
WITH_LAYER_NORMALIZATION = ("transformer encoder",) * (BACKEND == "torch")
as_onnx = pytest.mark.parametrize("name", [n for n in MODELS if n not in WITH_LAYER_NORMALIZATION])


@on("torch")
@onnx
def test_layer_normalization_as_onnx_is_more_than_keras_can_on_pytorch(tmp_path):
    model = keras.Sequential([keras.Input((3, 4)), keras.layers.LayerNormalization()])
    model(np.zeros((BATCH, 3, 4), "float32"))
    with pytest.raises(Exception, match="not constant"):
        export(model, tmp_path / "model.onnx", "onnx")


@onnx
@as_onnx
def test_onnx(name, tmp_path):
    model = used(name)
    run = onnx_session(export(model, tmp_path / "model.onnx", "onnx"))
    assert_same(model, run, BATCH, 7)


@onnx
@as_onnx
def test_onnx_for_one_size_of_the_batch(name, tmp_path):
    model = used(name)
    run = onnx_session(export(model, tmp_path / "model.onnx", "onnx", BATCH))
    assert_same(model, run, BATCH)


@onnx
@pytest.mark.parametrize("name", ["a loop of steps", "f(t, y), a loop", "stack"])
def test_a_loop_stays_a_loop_in_onnx_but_for_pytorch(name, tmp_path):
    model = used(name)
    path = export(model, tmp_path / "model.onnx", "onnx")
    operations = [node.op_type for node in importlib.import_module("onnx").load(path).graph.node]
    assert ("Loop" in operations or "Scan" in operations) == (BACKEND != "torch")


@pytest.fixture
def just_loaded(tmp_path):
    """A model that has not been called since it was loaded, and what it computes."""
    model = model_of(RKStack(dense(seed=None), 3, "rk4", 0.5))
    model.save(tmp_path / "model.keras")
    return lambda: keras.models.load_model(tmp_path / "model.keras")


@onnx
def test_a_loaded_model_wants_a_call_on_data_before_it_is_written_as_onnx(just_loaded, tmp_path):
    """Keras 3.15: it asks any model for that; on JAX `predict` is no call."""
    loaded = just_loaded()
    with pytest.raises(ValueError, match="has never called"):
        export(loaded, tmp_path / "model.onnx", "onnx")
    if BACKEND == "jax":
        loaded.predict(normal(BATCH, 3), verbose=0)
        with pytest.raises(ValueError, match="has never called"):
            export(loaded, tmp_path / "model.onnx", "onnx")
    loaded(normal(BATCH, 3))
    run = onnx_session(export(loaded, tmp_path / "model.onnx", "onnx"))
    assert_same(just_loaded(), run, BATCH, 7)


@on("tensorflow", "jax")
@needs("tensorflow")
def test_a_loaded_model_is_written_as_saved_model_without_a_call(just_loaded, tmp_path):
    run = saved_model(export(just_loaded(), tmp_path / "model", "tf_saved_model"))
    assert_same(just_loaded(), run, BATCH, 7)


@onnx
@pytest.mark.skipif(not DOCS.exists(), reason="a source distribution has no docs")
def test_the_guide_to_exports_runs_on_each_backend(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_page(DOCS / "guides/deploy.md", BACKEND, "converters")


# ------------------------------------------------------------------------------ LiteRT


def litert(path):
    if BACKEND == "tensorflow":
        import tensorflow as tf

        interpreter = tf.lite.Interpreter(model_path=path)
    else:
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(model_path=path)
    (argument,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()

    def run(x):
        interpreter.resize_tensor_input(argument["index"], x.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(argument["index"], x)
        interpreter.invoke()
        return interpreter.get_tensor(result["index"])

    return run


@on("tensorflow")
@pytest.mark.parametrize("name", [name for name in MODELS if name != "states"])
def test_litert(name, tmp_path):
    model = used(name)
    run = litert(export(model, tmp_path / "model.tflite", "litert"))
    assert_same(model, run, BATCH, 7)


class KerasScan(keras.layers.Layer):
    """A loop of Keras that puts out its states, without anything of ours."""

    def call(self, y):
        def body(y, _):
            y = y + 0.1 * ops.tanh(y)
            return y, y

        return ops.moveaxis(ops.scan(body, y, None, 9)[1], 0, 1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], 9, *input_shape[1:])


@on("tensorflow")
@pytest.mark.parametrize("make", [KerasScan, lambda: RKResidual(dense(), "heun2", 0.1, 9, **PATH)])
def test_litert_of_the_states_of_a_loop_for_any_batch_is_more_than_keras_can(make, tmp_path):
    model = model_of(make())
    model(normal(BATCH, 3))
    run = litert(export(model, tmp_path / "model.tflite", "litert"))
    with pytest.raises(RuntimeError, match=r"Select TensorFlow op"):
        run(normal(BATCH, 3))


@on("tensorflow", "torch")
@needs(*(["litert_torch"] if BACKEND == "torch" else []))
@everything
def test_litert_for_one_size_of_the_batch(name, tmp_path):
    model = used(name)
    run = litert(export(model, tmp_path / "model.tflite", "litert", BATCH))
    assert_same(model, run, BATCH)


@on("tensorflow")
def test_litert_of_dense_layers_on_one_channel_for_one_size_is_more_than_keras_can(tmp_path):
    """TensorFlow 2.21, for batches of one size: findings/litert_dense_on_one_channel.sh."""
    y = keras.Input((3,))
    x = keras.layers.Dense(4)(keras.layers.Reshape((3, 1))(y))
    model = keras.Model(y, keras.layers.Dense(4)(x))
    model(normal(BATCH, 3))
    with pytest.raises(Exception, match=r"tfl\."):
        export(model, tmp_path / "model.tflite", "litert", BATCH)


@on("jax")
def test_litert_of_a_plain_residual_model_is_more_than_keras_can_on_jax(tmp_path):
    with pytest.raises(ValueError, match="LiteRT export requires TensorFlow or PyTorch"):
        export(used("plain residual"), tmp_path / "model.tflite", "litert")


# ---------------------------------------------------------- PyTorch's own ExportedProgram


@on("torch")
@everything
def test_exported_program_for_one_size_of_the_batch(name, tmp_path):
    import torch

    model = used(name)
    program = torch.export.load(export(model, tmp_path / "model.pt2", "torch", BATCH))
    assert_same(model, lambda x: numpy(program.module()(torch.as_tensor(x))), BATCH)


@on("torch")
def test_exported_program_for_any_batch_is_more_than_keras_can(tmp_path):
    import torch

    path = export(used("plain residual"), tmp_path / "model.pt2", "torch")
    with pytest.raises(AssertionError, match="Guard failed"):
        torch.export.load(path).module()(torch.ones((BATCH, 3)))


# -------------------------------------------------------- unrolled, and written by hand


@onnx
@on("tensorflow")
@pytest.mark.parametrize("state", ["shared", "per_evaluation"])
def test_an_unrolled_stack_is_what_one_writes_by_hand(state, tmp_path):
    """No operation more, so that it takes as long."""
    stack = RKStack(batch_normalized(), 3, "heun2", 1.0, state=state)
    model = model_of(stack)
    y = x = keras.Input((3,))
    for _ in range(3):
        f = batch_normalized()
        k1 = f(x)
        second = f if state == "shared" else batch_normalized()
        k2 = second(x + k1)
        x = x + (0.5 * k1 + 0.5 * k2)
    counts = []
    for one in (unroll(model), keras.Model(y, x)):
        one(normal(BATCH, 3))
        path = export(one, tmp_path / f"{len(counts)}.onnx", "onnx")
        nodes = importlib.import_module("onnx").load(path).graph.node
        counts.append(sorted(node.op_type for node in nodes))
    assert counts[0] == counts[1]
