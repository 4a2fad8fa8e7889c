"""Coefficients that are not those of Butcher, by the keys under which they come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras_rk.errors import TableauError, shown

__all__ = ["in_butcher_form"]

_SHU_OSHER, _LOW_STORAGE = ("alpha", "beta"), ("A_2N", "B_2N")


def in_butcher_form(data: Any) -> Any:
    """The same method by A and b, where it is given by Shu-Osher or low-storage coefficients."""
    if not isinstance(data, Mapping):
        return data
    for keys in (_SHU_OSHER, _LOW_STORAGE):
        if not any(key in data for key in keys):
            continue
        rest = {key: value for key, value in data.items() if key not in keys}
        if not set(keys) <= set(data) or {"A", "b"} & set(rest):
            raise TableauError(
                "A method is given by A and b, by alpha and beta (Shu-Osher), or by A_2N and B_2N "
                f"(low storage). Received: {shown(sorted(map(str, data)))}."
            )
        return _merged(_converted(keys, data), rest)
    return data


def _converted(keys: tuple[str, str], data: Mapping[str, Any]) -> dict[str, Any]:
    one, other = (data[key] for key in keys)
    if keys == _SHU_OSHER:
        from keras_rk.butcher.shu_osher import from_convex_combinations

        return from_convex_combinations(one, other)
    from keras_rk.butcher.low_storage import from_two_registers

    return from_two_registers(one, other)


def _merged(converted: dict[str, Any], rest: dict[str, Any]) -> dict[str, Any]:
    """Floats may have been among the coefficients, or among those from which they came."""
    if converted["has_floats"]:
        return {**rest, **converted}
    return {"has_floats": False, **{k: x for k, x in converted.items() if k in ("A", "b")}, **rest}
