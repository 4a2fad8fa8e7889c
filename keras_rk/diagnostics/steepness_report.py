"""What `lipschitz` found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from keras_rk.analysis.stability import StabilityFunction
from keras_rk.diagnostics.amplification import Amplification
from keras_rk.diagnostics.plots import (
    INSIDE,
    OUTSIDE,
    block_axis,
    legend_above,
    note_undrawn,
    titled,
)
from keras_rk.diagnostics.reports import Report
from keras_rk.diagnostics.tables import label, table

WITHIN = "inside, or growing as in the ODE"
FAR = 30.0  # times the intervals: from there on, bars are drawn on a logarithmic axis
CLOSE = 1.02  # bounds on L that are within that of each other are one number to a reader


@dataclass(frozen=True)
class Steepness:
    """How steep f is in a block, and what a step makes of that.

    Attributes:
        layer: the name of the layer.
        block: which block of an `RKStack`; None for an `RKResidual`.
        method: the name of the method.
        dt: the largest |dt| of the block.
        lipschitz: L, the largest norm of the Jacobian of f over the states that were looked at.
        lipschitz_bound: what that norm is at most: L where the Jacobians are known whole; otherwise
            a bound that holds with a probability of 0.999.
        spectral_radius: the largest absolute eigenvalue of those Jacobians; None where it is not
            known.
        is_exact: whether whole Jacobians were computed.
        is_inside: whether no eigenvalue lies outside, see `lipschitz`; None where that is not
            known.
        amplification: |R(dt lambda)| for the eigenvalues that were looked at, all of them if
            `is_exact`, otherwise the leading ones; None where there are none.
        R: the stability function of the method.
    """

    layer: str
    block: int | None
    method: str
    dt: float
    lipschitz: float
    lipschitz_bound: float
    spectral_radius: float | None
    is_exact: bool
    is_inside: bool | None
    amplification: Amplification | None
    R: StabilityFunction = field(repr=False)

    @property
    def real_interval(self) -> float:
        """How far |R(z)| <= 1 holds along the negative real axis."""
        return self.R.real_interval

    @property
    def imaginary_interval(self) -> float:
        """How far |R(z)| <= 1 holds along the imaginary axis."""
        return self.R.imaginary_interval

    @property
    def scaled(self) -> float:
        """|dt| L, which bounds |dt lambda| for each eigenvalue lambda."""
        return self.dt * self.lipschitz

    @property
    def is_inside_real(self) -> bool | None:
        """Whether |dt| L is inside the real interval; None where it may end on either side."""
        return self._is_below(self.real_interval)

    @property
    def is_inside_imaginary(self) -> bool | None:
        """The same of the imaginary interval."""
        return self._is_below(self.imaginary_interval)

    def _is_below(self, end: float) -> bool | None:
        if self.scaled > end:
            return False
        return True if self.dt * self.lipschitz_bound <= end else None

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        plain = (one.name for one in fields(self) if one.name not in ("R", "amplification"))
        names = ["scaled", "real_interval", "imaginary_interval"]
        names += ["is_inside_real", "is_inside_imaginary"]
        found = {name: getattr(self, name) for name in (*plain, *names)}
        if self.amplification is not None:
            z, factor, flow = self.amplification.worst
            found["worst"] = {"re": z.real, "im": z.imag, "factor": factor, "flow": flow}
            found["eigenvalues"] = len(self.amplification.scaled)
            found["eigenvalues_outside"] = self.amplification.outside
        return found


@dataclass(frozen=True)
class LipschitzReport(Report):
    """How steep f is in all blocks, in the order of the model.

    `plot` draws |dt| L of each block, and dt lambda in the complex plane with the stability regions
    of the methods.

    Attributes:
        blocks: one `Steepness` for each block.
    """

    blocks: tuple[Steepness, ...]

    @property
    def verdict(self) -> str:
        """How many blocks amplify what the ODE does not."""
        count = len(self.blocks)
        lost = sum(not np.isfinite(block.lipschitz) for block in self.blocks)
        if lost:
            return f"Jacobians not finite in {lost} of {count} blocks"
        outside = sum(block.is_inside is False for block in self.blocks)
        unknown = sum(block.is_inside is None for block in self.blocks)
        if outside:
            return f"eigenvalues outside in {outside} of {count} blocks"
        return f"not known for {unknown} of {count} blocks" if unknown else "inside"

    def _parts(self) -> dict[str, Any]:
        return {"verdict": self.verdict, "blocks": [block.to_dict() for block in self.blocks]}

    def __str__(self) -> str:
        bounded = any(block.lipschitz_bound > CLOSE * block.lipschitz for block in self.blocks)
        headings = ["block", "method", "|dt|", "L", "radius", *(["L at most"] if bounded else [])]
        headings += ["|dt| L", "real", "imaginary", "|R|", "ODE", "dt lambda", "inside"]
        rows = [_row(block, bounded) for block in self.blocks]
        parts = [f"Lipschitz estimates of f: {self.verdict}", table(headings, rows)]
        return "\n\n".join([*parts, *self._notes()])

    def _notes(self) -> list[str]:
        notes = []
        if any(not block.is_exact for block in self.blocks):
            notes.append(
                "L is a lower bound where states are large, and only the leading eigenvalues were "
                "looked at."
            )
        if any(not b.is_exact and b.amplification is None for b in self.blocks):
            notes.append(
                "No eigenvalues where states are large: they need SciPy (`pip install scipy`), and "
                "an iteration that converges."
            )
        return notes

    def _painters(self) -> list[Callable[[Any], None]]:
        has_eigenvalues = any(block.amplification is not None for block in self.blocks)
        return [self._draw, *([self._draw_eigenvalues] if has_eigenvalues else [])]

    def _draw(self, axes: Any) -> None:
        places = np.arange(len(self.blocks))
        heights = np.array([block.scaled for block in self.blocks])
        bounds = np.array([block.dt * block.lipschitz_bound for block in self.blocks])
        drawn = np.where(np.isfinite(heights), heights, np.nan)
        axes.bar(places, drawn, width=0.7, color="#9ecae1", label="|dt| L")
        if np.all(np.isfinite(bounds)) and np.any(bounds > CLOSE * heights):
            spread = [0 * heights, bounds - heights]
            axes.errorbar(places, heights, spread, fmt="none", color="gray", label="at most")
        ends = []
        for name, style in (("real", "-"), ("imaginary", ":")):
            ends.append([getattr(block, f"{name}_interval") for block in self.blocks])
            line = {"color": "black", "linestyle": style, "label": f"{name} interval"}
            axes.hlines(ends[-1], places - 0.45, places + 0.45, **line)
        shown = [x for x in (*heights, *np.ravel(ends)) if np.isfinite(x)]
        axes.set_ylim(0, 1.08 * max([*shown, 1e-3]))
        if max(shown, default=0) > FAR * max([1.0, *(x for x in np.ravel(ends) if np.isfinite(x))]):
            axes.set_yscale("log")  # or the intervals would be hidden in the axis
            axes.set_ylim(0.1, 2 * max(shown))
        note_undrawn(axes, list(places), list(heights), is_log=False)
        block_axis(axes, [label(block) for block in self.blocks])
        axes.set_ylabel("|dt| L, and where |R| <= 1 ends")
        legend_above(axes)
        titled(axes, f"Steepness: {self.verdict}")

    def _draw_eigenvalues(self, axes: Any) -> None:
        judged = [block for block in self.blocks if block.amplification is not None]
        z = np.concatenate([np.array(block.amplification.scaled) for block in judged])  # type: ignore[union-attr]
        left, right = min(z.real.min(), -3.0) * 1.1, max(z.real.max(), 0.5) * 1.1
        height = max(np.abs(z.imag).max(), (right - left) / 2, 3.0) * 1.1
        x, y = np.linspace(left, right, 241), np.linspace(-height, height, 241)
        grid = x[None, :] + 1j * y[:, None]
        styles = ("-", "--", "-.", ":")
        methods = {block.method: block.R for block in judged}
        for place, (name, R) in enumerate(methods.items()):
            line = {"colors": "black", "linewidths": 1, "linestyles": styles[place % 4]}
            axes.contour(x, y, np.abs(R(grid)), levels=[1.0], **line)
            axes.plot([], [], color="black", linestyle=styles[place % 4], label=f"|R| = 1, {name}")
        for is_outside, colour, name in ((False, INSIDE, WITHIN), (True, OUTSIDE, "outside")):
            points = np.concatenate([_some(block.amplification, is_outside) for block in judged])
            if len(points):
                axes.plot(points.real, points.imag, ".", color=colour, label=name, zorder=3)
        axes.set_aspect("equal", adjustable="datalim")
        axes.axvline(0, color="gray", linewidth=0.5, zorder=0)
        axes.axhline(0, color="gray", linewidth=0.5, zorder=0)
        axes.xaxis.set_major_formatter("{x:.4g}")  # a common factor would lie on the legend
        axes.yaxis.set_major_formatter("{x:.4g}")
        axes.xaxis.get_major_locator().set_params(nbins=5)
        axes.set_xlabel("Re dt lambda")
        axes.set_ylabel("Im dt lambda")
        legend_above(axes)
        titled(axes, f"dt lambda: {self.verdict}")


def _some(found: Any, is_outside: bool) -> np.ndarray:
    """The eigenvalues that lie outside, or the others."""
    z = np.array(found.scaled)
    return z[: found.outside] if is_outside else z[found.outside :]


def _row(block: Steepness, bounded: bool) -> list[Any]:
    radius: list[Any] = [block.spectral_radius, *([block.lipschitz_bound] if bounded else [])]
    intervals = [block.scaled, block.real_interval, block.imaginary_interval]
    row = [label(block), block.method, block.dt, block.lipschitz, *radius, *intervals]
    if block.amplification is None:
        return [*row, None, None, None, block.is_inside]
    z, factor, flow = block.amplification.worst
    sign = "+-" if z.imag else ""
    number = f"{z.real:.2g}{sign}{abs(z.imag):.2g}i" if z.imag else f"{z.real:.2g}"
    return [*row, factor, flow, number, block.is_inside]
