"""Which numbers y and f(y) may be: real ones, of which the sum y + dt * f(y) keeps everything."""

from __future__ import annotations

from typing import Any

import keras

FLOATS = ("float16", "bfloat16", "float32", "float64")
REAL = ("bool", "int", "uint", "float", "bfloat")  # what the names of such dtypes begin with


def check_policy(layer: keras.layers.Layer) -> None:
    """Refuses a compute dtype in which a layer could not return what it has summed up."""
    if layer.compute_dtype not in FLOATS:
        raise ValueError(
            f"y + dt * f(y) is returned in the layer's compute dtype, one of {', '.join(FLOATS)}. "
            f"Received: dtype={layer.dtype_policy.name!r}, compute dtype {layer.compute_dtype} "
            f"(layer {layer.name!r} of type {type(layer).__name__})."
        )


def check_real(x: Any, layer: keras.layers.Layer, what: str = "The state y") -> None:
    """Refuses what is not real, instead of leaving out its imaginary part.

    Integers and truth values are numbers, as they are for `keras.layers.Add` and `Dense`; 8-bit
    floats, too, which Keras casts to the compute dtype of a layer.
    """
    dtype = _name(x.dtype)
    if not dtype.startswith(REAL):
        raise ValueError(
            f"{what} must be of real numbers: floats, or integers and truth values, which are "
            "taken as floats. A complex number is two real ones, `keras.ops.real(y)` and "
            "`keras.ops.imag(y)`. "
            f"Received: dtype={dtype} (layer {layer.name!r} of type {type(layer).__name__})."
        )


def _name(dtype: Any) -> str:
    try:
        return keras.backend.standardize_dtype(dtype)
    except ValueError:  # a dtype of NumPy that Keras has no name for
        return str(dtype)
