"""Named Runge-Kutta methods, each with its source.

`names()` lists them, `get(name)` returns the `Tableau`. The digits in a name are orders: `name6`
has order 6, `name54` steps with weights `b` of order 5 and carries embedded weights `b_hat` of
order 4. So `fehlberg45` steps with order 4, as Fehlberg meant it, and `fehlberg54` with order 5.
Other customs: `rk38` is the 3/8 rule, and `ssprk43` has four stages and order 3.

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
    strong_stability,
)
from keras_rk.tableaux.registry import aliases, described, get, names

if TYPE_CHECKING:
    from keras_rk.tableaux.diagonally_implicit import sdirk
    from keras_rk.tableaux.gauss_methods import gauss
    from keras_rk.tableaux.lobatto import lobatto_iiia, lobatto_iiib, lobatto_iiic
    from keras_rk.tableaux.radau import radau_ia, radau_iia

__all__ = [
    "aliases",
    "described",
    "gauss",
    "get",
    "lobatto_iiia",
    "lobatto_iiib",
    "lobatto_iiic",
    "names",
    "radau_ia",
    "radau_iia",
    "sdirk",
]

_FAMILIES = {  # where a family comes from; its module is imported when it is first asked for
    "gauss": "gauss_methods",
    "lobatto_iiia": "lobatto",
    "lobatto_iiib": "lobatto",
    "lobatto_iiic": "lobatto",
    "radau_ia": "radau",
    "radau_iia": "radau",
    "sdirk": "diagonally_implicit",
}


def __getattr__(name: str) -> Any:
    if name in _FAMILIES:
        return getattr(import_module(f"keras_rk.tableaux.{_FAMILIES[name]}"), name)
    raise AttributeError(f"module 'keras_rk.tableaux' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
