"""The graph of a model made again, with layers of keras_rk written out in plain ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from keras_rk.field.inputs import input_names, input_values
from keras_rk.layers import ConcatTime, RKStack, RKTransformerEncoder
from keras_rk.layers.method_layer import MethodLayer
from keras_rk.layers.rk_residual import RKResidual
from keras_rk.layers.time_checks import check_steps_of_layer
from keras_rk.layers.unstacking import Unstacking
from keras_rk.models.conversion import model_like
from keras_rk.models.inner_layers import inner_layers
from keras_rk.models.plain_names import Names, copied
from keras_rk.models.recorded_graph import Graph, has_graph, mask_of, symbolic_tensors
from keras_rk.models.skip_connections import without_carried_masks
from keras_rk.models.written_steps import cast_to, operation, written_steps


def is_ours(layer: Any) -> bool:
    """Whether a layer needs keras_rk to be loaded."""
    of_keras_rk = type(layer).__module__.split(".")[0] == "keras_rk"
    return of_keras_rk or isinstance(layer, (MethodLayer, ConcatTime, RKTransformerEncoder))


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
        return model_like(model, outputs)

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
        check_steps_of_layer(kwargs, layer, "Unrolling")
        if kwargs.get("mask") is not None and mask_of(y) is None:
            raise ValueError(
                "A mask that y does not carry, but which is an argument of the call, has no place "
                f"in plain sums. Received: `mask` in a call of layer {layer.name!r}."
            )
        kwargs = {key: value for key, value in kwargs.items() if key != "mask"}

        def f(evaluation: int, start: Any, time: dict[str, float]) -> Any:
            here = self._place(layer, evaluation, place)
            return self._evaluate(layer.layer, start, args, {**kwargs, **time}, here)

        return written_steps(layer, y, f, place.names)

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
