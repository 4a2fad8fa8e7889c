"""What keeps the shape of y, said to users whose f does not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import keras

from keras_rk.field.copies import layers_inside


def advice_on_shape(layer: keras.layers.Layer, before: Sequence, after: Sequence) -> str:
    """Sentences on the arguments that would keep the shape, each with a space after it.

    Args:
        layer: f.
        before, after: the shapes of its input and its output, which differ.
    """
    return "".join(f"{sentence} " for sentence in _sentences(layers_inside(layer), before, after))


def advice_on_outputs(layer: keras.layers.Layer) -> str:
    """The same where f returns several tensors."""
    if any(getattr(inner, "return_state", None) is True for inner in layers_inside(layer)):
        return "A recurrent layer returns its output alone with `return_state=False`. "
    return ""


def _sentences(
    layers: Sequence[keras.layers.Layer], before: Sequence, after: Sequence
) -> Iterator[str]:
    if len(after) < len(before) and any(_is(x, "return_sequences", False) for x in layers):
        yield "A recurrent layer has an output for each time step with `return_sequences=True`."
        after = (*before[:-1], after[-1])
    if len(after) != len(before):
        return
    first = any(_is(x, "data_format", "channels_first") for x in layers)
    channels = 1 if first else len(before) - 1
    changed = [n for n, (old, new) in enumerate(zip(before, after, strict=True)) if old != new]
    if any(axis not in (0, channels) for axis in changed) and any(map(_changes_size, layers)):
        yield "Convolutions and pooling keep the size with `padding='same'` and `strides=1`."
    if channels in changed:
        yield from _on_channels(layers, before[channels], after[channels])


def _on_channels(layers: Sequence[keras.layers.Layer], wanted: Any, given: Any) -> Iterator[str]:
    for layer in reversed(layers):
        for name in ("units", "filters"):
            if _is(layer, name, given):
                yield f"With `{name}={wanted}` layer {layer.name!r} has as many channels as y."
                return
    if any(_is(layer, "merge_mode", "concat") for layer in layers):
        yield "A bidirectional layer has the channels of one direction with `merge_mode='sum'`."


def _is(layer: keras.layers.Layer, name: str, value: Any) -> bool:
    found = getattr(layer, name, None)
    return type(found) is type(value) and found == value


def _changes_size(layer: keras.layers.Layer) -> bool:
    strides = keras.tree.flatten(getattr(layer, "strides", 1))
    return _is(layer, "padding", "valid") or any(stride != 1 for stride in strides)
