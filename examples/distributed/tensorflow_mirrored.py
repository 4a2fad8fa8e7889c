"""A Runge-Kutta network on two TensorFlow devices, each with half of every batch.

    python examples/distributed/tensorflow_mirrored.py

The devices are logical ones on the CPU, so that this runs anywhere; on a machine with several
GPUs, `tf.distribute.MirroredStrategy()` finds them by itself.

Each replica runs the network on its own half of the batch. Batch normalization would normalize
with the statistics of that half, and its losses differ from those of one device, not by an error:
it is another network. Layer normalization, which looks at one point at a time, does not see how
the batch is divided.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["KERAS_BACKEND"] = "tensorflow"

try:
    import tensorflow as tf
except ImportError as error:
    raise SystemExit("This example needs TensorFlow: pip install tensorflow") from error

import keras
from network import BATCH, EPOCHS, compare, network, points


def losses(scope: AbstractContextManager) -> list[float]:
    """The loss of each epoch, of a model built in a scope."""
    x, y = points()
    with scope:
        model = network(keras.layers.LayerNormalization)
        model.compile("adam", "binary_crossentropy", jit_compile=False)  # not with replicas
    fitted = model.fit(x, y, batch_size=BATCH, epochs=EPOCHS, shuffle=False, verbose=0)
    return fitted.history["loss"]


def main() -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    logical = tf.config.LogicalDeviceConfiguration()
    tf.config.set_logical_device_configuration(cpu, [logical, logical])
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    one = losses(nullcontext())
    several = losses(strategy.scope())
    compare(one, several, f"{strategy.num_replicas_in_sync} devices")


if __name__ == "__main__":
    main()
