"""Loops of JAX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
from jax import numpy as jnp
from jax.extend import core
from keras import ops

from keras_rk.loops.common import Body, flatten
from keras_rk.loops.jax_bodies import equations, traced

# What takes no longer to compute again than to write to memory and read back. It may differ in the
# last digit then, so there are no comparisons: the gradient of a maximum asks where it was. For the
# same reason `is_kept` keeps integers that are made of floats, such as places in a table.
CHEAP = frozenset(
    "abs add add_any and broadcast_in_dim clamp concatenate convert_element_type copy div "
    "integer_pow iota max min mul neg not or pad reduce_precision reshape rev rsqrt select_n slice "
    "sqrt square squeeze stop_gradient sub transpose xor".split()
)
SMALL = 2**24  # bytes of all that a loop computes: to weigh what it keeps would take longer
# Cheap if all within them is; `pjit` is what JAX 0.5 calls `jit`.
CALLS = frozenset(("custom_jvp_call", "custom_vjp_call", "jit", "pjit"))
REMAT = "remat2"  # what `jax.checkpoint` leaves in a jaxpr


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
    def iteration(carry: Any, x: Any) -> Any:
        arguments = carry, x, constants
        jaxpr, structure = traced(body, arguments)
        run = core.jaxpr_as_fun(jaxpr)
        if again:
            # The loops of both passes keep apart what would be merged without them.
            run = jax.checkpoint(run, prevent_cse=False)
        elif is_large(length * computed(jaxpr)) and may_compute_again(jaxpr):
            run = sparing(run, jax.tree.leaves(arguments))
        return jax.tree.unflatten(structure, run(*jax.tree.leaves(arguments)))

    return ops.scan(iteration, carry, xs, length)


def sparing(run: Callable[..., Any], arguments: list) -> Callable[..., Any]:
    """The body of a loop, which computes cheap results again where it keeps less memory so.

    JAX by itself keeps each result that a gradient needs, in an array with a row an iteration.
    Without a loop, XLA computes cheap ones again where it needs them; a loop would write and read
    them all.
    """
    spared = jax.checkpoint(run, prevent_cse=False, policy=is_kept)
    try:
        return spared if kept(spared, arguments) < kept(run, arguments) else run
    except Exception:  # what calls back, or loops without end, has no gradient of this kind
        return run


def kept(run: Callable[..., Any], arguments: list) -> int:
    """How many bytes the gradient of a function needs."""
    gradient = jax.eval_shape(lambda *values: jax.vjp(run, *values)[1], *arguments)
    return total(jax.tree.leaves(gradient))


def computed(jaxpr: core.ClosedJaxpr) -> int:
    """How many bytes the results of all operations have."""
    return total([x.aval for equation in jaxpr.eqns for x in equation.outvars])


def is_large(size: Any) -> bool:
    """Whether so many bytes are worth weighing; what nobody knows yet is."""
    return not isinstance(size, int) or size > SMALL


def total(values: list) -> int:
    return sum(x.size * x.dtype.itemsize for x in values if hasattr(x, "dtype"))


def is_kept(primitive: Any, *_: Any, **params: Any) -> bool:
    """Whether a result is no cheap one."""
    if primitive.name in CALLS:
        return any(is_kept(inner.primitive, **inner.params) for inner in equations(params))
    if primitive.name == "convert_element_type":
        return not jnp.issubdtype(params["new_dtype"], jnp.inexact)
    return primitive.name not in CHEAP


def may_compute_again(jaxpr: core.ClosedJaxpr) -> bool:
    """Whether a loop may choose for its body: it has no effects, and does not choose by itself."""
    chosen = (equation.primitive.name == REMAT for equation in equations({"jaxpr": jaxpr}))
    return not jaxpr.effects and not any(chosen)


def repeat(body: Callable[[Any, Any], Any], carry: Any, count: Any) -> Any:
    return jax.lax.fori_loop(0, count, body, carry)


def remat(function: Callable[..., Any], arguments: tuple) -> Any:
    return jax.checkpoint(function)(*arguments)


def look(function: Callable[[Any], Any], values: Any) -> None:
    jax.eval_shape(function, values)


def transposed(function: Callable[[Any], Any], y: Any, k: Any) -> Any:
    return jax.vjp(function, y)[1](k)[0]


compiled = jax.jit
