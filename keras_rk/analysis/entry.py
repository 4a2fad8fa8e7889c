"""One line of an `Analysis`, and its values for a reader and for a program."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from keras_rk.errors import TableauError
from keras_rk.numbers.coefficients import approximate, exact
from keras_rk.proof.digits import brief

if TYPE_CHECKING:
    from keras_rk.analysis.analyse import Analysis

__all__ = ["NOTHING", "Entry", "counted", "exactly", "plain", "shown"]

NOTHING = "-"
_LONGEST = 24  # characters of an exact number


@dataclass(frozen=True)
class Entry:
    """One line of the report.

    Attributes:
        label: what the line begins with.
        values: for a program, by name.
        text: what the line says; without it the first of the values.
        when: for which methods there is such a line.
        brief: what it says where methods are compared; without it the first of the values.
        compared: whether it stands there at all.
    """

    label: str
    values: dict[str, Callable[[Analysis], Any]]
    text: Callable[[Analysis], str] | None = None
    when: Callable[[Analysis], bool] = lambda analysis: True
    brief: Callable[[Analysis], str] | None = None
    compared: bool = True

    def line(self, analysis: Analysis) -> str:
        """What the line says in the report."""
        if self.text is None:
            return self.short(analysis)
        return _unless_undefined(self.text, analysis)

    def short(self, analysis: Analysis) -> str:
        """What it says in a comparison."""
        first = next(iter(self.values.values()))
        return _unless_undefined(self.brief or (lambda a: shown(first(a))), analysis)


def _unless_undefined(text: Callable[[Analysis], str], analysis: Analysis) -> str:
    try:
        return text(analysis)
    except TableauError:
        return NOTHING


def plain(value: Any) -> Any:
    """A value as JSON has it: exact numbers as text, infinity as the text "inf"."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, dict):
        return {key: plain(x) for key, x in value.items()}
    if isinstance(value, tuple | list):
        return [plain(x) for x in value]
    return brief(exact(value))


def shown(value: Any) -> str:
    """A value for a reader."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, int | str):
        return str(value)
    if isinstance(value, tuple | list):
        return " ".join(map(shown, value)) or "none"
    return exactly(value)


def exactly(value: Any, longest: int = _LONGEST) -> str:
    """An exact number as it is, or where it is long, six digits of it."""
    found = exact(value)
    text = brief(found)
    return text if len(text) <= longest else approximate(found)  # type: ignore[arg-type]


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
