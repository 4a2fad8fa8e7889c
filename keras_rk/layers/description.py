"""What a Runge-Kutta layer is, in a few words."""

from __future__ import annotations

from collections import Counter
from typing import Any

import keras

_MOST = 4  # kinds of layers that are named


def description(layer: Any) -> str:
    """Method, dt, steps and f of a Runge-Kutta layer.

    >>> from keras_rk.layers import RKResidual
    >>> f = keras.Sequential([keras.layers.Dense(8), keras.layers.BatchNormalization()])
    >>> description(RKResidual(f, "rk4", dt=0.1, steps=4))
    'rk4, dt=0.1, 4 steps, Dense + BatchNormalization'
    """
    tableau = layer.tableau
    parts = [tableau.name or f"method of {counted(tableau.stages, 'stage')}"]
    if hasattr(layer, "depth"):
        parts.append(counted(layer.depth, "block"))
    if hasattr(layer, "dt"):
        several = isinstance(layer.dt, (tuple, list))
        learned = ", trained" if layer.trainable_dt else ""
        parts.append(f"a dt for each block{learned}" if several else f"dt={layer.dt}{learned}")
        parts.append(counted(layer.steps, "step"))
    return ", ".join([*parts, _field(layer.layer)])


def counted(number: int, name: str) -> str:
    return f"{number} {name}{'' if number == 1 else 's'}"


def _field(f: keras.layers.Layer) -> str:
    """The kinds of layers in f, if it is a model of a few."""
    inside = [x for x in getattr(f, "layers", ()) if not isinstance(x, keras.layers.InputLayer)]
    if not isinstance(f, keras.Model) or not inside:
        return type(f).__name__
    kinds = Counter(type(x).__name__ for x in inside)
    if len(kinds) > _MOST:
        return f"{type(f).__name__} of {len(inside)} layers"
    return " + ".join(f"{n} {name}" if n > 1 else name for name, n in kinds.items())
