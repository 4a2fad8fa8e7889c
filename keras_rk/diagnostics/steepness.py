"""lipschitz: how steep f is in each block, and what the steps of the method make of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_rk.analysis.stability import StabilityFunction, stability_function
from keras_rk.diagnostics.amplification import Amplification, amplification, is_disc_inside
from keras_rk.diagnostics.arguments import method_name, outermost_layers
from keras_rk.diagnostics.jacobians import along, full_jacobians, norm_and_eigenvalues
from keras_rk.diagnostics.norms import norm_bounds
from keras_rk.diagnostics.passages import Passage, passages
from keras_rk.diagnostics.spectra import leading_eigenvalues
from keras_rk.diagnostics.steepness_report import LipschitzReport, Steepness
from keras_rk.layers.arguments import positive_integer
from keras_rk.progress import Progress

STEEPEST = 8  # states of many elements whose eigenvalues are looked at


def lipschitz(
    model: keras.Model,
    data: Any,
    *,
    states: int = 64,
    full_up_to: int = 64,
    iterations: int = 40,
    seed: int = 0,
    verbose: Any = "auto",
) -> LipschitzReport:
    """Estimates how steep f is in each block, where the data pass.

    With the Jacobian J(y) = df/dy at states y on the way of the data,

        L      = max |J(y)|_2,
        radius = max |lambda|,    lambda an eigenvalue of J(y).

    A step of size dt multiplies small changes of y by R(dt J), the ODE by exp(dt J). So what a step
    makes of an eigenvalue is |R(dt lambda)|, and beside it stands |exp(dt lambda)|. An eigenvalue
    lies outside

        where Re lambda <= 0 and |R(dt lambda)| > 1: the ODE damps or keeps what the step amplifies;
        where Re lambda > 0 and |R(dt lambda)| > 1.01 |exp(dt lambda)|: the step amplifies more.

    A network that has eigenvalues outside can only have learned to rely on that.

    J is computed by central differences of f in inference mode, in float32 good to three digits or
    more. It is that of f at the states that were looked at: L is no bound for all of f.

    States of many elements:
        Beyond `full_up_to` elements J is known only by its products with vectors. L is then a lower
        bound, by Lanczos's method on J^T J (a power iteration, and all that it passes on the way)
        from a random direction at each state; `lipschitz_bound` bounds the norms at these states
        from above, with a probability of 0.999 whatever their spectra. Where an interval ends
        between the two, there is no verdict on it.

        The eigenvalues are then the leading ones at the eight steepest states, by Arnoldi's method
        (SciPy: `pip install scipy`; without it there are none). That they are inside says nothing
        about the others; "yes" then means that there can be none outside, since |dt| L is too
        small.

    Example:

    >>> from keras_rk.layers import RKResidual
    >>> f = keras.layers.Dense(2, kernel_initializer=keras.initializers.Constant(-2.0))
    >>> model = keras.Sequential([keras.Input((2,)), RKResidual(f, "rk4", dt=0.5)])
    >>> block = lipschitz(model, np.ones((8, 2)), verbose=0).blocks[0]
    >>> f"{block.lipschitz:.2f} {block.spectral_radius:.2f} {block.scaled:.2f}"
    '4.00 4.00 2.00'
    >>> block.is_inside, sorted(round(factor, 3) for factor in block.amplification.factors)[0]
    (True, 0.333)

    f must treat each sample by itself, and is evaluated as in the first stage of the first step of
    its block: with the moving statistics and the time of that.

    Args:
        model: a Keras model with `RKResidual` or `RKStack` layers.
        data: one array, or a list or dictionary of arrays, as the model takes them.
        states: how many states are looked at in each block; samples of the data, and steps of the
            block, are drawn at random if there are more.
        full_up_to: up to how many elements of a state the whole Jacobian is computed.
        iterations: how many products with J^T J at most are taken beyond; from 20 on the bounds
            are within a few percent of each other.
        seed: what is drawn at random depends on it.
        verbose: 0 for no progress; "auto" shows it, with the time left, where it takes long and
            somebody watches, on a terminal or in a notebook; 1 always.

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
    found, count = [], sum(layer._blocks or 1 for layer in layers)
    with Progress("lipschitz", count, units="blocks", verbose=verbose) as progress:
        for passage in passages(model, layers, _some(data, states, rng)):
            found.append(_steepness(model, passage, (states, full_up_to, iterations), rng))
            progress.step()
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
    model: keras.Model, passage: Passage, sizes: tuple[int, int, int], rng: np.random.Generator
) -> Steepness:
    count, full_up_to, iterations = sizes
    batch = len(passage.states[0])
    chosen = np.sort(rng.permutation(batch * len(passage.states))[:count])
    states, samples = np.concatenate(passage.states)[chosen], chosen % batch
    dt = np.asarray(passage.single.step_sizes)  # with an axis where each channel has its own
    dts = np.broadcast_to(dt, states[0].shape).ravel()
    is_exact = states[0].size <= full_up_to
    if is_exact:
        found = _whole(passage, states, samples, dts)
    else:
        found = _by_products(model, passage, states, samples, dts, iterations, rng)
    reach, R = float(np.abs(dt).max()), stability_function(passage.single.tableau)
    amplified = None if found.scaled is None else amplification(R, found.scaled)
    return Steepness(
        layer=passage.layer,
        block=passage.block,
        method=method_name(passage.single.tableau),
        dt=reach,
        lipschitz=found.norm,
        lipschitz_bound=found.bound,
        spectral_radius=found.radius,
        is_exact=is_exact,
        is_inside=_is_inside(R, found, amplified, reach, is_exact),
        amplification=amplified,
        R=R,
    )


class _Found(NamedTuple):
    """Of the Jacobians J at some states.

    Attributes:
        norm, bound: bounds on the largest norm.
        radius: the largest absolute eigenvalue; None where it is not known.
        scaled: eigenvalues of dt J; None where none is known.
    """

    norm: float
    bound: float
    radius: float | None
    scaled: np.ndarray | None


def _whole(passage: Passage, states: np.ndarray, samples: np.ndarray, dts: np.ndarray) -> _Found:
    jacobians = full_jacobians(lambda y, of_state: passage.field(y, samples[of_state]), states)
    norm, eigenvalues = norm_and_eigenvalues(jacobians)
    if not len(eigenvalues):
        return _Found(norm, norm, norm, None)
    scaled = norm_and_eigenvalues(dts[:, None] * jacobians)[1]
    return _Found(norm, norm, float(np.abs(eigenvalues).max()), scaled)


def _by_products(
    model: keras.Model,
    passage: Passage,
    states: np.ndarray,
    samples: np.ndarray,
    dts: np.ndarray,
    iterations: int,
    rng: np.random.Generator,
) -> _Found:
    compiled = not model.run_eagerly
    transposed = passage.transposed(samples, compiled)
    product = _product(passage, states, samples, compiled)

    def both_ways(v: np.ndarray) -> np.ndarray:
        return transposed(states, product(v).reshape(states.shape)).reshape(v.shape)

    norms, bound = norm_bounds(both_ways, len(states), states[0].size, iterations, rng)
    norm = float(norms.max())
    if not np.isfinite(norm):
        return _Found(norm, bound, norm, None)
    steepest = np.argsort(-norms, kind="stable")[:STEEPEST]
    product = _product(passage, states[steepest], samples[steepest], compiled)
    scaled = leading_eigenvalues(lambda v: dts * product(v), len(steepest), len(dts), rng)
    has_radius = scaled is not None and bool(np.all(dts == dts[0]))
    return _Found(norm, bound, float(np.abs(scaled / dts[0]).max()) if has_radius else None, scaled)


def _product(
    passage: Passage, states: np.ndarray, samples: np.ndarray, compiled: bool
) -> Callable[[np.ndarray], np.ndarray]:
    """v -> J v with the Jacobian at each of some states."""
    function = passage.function(np.tile(samples, 2), compiled)
    places = np.arange(len(states))
    return lambda v: along(lambda y, of_state: function(y), states, places, v)


def _is_inside(
    R: StabilityFunction, found: _Found, amplified: Amplification | None, reach: float, whole: bool
) -> bool | None:
    """The verdict on a block; None where what is known allows for none."""
    if not np.isfinite(found.norm) or (amplified is not None and amplified.outside):
        return False
    return True if whole or is_disc_inside(R, reach * found.bound) else None
