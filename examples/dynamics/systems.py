"""The systems whose vector fields are learned, in the coordinates that the networks see.

Each is y' = F(y) in its usual units, and z' = f(z) with y = center + scale * z, so that the entries
of z are of size one:

    f(z) = F(center + scale * z) / scale

A Runge-Kutta method does the same to z as to y.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

TOLERANCE = 1e-12  # of DOP853, relative and absolute
POINTS = 16  # of the heat equation, on a circle of length 2 pi
DIFFUSION = 0.2

Array = np.ndarray


@dataclass(frozen=True)
class System:
    """A system of differential equations, and where its states are drawn.

    Attributes:
        rhs: F(y, xp) for y of shape (..., d); xp is `numpy` or `jax.numpy`.
        center, scale: the affine map between y and z.
        draw: first states y, shape (count, d), from a generator.
        settle: each first state moves along its orbit for a time uniform in [0, settle], so that
            states are those that a system in motion is found in.
        local: whether f is the same function of the neighbourhood at each of the d points of a
            circle.
    """

    name: str
    equation: str
    rhs: Callable[[Any, Any], Any]
    center: tuple[float, ...]
    scale: tuple[float, ...]
    draw: Callable[[np.random.Generator, int], Array]
    settle: float
    local: bool = False

    @property
    def dimension(self) -> int:
        return POINTS if self.local else len(self.center)

    def field(self, z: Any, xp: Any = np) -> Any:
        """f(z)."""
        center, scale = np.array(self.center), np.array(self.scale)
        return self.rhs(center + scale * z, xp) / scale

    def flow(self, z: Array, times: Any) -> Array:
        """The exact flow: each state, shape (n, d), after its own time, to 1e-12.

        All states are one system for DOP853: with s from 0 to 1, dz_i/ds = times_i * f(z_i).
        """
        times = np.broadcast_to(np.asarray(times, dtype=float), (len(z),))[:, None]

        def derivative(_: float, flat: Array) -> Array:
            return (times * self.field(flat.reshape(z.shape))).ravel()

        solution = solve_ivp(
            derivative,
            (0.0, 1.0),
            np.asarray(z, dtype=float).ravel(),
            method="DOP853",
            rtol=TOLERANCE,
            atol=TOLERANCE,
            t_eval=[1.0],
        )
        if not solution.success:
            raise ArithmeticError(f"DOP853 stopped on {self.name}: {solution.message}")
        return solution.y[:, -1].reshape(z.shape)

    def states(self, rng: np.random.Generator, count: int) -> Array:
        """States z in which the system is found."""
        y = self.draw(rng, count)
        z = (y - np.array(self.center)) / np.array(self.scale)
        return self.flow(z, rng.uniform(0.0, self.settle, count))


def box(*bounds: tuple[float, float]) -> Callable[[np.random.Generator, int], Array]:
    """Draws uniformly from a box."""
    low, high = np.array(bounds).T
    return lambda rng, count: rng.uniform(low, high, (count, len(low)))


def lotka_volterra(y: Any, xp: Any) -> Any:
    prey, predators = y[..., 0], y[..., 1]
    return xp.stack([1.5 * prey - prey * predators, prey * predators - 3 * predators], axis=-1)


def pendulum(y: Any, xp: Any) -> Any:
    return xp.stack([y[..., 1], -9.81 * xp.sin(y[..., 0])], axis=-1)


def van_der_pol(y: Any, xp: Any) -> Any:
    return xp.stack([y[..., 1], (1 - y[..., 0] ** 2) * y[..., 1] - y[..., 0]], axis=-1)


def lorenz(y: Any, xp: Any) -> Any:
    a, b, c = y[..., 0], y[..., 1], y[..., 2]
    return xp.stack([10 * (b - a), a * (28 - c) - b, a * b - 8 / 3 * c], axis=-1)


def heat(u: Any, xp: Any) -> Any:
    width = 2 * np.pi / POINTS
    second = xp.roll(u, 1, axis=-1) - 2 * u + xp.roll(u, -1, axis=-1)
    return DIFFUSION / width**2 * second + u - u**3


def waves(rng: np.random.Generator, count: int) -> Array:
    """Random functions on the circle: waves of all lengths, the short ones small."""
    numbers = np.arange(1, POINTS // 2)
    x = 2 * np.pi * np.arange(POINTS) / POINTS
    size = rng.uniform(0, 1, (count, len(numbers))) / numbers / 2
    phase = rng.uniform(0, 2 * np.pi, (count, len(numbers), 1))
    mean = rng.uniform(-0.6, 0.6, (count, 1))
    return mean + np.einsum("cn,cnx->cx", size, np.cos(np.outer(numbers, x) + phase))


SYSTEMS = {
    system.name: system
    for system in (
        System(
            "lotka_volterra",
            "x' = 1.5 x - x y, y' = x y - 3 y",
            lotka_volterra,
            center=(3.0, 1.5),
            scale=(1.5, 1.0),
            draw=box((1.5, 5.0), (0.75, 2.5)),
            settle=4.0,
        ),
        System(
            "pendulum",
            "a'' = -9.81 sin a",
            pendulum,
            center=(0.0, 0.0),
            scale=(1.0, 3.0),
            draw=box((-2.0, 2.0), (-1.5, 1.5)),
            settle=3.0,
        ),
        System(
            "van_der_pol",
            "x'' = (1 - x²) x' - x",
            van_der_pol,
            center=(0.0, 0.0),
            scale=(1.5, 1.5),
            draw=box((-2.0, 2.0), (-2.0, 2.0)),
            settle=2.0,
        ),
        System(
            "lorenz",
            "x' = 10 (y - x), y' = x (28 - z) - y, z' = x y - 8/3 z",
            lorenz,
            center=(0.0, 0.0, 24.0),
            scale=(8.0, 9.0, 8.5),
            draw=box((-10.0, 10.0), (-10.0, 10.0), (15.0, 35.0)),
            settle=10.0,
        ),
        System(
            "heat",
            f"u_t = {DIFFUSION:g} u_xx + u - u³ on a circle, {POINTS} points",
            heat,
            center=(0.0,),
            scale=(0.5,),
            draw=waves,
            settle=1.0,
            local=True,
        ),
    )
}
