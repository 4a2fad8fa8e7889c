"""The verdict on a residual: exact, numeric or failed, by its size and what tolerances allow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from keras_rk.errors import TableauError, shown

__all__ = [
    "EPS",
    "LARGEST_SHARE",
    "LARGEST_TOLERANCE",
    "SMALLEST_TOLERANCE",
    "Verdict",
    "check_tolerance",
    "judged",
]

Verdict = Literal["exact", "numeric", "failed"]
SMALLEST_TOLERANCE = 1e-12
# The bound is wide where coefficients are large. Measured over the named methods: their float64
# copies leave residuals up to 3.3e-11, and an order they lack has one of at least 4.2e-7.
LARGEST_TOLERANCE = 1e-9
# Of 1/gamma: no tolerance lets a weight pass that is farther from it. Float64 copies of published
# methods, up to order 12, miss 1/gamma by 3e-12 of it; the order that a named method lacks is
# missed by at least 1.8e-3 of it (verner65).
LARGEST_SHARE = 1e-3
EPS = 2.0**-52


def judged(
    size: float, largest: float, tolerance: float | None, rounding: Callable[[], float]
) -> Verdict:
    """The verdict on a residual that is not exactly zero.

    Args:
        size: the residual's absolute value.
        largest: more than that never passes.
        tolerance: that of the user, or None.
        rounding: what rounding the coefficients may leave; computed only where it decides.
    """
    if tolerance is not None:
        return "numeric" if size <= min(tolerance, largest) else "failed"
    if size > min(LARGEST_TOLERANCE, largest):
        return "failed"
    return "numeric" if size <= SMALLEST_TOLERANCE or size <= rounding() else "failed"


def check_tolerance(tolerance: Any) -> None:
    """Refuses what is no tolerance."""
    if tolerance is None:
        return
    if (
        isinstance(tolerance, bool)
        or not isinstance(tolerance, int | float)
        or not 0 <= tolerance < 1
    ):
        raise TableauError(
            "`tolerance` must be a number in [0, 1) or None. "
            f"Received: tolerance={shown(tolerance)}."
        )
