"""What a step makes of small changes of the state: |R(dt lambda)| beside |exp(dt lambda)|."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from keras_rk.analysis.stability import StabilityFunction

ROUNDING = 1e-4  # of |R(z)|: derivatives by differences in float32 are no more exact than that
GROWTH = 0.01  # where the ODE itself grows, a step may grow by so much more


@dataclass(frozen=True)
class Amplification:
    """What a step multiplies small changes by, beside what the ODE multiplies them by.

    Attributes:
        scaled: z = dt lambda for the eigenvalues lambda that were looked at, the worst one first:
            that of the largest |R(z)| relative to what is allowed.
        factors: |R(z)| for each of them.
        outside: how many of them lie outside, see `limits`.
    """

    scaled: tuple[complex, ...]
    factors: tuple[float, ...]
    outside: int

    @property
    def worst(self) -> tuple[complex, float, float]:
        """z, |R(z)| and |exp(z)| where a step amplifies most beyond what is allowed."""
        return self.scaled[0], self.factors[0], float(np.exp(self.scaled[0].real))


def amplification(R: StabilityFunction, scaled: np.ndarray) -> Amplification:
    """What R makes of eigenvalues, times dt.

    >>> from keras_rk.analysis.stability import stability_function
    >>> amplification(stability_function("euler"), np.array([-0.5, 1j])).worst
    (1j, 1.4142135623730951, 1.0)
    """
    factors = np.abs(R(scaled))
    excess = factors / limits(scaled)
    order = np.argsort(-excess, kind="stable")
    return Amplification(
        tuple(complex(z) for z in scaled[order]),
        tuple(float(factor) for factor in factors[order]),
        int(np.sum(~(excess <= 1))),
    )


def limits(scaled: np.ndarray) -> np.ndarray:
    """How large |R(z)| may be for z not to lie outside.

    Where the ODE damps or keeps (Re z <= 0), no larger than one; where it grows, no larger than
    |exp(z)| but for one part in a hundred. Both up to the rounding of derivatives.
    """
    flow = np.exp(np.clip(scaled.real, 0, 700))
    grows = scaled.real > 1e-3 * np.abs(scaled)
    return flow * np.where(grows, 1 + GROWTH, 1 + ROUNDING)


def is_disc_inside(R: StabilityFunction, radius: float) -> bool:
    """Whether no z with |z| <= radius lies outside, on a grid: where eigenvalues may be anywhere.

    >>> from keras_rk.analysis.stability import stability_function
    >>> rk4 = stability_function("rk4")
    >>> is_disc_inside(rk4, 0.5), is_disc_inside(rk4, 2.5)
    (True, False)
    """
    if not np.isfinite(radius):
        return False
    angles = np.exp(1j * np.linspace(0, np.pi, 181))  # R is real on the real axis
    z = np.outer(np.linspace(0, radius, 41), angles).ravel()
    return bool(np.all(np.abs(R(z)) <= limits(z)))
