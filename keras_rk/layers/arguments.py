"""Arguments that the layers share: each is normalised, or refused with what to do."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from numbers import Integral
from typing import Any

import keras
import numpy as np

from keras_rk.as_tableau import as_tableau
from keras_rk.checker import CheckReport, check
from keras_rk.coefficients import exact, is_float, is_symbolic, to_text, whole_number
from keras_rk.errors import TableauError
from keras_rk.tableau import Tableau

REQUIREMENTS = ("order", "consistent", "explicit")
STATES = ("shared",)


def vector_field_layer(layer: Any, owner: str) -> keras.layers.Layer:
    """`layer` itself, if it is a Keras layer."""
    if isinstance(layer, keras.layers.Layer):
        return layer
    raise ValueError(
        f"`layer` of {owner} must be a Keras layer or model, which is f in y' = f(y); a function "
        f"can be wrapped in `keras.layers.Lambda`. Received: {layer!r} "
        f"(of type {type(layer).__name__})."
    )


def proved_tableau(tableau: Any, order: Any, require: Any) -> tuple[Tableau, int | None]:
    """The tableau, proved to have the properties that `require` names, and the order.

    Raises:
        TableauError: if it has not, or if it is implicit or contains symbols.
    """
    one_of("require", require, REQUIREMENTS)
    order = None if order is None else positive_integer("order", order)
    if order is not None and require != "order":
        raise ValueError(
            "`order` is proved only with `require='order'`: drop one of the two. "
            f"Received: order={order}, require={require!r}."
        )
    tableau = as_tableau(tableau)
    if tableau.is_symbolic:
        raise TableauError(
            "A layer needs numbers: put them in place of the symbols with `tableau.subs(...)`. "
            f"Received: {_called(tableau)}."
        )
    if not tableau.is_explicit:
        raise TableauError(
            "A layer can only evaluate an explicit method, whose `A` is zero on and above its "
            "diagonal; `keras_rk.tableaux.names()` lists such methods. "
            f"Received: {_called(tableau)}."
        )
    if require == "explicit":
        return tableau, order
    claims = tableau.claimed_order, tableau.claimed_embedded_order
    report = _report(tableau, tableau.name, claims, order)
    if require == "consistent" and not report.consistent:
        raise TableauError(
            "The weights `b` of a consistent method sum to one; a method without that is "
            f"accepted with `require='explicit'`. Received: {_called(tableau)} with weights "
            f"{', '.join(map(str, tableau.b))}."
        )
    if require == "order" and report.failures:
        raise TableauError(
            f"{_message(report)}\nCorrect the tableau or `order`, choose another method "
            "(`keras_rk.tableaux.names()`), or ask for less with `require='consistent'` or "
            "`require='explicit'`."
        )
    return tableau, order


@lru_cache(maxsize=256)
def _report(tableau: Tableau, name: str | None, claims: tuple, order: Any) -> CheckReport:
    """`check`, once for each tableau; name and claims are here as they do not count in ==."""
    return check(tableau, order)


def _message(report: CheckReport) -> str:
    try:
        report.raise_if_failed()
    except TableauError as error:
        return str(error)
    return ""


def _called(tableau: Tableau) -> str:
    if tableau.name:
        return f"tableau {tableau.name!r}"
    return f"a tableau of {tableau.stages} stage{'s' * (tableau.stages > 1)}"


def step_size(dt: Any) -> tuple[Any, Any]:
    """`dt` as it goes into a config (int, float or exact text), and its exact value."""
    try:
        value = exact(dt)
    except TableauError as error:
        raise ValueError(f"`dt` must be a finite number other than zero. {error}") from error
    if is_symbolic(value) or value == 0:
        raise ValueError(f"`dt` must be a finite number other than zero. Received: dt={dt!r}.")
    if is_float(dt) and Fraction(float(dt)) == value:
        return float(dt), value
    if isinstance(dt, Integral):
        return int(dt), value
    return to_text(value), value


def block_step_sizes(dt: Any, depth: int) -> tuple[Any, list]:
    """`dt` as it goes into a config, and the exact step sizes: one, or one for each block."""
    if isinstance(dt, np.ndarray):
        dt = dt.tolist()
    if not isinstance(dt, (list, tuple)):
        size, value = step_size(dt)
        return size, [value]
    if len(dt) != depth:
        raise ValueError(
            "`dt` must be one number, or one for each block. "
            f"Received: {len(dt)} numbers, depth={depth}."
        )
    sizes, values = zip(*map(step_size, dt), strict=True)
    return (sizes[0], [values[0]]) if len(set(values)) == 1 else (sizes, list(values))


def random_seed(seed: Any) -> int | None:
    """`seed` as an int of at least zero, or None."""
    number = None if seed is None else whole_number(seed)
    if seed is not None and (number is None or number < 0):
        raise ValueError(
            "`seed` must be an integer of at least 0, or None. "
            f"Received: seed={seed!r} (of type {type(seed).__name__})."
        )
    return number


def positive_integer(name: str, value: Any) -> int:
    """`value` as an int of at least one; truth values and floats are none."""
    number = whole_number(value)
    if number is None or number < 1:
        raise ValueError(
            f"`{name}` must be an integer of at least 1. "
            f"Received: {name}={value!r} (of type {type(value).__name__})."
        )
    return number


def truth(name: str, value: Any) -> bool:
    """`value` as a bool; numbers and words are none."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise ValueError(
        f"`{name}` must be True or False. "
        f"Received: {name}={value!r} (of type {type(value).__name__})."
    )


def one_of(name: str, value: Any, allowed: tuple[str, ...]) -> str:
    """`value` itself, if it is one of the `allowed` words."""
    if isinstance(value, str) and value in allowed:
        return value
    choices = ", ".join(repr(choice) for choice in allowed)
    raise ValueError(f"`{name}` must be one of: {choices}. Received: {name}={value!r}.")


def fixed(name: str) -> property:
    """An attribute, kept as `_name`, that what was computed at construction depends on."""

    def get(layer: keras.layers.Layer) -> Any:
        return getattr(layer, f"_{name}")

    def refuse(layer: keras.layers.Layer, value: Any) -> None:
        owner = type(layer).__name__
        raise AttributeError(
            f"`{name}` of {owner} is fixed at construction. Build a new layer: "
            f"`{owner}.from_config({{**layer.get_config(), {name!r}: ...}})`; once both are "
            f"built, `set_weights` takes over the weights. Received: {name}={value!r} "
            f"(layer {layer.name!r})."
        )

    return property(get, refuse)
