"""Marches of TensorFlow: loops that end when they can, with a gradient that is such a loop, too."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from keras_rk.loops.common import March, Marching, flatten, march_in_python, pack, row
from keras_rk.loops.tensorflow_convolutions import with_fast_convolutions
from keras_rk.loops.tensorflow_loops import _gradients


def march(marching: Marching, state: Any, constants: Any) -> March:
    """`Loop.march`: compiled where a graph is being made; else a Python loop, and its steps."""
    in_graph = not tf.executing_eagerly()
    if in_graph:
        marching = marching._replace(
            begin=with_fast_convolutions(marching.begin),
            attempt=with_fast_convolutions(marching.attempt),
            advance=with_fast_convolutions(marching.advance),
        )
    given = state, constants
    structure: Any = None

    @tf.custom_gradient
    def run(*inputs: Any) -> tuple:
        nonlocal structure
        # What no tape follows, none keeps.
        state, constants = pack(given, [tf.stop_gradient(x) for x in inputs])
        forward = _in_graph if in_graph else _in_python
        structure, steps = forward(marching, state, constants)

        def gradient(*received: Any) -> list:
            # What nothing depends on is None, what comes from gathers is sparse.
            pairs = zip(flatten(structure), received, strict=True)
            dense = [tf.zeros_like(x) if d is None else tf.convert_to_tensor(d) for x, d in pairs]
            tangents = pack(structure, dense)
            backward: Any = _gradient_in_graph if in_graph else _gradient_in_python
            return backward(marching, steps, pack(given, inputs)[1], tangents)

        return flatten(structure), gradient

    results = run(*flatten(given))
    return pack(structure, results)


def _in_graph(marching: Marching, state: Any, constants: Any) -> tuple[March, tuple]:
    control, most = marching.begin(state, constants), marching.most
    record = _example(marching, state, control, constants)

    def room(values: Any) -> list:
        return [
            tf.TensorArray(x.dtype, most, clear_after_read=False, element_shape=x.shape).unstack(
                tf.zeros((most, *tf.unstack(tf.shape(x))), x.dtype)
            )
            for x in flatten(values)
        ]

    def body(old: list, control_before: list, states: list, records: list, *counts: Any) -> tuple:
        steps, tries, _ = counts
        attempted = marching.attempt(pack(state, old), pack(control, control_before), constants)
        after, new, record, kept, more = attempted
        states = [rows.write(steps, x) for rows, x in zip(states, old, strict=True)]
        records = [rows.write(steps, x) for rows, x in zip(records, flatten(record), strict=True)]
        after = _shaped_like(flatten(after), old)
        new = _shaped_like(flatten(new), control_before)
        return after, new, states, records, steps + tf.cast(kept, "int32"), tries + 1, more

    def go_on(*carry: Any) -> Any:
        *_, tries, more = carry
        return more & (tries < most)

    start = (flatten(state), flatten(control), room(state), room(record), 0, 0, tf.constant(True))
    after, control_after, states, records, steps, *_ = tf.while_loop(go_on, body, start)
    rows = pack(state, [x.stack() for x in states]), pack(record, [x.stack() for x in records])
    path = rows[0] if marching.path else ()
    return March(pack(state, after), pack(control, control_after), path), (*rows, steps)


def _example(marching: Marching, state: Any, control: Any, constants: Any) -> Any:
    """A record of a step, of which shapes and dtypes count."""
    return marching.attempt(state, control, constants)[2]


def _gradient_in_graph(marching: Marching, steps: tuple, constants: Any, tangents: March) -> list:
    states, records, number = steps
    values, active = flatten(constants), _floating(flatten(constants))

    def body(place: Any, tangent: list, sums: list) -> tuple:
        place = place - 1
        state, record = row(states, place), row(records, place)
        new, found = _pulled_back(marching, state, record, constants, active, tangent)
        if marching.path:
            new = [x + rows[place] for x, rows in zip(new, flatten(tangents.path), strict=True)]
        sums = [total + more for total, more in zip(sums, found, strict=True)]
        return place, _shaped_like(new, tangent), _shaped_like(sums, sums)

    sums = [tf.zeros_like(values[n]) for n in active]
    start = number, flatten(tangents.state), sums
    _, tangent, sums = tf.while_loop(lambda place, *_: place > 0, body, start)
    return _all(values, active, tangent, sums)


def _in_python(marching: Marching, state: Any, constants: Any) -> tuple[March, list]:
    found, *steps = march_in_python(marching, state, constants)
    return found, steps


def _gradient_in_python(marching: Marching, steps: list, constants: Any, tangents: March) -> list:
    values, active = flatten(constants), _floating(flatten(constants))
    tangent, sums = flatten(tangents.state), [tf.zeros_like(values[n]) for n in active]
    for place, (state, record) in reversed(list(enumerate(zip(*steps, strict=True)))):
        tangent, found = _pulled_back(marching, state, record, constants, active, tangent)
        if marching.path:
            rows = flatten(tangents.path)
            tangent = [x + column[place] for x, column in zip(tangent, rows, strict=True)]
        sums = [total + more for total, more in zip(sums, found, strict=True)]
    return _all(values, active, tangent, sums)


def _pulled_back(
    marching: Marching, state: Any, record: Any, constants: Any, active: list, tangent: list
) -> tuple[list, list]:
    """The gradient of one step: for the state before it, and for the active constants."""
    before, values = flatten(state), [tf.identity(x) for x in flatten(constants)]
    inputs = [*before, *(values[n] for n in active)]

    def outputs() -> list:
        return flatten(marching.advance(pack(state, before), record, pack(constants, values)))

    found = _gradients(outputs, inputs, list(range(len(before))), tangent)
    found = [
        tf.zeros_like(x) if dx is None else tf.convert_to_tensor(dx)
        for x, dx in zip(inputs, found, strict=True)
    ]
    return found[: len(before)], found[len(before) :]


def _floating(values: list) -> list[int]:
    return [n for n, x in enumerate(values) if x.dtype.is_floating or x.dtype.is_complex]


def _all(values: list, active: list, tangent: list, sums: list) -> list:
    """The gradients of the state and of all constants; None for those that have none."""
    gradients = dict(zip(active, sums, strict=True))
    return [*tangent, *(gradients.get(n) for n in range(len(values)))]


def _shaped_like(values: list, others: list) -> list:
    for value, other in zip(values, others, strict=True):
        value.set_shape(other.shape)
    return values
