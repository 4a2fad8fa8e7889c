"""From exact coefficients to NumPy arrays, each number rounded once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from keras_rk.errors import TableauError, shown
from keras_rk.numbers.coefficients import Coefficient, exact, is_symbolic, nearest

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Arrays", "float_dtype", "rounded"]


class Arrays(NamedTuple):
    """A tableau's coefficients as NumPy arrays; `b_hat` is None where there is none."""

    A: np.ndarray
    b: np.ndarray
    c: np.ndarray
    b_hat: np.ndarray | None


def float_dtype(dtype: Any) -> str:
    """The name of a floating-point dtype to which coefficients can be rounded."""
    import numpy as np

    try:
        name = np.dtype(dtype).name
    except TypeError:
        name = ""
    if name not in ("float64", "float32", "float16"):
        raise TableauError(
            f"`dtype` must be float64, float32 or float16. Received: dtype={shown(dtype)}."
        )
    return name


def rounded(rows: Sequence[Sequence[Coefficient]], dtype: str, scale: Any = 1) -> np.ndarray:
    """The exact products of `scale` and the coefficients, rounded once to `dtype`."""
    import numpy as np

    factor = exact(scale)
    if is_symbolic(factor):
        raise TableauError(f"`scale` must be a number. Received: scale={shown(scale)}.")
    return np.array([[nearest(x * factor, dtype) for x in row] for row in rows], dtype)
