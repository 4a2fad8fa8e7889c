"""Runge-Kutta layers turned into plain layers and operations of Keras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from keras_rk.field.inputs import input_names, input_values, takes_time
from keras_rk.layers import ConcatTime, RKStack
from keras_rk.layers.arguments import truth
from keras_rk.layers.method_layer import MethodLayer
from keras_rk.layers.rk_residual import RKResidual
from keras_rk.layers.unstacking import Unstacking
from keras_rk.models.compilation import compile_one, run_alike
from keras_rk.models.conversion import _freeze_alike, _like
from keras_rk.models.inner_layers import inner_layers
from keras_rk.models.method_replacement import copy_with_method
from keras_rk.models.plain_names import Names, copied
from keras_rk.models.plain_sums import (
    Sums,
    cast_to,
    check_mask_kept,
    operation,
    plan_written_out,
    times_written_out,
    with_mask_of_its_own,
)
from keras_rk.models.recorded_graph import Graph, has_graph, mask_of, symbolic_tensors
from keras_rk.models.skip_connections import without_carried_masks
from keras_rk.steps.stages import StagePlan


def unroll(model: keras.layers.Layer, *, copy_weights: bool = False) -> keras.Model:
    """A model without Runge-Kutta layers that computes what the given one does.

    Each `RKResidual` and `RKStack` is written out in plain layers and operations of Keras:

        k_i = f(y + sum_j (dt a_ij) k_j),    y_next = y + sum_i (dt b_i) k_i

    with f as often as the method evaluates it, and its layers, so its weights, in the model itself.
    Euler with dt = 1 becomes the `keras.layers.Add` of y and f(y). Such a model loads where keras_rk
    is not installed, and exported it runs as fast as one that was written that way, which a loop
    does not.

    Example:

    >>> from keras_rk.layers import RKResidual, RKStack
    >>> block = RKResidual(keras.layers.Dense(8, activation="tanh"), "heun2", dt="1/2")
    >>> stack = RKStack(keras.layers.Dense(8, activation="tanh"), depth=3, tableau="euler")
    >>> model = keras.Sequential([keras.Input((8,)), block, stack])
    >>> plain = unroll(model)
    >>> {type(layer).__name__ for layer in plain.layers}
    {'InputLayer', 'Dense', 'Add'}
    >>> data = np.ones((3, 8))
    >>> np.allclose(model.predict(data, verbose=0), plain.predict(data, verbose=0), atol=1e-6)
    True

    Runge-Kutta layers are found in models, in models inside, in the f of another one, and in
    `keras.layers.TimeDistributed`. `ConcatTime` becomes padding of y with the time.

    The layers of f are those of the given model, so to train one model is to train the other, unless
    `copy_weights`. Copies in any case are: the blocks of an `RKStack`; layers whose names others
    have already, which get new ones; and what has moving statistics for each evaluation.

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
    if copy_weights:
        model = copy_with_method(model)
    new = Unrolling().model_of(model)
    if isinstance(model, keras.Model):
        _freeze_alike(model, new)
        run_alike(model, new)
        compile_one(model, new)
    return new


def is_ours(layer: Any) -> bool:
    """Whether a layer needs keras_rk to be loaded."""
    return type(layer).__module__.split(".")[0] == "keras_rk"


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


class Place(NamedTuple):
    """Where calls are made.

    Attributes:
        names: the names in the model that is built.
        key: which evaluation of which layers it is.
        values: the moving statistics of this evaluation, by the ids of those that f has.
    """

    names: Names
    key: tuple = ()
    values: Mapping[int, Any] = {}


class Unrolling:
    """Writes out the Runge-Kutta layers of a model, and of models inside."""

    def __init__(self) -> None:
        self._models: dict[int, keras.Model] = {}
        self._graphs: dict[int, Graph] = {}
        self._wrapped: dict[int, keras.layers.Layer] = {}
        self._copies: dict[tuple, Any] = {}
        self._blocks: dict[int, list[tuple[RKResidual, Any]]] = {}

    def model_of(self, layer: keras.layers.Layer) -> keras.Model:
        """A model or a Runge-Kutta layer as a model without such layers."""
        if id(layer) not in self._models:
            whole = self._of_model if has_graph(layer) else self._of_layer
            self._models[id(layer)] = whole(layer)
        return self._models[id(layer)]

    def _of_model(self, model: keras.Model) -> keras.Model:
        graph = self._graph(model)
        is_list = isinstance(model, keras.Sequential)
        given = [model.inputs[0]] if is_list else keras.tree.flatten(model.input)
        tensors = {id(old): new for old, new in zip(graph.inputs, given, strict=True)}
        operations = [call.operation for call in graph.calls]
        kept = [one for one in operations if not is_ours(one)]
        self._run(graph, tensors, Place(Names([*given, *kept])))
        outputs = keras.tree.map_structure(lambda x: tensors[id(x)], graph.outputs)
        if is_list:
            return keras.Model(given[0], outputs, name=model.name)
        return _like(model, outputs)

    def _of_layer(self, layer: MethodLayer) -> keras.Model:
        args, kwargs = layer._further_inputs.symbolic()
        if args or kwargs:
            raise ValueError(
                "A layer with further inputs is unrolled as part of a functional model, which says "
                f"where these come from. Received: layer {layer.name!r} by itself."
            )
        y = keras.Input(batch_shape=layer.built_for, dtype=layer.compute_dtype)
        return keras.Model(y, self._call(layer, (y,), {}, Place(Names([]))), name=layer.name)

    def _graph(self, model: keras.Model) -> Graph:
        if id(model) not in self._graphs:
            self._graphs[id(model)] = Graph(model)
        return self._graphs[id(model)]

    def _run(self, graph: Graph, tensors: dict[int, Any], place: Place) -> None:
        for call in graph.calls:
            args, kwargs = keras.tree.map_structure(
                lambda x: tensors[id(x)] if isinstance(x, keras.KerasTensor) else x,
                without_carried_masks(call),
            )
            outputs = keras.tree.flatten(self._call(call.operation, args, kwargs, place))
            for old, new in zip(call.outputs, outputs, strict=True):
                tensors[id(old)] = new

    def _call(self, called: Any, args: Sequence[Any], kwargs: dict[str, Any], place: Place) -> Any:
        """What a layer or an operation returns, without layers of keras_rk."""
        if isinstance(called, keras.layers.Layer):
            called = self._of_evaluation(called, place)
        if is_ours(called) and "inputs" in kwargs:
            args, kwargs = (kwargs["inputs"], *args), {**kwargs}
            del kwargs["inputs"]
        if isinstance(called, RKStack):
            return self._stack(called, *args, place=place, **kwargs)
        if isinstance(called, RKResidual):
            return self._residual(called, *args, place=place, **kwargs)
        if isinstance(called, ConcatTime):
            return self._with_time(called, *args, place=place, **kwargs)
        if hasattr(called, "in_layers") and is_ours(called):
            return self._in_layers(called, args, kwargs, place)
        plain = called
        if isinstance(called, keras.layers.Layer):
            plain = self._plain(called)
            if called.weights and not symbolic_tensors((args, kwargs)):
                raise ValueError(
                    "The time of each evaluation of f is a number in the unrolled model, and a "
                    "layer with weights that gets nothing else would be one, too. "
                    f"Received: layer {called.name!r}, called with {args} in f."
                )
        return place.names.owner(called, plain)(*args, **kwargs)

    def _plain(self, layer: keras.layers.Layer) -> keras.layers.Layer:
        """A layer whose Runge-Kutta layers inside are written out."""
        ours = [inner.name for inner in inner_layers(layer) if is_ours(inner)]
        if not ours:
            return layer
        if has_graph(layer):
            return self.model_of(layer)
        if type(layer) is keras.layers.TimeDistributed:
            if id(layer) not in self._wrapped:
                self._wrapped[id(layer)] = keras.layers.TimeDistributed(
                    self.model_of(layer.layer), name=layer.name, dtype=layer.dtype_policy
                )
            return self._wrapped[id(layer)]
        raise ValueError(
            "unroll writes out Runge-Kutta layers in functional models and in "
            "`keras.layers.TimeDistributed`; what the code of another layer calls stays there. "
            f"Received: layer {layer.name!r} of type {type(layer).__name__}, with "
            f"{', '.join(map(repr, ours))} inside."
        )

    def _of_evaluation(self, layer: keras.layers.Layer, place: Place) -> keras.layers.Layer:
        """A layer, or a copy with the moving statistics of one evaluation."""
        if not any(id(variable) in place.values for variable in layer.variables):
            return layer
        key = (*place.key, id(layer))
        if key not in self._copies:
            name = place.names.new("_".join([layer.name, *(str(n) for _, n in place.key)]))
            self._copies[key] = copied(layer, name, place.values)
            place.names.take(self._copies[key])
        return self._copies[key]

    # ------------------------------------------------------------------ layers of keras_rk

    def _residual(self, layer: RKResidual, y: Any, *args: Any, place: Place, **kwargs: Any) -> Any:
        states = self._steps(layer, y, args, kwargs, place)
        return self._result(layer, states, place)

    def _stack(self, stack: RKStack, y: Any, *args: Any, place: Place, **kwargs: Any) -> Any:
        states = [y]
        for residual, after in self._blocks_of(stack):
            state = self._steps(residual, states[-1], args, kwargs, place)[-1]
            if after is not None:
                state = self._evaluate(after, state, (), {}, place)
                state = cast_to(state, stack._state_dtype, lambda: place.names.new(stack.name))
            states.append(state)
        return self._result(stack, states, place)

    def _blocks_of(self, stack: RKStack) -> list[tuple[RKResidual, Any]]:
        if id(stack) not in self._blocks:
            blocks = Unstacking(stack, stack._parts, stack._build_after)
            dts = stack.dt if isinstance(stack.dt, tuple) else (stack.dt,) * stack.depth
            self._blocks[id(stack)] = [
                (blocks.residual(n, dt), blocks.after_block(n)) for n, dt in enumerate(dts)
            ]
        return self._blocks[id(stack)]

    def _result(self, layer: MethodLayer, states: list[Any], place: Place) -> Any:
        def name() -> str:
            return place.names.new(layer.name)

        def returned(x: Any) -> Any:
            return cast_to(x, layer.compute_dtype, name)

        if not layer.return_states:
            return returned(states[-1])
        start = cast_to(states[0], layer._state_dtype, name)
        return returned(operation("stack", name(), axis=1)([start, *states[1:]]))

    def _steps(
        self, layer: RKResidual, y: Any, args: tuple, kwargs: dict[str, Any], place: Place
    ) -> list[Any]:
        """y, and the states after each step."""
        if kwargs.get("mask") is not None and mask_of(y) is None:
            raise ValueError(
                "A mask that y does not carry, but which is an argument of the call, has no place "
                f"in plain sums. Received: `mask` in a call of layer {layer.name!r}."
            )
        kwargs = {key: value for key, value in kwargs.items() if key != "mask"}
        plan = plan_written_out(layer)
        times = times_written_out(layer) if takes_time(layer.layer) else None
        if not _is_sum(layer, plan):  # the state is summed up in its own dtype
            y = cast_to(y, layer._state_dtype, lambda: place.names.new(f"{layer.name}_y"))
        states = [y]
        masked = mask_of(y) is not None
        sums = Sums(layer._state_dtype, masked, place.names.new)
        for step in range(layer.steps):
            last = step == layer.steps - 1
            name = layer.name if last else f"{layer.name}_step_{step + 1}"
            inner = f"{layer.name}_step_{step + 1}" if layer.steps > 1 else layer.name
            derivatives: list[Any] = []
            for stage, row in enumerate(plan.rows):
                start = sums.combine(states[-1], row, derivatives, f"{inner}_stage_{stage + 1}")
                here = self._place(layer, step * len(plan.rows) + stage, place)
                time = {} if times is None else {"t": times[step][stage]}
                start = with_mask_of_its_own(
                    start, layer.layer, lambda: place.names.new(f"{layer.name}_y")
                )
                k = self._evaluate(layer.layer, start, args, {**kwargs, **time}, here)
                if masked:
                    check_mask_kept(k, layer)
                derivatives.append(k)
            if _is_sum(layer, plan) and {x.dtype for x in (y, k)} == {layer.compute_dtype}:
                sums = sums.in_dtype(layer.compute_dtype)
            states.append(sums.combine(states[-1], plan.update, derivatives, name))
        return states

    def _place(self, layer: RKResidual, evaluation: int, place: Place) -> Place:
        """Where an evaluation of f is, with the moving statistics that it has."""
        if layer.statistics is None or evaluation == 0:
            return place
        names = [id(layer.layer.variables[n]) for n in layer._multiplied]
        values = [ops.convert_to_numpy(values[evaluation]) for values in layer.statistics.all()]
        key = (*place.key, (id(layer), evaluation))
        return Place(place.names, key, {**place.values, **dict(zip(names, values, strict=True))})

    def _evaluate(
        self, f: keras.layers.Layer, y: Any, args: tuple, kwargs: dict[str, Any], place: Place
    ) -> Any:
        """f(y, ...): the calls inside, where f is a model, else one of f."""
        if not has_graph(f):
            return self._call(f, (y, *args), kwargs, place)
        values = input_values(f, y, args, kwargs)
        names = input_names(f)
        options = {key: value for key, value in kwargs.items() if key not in names}
        if options:  # `training`, which is for all layers inside
            is_one = len(values) == 1
            packed = values[0] if is_one else keras.tree.pack_sequence_as(f.input, values)
            return self._call(f, (packed,), options, place)
        graph = self._graph(f)
        tensors = {
            id(x): cast_to(value, x.dtype, lambda: place.names.new(f"{f.name}_cast"))
            if isinstance(value, keras.KerasTensor)
            else value
            for x, value in zip(graph.inputs, values, strict=True)
        }
        self._run(graph, tensors, place)
        return tensors[id(keras.tree.flatten(graph.outputs)[0])]

    def _in_layers(
        self, layer: Any, args: Sequence[Any], kwargs: dict[str, Any], place: Place
    ) -> Any:
        """What a layer made of others returns, from a graph of these."""
        values = symbolic_tensors((args, kwargs))
        inputs = [keras.Input(batch_shape=x.shape, dtype=x.dtype) for x in values]
        place_of = {id(x): new for x, new in zip(values, inputs, strict=True)}
        args, kwargs = keras.tree.map_structure(
            lambda x: place_of[id(x)] if isinstance(x, keras.KerasTensor) else x, (args, kwargs)
        )
        kwargs.pop("training", None)
        inputs = list(place_of.values())
        graph = Graph(keras.Model(inputs, layer.in_layers(*args, **kwargs)))
        given = {id(x): x for x in values}.values()
        tensors = {id(x): value for x, value in zip(graph.inputs, given, strict=True)}
        self._run(graph, tensors, place)
        return tensors[id(graph.outputs)]

    def _with_time(
        self, layer: ConcatTime, y: Any, t: Any = None, *, place: Place, **kwargs: Any
    ) -> Any:
        """g([y, t]), with the time as what y is padded with."""
        if not isinstance(t, float):
            raise ValueError(
                "ConcatTime is unrolled as (part of) the f of a Runge-Kutta layer, where the time "
                f"is a number. Received: layer {layer.name!r} called with t={t}."
            )

        def name() -> str:
            return place.names.new(layer.name)

        y = cast_to(y, layer.compute_dtype, name)
        widths = [[0, 0] for _ in y.shape]
        widths[layer.axis][1] = 1
        y = operation("pad", name(), pad_width=widths)(y, constant_values=t)
        return self._evaluate(layer.layer, y, (), kwargs, place)


def _is_sum(layer: RKResidual, plan: StagePlan) -> bool:
    """Whether a layer computes y + f(y)."""
    one = len(plan.stages) == layer.steps == 1 and not layer.return_states
    factors = [factor for _, factor in plan.update]
    return one and all(isinstance(factor, float) for factor in factors) and factors == [1.0]
