"""Named Runge-Kutta methods, each with its source, and families of them.

`names()` lists the named ones, `get(name)` returns the `Tableau`. The digits in a name are orders:
`name6` has order 6, `name54` steps with weights `b` of order 5 and carries embedded weights
`b_hat` of order 4. So `fehlberg45` steps with order 4, as Fehlberg meant it, and `fehlberg54` with
order 5. Other customs: `rk38` is the 3/8 rule, and `ssprk43` has four stages and order 3.

A family is a function that returns a `Tableau`: `second_order("3/4")`, `compose("rk4", "heun2")`.

Implicit methods come in families, by their number of stages: `gauss(3)`, `radau_iia(3)`.

To add a method, call `method` in the module of its order: the tests enrol it by themselves.
Imports `butcher` and what is below it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from keras_rk.tableaux import (  # noqa: F401  (each module writes its methods down)
    low_order,
    order4,
    order5,
    order6,
    order7,
    order8,
    order9,
    order10,
    order12,
    order14,
    other_libraries,
    storage,
    strong_stability,
)
from keras_rk.tableaux.other_forms import from_low_storage, from_shu_osher
from keras_rk.tableaux.registry import aliases, described, get, names

if TYPE_CHECKING:
    from keras_rk.tableaux.composition import compose, richardson, scaled
    from keras_rk.tableaux.deferred import deferred_correction
    from keras_rk.tableaux.diagonally_implicit import sdirk
    from keras_rk.tableaux.extensions import continuous, continuous_names, hermite
    from keras_rk.tableaux.extrapolation import extrapolated_euler, extrapolated_midpoint
    from keras_rk.tableaux.free_parameters import fourth_order, second_order, third_order
    from keras_rk.tableaux.gauss_methods import gauss
    from keras_rk.tableaux.lobatto import lobatto_iiia, lobatto_iiib, lobatto_iiic
    from keras_rk.tableaux.radau import radau_ia, radau_iia
    from keras_rk.tableaux.stabilised import runge_kutta_chebyshev, runge_kutta_gegenbauer
    from keras_rk.tableaux.strong_stability_families import ssp_second_order, ssp_third_order

__all__ = [
    "aliases",
    "compose",
    "continuous",
    "continuous_names",
    "deferred_correction",
    "described",
    "extrapolated_euler",
    "extrapolated_midpoint",
    "fourth_order",
    "from_low_storage",
    "from_shu_osher",
    "gauss",
    "get",
    "hermite",
    "lobatto_iiia",
    "lobatto_iiib",
    "lobatto_iiic",
    "names",
    "radau_ia",
    "radau_iia",
    "richardson",
    "runge_kutta_chebyshev",
    "runge_kutta_gegenbauer",
    "scaled",
    "sdirk",
    "second_order",
    "ssp_second_order",
    "ssp_third_order",
    "third_order",
]

_HOME = {  # where a name comes from; its module is imported when it is first asked for
    "compose": "composition",
    "continuous": "extensions",
    "continuous_names": "extensions",
    "deferred_correction": "deferred",
    "extrapolated_euler": "extrapolation",
    "extrapolated_midpoint": "extrapolation",
    "fourth_order": "free_parameters",
    "gauss": "gauss_methods",
    "hermite": "extensions",
    "lobatto_iiia": "lobatto",
    "lobatto_iiib": "lobatto",
    "lobatto_iiic": "lobatto",
    "radau_ia": "radau",
    "radau_iia": "radau",
    "richardson": "composition",
    "runge_kutta_chebyshev": "stabilised",
    "runge_kutta_gegenbauer": "stabilised",
    "scaled": "composition",
    "sdirk": "diagonally_implicit",
    "second_order": "free_parameters",
    "ssp_second_order": "strong_stability_families",
    "ssp_third_order": "strong_stability_families",
    "third_order": "free_parameters",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"keras_rk.tableaux.{_HOME[name]}"), name)
    raise AttributeError(f"module 'keras_rk.tableaux' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
