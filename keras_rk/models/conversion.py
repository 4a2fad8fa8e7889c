"""The residual connections of a model that exists, made into Runge-Kutta blocks."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import keras

from keras_rk.layers import RKResidual, RKStack
from keras_rk.layers.arguments import truth
from keras_rk.models.alike_blocks import AlikeBlocks, gathered, kind_with, result_of
from keras_rk.models.block_selection import Selection
from keras_rk.models.compilation import compile_one, run_alike
from keras_rk.models.conversion_plan import Plan, plan_of
from keras_rk.models.conversion_report import ConversionReport, report_of
from keras_rk.models.inner_layers import inner_layers, method_layers
from keras_rk.models.method_replacement import copy_with_method
from keras_rk.models.recorded_graph import Graph, has_graph
from keras_rk.models.replay import Replay, items_of
from keras_rk.models.skip_connections import SkipConnection
from keras_rk.progress import Progress

_SHOWN = 5  # sums that an error names


def convert_residuals(
    model: keras.Model,
    tableau: Any = "rk4",
    dt: Any = 1.0,
    *,
    blocks: Any = None,
    stacks: bool = False,
    copy_weights: bool = False,
    allow_none: bool = False,
    verbose: Any = "auto",
    **options: Any,
) -> tuple[keras.Model, ConversionReport]:
    """A model like the given one, with Runge-Kutta blocks in the place of its skip connections.

    A residual connection x + F(x) is a step of Euler's method for y' = F(y) with dt = 1. Here it
    becomes `RKResidual(F, tableau, dt)`, with the layers of the model, so with their weights. With
    Euler and dt = 1 the outputs are the same, to the last bit in the same execution mode.

    Example:

    >>> y = x = keras.Input((8,))
    >>> for _ in range(2):
    ...     x = x + keras.layers.Dense(8, activation="tanh")(x)
    >>> model = keras.Model(y, keras.layers.Dense(1)(x))
    >>> converted, report = convert_residuals(model, "rk4", dt="1/2")
    >>> len(report.converted), len(report.kept), converted.count_params() == model.count_params()
    (2, 0, True)
    >>> euler, _ = convert_residuals(model, "euler")
    >>> data = np.ones((3, 8))
    >>> np.array_equal(model.predict(data, verbose=0), euler.predict(data, verbose=0))
    True

    What is a residual connection:
        A call of `keras.layers.Add`, or a `+`, of two different tensors of one shape and dtype,
        of which one, x, is the only source of the other: each way back from F(x) ends at x, and
        nothing on these ways is used elsewhere or is an output of the model. x may be used
        anywhere. F may be anything: layers, models, operations, with or without weights. The layer
        x + s * F(x) of InceptionResNet is a block with s * dt.

        Everything else is kept as it is, with the reason in the report: sums of three terms, sums
        that broadcast, x + x, constants, an F with a side input or whose inside is used elsewhere,
        a transformed shortcut, subclasses of Add; x + F(x) + G(x) as two sums, of which one alone
        must not be converted; masks that F changes. Of residual connections inside one another
        the innermost is converted (`blocks` can choose another one). Models inside the model are
        converted once, however often they are called; what other layers have inside
        (`TimeDistributed`, layers that add in their `call`) is left alone.

        A layer that F shares with the rest of the model, or with the F of another connection,
        would not survive saving and loading, so such a connection is kept; where several call the
        same F as a whole, they become one `RKResidual`, called as often.

    The given model stays as it is, with its outputs. Its layers are those of the new model, too,
    unless `copy_weights`: to train one model is to train the other. Moving statistics of batch
    normalization are shared for the first evaluation of F; further evaluations start from copies,
    which `keras_rk.recalibrate` makes right. A block has the name that the sum had; names and
    structure of inputs and outputs, dtypes, and what is frozen stay. A model that was compiled
    comes back compiled alike, with a new optimizer.

    Args:
        model: a functional model, or a `Sequential` that contains such models.
        tableau: the method, as for `RKResidual`; or one for each block, as a dictionary
            `{"conv2_*": "heun2", "conv3_block2_add": "rk4"}` by names of sums and patterns, of
            which the first that fits counts (blocks that none fits are kept); or a function of a
            block, with the attributes `name`, `shape` (of x), `layers`, `parameters`.
        dt: the step size, likewise for all, by name or by a function.
        blocks: which residual connections to convert: None for all, a name, a pattern, a list of
            those, or a function that says so of each block. (Names are those of the sums,
            `"inner/add_3"` in a model `inner`, where the last part is enough.)
        stacks: whether consecutive blocks of one kind, with what is between them, become an
            `RKStack`, so that the time to compile does not grow with their number. Their weights
            are then copies. Blocks are of one kind where they differ in names and weights only.
        copy_weights: whether the new model has weights of its own.
        allow_none: whether a model without residual connections comes back as it is.
        verbose: 0 for no progress; "auto" shows it where it takes long and somebody watches, on a
            terminal or in a notebook; 1 always.
        **options: further arguments of `RKResidual`, the same for all blocks: `steps`, `state`,
            `noise`, `remat`, `trainable_dt`, `error_estimate` and so on.

    Returns:
        The new model, and a report on each sum: what was converted, what was kept and why. A model
        that has Runge-Kutta layers and nothing to convert comes back itself.

    Raises:
        ValueError: for a model that is not functional or not built, one without anything to
            convert, names that are none, and bad arguments. Nothing is built then.
        keras_rk.TableauError: for a tableau without what `require` demands.
    """
    truth("stacks", stacks)
    truth("copy_weights", copy_weights)
    truth("allow_none", allow_none)
    check_model(model)
    selection = Selection(blocks, tableau, dt, options)
    progress = Progress("converting", units="blocks", verbose=verbose)
    plan = plan_of(model, selection)
    if not plan.methods:
        if not (allow_none or method_layers(model)):
            raise ValueError(_nothing(model, plan))
        return model, report_of(plan, {}, [])
    source = model
    if copy_weights:
        source = copy_with_method(model)
        plan = plan_of(source, selection)
    progress.total = len(plan.methods)
    conversion = _Conversion(plan, options, stacks, progress)
    with progress:
        new = conversion.model_of(plan.graphs[0])
    freeze_alike(source, new)
    run_alike(model, new)
    compile_one(model, new)
    return new, report_of(plan, conversion.layers, conversion.stacks)


def check_model(model: Any) -> None:
    """Refuses what has no graph."""
    if has_graph(model):
        return
    if not isinstance(model, keras.Model):
        what = f"{model!r} (of type {type(model).__name__})"
    elif isinstance(model, keras.Sequential):
        what = f"Sequential model {model.name!r}, which is not built: call it on data first"
    else:
        what = (
            f"model {model.name!r} of the subclass {type(model).__name__}, whose skip connections "
            "are in its code: write `RKResidual` there"
        )
    raise ValueError(
        "convert_residuals reads the graph of a functional model, `keras.Model(inputs, outputs)`. "
        f"Received: {what}."
    )


def _nothing(model: keras.Model, plan: Plan) -> str:
    """What to say of a model without residual connections to convert."""
    shown = [f"{name}: {reason}" for name, reason in list(plan.kept.items())[:_SHOWN]]
    more = f"; and {len(plan.kept) - _SHOWN} more" if len(plan.kept) > _SHOWN else ""
    sums = f"with these sums: {'; '.join(shown)}{more}" if shown else "which adds nothing"
    return (
        "There is no residual connection x + F(x) in the graph of the model that can be converted "
        "(`allow_none=True` returns such a model as it is). What layers add inside their `call` is "
        f"in no graph. Received: model {model.name!r}, {sums}."
    )


class _Conversion:
    """Builds the new model, from the inside to the outside.

    Attributes:
        layers: the block that each residual connection has become.
        stacks: the stacks, with the connections in them.
    """

    def __init__(self, plan: Plan, options: dict[str, Any], stack: bool, progress: Any) -> None:
        self._plan, self._options, self._stack, self._progress = plan, options, stack, progress
        self._graphs = {id(graph.model): graph for graph in plan.graphs}
        self._models: dict[int, keras.Model] = {}
        self._replay = Replay({}, self._layer_of)
        self.layers: dict[SkipConnection, RKResidual] = {}
        self.stacks: list[tuple[RKStack, list[SkipConnection]]] = []

    def model_of(self, graph: Graph) -> keras.Model:
        """A model of a graph with blocks, or the given one where there are none in it."""
        if id(graph.model) not in self._models:
            self._models[id(graph.model)] = self._converted(graph)
        return self._models[id(graph.model)]

    def _converted(self, graph: Graph) -> keras.Model:
        inside = {id(one): self.model_of(self._graphs[id(one)]) for one in graph.nested()}
        self._replay.operations |= inside
        connections = [one for one in self._plan.methods if one.graph is graph]
        if not connections and all(id(new) == old for old, new in inside.items()):
            return graph.model
        if isinstance(graph.model, keras.Sequential):
            return _sequential(graph.model, inside)
        items: list[Any] = items_of(graph, connections)
        if self._stack:
            kind_of = kind_with(self._plan.sharing.shares, self._plan.methods.__getitem__)
            items = gathered(items, graph.outputs, kind_of)
        given = keras.tree.flatten(graph.model.input)
        tensors = {id(old): new for old, new in zip(graph.inputs, given, strict=True)}
        self._replay.run(items, tensors)
        outputs = keras.tree.map_structure(lambda x: tensors[id(x)], graph.outputs)
        return model_like(graph.model, outputs)

    def _layer_of(self, block: SkipConnection | AlikeBlocks) -> keras.layers.Layer:
        if isinstance(block, AlikeBlocks):
            return self._stack_of(block)
        first = self._plan.groups[id(block)][0]
        if first not in self.layers:
            name = first.call.operation.name
            field = self._replay.function_of(first.calls, first.x, first.fx, f"{name}_f")
            method = self._plan.methods[first]
            self.layers[first] = RKResidual(
                field, *method, name=name, dtype=_policy(first), **self._options
            )
        self.layers[block] = self.layers[first]
        self._progress.step()
        return self.layers[block]

    def _stack_of(self, blocks: AlikeBlocks) -> RKStack:
        """The blocks in one loop, with copies of their weights."""
        after = []
        for block, unit in zip(blocks.connections, blocks.units, strict=True):
            self._replay.function_of([block], block.x, block.result, "built")
            if len(unit) > 1:
                name, last = f"{blocks.name}_after", result_of(unit[-1])
                after.append(self._replay.function_of(unit[1:], block.result, last, name))
        options = {"jit_compile": True} if self._options.get("jit_compile") else {}
        stack = RKStack.from_layers(
            [self.layers[one] for one in blocks.connections],
            after=after or None,
            name=blocks.name,
            **options,
        )
        inside = [item for unit in blocks.units for item in unit]
        self.stacks.append((stack, [one for one in inside if isinstance(one, SkipConnection)]))
        return stack


def _policy(connection: SkipConnection) -> Any:
    """The dtype policy of the layer that added; of an operation, its dtype."""
    operation = connection.call.operation
    if isinstance(operation, keras.layers.Layer):
        return operation.dtype_policy
    return connection.result.dtype


def model_like(model: keras.Model, outputs: Any) -> keras.Model:
    """A model with the inputs and the name of another one, and of its class if that can be."""
    arguments = list(inspect.signature(type(model).__init__).parameters)[1:3]
    kind = type(model) if arguments == ["inputs", "outputs"] else keras.Model
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what there is to say was said when it was built
        return kind(inputs=model.input, outputs=outputs, name=model.name)


def _sequential(model: keras.Sequential, inside: dict[int, keras.Model]) -> keras.Sequential:
    given = model.inputs[0]
    start = keras.Input(batch_shape=given.shape, dtype=given.dtype, name=given.name)
    layers = [inside.get(id(layer), layer) for layer in model.layers]
    return keras.Sequential([start, *layers], name=model.name)


def freeze_alike(model: keras.Model, new: keras.Model) -> None:
    """Freezes the new model if the given one is frozen, and what is inside only where that is."""
    if model.trainable:
        return
    inside = [(layer, layer.trainable) for layer in inner_layers(new)[1:]]
    variables = [(variable, variable.trainable) for variable in new.variables]
    new.trainable = False
    for layer, trainable in inside:
        layer.trainable = trainable
    for variable, trainable in variables:
        variable.trainable = trainable
