"""The local error of each block of a stack, along the way that the network itself takes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import keras
import numpy as np

from keras_rk.butcher.tableau import Tableau
from keras_rk.layers import RKStack
from keras_rk.models.error_pass import ErrorPass, estimate_errors
from keras_rk.models.inner_layers import numbers
from keras_rk.models.stack_copies import fill, stacks_of, with_stacks
from keras_rk.tableaux.composition import with_two_halves


def estimating_pair(stack: RKStack) -> tuple[Tableau, str]:
    """The method of a stack with embedded weights, and how they estimate the error.

    Those of its own tableau; where it has none, or is trained, those of two half-steps.
    """
    if stack.tableau.b_hat is not None and not stack.trainable_tableau:
        return stack.tableau, "embedded pair"
    return with_two_halves(stack.tableau), "two half-steps"


def block_errors(
    model: keras.Model,
    stacks: Sequence[str],
    data: Any,
    batch_size: int | None,
    counter: keras.callbacks.Callback | None = None,
) -> dict[str, np.ndarray]:
    """For each named stack, the root mean square over data of dt * sum_i (b_i - b_hat_i) k_i.

    Of several steps in a block it is that of the mean over the steps. A callback `counter` sees
    each batch.
    """
    given = stacks_of(model)
    pairs = {name: estimating_pair(given[name])[0] for name in stacks}
    changes = {name: partial(estimate_errors, pair=pair) for name, pair in pairs.items()}
    copy = with_stacks(model, changes)
    measured = stacks_of(copy)
    for name in stacks:
        _take_over(given[name], measured[name])
    run = ErrorPass(copy, [measured[name] for name in stacks])
    run.predict(data, batch_size=batch_size, verbose=0, callbacks=[counter] if counter else [])
    return dict(zip(stacks, run.errors(), strict=True))


def _take_over(old: RKStack, new: RKStack) -> None:
    """The weights of all blocks, their step sizes, and moving statistics of near evaluations."""
    every = list(range(old.depth))
    fill(old, new, np.asarray, every, [0] * old.depth)
    if old._learned.step is not None and new._learned.step is not None:
        new._learned.step.weight.assign(numbers(old._learned.step.weight))
    if new.statistics is None:
        return
    nearest = _nearest(old, new)
    first = [old._layer.variables[place] for place in new._multiplied]
    others = [None] * len(first) if old.statistics is None else old.statistics.weights
    for weight, one, rest in zip(new.statistics.weights, first, others, strict=True):
        values = numbers(one)[:, None]
        if rest is not None:
            values = np.concatenate([values, numbers(rest)], axis=1)
        weight.assign(values[:, nearest[1:]])


def _nearest(old: RKStack, new: RKStack) -> list[int]:
    """For each evaluation in a block, the same one or, at other times, the nearest."""
    if old.statistics is None:
        return [0] * new.evaluations
    before, after = old._method.plan.stages, new._method.plan.stages
    nodes, times = ([float(c) for c in s.tableau.exact_c] for s in (old, new))

    def of(stage: int) -> int:
        if stage in before:
            return before.index(stage)
        return min(range(len(before)), key=lambda n: abs(nodes[before[n]] - times[stage]))

    return [step * len(before) + of(stage) for step in range(old.steps) for stage in after]
