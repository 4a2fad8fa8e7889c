"""The body of a loop of JAX as a jaxpr: nothing twice, and convolutions in fast forms.

Stages of a step often compute the same: what follows from weights, from times and, above all, from
seeds, since all stages of a step draw the same numbers. XLA finds equal operations by itself, but
not random numbers in the body of a loop: on a CPU these are loops of their own by then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
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
    """A jaxpr that computes once what it has computed twice."""
    jaxpr = closed if isinstance(closed, core.Jaxpr) else closed.jaxpr
    known: dict[Any, Any] = {}
    same: dict[Any, Any] = {}

    def first(x: Any) -> Any:
        return x if isinstance(x, core.Literal) else same.get(x, x)

    equations = []
    for equation in jaxpr.eqns:
        inputs = [first(x) for x in equation.invars]
        if any(x is not y for x, y in zip(inputs, equation.invars, strict=True)):
            equation = equation.replace(invars=inputs)
        earlier = known.setdefault(_key(equation), equation)
        if earlier is equation:
            equations.append(equation)
        else:
            same.update(zip(equation.outvars, earlier.outvars, strict=True))
    jaxpr = jaxpr.replace(eqns=equations, outvars=[first(x) for x in jaxpr.outvars])
    return jaxpr if isinstance(closed, core.Jaxpr) else closed.replace(jaxpr=jaxpr)


def _key(equation: Any) -> Any:
    """What two equations have in common only if they compute the same."""
    if equation.effects or equation.primitive.name == DRAWS_ANEW:
        return id(equation)
    inputs = [
        (x.aval, np.asarray(x.val).tobytes()) if isinstance(x, core.Literal) else x
        for x in equation.invars
    ]
    outputs = [type(x) for x in equation.outvars]  # one that nobody asked for is there no more
    params = [(name, *_identity(value)) for name, value in sorted(equation.params.items())]
    return equation.primitive, *inputs, *outputs, *params


def _identity(value: Any) -> tuple:
    """Equal only for what cannot be told apart: 0.0 and -0.0 can, and 1 and True."""
    if isinstance(value, (bool, int, float, complex)):
        return type(value), repr(value)
    try:
        hash(value)
    except TypeError:
        return type(value), id(value)
    return type(value), value
