"""The step size controller of Hairer, Norsett and Wanner, with the values of their code DOPRI5.

    norm  = sqrt(mean((error / (atol + rtol max(|y_0|, |y_1|)))^2))
    h_new = h / max(1/10, min(5, norm^(1/k - 0.75 beta) / norm_old^beta / safety))

after a step, which is accepted if norm <= 1, with k = min(p, p_hat) + 1, safety = 0.9 and
beta = 0.04, where norm_old is that of the accepted step before, at least 1e-4. After a rejected
one h_new = h / min(5, norm^(1/k - 0.75 beta) / safety), and the next is not longer.

E. Hairer, S. P. Norsett, G. Wanner, *Solving Ordinary Differential Equations I*, and their code
DOPRI5, of which copies were read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keras import ops

SAFETY = 0.9
MOST_SHRINKING, MOST_GROWTH = 1 / 5, 10.0
BETA = 0.04
SMALLEST_NORM = 1e-4  # of an accepted step, for the next one's factor
LARGEST_NORM = 1e10  # stands for what is not finite
STRETCH = 1.01  # the last step may be that much longer than wanted


@dataclass(frozen=True)
class StepControl:
    """What errors are, and which steps follow from them.

    Args:
        rtol, atol: the tolerances.
        order: the lower one of a pair.
        axes: the axes of y over which a norm is the mean.
    """

    rtol: float
    atol: float
    order: int
    axes: tuple[int, ...] | None

    def norm(self, x: Any, *states: Any) -> Any:
        """The root mean square of x relative to the tolerances, its axes kept with size one."""
        size = ops.abs(states[0])
        for state in states[1:]:
            size = ops.maximum(size, ops.abs(state))
        size = self.atol + self.rtol * size
        if self.atol == 0:  # no error is none, also where y is zero and no other one is allowed
            size = ops.where(x == 0, ops.ones_like(size), size)
        scaled = x / size
        mean = ops.mean(ops.square(scaled), axis=self.axes, keepdims=self.axes is not None)
        return ops.sqrt(mean)

    def factors(self, norm: Any, norm_before: Any) -> tuple[Any, Any]:
        """What the step is to be divided by if it is accepted, and if it is rejected."""
        wanted = ops.power(norm, 1 / (self.order + 1) - 0.75 * BETA) / SAFETY
        damped = wanted / ops.power(norm_before, BETA)
        accepted = ops.clip(damped, 1 / MOST_GROWTH, 1 / MOST_SHRINKING)
        return accepted, ops.minimum(wanted, 1 / MOST_SHRINKING)

    def first_guess(self, y: Any, k: Any) -> tuple[Any, Any]:
        """A step so short that an explicit Euler step of its size does no harm, and |k|."""
        size, slope = self.norm(y, y), self.norm(k, y)
        tiny = ops.logical_or(size <= 1e-5, slope <= 1e-5)
        guess = 0.01 * size / ops.where(tiny, ops.ones_like(slope), slope)
        return ops.where(tiny, 1e-6 * ops.ones_like(size), guess), slope

    def first_step(self, y: Any, guess: Any, slope: Any, change: Any) -> Any:
        """The first step, from the change of k over the guess: h^order * |y''| is 0.01."""
        curvature = self.norm(change, y) / guess
        largest = ops.maximum(slope, curvature)
        flat = largest <= 1e-15
        fitting = ops.power(
            0.01 / ops.where(flat, ops.ones_like(largest), largest), 1 / (self.order + 1)
        )
        step = ops.where(flat, ops.maximum(1e-6, 1e-3 * guess), fitting)
        return ops.minimum(100 * guess, step)
