"""A method beside the flow of its field: one tableau for the step and for a fine solution."""

from __future__ import annotations

import numpy as np

from keras_rk.butcher.tableau import Tableau
from keras_rk.layers.method_layer import MethodLayer
from keras_rk.models.inner_layers import numbers
from keras_rk.proof.checker import check
from keras_rk.tableaux.composition import beside_steps
from keras_rk.tableaux.registry import get

ENOUGH = 4  # the order from which on a method is its own reference


def with_reference(tableau: Tableau, substeps: int) -> Tableau:
    """A pair: the method, and as b_hat many small steps from the same y.

    dt * sum_i (b_i - b_hat_i) k_i is what the step is off, but for the error of the small ones,
    which are those of the method itself where it has order 4 or more, of RK4 otherwise.

    >>> from keras_rk import check, tableaux
    >>> pair = with_reference(tableaux.get("euler"), 2)
    >>> pair.stages, check(pair).order, check(pair).embedded_order
    (9, 1, 4)
    """
    return beside_steps(tableau, reference_for(tableau), substeps, merged=False)


def reference_for(tableau: Tableau) -> Tableau:
    """What is taken in small steps: the method itself where that is good enough, else RK4."""
    report = check(tableau, max_order=ENOUGH)
    is_enough = report.order >= ENOUGH and report.row_sums
    return tableau if is_enough else get("rk4")


def same_statistics(old: MethodLayer, new: MethodLayer) -> None:
    """Gives the evaluations of a layer `with_reference` the moving statistics of its own method.

    Those of the step have what they had; those of the reference what the stage at the nearest node
    has, since they had none.
    """
    if new.statistics is None or old.statistics is None:
        return
    ours, nodes = old._method.plan.stages, np.array(old.tableau.c, "float64")
    theirs = np.array(new.tableau.c, "float64")
    of_stage = [
        ours.index(stage)
        if stage in ours
        else int(np.abs(nodes[list(ours)] - theirs[stage]).argmin())
        for stage in new._method.plan.stages
    ]
    chosen = np.add.outer(np.arange(old.steps) * len(ours), of_stage).ravel()
    for weight, values in zip(new.statistics.weights, old.statistics.all(), strict=True):
        weight.assign(np.take(numbers(values), chosen[1:], old.statistics._axis))
