"""An embedded pair: how good its second method and its error estimate are.

With tau and tau_hat the error coefficients of b and b_hat (see `error_coefficients`), and q the
order of the estimate, the lower of both orders, Prince and Dormand judge a pair by

    B = ||tau_low^(q+2)|| / ||tau_low^(q+1)||
    C = ||tau_low^(q+2) - tau_high^(q+2)|| / ||tau_low^(q+1)||
    E = ||tau_high^(q+2)|| / ||tau_low^(q+1)||

where tau_low belongs to the method of order q. Large B and C say that the estimate is governed by
its leading term for small steps only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keras_rk.analysis.arguments import embedded_method, numeric_tableau
from keras_rk.analysis.error_coefficients import ErrorSeries
from keras_rk.analysis.properties import label
from keras_rk.analysis.stability import StabilityFunction, stability_function
from keras_rk.butcher.tableau import Tableau
from keras_rk.errors import TableauError
from keras_rk.proof.checker import DEFAULT_MAX_ORDER, prove
from keras_rk.proof.pairs import is_blind
from keras_rk.proof.report import CheckReport

__all__ = ["EmbeddedPair", "embedded_pair"]


@dataclass(frozen=True)
class EmbeddedPair:
    """What is known of b_hat beside b.

    Attributes:
        order: the order of b_hat.
        estimate_order: q, the lower of both orders: the estimate is O(dt^(q+1)).
        error_norm: the principal error norm of b_hat.
        B, C, E: how the estimate behaves beyond its leading term, see above; None where the
            method of higher order has order q itself.
        stability_function: R(z) of b_hat.
        fault: why the pair cannot serve an estimate; empty where it can.
        is_blind: whether the estimate is zero for every y' = f(t).
        steps_with_higher: whether b, with which steps are taken, has the higher order ("local
            extrapolation").
    """

    order: int
    estimate_order: int
    error_norm: float
    B: float | None
    C: float | None
    E: float | None
    stability_function: StabilityFunction
    fault: str
    is_blind: bool
    steps_with_higher: bool


def embedded_pair(tableau: Any) -> EmbeddedPair:
    """How good the embedded method of a pair, and its error estimate, are.

    Args:
        tableau: a `Tableau` with `b_hat` and without symbols, a name, or a file.

    Raises:
        TableauError: for a tableau with symbols or without `b_hat`.

    Example:

    >>> pair = embedded_pair("dormand_prince54")
    >>> pair.order, pair.estimate_order, f"{pair.B:.2f} {pair.C:.2f} {pair.E:.2f}"
    (4, 4, '1.54 1.67 0.34')

    Source: P. J. Prince, J. R. Dormand, High order embedded Runge-Kutta formulae (1981).
    """
    tableau = numeric_tableau(tableau, "What judges a pair")
    if tableau.exact_b_hat is None:
        raise TableauError(f"A pair has weights `b_hat`. Received: b_hat=None ({label(tableau)}).")
    errors = ErrorSeries(tableau)
    report = prove(tableau, None, DEFAULT_MAX_ORDER, with_time=False, residuals=errors.residuals)
    return pair_of(tableau, report, errors)


def pair_of(tableau: Tableau, report: CheckReport, errors: ErrorSeries) -> EmbeddedPair:
    """The same from what has been proved."""
    order, embedded = report.order, report.embedded_order or 0
    q = min(order, embedded)
    low_is_embedded = embedded <= order
    B = C = E = None
    principal = errors(q + 1, embedded=low_is_embedded)
    if order != embedded and principal.norm:
        low = errors(q + 2, embedded=low_is_embedded)
        high = errors(q + 2, embedded=not low_is_embedded)
        B, C, E = (x / principal.norm for x in (low.norm, low.distance(high), high.norm))
    norm = principal.norm
    if embedded != q:
        norm = errors(embedded + 1, embedded=True).norm
    faults = [failure.message for failure in report.failures if failure.rule == "pair"]
    return EmbeddedPair(
        order=embedded,
        estimate_order=q,
        error_norm=norm,
        B=B,
        C=C,
        E=E,
        stability_function=stability_function(embedded_method(tableau)),
        fault=faults[0] if faults else "",
        is_blind=is_blind(tableau),
        steps_with_higher=order > embedded,
    )
