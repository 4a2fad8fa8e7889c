"""Convolutions in the plain layout, NHWC, HWIO -> NHWC, and their gradients in that layout.

On a CPU, XLA brings each convolution outside of loops into a fast form. Inside of loops it does so
only for those in the plain layout; others take 10 to 30 times as long, the gradients of a plain one
among them. But of y = x * w with strides s and dilations d,

    dL/dx = dL/dy * w',     w' flipped, its last two dimensions exchanged; dL/dy dilated by s
    dL/dw = x' * dL/dy',    x' as (C, H, W, N), dL/dy' as (H, W, N, O), dilated by s; strides d

are convolutions in the plain layout again, as soon as dimensions are really transposed. A depthwise
convolution is a sum of shifted products instead,

    y[n, i, c] = sum_k x[n, s i + d k, c] w[k, c],

because XLA has no fast form for it, neither in a loop nor outside.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from keras import ops

SHIFTED = 7  # the longest side of a depthwise kernel that becomes a sum of shifted products


class Window(NamedTuple):
    """How a kernel moves over x; the same for all rows of x, each entry one for each dimension.

    Attributes:
        strides: of the kernel.
        padding: of x, before and after; it may be negative.
        dilation_of_x: how far the entries of x are apart, before x is padded.
        dilation: how far those of the kernel are apart.
        groups: of channels.
        precision: of products, on JAX.
    """

    strides: tuple
    padding: tuple
    dilation_of_x: tuple
    dilation: tuple
    groups: int
    precision: Any = None

    def is_depthwise(self, channels: int, w: Sequence[int]) -> bool:
        """Whether x or y has one channel a group, and a kernel of shape w is small."""
        return self.groups in (channels, w[-1]) and self.groups > 1 and max(w[:-2]) <= SHIFTED

    def sizes(self, x: Sequence[int], w: Sequence[int]) -> list:
        """Those of y in space, for x and a kernel of these shapes."""
        return [
            (dilated(n, e) + before + after - dilated(k, d)) // s + 1
            for n, k, s, (before, after), e, d in self._each(x[1:-1], w[:-2])
        ]

    def _each(self, *sizes: Sequence[int]) -> Iterator:
        return zip(*sizes, *self[:4], strict=True)

    def for_x(self, x: Sequence[int], w: Sequence[int], y: Sequence[int]) -> Window:
        """The window of the gradient with respect to x; the shapes of x, w and y are known."""
        padding = []
        for n, k, m, s, (before, _), e, d in self._each(x[1:-1], w[:-2], y[1:-1]):
            first = dilated(k, d) - 1 - before
            padding.append((first, dilated(n, e) + dilated(k, d) - 1 - dilated(m, s) - first))
        return self._replace(
            strides=self.dilation_of_x, padding=tuple(padding), dilation_of_x=self.strides
        )

    def for_w(self, x: Sequence[int], w: Sequence[int], y: Sequence[int]) -> Window:
        """The window of the gradient with respect to w."""
        padding = [
            (before, dilated(m, s) - dilated(n, e) + dilated(k, d) - 1 - before)
            for n, k, m, s, (before, _), e, d in self._each(x[1:-1], w[:-2], y[1:-1])
        ]
        return self._replace(strides=self.dilation, padding=tuple(padding), dilation=self.strides)

    def places(self, w: Sequence[int], sizes: Sequence[int]) -> Iterator:
        """For each entry of a kernel of shape w: where x begins, and ends, beneath it."""
        for place in itertools.product(*map(range, w[:-2])):
            first = [k * d for k, d in zip(place, self.dilation, strict=True)]
            spans = [dilated(n, s) for n, s in zip(sizes, self.strides, strict=True)]
            yield place, first, [a + n for a, n in zip(first, spans, strict=True)]


def dilated(size: Any, dilation: int) -> Any:
    return (size - 1) * dilation + 1


def kernel_for_x(w: Any, groups: int) -> Any:
    """The kernel of the gradient with respect to x."""
    *sizes, inputs, outputs = w.shape
    inner = tuple(range(len(sizes)))
    last = len(sizes)
    w = ops.reshape(ops.flip(w, inner), (*sizes, inputs, groups, outputs // groups))
    w = ops.transpose(w, (*inner, last + 2, last + 1, last))
    return ops.reshape(w, (*sizes, outputs // groups, groups * inputs))


def images_for_w(x: Any, groups: int) -> Any:
    """The images of the gradient with respect to w: channels first, examples last."""
    *sizes, channels = x.shape[1:]
    last = len(sizes) + 1
    x = ops.reshape(x, (-1, *sizes, groups, channels // groups))
    x = ops.transpose(x, (last + 1, *range(1, last), last, 0))
    return ops.reshape(x, (channels // groups, *sizes, -1))


def repeated(x: Any, channels: int) -> Any:
    """x with each channel several times over."""
    return x if x.shape[-1] == channels else ops.repeat(x, channels // x.shape[-1], -1)


def depthwise_kernel(w: Any) -> Any:
    """The kernel as a vector of all products at each place."""
    return ops.reshape(ops.swapaxes(w, -2, -1), (*w.shape[:-2], -1))


def depthwise_gradient(products: Any, w: Sequence[int]) -> Any:
    """The same of a gradient, backwards: to shape w."""
    return ops.swapaxes(ops.reshape(products, (*w[:-2], w[-1], w[-2])), -2, -1)
