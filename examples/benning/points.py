"""The four sets of points, as the authors' scripts draw them.

Two classes in the plane; all points are blurred by normal noise at the end:

    donut1d    on a line: a third of the points around 0, the others around -1/2 and 1/2
    donut2d    a disc inside a ring of radius 1/2
    squares    the squares of a 2 x 2 checkerboard
    spiral     two arms of one turn
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

GRID = np.linspace(-1, 1, 100)
SPREAD = 0.1


def _blurred(x: np.ndarray, labels: np.ndarray, noise: float, rng: np.random.Generator) -> tuple:
    order = rng.permutation(len(x))
    x = x + noise * rng.normal(size=x.shape)
    return x[order].astype("float32"), labels[order].astype("float32")


def _on_circles(inner: int, outer: int, places: np.ndarray, rng: np.random.Generator) -> tuple:
    """Places with a normal density around radius 0 (label 1), and others around radius 1/2."""
    radius = np.hypot(*places.T)
    parts = []
    for count, middle in ((inner, 0.0), (outer, 0.5)):
        density = np.exp(-((radius - middle) ** 2) / (2 * SPREAD**2))
        parts.append(places[rng.choice(len(places), count, p=density / density.sum())])
    return _blurred(np.concatenate(parts), np.repeat([1.0, 0.0], [inner, outer]), 0.1, rng)


def donut1d(count: int, rng: np.random.Generator) -> tuple:
    inner = -(-count // 3)
    return _on_circles(inner, count - inner, np.stack([GRID, 0 * GRID], axis=1), rng)


def donut2d(count: int, rng: np.random.Generator) -> tuple:
    inner = -(-count // 2)
    places = np.stack(np.meshgrid(GRID, GRID), axis=-1).reshape(-1, 2)
    return _on_circles(inner, count - inner, places, rng)


def squares(count: int, rng: np.random.Generator) -> tuple:
    x = rng.uniform(-0.7, 0.7, size=(count, 2))
    return _blurred(x, (x[:, 0] * x[:, 1] > 0) * 1.0, 0.1, rng)


def spiral(count: int, rng: np.random.Generator) -> tuple:
    first = -(-count // 2)
    arms = []
    for points, start in ((first, np.pi), (count - first, 0.0)):
        radius, angle = np.linspace(0.1, 1, points), np.linspace(0.1, 2 * np.pi, points) + start
        arms.append(np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1))
    labels = np.repeat([1.0, 0.0], [first, count - first])
    return _blurred(np.concatenate(arms), labels, 0.05, rng)


DATA: dict[str, Callable[[int, np.random.Generator], tuple]] = {
    "donut1d": donut1d,
    "donut2d": donut2d,
    "squares": squares,
    "spiral": spiral,
}


def points(name: str, seed: int, count: int) -> tuple[np.ndarray, ...]:
    """Points and labels for training, and as many for the test."""
    rng = np.random.default_rng([seed, list(DATA).index(name)])
    return (*DATA[name](count, rng), *DATA[name](count, rng))
