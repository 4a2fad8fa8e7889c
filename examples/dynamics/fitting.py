"""Training f with all seeds at once, by the method of Levenberg and Marquardt.

The loss of a cell is, over all pairs (z, z_next) of snapshots a time h apart,

    sum |(step(z, h) - z_next) / h|²

so that it is the squared error of f itself, whatever h. What a method adds to that error is seen
only where training adds less, and Adam leaves too much; the method of Levenberg and Marquardt,

    w_next = w - (J^T J + damping I)^-1 J^T r,

with the Jacobian J of the residuals r for the few hundred weights w, needs a hundred iterations.
A step is taken where it lowers the loss; the damping is divided by five after it, and doubled where
there was none. (Damping by the gain over the linear model was faster at first, but ended at errors
several times as large.)
"""

from __future__ import annotations

import time
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from cells import Cell, Shape
from fields import field, first_weights, stepper
from jax.flatten_util import ravel_pytree
from snapshots import Pairs, shape_of

AT_ONCE = 10  # iterations between two measurements
FIRST_DAMPING = 1.0
LEAST_DAMPING = 1e-12


class State(NamedTuple):
    weights: Any
    damping: Any
    loss: Any


class Fit(NamedTuple):
    """A cell trained with several seeds.

    Attributes:
        weights: shape (seeds, weights).
        iterations, seconds: at each of several moments, the first one before training; seconds
            are for one seed, without compiling.
        history: the weights at these moments.
        residual: the root of the mean square of the residuals at the end, by seed.
    """

    weights: Any
    iterations: list[int]
    seconds: list[float]
    history: list[Any]
    residual: np.ndarray


class Program:
    """The compiled functions for a method and systems of one shape; h is an argument."""

    def __init__(self, shape: Shape, method: str, steps: int) -> None:
        self.model = stepper(shape, method, steps)
        self.field = field(shape)
        _, self.unravel = ravel_pytree([v.value for v in self.model.trainable_variables])
        self.others = [v.value for v in self.model.non_trainable_variables]
        self.iterate = jax.jit(jax.vmap(self._iterate))
        self.loss = jax.jit(jax.vmap(lambda w, pairs: jnp.sum(self._residuals(w, pairs) ** 2)))
        self.value = jax.jit(jax.vmap(self.field_value, in_axes=(0, None)))

    def step(self, weights: Any, z: Any, h: Any) -> Any:
        """z after a time h, shape (batch, 1)."""
        return self.model.stateless_call(self.unravel(weights), self.others, [z, h])[0]

    def field_value(self, weights: Any, z: Any) -> Any:
        """The learned f(z)."""
        return self.field.stateless_call(self.unravel(weights), [], z)[0]

    def _residuals(self, weights: Any, pairs: Pairs) -> Any:
        return ((self.step(weights, pairs.z, pairs.h) - pairs.z_next) / pairs.h).ravel()

    def _jacobian(self, weights: Any, pairs: Pairs) -> Any:
        """Shape (residuals, weights)."""

        def of_one(weights: Any, z: Any, h: Any) -> Any:
            return self.step(weights, z[None], h[None])[0] / h

        rows = jax.vmap(jax.jacrev(of_one), in_axes=(None, 0, 0))(weights, pairs.z, pairs.h)
        return rows.reshape(-1, len(weights))

    def _iteration(self, state: State, pairs: Pairs) -> State:
        weights, damping, loss = state
        residuals, jacobian = self._residuals(weights, pairs), self._jacobian(weights, pairs)
        normal = jacobian.T @ jacobian + damping * jnp.eye(len(weights))
        gradient = jacobian.T @ residuals
        change = jax.scipy.linalg.cho_solve(jax.scipy.linalg.cho_factor(normal), gradient)
        tried = weights - change
        new_loss = jnp.sum(self._residuals(tried, pairs) ** 2)
        better = new_loss < loss
        return State(
            jnp.where(better, tried, weights),
            jnp.maximum(damping * jnp.where(better, 0.2, 2.0), LEAST_DAMPING),
            jnp.where(better, new_loss, loss),
        )

    def _iterate(self, state: State, pairs: Pairs) -> State:
        return jax.lax.fori_loop(0, AT_ONCE, lambda _, s: self._iteration(s, pairs), state)


@cache
def program(shape: Shape, method: str, steps: int) -> Program:
    return Program(shape, method, steps)


def fit(cell: Cell, pairs: Pairs, seeds: list[int], iterations: int) -> Fit:
    """Trains a cell.

    Args:
        pairs: for each seed, along the first axis.
    """
    shape = shape_of(cell.system)
    compiled = program(shape, cell.method, cell.steps)
    weights = jnp.stack([ravel_pytree(first_weights(shape, seed))[0] for seed in seeds])
    pairs = jax.tree.map(jnp.asarray, pairs)
    state = State(
        weights,
        jnp.full(len(seeds), FIRST_DAMPING),
        compiled.loss(weights, pairs),
    )
    jax.block_until_ready(compiled.iterate(state, pairs))  # compiles
    history, seconds = [weights], [0.0]
    for _ in range(0, iterations, AT_ONCE):
        start = time.process_time()
        state = jax.block_until_ready(compiled.iterate(state, pairs))
        seconds.append(time.process_time() - start)
        history.append(state.weights)
    each = min(seconds[1:]) / len(seeds)
    residuals = pairs.z_next.shape[1] * pairs.z_next.shape[2]
    return Fit(
        state.weights,
        [AT_ONCE * n for n in range(len(history))],
        [each * n for n in range(len(history))],
        history,
        np.sqrt(np.asarray(state.loss) / residuals),
    )


def weights_of(cell: Cell, weights: Any) -> list[np.ndarray]:
    """The weights of one seed, as a Keras model with this f has them."""
    compiled = program(shape_of(cell.system), cell.method, cell.steps)
    return [np.asarray(values) for values in compiled.unravel(weights)]
