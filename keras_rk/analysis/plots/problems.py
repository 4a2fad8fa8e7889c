"""Test problems whose solution at the end is known, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

__all__ = ["PROBLEMS", "Problem"]


@dataclass(frozen=True)
class Problem:
    """An initial value problem y' = f(t, y), y(0) = start, and its solution at the end.

    Attributes:
        name: as a picture's title has it.
        f: a function of t and a NumPy array y.
        start: y(0).
        duration: the end of time.
        solution: y(duration).
        source: where the solution comes from.
    """

    name: str
    f: Callable[[float, Any], Any]
    start: tuple[float, ...]
    duration: float
    solution: tuple[float, ...]
    source: str = ""


def _kepler(_t: float, y: Any) -> list[float]:
    """Two bodies: x'' = -x / |x|^3."""
    x, z, u, v = y.tolist()
    cube = (x * x + z * z) ** 1.5
    return [u, v, -x / cube, -z / cube]


def _lotka_volterra(_t: float, y: Any) -> list[float]:
    """Prey and predators: u' = u (1 - v), v' = v (u - 1)."""
    u, v = y.tolist()
    return [u * (1 - v), v * (u - 1)]


def _brusselator(_t: float, y: Any) -> list[float]:
    """An oscillating chemical reaction: u' = 1 + u^2 v - 4 u, v' = 3 u - u^2 v."""
    u, v = y.tolist()
    return [1 + u * u * v - 4 * u, 3 * u - u * u * v]


def _cosine(t: float, y: Any) -> Any:
    """y' = y cos t."""
    return y * math.cos(t)


_ECCENTRICITY = 0.3
_ELLIPSE = (1 - _ECCENTRICITY, 0.0, 0.0, math.sqrt((1 + _ECCENTRICITY) / (1 - _ECCENTRICITY)))

PROBLEMS: Mapping[str, Problem] = MappingProxyType(
    {
        "kepler": Problem(
            "two bodies (Kepler), eccentricity 0.3, one period",
            _kepler,
            _ELLIPSE,
            2 * math.pi,
            _ELLIPSE,
            "after one period the solution is where it began",
        ),
        "lotka_volterra": Problem(
            "prey and predators (Lotka, Volterra), y(0) = (2, 1), t = 10",
            _lotka_volterra,
            (2.0, 1.0),
            10.0,
            (0.450309785212269520085327402618774, 0.695273438172231101683868723854532),
            "computed by Taylor series with 30 digits (mpmath 1.3, odefun)",
        ),
        "brusselator": Problem(
            "Brusselator, y(0) = (3/2, 3), t = 20",
            _brusselator,
            (1.5, 3.0),
            20.0,
            (0.498637071268347848649855486, 4.596780349452011183201743914),
            "computed by Taylor series with 25 digits (mpmath 1.3, odefun)",
        ),
        "cosine": Problem(
            "y' = y cos t, y(0) = 1, t = 20",
            _cosine,
            (1.0,),
            20.0,
            (math.exp(math.sin(20.0)),),
            "y = exp(sin t)",
        ),
    }
)
