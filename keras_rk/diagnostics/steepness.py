"""lipschitz: how steep f is in each block, beside the stability interval of the method."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np

from keras_rk.analysis.stability import stability_function
from keras_rk.diagnostics.arguments import method_name, outermost_layers
from keras_rk.diagnostics.jacobians import estimated, full_jacobians, norms_and_radii
from keras_rk.diagnostics.passages import Passage, passages
from keras_rk.diagnostics.plots import blocks
from keras_rk.diagnostics.reports import Report
from keras_rk.diagnostics.runs import progress_bar
from keras_rk.diagnostics.tables import label, table
from keras_rk.layers.arguments import positive_integer


@dataclass(frozen=True)
class Steepness:
    """How steep f is in a block.

    Attributes:
        layer: the name of the layer.
        block: which block of an `RKStack`; None for an `RKResidual`.
        method: the name of the method.
        dt: the largest |dt| of the block.
        lipschitz: L, the largest norm of the Jacobian of f over the states that were looked at.
        spectral_radius: the largest absolute eigenvalue of those Jacobians.
        is_exact: whether both are of whole Jacobians; otherwise L is a lower bound, and the
            spectral radius an estimate.
        real_interval, imaginary_interval: how far |R(z)| <= 1 holds along the negative real axis
            and along the imaginary one.
    """

    layer: str
    block: int | None
    method: str
    dt: float
    lipschitz: float
    spectral_radius: float
    is_exact: bool
    real_interval: float
    imaginary_interval: float

    @property
    def scaled(self) -> float:
        """|dt| L, which bounds |dt lambda| for each eigenvalue lambda."""
        return self.dt * self.lipschitz

    @property
    def is_inside_real(self) -> bool:
        """Whether |dt| L is inside the real interval: decay stays decay."""
        return self.scaled <= self.real_interval

    @property
    def is_inside_imaginary(self) -> bool:
        """Whether |dt| L is inside the imaginary interval: rotations do not grow."""
        return self.scaled <= self.imaginary_interval


@dataclass(frozen=True)
class LipschitzReport(Report):
    """How steep f is in all blocks, in the order of the model.

    `plot` draws |dt| L of each block beside the stability intervals.

    Attributes:
        blocks: one `Steepness` for each block.
    """

    blocks: tuple[Steepness, ...]

    def _parts(self) -> dict[str, Any]:
        names = ("scaled", "is_inside_real", "is_inside_imaginary")
        blocks = [{**asdict(b), **{name: getattr(b, name) for name in names}} for b in self.blocks]
        return {"blocks": blocks}

    def __str__(self) -> str:
        headings = ["block", "method", "|dt|", "L", "radius", "|dt| L"]
        headings += ["real", "inside", "imaginary", "inside"]
        sizes = ["dt", "lipschitz", "spectral_radius", "scaled"]
        limits = ["real_interval", "is_inside_real", "imaginary_interval", "is_inside_imaginary"]
        rows = [
            [label(b), b.method, *(getattr(b, name) for name in (*sizes, *limits))]
            for b in self.blocks
        ]
        bounds = any(not block.is_exact for block in self.blocks)
        note = "\n\nL is a lower bound where states are large." if bounds else ""
        return f"Lipschitz estimates of f\n\n{table(headings, rows)}{note}"

    def _draw(self, axes: Any) -> None:
        places = np.arange(len(self.blocks))
        axes.bar(places, [block.scaled for block in self.blocks], label="|dt| L")
        for name, style in (("real", "-"), ("imaginary", ":")):
            ends = [getattr(block, f"{name}_interval") for block in self.blocks]
            line = {"color": "black", "linestyle": style, "label": name}
            axes.hlines(ends, places - 0.5, places + 0.5, **line)
        blocks(axes)
        axes.set_ylabel("|dt| L, and stability intervals")
        axes.legend()


def lipschitz(
    model: keras.Model,
    data: Any,
    *,
    states: int = 64,
    full_up_to: int = 64,
    iterations: int = 20,
    seed: int = 0,
    verbose: Any = "auto",
) -> LipschitzReport:
    """Estimates how steep f is in each block, where the data pass.

    With the Jacobian J(y) = df/dy at states y on the way of the data,

        L      = max |J(y)|_2,
        radius = max |lambda|,    lambda an eigenvalue of J(y).

    J comes from central differences of f in inference mode. A step of size dt multiplies small
    changes of y by R(dt J), so that |dt| L is compared with how far |R(z)| <= 1 holds along the
    negative real axis (stiff decay) and along the imaginary one (rotation). Beyond these intervals
    the network may amplify what the ODE damps or keeps, which it can only have learned to rely on.
    L is that of f at the states that were looked at, no bound for all of f.

    Example:

    >>> from keras_rk.layers import RKResidual
    >>> f = keras.layers.Dense(2, kernel_initializer=keras.initializers.Constant(-2.0))
    >>> model = keras.Sequential([keras.Input((2,)), RKResidual(f, "rk4", dt=0.5)])
    >>> block = lipschitz(model, np.ones((8, 2)), verbose=0).blocks[0]
    >>> f"{block.lipschitz:.2f} {block.spectral_radius:.2f} {block.scaled:.2f}"
    '4.00 4.00 2.00'
    >>> block.is_inside_real
    True

    f must treat each sample by itself, and is evaluated as in the first stage of the first step of
    its block: with the moving statistics and the time of that.

    Args:
        model: a Keras model with `RKResidual` or `RKStack` layers.
        data: one array, or a list or dictionary of arrays, as the model takes them.
        states: how many states are looked at in each block; samples of the data, and steps of the
            block, are drawn at random if there are more.
        full_up_to: up to how many elements of a state the whole Jacobian is computed. Beyond, L is
            a lower bound, by power iteration from a random direction at each state, and the radius
            an estimate.
        iterations: how many iterations that takes.
        seed: what is drawn at random depends on it.
        verbose: 0 for no progress; otherwise a bar.

    Returns:
        A `LipschitzReport`. Runge-Kutta layers inside others are not in it.

    Raises:
        ValueError: for a bad argument, for a model without Runge-Kutta layers, and for a layer
            that the model does not call.
    """
    layers = outermost_layers(model)
    states, full_up_to = (
        positive_integer("states", states),
        positive_integer("full_up_to", full_up_to),
    )
    iterations = positive_integer("iterations", iterations)
    rng = np.random.default_rng(seed)
    progress = progress_bar(sum(layer._blocks or 1 for layer in layers), verbose)
    found = []
    for passage in passages(model, layers, _some(data, states, rng)):
        found.append(_steepness(passage, (states, full_up_to, iterations), rng))
        progress.add(1)
    return LipschitzReport(tuple(found))


def _some(data: Any, count: int, rng: np.random.Generator) -> Any:
    """At most `count` samples of arrays."""
    parts = keras.tree.flatten(data)
    if not parts or not all(hasattr(x, "shape") and len(x.shape) > 0 for x in parts):
        raise ValueError(
            "lipschitz needs arrays, as the model takes them. "
            f"Received: data of type {type(data).__name__}."
        )
    samples = len(parts[0])
    if not samples:
        raise ValueError("lipschitz needs at least one sample. Received: no data.")
    chosen = np.sort(rng.permutation(samples)[:count])
    return keras.tree.map_structure(lambda x: keras.ops.convert_to_numpy(x)[chosen], data)


def _steepness(
    passage: Passage, sizes: tuple[int, int, int], rng: np.random.Generator
) -> Steepness:
    count, full_up_to, iterations = sizes
    batch = len(passage.states[0])
    chosen = np.sort(rng.permutation(batch * len(passage.states))[:count])
    states = np.concatenate(passage.states)[chosen]
    size = states[0].size

    def f(y: np.ndarray, of_state: np.ndarray) -> np.ndarray:
        return passage.field(y, chosen[of_state] % batch)

    if size <= full_up_to:
        norm, radius = norms_and_radii(full_jacobians(f, states))
    else:
        norm, radius = estimated(f, states, iterations, rng)
    R = stability_function(passage.single.tableau)
    return Steepness(
        layer=passage.layer,
        block=passage.block,
        method=method_name(passage.single.tableau),
        dt=float(np.max(np.abs(passage.single.step_sizes))),
        lipschitz=norm,
        spectral_radius=radius,
        is_exact=size <= full_up_to,
        real_interval=R.real_interval,
        imaginary_interval=R.imaginary_interval,
    )
