"""Convolutions in the body of a loop of JAX, in forms that XLA computes fast on a CPU.

What is rewritten is the jaxpr of the body. Where a convolution has nothing to gain it stays what it
was: on a GPU, with several dtypes, and under `vmap`.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
from jax import lax
from jax import numpy as jnp
from jax.extend import core
from jax.interpreters import ad, batching, mlir

from keras_rk.loops.convolutions import (
    Window,
    depthwise_gradient,
    depthwise_kernel,
    dilated,
    images_for_w,
    kernel_for_x,
    repeated,
)


def with_fast_convolutions(value: Any) -> Any:
    """A jaxpr, or a parameter of one of its equations, with convolutions in fast forms."""
    if isinstance(value, core.Jaxpr):  # from JAX 0.12 on all of them; the other has one inside
        return value.replace(eqns=[_rewritten_equation(equation) for equation in value.eqns])
    if isinstance(value, core.ClosedJaxpr):
        return value.replace(jaxpr=with_fast_convolutions(value.jaxpr))
    if isinstance(value, tuple) and any(
        isinstance(part, (core.ClosedJaxpr, core.Jaxpr)) for part in value
    ):
        make = getattr(value, "_make", tuple)  # those of `linalg.solve` have names
        return make(map(with_fast_convolutions, value))
    return value


def _rewritten_equation(equation: Any) -> Any:
    if equation.primitive is not lax.conv_general_dilated_p:
        params = {name: with_fast_convolutions(value) for name, value in equation.params.items()}
        return equation.replace(params=params)
    x, w, y = (value.aval for value in (*equation.invars, *equation.outvars))
    if not _gains(x, w, y, equation.params):
        return equation
    # One equation stands for another: a call of a function that `jit` has traced.
    call = jax.jit(partial(_convolution, params=equation.params))
    (call,) = jax.make_jaxpr(call)(x, w).eqns
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
    order = (of_y[0], *of_y[2:], of_y[1])
    return jnp.transpose(y, sorted(range(y.ndim), key=order.__getitem__))


@partial(jax.custom_jvp, nondiff_argnums=(2,))
def _differentiable(x: Any, w: Any, window: Window) -> Any:
    return _convolved(x, w, **window._asdict())


@_differentiable.defjvp
def _derivative(window: Window, primals: tuple, tangents: tuple) -> tuple:
    (x, w), (dx, dw) = primals, tangents
    dy = convolution.bind(dx, w, **window._asdict()) + convolution.bind(x, dw, **window._asdict())
    return _differentiable(x, w, window), dy


def _convolved(x: Any, w: Any, **entries: Any) -> Any:
    """A convolution NHWC, HWIO -> NHWC."""
    window = Window(**entries)
    if window.is_depthwise(x.shape[-1], w.shape):
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


def _padded(x: Any, window: Window) -> Any:
    inner = [(*edge, d - 1) for edge, d in zip(window.padding, window.dilation_of_x, strict=True)]
    return lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *inner, (0, 0, 0)])


def _shifted_products(x: Any, w: Any, window: Window) -> Any:
    sizes, outputs = window.sizes(x.shape, w.shape), w.shape[-1]
    channels = max(x.shape[-1], outputs)
    x, factors = repeated(_padded(x, window), channels), depthwise_kernel(w)
    y: Any = 0
    for place, first, last in window.places(w.shape, sizes):
        box = (0, *first, 0), (x.shape[0], *last, channels), (1, *window.strides, 1)
        y = y + lax.slice(x, *box) * factors[place]
    return y if channels == outputs else jnp.sum(jnp.reshape(y, (*y.shape[:-1], outputs, -1)), -1)


def _summed_products(x: Any, dy: Any, w: tuple, window: Window) -> Any:
    """The gradient of shifted products with respect to a kernel of shape w."""
    channels = max(x.shape[-1], dy.shape[-1])
    x, dy = repeated(_padded(x, window), channels), repeated(dy, channels)
    spans = [dilated(n, s) for n, s in zip(dy.shape[1:-1], window.strides, strict=True)]

    def product(place: Any) -> Any:
        first = [k * d for k, d in zip(place, window.dilation, strict=True)]
        box = (x.shape[0], *spans, channels)
        piece = lax.dynamic_slice(x, (0, *first, 0), box)
        piece = lax.slice(piece, [0] * x.ndim, box, (1, *window.strides, 1))
        return jnp.sum(jnp.sum(piece * dy, 0), tuple(range(x.ndim - 2)))  # first vectors, then all

    # Written out, the places of a kernel of 7 x 7 take XLA seconds to compile, and longer to run.
    places = jnp.indices(w[:-2], "int32").reshape(len(w) - 2, -1)
    return depthwise_gradient(lax.map(product, tuple(places)), w)


# ------------------------------------------------------------------------------- derivatives


def _for_x(dy: Any, x: Any, w: Any, **entries: Any) -> Any:
    """The gradient with respect to x (of which there is the shape alone)."""
    window = Window(**entries)
    new = window.for_x(x.aval.shape, w.shape, dy.shape)
    return convolution.bind(dy, kernel_for_x(w, window.groups), **new._asdict())


def _for_w(dy: Any, x: Any, w: Any, **entries: Any) -> Any:
    """The gradient with respect to w (of which there is the shape alone)."""
    window, shape = Window(**entries), w.aval.shape
    if window.is_depthwise(x.shape[-1], shape):
        return _summed_products(x, dy, shape, window)
    new = window.for_w(x.shape, shape, dy.shape)
    dw = convolution.bind(images_for_w(x, window.groups), jnp.moveaxis(dy, 0, -2), **new._asdict())
    return jnp.moveaxis(dw, 0, -2)


def _batched(values: tuple, axes: tuple, **entries: Any) -> tuple:
    return jax.vmap(partial(_convolved, **entries), axes)(*values), 0


def _output(x: Any, w: Any, **entries: Any) -> Any:
    y = jax.eval_shape(partial(_convolved, **entries), x, w)
    return jax.core.ShapedArray(y.shape, y.dtype)


# The same convolution as a primitive, because JAX lets nothing else have a transposition of its
# own and all further derivatives.
convolution = core.Primitive("convolution")
convolution.def_impl(_convolved)
convolution.def_abstract_eval(_output)
ad.defbilinear(convolution, _for_x, _for_w)
batching.primitive_batchers[convolution] = _batched
mlir.register_lowering(convolution, mlir.lower_fun(_convolved, multiple_results=False))
