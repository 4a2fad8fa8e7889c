"""Keras layers: Runge-Kutta residual connections.

Imports `steps`, of the exact side `proof`, and what is below them. Importing it imports Keras, and
with it the backend that `KERAS_BACKEND` or `~/.keras/keras.json` names.
"""

try:
    import keras  # noqa: F401
except ImportError as error:
    raise ImportError(
        "`keras_rk.layers` needs Keras 3 and a backend: `pip install keras` and one of "
        "`tensorflow`, `jax` or `torch`; set the environment variable KERAS_BACKEND to "
        '"tensorflow", "jax" or "torch" if it is not TensorFlow. (Tableaux and `keras_rk.check` '
        f"work without them.) Importing Keras failed with: {error}"
    ) from error

from keras_rk import loops
from keras_rk.layers.concat_time import ConcatTime
from keras_rk.layers.rk_adaptive import RKAdaptive
from keras_rk.layers.rk_residual import RKResidual
from keras_rk.layers.rk_stack import RKStack
from keras_rk.layers.transformer_encoder import RKTransformerEncoder

__all__ = ["ConcatTime", "RKAdaptive", "RKResidual", "RKStack", "RKTransformerEncoder"]

loops.load()
