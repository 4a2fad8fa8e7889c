"""Tableaux from coefficients that are not Butcher's, exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_rk.butcher.tableau import Tableau

__all__ = ["from_low_storage", "from_shu_osher"]


def from_shu_osher(alpha: Any, beta: Any, **labels: Any) -> Tableau:
    """The tableau of convex combinations of Euler steps.

    With y_1 = y, y_i = sum_j alpha_ij y_j + beta_ij dt f(y_j) for i = 2, ..., s + 1, of which the
    last is the result.

    Args:
        alpha, beta: s columns, and rows for stages 2 to s + 1, down to the diagonal or whole, or
            for all stages from the first, which is y.
        **labels: `b_hat`, `claimed_order`, `name`, ... as for `Tableau`.

    Raises:
        TableauError: for other shapes, for rows of alpha that do not sum to 1 (unless alpha_i1 = 0;
            then y has the rest), and for implicit methods.

    Example:

    >>> from keras_rk import check
    >>> from keras_rk.tableaux import from_shu_osher
    >>> ssprk3 = from_shu_osher(
    ...     [[1], ["3/4", "1/4"], ["1/3", 0, "2/3"]], [[1], [0, "1/4"], [0, 0, "2/3"]]
    ... )
    >>> print(check(ssprk3).order, ssprk3.b[0])
    3 1/6
    """
    return _tableau({"alpha": alpha, "beta": beta}, labels)


def from_low_storage(A: Any, B: Any, **labels: Any) -> Tableau:
    """The tableau of a low-storage (2N) method, after Williamson.

    q_i = A_i q_{i-1} + dt f(y_{i-1}), y_i = y_{i-1} + B_i q_i, with A_1 = 0.

    Args:
        A: s numbers, or s - 1 without A_1 = 0.
        B: s numbers.
        **labels: `claimed_order`, `name`, ... as for `Tableau`.

    Raises:
        TableauError: where A_1 is not zero or the lengths do not fit together.

    Example:

    >>> from keras_rk import check
    >>> from keras_rk.tableaux import from_low_storage
    >>> williamson3 = from_low_storage(["-5/9", "-153/128"], ["1/3", "15/16", "8/15"])
    >>> check(williamson3).order
    3
    """
    return _tableau({"A_2N": A, "B_2N": B}, labels)


def _tableau(coefficients: dict[str, Any], labels: dict[str, Any]) -> Tableau:
    from keras_rk.butcher.tableau import Tableau

    return Tableau.from_dict({**labels, **coefficients})
