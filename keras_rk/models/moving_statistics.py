"""The moving statistics of a model: which they are, where they are, and when they are settled."""

from __future__ import annotations

import math

import keras

from keras_rk.field.vector_field import own_variables
from keras_rk.layers import RKStack
from keras_rk.models.inner_layers import inner_layers, method_layers

MEMORIES = 5  # after 5 / (1 - momentum) updates exp(-5), less than 1 %, is left of where they began


def moving_statistics(layer: keras.layers.Layer) -> list[keras.Variable]:
    """The variables in which batch normalization inside a layer keeps what it has learned.

    With the values at all evaluations of Runge-Kutta layers, and of all blocks of stacks.
    """
    found: list[keras.Variable] = []
    for inner in normalizations(layer):
        found += [inner.moving_mean, inner.moving_variance]
    for inner in reversed(method_layers(layer)):  # those inside another one come first
        known = {id(variable) for variable in found}
        if isinstance(inner, RKStack):
            for part in inner._parts:
                inside = {id(variable) for variable in moving_statistics(part.template)}
                known |= inside
                places = enumerate(own_variables(part.template))
                found += [part.variables[n] for n, variable in places if id(variable) in inside]
        if inner.statistics is not None:
            variables = own_variables(inner.layer)
            weights = zip(inner._multiplied, inner.statistics.weights, strict=True)
            found += [weight for n, weight in weights if id(variables[n]) in known]
    return found


def statistics_in_fields(layer: keras.layers.Layer) -> list[keras.Variable]:
    """Those that are inside an f, and so belong to the evaluations that a method makes.

    All others, of layers after a block or outside of blocks, belong to no method.
    """
    inside: set[int] = set()
    for inner in method_layers(layer):
        if isinstance(inner, RKStack):
            for part in inner._parts:
                is_field = part.template is inner.layer
                of_part = moving_statistics if is_field else statistics_in_fields
                known = {id(variable) for variable in of_part(part.template)}
                places = enumerate(own_variables(part.template))
                inside |= {id(part.variables[n]) for n, variable in places if id(variable) in known}
        else:
            inside |= {id(variable) for variable in moving_statistics(inner.layer)}
        if inner.statistics is not None:
            inside |= {id(weight) for weight in inner.statistics.weights}
    return [variable for variable in moving_statistics(layer) if id(variable) in inside]


def normalizations(
    layer: keras.layers.Layer, templates: bool = False
) -> list[keras.layers.BatchNormalization]:
    """The layers whose statistics move, as plain averages.

    Args:
        templates: whether to go into the templates of stacks, as in `inner_layers`.
    """
    return [
        inner
        for inner in inner_layers(layer, templates)
        if isinstance(inner, keras.layers.BatchNormalization)
        and inner.built
        and inner.trainable
        and not getattr(inner, "renorm", False)  # which Keras has since 3.13
    ]


def updates_to_settle(model: keras.layers.Layer) -> int:
    """After how many batches in training moving statistics have forgotten where they began.

    What is left of that after n updates is momentum ** n. Evaluations of f that share statistics
    update them several times in a batch. 0 where there are none.
    """
    norms = normalizations(model, templates=True)
    updates = {id(norm): 1 for norm in norms}
    for layer in method_layers(model, templates=True):
        in_a_pass = {"shared": layer.evaluations, "first": layer.steps}.get(layer.state, 1)
        for norm in normalizations(layer.layer, templates=True):
            updates[id(norm)] *= in_a_pass
    needed = [MEMORIES / (1 - x.momentum) / updates[id(x)] for x in norms if x.momentum < 1]
    return math.ceil(round(max(needed, default=0), 6))  # 5 / (1 - 0.9) is a little above 50
