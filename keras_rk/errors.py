"""The one exception of the exact side, and how it quotes what it received."""

from typing import Any

__all__ = ["TableauError", "shown"]

_LONGEST = 60


class TableauError(ValueError):
    """A Butcher tableau, or a request about one, that cannot be accepted.

    Every message states the rule, where it was broken, and what was received.
    """


def shown(value: Any) -> str:
    """`value` as an error quotes it: its repr, cut where it is long, and its type."""
    try:
        text = repr(value)
    except Exception:  # an error about a value must not die of the value
        text = "a value without a repr"
    text = text if len(text) <= _LONGEST else text[:_LONGEST] + "..."
    return text if isinstance(value, str | list) else f"{text} ({type(value).__name__})"
