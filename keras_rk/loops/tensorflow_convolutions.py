"""Convolutions in the body of a loop of TensorFlow, in forms that XLA computes fast on a CPU.

What is rewritten is the graph of the body: operations get the place of others. Where a convolution
has nothing to gain it stays what it was: without XLA, on a GPU, where sizes are unknown.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import tensorflow as tf

from keras_rk.loops.common import flatten, pack
from keras_rk.loops.convolutions import (
    Window,
    depthwise_gradient,
    depthwise_kernel,
    dilated,
    images_for_w,
    kernel_for_x,
    repeated,
)

DEPTHWISE = "DepthwiseConv2dNative"
CONVOLUTIONS = ("Conv2D", "Conv3D", DEPTHWISE)
NUMBERS = itertools.count()
TRANSPOSED = ("Conv2DBackpropInput", "Conv3DBackpropInputV2")


def with_fast_convolutions(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of tensors that convolves in forms that are fast in a loop on a CPU."""
    if not _is_compiled_for_cpu():
        return function

    def rewritten(*arguments: Any) -> Any:
        results, operations = traced(function, arguments)
        replaced = {}
        for operation in operations:
            new = _rewritten(operation)
            if new is not None:
                (old,) = operation.outputs
                _replace(old, new)
                replaced[old.ref()] = new
        return pack(results, [replaced.get(x.ref(), x) for x in flatten(results)])

    return rewritten


def traced(function: Callable[..., Any], arguments: tuple) -> tuple[Any, list]:
    """The results of a function, and the operations that it adds to the graph."""
    graph = tf.compat.v1.get_default_graph()
    known = len(graph.get_operations())
    results = function(*arguments)
    return results, graph.get_operations()[known:]


def _is_compiled_for_cpu() -> bool:
    """Whether what is being made is compiled by XLA, as far as a graph can tell."""
    if tf.executing_eagerly() or len({d.device_type for d in tf.config.list_logical_devices()}) > 1:
        return False
    graph = tf.compat.v1.get_default_graph()
    while graph is not None:
        context = graph._get_control_flow_context()
        while context is not None:
            if context.IsXLAContext():
                return True
            context = context.outer_context
        graph = getattr(graph, "outer_graph", None)
    return False


def _replace(old: Any, new: Any) -> None:
    for consumer in old.consumers():
        for place, value in enumerate(consumer.inputs):
            if value is old:
                consumer._update_input(place, new)


def _rewritten(operation: Any) -> Any:
    """What computes the same as a convolution; None where it stays."""
    if operation.type in CONVOLUTIONS:
        x, w = operation.inputs
        (y,) = operation.outputs
    elif operation.type in TRANSPOSED:  # the gradient of a convolution of y
        (x,) = operation.outputs
        _, w, y = operation.inputs
    else:
        return None
    order = _channels_last(operation)
    sizes = [x.shape[n] for n in order]
    if not x.dtype.is_floating or None in (*sizes[1:], *w.shape) or 0 in (*sizes[1:], *w.shape):
        return None
    if operation.type == DEPTHWISE:
        w = tf.reshape(w, (*w.shape[:2], 1, -1))
    window = _window(operation, sizes, w.shape, order[1:-1])
    if operation.type == DEPTHWISE and not window.is_depthwise(sizes[-1], w.shape):
        return None
    convolution = Convolution((None, *sizes[1:]), tuple(w.shape), window)
    if operation.type in TRANSPOSED:
        y = convolution.gradient_x(_transposed(y, order), w)
    else:
        y = convolution.of(_transposed(x, order), w)
    return _transposed(y, sorted(range(len(order)), key=order.__getitem__))


def _transposed(x: Any, order: list) -> Any:
    return x if order == sorted(order) else tf.transpose(x, order)


def _channels_last(operation: Any) -> list:
    """The order of dimensions that brings the channels to the end."""
    first = operation.get_attr("data_format").startswith(b"NC")
    rank = len(operation.outputs[0].shape)
    return [0, *range(2, rank), 1] if first else list(range(rank))


def _window(operation: Any, x: Sequence, w: Sequence, inner: list) -> Window:
    """How a convolution moves over images of shape x, whose dimensions `inner` were in space."""
    strides = tuple(operation.get_attr("strides")[n] for n in inner)
    dilation = tuple(operation.get_attr("dilations")[n] for n in inner)
    kind = operation.get_attr("padding")
    if kind == b"EXPLICIT":
        edges = operation.get_attr("explicit_paddings")
        padding = [tuple(edges[2 * n : 2 * n + 2]) for n in inner]
    else:
        each = zip(x[1:-1], w[:-2], dilation, strides, strict=True)
        missing = [max((-(-n // s) - 1) * s + dilated(k, d) - n, 0) for n, k, d, s in each]
        padding = [(n // 2, n - n // 2) if kind == b"SAME" else (0, 0) for n in missing]
    return Window(strides, tuple(padding), (1,) * len(inner), dilation, x[-1] // w[-2])


# -------------------------------------------------------------------- convolutions, plain layout


class Convolution(NamedTuple):
    """y = x * w, NHWC, HWIO -> NHWC, and its gradients, which are such convolutions.

    Each of the three is linear in two of x, w and y, and has the other two as its gradients. So no
    transposition is ever differentiated, which XLA cannot do twice in a loop. A tape within the
    body and a `ForwardAccumulator` differentiate what there is instead.

    Attributes:
        x: the shape of the images.
        w: that of the kernel.
        window: how it moves.
    """

    x: tuple
    w: tuple
    window: Window

    @property
    def y(self) -> tuple:
        """The shape of y."""
        return (self.x[0], *self.window.sizes(self.x, self.w), self.w[-1])

    def of(self, x: Any, w: Any) -> Any:
        return self._with_gradient("of", _convolved(x, w, self.window), x, w)

    def gradient_x(self, dy: Any, w: Any) -> Any:
        window = self.window.for_x(self.x, self.w, self.y)
        dx = _convolved(dy, kernel_for_x(w, window.groups), window)
        return self._with_gradient("gradient_x", dx, dy, w)

    def gradient_w(self, x: Any, dy: Any) -> Any:
        if self.window.is_depthwise(self.x[-1], self.w):
            dw = _summed_products(x, dy, self.w, self.window)
        else:
            window = self.window.for_w(self.x, self.w, self.y)
            order = [*range(1, len(self.x) - 1), 0, len(self.x) - 1]
            dy_as_kernel = tf.transpose(dy, order)
            dw = _convolved(images_for_w(x, window.groups), dy_as_kernel, window)
            dw = tf.transpose(dw, order)
        return self._with_gradient("gradient_w", dw, x, dy)

    def gradients_of(self, name: str, a: Any, b: Any, received: Any) -> tuple:
        """Those of the method of that name with respect to its arguments."""
        if name == "of":
            return self.gradient_x(received, b), self.gradient_w(a, received)
        if name == "gradient_x":
            return self.of(received, b), self.gradient_w(received, a)
        return self.gradient_x(b, received), self.of(a, received)

    def _with_gradient(self, name: str, result: Any, *arguments: Any) -> Any:
        graph = tf.compat.v1.get_default_graph()
        with graph.gradient_override_map({"IdentityN": _registered(self, name)}):
            return tf.identity_n([result, *arguments])[0]


@cache
def _registered(convolution: Convolution, name: str) -> str:
    """The name of a gradient, which TensorFlow reads from the graph.

    It reads nothing but what an operation holds, unlike that of `tf.custom_gradient`: so it can be
    found from within the graph of a gradient of a gradient, too.
    """
    key = f"keras_rk_convolution_{next(NUMBERS)}"

    @tf.RegisterGradient(key)
    def gradient(operation: Any, received: Any, *_: Any) -> tuple:
        _, a, b = operation.inputs
        return None, *convolution.gradients_of(name, a, b, received)

    return key


def _convolved(x: Any, w: Any, window: Window) -> Any:
    sizes = window.sizes(x.shape, w.shape)
    if window.is_depthwise(x.shape[-1], w.shape):
        return _shifted_products(_padded(x, window), w, sizes, window)
    options = {"input": _padded(x, window), "strides": (1, *window.strides, 1), "padding": "VALID"}
    if len(sizes) == 2:
        return tf.raw_ops.Conv2D(filter=w, dilations=(1, *window.dilation, 1), **options)
    for axis, dilation in enumerate(window.dilation):  # Conv3D mixes up dilations that differ
        w = _dilated(w, axis, dilation)
    return tf.raw_ops.Conv3D(filter=w, **options)


def _padded(x: Any, window: Window) -> Any:
    """x dilated and padded; what negative padding takes away is left out."""
    for axis, (dilation, edges) in enumerate(
        zip(window.dilation_of_x, window.padding, strict=True), start=1
    ):
        x = _dilated(x, axis, dilation)
        if edges != (0, 0):
            x = _with_edges(x, axis, edges)
    return x


def _dilated(x: Any, axis: int, dilation: int) -> Any:
    """x with zeros between its entries along one axis."""
    if dilation == 1:
        return x
    size = x.shape[axis]
    zeros = [[0, dilation - 1 if n == axis + 1 else 0] for n in range(len(x.shape) + 1)]
    shape = [tf.shape(x)[n] if known is None else known for n, known in enumerate(x.shape)]
    shape[axis] = size * dilation
    x = tf.reshape(tf.pad(tf.expand_dims(x, axis + 1), zeros), shape)
    return x[(slice(None),) * axis + (slice(0, dilated(size, dilation)),)]


def _with_edges(x: Any, axis: int, edges: tuple) -> Any:
    before, after = edges
    if min(edges) < 0:
        end = x.shape[axis] + min(after, 0)
        x = x[(slice(None),) * axis + (slice(max(-before, 0), end),)]
    wide = [[max(before, 0), max(after, 0)] if n == axis else [0, 0] for n in range(len(x.shape))]
    return tf.pad(x, wide)


def _shifted_products(x: Any, w: Any, sizes: list, window: Window) -> Any:
    outputs = w.shape[-1]
    channels = max(x.shape[-1], outputs)
    x, factors = repeated(x, channels), depthwise_kernel(w)
    y: Any = 0
    for place, first, last in window.places(w.shape, sizes):
        box = [slice(*bounds) for bounds in zip(first, last, window.strides, strict=True)]
        y = y + x[:, *box] * factors[place]
    if channels == outputs:
        return y
    return tf.reduce_sum(tf.reshape(y, (-1, *sizes, outputs, channels // outputs)), -1)


def _summed_products(x: Any, dy: Any, w: Any, window: Window) -> Any:
    """The gradient of shifted products with respect to a kernel of shape w."""
    channels, sizes = max(x.shape[-1], dy.shape[-1]), dy.shape[1:-1]
    x, dy = repeated(_padded(x, window), channels), repeated(dy, channels)
    products = []
    for _, first, last in window.places(w, sizes):
        box = [slice(*bounds) for bounds in zip(first, last, window.strides, strict=True)]
        vectors = tf.reduce_sum(x[:, *box] * dy, 0)
        products.append(tf.reduce_sum(vectors, range(len(sizes))))
    return depthwise_gradient(tf.stack(products), w)
