"""Runge-Kutta residual layers for Keras 3, and exact Butcher tableaux.

Importing this package imports neither Keras nor a backend: what needs them is loaded when it
is first touched. The layers are registered for `keras.models.load_model` as soon as both
packages are imported, in whichever order.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from wrapt import register_post_import_hook

if TYPE_CHECKING:
    from keras_rk import analysis, diagnostics, layers, tableaux
    from keras_rk.analysis import plots, stability
    from keras_rk.analysis.analyse import Analysis, analyse
    from keras_rk.analysis.checking import check
    from keras_rk.analysis.symbolic_solutions import solve_order_conditions
    from keras_rk.butcher.tableau import Tableau, TableauError
    from keras_rk.models.adaptive_depth import refine
    from keras_rk.models.conversion import convert_residuals
    from keras_rk.models.conversion_report import ConversionReport
    from keras_rk.models.depth_report import RefinementReport
    from keras_rk.models.graph_picture import plot_model
    from keras_rk.models.method_replacement import with_method
    from keras_rk.models.monitor import RKMonitor
    from keras_rk.models.recalibration import recalibrate
    from keras_rk.models.statistics_callback import Recalibrate
    from keras_rk.models.unrolling import unroll
    from keras_rk.numbers import coefficients
    from keras_rk.proof import checker, order_conditions, rooted_trees
    from keras_rk.proof.checker import CheckReport
    from keras_rk.proof.continuous import check_extension
    from keras_rk.proof.extension_report import ExtensionReport

__version__ = "0.1.0"

__all__ = [
    "Analysis",
    "CheckReport",
    "ConversionReport",
    "ExtensionReport",
    "RKMonitor",
    "Recalibrate",
    "RefinementReport",
    "Tableau",
    "TableauError",
    "analyse",
    "analysis",
    "check",
    "check_extension",
    "checker",
    "coefficients",
    "convert_residuals",
    "diagnostics",
    "layers",
    "order_conditions",
    "plot_model",
    "plots",
    "recalibrate",
    "refine",
    "rooted_trees",
    "solve_order_conditions",
    "stability",
    "tableaux",
    "unroll",
    "with_method",
]

_HOME = {  # where a name comes from; a module comes from its wing
    "Analysis": "analysis.analyse",
    "CheckReport": "proof.checker",
    "ConversionReport": "models.conversion_report",
    "ExtensionReport": "proof.extension_report",
    "RKMonitor": "models.monitor",
    "Recalibrate": "models.statistics_callback",
    "RefinementReport": "models.depth_report",
    "Tableau": "butcher.tableau",
    "TableauError": "butcher.tableau",
    "analyse": "analysis.analyse",
    "check": "analysis.checking",
    "check_extension": "proof.continuous",
    "convert_residuals": "models.conversion",
    "plot_model": "models.graph_picture",
    "recalibrate": "models.recalibration",
    "refine": "models.adaptive_depth",
    "solve_order_conditions": "analysis.symbolic_solutions",
    "unroll": "models.unrolling",
    "with_method": "models.method_replacement",
}
_WING = {
    "checker": "proof.",
    "coefficients": "numbers.",
    "order_conditions": "proof.",
    "plots": "analysis.",
    "rooted_trees": "proof.",
    "stability": "analysis.",
}
_NEED_KERAS = (
    "ConversionReport",
    "RKMonitor",
    "Recalibrate",
    "RefinementReport",
    "convert_residuals",
    "diagnostics",
    "plot_model",
    "recalibrate",
    "refine",
    "unroll",
    "with_method",
)


def __getattr__(name: str) -> Any:
    if name in _NEED_KERAS:
        import_module("keras_rk.layers")  # it says what to install where Keras is missing
    if name in _HOME:
        return getattr(import_module(f"keras_rk.{_HOME[name]}"), name)
    if name in __all__:
        return import_module(f"keras_rk.{_WING.get(name, '')}{name}")
    raise AttributeError(f"module 'keras_rk' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])


def _register_layers(_keras: Any) -> None:
    if not any(f"keras_rk.{wing}" in sys.modules for wing in ("loops", "field", "steps")):
        import_module("keras_rk.layers")  # which would meet a half imported wing otherwise


register_post_import_hook(_register_layers, "keras")
