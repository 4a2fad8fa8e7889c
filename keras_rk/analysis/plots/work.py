"""Work against error: how many evaluations of f a method spends for how small an error."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from keras_rk.analysis.plots.canvas import DARK, LIGHT, legend, one_axes, styled
from keras_rk.analysis.plots.problems import PROBLEMS, Problem
from keras_rk.butcher.tableau import Tableau
from keras_rk.errors import TableauError, shown

__all__ = ["work_precision"]

_FEWEST, _MOST = 64, 8192  # evaluations of f
_LARGEST_ERROR = 10.0
_MOST_TICKS = 10


def work_precision(
    *methods: Any,
    problem: str | Problem = "kepler",
    evaluations: tuple[int, int] = (_FEWEST, _MOST),
    axes: Any = None,
) -> Any:
    """Draws the error at the end of a test problem over the evaluations of f.

    All in float64, with steps of one size, which double in number from point to point; stages that
    cannot reach the output are not evaluated. The error is the largest of all components. Runs that
    miss by more than 10, or end in infinity, are left out.

    Args:
        methods: explicit tableaux, names of methods or files, or `(A, b[, c])`.
        problem: "kepler", "lotka_volterra", "brusselator" or "cosine" (see `PROBLEMS`), or a
            `Problem`.
        evaluations: about how many, the fewest and the most.
        axes: Matplotlib axes to draw into; None for a new figure.

    Returns:
        The Matplotlib figure.

    Raises:
        TableauError: for an implicit tableau, one with symbols, and problems nobody knows.
        ImportError: where Matplotlib is missing.

    Example:

    >>> figure = work_precision("rk4", "dormand_prince54", "dop853")      # doctest: +SKIP
    >>> figure.savefig("work.png")                                        # doctest: +SKIP
    """
    chosen = _problem(problem)
    fewest, most = _bounds(evaluations)
    styles = styled(methods)
    for style in styles:
        _check_explicit_numbers(style.tableau)
    is_alone = axes is None
    axes = one_axes(axes, 7.4, 4.6)
    looks = [
        {"color": s.colour, "linestyle": s.line, "marker": s.marker, "label": s.label}
        for s in styles
    ]
    for style, look in zip(styles, looks, strict=True):
        points = list(_runs(style.tableau, chosen, fewest, most))
        axes.plot(
            [work for work, _ in points],
            [error for _, error in points],
            markersize=4.5,
            linewidth=1.5,
            **look,
        )
    _label(axes, chosen, fewest, most)
    legend(axes, looks, beside=is_alone)
    return axes.figure


def _label(axes: Any, problem: Problem, fewest: int, most: int) -> None:
    from matplotlib.ticker import NullFormatter

    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xlim(fewest / 1.3, most * 1.3)
    ticks = [2**k for k in range(fewest.bit_length() - 1, most.bit_length() + 1)]
    ticks = [tick for tick in ticks if fewest <= tick <= most] or [fewest, most]
    ticks = ticks[:: 1 + len(ticks) // _MOST_TICKS]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("evaluations of f", color=DARK)
    axes.set_ylabel("error at the end", color=DARK)
    axes.set_title(problem.name, color=DARK, fontsize=11)
    axes.grid(color=LIGHT, linewidth=0.4)
    axes.tick_params(colors=DARK, labelsize=9)


def _problem(problem: str | Problem) -> Problem:
    if isinstance(problem, Problem):
        return problem
    if not isinstance(problem, str) or problem not in PROBLEMS:
        raise TableauError(
            f"A test problem is a `Problem` or one of {', '.join(PROBLEMS)}. "
            f"Received: {shown(problem)}."
        )
    return PROBLEMS[problem]


def _bounds(evaluations: Any) -> tuple[int, int]:
    try:
        fewest, most = (int(x) for x in evaluations)
    except (TypeError, ValueError):
        fewest = most = 0
    if not 1 <= fewest < most <= 10**6:
        raise TableauError(
            "`evaluations` are two numbers, the fewest and the most, up to a million. "
            f"Received: {shown(evaluations)}."
        )
    return fewest, most


def _check_explicit_numbers(tableau: Tableau) -> None:
    if not tableau.is_explicit or tableau.is_symbolic:
        raise TableauError(
            "Work against error is measured of explicit methods with numbers as coefficients. "
            f"Received: tableau {tableau.name!r}."
        )


def _runs(
    tableau: Tableau, problem: Problem, fewest: int, most: int
) -> Iterator[tuple[int, float]]:
    """Pairs of evaluations and error."""
    A, b, c = _needed(tableau)
    steps = max(round(fewest / len(b)), 1)
    while (work := steps * len(b)) <= 1.05 * most:
        error = _error(A, b, c, problem, steps)
        if 0 < error <= _LARGEST_ERROR:
            yield work, error
        steps *= 2


def _needed(tableau: Tableau) -> tuple[Any, Any, Any]:
    """A, b and c as floats, without the stages that cannot reach the output."""
    import numpy as np

    needed: set[int] = set()
    for i in reversed(range(tableau.stages)):
        if tableau.exact_b[i] or any(tableau.exact_A[k][i] for k in needed):
            needed.add(i)
    kept = sorted(needed)
    A, b, c = (np.array(x, dtype="float64") for x in tableau.to_numpy("float64")[:3])
    return A[np.ix_(kept, kept)], b[kept], c[kept]


def _error(A: Any, b: Any, c: Any, problem: Problem, steps: int) -> float:
    """The largest error of all components at the end; infinity where the solution has no end."""
    import numpy as np

    y = np.array(problem.start, dtype="float64")
    dt = problem.duration / steps
    factors, weights, offsets = dt * A, dt * b, (dt * c).tolist()
    k = np.zeros((len(b), len(y)))
    try:
        with np.errstate(all="ignore"):
            for n in range(steps):
                t = n * dt
                for i, offset in enumerate(offsets):
                    k[i] = problem.f(t + offset, y + factors[i, :i] @ k[:i])
                y = y + weights @ k
        error = float(np.abs(y - np.array(problem.solution)).max())
    except (ArithmeticError, ValueError):
        return math.inf
    return error if math.isfinite(error) else math.inf
