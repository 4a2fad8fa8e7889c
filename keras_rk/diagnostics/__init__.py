"""Is a trained network an ODE? What its Runge-Kutta layers compute, beside what they approximate.

- `ode_consistency`: the trained network beside the limit of ever smaller steps
- `observed_order`: how fast a method converges to that limit
- `local_error`: the error of each block, by an embedded pair
- `smoothness`: whether the weights of a stack are a function of depth
- `CriticalStep`: the largest step that still stands for an ODE, found while training
- `lipschitz`: how steep f is in each block, beside the stability interval of the method

Each function returns a report: `print(report)`, `report.to_dict()`, `report.plot("picture.png")`.
Imports `models` and what is below it.
"""

import keras_rk.layers  # noqa: F401  (it says what to install where Keras is missing)
from keras_rk.diagnostics.consistency import ode_consistency
from keras_rk.diagnostics.consistency_report import ConsistencyReport, Limit, Run
from keras_rk.diagnostics.convergence import OrderReport, observed_order
from keras_rk.diagnostics.critical_step import Check, CriticalStep
from keras_rk.diagnostics.local_errors import BlockError, LocalErrorReport, local_error
from keras_rk.diagnostics.smoothness import smoothness
from keras_rk.diagnostics.smoothness_report import Scaling, SmoothnessReport, WeightInDepth
from keras_rk.diagnostics.steepness import LipschitzReport, Steepness, lipschitz

__all__ = [
    "BlockError",
    "Check",
    "ConsistencyReport",
    "CriticalStep",
    "Limit",
    "LipschitzReport",
    "LocalErrorReport",
    "OrderReport",
    "Run",
    "Scaling",
    "SmoothnessReport",
    "Steepness",
    "WeightInDepth",
    "lipschitz",
    "local_error",
    "observed_order",
    "ode_consistency",
    "smoothness",
]
