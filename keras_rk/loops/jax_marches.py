"""Marches of JAX: loops that end when they can, with a gradient that is such a loop, too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from keras_rk.loops.common import March, Marching, flatten, march_in_python, pack
from keras_rk.loops.jax_bodies import rewritten
from keras_rk.loops.jax_loops import is_compiling

MOST_COMPILED = 32  # for each layer


def march(marching: Marching, state: Any, constants: Any, traces: dict, key: Any) -> March:
    """`Loop.march`: compiled, as part of a graph or by itself; else a Python loop.

    Args:
        key: that of what is compiled by itself; None where that is impossible.
    """
    in_graph = is_compiling((state, constants))
    if in_graph or key is None:
        return _differentiable(marching, in_graph)(state, constants)
    if key not in traces:
        if len(traces) >= MOST_COMPILED:
            traces.pop(next(iter(traces)))
        traces[key] = jax.jit(_differentiable(marching, True))
    return traces[key](state, constants)


def _differentiable(marching: Marching, compiled: bool) -> Callable[[Any, Any], March]:
    if compiled:
        marching = marching._replace(
            begin=rewritten(marching.begin),
            attempt=rewritten(marching.attempt),
            advance=rewritten(marching.advance),
        )
    forward = _compiled if compiled else _in_python

    @jax.custom_vjp
    def run(state: Any, constants: Any) -> March:
        return forward(marching, state, constants, False)[0]

    def keeping(state: Any, constants: Any) -> tuple:
        found, steps = forward(marching, state, constants, True)
        return found, (steps, constants)

    def pull_back(kept: tuple, tangents: March) -> tuple:
        steps, constants = kept
        backward = _compiled_gradient if compiled else _gradient_in_python
        return backward(marching, steps, constants, tangents)

    run.defvjp(keeping, pull_back)
    return run


def _compiled(marching: Marching, state: Any, constants: Any, keep: bool) -> tuple[March, Any]:
    """The march; and states, records and the number of steps, if these are to be kept."""
    control = marching.begin(state, constants)
    record = jax.eval_shape(marching.attempt, state, control, constants)[2]
    has_states, most = keep or marching.path, marching.most

    def room(values: Any) -> Any:
        return jax.tree.map(lambda x: jnp.zeros((most, *x.shape), x.dtype), values)

    def go_on(carry: tuple) -> Any:
        *_, tries, more = carry
        return more & (tries < most)

    def body(carry: tuple) -> tuple:
        state, control, states, records, steps, tries, _ = carry
        after, control, record, kept, more = marching.attempt(state, control, constants)
        # The next one takes the place of what is not kept.
        if has_states:
            states = _put(states, steps, state)
        if keep:
            records = _put(records, steps, record)
        return after, control, states, records, steps + kept, tries + 1, more

    zero = jnp.zeros((), "int32")
    rows = room(state) if has_states else None, room(record) if keep else None
    start = state, control, *rows, zero, zero, jnp.ones((), bool)
    state, control, states, records, steps, *_ = jax.lax.while_loop(go_on, body, start)
    path = states if marching.path else ()
    return March(state, control, path), (states, records, steps) if keep else None


def _compiled_gradient(marching: Marching, steps: tuple, constants: Any, tangents: March) -> tuple:
    states, records, number = steps
    values, active = flatten(constants), _floating(flatten(constants))

    def body(carry: tuple) -> tuple:
        place, tangent, sums = carry
        place = place - 1
        tangent, found = _pulled_back(
            marching, _at(states, place), _at(records, place), constants, active, tangent
        )
        sums = [total + more for total, more in zip(sums, found, strict=True)]
        if marching.path:
            tangent = jax.tree.map(jnp.add, tangent, _at(tangents.path, place))
        return place, tangent, sums

    sums = [jnp.zeros_like(values[n]) for n in active]
    start = number, tangents.state, sums
    _, tangent, sums = jax.lax.while_loop(lambda carry: carry[0] > 0, body, start)
    return tangent, _among(constants, active, sums)


def _in_python(marching: Marching, state: Any, constants: Any, keep: bool) -> tuple[March, Any]:
    found, *steps = march_in_python(marching, state, constants)
    return found, steps


def _gradient_in_python(marching: Marching, steps: list, constants: Any, tangents: March) -> tuple:
    values, active = flatten(constants), _floating(flatten(constants))
    tangent, sums = tangents.state, [jnp.zeros_like(values[n]) for n in active]
    for place, (state, record) in reversed(list(enumerate(zip(*steps, strict=True)))):
        tangent, found = _pulled_back(marching, state, record, constants, active, tangent)
        sums = [total + more for total, more in zip(sums, found, strict=True)]
        if marching.path:
            tangent = jax.tree.map(lambda x, rows, n=place: x + rows[n], tangent, tangents.path)
    return tangent, _among(constants, active, sums)


def _pulled_back(
    marching: Marching, state: Any, record: Any, constants: Any, active: list, tangent: Any
) -> tuple:
    """The gradient of one step: for the state before it, and for the active constants."""
    values = flatten(constants)

    def step(state: Any, some: list) -> Any:
        replaced = dict(zip(active, some, strict=True))
        given = [replaced.get(n, x) for n, x in enumerate(values)]
        return marching.advance(state, record, pack(constants, given))

    _, pull = jax.vjp(step, state, [values[n] for n in active])
    return pull(tangent)


def _floating(values: list) -> list[int]:
    return [n for n, x in enumerate(values) if jnp.issubdtype(x.dtype, jnp.inexact)]


def _among(constants: Any, active: list, found: list) -> Any:
    """The gradients of all constants; None for those that have none."""
    gradients = dict(zip(active, found, strict=True))
    return pack(constants, [gradients.get(n) for n in range(len(flatten(constants)))])


def _put(rows: Any, place: Any, values: Any) -> Any:
    update = jax.lax.dynamic_update_index_in_dim
    return jax.tree.map(lambda row, x: update(row, x, place, 0), rows, values)


def _at(rows: Any, place: Any) -> Any:
    index = jax.lax.dynamic_index_in_dim
    return jax.tree.map(lambda row: index(row, place, 0, keepdims=False), rows)
