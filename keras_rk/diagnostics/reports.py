"""What the reports of the diagnostics share: each is a frozen dataclass that prints as a table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from keras_rk.diagnostics.plots import draw
from keras_rk.diagnostics.tables import plain
from keras_rk.notebook import as_html


class Report(ABC):
    """The base of the reports."""

    _label_width = 0  # of the labels in the text, where there are any

    def _repr_html_(self) -> str:
        return as_html(str(self), width=self._label_width)

    def to_dict(self) -> dict[str, Any]:
        """The report for a program, ready for JSON; numbers that are not finite are None."""
        return plain(self._parts())

    def plot(self, target: Any = None) -> Any:
        """Draws the report.

        Args:
            target: a path, to which the picture is written; Matplotlib axes, into which the first
                panel is drawn; None for a new figure.

        Returns:
            The Matplotlib figure.
        """
        return draw(target, self._painters())

    def _parts(self) -> dict[str, Any]:
        """Everything that `to_dict` returns."""
        return asdict(self)  # type: ignore[call-overload]

    def _painters(self) -> list[Callable[[Any], None]]:
        """What draws each panel into axes."""
        return [self._draw]

    @abstractmethod
    def _draw(self, axes: Any) -> None:
        """Draws the first panel."""
