"""A Runge-Kutta network on four JAX devices, each with a quarter of every batch.

    python examples/distributed/jax_data_parallel.py

The devices are virtual ones on the CPU, so that this runs anywhere; on a machine with several
GPUs, leave out the first two settings. Needs JAX: `pip install "keras-rk[jax]"`.

JAX compiles one program for the whole batch and divides it among the devices. Batch normalization
therefore sees the statistics of the whole batch, as on one device, and the losses are the same.
"""

from __future__ import annotations

import os

os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=4"
)
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["KERAS_BACKEND"] = "jax"

try:
    import jax
except ImportError as error:
    raise SystemExit('This example needs JAX: pip install "keras-rk[jax]"') from error

import keras
from network import BATCH, EPOCHS, compare, network, points


def losses() -> list[float]:
    """The loss of each epoch, on the devices of the present distribution."""
    x, y = points()
    model = network(keras.layers.BatchNormalization)
    model.compile("adam", "binary_crossentropy")
    fitted = model.fit(x, y, batch_size=BATCH, epochs=EPOCHS, shuffle=False, verbose=0)
    return fitted.history["loss"]


def main() -> None:
    one = losses()
    keras.distribution.set_distribution(keras.distribution.DataParallel())  # over all devices
    several = losses()
    compare(one, several, f"{jax.device_count()} devices")


if __name__ == "__main__":
    main()
