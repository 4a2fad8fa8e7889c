"""Does `keras_rk.diagnostics.ode_consistency` tell a learned method from a learned field?

It knows the trained network and states, and neither f nor a snapshot. The network it is given
returns the increment, step(z) - z, which is dt times what was learned: the distance of that from
its limit of ever smaller steps is a relative error of the field, whatever dt.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from cells import Cell
from fields import UNITS, Field
from shared import Record
from snapshots import shape_of, test_states

from keras_rk.diagnostics import ode_consistency
from keras_rk.layers import RKResidual

STATES = 200
SUBSTEPS = (1, 2, 4, 8)


def increment(cell: Cell, weights: list[np.ndarray]) -> keras.Model:
    """The trained network as z -> step(z) - z, with dt fixed."""
    shape = shape_of(cell.system)
    z = keras.Input((shape.dimension,), dtype="float64")
    f = Field(UNITS[shape.local], shape.local)
    block = RKResidual(f, cell.method, dt=cell.dt / cell.steps, steps=cell.steps)
    model = keras.Model(z, keras.layers.Subtract()([block(z), z]))
    model.set_weights(weights)
    return model


def diagnose(cell: Cell, seed: int, weights: list[np.ndarray]) -> Record:
    """What the diagnostics say of a trained cell."""
    report: Any = ode_consistency(
        increment(cell, weights),
        test_states(cell.system)[:STATES],
        methods=["rk4"],
        substeps=SUBSTEPS,
        control=0,
        coarsening=(),
        batch_size=STATES,
        verbose=0,
    )
    return {"cell": cell.to_dict(), "seed": seed, "report": report.to_dict()}
