"""What families take: numbers of stages, orders, coefficients; each error with its place."""

from __future__ import annotations

from typing import Any

from keras_rk.errors import TableauError, shown
from keras_rk.numbers.coefficients import Coefficient, exact, is_symbolic, whole_number

__all__ = ["claim", "coefficient", "integer", "refuse"]

_HIGHEST_CLAIM = 14


def claim(order: int) -> int | None:
    """The order that a method is made to claim: none where a proof would take for ever.

    Every check and every layer proves a claim, and trees grow threefold with each order.
    """
    return order if order <= _HIGHEST_CLAIM else None


def integer(value: Any, name: str, least: int, most: int) -> int:
    """`value` as an int between two bounds."""
    number = whole_number(value)
    if number is None or not least <= number <= most:
        raise TableauError(
            f"`{name}` must be an integer from {least} to {most}. Received: {name}={shown(value)}."
        )
    return number


def coefficient(value: Any, name: str, *, symbolic: bool = False) -> Coefficient:
    """`value` as an exact number, or as an expression in symbols where these are allowed."""
    try:
        found = exact(value)
    except TableauError as error:
        raise TableauError(f"`{name}`: {error}") from None
    if is_symbolic(found) and not symbolic:
        raise TableauError(f"`{name}` must be a number. Received: {name}={shown(value)}.")
    return found


def refuse(rule: str, **received: Any) -> TableauError:
    """An error that states the rule and what came."""
    listed = ", ".join(f"{name}={value}" for name, value in received.items())
    return TableauError(f"{rule} Received: {listed}.")
