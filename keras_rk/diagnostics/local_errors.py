"""local_error: the error of each block, by an embedded pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rk.as_tableau import as_tableau
from keras_rk.diagnostics.arguments import outermost_layers
from keras_rk.diagnostics.copies import made_again
from keras_rk.diagnostics.plots import blocks, draw
from keras_rk.diagnostics.tables import plain, table
from keras_rk.inner_layers import numbers
from keras_rk.layers import loops
from keras_rk.layers.method_layer import MethodLayer
from keras_rk.method_replacement import with_method
from keras_rk.weight_transfer import WeightTransfer


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
class LocalErrorReport:
    """The local errors of all blocks, in the order of the model.

    Attributes:
        blocks: one `BlockError` for each block.
    """

    blocks: tuple[BlockError, ...]

    @property
    def errors(self) -> np.ndarray:
        """The errors alone."""
        return np.array([block.error for block in self.blocks])

    def to_dict(self) -> dict[str, Any]:
        """The report for a program, ready for JSON; numbers that are not finite are None."""
        return plain(asdict(self))

    def __str__(self) -> str:
        rows = [[label(b), b.method, b.dt, b.error] for b in self.blocks]
        return "Local errors\n\n" + table(["block", "method", "dt", "error"], rows)

    def plot(self, target: Any = None) -> Any:
        """The error of each block.

        Args:
            target: a path, to which the picture is written; Matplotlib axes; None for a new figure.

        Returns:
            The Matplotlib figure.
        """
        return draw(target, [self._draw])

    def _draw(self, axes: Any) -> None:
        for name in dict.fromkeys(block.layer for block in self.blocks):
            errors = [(n, b.error) for n, b in enumerate(self.blocks) if b.layer == name]
            axes.plot(*zip(*errors, strict=True), marker="o", linestyle="-", label=name)
        if np.all(self.errors > 0):
            axes.set_yscale("log")
        blocks(axes)
        axes.set_ylabel("local error")
        axes.legend()


def label(block: Any) -> str:
    """What a block is called in a table."""
    return block.layer if block.block is None else f"{block.layer} {block.block}"


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
    copy = with_errors(model if pair is None else with_method(model, pair))
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


class _Pass(keras.Model):
    """Calls a model in inference mode and adds up the squares of its estimated errors.

    Args:
        model: the model.
        layers: those of its layers that estimate errors.
    """

    def __init__(self, model: keras.Model, layers: Sequence[MethodLayer]) -> None:
        super().__init__(autocast=False, name="local_error")
        self.inner = model
        variables: list[Any] = [layer._error for layer in layers]
        self._errors = lambda: variables  # not to be tracked: they belong to the model
        self._sums = [self._number(variable.shape) for variable in self._errors()]
        self._samples = self._number(())
        self.built = True

    def _number(self, shape: Sequence[int]) -> keras.Variable:
        return self.add_weight(
            shape=shape, initializer="zeros", dtype="float32", trainable=False, autocast=False
        )

    def call(self, inputs: Any) -> Any:
        self.inner(inputs, training=False)
        samples = ops.cast(ops.shape(keras.tree.flatten(inputs)[0])[0], "float32")
        for total, variable in zip(self._sums, self._errors(), strict=True):
            error = ops.cast(loops.value(variable, written=True), "float32")
            total.assign(total + samples * ops.square(error))
        self._samples.assign(self._samples + samples)
        return ops.zeros((1,))

    def errors(self) -> list[np.ndarray]:
        """The root mean squares over all samples."""
        samples = float(ops.convert_to_numpy(self._samples))
        if not samples > 0:
            raise ValueError("A local error needs at least one batch. Received: no data.")
        return [np.sqrt(numbers(total) / samples) for total in self._sums]
