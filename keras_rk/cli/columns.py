"""The columns of `keras-rk list`: what is claimed of a method, and what is computed of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_rk.analysis.analyse import Analysis

__all__ = ["COLUMNS", "Column", "Listed"]

_HIGHEST_ORDER = 10  # beyond, an error norm has thousands of terms, each with many factors


@dataclass(frozen=True)
class Listed:
    """A named method: what `tableaux.described` says, and its analysis, where asked for."""

    claims: dict[str, Any]

    @cached_property
    def analysis(self) -> Analysis:
        from keras_rk.analysis.analyse import analyse

        return analyse(self.claims["name"])

    @cached_property
    def error_norm(self) -> float:
        from keras_rk.analysis.error_coefficients import error_norm

        return error_norm(self.analysis.tableau, self.claims["order"] + 1)


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        heading: what stands above it.
        value: for filters, order and JSON.
        text: for a reader; without it the value.
        on_right: whether it is a number.
        description: for `--help`.
    """

    heading: str
    description: str
    value: Callable[[Listed], Any]
    text: Callable[[Listed], str] | None = None
    on_right: bool = True

    def shown(self, method: Listed) -> str:
        from keras_rk.analysis.entry import shown

        return self.text(method) if self.text is not None else shown(self.value(method))


def _claim(name: str) -> Callable[[Listed], Any]:
    return lambda method: method.claims[name]


def _computed(name: str) -> Callable[[Listed], Any]:
    def value(method: Listed) -> Any:
        from keras_rk.errors import TableauError

        try:
            return getattr(method.analysis, name)
        except TableauError:  # not defined for it
            return None

    return value


def _orders(method: Listed) -> str:
    order, embedded = method.claims["order"], method.claims["embedded_order"]
    return f"{order}" + (f"({embedded})" if embedded is not None else "")


def _error_norm(method: Listed) -> float | None:
    """That of the order claimed, which need not be proved once more."""
    if method.claims["order"] > _HIGHEST_ORDER:
        return None
    return method.error_norm


def _norm_text(method: Listed) -> str:
    norm = _error_norm(method)
    return "-" if norm is None else f"{norm:.3g}"


def _rounded(name: str) -> Callable[[Listed], str]:
    def text(method: Listed) -> str:
        value = _computed(name)(method)
        return "-" if value is None else f"{float(value):.4g}"

    return text


COLUMNS = {
    "name": Column("name", "the name", _claim("name"), on_right=False),
    "order": Column("order", "order, and that of b_hat", _claim("order"), _orders, on_right=False),
    "embedded": Column("embedded", "order of b_hat", _claim("embedded_order")),
    "stages": Column("stages", "number of stages", _claim("stages")),
    "fsal": Column("FSAL", "first same as last", lambda m: m.analysis.tableau.is_fsal),
    "ssp": Column(
        "SSP", "SSP coefficient", _computed("ssp_coefficient"), _rounded("ssp_coefficient")
    ),
    "error-norm": Column(
        "error norm", f"principal error norm, up to order {_HIGHEST_ORDER}", _error_norm, _norm_text
    ),
    "real": Column(
        "real", "real stability interval", _computed("real_interval"), _rounded("real_interval")
    ),
    "imaginary": Column(
        "imaginary",
        "imaginary stability interval",
        _computed("imaginary_interval"),
        _rounded("imaginary_interval"),
    ),
    "stage-order": Column("stage order", "stage order", _computed("stage_order")),
    "dispersion": Column("dispersion", "order of dispersion", _computed("dispersion_order")),
    "dissipation": Column("dissipation", "order of dissipation", _computed("dissipation_order")),
    "round-off": Column(
        "round-off",
        "amplification of rounding errors",
        lambda m: m.analysis.round_off.amplification,
        lambda m: f"{m.analysis.round_off.amplification or 0:.3g}",
    ),
    "names": Column(
        "other names",
        "other names",
        _claim("aliases"),
        lambda m: ", ".join(m.claims["aliases"]),
        on_right=False,
    ),
    "source": Column("source", "where it comes from", _claim("source"), on_right=False),
}
