"""The calls that a functional model is made of, read from it in a public way."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import keras


class Call:
    """One call of a layer or of an operation, in the order in which a model makes them.

    Attributes:
        operation: the layer, or what a function of `keras.ops` makes.
        args, kwargs: what it is called with; symbolic tensors stand for those of other calls.
        outputs: the symbolic tensors that it returns, flat.
    """

    def __init__(self, operation: Any, args: tuple, kwargs: dict[str, Any], outputs: Any) -> None:
        self.operation = operation
        self.args, self.kwargs = args, kwargs
        self.outputs: list[keras.KerasTensor] = keras.tree.flatten(outputs)

    @property
    def inputs(self) -> list[keras.KerasTensor]:
        """The symbolic tensors among the arguments, each as often as it occurs."""
        return symbolic_tensors((self.args, self.kwargs))

    @property
    def terms(self) -> list[Any]:
        """What a sum adds up: the list that a layer is given, or the operands of an operation."""
        if isinstance(self.operation, keras.layers.Layer):
            return list(self.args[0]) if isinstance(self.args[0], (list, tuple)) else [self.args[0]]
        return [*self.args, *self.kwargs.values()]


class Graph:
    """A functional model, or the one inside a `Sequential`, as calls.

    `keras.models.clone_model` makes all calls of a model again, through a function that it is
    given; with the layers themselves instead of copies, that function sees the graph. Keras has no
    other public way to it.

    Attributes:
        model: the model.
        prefix: what names of its operations begin with in reports: `"inner/"` for a model inside.
        calls: an operation comes after those whose outputs it takes.
        inputs: the symbolic tensors that stand for the model's inputs, flat.
        outputs: those for its outputs, in the model's structure.
    """

    def __init__(self, model: keras.Model, prefix: str = "") -> None:
        self.model, self.prefix = model, prefix
        self.calls: list[Call] = []
        clone = keras.models.clone_model(
            _plain(model), clone_function=lambda layer: layer, call_function=self._call
        )
        self.inputs: list[keras.KerasTensor] = list(clone.inputs)
        self.outputs: Any = clone.output
        self._producers = {
            id(tensor): place for place, call in enumerate(self.calls) for tensor in call.outputs
        }
        self._consumers: dict[int, list[int]] = {}
        for place, call in enumerate(self.calls):
            for tensor in call.inputs:
                self._consumers.setdefault(id(tensor), []).append(place)
        self._outputs = {id(tensor) for tensor in keras.tree.flatten(self.outputs)}

    def _call(self, operation: Any, *args: Any, **kwargs: Any) -> Any:
        outputs = operation(*args, **kwargs)
        self.calls.append(Call(operation, args, kwargs, outputs))
        return outputs

    def producer(self, tensor: keras.KerasTensor) -> int:
        """The place of the call that returns a tensor; -1 for an input of the model."""
        return self._producers.get(id(tensor), -1)

    def consumers(self, tensor: keras.KerasTensor) -> list[int]:
        """The places of the calls that take a tensor, each as often as it does."""
        return self._consumers.get(id(tensor), [])

    def is_output(self, tensor: keras.KerasTensor) -> bool:
        """Whether the model returns a tensor."""
        return id(tensor) in self._outputs

    def nested(self) -> Iterator[keras.Model]:
        """The models that are called in this one, each once, and whose graphs can be read."""
        operations = {id(call.operation): call.operation for call in self.calls}
        yield from (model for model in operations.values() if has_graph(model))


def graphs_of(model: keras.Model) -> list[Graph]:
    """The graph of a model, and those of the models that it calls, each once."""
    found: dict[int, Graph] = {}
    waiting = [(model, "")]
    while waiting:
        one, prefix = waiting.pop(0)
        if id(one) not in found:
            graph = found[id(one)] = Graph(one, prefix)
            waiting += [(inner, f"{prefix}{inner.name}/") for inner in graph.nested()]
    return list(found.values())


def has_graph(model: Any) -> bool:
    """Whether a model consists of recorded calls: functional, or a `Sequential` with a shape."""
    if isinstance(model, keras.Sequential):
        return model.built and bool(getattr(model, "inputs", None))
    return isinstance(model, keras.Model) and isinstance(model, keras.Function)


def symbolic_tensors(values: Any) -> list[keras.KerasTensor]:
    """The symbolic tensors in a structure."""
    return [x for x in keras.tree.flatten(values) if isinstance(x, keras.KerasTensor)]


def mask_of(tensor: keras.KerasTensor) -> keras.KerasTensor | None:
    """The mask that a symbolic tensor carries."""
    probe = _MaskOf()
    probe(tensor)
    return probe.found


def _plain(model: keras.Model) -> keras.Model:
    """The graph of a model without its class and its compilation, which cloning would take over."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what there is to say was said when it was built
        if isinstance(model, keras.Sequential):
            return keras.Model(model.inputs[0], model.outputs[0])
        return keras.Model(model.input, model.output)


class _MaskOf(keras.layers.Layer):
    """Keeps the mask of its input, which no public function of Keras returns."""

    def __init__(self) -> None:
        super().__init__(autocast=False, dtype="float32", name="mask_of")
        self.supports_masking = True
        self.found: Any = None

    def call(self, x: Any) -> Any:
        return x

    def compute_output_spec(self, x: Any) -> Any:
        return keras.KerasTensor(x.shape, dtype=x.dtype)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        self.found = previous_mask
        return None
