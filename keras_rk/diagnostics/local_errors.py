"""local_error: the error of each block, by an embedded pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rk import loops
from keras_rk.diagnostics.arguments import outermost_layers
from keras_rk.diagnostics.copies import made_again
from keras_rk.diagnostics.plots import block_axis, legend_above
from keras_rk.diagnostics.reports import Report
from keras_rk.diagnostics.tables import label, table
from keras_rk.layers.method_layer import MethodLayer
from keras_rk.models.method_replacement import copy_with_method
from keras_rk.models.summing_pass import SummingPass
from keras_rk.models.weight_transfer import WeightTransfer
from keras_rk.tableaux.as_tableau import as_tableau


@dataclass(frozen=True)
class BlockError:
    """The local error of a block.

    Attributes:
        layer: the name of the layer.
        block: which block of an `RKStack`; None for an `RKResidual`.
        method: the name of the embedded pair.
        dt: the step size.
        error: the root mean square of dt * sum_i (b_i - b_hat_i) k_i.
    """

    layer: str
    block: int | None
    method: str
    dt: float
    error: float


@dataclass(frozen=True)
class LocalErrorReport(Report):
    """The local errors of all blocks, in the order of the model. `plot` draws them.

    Attributes:
        blocks: one `BlockError` for each block.
    """

    blocks: tuple[BlockError, ...]

    @property
    def errors(self) -> np.ndarray:
        """The errors alone."""
        return np.array([block.error for block in self.blocks])

    def __str__(self) -> str:
        rows = [[label(b), b.method, b.dt, b.error] for b in self.blocks]
        return "Local errors\n\n" + table(["block", "method", "dt", "error"], rows)

    def _draw(self, axes: Any) -> None:
        for name in dict.fromkeys(block.layer for block in self.blocks):
            errors = [(n, b.error) for n, b in enumerate(self.blocks) if b.layer == name]
            axes.plot(*zip(*errors, strict=True), marker="o", linestyle="-", label=name)
        if np.all(self.errors > 0):
            axes.set_yscale("log")
        block_axis(axes, [label(block) for block in self.blocks])
        axes.set_ylabel("local error")
        axes.legend()


def local_error(
    model: keras.Model,
    data: Any,
    tableau: Any = None,
    *,
    batch_size: int | None = None,
    verbose: Any = "auto",
) -> LocalErrorReport:
    """Estimates the local error of each block, with the embedded pair of a tableau.

    A pair (b, b_hat) has two results for each step, of which one is of higher order. The root mean
    square of their difference over the data,

        dt * sum_i (b_i - b_hat_i) k_i,

    estimates the error that one step of the lower order makes. Of several steps in a block it is
    the mean over the steps.

    Example:

    >>> from keras_rk.layers import RKStack
    >>> stack = RKStack(keras.layers.Dense(2, activation="tanh"), 3, "euler", dt=0.1, name="stack")
    >>> model = keras.Sequential([keras.Input((2,)), stack])
    >>> report = local_error(model, np.ones((8, 2)), "bogacki_shampine32", verbose=0)
    >>> [(one.layer, one.block) for one in report.blocks]
    [('stack', 0), ('stack', 1), ('stack', 2)]
    >>> bool(np.all(report.errors < 0.01))
    True

    Args:
        model: a Keras model with `RKResidual` or `RKStack` layers.
        data: what `model.predict` takes.
        tableau: a pair, with which the network is run: the name of one, such as
            `"bogacki_shampine32"` or `"dormand_prince54"`, or a `keras_rk.Tableau` with `b_hat`.
            None for that of each layer. Moving statistics of another method are taken over from
            the nearest evaluation.
        batch_size: for arrays, as in `model.predict`.
        verbose: as in `model.predict`.

    Returns:
        A `LocalErrorReport`. Runge-Kutta layers inside others are not in it.

    Raises:
        ValueError: for a tableau without `b_hat`, for layers whose tableau has none or is trained,
            for a model without Runge-Kutta layers, and if there are no data.
        keras_rk.TableauError: for an unknown method.
    """
    layers = outermost_layers(model)
    pair = None if tableau is None else as_tableau(tableau)
    _check_pairs(layers, pair)
    copy = with_errors(model if pair is None else copy_with_method(model, pair))
    measured = outermost_layers(copy)
    run = _Pass(copy, measured)
    run.predict(data, batch_size=batch_size, verbose=verbose)
    return LocalErrorReport(
        tuple(
            BlockError(
                layer=layer.name,
                block=None if layer._blocks is None else block,
                method=layer.tableau.name or "its own",
                dt=float(np.mean(np.atleast_1d(layer.step_sizes)[block])),
                error=float(error),
            )
            for layer, errors in zip(measured, run.errors(), strict=True)
            for block, error in enumerate(np.atleast_1d(errors))
        )
    )


def _check_pairs(layers: Sequence[MethodLayer], pair: Any) -> None:
    if pair is not None and pair.b_hat is None:
        raise ValueError(_needs_pair(f"tableau {pair.name or pair!r}"))
    if pair is not None:
        return
    trained = [layer.name for layer in layers if layer.trainable_tableau]
    if trained:
        raise ValueError(
            "The embedded weights b_hat belong to the tableau as it was before it was trained; "
            f"name a pair: `tableau='dormand_prince54'`. Received: layers {trained}."
        )
    without = [layer.name for layer in layers if layer.tableau.b_hat is None]
    if without:
        raise ValueError(_needs_pair(f"layers {without}"))


def _needs_pair(received: str) -> str:
    return (
        "A local error needs an embedded pair, a tableau with `b_hat`: "
        f"`tableau='dormand_prince54'`. Received: {received} without."
    )


def with_errors(model: keras.Model) -> keras.Model:
    """A copy in which each Runge-Kutta layer with an embedded pair estimates its error."""

    def change(config: dict[str, Any]) -> None:
        if as_tableau(config["tableau"]).b_hat is not None:
            config.update(error_estimate=True, error_weight=0.0)
            config.update(trainable_tableau=False, order_penalty=None)

    new = made_again(model, change)
    WeightTransfer(frozenset(), frozenset())(model, new)
    return new


class _Pass(SummingPass):
    """Calls a model in inference mode and adds up the squares of its estimated errors.

    Args:
        model: the model.
        layers: those of its layers that estimate errors.
    """

    def __init__(self, model: keras.Model, layers: Sequence[MethodLayer]) -> None:
        super().__init__(model, [layer._error for layer in layers], "A local error")

    def call(self, inputs: Any) -> Any:
        self.inner(inputs, training=False)
        samples = ops.cast(ops.shape(keras.tree.flatten(inputs)[0])[0], "float32")
        errors = [loops.value(variable, written=True) for variable in self._variables()]
        return self.add([ops.square(ops.cast(error, "float32")) for error in errors], samples)

    def errors(self) -> list[np.ndarray]:
        """The root mean squares over all samples."""
        return [np.sqrt(mean) for mean in self.means()]
