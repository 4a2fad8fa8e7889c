"""What to try where a limit is not resolved."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import keras

from keras_rk.analysis.stability import stability_function
from keras_rk.diagnostics.arguments import Method
from keras_rk.diagnostics.steepness import lipschitz
from keras_rk.diagnostics.tables import label, shown

MOST = 2**12  # substeps that are worth a try


class Steepest(NamedTuple):
    """The steepest block, on the states that the data pass.

    Attributes:
        block: what it is called.
        dt: its |dt|.
        lipschitz: the largest norm of the Jacobian of f.
        interval: how far the method of the limit is stable along the negative real axis.
    """

    block: str
    dt: float
    lipschitz: float
    interval: float

    @property
    def substeps(self) -> int:
        """The smallest number of substeps with |dt| L / substeps inside the interval."""
        return max(1, math.ceil(self.dt * self.lipschitz / self.interval))


def steepest_block(model: keras.Model, data: Any, best: Method) -> Steepest | None:
    """The block that asks for the smallest steps; None where that cannot be found out."""
    try:
        blocks = lipschitz(model, data, states=16, verbose=0).blocks
    except Exception:  # data that are no arrays, an f whose Jacobian cannot be had
        return None
    finite = [block for block in blocks if math.isfinite(block.lipschitz)]
    interval = stability_function(best.tableau).real_interval
    if not finite or not 0 < interval < math.inf:
        return None
    block = max(finite, key=lambda block: block.dt * block.lipschitz)
    return Steepest(label(block), block.dt, block.lipschitz, interval)


def advise(
    method: str,
    order: int,
    substeps: int,
    error: float,
    wanted: float,
    steepest: Steepest | None,
) -> str:
    """What to try where the error of a limit is larger than wanted.

    Args:
        method, order, substeps: the limit's.
    """
    needed = substeps * 2
    if wanted > 0 and math.isfinite(error):
        needed = max(needed, math.ceil(substeps * (error / wanted) ** (1 / order)))
    if steepest is not None:
        needed = max(needed, 2 * steepest.substeps)
    needed = 2 ** math.ceil(math.log2(needed))
    if needed <= MOST:
        said = f"try more substeps: substeps=[..., {needed // 2}, {needed}]"
    else:
        said = f"more substeps alone would have to be over {MOST}"
    if steepest is not None and steepest.lipschitz > 0:
        size, dt = steepest.dt * steepest.lipschitz, steepest.interval / steepest.lipschitz
        said += (
            f"; f is steepest in {steepest.block}, with |dt| L = {shown(size)}, and {method} damps "
            f"decay up to {shown(steepest.interval)}: that asks for |dt| <= {shown(dt)}, "
            f"substeps >= {steepest.substeps}"
        )
    if not math.isfinite(error):
        said += "; outputs are not finite, so the flow itself may end before the last block does"
    return said
