"""What importing the package costs and brings, in fresh interpreters."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from textwrap import dedent

import pytest

import keras_rk

from .conftest import backend, has_backend

needs_keras = pytest.mark.skipif(not has_backend(), reason="Keras or its backend is missing")
HEAVY = ("keras", "tensorflow", "jax", "torch", "sympy", "numpy")


def run(code: str) -> str:
    """What `code` prints in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


LOADED = f"; import sys; print([m for m in {HEAVY} if m in sys.modules])"


@pytest.mark.parametrize(
    "code",
    [
        "import keras_rk",
        "from keras_rk import tableaux; tableaux.names()",
        "import keras_rk; assert keras_rk.check('rk4', order=4)",
        "import keras_rk; assert keras_rk.check('rk8', order=8)",
        "import keras_rk; keras_rk.stability.stability_function('rk4').coefficients",
    ],
)
def test_the_exact_side_imports_nothing_heavy(code):
    assert run(code + LOADED) == "[]"


def test_layers_are_loaded_when_they_are_touched():
    assert run("import keras_rk, sys; print('keras_rk.layers' in sys.modules)") == "False"


STACK = dedent(  # indented: conftest.py takes this file for one that imports Keras otherwise
    """
    import keras
    from keras_rk.layers import RKStack

    dense = {LAYER}
    stack = RKStack(dense, 3, after=keras.layers.BatchNormalization(), seed=1)
    stack.build((None, 4))
    model = keras.Sequential([keras.Input((4,)), stack])
    model.compile("sgd", "mse")
    model.fit(keras.ops.ones((2, 4)), keras.ops.ones((2, 4)), verbose=0)
    """
)


@needs_keras
@pytest.mark.skipif(backend() == "tensorflow", reason="Keras itself imports TensorFlow")
@pytest.mark.parametrize("layer", ["Dense(4)", "Conv1D(4, 3, padding='same')", "factory"])
def test_a_stack_is_trained_without_importing_tensorflow(layer):
    dense = "lambda block: keras.layers.Dense(4)" if layer == "factory" else f"keras.layers.{layer}"
    shape = "(5, 4)" if layer.startswith("Conv") else "(4,)"
    code = STACK.replace("{LAYER}", dense)
    code = code.replace("(4,)", shape).replace("(None, 4)", f"(None, *{shape})")
    code = code.replace("(2, 4)", f"(2, *{shape})")
    assert run(f"{code}\nimport sys; print('tensorflow' in sys.modules)") == "False"


@needs_keras
@pytest.mark.repeated
def test_the_default_dtype_can_be_set_after_the_import():
    code = "import keras, keras_rk.layers; keras.config.set_floatx('float64')\n"
    assert run(f"{code}print(keras.layers.Dense(1).compute_dtype)") == "float64"


@pytest.mark.parametrize("name", keras_rk.__all__)
def test_public_names(name):
    assert name in dir(keras_rk)
    if has_backend() or name not in (*keras_rk._NEED_KERAS, "layers"):
        assert getattr(keras_rk, name) is not None
    else:
        with pytest.raises(ImportError, match="pip install keras"):
            getattr(keras_rk, name)


def test_unknown_names():
    with pytest.raises(AttributeError, match="no_such_name"):
        keras_rk.no_such_name  # noqa: B018


@pytest.mark.parametrize("missing", ["keras", pytest.param(backend(), marks=needs_keras)])
def test_without_keras_or_a_backend_layers_say_what_to_install(missing):
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "import keras_rk\n"
        "assert keras_rk.check('rk4')\n"
        "try: keras_rk.layers\n"
        "except ImportError as error: print(error)"
    )
    printed = run(code)
    assert "pip install keras" in printed
    assert missing in printed.split("Importing Keras failed with: ")[1]


@pytest.mark.parametrize("name", ["RKMonitor", "diagnostics", "recalibrate", "with_method"])
def test_what_needs_keras_says_so(name):
    code = (
        "import sys; sys.modules['keras'] = None\n"
        "import keras_rk\n"
        f"try: keras_rk.{name}\n"
        "except ImportError as error: print(error)"
    )
    assert "pip install keras" in run(code)


@pytest.mark.slow
@needs_keras
@pytest.mark.repeated
@pytest.mark.parametrize("name", ["recalibrate", "with_method"])
def test_functions_that_are_loaded_late_stay_functions(name):
    code = f"import keras_rk; keras_rk.{name}; print(callable(keras_rk.{name}))"
    assert run(code).endswith("True")


@needs_keras
@pytest.mark.repeated
@pytest.mark.parametrize(
    "order", ["keras_rk, keras", pytest.param("keras, keras_rk", marks=pytest.mark.slow)]
)
def test_layers_are_registered_in_either_import_order(order):
    code = (
        f"import {order}\nprint(keras.saving.get_registered_object('keras_rk>RKResidual').__name__)"
    )
    assert run(code).endswith("RKResidual")


@pytest.mark.slow
@needs_keras
@pytest.mark.repeated
@pytest.mark.parametrize("module", ["loops", "field.vector_field", "steps.integration"])
def test_a_wing_below_the_layers_can_be_imported_first(module):
    assert run(f"import keras_rk.{module}, keras_rk.layers; print('done')").endswith("done")


@needs_keras
@pytest.mark.skipif(backend() != "tensorflow", reason="tf.keras is TensorFlow's")
def test_layers_are_registered_through_tf_keras():
    code = (
        "import keras_rk, tensorflow as tf\n"
        "tf.keras.layers.Dense\n"
        "print(tf.keras.utils.get_registered_object('keras_rk>RKResidual').__name__)"
    )
    assert run(code).endswith("RKResidual")


@needs_keras
@pytest.mark.skipif(backend() == "tensorflow", reason="TensorFlow is the backend here")
def test_the_package_itself_never_imports_tensorflow():
    blocked = "import sys; sys.modules['tensorflow'] = None\n"
    code = blocked + "import keras_rk; keras_rk.layers.RKResidual; print('keras' in sys.modules)"
    if importlib.util.find_spec("tensorflow") is None:
        blocked = ""
    assert run(code) == "True"
