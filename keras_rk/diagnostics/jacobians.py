"""Jacobians of a vector field by central differences, whole or times a vector.

No backend's derivatives are needed, and f need not be differentiable: what it computes counts.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Field = Callable[[np.ndarray, np.ndarray], np.ndarray]  # f(y, which state each y belongs to)
STEP = float(np.finfo("float32").eps) ** (1 / 3)  # balances round-off and curvature
BATCH = 2048  # directions in one evaluation of f, at two states each


def full_jacobians(f: Field, states: np.ndarray) -> np.ndarray:
    """df_i/dy_j at each state, by (f(y + h e_j) - f(y - h e_j)) / 2h.

    >>> A = np.array([[1.0, 2.0], [0.0, 3.0]])
    >>> full_jacobians(lambda y, of_state: y @ A.T, np.ones((1, 2))).round(3)
    array([[[1., 2.],
            [0., 3.]]])

    Args:
        f: `f(y, of_state)` for y of shape `(batch, ...)`, each by itself, and near which of the
            states each is.
        states: shape `(states, ...)`.

    Returns:
        An array of shape `(states, n, n)` for states of n elements.
    """
    size = states[0].size
    of_state = np.repeat(np.arange(len(states)), size)
    directions = np.tile(np.eye(size), (len(states), 1))
    columns = along(f, states, of_state, directions)
    return columns.reshape(len(states), size, size).swapaxes(1, 2)


def along(f: Field, states: np.ndarray, of_state: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """J v for directions v of any length, each at one of the states; zero for v = 0.

    The largest change of an element is h, whatever the number of elements: in shorter steps
    rounding would show.
    """
    step = STEP * _size(states)
    found = []
    for first in range(0, len(directions), BATCH):
        v, here = directions[first : first + BATCH], of_state[first : first + BATCH]
        y = states[here]
        largest = np.abs(v).max(axis=1, keepdims=True)
        largest[largest == 0] = 1.0
        change = (step * (v / largest)).reshape(y.shape)
        high, low = (y + change).astype(y.dtype), (y - change).astype(y.dtype)
        taken = _lengths((high.astype("float64") - low).reshape(len(y), -1))
        above, below = np.split(f(np.concatenate([high, low]), np.tile(here, 2)), 2)
        difference = (above.astype("float64") - below).reshape(len(y), -1)
        scale = np.divide(_lengths(v), taken, out=np.zeros(len(y)), where=taken > 0)
        found.append(difference * scale[:, None])
    return np.concatenate(found)


def norm_and_eigenvalues(jacobians: np.ndarray) -> tuple[float, np.ndarray]:
    """The largest singular value over all Jacobians, and all of their eigenvalues."""
    if not np.all(np.isfinite(jacobians)):
        return float("inf"), np.zeros(0, "complex128")
    norms = np.linalg.norm(jacobians, ord=2, axis=(1, 2))
    return float(norms.max()), np.linalg.eigvals(jacobians).ravel().astype("complex128")


def _size(states: np.ndarray) -> float:
    size = float(np.sqrt(np.mean(np.square(states, dtype="float64"))))
    return size if size > 0 else 1.0


def _lengths(vectors: np.ndarray) -> np.ndarray:
    return np.linalg.norm(vectors, axis=1)
