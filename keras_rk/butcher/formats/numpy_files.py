"""NumPy's files: an .npz with the arrays A, b and perhaps c and b_hat, or an .npy with one array.

One array is a whole tableau if NaN stands where a tableau has nothing:

    [[ c, A ],
     [NaN, b],
     [NaN, b_hat]]

Arrays hold numbers or texts. Objects, which only pickle can read, are refused: unpickling is
execution.
"""

from __future__ import annotations

import io
import math
from typing import Any

from keras_rk.errors import TableauError, shown

__all__ = ["is_numpy", "is_whole", "read_numpy", "whole_tableau"]

_NPY, _NPZ = b"\x93NUMPY", b"PK\x03\x04"
_LARGEST = 4_000_000  # bytes of one array
_KEYS = ("A", "b", "c", "b_hat", "name", "source", "claimed_order", "claimed_embedded_order")
_RULE = (
    "A tableau in an .npz file has the arrays A and b, and perhaps c and b_hat, of numbers or "
    'texts: np.savez("mine.npz", A=A, b=b)'
)


def is_numpy(data: bytes) -> bool:
    """Whether these bytes begin as files of NumPy do."""
    return data.startswith((_NPY, _NPZ))


def read_numpy(data: bytes) -> dict[str, Any]:
    """What `Tableau.from_dict` takes, from the bytes of an .npz or .npy file."""
    if data.startswith(_NPY):
        return whole_tableau(_array(data, "the array"))
    import zipfile

    found = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            if len(members) > len(_KEYS) or sum(x.file_size for x in members) > _LARGEST:
                raise TableauError(f"{_RULE}. Received: {len(members)} arrays, or too large ones.")
            for member in members:
                with archive.open(member) as file:
                    content = file.read(_LARGEST)
                key = member.filename.removesuffix(".npy")
                found[key] = _array(content, key)
    except TableauError:
        raise
    except Exception as error:  # what a damaged archive may raise is not written down
        raise TableauError(
            f"{_RULE}. Received: {type(error).__name__}, {shown(str(error))}."
        ) from None
    return {key: _value(key, array) for key, array in found.items()}


def _value(key: str, array: Any) -> Any:
    """Lists of coefficients, and labels, which are arrays without axes, as such."""
    if key not in _KEYS[4:]:
        return array
    return array.item() if array.ndim == 0 else array


def _array(data: bytes, key: str) -> Any:
    """One array, whose header is looked at before anything is made of it."""
    import numpy as np

    file = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)
        header = {(1, 0): np.lib.format.read_array_header_1_0}.get(
            version, np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = header(file)
        size = math.prod(shape) * dtype.itemsize
        if not dtype.hasobject and dtype.kind in "iufU" and 0 <= size <= len(data):
            file.seek(0)
            return np.lib.format.read_array(file, allow_pickle=False)
    except Exception as error:  # what a damaged header may raise is not written down
        raise TableauError(
            f"{_RULE}. Received: {type(error).__name__}, {shown(str(error))}."
        ) from None
    raise TableauError(f"{_RULE}. Received: {shown(key)} of {dtype}, shape {shape}.")


def is_whole(array: Any) -> bool:
    """Whether an array is a whole tableau: of two axes, with NaN left of the weights."""
    if getattr(array, "ndim", 0) != 2 or not hasattr(array, "tolist"):
        return False
    rows = array.tolist()
    heads = [row[0] for row in rows[len(rows[0]) - 1 :]] if rows and rows[0] else []
    return len(heads) in (1, 2) and all(isinstance(x, float) and x != x for x in heads)


def whole_tableau(array: Any) -> dict[str, Any]:
    """A tableau in one array, with NaN left of the weights."""
    if not is_whole(array):
        raise TableauError(
            "One array is a tableau if it has the rows c_i, a_i1, ..., a_is of each stage, then "
            "NaN, b_1, ..., b_s, and perhaps NaN and b_hat; otherwise there are several, (A, b) "
            f"or np.savez(path, A=A, b=b). Received: shape {array.shape}."
        )
    nodes, *columns = zip(*array.tolist(), strict=True)
    stages = len(columns)
    rows = list(zip(*columns, strict=True))
    data = {"A": rows[:stages], "b": rows[stages], "c": nodes[:stages]}
    return data if len(rows) == stages + 1 else {**data, "b_hat": rows[stages + 1]}
