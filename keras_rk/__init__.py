"""Runge-Kutta residual layers for Keras 3, and exact Butcher tableaux.

Importing this package imports neither Keras nor a backend: what needs them is loaded when it
is first touched. The layers are registered for `keras.models.load_model` as soon as both
packages are imported, in whichever order.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from wrapt import register_post_import_hook

if TYPE_CHECKING:
    from keras_rk import (
        checker,
        coefficients,
        diagnostics,
        layers,
        order_conditions,
        rooted_trees,
        stability,
        tableaux,
    )
    from keras_rk.checker import CheckReport, check
    from keras_rk.method_replacement import with_method
    from keras_rk.monitor import RKMonitor
    from keras_rk.recalibration import recalibrate
    from keras_rk.tableau import Tableau, TableauError

__version__ = "0.1.0"

__all__ = [
    "CheckReport",
    "RKMonitor",
    "Tableau",
    "TableauError",
    "check",
    "checker",
    "coefficients",
    "diagnostics",
    "layers",
    "order_conditions",
    "recalibrate",
    "rooted_trees",
    "stability",
    "tableaux",
    "with_method",
]

_HOME = {
    "CheckReport": "checker",
    "check": "checker",
    "Tableau": "tableau",
    "TableauError": "tableau",
    "RKMonitor": "monitor",
    "recalibrate": "recalibration",
    "with_method": "method_replacement",
}
_NEED_KERAS = ("RKMonitor", "diagnostics", "recalibrate", "with_method")


def __getattr__(name: str) -> Any:
    if name in _NEED_KERAS:
        import_module("keras_rk.layers")  # it says what to install where Keras is missing
    if name in _HOME:
        return getattr(import_module(f"keras_rk.{_HOME[name]}"), name)
    if name in __all__:
        return import_module(f"keras_rk.{name}")
    raise AttributeError(f"module 'keras_rk' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])


def _register_layers(_keras: Any) -> None:
    import_module("keras_rk.layers")


register_post_import_hook(_register_layers, "keras")
