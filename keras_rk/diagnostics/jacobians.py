"""How steep a vector field is, by central differences; no backend's derivatives are needed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Field = Callable[[np.ndarray, np.ndarray], np.ndarray]  # f(y, which state each y belongs to)
STEP = float(np.finfo("float32").eps) ** (1 / 3)  # balances round-off and curvature
BATCH = 4096  # states in one evaluation of f


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
    """J v for directions v of length one, each at one of the states."""
    step = STEP * _size(states)
    found = []
    for first in range(0, len(directions), BATCH):
        here = of_state[first : first + BATCH]
        y = states[here]
        change = step * directions[first : first + BATCH].reshape(y.shape)
        high, low = (y + change).astype(y.dtype), (y - change).astype(y.dtype)
        width = _lengths((high.astype("float64") - low).reshape(len(y), -1))
        difference = f(high, here).astype("float64") - f(low, here)
        found.append(difference.reshape(len(y), -1) / width[:, None])
    return np.concatenate(found)


def _size(states: np.ndarray) -> float:
    size = float(np.sqrt(np.mean(np.square(states, dtype="float64"))))
    return size if size > 0 else 1.0


def norms_and_radii(jacobians: np.ndarray) -> tuple[float, float]:
    """The largest singular value, and the largest absolute eigenvalue, over all Jacobians."""
    if not np.all(np.isfinite(jacobians)):
        return float("inf"), float("inf")
    norms = np.linalg.norm(jacobians, ord=2, axis=(1, 2))
    return float(norms.max()), float(np.abs(np.linalg.eigvals(jacobians)).max())


def estimated(
    f: Field, states: np.ndarray, iterations: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Lower bound of the norm, and an estimate of the spectral radius, by power iteration.

        v_(k+1) = J v_k / |J v_k|

    from random directions. Each |J v_k| is at most the norm of J; the geometric mean of those of
    the second half tends to the spectral radius.
    """
    directions = rng.normal(size=(len(states), states[0].size))
    growth = np.ones((iterations, len(states)))
    each = np.arange(len(states))
    for k in range(iterations):
        directions = directions / np.maximum(_lengths(directions), 1e-30)[:, None]
        directions = along(f, states, each, directions)
        growth[k] = _lengths(directions)
    if not np.all(np.isfinite(growth)):
        return float("inf"), float("inf")
    late = np.log(np.maximum(growth[iterations // 2 :], 1e-30))
    return float(growth.max()), float(np.exp(late.mean(axis=0)).max())


def _lengths(vectors: np.ndarray) -> np.ndarray:
    return np.linalg.norm(vectors, axis=1)
