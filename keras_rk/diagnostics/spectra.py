"""The leading eigenvalues of large Jacobians, by Arnoldi's method as ARPACK has it (SciPy)."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_rk.diagnostics.norms import Product

WANTED = 6  # eigenvalues
SPACE = 32  # dimensions of the space in which they are looked for
RESTARTS = 10
ACCURACY = 1e-3  # of an eigenvalue, relative


def leading_eigenvalues(
    product: Product, count: int, size: int, rng: np.random.Generator
) -> np.ndarray | None:
    """The eigenvalues of largest absolute value among those of several matrices.

    All matrices together are one, with a block for each, so that what leads is found wherever it
    is. Those that have not converged are left out.

    Args:
        product: v -> J v, for each matrix its own vector: arrays of shape `(count, size)`.
        count: how many matrices.
        size: n, of each.
        rng: where the iteration starts.

    Returns:
        None without SciPy, and where nothing has converged.
    """
    linalg = _sparse_linear_algebra()
    if linalg is None:
        return None
    shape = (count, size)
    start = rng.normal(size=shape)
    if not product(start).any():  # ARPACK takes J = 0 for an error
        return np.zeros(1, "complex128")
    operator = linalg.LinearOperator(
        (count * size,) * 2, lambda v: product(v.reshape(shape)).ravel(), dtype="float64"
    )
    wanted = min(WANTED, count * size - 2)
    try:
        found = linalg.eigs(
            operator,
            k=wanted,
            v0=start.ravel(),
            ncv=min(SPACE, count * size),
            maxiter=RESTARTS,
            tol=ACCURACY,
            return_eigenvectors=False,
        )
    except linalg.ArpackNoConvergence as error:
        found = error.eigenvalues
    except linalg.ArpackError:  # nothing to be found beside rounding, for nilpotent matrices
        return None
    return found if len(found) and np.all(np.isfinite(found)) else None


def has_arnoldi() -> bool:
    """Whether SciPy is installed."""
    return _sparse_linear_algebra() is not None


def _sparse_linear_algebra() -> Any:
    try:
        from scipy.sparse import linalg
    except ImportError:
        return None
    return linalg
