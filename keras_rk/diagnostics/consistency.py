"""ode_consistency: is a trained network the discretisation of an ODE?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_rk.diagnostics.arguments import (
    Method,
    increasing_substeps,
    method_names,
    several_methods,
)
from keras_rk.diagnostics.consistency_report import ConsistencyReport, Run
from keras_rk.diagnostics.distances import relative_distance
from keras_rk.diagnostics.runs import Runs
from keras_rk.diagnostics.scores import score
from keras_rk.layers.arguments import loss_weight

Outcomes = dict[tuple[str, int], Any]  # outputs by method and substeps


def ode_consistency(
    model: keras.Model,
    data: Any,
    targets: Any = None,
    *,
    methods: Sequence[Any] = ("euler", "heun2", "rk4"),
    substeps: Sequence[int] = (1, 2, 4, 8, 16),
    weights: str = "piecewise_constant",
    recalibrate: bool = True,
    metric: Callable[[Any, Any], float] | None = None,
    tolerance: float = 0.05,
    accuracy_tolerance: float = 0.01,
    batch_size: int | None = None,
    verbose: Any = "auto",
) -> ConsistencyReport:
    """Compares a trained network with the limit of ever smaller steps.

    The trained weights are run with each method and with steps of

        dt / m,    m in substeps

    in the place of one step of size dt. For f that is Lipschitz the outputs converge, for m to
    infinity, to those of the flow of y' = f(y), whatever the network has learned: convergence
    alone says nothing. What decides is how far the trained network is from that limit, and how
    much accuracy is lost on the way to it. A network that has learned an ODE is near its limit; one
    that has learned to rely on the errors of its own steps is not.

    Example:

    >>> from keras_rk.layers import RKStack
    >>> f = keras.layers.Dense(2, activation="tanh")
    >>> model = keras.Sequential([keras.Input((2,)), RKStack(f, 4, "rk4", dt=0.1, seed=0)])
    >>> x = np.random.default_rng(0).normal(size=(50, 2)).astype("float32")
    >>> report = ode_consistency(model, x, methods=["rk4"], substeps=[1, 2, 4], verbose=0)
    >>> report.verdict
    'behaves like an ODE'
    >>> report.distance < 1e-3
    True

    What the limit is of:
        `weights="piecewise_constant"`: of one flow for each block, one after the other; the weights
        of a network count as constant within each block and jump in between. Then a layer `after`
        each block makes the network a composition of flows and of these layers; with
        `BatchNormalization` they are affine maps.

        `weights="interpolated"`: of one flow, the weights of which are linear in depth between the
        middles of the blocks of an `RKStack`, and constant beyond the first and the last middle.
        A block then becomes m blocks, each with the weights at its own middle. (A stack with
        `after` has no such limit, and is refused.) An `RKResidual` has the same weights in all of
        its steps, so that both are the same for it.

    Order p shows in the distances only for smooth f and constant weights: with relu, RK4 shows
    about 2, and so does each method of order 2 or more with interpolated weights.

    Moving statistics of `BatchNormalization` fit the evaluations that they were estimated for. So
    they are estimated anew for each run, from `data` (see `keras_rk.recalibrate`); for the trained
    network, too, so that like is compared with like. What that alone changed is
    `report.recalibration_shift`.

    Args:
        model: a trained Keras model with `RKResidual` or `RKStack` layers.
        data: what `model.predict` takes, to be read several times, always in the same order.
        targets: the right answers, one for each sample.
        methods: the methods: names, `keras_rk.Tableau`s, or arrays `(A, b[, c])`. The one of
            highest order is taken for the limit.
        substeps: increasing numbers of substeps; the last one is taken for the limit, and the one
            before it to see how well that is known.
        weights: `"piecewise_constant"` or `"interpolated"`, as above.
        recalibrate: whether to estimate moving statistics anew, where there are any.
        metric: `metric(targets, outputs)` returns a number, the larger the better. None for one
            that fits the targets. Class numbers or one-hot rows: the share of samples with the
            right largest output; only 0 and 1: the share that is right with outputs, which are
            probabilities, rounded at 1/2; only -1 and 1: the same by sign; other numbers: R^2.
        tolerance: the largest distance with the verdict "behaves like an ODE".
        accuracy_tolerance: the largest loss of accuracy with that verdict.
        batch_size: for arrays, as in `model.predict`.
        verbose: 0 for no progress; otherwise a bar.

    Returns:
        A `ConsistencyReport`: `distance`, `accuracy_lost`, `verdict`, and all runs. Where the limit
        is not finite, or its error is not small beside the distance, the verdict is "limit not
        resolved".

    Raises:
        ValueError: for a bad argument, and for a model without Runge-Kutta layers.
        keras_rk.TableauError: for an unknown method.

    Reference:
        - A. F. Queiruga, N. B. Erichson, D. Taylor, M. W. Mahoney, Continuous-in-Depth Neural
          Networks (2020)
        - K. Ott, P. Katiyar, P. Hennig, M. Tiemann, ResNet After All? Neural ODEs and Their
          Numerical Solution (2021)
        - A. S. Krishnapriyan, A. F. Queiruga, N. B. Erichson, M. W. Mahoney, Learning continuous
          models for continuous physics (2022)
    """
    chosen, counts = several_methods(methods), increasing_substeps(substeps)
    tolerance = loss_weight("tolerance", tolerance)
    accuracy_tolerance = loss_weight("accuracy_tolerance", accuracy_tolerance)
    runs = Runs(
        model,
        data,
        weights=weights,
        recalibrate=recalibrate,
        batch_size=batch_size,
        count=1 + len(chosen) * len(counts),
        verbose=verbose,
        most=counts[-1],
    )
    compare = score(targets, runs.trained, metric)
    trained = runs()
    outcomes = {(m.name, n): runs(m.tableau, n) for m in chosen for n in counts}
    found = _compared(chosen, outcomes, trained, compare)
    best = _best(chosen).name
    limit = outcomes[best, counts[-1]]
    return ConsistencyReport(
        trained_with=method_names(runs.layers),
        weights=runs.weights,
        recalibration_shift=relative_distance(trained, runs.trained) if runs.recalibrates else None,
        runs=tuple(found.values()),
        limit=found[best, counts[-1]],
        limit_error=relative_distance(outcomes[best, counts[-2]], limit),
        distance=relative_distance(trained, limit),
        metric=None if compare is None else compare.name,
        accuracy=None if compare is None else compare(trained),
        accuracy_at_limit=found[best, counts[-1]].score,
        tolerance=tolerance,
        accuracy_tolerance=accuracy_tolerance,
    )


def _best(methods: Sequence[Method]) -> Method:
    """The one for the limit."""
    return max(methods, key=lambda method: method.order)


def _compared(
    methods: Sequence[Method], outcomes: Outcomes, trained: Any, compare: Any
) -> dict[tuple[str, int], Run]:
    """What each run says, by method and substeps."""
    limit = outcomes[_best(methods).name, max(count for _, count in outcomes)]
    orders = {method.name: method.order for method in methods}
    return {
        (name, count): Run(
            method=name,
            order=orders[name],
            substeps=count,
            to_limit=relative_distance(outputs, limit),
            to_trained=relative_distance(outputs, trained),
            score=None if compare is None else compare(outputs),
        )
        for (name, count), outputs in outcomes.items()
    }
