"""Loops of TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from keras_rk.loops.common import Body, flatten, pack
from keras_rk.loops.tensorflow_convolutions import traced, with_fast_convolutions


def is_compiling(values: Any) -> bool:
    """Whether a graph is being made."""
    return not tf.executing_eagerly()


def is_at_hand(x: Any) -> bool:
    """Whether a tensor is an array in the memory of the host."""
    return isinstance(x, tf.Tensor) and not tf.is_symbolic_tensor(x) and "CPU" in x.device


def scan(
    body: Body, carry: Any, xs: Any, constants: Any, length: int, outputs: Any, again: bool
) -> tuple[Any, Any]:
    """`Loop.scan` as a `tf.while_loop`; `again`: with rematerialisation."""

    def array(dtype: Any, shape: Any) -> tf.TensorArray:
        return tf.TensorArray(dtype, size=length, element_shape=shape)

    body = with_constants(with_fast_convolutions(body))
    columns = [array(x.dtype, x.shape[1:]).unstack(x) for x in flatten(xs)]
    stacks = [array(x.dtype, x.shape) for x in flatten(outputs)]

    def step(i: Any, old: list, stacks: list) -> tuple:
        x = pack(xs, [column.read(i) for column in columns])
        arguments = pack(carry, old), x, constants
        new, results = remat(body, arguments) if again else body(*arguments)
        new = flatten(new)
        for value, before in zip(new, old, strict=True):
            value.set_shape(before.shape)
        results = flatten(results)
        return i + 1, new, [s.write(i, r) for s, r in zip(stacks, results, strict=True)]

    _, values, stacks = tf.while_loop(
        lambda i, *_: i < length, step, (0, flatten(carry), stacks), maximum_iterations=length
    )
    return pack(carry, values), pack(outputs, [stack.stack() for stack in stacks])


def with_constants(body: Body) -> Body:
    """A body whose shapes, axes and multiples are constants wherever TensorFlow knows them.

    Others, such as those that `tf.repeat` packs for `tf.tile`, a loop hands to its gradient in
    lists; and what comes out of a list, XLA takes for no shape.
    """

    def rewritten(*arguments: Any) -> Any:
        results, operations = traced(body, arguments)
        for operation in operations:
            for place, x in enumerate(operation.inputs):
                if not x.dtype.is_integer or x.op.type == "Const" or _is_large(x):
                    continue
                value = _known(x)
                if value is not None:
                    operation._update_input(place, tf.constant(value, x.dtype))
        return results

    return rewritten


def _is_large(x: Any) -> bool:
    """Whether there are more numbers than in shapes, axes and multiples."""
    number = x.shape.num_elements()
    return number is None or number > 32


def _known(x: Any) -> Any:
    """`tf.get_static_value`, which does not see through reshaping."""
    if x.op.type != "Reshape":
        return tf.get_static_value(x)
    value, shape = map(tf.get_static_value, x.op.inputs)
    return None if value is None or shape is None else value.reshape(shape)


def repeat(body: Callable[[Any, Any], Any], carry: Any, count: Any) -> Any:
    def step(i: Any, old: list) -> tuple:
        new = flatten(body(i, pack(carry, old)))
        for value, before in zip(new, old, strict=True):
            value.set_shape(before.shape)
        return i + 1, new

    return pack(carry, tf.while_loop(lambda i, _: i < count, step, (0, flatten(carry)))[1])


def remat(function: Callable[..., Any], arguments: tuple) -> Any:
    """Like `tf.recompute_grad`, with integers among the results, and differentiable twice."""

    structure: Any = None

    def is_differentiable(x: Any) -> bool:
        return x is not None and (x.dtype.is_floating or x.dtype.is_complex)

    @tf.custom_gradient
    def run(*inputs: Any) -> tuple:
        nonlocal structure
        # What no tape follows, none keeps.
        results = function(*pack(arguments, [tf.stop_gradient(x) for x in inputs]))
        structure = results

        def gradient(*received: Any) -> list:
            active = [n for n, x in enumerate(inputs) if is_differentiable(x)]
            known = [n for n, dx in enumerate(received) if is_differentiable(dx)]
            again = _after(received[known[0]], inputs, len(flatten(arguments[0])))
            found = _gradients(
                lambda: flatten(function(*pack(arguments, again))),
                [again[n] for n in active],
                known,
                [received[n] for n in known],
            )
            gradients = dict(zip(active, found, strict=True))
            return [gradients.get(n) for n in range(len(inputs))]

        return flatten(results), gradient

    results = run(*flatten(arguments))
    return pack(structure, results)


def _gradients(outputs: Callable[[], list], inputs: list, places: list, received: list) -> list:
    """Those of the outputs at these places, from what they received.

    In a graph they follow its operations, as a tape does not: some may have taken others' places.
    """
    if not tf.executing_eagerly():
        values = outputs()
        return tf.gradients([values[n] for n in places], inputs, received)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        values = outputs()
    return tape.gradient([values[n] for n in places], inputs, received)


def _after(tensor: Any, inputs: Sequence[Any], most: int) -> list:
    """`inputs`, of which the first `most` and the seeds are not to be had before `tensor` is there.

    Otherwise a graph would compute again at once, or not at all and keep what it has. XLA
    disregards control dependencies, so this is one of data: a zero that no compiler recognises.
    Weights are left alone, to save copies: what is computed from nothing else is small.
    """

    if tf.executing_eagerly():
        return [tf.identity(x) for x in inputs]
    entry = tf.cast(tf.reduce_max(tf.reshape(tensor, (-1,))[:1]), "bool")
    zero = tf.where(tf.equal(entry, entry), 0.0, float("nan"))

    def is_late(place: int, x: Any) -> bool:
        return (place < most or x.dtype.is_integer) and x.dtype != tf.bool

    return [
        x + tf.cast(zero, x.dtype) if is_late(place, x) else tf.identity(x)
        for place, x in enumerate(inputs)
    ]


def transposed(function: Callable[[Any], Any], y: Any, k: Any) -> Any:
    with tf.GradientTape() as tape:
        tape.watch(y)
        values = function(y)
    return tape.gradient(values, y, k, unconnected_gradients=tf.UnconnectedGradients.ZERO)


def is_left_behind(value: Any) -> bool:
    if not tf.is_symbolic_tensor(value):
        return False
    graph = tf.compat.v1.get_default_graph()
    while graph is not None and graph is not value.graph:
        graph = getattr(graph, "outer_graph", None)
    return graph is None


def read(variable: Any) -> Any:
    """The value of a variable, as a tensor."""
    return tf.convert_to_tensor(variable)


outside_graph = tf.init_scope


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    return tf.function(function, autograph=False)
