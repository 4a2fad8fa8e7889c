"""Order stars: where R grows faster than the exponential function."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from keras_rk.analysis.plots.canvas import DARK, MAIN, Style, new_figure, one_axes, styled
from keras_rk.analysis.plots.regions import Box, boundary_box, complex_plane
from keras_rk.analysis.stability import StabilityFunction, stability_function
from keras_rk.butcher.tableau import Tableau
from keras_rk.errors import TableauError, shown

__all__ = ["order_stars"]

_COLUMNS = 241
_TERMS = 20
_CLOSE = 0.5
_ROUNDING = 1e-9  # of r_n n! - 1, for coefficients that were rounded
_STEEPEST = 50.0
_MOST_IN_A_ROW = 3


def order_stars(*methods: Any, axes: Any = None) -> Any:
    """Draws the order star of each method.

    The star is where |R(z)| > |exp(z)|. Close to 0, R(z) exp(-z) - 1 = C z^(p + 1) + ..., so that
    p + 1 of its sectors meet at 0, where p is the order for y' = lambda y.

    Args:
        methods: tableaux, names of methods or files, or `(A, b[, c])`.
        axes: Matplotlib axes, one for each method; None for a new figure.

    Returns:
        The Matplotlib figure.

    Raises:
        TableauError: for a method that has no stability function.
        ImportError: where Matplotlib is missing.

    Source: E. Hairer, G. Wanner, *Solving Ordinary Differential Equations II*, section IV.4, for
    the notion.

    Example:

    >>> figure = order_stars("rk4")        # doctest: +SKIP
    >>> figure.savefig("star.png")         # doctest: +SKIP
    """
    styles = styled(methods)
    panels = _panels(axes, len(styles))
    for style, panel in zip(styles, panels, strict=True):
        _draw(style, stability_function(style.tableau), panel)
    return panels[0].figure


def _panels(axes: Any, count: int) -> list[Any]:
    if axes is None:
        columns = min(count, _MOST_IN_A_ROW)
        rows = -(-count // columns)
        panels = new_figure(4.6 * columns, 4.9 * rows).subplots(rows, columns, squeeze=False).flat
        for empty in panels[count:]:
            empty.set_axis_off()
        return list(panels[:count])
    given = [axes] if hasattr(axes, "plot") else axes
    if not hasattr(given, "__len__") or len(given) != count:
        raise TableauError(
            f"`axes` are Matplotlib axes, one for each method. Received: {shown(axes)} for "
            f"{count} methods."
        )
    return [one_axes(panel, 0, 0) for panel in given]


def _draw(style: Style, R: StabilityFunction, axes: Any) -> None:
    from matplotlib.patches import Patch

    around = boundary_box(R)
    reach = 1.25 * max(-around.left, around.right, around.height)
    excess = _excess(style.tableau)
    x, y, growth = _star(R, excess, reach)
    steep = float(abs(growth).max()) + 1
    axes.contourf(x, y, growth, levels=[0.0, steep], colors=[MAIN], alpha=0.45)
    axes.contour(x, y, growth, levels=[0.0], colors=[DARK], linewidths=0.9)
    axes.plot(0, 0, "o", color=DARK, markersize=3.5)
    complex_plane(axes, Box(-reach, reach, reach), equal=True)
    axes.set_title(_title(style.label, min(excess, default=0)), color=DARK, fontsize=11)
    patch = Patch(facecolor=MAIN, alpha=0.45, edgecolor=DARK, label="|R(z)| > |exp(z)|")
    axes.legend(handles=[patch], loc="upper right", fontsize=9, labelcolor=DARK, framealpha=0.9)


def _title(name: str, sectors: int) -> str:
    if sectors < 2:
        return f"{name}: no star, the method is not consistent"
    return f"{name}: {sectors} sectors meet at 0,\norder {sectors - 1} for y' = λ y"


def _excess(tableau: Tableau) -> dict[int, float]:
    """The first coefficients of R(z) - exp(z) that are not zero: b^T A^(n-1) 1 - 1/n!."""
    A, b = tableau.exact_A, tableau.exact_b
    power: list[Any] = [1] * tableau.stages
    found: dict[int, float] = {}
    for n in range(1, 2 * tableau.stages + 2 + _TERMS):  # no method has a higher order than 2 s
        difference = _product(b, power) * math.factorial(n) - 1
        if found or abs(float(difference)) > _ROUNDING:
            found[n] = float(difference) / math.factorial(n)
        if len(found) == _TERMS:
            break
        power = [_product(row, power) for row in A]
    return found


def _product(row: Any, column: Any) -> Any:
    return sum((x * y for x, y in zip(row, column, strict=True) if x and y), Fraction(0))


def _star(R: StabilityFunction, excess: dict[int, float], reach: float) -> tuple[Any, Any, Any]:
    """x, y and log |R(z) exp(-z)| on a grid.

    Close to the origin, where floats cannot tell R from exp, it comes from their difference.
    """
    import numpy as np

    x = np.linspace(-reach, reach, _COLUMNS)
    half = np.linspace(0, reach, _COLUMNS // 2 + 1)
    z = x[None, :] + 1j * half[:, None]
    with np.errstate(all="ignore"):
        growth = np.log(np.abs(R(z))) - z.real
        difference = sum(c * z**n for n, c in excess.items()) * np.exp(-z)
        close = np.abs(z) < min(_CLOSE, reach / 8)
        growth[close] = (0.5 * np.log1p(2 * difference.real + np.abs(difference) ** 2))[close]
    growth = np.clip(np.nan_to_num(growth, nan=_STEEPEST), -_STEEPEST, _STEEPEST)
    return x, np.concatenate([-half[:0:-1], half]), np.concatenate([growth[:0:-1], growth])
