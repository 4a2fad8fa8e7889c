"""Convolutions in the body of a loop of JAX, in forms that XLA computes fast on a CPU.

Outside of loops, XLA brings each convolution into a fast form. Inside, it does so only for those in
the plain layout, which is NHWC, HWIO -> NHWC; others take 10 to 30 times as long, the gradients of a
plain one among them. With a convolution y = x * w of stride s,

    dL/dx = dL/dy * w',     w' flipped, its last two dimensions exchanged, dL/dy dilated by s
    dL/dw = x' * dL/dy',    x' as (C, H, W, N), dL/dy' as (H, W, N, O), dilated by s

are convolutions in the plain layout again, as soon as the dimensions are really transposed. A
depthwise convolution is a sum of shifted products instead,

    y[n, i, c] = sum_k x[n, s i + d k, c] w[k, c],

because XLA has no fast form for it, in a loop or outside.

What is rewritten is the jaxpr of the body. Where a convolution has nothing to gain it stays what it
was: on a GPU, with mixed dtypes, under `vmap` (where the kernel differs, too, it is another
convolution).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp
from jax.extend import core
from jax.interpreters import ad, batching, mlir

SHIFTED = 7  # the longest side of a depthwise kernel that becomes a sum of shifted products


class Window(NamedTuple):
    """How a kernel moves over x: all that a convolution in the plain layout depends on."""

    strides: tuple
    padding: tuple
    dilation_of_x: tuple
    dilation: tuple
    groups: int
    precision: Any

    def sizes(self, x: tuple, w: tuple) -> list:
        """Those of y in space."""
        return [
            (dilated(n, e) + before + after - dilated(k, d)) // s + 1
            for n, k, s, (before, after), e, d in zip(
                x[1:-1],
                w[:-2],
                self.strides,
                self.padding,
                self.dilation_of_x,
                self.dilation,
                strict=True,
            )
        ]


def dilated(size: Any, dilation: int) -> Any:
    return (size - 1) * dilation + 1


def with_fast_convolutions(function: Callable[..., Any]) -> Callable[..., Any]:
    """A pure function that convolves in forms that are fast in a loop on a CPU."""
    if jax.default_backend() != "cpu":
        return function

    def rewritten(*arguments: Any) -> Any:
        jaxpr, result = jax.make_jaxpr(function, return_shape=True)(*arguments)
        values = core.jaxpr_as_fun(_rewritten(jaxpr))(*jax.tree.leaves(arguments))
        return jax.tree.unflatten(jax.tree.structure(result), values)

    return rewritten


def _rewritten(value: Any) -> Any:
    """A jaxpr, or a parameter of one of its equations, with other convolutions."""
    if isinstance(value, core.ClosedJaxpr):
        return value.replace(jaxpr=_rewritten(value.jaxpr))
    if isinstance(value, core.Jaxpr):
        return value.replace(eqns=[_rewritten_equation(equation) for equation in value.eqns])
    if isinstance(value, tuple) and any(
        isinstance(part, (core.ClosedJaxpr, core.Jaxpr)) for part in value
    ):
        return tuple(map(_rewritten, value))
    return value


def _rewritten_equation(equation: Any) -> Any:
    if equation.primitive is not lax.conv_general_dilated_p:
        params = {name: _rewritten(value) for name, value in equation.params.items()}
        return equation.replace(params=params)
    inputs = [x.aval for x in equation.invars]
    if not _gains(*inputs, equation.outvars[0].aval, equation.params):
        return equation
    # One equation stands for another: a call of a function that `jit` has traced.
    call = jax.jit(partial(_convolution, params=equation.params))
    (call,) = jax.make_jaxpr(call)(*inputs).eqns
    return equation.replace(primitive=call.primitive, params=call.params)


def _gains(x: Any, w: Any, y: Any, params: dict) -> bool:
    """Whether a convolution is one that is written in another way here."""
    return (
        params["batch_group_count"] == 1
        and x.dtype == w.dtype == y.dtype
        and jnp.issubdtype(x.dtype, jnp.floating)
        and 0 not in (*x.shape, *w.shape, *y.shape)
    )


def _convolution(x: Any, w: Any, params: dict) -> Any:
    """`lax.conv_general_dilated` in any layout, computed in the plain one."""
    of_x, of_w, of_y = params["dimension_numbers"]
    x = jnp.transpose(x, (of_x[0], *of_x[2:], of_x[1]))
    w = jnp.transpose(w, (*of_w[2:], of_w[1], of_w[0]))
    window = Window(
        params["window_strides"],
        params["padding"],
        params["lhs_dilation"],
        params["rhs_dilation"],
        params["feature_group_count"],
        params["precision"],
    )
    y = _differentiable(x, w, window)
    return jnp.transpose(y, np.argsort((of_y[0], *of_y[2:], of_y[1])))


@partial(jax.custom_jvp, nondiff_argnums=(2,))
def _differentiable(x: Any, w: Any, window: Window) -> Any:
    return _convolved(x, w, **window._asdict())


@_differentiable.defjvp
def _derivative(window: Window, primals: tuple, tangents: tuple) -> tuple:
    (x, w), (dx, dw) = primals, tangents
    dy = convolution.bind(dx, w, **window._asdict()) + convolution.bind(x, dw, **window._asdict())
    return _differentiable(x, w, window), dy


def _convolved(x: Any, w: Any, **window: Any) -> Any:
    """A convolution NHWC, HWIO -> NHWC."""
    window = Window(**window)
    if _is_depthwise(x.shape[-1], w.shape, window):
        return _shifted_products(x, w, window)
    last = x.ndim - 1
    layout = (0, last, *range(1, last))
    return lax.conv_general_dilated(
        x,
        w,
        *window[:4],
        dimension_numbers=lax.ConvDimensionNumbers(
            layout, (last, last - 1, *range(last - 1)), layout
        ),
        feature_group_count=window.groups,
        precision=window.precision,
    )


# ------------------------------------------------------------------------ depthwise convolutions


def _is_depthwise(channels: int, w: tuple, window: Window) -> bool:
    """Whether x or y has one channel a group, and the kernel is small."""
    return window.groups in (channels, w[-1]) and window.groups > 1 and max(w[:-2]) <= SHIFTED


def _padded(x: Any, window: Window) -> Any:
    inner = [(*edge, d - 1) for edge, d in zip(window.padding, window.dilation_of_x, strict=True)]
    return lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *inner, (0, 0, 0)])


def _repeated(x: Any, channels: int) -> Any:
    return jnp.repeat(x, channels // x.shape[-1], -1)


def _shifted_products(x: Any, w: Any, window: Window) -> Any:
    sizes, outputs = window.sizes(x.shape, w.shape), w.shape[-1]
    channels = max(x.shape[-1], outputs)
    x = _repeated(_padded(x, window), channels)
    w = jnp.reshape(jnp.moveaxis(w, -2, -1), (*w.shape[:-2], channels))
    y = 0
    for place in itertools.product(*map(range, w.shape[:-1])):
        first = [k * d for k, d in zip(place, window.dilation, strict=True)]
        last = [a + dilated(n, s) for a, n, s in zip(first, sizes, window.strides, strict=True)]
        box = (0, *first, 0), (x.shape[0], *last, channels), (1, *window.strides, 1)
        y = y + lax.slice(x, *box) * w[place]
    return y if channels == outputs else jnp.sum(_split(y, outputs), -1)


def _summed_products(x: Any, dy: Any, shape: tuple, window: Window) -> Any:
    """The gradient of shifted products with respect to w of that shape."""
    channels = max(x.shape[-1], dy.shape[-1])
    x, dy = _repeated(_padded(x, window), channels), _repeated(dy, channels)
    spans = [dilated(n, s) for n, s in zip(dy.shape[1:-1], window.strides, strict=True)]

    def product(place: Any) -> Any:
        first = [k * d for k, d in zip(place, window.dilation, strict=True)]
        box = (x.shape[0], *spans, channels)
        piece = lax.dynamic_slice(x, (0, *first, 0), box)
        piece = lax.slice(piece, [0] * x.ndim, box, (1, *window.strides, 1))
        return jnp.sum(jnp.sum(piece * dy, 0), tuple(range(x.ndim - 2)))  # first vectors, then all

    # Written out, the places of a kernel of 7 x 7 take XLA seconds to compile, and longer to run.
    places = jnp.indices(shape[:-2], "int32").reshape(len(shape) - 2, -1)
    products = lax.map(product, tuple(places))
    return jnp.reshape(jnp.moveaxis(_split(products, shape[-1]), -1, -2), shape)


# ------------------------------------------------------------------------------- derivatives


def _for_x(dy: Any, x: Any, w: Any, **window: Any) -> Any:
    """The gradient with respect to x (of which there is the shape alone)."""
    window, sizes = Window(**window), x.aval.shape
    padding = []
    zipped = zip(sizes[1:-1], w.shape[:-2], dy.shape[1:-1], *window[:4], strict=True)
    for n, k, m, s, (before, _), e, d in zipped:
        first = dilated(k, d) - 1 - before
        padding.append((first, dilated(n, e) + dilated(k, d) - 1 - dilated(m, s) - first))
    inner = tuple(range(w.ndim - 2))
    w = _split(jnp.flip(w, inner), window.groups)  # ..., C / groups, groups, O / groups
    w = jnp.transpose(w, (*inner, w.ndim - 1, w.ndim - 2, w.ndim - 3))
    w = jnp.reshape(w, (*w.shape[:-2], sizes[-1]))
    window = window._replace(
        strides=window.dilation_of_x, padding=tuple(padding), dilation_of_x=window.strides
    )
    return convolution.bind(dy, w, **window._asdict())


def _for_w(dy: Any, x: Any, w: Any, **window: Any) -> Any:
    """The gradient with respect to w (of which there is the shape alone)."""
    window, sizes = Window(**window), w.aval.shape
    if _is_depthwise(x.shape[-1], sizes, window):
        return _summed_products(x, dy, sizes, window)
    padding = []
    for n, k, m, s, (before, _), e, d in zip(
        x.shape[1:-1], sizes[:-2], dy.shape[1:-1], *window[:4], strict=True
    ):
        padding.append((before, dilated(m, s) - dilated(n, e) + dilated(k, d) - 1 - before))
    inner = tuple(range(1, x.ndim - 1))
    x = _split(x, window.groups)  # N, ..., groups, C / groups
    x = jnp.transpose(x, (x.ndim - 1, *inner, x.ndim - 2, 0))
    x = jnp.reshape(x, (*x.shape[:-2], x.shape[-2] * x.shape[-1]))
    dy = jnp.moveaxis(dy, 0, -2)
    window = window._replace(
        strides=window.dilation, padding=tuple(padding), dilation=window.strides
    )
    return jnp.moveaxis(convolution.bind(x, dy, **window._asdict()), 0, -2)


def _split(x: Any, groups: int) -> Any:
    return jnp.reshape(x, (*x.shape[:-1], groups, x.shape[-1] // groups))


def _batched(values: tuple, axes: tuple, **window: Any) -> tuple:
    return jax.vmap(partial(_convolved, **window), axes)(*values), 0


def _output(x: Any, w: Any, **window: Any) -> Any:
    y = jax.eval_shape(partial(_convolved, **window), x, w)
    return jax.core.ShapedArray(y.shape, y.dtype)


# The same convolution as a primitive, because JAX lets nothing else have a transposition of its
# own and all further derivatives.
convolution = core.Primitive("convolution")
convolution.def_impl(_convolved)
convolution.def_abstract_eval(_output)
ad.defbilinear(convolution, _for_x, _for_w)
batching.primitive_batchers[convolution] = _batched
mlir.register_lowering(convolution, mlir.lower_fun(_convolved, multiple_results=False))
