"""The points of the spirals: the paper's, and harder ones."""

from __future__ import annotations

import numpy as np
from spirals_example import paper_data, two_spirals

Points = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
# Degrees to which the spirals turn, and the standard deviation of normal noise.
HARDER_SPIRALS = {"spirals_turns": (1170.0, 0.3), "spirals_noise": (780.0, 0.8)}


def points(data: str, seed: int) -> Points:
    """2,000 training and 600 test points: x_train, y_train, x_test, y_test.

    The spirals of the paper turn by 780 degrees, with noise between 0 and 0.5 in each coordinate:
    most networks come to 99 %. "spirals_turns" turn by half as much again. In "spirals_noise" the
    two, which are pi apart, run into each other: no rule is right for more than about 96 %.
    """
    if data == "spirals":
        return paper_data(seed)
    degrees, noise = HARDER_SPIRALS[data]
    rng = np.random.default_rng(seed)
    (x, y), (x_test, y_test) = (two_spirals(n, rng, 0.0, degrees) for n in (2000, 600))
    x, x_test = (z + rng.normal(scale=noise, size=z.shape).astype("float32") for z in (x, x_test))
    return x, y, x_test, y_test
