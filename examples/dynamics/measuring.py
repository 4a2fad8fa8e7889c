"""What is measured of a trained cell: the error of f, and of orbits that are rolled out.

The norm is the root of the mean square over the entries of z (which are of size one) and over
states. Errors of f are relative:

    field_error        |g - f| / |f|, g the learned field
    rate               |f'f| / |f|, of the system
    modified_error     |g - (f + h/2 f'f)| / |f|, h = dt / steps
    exact_euler_error  |g - (phi_h(z) - z) / h| / |f|, phi the exact flow: what a field has to be
                       for Euler's method to be exact on snapshots h apart

Orbits start from states that no training set has, and run for 20 units of time; a pair of
snapshots spans at most 0.4 (0.6 in uneven samples), an orbit of the training set at most 1.2
(1.8). They are rolled out with the training method at dt ("own"), with it at dt / 2 ("half"), and
with steps so small that the flow of g is what is seen ("fine"). Compared every 0.4:

    rollout error      the norm of the difference, over times and orbits, each distance at most 1
    valid time         when the distance first exceeds 0.3 (or 20), the mean over orbits
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from cells import PORTRAIT_DTS, PORTRAIT_METHODS, Cell
from fitting import Fit, Program, program
from shared import Record
from snapshots import EVERY, HORIZON, shape_of, test_orbits, test_states
from systems import SYSTEMS

FINE_METHOD, FINE_DT = "rk8", 0.025
PORTRAIT_EVERY = 0.05
WRONG = 0.3  # the distance at which an orbit is no longer valid
MOST = 1.0  # larger distances count as this one


def measure(cell: Cell, fit: Fit, seeds: Sequence[int]) -> list[Record]:
    """What there is to say of each seed."""
    system, z = SYSTEMS[cell.system], test_states(cell.system)
    compiled = program(shape_of(cell.system), cell.method, cell.steps)
    h = cell.dt / cell.steps
    f = system.field(z)
    learned = [np.asarray(compiled.value(weights, z)) for weights in fit.history]
    errors = {
        "field_error": relative(learned[-1] - f, f),
        "modified_error": relative(learned[-1] - modified_field(cell.system, h), f),
        "exact_euler_error": relative(learned[-1] - exact_euler_field(cell.system, h), f),
    }
    curves = [relative(values - f, f) for values in learned]
    ways = rollouts(cell, fit.weights)
    portraits = {0: portrait(cell, fit.weights[:1])} if has_portrait(cell) else {}
    return [
        {
            "cell": cell.to_dict(),
            "seed": seeds[n],
            **{name: values[n] for name, values in errors.items()},
            "residual": fit.residual[n],
            "rate": rate(cell.system),
            "curve": {
                "iterations": fit.iterations,
                "seconds": fit.seconds,
                "field_error": [values[n] for values in curves],
            },
            "rollout": {
                way: {"error": error[n], "valid_time": valid[n]}
                for way, (error, valid) in ways.items()
            },
            **portraits.get(n, {}),
        }
        for n in range(len(fit.weights))
    ]


def relative(difference: Any, reference: Any) -> Any:
    """|difference| / |reference| over the last two axes."""
    size = np.sqrt(np.mean(np.square(reference)))
    return np.sqrt(np.mean(np.square(difference), axis=(-2, -1))) / size


@cache
def modified_field(system: str, h: float) -> Any:
    """f + h/2 f'f at the test states."""
    f, slope = second_derivative(system, test_states(system))
    return f + h / 2 * slope


def second_derivative(system: str, z: Any) -> tuple[Any, Any]:
    """f(z) and f'(z) f(z)."""
    z = jnp.asarray(z)
    f = SYSTEMS[system].field(z, jnp)
    pair = jax.jvp(lambda z: SYSTEMS[system].field(z, jnp), (z,), (f,))
    return np.asarray(pair[0]), np.asarray(pair[1])


@cache
def rate(system: str) -> float:
    """|f'f| / |f|: how fast f changes along an orbit."""
    f, slope = second_derivative(system, test_states(system))
    return float(relative(slope, f))


@cache
def exact_euler_field(system: str, h: float) -> Any:
    """(phi_h(z) - z) / h at the test states."""
    z = test_states(system)
    return (SYSTEMS[system].flow(z, h) - z) / h


def rollouts(cell: Cell, weights: Any) -> dict[str, tuple[Any, Any]]:
    """Rollout error and valid time by seed, for each way to roll out."""
    shape = shape_of(cell.system)
    own, fine = program(shape, cell.method, cell.steps), program(shape, FINE_METHOD, 1)
    true = test_orbits(cell.system)
    ways = {
        "own": roll(own, weights, true[0], cell.dt),
        "half": roll(own, weights, true[0], cell.dt / 2),
        "fine": roll(fine, weights, true[0], FINE_DT),
    }
    return {way: compare_orbits(orbits, true) for way, orbits in ways.items()}


def roll(compiled: Program, weights: Any, z: Any, dt: float) -> Any:
    """Orbits every 0.4, shape (seeds, times, orbits, d)."""
    times = round(HORIZON / EVERY)
    return np.asarray(_roller(compiled, times)(weights, jnp.asarray(z), dt, round(EVERY / dt)))


@cache
def _roller(compiled: Program, times: int) -> Any:
    def orbits(weights: Any, z: Any, dt: Any, inner: Any) -> Any:
        h = jnp.full((len(z), 1), dt)

        def some_steps(z: Any, _: None) -> tuple[Any, Any]:
            z = jax.lax.fori_loop(0, inner, lambda _, z: compiled.step(weights, z, h), z)
            return z, z

        return jax.lax.scan(some_steps, z, None, length=times)[1]

    return jax.jit(jax.vmap(orbits, in_axes=(0, None, None, None)))


def compare_orbits(orbits: Any, true: Any) -> tuple[Any, Any]:
    """Rollout error and valid time by seed."""
    distance = np.sqrt(np.mean(np.square(orbits - true[1:]), axis=-1))
    distance = np.where(np.isfinite(distance), distance, np.inf)  # (seeds, times, orbits)
    error = np.sqrt(np.mean(np.square(np.minimum(distance, MOST)), axis=(1, 2)))
    wrong = distance > WRONG
    first = np.where(wrong.any(axis=1), wrong.argmax(axis=1), wrong.shape[1])
    return error, EVERY * first.mean(axis=1)


def has_portrait(cell: Cell) -> bool:
    """Whether the record of its first seed has an orbit to draw."""
    return (
        (cell.sampling, cell.steps) == ("even", 1)
        and cell.method in PORTRAIT_METHODS
        and PORTRAIT_DTS.get(cell.system) == cell.dt
    )


def portrait(cell: Cell, weights: Any) -> dict[str, Any]:
    """One orbit of the learned field beside the true one, often enough to be drawn."""
    z = test_states(cell.system)[:1]
    times = round(HORIZON / PORTRAIT_EVERY)
    roller = _roller(program(shape_of(cell.system), FINE_METHOD, 1), times)
    learned = np.asarray(roller(weights, z, FINE_DT, round(PORTRAIT_EVERY / FINE_DT)))[0, :, 0]
    true = [z]
    for _ in range(times):
        true.append(SYSTEMS[cell.system].flow(true[-1], PORTRAIT_EVERY))
    return {"portrait": {"learned": [z[0], *learned], "true": [state[0] for state in true]}}
