"""What `dt` and `times` of a call may be, checked before anything is computed.

Shapes are always known. Values are known where they are numbers, or in a tensor in the memory of
the host: neither while a graph is being made, nor on an accelerator, which would have to be waited
for.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_rk.field.inputs import input_names, takes_time
from keras_rk.layers.times import agree, brief, check_order, check_real, check_shape, known, row

SLACK = 8 * float(np.finfo("float32").eps)  # of times that may have been rounded
WORDS = ("dt", "times", "interpolate")


def array_of_numbers(name: str, value: Any) -> np.ndarray:
    """`value` as an array in float64; truth values and words are no numbers."""
    try:
        array = np.asarray(value)
    except ValueError:  # rows of different lengths
        array = np.asarray(None)
    if array.dtype.kind not in "iuf":
        raise ValueError(
            f"`{name}` must be real numbers, in an array or a tensor. Received: {name}={value!r}."
        )
    return array.astype("float64")


def check_call(layer: Any, dt: Any, times: Any, interpolate: bool) -> None:
    """Refuses what a layer cannot do at times that are not its own."""
    given = " and ".join(w for w, x in (("dt", dt), ("times", times)) if x is not None)
    names = input_names(layer.layer) or inspect.signature(layer.layer.call).parameters
    taken = [] if hasattr(layer.layer, "step_sizes") else [w for w in WORDS if w in names]
    if taken:
        raise TypeError(
            f"`{taken[0]}` is an argument of this layer's own call, and f has one of that name, "
            "too: give the one of f another name, or pass it by position. "
            f"Received: `{given}` for layer {layer.name!r}."
        )
    if layer.trainable_dt:
        raise ValueError(
            "A step size that is trained leaves no choice to the call: build the layer without "
            f"`trainable_dt`. Received: `{given}` for layer {layer.name!r} with "
            f"trainable_dt={layer.trainable_dt!r}."
        )
    if times is not None and layer.return_states:
        raise ValueError(
            "With `times` y is returned at these, and `return_states` has no meaning beside them: "
            f"build the layer without it. Received: `times` for layer {layer.name!r} with "
            "return_states=True."
        )
    if dt is not None and times is not None and not interpolate:
        raise ValueError(
            "Give `dt` or `times`, not both: with `times`, `steps` steps lead from each time to "
            "the next. For steps of size `dt` between which y is interpolated, say "
            f"`interpolate=True`. Received: `dt` and `times` for layer {layer.name!r}."
        )
    if interpolate and layer.intervals is not None:
        raise ValueError(
            "The blocks of a stack take steps from one of `times` to the next; between steps only "
            "RKResidual interpolates. "
            f"Received: interpolate=True for stack {layer.name!r}."
        )
    if interpolate and layer.trainable_tableau:
        raise ValueError(
            "A method that is trained has no continuous extension. "
            f"Received: interpolate=True for layer {layer.name!r} with trainable_tableau=True."
        )
    if interpolate and times is None:
        raise ValueError(
            "`interpolate=True` needs `times`, at which y is wanted. "
            f"Received: times=None for layer {layer.name!r}."
        )


def check_steps_of_layer(arguments: Mapping[str, Any], layer: Any, who: str) -> None:
    """Refuses a call with times of its own where somebody follows the steps of the layer."""
    values = ((word, arguments.get(word)) for word in WORDS)
    given = [word for word, value in values if value is not None and value is not False]
    if given:
        raise ValueError(
            f"{who} follows the steps that a layer takes by itself, of its own `dt`. "
            f"Received: {' and '.join(map(repr, given))} in a call of layer {layer.name!r}."
        )


def check_step_size(dt: Any, y: Any, layer: Any) -> None:
    """Refuses a step size that does not fit y, and one that is known to be none."""
    shape, of_y = tuple(dt.shape), tuple(y.shape)
    check_real("dt", dt)
    fits = len(shape) == 0 or (len(shape) == 1 and agree(shape[0], of_y[0]))
    if len(shape) == len(of_y):
        fits = fits or all(m == 1 or agree(m, n) for m, n in zip(shape, of_y, strict=True))
    if not fits:
        raise ValueError(
            "`dt` must be one number, or one for each sample, of shape (batch,), or broadcast to "
            "y with as many dimensions (in a stack, too, it is for all blocks). "
            f"Received: dt of shape {shape}, y of shape {of_y} (layer {layer.name!r})."
        )
    if len(of_y) > 1 and len(shape) == len(of_y) and shape[-1] != 1 and takes_time(layer.layer):
        raise ValueError(
            "An f that takes the time t needs one time for all channels: `dt` of size 1 along the "
            f"last axis. Received: dt of shape {shape} (layer {layer.name!r})."
        )
    values = known(dt)
    if values is not None and not np.all(np.isfinite(values) & (values != 0)):
        raise ValueError(
            "`dt` must be finite and other than zero. "
            f"Received: dt={brief(values)} (layer {layer.name!r})."
        )


def check_times(times: Any, y: Any, layer: Any) -> None:
    """Refuses times that do not fit y or the layer, and such as are known not to be in order."""
    check_shape(times, y, layer)
    shape = tuple(times.shape)
    blocks = layer.intervals
    if blocks is not None and not agree(shape[-1], blocks + 1):
        raise ValueError(
            f"A stack of {blocks} blocks goes through {blocks} intervals, one with each block, "
            f"and so needs {blocks + 1} `times`. "
            f"Received: times of shape {shape} (stack {layer.name!r})."
        )
    values = known(times)
    if values is not None:
        # Keras on PyTorch may look for shapes with tensors of ones.
        check_order(values, layer, may_rest=not isinstance(times, np.ndarray))


def check_within(dt: Any, times: Any, y: Any, layer: Any) -> None:
    """Refuses times that steps of size `dt` do not reach, and a `dt` that is not one for a sample.

    What is beyond the steps and not known here is returned as NaN.
    """
    shape = tuple(dt.shape)
    if len(y.shape) > 1 and any(size != 1 for size in shape[1:]):
        raise ValueError(
            "To interpolate, all of a sample must have one step size: `dt` of shape (), (batch,) "
            f"or (batch, 1, ...). Received: dt of shape {shape} (layer {layer.name!r})."
        )
    h, t = known(dt), known(times)
    if h is None or t is None:
        return
    size = h.astype("float64").reshape(-1, 1)
    rows, size = np.broadcast_arrays(np.atleast_2d(t).astype("float64"), size)
    position = (rows - rows[:, :1]) / size
    slack = SLACK * (layer.steps + np.abs(rows / size))
    bad = np.any((position < -slack) | (position > layer.steps + slack), axis=1)
    if np.any(bad):
        raise ValueError(
            "`times` must lie between the first and where the steps end, `times[0] + steps * dt`: "
            f"take more or longer steps. Received: {row(rows, bad)}, steps={layer.steps}, "
            f"dt={size[int(np.argmax(bad)), 0]:.6g} (layer {layer.name!r})."
        )
