"""plot_model: Keras's picture of a model, with method and dt in the labels of blocks."""

from __future__ import annotations

import html
import os
from collections.abc import Iterator
from typing import Any

import keras

from keras_rk.layers.description import description
from keras_rk.layers.field_layer import FieldLayer
from keras_rk.models.inner_layers import inner_layers

_END = "</table>>"  # of a label


def plot_model(model: keras.Model, to_file: Any = "model.png", **options: Any) -> Any:
    """Draws a model as `keras.utils.plot_model` does, and writes into each block what it is.

    Keras's own picture shows name and class of a layer, and no layer can add to that. Here, the
    label of each Runge-Kutta layer has a line more: "rk4, dt=0.1, 4 steps, Dense".

    Example:

        keras_rk.plot_model(model, "model.png", show_shapes=True)

    Args:
        model: a built Keras model.
        to_file: where the picture goes, as PNG, SVG, PDF or `.dot`; None for nowhere.
        **options: those of `keras.utils.model_to_dot`: `show_shapes`, `expand_nested`, `rankdir`.

    Returns:
        The graph, a `pydot.Dot`.

    Raises:
        ImportError: without pydot (`pip install pydot`); pictures but `.dot` need Graphviz, too.
    """
    graph = keras.utils.model_to_dot(model, **options)
    blocks = {str(id(x)): x for x in inner_layers(model) if isinstance(x, FieldLayer)}
    for node in _nodes(graph):
        block = blocks.get(node.get_name().strip('"'))
        label = node.get_label() or ""
        if block is not None and label.endswith(_END):
            text = html.escape(description(block))
            columns = 'colspan="4" bgcolor="white"'
            line = f'<tr><td {columns}><font point-size="14">{text}</font></td></tr>'
            node.set_label(f"{label.removesuffix(_END)}{line}{_END}")
    if to_file is not None:
        ending = os.path.splitext(os.fspath(to_file))[1].removeprefix(".") or "png"
        graph.write(os.fspath(to_file), format="raw" if ending == "dot" else ending)
    return graph


def _nodes(graph: Any) -> Iterator[Any]:
    yield from graph.get_nodes()
    for inside in graph.get_subgraphs():
        yield from _nodes(inside)
