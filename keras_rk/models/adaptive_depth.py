"""refine: a stack gets blocks where its local error is large, and loses some where it is small."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_rk.layers import RKStack
from keras_rk.layers.arguments import is_real, one_of
from keras_rk.models.batch_progress import CountBatches
from keras_rk.models.block_errors import block_errors, estimating_pair
from keras_rk.models.calls_in_graphs import layers_called_with
from keras_rk.models.compilation import compile_alike
from keras_rk.models.depth_changes import WEIGHTS, Change, changed_sizes, fill_changed, parts_of
from keras_rk.models.depth_report import RefinementReport, by_stack, refined_blocks
from keras_rk.models.depth_selection import chosen_changes, most_within
from keras_rk.models.inner_layers import method_layers
from keras_rk.models.method_replacement import copy_with_method, model_configuration
from keras_rk.models.stack_copies import stacks_of, with_stacks
from keras_rk.numbers.coefficients import whole_number
from keras_rk.progress import Progress


def refine(
    model: keras.Model,
    data: Any,
    *,
    split: int | float = 0.5,
    merge: int | float = 0,
    tolerance: float = 0.1,
    weights: str = "piecewise_constant",
    stacks: Any = None,
    batch_size: int | None = None,
    verbose: Any = "auto",
) -> tuple[keras.Model, RefinementReport]:
    """A model whose stacks have more blocks where their local error is large.

    A block n of an `RKStack` with the step size dt_n and the weights theta_n becomes two,

        dt_n / 2, theta_n    and    dt_n / 2, theta_n

    which compute nearly what it did, the nearer the smaller its local error is. So a network that
    was trained small can be trained on, deeper where it is worth it. Two neighbours become one of
    the step dt_n + dt_(n+1), with the mean of their weights, weighted by their step sizes.

    Example:

    >>> from keras_rk.layers import RKStack
    >>> f = keras.layers.Dense(2, activation="tanh")
    >>> stack = RKStack(f, 4, "rk4", dt=["1/10", 1, "1/10", "1/10"], name="stack")
    >>> model = keras.Sequential([keras.Input((2,)), stack])
    >>> data = np.random.default_rng(0).normal(size=(64, 2))
    >>> finer, report = refine(model, data, split=1, merge=1, verbose=0)
    >>> report.depths, report.splits, report.merges
    ({'stack': (4, 4)}, 1, 1)
    >>> finer.get_layer("stack").dt
    ('1/10', '1/2', '1/2', '1/5')

    The local error of a block is the root mean square over the data of dt * sum_i (b_i - b_hat_i)
    k_i, with the embedded weights of its tableau; where that has none, or is trained, of the
    difference between its step and two of half the size from the same start.

    Blocks to be split are chosen first, the largest errors first, then pairs to be merged, the
    smallest sums of errors first, none of them split. Then outputs are compared on the data. Where
    they change by more than `tolerance`, fewer changes are made: the first so many, found by
    bisection.

    The model is made again from its configuration, with the same names and with weights of its own,
    moving statistics included (`keras_rk.recalibrate` makes those of new blocks right); the given
    one stays as it is. It is compiled as the model is, with a new optimizer of the same
    configuration, whose state is lost: the variables of a stack have other shapes now. Learned step
    sizes are halved and added up like fixed ones; with `trainable_dt="simplex"` their sum stays.

    Args:
        model: a built Keras model with at least one `RKStack`, such as `with_method` can make
            again. (`RKResidual` has one f for all of its steps, so `with_method(substeps=2)` is
            all that can be refined there.)
        data: what `model.predict` takes, in an order that stays the same.
        split: how many blocks are split, an integer; or a share of the sum of all errors, a float
            up to 1: the fewest blocks that make up as much. (So 1 is one block, and 1.0 all that
            have an error.)
        merge: how many pairs are merged, an integer; or a float: as many as make up no more than
            this share of the sum of all errors.
        tolerance: by how much the outputs may change: rms(new - old) / rms(old). `float("inf")`
            for no limit.
        weights: `"piecewise_constant"`: both halves have the weights of their block;
            `"interpolated"`: weights are linear in depth between the middles of blocks, and each
            half has those at its own middle. That changes the outputs more.
        stacks: the names of the stacks to be refined, or these layers; None for all. Errors of
            several stacks are compared with one another as they are.
        batch_size: for arrays, as in `model.predict`.
        verbose: 0 for no progress; "auto" shows it, with the time left, where it takes long and
            somebody watches, on a terminal or in a notebook; 1 always.

    Returns:
        The new model, and a `RefinementReport` of all blocks, to be printed.

    Raises:
        ValueError: for a model that is not built or without stacks, bad arguments, stacks with a
            layer `after` each block (two halves would have it twice), with `return_states` (whose
            shape is the depth) or with a Runge-Kutta layer inside f; if all errors are zero; and
            if no change at all stays within the tolerance.
    """
    given = _check_model(model)
    names = _chosen(model, given, stacks)
    split, merge = _amount("split", split), _amount("merge", merge)
    if not (split or merge):
        raise ValueError("There is nothing to do. Received: split=0, merge=0.")
    limit = _tolerance(tolerance)
    is_interpolated = one_of("weights", weights, WEIGHTS) == "interpolated"
    if isinstance(data, Iterator):
        raise ValueError(
            "The data are read several times: pass arrays or a dataset. "
            f"Received: data of type {type(data).__name__}, which can be read only once."
        )
    source = copy_with_method(model)  # not compiled, and so without variables of metrics
    found = stacks_of(source)

    def predicted(one: keras.Model, passes: int = 1) -> np.ndarray:
        counter = CountBatches(progress, passes)
        outputs = one.predict(data, batch_size=batch_size, verbose=0, callbacks=[counter])
        return np.concatenate([np.float64(x).ravel() for x in keras.tree.flatten(outputs)])

    def trial(count: int) -> tuple[keras.Model, float]:
        new = _with_changes(source, names, changes[:count], is_interpolated)
        return new, _relative_change(predicted(new), before)

    with Progress("refining", units="batches", verbose=verbose) as progress:
        errors = block_errors(source, names, data, batch_size, CountBatches(progress, 3))
        changes = chosen_changes(errors, {n: found[n].step_sizes for n in names}, split, merge)
        before = predicted(source, 2)
        new, made, change = most_within(trial, len(changes), limit)
    compile_alike(model, new)
    made_changes = by_stack(changes[:made], names)
    report = RefinementReport(
        model=model.name,
        blocks=tuple(
            block for n in names for block in refined_blocks(found[n], errors[n], made_changes[n])
        ),
        estimates={name: estimating_pair(found[name])[1] for name in names},
        depths={n: (found[n].depth, len(parts_of(found[n].depth, made_changes[n]))) for n in names},
        splits=sum(change.is_split for change in changes[:made]),
        merges=sum(not change.is_split for change in changes[:made]),
        left_out=len(changes) - made,
        change=change,
        tolerance=limit,
    )
    return new, report


def _with_changes(
    source: keras.Model, names: Sequence[str], changes: Sequence[Change], interpolated: bool
) -> keras.Model:
    """The model with other blocks."""
    given = stacks_of(source)
    parts = {n: parts_of(given[n].depth, c) for n, c in by_stack(changes, names).items()}

    def change(name: str) -> Callable[[dict[str, Any]], None]:
        def apply(config: dict[str, Any]) -> None:
            config["dt"] = changed_sizes(config["dt"], config["depth"], parts[name])
            config["depth"] = len(parts[name])

        return apply

    new = with_stacks(source, {name: change(name) for name in names})
    for name, stack in stacks_of(new).items():
        if name in parts:
            fill_changed(given[name], stack, parts[name], interpolated)
    return new


def _relative_change(outputs: np.ndarray, before: np.ndarray) -> float:
    """rms(outputs - before) / rms(before); infinite where one is not finite."""
    if not (np.all(np.isfinite(outputs)) and np.all(np.isfinite(before))):
        return float("inf")
    difference, size = np.linalg.norm(outputs - before), np.linalg.norm(before)
    return 0.0 if difference == 0 else float(difference / size) if size else float("inf")


def _check_model(model: Any) -> dict[str, RKStack]:
    """The stacks of a model that can be refined."""
    if not isinstance(model, keras.Model) or not model.built:
        raise ValueError(
            "refine needs a Keras model that is built: call it on data first, and put a single "
            f"stack into `keras.Sequential`. Received: {model!r} (of type {type(model).__name__})."
        )
    found = stacks_of(model)
    if not found:
        others = [layer.name for layer in method_layers(model)]
        raise ValueError(
            "refine changes the depth of RKStack layers. What an RKResidual does with one f is "
            "refined by `keras_rk.with_method(model, substeps=2)`. "
            f"Received: model {model.name!r} with {others or 'no Runge-Kutta layer'}."
        )
    names = [layer.name for layer in method_layers(model)]
    for name in found:
        if names.count(name) > 1:
            raise ValueError(
                "Stacks are told apart by their names, so each needs one of its own. "
                f"Received: {names.count(name)} layers {name!r} in model {model.name!r}."
            )
    return found


def _chosen(model: keras.Model, found: Mapping[str, RKStack], stacks: Any) -> list[str]:
    """The names of the stacks to be refined."""
    if isinstance(stacks, (str, keras.layers.Layer)):
        stacks = [stacks]
    given = list(found) if stacks is None else list(stacks)
    names = [one.name if isinstance(one, keras.layers.Layer) else one for one in given]
    timed = set(layers_called_with(model_configuration(model), "times"))
    for name in names:
        if name not in found:
            raise ValueError(
                "`stacks` are names of RKStack layers in the model, or such layers. There are: "
                f"{', '.join(map(repr, found))}. Received: {name!r} (model {model.name!r})."
            )
        stack = found[name]
        rule = (
            "is called with `times`, of which there is one more than blocks"
            if name in timed
            else "has a layer `after` each block, which two halves would have twice"
            if stack.after is not None
            else "has `return_states`, whose shape is the depth"
            if stack.return_states
            else "has a Runge-Kutta layer inside f"
            if len(method_layers(stack, templates=True)) > 1
            else None
        )
        if rule:
            raise ValueError(f"A stack cannot be refined that {rule}. Received: stack {name!r}.")
    return list(dict.fromkeys(names))


def _amount(name: str, value: Any) -> int | float:
    """A number of blocks, or a share of the errors as a float."""
    number = whole_number(value)
    if number is not None and number >= 0:
        return number
    if is_real(value) and 0 <= value <= 1:
        return float(value)
    raise ValueError(
        f"`{name}` must be an integer of at least 0, how many, or a float from 0 to 1, a share of "
        f"the errors. Received: {name}={value!r} (of type {type(value).__name__})."
    )


def _tolerance(value: Any) -> float:
    if is_real(value) and value > 0:
        return float(value)
    raise ValueError(
        "`tolerance` must be a number above 0, by how much outputs may change in proportion. "
        f"Received: tolerance={value!r} (of type {type(value).__name__})."
    )
