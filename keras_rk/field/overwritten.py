"""Variables whose "gradient" is the value that they get next: scales and ranges of float8 layers.

What an optimizer would overwrite them with (`overwrite_with_gradient`) adds up like any gradient
where they are used more than once, so that four evaluations of f would count the range of a number
four times. The largest of what the evaluations hand on is right: the range of all of them together,
as where Keras accumulates the gradients of several batches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops


def overwritten(variables: Sequence[keras.Variable]) -> tuple[int, ...]:
    """The positions of such variables."""
    return tuple(n for n, variable in enumerate(variables) if is_overwritten(variable))


def is_overwritten(variable: Any) -> bool:
    """Whether optimizers overwrite a variable with its gradient."""
    return getattr(variable, "overwrite_with_gradient", False)


def for_each_evaluation(value: Any, evaluations: int) -> Any:
    """`value` for each evaluation, along a new first axis; the largest gradient is its own."""

    @ops.custom_gradient
    def spread(value: Any) -> tuple[Any, Any]:
        def gradient(*received: Any, upstream: Any = None) -> Any:
            return ops.max(received[0] if upstream is None else upstream, axis=0)

        return ops.broadcast_to(value[None], (evaluations, *value.shape)), gradient

    return spread(value)


def check_owned(read: Mapping[int, keras.Variable], layer: keras.layers.Layer) -> None:
    """Refuses to let f use such variables of others several times: their gradients would add up."""
    for variable in read.values():
        if is_overwritten(variable):
            raise ValueError(
                "A float8 layer that several evaluations of f use must be part of f: what they "
                "hand on as its next scales would add up. Make f a layer or a model that has it. "
                f"Received: variable {variable.path!r}, which does not belong to layer "
                f"{layer.name!r} of type {type(layer).__name__}."
            )
