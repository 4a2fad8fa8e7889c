"""The body of a loop of JAX as a jaxpr: no number drawn twice, convolutions in fast forms.

All stages of a step draw the same random numbers, each for itself. XLA merges equal operations, but
not these, in the gradient of a loop: on a CPU drawing is a loop of its own by then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp
from jax.extend import core

from keras_rk.loops.jax_convolutions import with_fast_convolutions

DRAWS_ANEW = "rng_uniform"  # the one operation whose result does not follow from its arguments


def rewritten(function: Callable[..., Any]) -> Callable[..., Any]:
    """A pure function that computes the same in fewer and faster operations on a CPU."""
    if jax.default_backend() != "cpu":
        return function

    def run(*arguments: Any) -> Any:
        jaxpr, structure = traced(function, arguments)
        values = core.jaxpr_as_fun(jaxpr)(*jax.tree.leaves(arguments))
        return jax.tree.unflatten(structure, values)

    return run


def traced(function: Callable[..., Any], arguments: tuple) -> tuple[core.ClosedJaxpr, Any]:
    """Such a function as a jaxpr, from leaf to leaf, and how its results are nested."""
    jaxpr, result = jax.make_jaxpr(function, return_shape=True)(*arguments)
    jaxpr = merged(jaxpr)
    if jax.default_backend() == "cpu":
        jaxpr = with_fast_convolutions(jaxpr)
    return jaxpr, jax.tree.structure(result)


def merged(closed: core.ClosedJaxpr) -> core.ClosedJaxpr:
    """A jaxpr that computes once what it has computed twice from seeds and other integers.

    No gradient passes there: one of two equal calls may have a gradient of its own otherwise, which
    need not be that of both together.
    """
    jaxpr = closed if isinstance(closed, core.Jaxpr) else closed.jaxpr
    known: dict[Any, Any] = {}
    same: dict[Any, Any] = {}

    def first(x: Any) -> Any:
        return x if isinstance(x, core.Literal) else same.get(x, x)

    kept = []
    for equation in jaxpr.eqns:
        inputs = [first(x) for x in equation.invars]
        if any(x is not y for x, y in zip(inputs, equation.invars, strict=True)):
            equation = equation.replace(invars=inputs)
        earlier = known.setdefault(_key(equation), equation)
        if earlier is equation:
            kept.append(equation)
        else:
            same.update(zip(equation.outvars, earlier.outvars, strict=True))
    jaxpr = jaxpr.replace(eqns=kept, outvars=[first(x) for x in jaxpr.outvars])
    return jaxpr if isinstance(closed, core.Jaxpr) else closed.replace(jaxpr=jaxpr)


def _key(equation: Any) -> Any:
    """What two equations have in common only if they compute the same."""
    inner = equations(equation.params)
    if (
        equation.effects
        or any(map(_is_differentiable, equation.invars))
        or any(one.primitive.name == DRAWS_ANEW for one in (equation, *inner))
    ):
        return id(equation)
    inputs = [
        (x.aval, np.asarray(x.val).tobytes()) if isinstance(x, core.Literal) else x
        for x in equation.invars
    ]
    outputs = [type(x) for x in equation.outvars]  # one that nobody asked for is there no more
    params = [(name, *_identity(value)) for name, value in sorted(equation.params.items())]
    return equation.primitive, repr(equation.ctx), *inputs, *outputs, *params


def _is_differentiable(x: Any) -> bool:
    return not isinstance(x, core.Literal) and jnp.issubdtype(x.aval.dtype, jnp.inexact)


def _identity(value: Any) -> tuple:
    """Equal only for what cannot be told apart: 0.0 and -0.0 can, and 1 and True."""
    if isinstance(value, (bool, int, float, complex)):
        return type(value), repr(value)
    try:
        hash(value)
    except TypeError:
        return type(value), id(value)
    return type(value), value


def equations(params: dict) -> Iterator[Any]:
    """All operations in the parameters of another one."""
    for value in params.values():
        for part in value if isinstance(value, (tuple, list)) else (value,):
            if isinstance(part, core.ClosedJaxpr):
                part = part.jaxpr
            if isinstance(part, core.Jaxpr):
                for equation in part.eqns:
                    yield equation
                    yield from equations(equation.params)
