"""Loops of JAX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
from keras import ops

from keras_rk.loops.common import Body, flatten
from keras_rk.loops.jax_convolutions import with_fast_convolutions


def is_compiling(arguments: Any) -> bool:
    """Whether any value is abstract: under `jit`, but not under `jax.grad` alone."""

    def is_abstract(x: Any) -> bool:
        while hasattr(x, "primal"):
            x = x.primal
        return isinstance(x, jax.core.Tracer)

    return any(is_abstract(x) for x in flatten(arguments))


def is_at_hand(x: Any) -> bool:
    """Whether a tensor is an array in the memory of the host."""
    if isinstance(x, jax.core.Tracer) or not isinstance(x, jax.Array):
        return False
    return all(device.platform == "cpu" for device in x.devices())


def scan(
    body: Body, carry: Any, xs: Any, constants: Any, length: int, outputs: Any, again: bool
) -> tuple[Any, Any]:
    if again:
        # The loops of both passes keep apart what would be merged without them.
        body = jax.checkpoint(body, prevent_cse=False)
    function = with_fast_convolutions(lambda c, x: body(c, x, constants))
    return ops.scan(function, carry, xs, length)


def remat(function: Callable[..., Any], arguments: tuple) -> Any:
    return jax.checkpoint(function)(*arguments)


def look(function: Callable[[Any], Any], values: Any) -> None:
    jax.eval_shape(function, values)
