"""Which sums in a graph are residual connections x + F(x), and why the others are not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import keras

from keras_rk.models.recorded_graph import Call, Graph, mask_of, symbolic_tensors


class SkipConnection:
    """A sum x + scale * F(x) of which x is the only source of F(x).

    Attributes:
        graph: the graph that it stands in.
        place: the place of the sum among the calls of the graph.
        x: the tensor that is passed on.
        fx: F(x).
        scale: what F(x) is multiplied by as it is added; 1 for a plain sum.
        interior: the places of the calls that compute F(x), in order.
    """

    def __init__(
        self, graph: Graph, place: int, tensors: Sequence[Any], scale: Any, interior: Sequence[int]
    ) -> None:
        self.graph, self.place = graph, place
        self.x, self.fx = tensors
        self.scale = scale
        self.interior = list(interior)

    @property
    def call(self) -> Call:
        """The sum."""
        return self.graph.calls[self.place]

    @property
    def result(self) -> Any:
        """The tensor x + F(x)."""
        return self.call.outputs[0]

    @property
    def name(self) -> str:
        """The name of the sum, after those of the models that it is in: `"inner/add_3"`."""
        return f"{self.graph.prefix}{self.call.operation.name}"

    @property
    def shape(self) -> tuple:
        """The shape of x."""
        return tuple(self.x.shape)

    @property
    def calls(self) -> list[Call]:
        """The calls that compute F(x), in order."""
        return [self.graph.calls[place] for place in self.interior]

    @property
    def layers(self) -> list[keras.layers.Layer]:
        """The layers that compute F(x), each once."""
        layers = {id(call.operation): call.operation for call in self.calls}
        return [one for one in layers.values() if isinstance(one, keras.layers.Layer)]

    @property
    def parameters(self) -> int:
        """How many numbers the weights of those layers are."""
        return sum(layer.count_params() for layer in self.layers)


def sums_in(graph: Graph) -> Iterator[int]:
    """The places of everything that adds in a graph, whether or not it can be converted."""
    for place, call in enumerate(graph.calls):
        if _is_layer_add(call.operation) or _is_plain("Add", call.operation) or _scale_of(call):
            yield place


def skip_connection(graph: Graph, place: int) -> SkipConnection | str:
    """The residual connection that a sum is, or the reason why it is none."""
    call = graph.calls[place]
    reason = _no_sum_of_two(call)
    if reason:
        return reason
    one, two = call.terms
    first, second = graph.producer(one), graph.producer(two)
    x, fx = (one, two) if first <= second else (two, one)
    scale = _scale_of(call)
    if scale is not None and x is not one:
        return "the scaled term is the one that is passed on"
    interior, sources = _between(graph, x, fx)
    if interior is None:
        return (
            "neither term comes from the other: the shortcut is transformed (a projection, "
            "pooling, dropout, scaling), or the two are unrelated"
        )
    if sources:
        return f"F has a side input, which comes from {_origin(graph, sources[0])}"
    reason = (
        _tapped(graph, interior, fx, place)
        or _one_of_several(graph, x, call.outputs[0])
        or _changes_mask(x, fx, call.outputs[0])
    )
    return reason or SkipConnection(
        graph, place, (x, fx), 1 if scale is None else scale, sorted(interior)
    )


def _no_sum_of_two(call: Call) -> str | None:
    """Why a call is not the sum of two different tensors of one shape and dtype."""
    operation = call.operation
    if isinstance(operation, keras.layers.Add) and type(operation) is not keras.layers.Add:
        return f"a subclass of Add, {type(operation).__name__}, may compute something else"
    terms = call.terms
    if len(terms) != 2:
        return f"a sum of {len(terms)} terms, not of two"
    one, two = terms
    if not all(isinstance(term, keras.KerasTensor) for term in terms):
        return "a constant is added"
    if one is two:
        return "x + x: both terms are the same tensor"
    if tuple(one.shape) != tuple(two.shape):
        return f"broadcasting: the terms have the shapes {one.shape} and {two.shape}"
    if one.dtype != two.dtype:
        return f"the terms have the dtypes {one.dtype} and {two.dtype}"
    if "float" not in one.dtype:
        return f"the terms have the dtype {one.dtype}, and a state y has real numbers"
    return None


def _between(graph: Graph, x: Any, fx: Any) -> tuple[set[int] | None, list[Any]]:
    """The calls on the way from x to F(x), and what else F(x) comes from.

    Masks that layers find on their tensors are no sources: whoever carries them brings them along.

    Returns:
        The places of the calls, or None if F(x) does not come from x; and other tensors.
    """
    start = graph.producer(x)
    interior: set[int] = set()
    sources, waiting, reached = [], [fx], False
    while waiting:
        tensor = waiting.pop()
        if tensor is x:
            reached = True
            continue
        place = graph.producer(tensor)
        if place <= start:
            sources.append(tensor)
        elif place not in interior:
            interior.add(place)
            call = graph.calls[place]
            waiting += symbolic_tensors(without_carried_masks(call))
    return (interior if reached else None), sources


def without_carried_masks(call: Call) -> tuple[tuple, dict[str, Any]]:
    """The arguments of a call without the masks that Keras found on the other arguments.

    Keras notes them in the graph as if they had been given. Called without, the layer finds those
    of the tensors that it is given then.
    """
    masks = {
        key: value
        for key, value in call.kwargs.items()
        if (key == "mask" or key.endswith("_mask")) and symbolic_tensors(value)
    }
    if not masks or not isinstance(call.operation, keras.layers.Layer):
        return call.args, call.kwargs
    others = {key: value for key, value in call.kwargs.items() if key not in masks}
    carried = [id(mask_of(tensor)) for tensor in symbolic_tensors((call.args, others))]
    given = {
        key: value
        for key, value in masks.items()
        if any(id(mask) not in carried for mask in symbolic_tensors(value))
    }
    return call.args, {**others, **given}


def _tapped(graph: Graph, interior: set[int], fx: Any, place: int) -> str | None:
    """Whether something on the way to F(x) is also used elsewhere."""
    for inside in sorted(interior):
        for tensor in graph.calls[inside].outputs:
            what = "F(x)" if tensor is fx else f"{graph.calls[inside].operation.name!r} inside F"
            if graph.is_output(tensor):
                return f"{what} is also an output of the model"
            for user in graph.consumers(tensor):
                if user not in interior and not (tensor is fx and user == place):
                    return f"{what} is also used by {graph.calls[user].operation.name!r}"
    return None


def _one_of_several(graph: Graph, x: Any, sum_: Any) -> str | None:
    """Whether x + F(x) is only a part of x + F(x) + G(x).

    Euler's method would not tell the difference; with any other one, F and G have to be evaluated
    together.
    """
    for place in graph.consumers(sum_):
        call = graph.calls[place]
        if not (_adds(call.operation) or _scale_of(call)):
            continue
        for term in symbolic_tensors(call.terms):
            if term is not sum_ and term is not x and _comes_from(graph, term, x, sum_):
                return (
                    f"one of several terms that are added to the same x, together with those in "
                    f"{call.operation.name!r}: add them up first, x + (F(x) + G(x))"
                )
    return None


def _comes_from(graph: Graph, tensor: Any, x: Any, avoided: Any) -> bool:
    """Whether there is a way from x to a tensor that avoids another one."""
    start = graph.producer(x)
    waiting, seen = [tensor], {id(avoided)}
    while waiting:
        one = waiting.pop()
        if one is x:
            return True
        place = graph.producer(one)
        if id(one) not in seen and place > start:
            seen.add(id(one))
            waiting += graph.calls[place].inputs
    return False


def _changes_mask(x: Any, fx: Any, sum_: Any) -> str | None:
    mask = mask_of(x)
    if mask is not None and (mask_of(fx) is not mask or mask_of(sum_) is None):
        return "x carries a mask, which F(x) or the sum changes or does not pass on"
    return None


def _origin(graph: Graph, tensor: Any) -> str:
    place = graph.producer(tensor)
    return f"input {tensor.name!r}" if place < 0 else repr(graph.calls[place].operation.name)


def _is_layer_add(operation: Any) -> bool:
    return isinstance(operation, keras.layers.Add)


def _is_plain(name: str, operation: Any) -> bool:
    """Whether an operation is what an operator between symbolic tensors makes, such as `+`."""
    kind = type(operation)
    is_layer = isinstance(operation, keras.layers.Layer)
    return kind.__name__ == name and not is_layer and kind.__module__.startswith("keras.")


def _adds(operation: Any) -> bool:
    """Whether an operation takes a sum apart: what it returns has its terms in it."""
    layers = keras.layers.Add, keras.layers.Subtract, keras.layers.Average
    return isinstance(operation, layers) or any(
        _is_plain(name, operation) for name in ("Add", "Subtract")
    )


def _scale_of(call: Call) -> Any:
    """The s of a layer x + s * F(x), as InceptionResNet of `keras.applications` has it."""
    operation = call.operation
    if type(operation).__name__ != "CustomScaleLayer":
        return None
    is_kerass = type(operation).__module__.startswith("keras.")
    return operation.scale if is_kerass and len(call.terms) == 2 else None
