"""local_error: how far the steps of each block are off the flow of its own field."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_rk.butcher.tableau import Tableau
from keras_rk.diagnostics.arguments import check_repeatable, method_name, outermost_layers
from keras_rk.diagnostics.copies import made_again
from keras_rk.diagnostics.local_error_report import BlockError, LocalErrorReport
from keras_rk.diagnostics.references import same_statistics, with_reference
from keras_rk.layers.arguments import positive_integer
from keras_rk.layers.method_layer import MethodLayer
from keras_rk.models.batch_progress import CountBatches
from keras_rk.models.calls_in_graphs import layers_called_with
from keras_rk.models.error_pass import ErrorPass, estimate_errors
from keras_rk.models.inner_layers import method_layers
from keras_rk.models.method_replacement import copy_with_method, model_configuration
from keras_rk.models.weight_transfer import WeightTransfer
from keras_rk.progress import Progress
from keras_rk.tableaux.as_tableau import as_tableau


def local_error(
    model: keras.Model,
    data: Any,
    tableau: Any = None,
    *,
    substeps: int = 4,
    batch_size: int | None = None,
    verbose: Any = "auto",
) -> LocalErrorReport:
    """Measures the local error of each block: of its steps, beside the flow of its own field.

    With y_n where the trained network is after n steps, and phi the flow of y' = f(t, y) over one
    step, the error is the root mean square over the data of

        y_n + dt * sum_i b_i k_i - phi(y_n),

    where phi comes from `substeps` small steps of the network's own method, or of RK4 where that is
    of an order below 4. Of several steps in a block it is the mean over the steps. What half as
    many small steps would change tells whether phi is known well enough; where it is not, the error
    is marked. In float32, errors of less than about 1e-6 times the size of dt f are rounding.

    An embedded pair (b, b_hat) estimates the error of its own steps, dt * sum_i (b_i - b_hat_i)
    k_i, not of those that the network takes: that of a higher order is far smaller than what a
    network trained with Euler's method is off. It is reported beside the network's own error.

    Example:

    >>> from keras_rk.layers import RKStack
    >>> stack = RKStack(keras.layers.Dense(2, activation="tanh"), 3, "euler", dt=0.1, name="stack")
    >>> model = keras.Sequential([keras.Input((2,)), stack])
    >>> report = local_error(model, np.ones((8, 2)), "bogacki_shampine32", verbose=0)
    >>> [(one.layer, one.block, one.method, one.pair) for one in report.blocks][0]
    ('stack', 0, 'euler', 'bogacki_shampine32')
    >>> bool(np.all(report.errors < 0.01)), report.unresolved
    (True, 0)

    Moving statistics of batch normalization in f stay those of the network for its own stages; the
    reference takes those of the stage at the nearest node (in an f with Runge-Kutta layers inside,
    of the nearest stage for both).

    Args:
        model: a Keras model with `RKResidual` or `RKStack` layers.
        data: what `model.predict` takes, to be read several times.
        tableau: a pair, the estimate of which is reported as well, in the network that is run with
            it: the name of one, such as `"bogacki_shampine32"` or `"dormand_prince54"`, or a
            `keras_rk.Tableau` with `b_hat`. None for that of the layers, if all have one that is
            not trained. Moving statistics of another method are taken over from the nearest
            evaluation.
        substeps: how many small steps of the reference replace one, at least 4.
        batch_size: for arrays, as in `model.predict`.
        verbose: 0 for no progress; "auto" shows it, with the time left, where it takes long and
            somebody watches, on a terminal or in a notebook; 1 always.

    Returns:
        A `LocalErrorReport`. Runge-Kutta layers inside others are not in it.

    Raises:
        ValueError: for a tableau without `b_hat`, for a bad argument, for a model without
            Runge-Kutta layers, and if there are no data.
        keras_rk.TableauError: for an unknown method.
    """
    layers = outermost_layers(model)
    pair = None if tableau is None else as_tableau(tableau)
    substeps = _enough(positive_integer("substeps", substeps))
    if pair is not None and pair.b_hat is None:
        raise ValueError(
            "A local error by a pair needs embedded weights, a tableau with `b_hat`: "
            f"`tableau='dormand_prince54'`. Received: tableau {pair.name or pair!r} without."
        )
    check_repeatable(data)

    def measured(copy: keras.Model, passes: int) -> list[np.ndarray]:
        run, counter = ErrorPass(copy, outermost_layers(copy)), CountBatches(progress, passes)
        run.predict(data, batch_size=batch_size, verbose=0, callbacks=[counter])
        return run.errors()

    pairs: list[Any] = [None] * len(layers)
    has_pairs = pair is not None or all(_has_pair(layer) for layer in layers)
    with Progress("local_error", units="batches", verbose=verbose) as progress:
        own = measured(_beside_reference(model, substeps), 2 + has_pairs)
        coarser = measured(_beside_reference(model, substeps // 2), 1 + has_pairs)
        if has_pairs:
            run_with = model if pair is None else copy_with_method(model, pair)
            pairs = measured(_with_errors(run_with, lambda _, given: as_tableau(given)), 1)
    names = [method_name(layer.tableau if pair is None else pair) for layer in layers]
    config = model_configuration(model)
    timed = {name for given in ("dt", "times") for name in layers_called_with(config, given)}
    sizes = [None if one.name in timed else np.atleast_1d(one.step_sizes) for one in layers]
    found = zip(layers, sizes, own, coarser, pairs, names, strict=True)
    return LocalErrorReport(tuple(b for one in found for b in _blocks(*one)), substeps)


def _enough(substeps: int) -> int:
    if substeps < 4:
        raise ValueError(
            "`substeps` of the reference must be at least 4; half as many tell how well it is "
            f"known. Received: substeps={substeps}."
        )
    return substeps


def _blocks(
    layer: MethodLayer, dts: Any, errors: Any, coarser: Any, pair_errors: Any, pair: str
) -> list[BlockError]:
    count, pair_errors = np.atleast_1d(errors), np.atleast_1d(pair_errors)
    return [
        BlockError(
            layer=layer.name,
            block=None if layer._blocks is None else n,
            method=method_name(layer.tableau),
            dt=None if dts is None else float(np.mean(dts if layer._blocks is None else dts[n])),
            error=float(error),
            change=float(abs(error - np.atleast_1d(coarser)[n])),
            pair=None if pair_errors[0] is None else pair,
            pair_error=None if pair_errors[0] is None else float(pair_errors[n]),
        )
        for n, error in enumerate(count)
    ]


def _has_pair(layer: MethodLayer) -> bool:
    return layer.tableau.b_hat is not None and not layer.trainable_tableau


def _beside_reference(model: keras.Model, substeps: int) -> keras.Model:
    """A copy in which each outermost layer estimates its error by small steps."""
    learned = {one.name: one.tableau for one in outermost_layers(model) if one.trainable_tableau}

    def pair(name: str, given: Any) -> Tableau:
        return with_reference(learned.get(name, as_tableau(given)), substeps)

    new = _with_errors(model, pair)
    for one, other in zip(outermost_layers(model), outermost_layers(new), strict=True):
        same_statistics(one, other)
    return new


def _with_errors(model: keras.Model, pair: Callable[..., Tableau]) -> keras.Model:
    """A copy in which each outermost Runge-Kutta layer estimates its error.

    Args:
        pair: makes the tableau of a layer from its name and the one in its configuration.
    """
    inside = {one.name for one in method_layers(model, templates=True)}
    inside -= {one.name for one in outermost_layers(model)}

    def change(config: dict[str, Any]) -> None:
        if config["name"] not in inside:
            estimate_errors(config, pair(config["name"], config["tableau"]))

    new = made_again(model, change)
    WeightTransfer(frozenset(), frozenset())(model, new)
    return new
