"""The same trained model with another integrator."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from copy import deepcopy
from fractions import Fraction
from typing import Any, NamedTuple

import keras

from keras_rk.butcher.tableau import Tableau
from keras_rk.field.copies import made_from
from keras_rk.layers import RKTransformerEncoder
from keras_rk.layers.arguments import block_step_sizes, positive_integer, step_size
from keras_rk.layers.method_layer import MethodLayer
from keras_rk.layers.stacked_layer import with_alike_blocks
from keras_rk.models.calls_in_graphs import layers_called_with, values_of
from keras_rk.models.compilation import compile_alike, not_compiled, run_alike
from keras_rk.models.inner_layers import inner_layers
from keras_rk.models.weight_transfer import WeightTransfer
from keras_rk.numbers.coefficients import exact, is_float, to_text
from keras_rk.steps.learned import entries_of
from keras_rk.steps.stages import stage_plan
from keras_rk.tableaux.as_tableau import as_tableau

OF_A_METHOD = (MethodLayer, RKTransformerEncoder)  # with a tableau, dt and steps in their arguments


def with_method(
    model: keras.layers.Layer,
    tableau: Any = None,
    dt: Any = None,
    substeps: int | None = None,
    blocks: Any = None,
) -> keras.layers.Layer:
    """A copy of a model whose Runge-Kutta layers integrate by another method.

    Each `RKResidual`, `RKStack` and `RKTransformerEncoder` in the model (in nested models, in
    wrappers, in the f of another one) keeps its vector field f and its trained weights, and gets

        tableau -> the given one,    dt -> dt / substeps,    steps -> steps * substeps

    with the given dt or its own. So a network trained with Euler's method can be evaluated with
    RK4, and one that integrates an ODE gives nearly the same with `substeps=2`.

    Example:

    >>> from keras_rk.layers import RKResidual
    >>> block = RKResidual(keras.layers.Dense(8, activation="tanh"), "rk4", dt="1/2", name="block")
    >>> model = keras.Sequential([keras.Input((8,)), block, keras.layers.Dense(1)])
    >>> finer = with_method(model, substeps=3)
    >>> finer.get_layer("block").dt, finer.get_layer("block").steps
    ('1/6', 3)
    >>> heun = with_method(model, "heun2", blocks=["block"])
    >>> heun.get_layer("block").tableau.name
    'heun2'
    >>> all(np.array_equal(a, b) for a, b in zip(model.get_weights(), heun.get_weights()))
    True

    The model is made again from its configuration, with the same names and with weights of its own;
    the given one stays as it is. The copy is compiled as the model is, with a new optimizer of the
    same configuration; where that cannot be, a warning says so.

    What is left of the other arguments of a layer:
        `order` is dropped with another tableau, which has its own claim; what `require` demands
        still has to hold. Without `b_hat` in the tableau there is no `error_estimate`.

        Learned step sizes (`trainable_dt`) are taken over, divided by `substeps`; a given `dt` is
        where they start anew. Learned coefficients (`trainable_tableau`) are taken over unless a
        tableau is given, from which they start anew and stay trainable, if it has any to choose
        (Euler's method has none).

        Moving statistics of each evaluation of f start from those of the nearest one before, which
        only `keras_rk.recalibrate` makes right. An `RKResidual` with `return_states` also returns
        the states after substeps.

        A call with `times` of its own has `substeps` times the steps in each interval. A `dt` in a
        call is not divided: with `substeps`, that is refused where the model's graph shows it.

    Args:
        model: a Keras model, or an `RKResidual` or `RKStack` by itself.
        tableau: the method: a name, a `keras_rk.Tableau`, or arrays `(A, b[, c])`; None for that of
            each layer.
        dt: the step size, or a list with one for each block of an `RKStack`; None for that of each
            layer.
        substeps: how many steps replace one; dt is divided exactly.
        blocks: the names of the layers to be changed, or the layers themselves; None for all.

    Returns:
        The new model, or the new layer. Without `tableau`, `dt` and `substeps`, a copy.

    Raises:
        ValueError: for a bad argument, for `blocks` that are not in the model, and for a model that
            cannot be made again from its configuration.
        keras_rk.TableauError: for a tableau without what a layer requires.
    """
    if not isinstance(model, keras.layers.Layer):
        raise ValueError(
            "with_method needs a Keras model, or a layer. "
            f"Received: {model!r} (of type {type(model).__name__})."
        )
    new = copy_with_method(model, tableau, dt, substeps, blocks)
    compile_alike(model, new)
    return new


def copy_with_method(
    model: keras.layers.Layer,
    tableau: Any = None,
    dt: Any = None,
    substeps: int | None = None,
    blocks: Any = None,
) -> keras.layers.Layer:
    """What `with_method` returns, not compiled, for a copy that only predicts."""
    tableau = None if tableau is None else as_tableau(tableau)
    change = _Change(tableau, dt, positive_integer("substeps", 1 if substeps is None else substeps))
    classes = {type(layer).__name__: type(layer) for layer in inner_layers(model, templates=True)}
    config = model_configuration(model)
    entries = list(method_configurations(config, classes))
    names = _chosen(model, entries, blocks)
    if change.is_any and not names:
        raise ValueError(
            "There is no RKResidual or RKStack in the model to be changed. "
            f"Received: model {model.name!r}."
        )
    if change.substeps > 1:
        _check_sizes_of_calls(config, names)
    for entry in entries:
        if entry["name"] in names:
            change.apply(entry)
    with with_alike_blocks() if model.built else nullcontext():
        new = made_from(config, classes)
    WeightTransfer(names, change.dropped)(model, new)
    run_alike(model, new)
    return new


class _Change(NamedTuple):
    """What a layer gets.

    Attributes:
        tableau, dt: None where it keeps its own.
    """

    tableau: Tableau | None
    dt: Any
    substeps: int

    @property
    def is_any(self) -> bool:
        """Whether there is anything to be changed."""
        return self.tableau is not None or self.dt is not None or self.substeps > 1

    @property
    def dropped(self) -> frozenset[str]:
        """The names of the weights that lose their meaning."""
        names = {"coefficients": self.tableau, "log_dt_ratio": self.dt}
        return frozenset(name for name, given in names.items() if given is not None)

    def apply(self, config: dict[str, Any]) -> None:
        """Changes the configuration of a layer in place."""
        if self.tableau is not None:
            config.update(tableau=self.tableau.to_dict(), order=None)
            if self.tableau.b_hat is None:
                config.update(error_estimate=False, error_weight=0.0)
            if config["trainable_tableau"] and not _has_choice(self.tableau):
                config.update(trainable_tableau=False, order_penalty=None)
        dt = config["dt"] if self.dt is None else self.dt
        dt = block_step_sizes(dt, config["depth"])[0] if "depth" in config else step_size(dt)[0]
        parts = [divided(x, self.substeps) for x in (dt if isinstance(dt, tuple) else [dt])]
        config["dt"] = parts if isinstance(dt, tuple) else parts[0]
        config["steps"] *= self.substeps


def divided(dt: int | float | str, parts: int) -> int | float | str:
    """`dt / parts` exactly: a number of the same kind where there is one, else text.

    >>> divided(6, 3), divided(1, 2), divided("1/2", 3), divided(0.5, 4)
    (2, '1/2', '1/6', 0.125)
    """
    if parts == 1:
        return dt
    value: Any = exact(dt) * Fraction(1, parts)
    if is_float(dt) and Fraction(float(value)) == value:
        return float(value)
    if isinstance(dt, int) and value == int(value):
        return int(value)
    return to_text(value)


def _has_choice(tableau: Tableau) -> bool:
    return not tableau.is_explicit or entries_of(stage_plan(tableau, 1, "float32")).free > 0


def model_configuration(model: keras.layers.Layer) -> dict[str, Any]:
    """What Keras makes the model from, without how it was compiled."""
    try:
        with not_compiled(model):
            return deepcopy(keras.saving.serialize_keras_object(model))
    except Exception as error:
        raise ValueError(
            "with_method makes a model again from its configuration, so its class, and those of "
            "its layers, need `get_config`, with the RKResidual and RKStack layers among the "
            "arguments; or write the model as a functional one. "
            f"Received: model {model.name!r} of type {type(model).__name__}; its configuration "
            f"failed with {type(error).__name__}: {error}"
        ) from error


def method_configurations(config: Any, classes: dict[str, type]) -> Iterator[dict[str, Any]]:
    """The configurations of the Runge-Kutta layers in that of a model."""
    if isinstance(config, dict) and isinstance(config.get("config"), dict):
        kind = classes.get(config.get("class_name", ""))
        if kind is not None and issubclass(kind, OF_A_METHOD):
            yield config["config"]
    for value in values_of(config):
        yield from method_configurations(value, classes)


def _check_sizes_of_calls(config: Any, names: frozenset[str]) -> None:
    """Refuses substeps of steps whose size a call gives, which is not divided."""
    for name in names.intersection(layers_called_with(config, "dt")):
        raise ValueError(
            "`substeps` divides the `dt` of a layer; where a call gives a `dt` of its own, "
            "divide that. (`times` of a call need no change.) "
            f"Received: a model that calls layer {name!r} with `dt`."
        )


def _chosen(
    model: keras.layers.Layer, entries: Sequence[dict[str, Any]], blocks: Any
) -> frozenset[str]:
    """The names of the layers to be changed."""
    inside = inner_layers(model, templates=True)
    layers = [layer for layer in inside if isinstance(layer, OF_A_METHOD)]
    encoders = [layer for layer in layers if isinstance(layer, RKTransformerEncoder)]
    steps = {layer.name: [one.name for one in layer.residuals] for layer in encoders}
    of_encoders = {id(one) for layer in encoders for one in layer.residuals}
    layers = [layer for layer in layers if id(layer) not in of_encoders]
    names = [layer.name for layer in layers]
    known = {entry["name"] for entry in entries}
    if isinstance(blocks, (str, keras.layers.Layer)):
        blocks = [blocks]
    chosen = names if blocks is None else [_name_of(block, layers) for block in blocks]
    for name in chosen:
        if name not in names:
            raise ValueError(
                "`blocks` are names of RKResidual and RKStack layers in the model, or such "
                f"layers. There are: {', '.join(map(repr, names)) or 'none'}. "
                f"Received: {name!r}."
            )
        if name not in known:
            raise ValueError(
                "with_method changes layers in the configuration of a model, so those that a class "
                "makes in its code must be among what its `get_config` returns, and what its "
                "`__init__` takes; or write the model as a functional one. "
                f"Received: layer {name!r}, which is not in the configuration of "
                f"{model.name!r} (of type {type(model).__name__})."
            )
    return frozenset([*chosen, *(one for name in chosen for one in steps.get(name, ()))])


def _name_of(block: Any, layers: Sequence[keras.layers.Layer]) -> Any:
    """The name of a layer that is given by its name or as such."""
    if not isinstance(block, keras.layers.Layer):
        return block
    same_name = [layer for layer in layers if layer.name == block.name]
    if not any(layer is block for layer in same_name):
        return f"{block.name} (another layer)" if same_name else block.name
    if len(same_name) > 1:
        raise ValueError(
            "A layer in `blocks` needs a name of its own in the model. "
            f"Received: {block.name!r}, the name of {len(same_name)} layers."
        )
    return block.name
