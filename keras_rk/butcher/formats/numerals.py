"""Numbers as a file writes them, and what else the values of a file may be."""

from __future__ import annotations

from typing import Any, NoReturn

from keras_rk.errors import TableauError

__all__ = ["COEFFICIENTS", "QUOTES", "Numeral", "plain_outside_coefficients", "refuse_constant"]

COEFFICIENTS = ("A", "b", "c", "b_hat", "b_theta", "alpha", "beta", "A_2N", "B_2N")
QUOTES = 'with quotes around fractions and roots: "2/3", "sqrt(2)/2"'


class Numeral(str):
    """A number as a file writes it."""


def plain_outside_coefficients(data: Any) -> Any:
    """Claims are numbers, and a number is no name."""
    if isinstance(data, dict):
        return {key: x if key in COEFFICIENTS else _plain(x) for key, x in data.items()}
    return data


def _plain(value: Any) -> Any:
    if not isinstance(value, Numeral):
        return value
    try:
        return int(value)
    except ValueError:  # no integer, or one with more digits than Python converts
        return value if value.lstrip("-").isdecimal() else float(value)


def refuse_constant(text: str) -> NoReturn:
    raise TableauError(f"A coefficient is finite. Received: {text}.")
