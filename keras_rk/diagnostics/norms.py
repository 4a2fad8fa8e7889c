"""The norm of a large Jacobian by products with vectors: Lanczos on J^T J, with a bound from above.

A power iteration on J^T J and all that it passed on the way: the best estimate in the space of

    v, J^T J v, (J^T J)^2 v, ..., (J^T J)^(k-1) v

from a random v. An estimate by iteration is too low, never too high. How much too low is known
whatever the spectrum: with theta the largest eigenvalue of J^T J on that space of n dimensions,

    |J|^2 <= theta / (1 - eps)    but with a probability of 1.648 sqrt(n) exp(-sqrt(eps) (2k - 1))

Source: J. Kuczynski, H. Wozniakowski, Estimating the largest eigenvalue by the power and Lanczos
algorithms with a random start (1992).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

ROUND_OFF = 2.0**-40  # what float64 leaves of a vector of length one that is none
DOUBT = 1e-3  # the probability that the bound from above does not hold
ACCURACY = 1e-3  # of products by central differences in float32, relative to the norm
Product = Callable[[np.ndarray], np.ndarray]  # of matrices with a vector each, (matrices, n)


def norm_bounds(
    product: Product, count: int, size: int, iterations: int, rng: np.random.Generator
) -> tuple[np.ndarray, float]:
    """Bounds on |J|_2 of several matrices J: from below for each, from above for the largest.

    >>> A = np.diag([1.0, 2.0, 3.0])
    >>> norm_bounds(lambda v: v @ (A.T @ A), 1, 3, 3, np.random.default_rng(0))[0].round(6)
    array([3.])

    Args:
        product: v -> J^T J v, for each matrix its own vector.
        count: how many matrices.
        size: n, of each.
        iterations: k, at most.
        rng: where v comes from.
    """
    iterations = min(iterations, size)
    basis = np.zeros((iterations + 1, count, size))
    basis[0] = _unit(rng.normal(size=(count, size)))
    projected = np.zeros((count, iterations, iterations))
    for k in range(iterations):
        image = product(basis[k])
        if not np.all(np.isfinite(image)):
            return np.full(count, math.inf), math.inf
        before = np.linalg.norm(image, axis=1)
        for _ in range(2):  # once more, for what rounding left of the first time
            shares = np.einsum("jcn,cn->jc", basis[: k + 1], image)
            projected[:, : k + 1, k] += shares.T
            image = image - np.einsum("jc,jcn->cn", shares, basis[: k + 1])
        basis[k + 1] = _unit(image, ROUND_OFF * before)
        if not basis[k + 1].any():  # J = 0, say: nothing is left to be found
            iterations = size
            break
    below = np.sqrt(np.maximum(np.linalg.eigvalsh(projected, UPLO="U")[:, -1], 0.0))
    return below, float(below.max()) * _excess(iterations, size, count)


def _unit(vectors: np.ndarray, negligible: Any = 0.0) -> np.ndarray:
    """Each vector over its length; zero where that is negligible."""
    lengths = np.linalg.norm(vectors, axis=1)
    lengths[lengths <= negligible] = np.inf
    return vectors / lengths[:, None]


def _excess(iterations: int, size: int, count: int) -> float:
    """The bound from above over that from below."""
    if iterations >= size:
        return 1 + ACCURACY
    eps = (math.log(1.648 * math.sqrt(size) * count / DOUBT) / (2 * iterations - 1)) ** 2
    return (1 + ACCURACY) / math.sqrt(1 - eps) if eps < 1 else math.inf
