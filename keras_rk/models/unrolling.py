"""Runge-Kutta layers turned into plain layers and operations of Keras."""

from __future__ import annotations

from typing import Any

import keras

from keras_rk.layers.arguments import truth
from keras_rk.layers.method_layer import MethodLayer
from keras_rk.layers.rk_adaptive import RKAdaptive
from keras_rk.models.compilation import compile_one, run_alike
from keras_rk.models.conversion import freeze_alike
from keras_rk.models.inner_layers import inner_layers
from keras_rk.models.method_replacement import copy_with_method
from keras_rk.models.recorded_graph import has_graph
from keras_rk.models.written_out import Unrolling, is_ours


def unroll(model: keras.layers.Layer, *, copy_weights: bool = False) -> keras.Model:
    """A model without Runge-Kutta layers that computes what the given one does.

    Each `RKResidual` and `RKStack` is written out in plain layers and operations of Keras:

        k_i = f(y + sum_j (dt a_ij) k_j),    y_next = y + sum_i (dt b_i) k_i

    with f as often as the method evaluates it, and the layers of f in the model itself. Euler with
    dt = 1 becomes the `keras.layers.Add` of y and f(y). Such a model loads where keras_rk is not
    installed, and exported it runs as fast as one written that way, which a loop does not.

    Example:

    >>> from keras_rk.layers import RKResidual, RKStack
    >>> block = RKResidual(keras.layers.Dense(8, activation="tanh"), "heun2", dt="1/2")
    >>> stack = RKStack(keras.layers.Dense(8, activation="tanh"), depth=3, tableau="euler")
    >>> model = keras.Sequential([keras.Input((8,)), block, stack])
    >>> plain = unroll(model)
    >>> sorted({type(layer).__name__ for layer in plain.layers})
    ['Add', 'Dense', 'InputLayer']
    >>> data = np.ones((3, 8))
    >>> np.allclose(model.predict(data, verbose=0), plain.predict(data, verbose=0), atol=1e-6)
    True

    Runge-Kutta layers are found in models, in models inside, in the f of another one, and in
    `keras.layers.TimeDistributed`. `ConcatTime` becomes padding of y with the time.

    The layers of f are those of the given model, so to train one model is to train the other,
    unless `copy_weights`. Copies in any case are: the blocks of an `RKStack`; layers whose names
    others have already, which get new ones; and what has moving statistics for each evaluation.

    What is not the same in training:
        Layers with moving statistics for each evaluation of f (`state="per_evaluation"`, more than
        one) become as many layers, each with weights of its own (scale and offset of batch
        normalization; everything, where they are inside other layers). With `state="first"` all
        evaluations update the one set that there is. Random layers draw anew for each evaluation,
        as with `noise="per_stage"`. Losses of activities count for each evaluation. What is learned
        of the method (`trainable_dt`, `trainable_tableau`) stays what it is. `error_estimate`,
        `error_weight`, `order_penalty` and `remat` are dropped.

    Args:
        model: a functional model or a `Sequential`, built; or an `RKResidual` or `RKStack`.
        copy_weights: whether the new model has weights of its own.

    Returns:
        A functional model with the same inputs and outputs, compiled as the given one is, with a
        new optimizer. A model without layers of keras_rk comes back itself.

    Raises:
        ValueError: for a model without a graph, or not built; for Runge-Kutta layers inside layers
            whose code calls them; for a mask of y that f does not keep, or that is an argument of
            the call; for a layer with weights that f gives the time alone.
    """
    truth("copy_weights", copy_weights)
    if (
        isinstance(model, keras.layers.Layer)
        and not is_ours(model)
        and not any(map(is_ours, inner_layers(model)))
    ):
        return model
    check_model(model)
    _check_steps(model)
    source = copy_with_method(model) if copy_weights else model
    new = Unrolling().model_of(source)
    if isinstance(model, keras.Model):
        freeze_alike(model, new)
        run_alike(model, new)
        compile_one(model, new)
    return new


def check_model(model: Any) -> None:
    """Refuses what has no graph."""
    if has_graph(model) or (isinstance(model, MethodLayer) and model.built):
        return
    what = f"{model!r} (of type {type(model).__name__})"
    if isinstance(model, (keras.Sequential, MethodLayer)):
        what = f"{type(model).__name__} {model.name!r}, which is not built: call it on data first"
    elif isinstance(model, keras.layers.Layer):
        what = f"{model.name!r} of the class {type(model).__name__}, which calls layers in its code"
    raise ValueError(
        "unroll writes out the graph of a functional model, `keras.Model(inputs, outputs)`, or a "
        f"Runge-Kutta layer. Received: {what}."
    )


def _check_steps(model: keras.layers.Layer) -> None:
    """Refuses steps that only data decide on."""
    adaptive = [x for x in inner_layers(model, templates=True) if isinstance(x, RKAdaptive)]
    if adaptive:
        raise ValueError(
            "The steps of RKAdaptive follow from data, and cannot be written out: put an "
            "RKResidual with the same f, whose `dt` and `steps` are fine enough, in its place. "
            f"Received: layer {adaptive[0].name!r}."
        )
