"""Stability regions: where |R(z)| <= 1."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from keras_rk.analysis.plots.canvas import (
    DARK,
    LIGHT,
    legend,
    one_axes,
    styled,
)
from keras_rk.analysis.stability import StabilityFunction, stability_function

__all__ = ["Box", "boundary_box", "complex_plane", "logarithm", "stability_regions"]

_UNBOUNDED = 10.0  # how far a picture reaches where the boundary has no end
_RADII = (0.2, 2e5)
_MARGIN = 0.06
_THIN = 8.0  # a region so much longer than high is not drawn to one scale
_STEEPEST = 8.0
_POINTS, _LONGEST = 26_000, 16.0
_BESIDE = (2.7, 0.9)  # inches for labels and the legend


class Box(NamedTuple):
    """A part of the complex plane, symmetric about the real axis."""

    left: float
    right: float
    height: float


def stability_regions(*methods: Any, axes: Any = None) -> Any:
    """Draws the stability regions of methods into one picture.

    The region is where |R(z)| <= 1, z = lambda dt: there the numerical solutions of y' = lambda y
    stay bounded. R is evaluated on a grid, with 1e-12 of accuracy, and the curve |R(z)| = 1 is
    interpolated.

    Args:
        methods: tableaux, names of methods or files, or `(A, b[, c])`; up to 14 of them.
        axes: Matplotlib axes to draw into; None for a new figure.

    Returns:
        The Matplotlib figure.

    Raises:
        TableauError: for a method that has no stability function.
        ImportError: where Matplotlib is missing.

    Example:

    >>> figure = stability_regions("euler", "rk4")        # doctest: +SKIP
    >>> figure.savefig("regions.svg")                     # doctest: +SKIP
    """
    styles = styled(methods)
    functions = [stability_function(style.tableau) for style in styles]
    boxes = [boundary_box(R) for R in functions]
    whole = _around(boxes)
    width, height = whole.right - whole.left, 2 * whole.height
    is_thin = max(width / height, height / width) > _THIN
    scale = min(5.2 / width, 5.6 / height)  # inches
    size = (5.2, 3.4) if is_thin else (max(width * scale, 2.4), max(height * scale, 1.6))
    is_alone = axes is None
    axes = one_axes(axes, size[0] + _BESIDE[0], size[1] + _BESIDE[1])
    for style, R, box in zip(styles, functions, boxes, strict=True):
        x, y, size = _continued(*logarithm(R, box), whole)
        look = {"colors": [style.colour], "zorder": 2}
        axes.contourf(x, y, size, levels=[-_STEEPEST - 1, 0.0], alpha=0.10, **look)
        axes.contour(x, y, size, levels=[0.0], linestyles=style.line, linewidths=1.8, **look)
    complex_plane(axes, whole, equal=not is_thin)
    axes.set_title("stability regions, |R(z)| ≤ 1", color=DARK, fontsize=11)
    looks = [
        {"color": s.colour, "linestyle": s.line, "linewidth": 1.8, "label": s.label} for s in styles
    ]
    legend(axes, looks, beside=is_alone)
    return axes.figure


def boundary_box(R: StabilityFunction) -> Box:
    """A box around the curve |R(z)| = 1 and the origin; a square where the curve has no end."""
    import numpy as np

    radii = np.geomspace(*_RADII, 160)
    circles = radii[:, None] * np.exp(1j * np.linspace(0, np.pi, 49))
    inside = _is_stable(R, circles)
    mixed = inside.any(axis=1) & ~inside.all(axis=1)
    if not mixed.any() or mixed[-1]:
        return Box(-_UNBOUNDED, _UNBOUNDED, _UNBOUNDED)
    reach = radii[np.flatnonzero(mixed)[-1] + 1]
    box = Box(-reach, reach, reach)
    for _ in range(6):
        tighter = _tightened(R, box)
        if tighter.height * (tighter.right - tighter.left) > 0.7 * box.height * (
            box.right - box.left
        ):
            break
        box = tighter
    margin = _MARGIN * max(box.right - box.left, box.height)
    return Box(box.left - margin, box.right + margin, box.height + min(margin, box.height / 3))


def _tightened(R: StabilityFunction, box: Box) -> Box:
    """The box of those cells of a coarse grid in which the curve is."""
    import numpy as np

    x = np.linspace(box.left, box.right, 61)
    y = np.linspace(0, box.height, 31)
    inside = _is_stable(R, x[None, :] + 1j * y[:, None])
    edge = np.zeros_like(inside)
    for axis in (0, 1):
        change = np.diff(inside, axis=axis)
        edge |= np.pad(change, [(0, 1) if axis == a else (0, 0) for a in (0, 1)])
        edge |= np.pad(change, [(1, 0) if axis == a else (0, 0) for a in (0, 1)])
    rows, columns = np.flatnonzero(edge.any(axis=1)), np.flatnonzero(edge.any(axis=0))
    if not rows.size:
        return box
    return Box(
        min(x[max(columns[0] - 1, 0)], 0.0),
        max(x[min(columns[-1] + 1, 60)], 0.0),
        y[min(rows[-1] + 1, 30)],
    )


def _is_stable(R: StabilityFunction, z: Any) -> Any:
    import numpy as np

    with np.errstate(all="ignore"):
        return np.abs(R(z)) <= 1  # and not so where R has a pole


def logarithm(R: StabilityFunction, box: Box) -> tuple[Any, Any, Any]:
    """x, y and log |R(x + iy)| on a grid, finer along the longer side.

    R(z) at the conjugate of z is conjugate, so that half of the box is enough.
    """
    import numpy as np

    longer = min(max((box.right - box.left) / box.height, 1 / _LONGEST), _LONGEST)
    columns = round(math.sqrt(_POINTS * longer))
    x = np.linspace(box.left, box.right, columns)
    half = np.linspace(0, box.height, _POINTS // columns)
    with np.errstate(all="ignore"):
        size = np.log(np.abs(R(x[None, :] + 1j * half[:, None])))
    size = np.clip(np.nan_to_num(size, nan=_STEEPEST), -_STEEPEST, _STEEPEST)
    return x, np.concatenate([-half[:0:-1], half]), np.concatenate([size[:0:-1], size])


def complex_plane(axes: Any, box: Box, *, equal: bool) -> None:
    """Axes that show a box of the plane, and its two lines through the origin."""
    axes.set_xlim(box.left, box.right)
    axes.set_ylim(-box.height, box.height)
    axes.set_aspect("equal" if equal else "auto")
    axes.axhline(0, color=LIGHT, linewidth=0.8, zorder=0)
    axes.axvline(0, color=LIGHT, linewidth=0.8, zorder=0)
    note = "" if equal else " (not to one scale)"
    axes.set_xlabel(f"Re z, z = λ dt{note}", color=DARK)
    axes.set_ylabel("Im z", color=DARK)
    axes.tick_params(colors=DARK, labelsize=9)


def _around(boxes: list[Box]) -> Box:
    """The smallest box around several, with some of the left half-plane in it."""
    right = max(box.right for box in boxes)
    left = min(-right / 2, *(box.left for box in boxes))
    return Box(left, right, max(box.height for box in boxes))


def _continued(x: Any, y: Any, size: Any, whole: Box) -> tuple[Any, Any, Any]:
    """A grid as far as the picture goes: regions of implicit methods have no end."""
    import numpy as np

    x = np.array([min(whole.left, x[0]) - 1e-9, *x, max(whole.right, x[-1]) + 1e-9])
    height = max(whole.height, y[-1]) + 1e-9
    return x, np.array([-height, *y, height]), np.pad(size, 1, mode="edge")
