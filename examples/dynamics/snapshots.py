"""What is known of a system: pairs of snapshots for training, states and orbits for tests."""

from __future__ import annotations

import zlib
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np
from cells import Cell, Shape
from systems import SYSTEMS, Array

LENGTH = 3  # pairs along one orbit
PAIRS = {False: 600, True: 60}  # global fields, and local ones: each state has 16 points
NOISE = 1e-3  # standard deviation, in the coordinates of the networks
TEST_STATES = 1000
ORBITS = 20  # rolled out
EVERY, HORIZON = 0.4, 20.0  # when rolled-out states are compared with the true ones
TEST_SEED = 10**6


class Pairs(NamedTuple):
    """States z, shape (..., pairs, d), times h, shape (..., pairs, 1), and states a time h on."""

    z: Any
    h: Any
    z_next: Any


def shape_of(system: str) -> Shape:
    return Shape(SYSTEMS[system].dimension, SYSTEMS[system].local)


def generator(cell: Cell, seed: int, what: str) -> np.random.Generator:
    """The same for all methods."""
    of = f"{cell.system} {cell.sampling} {what}"
    return np.random.default_rng([seed, zlib.crc32(of.encode())])


@lru_cache(maxsize=64)
def first_states(system: str, seed: int) -> Array:
    """Where the orbits of the training set begin; the same for all methods, dt and samplings."""
    count = PAIRS[SYSTEMS[system].local] // LENGTH
    rng = np.random.default_rng([seed, zlib.crc32(system.encode())])
    return SYSTEMS[system].states(rng, count)


def pairs(cell: Cell, seeds: list[int]) -> Pairs:
    """The training set for each seed, along the first axis."""
    system = SYSTEMS[cell.system]
    z = np.concatenate([first_states(cell.system, seed) for seed in seeds])
    hs = np.concatenate([step_sizes(cell, seed) for seed in seeds])
    orbit = [z]
    for k in range(LENGTH):
        orbit.append(system.flow(orbit[-1], hs[:, k]))
    states = np.stack(orbit, axis=1)  # (orbits of all seeds, LENGTH + 1, d)
    if cell.sampling == "noise":
        states = states + np.concatenate([noise(cell, seed) for seed in seeds])
    before, after = states[:, :-1], states[:, 1:]
    if cell.sampling == "derivatives":
        after = before + hs[..., None] * system.field(before)
    shape = (len(seeds), -1)
    return Pairs(
        before.reshape(*shape, system.dimension),
        hs.reshape(*shape, 1),
        after.reshape(*shape, system.dimension),
    )


def step_sizes(cell: Cell, seed: int) -> Array:
    """The times between snapshots, shape (orbits, LENGTH)."""
    shape = (len(first_states(cell.system, seed)), LENGTH)
    if cell.sampling == "uneven":
        return cell.dt * generator(cell, seed, "times").uniform(0.5, 1.5, shape)
    return np.full(shape, cell.dt)


def noise(cell: Cell, seed: int) -> Array:
    """What is added to the snapshots, shape (orbits, LENGTH + 1, d)."""
    shape = (len(first_states(cell.system, seed)), LENGTH + 1, SYSTEMS[cell.system].dimension)
    return NOISE * generator(cell, seed, "noise").normal(size=shape)


@cache
def test_states(system: str) -> Array:
    """States that no training set has."""
    count = TEST_STATES // (10 if SYSTEMS[system].local else 1)
    return SYSTEMS[system].states(np.random.default_rng(TEST_SEED), count)


@cache
def test_orbits(system: str) -> Array:
    """True orbits from some of these states, every 0.4, shape (times + 1, orbits, d)."""
    orbit = [test_states(system)[:ORBITS]]
    for _ in range(round(HORIZON / EVERY)):
        orbit.append(SYSTEMS[system].flow(orbit[-1], EVERY))
    return np.stack(orbit)
