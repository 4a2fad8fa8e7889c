"""Is a trained network an ODE? What its Runge-Kutta layers compute, beside what they approximate.

- `ode_consistency`: the trained network beside the limit of ever smaller steps
- `observed_order`: how fast a method converges to that limit
- `local_error`: the error of each block, by an embedded pair
- `lipschitz`: how steep f is in each block, beside the stability interval of the method

Each returns a report: `print(report)`, `report.to_dict()`, `report.plot("picture.png")`.
Imports `models` and what is below it.
"""

import keras_rk.layers  # noqa: F401  (it says what to install where Keras is missing)
from keras_rk.diagnostics.consistency import ode_consistency
from keras_rk.diagnostics.consistency_report import ConsistencyReport, Run
from keras_rk.diagnostics.convergence import OrderReport, observed_order
from keras_rk.diagnostics.local_errors import BlockError, LocalErrorReport, local_error
from keras_rk.diagnostics.steepness import LipschitzReport, Steepness, lipschitz

__all__ = [
    "BlockError",
    "ConsistencyReport",
    "LipschitzReport",
    "LocalErrorReport",
    "OrderReport",
    "Run",
    "Steepness",
    "lipschitz",
    "local_error",
    "observed_order",
    "ode_consistency",
]
