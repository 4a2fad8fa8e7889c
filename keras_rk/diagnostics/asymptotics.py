"""The order that distances show: their slope, as far as they are in the asymptotic range."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from keras_rk.diagnostics.tables import shown

ABOVE_FLOOR = 4  # how many times the floor a distance must be to count
CHANGE = 0.5  # how far orders of the asymptotic range may be apart, of 1 or relative
UNRESOLVED = 0.1  # a limit that is known no better is none
SCATTER = 2.0  # how far orders may be apart that go up and down


def fitted_order(
    substeps: Sequence[int], distances: Sequence[float], floor: float
) -> tuple[float | None, str]:
    """The slope in the asymptotic range, or None; and what is to be said about it.

    >>> fitted_order((1, 2, 4, 8), (9e9, 0.16, 0.01, 0.000625), 1e-7)[0].__round__(6)
    4.0
    """
    if not math.isfinite(floor):
        return None, "the limit is not finite: take more substeps"
    if floor > UNRESOLVED:
        return None, f"the limit is not resolved, known to {shown(floor)} only: take more substeps"
    points = [
        (m, x) for m, x in zip(substeps, distances, strict=True) if counts_as_distance(x, floor)
    ]
    if len(points) < 2:
        above = "only one distance is" if points else "no distance is"
        return None, f"{above} above four times {shown(floor)}, which the limit is known to"
    orders = [math.log(x / y) / math.log(n / m) for (m, x), (n, y) in pairwise(points)]
    if orders[-1] <= 0:
        return None, "distances do not fall: steps are too large, take more substeps"
    length, scatter = _asymptotic(orders)
    if not length:
        two = " and ".join(shown(order) for order in orders[-2:])
        return None, f"orders still change, {two} at last: take more substeps"
    used = points[-length - 1 :]
    logs = np.log(np.array(used))
    return float(-np.polyfit(logs[:, 0], logs[:, 1], 1)[0]), _note(substeps, used, scatter)


def _asymptotic(orders: Sequence[float]) -> tuple[int, str]:
    """How many of the last orders are of the asymptotic range, and how they scatter."""
    length = 1
    while length < len(orders) and _agree(*orders[-length - 1 : len(orders) - length + 1]):
        length += 1
    if length > 1 or len(orders) == 1:
        return length, ""
    for length in range(len(orders), 2, -1):
        last = orders[-length:]
        changes = np.sign(np.diff(last))
        if min(last) > 0 and max(last) - min(last) < SCATTER and np.any(changes != changes[0]):
            return (
                length,
                f"between {shown(min(last))} and {shown(max(last))}, as where f has kinks",
            )
    return 0, ""


def _agree(order: float, following: float) -> bool:
    """Whether two orders, one after the other, are of the asymptotic range."""
    return order > 0 and abs(order - following) <= CHANGE * max(1.0, following)


def _note(substeps: Sequence[int], used: Sequence[tuple[int, float]], scatter: str) -> str:
    left_out = ", ".join(str(m) for m in substeps if m < used[0][0])
    parts = [f"without {left_out} substeps, not in the asymptotic range"] if left_out else []
    parts += ["by two distances only"] if len(used) == 2 else []
    return "; ".join([*parts, *([scatter] if scatter else [])])


def counts_as_distance(distance: float, floor: float) -> bool:
    return ABOVE_FLOOR * floor < distance < math.inf
