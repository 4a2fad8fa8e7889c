"""ode_consistency: is a trained network the discretisation of an ODE?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_rk.diagnostics.advice import steepest_block
from keras_rk.diagnostics.arguments import (
    Method,
    coarsening_factors,
    increasing_substeps,
    method,
    method_names,
    number_of_draws,
    several_methods,
)
from keras_rk.diagnostics.consistency_report import ConsistencyReport, Limit, Run
from keras_rk.diagnostics.distances import output_distances, relative_distance
from keras_rk.diagnostics.initial_weights import untrained
from keras_rk.diagnostics.refinement import leading_weights
from keras_rk.diagnostics.runs import Outcome, Runs
from keras_rk.diagnostics.scores import score
from keras_rk.layers.arguments import loss_weight
from keras_rk.progress import Progress

Outcomes = dict[tuple[str, int], Outcome]  # by method and substeps


def ode_consistency(
    model: keras.Model,
    data: Any,
    targets: Any = None,
    *,
    methods: Sequence[Any] = ("euler", "heun2", "rk4"),
    substeps: Sequence[int] = (1, 2, 4, 8, 16),
    weights: str | None = None,
    recalibrate: bool | None = None,
    calibration: Any = None,
    metric: Callable[[Any, Any], float] | None = None,
    tolerance: float = 0.05,
    accuracy_tolerance: float = 0.01,
    control: int = 1,
    coarsening: Sequence[int] = (2,),
    batch_size: int | None = None,
    verbose: Any = "auto",
) -> ConsistencyReport:
    """Compares a trained network with the limit of ever smaller steps.

    The trained weights are run with each method and with steps of

        dt / m,    m in substeps

    in the place of one step of size dt. For f that is Lipschitz the outputs converge, for m to
    infinity, to those of the flow of y' = f(y), whatever the network has learned: convergence
    alone says nothing. What decides is how far the trained network is from that limit, at its
    outputs and on the way there, and how much accuracy is lost. A network that has learned an ODE
    is near its limit; one that has learned to rely on the errors of its own steps is not.

        distance = rms(outputs - limit) / rms(limit - mean of the limit over the data)

    so that no offset of the outputs makes it small; outputs of different scales count alike (see
    `keras_rk.diagnostics.distances`). Of the states after each step or block it is taken alike, and
    the largest one counts as the distance of the states.

    Example:

    >>> from keras_rk.layers import RKStack
    >>> f = keras.layers.Dense(2, activation="tanh")
    >>> model = keras.Sequential([keras.Input((2,)), RKStack(f, 4, "rk4", dt=0.1, seed=0)])
    >>> x = np.random.default_rng(0).normal(size=(50, 2)).astype("float32")
    >>> report = ode_consistency(model, x, methods=["rk4"], substeps=[1, 2, 4], verbose=0)
    >>> report.weights, report.distance > 1e-3
    ('interpolated', True)
    >>> report.constant.distance < 1e-3  # each block by itself is a flow
    True

    What the limit is of:
        `weights="interpolated"`: of one flow, the weights of which are linear in depth between the
        middles of the blocks of an `RKStack`, and constant beyond the first and the last middle.
        That is what the literature on neural ODEs means by the ODE of a residual network: one whose
        weights are a function of depth. A block becomes m blocks, each with the weights at its own
        middle. (A stack with `after` has no such limit, and is refused.)

        `weights="piecewise_constant"`: of one flow for each block, one after the other; the weights
        count as constant within each block and jump in between. Then a layer `after` each block
        makes the network a composition of flows and of these layers; with `BatchNormalization`
        they are affine maps. That the network is near this limit says of each block that it is a
        flow, and nothing of the network as one.

        None, the default: interpolated ones where there are any, with the other limit beside it
        (`report.constant`); an `RKResidual` has the same weights in all of its steps, so that both
        are the same for it.

    Order p shows in the distances only for smooth f and constant weights: with relu, RK4 shows
    about 2, and so does each method of order 2 or more with interpolated weights.

    Moving statistics of a `BatchNormalization` inside of f fit the evaluations that they were
    estimated for. So they are estimated anew for each run (see `keras_rk.recalibrate`), from
    training points, `calibration`; for the trained network, too, so that like is compared with
    like. What that alone changed is `report.recalibration_shift`, which should be small beside
    `distance`. Statistics after a block, or outside of blocks, are called once whatever the method:
    they stay as trained.

    Args:
        model: a trained Keras model with `RKResidual` or `RKStack` layers.
        data: what `model.predict` takes, to be read several times, always in the same order.
        targets: the right answers, one for each sample.
        methods: the methods: names, `keras_rk.Tableau`s, or arrays `(A, b[, c])`. The one of
            highest order is taken for the limit.
        substeps: increasing numbers of substeps; the last one is taken for the limit, and the one
            before it to see how well that is known.
        weights: `"interpolated"`, `"piecewise_constant"` or None, as above.
        recalibrate: whether moving statistics are estimated anew in each run. None, the default:
            those inside of f, which fit no other evaluations; all others are called as often as
            before, and stay as they are. True: all of them. False: none; each evaluation takes
            those of the nearest one.
        calibration: training points for that, in what `model.predict` takes: statistics come from
            those, and never from `data`. Needed where anything is estimated.
        metric: `metric(targets, outputs)` returns a number, the larger the better. None for one
            that fits the targets. Class numbers or one-hot rows: the share of samples with the
            right largest output; only 0 and 1: the share that is right with outputs, which are
            probabilities, rounded at 1/2; only -1 and 1: the same by sign; other numbers: R^2.
        tolerance: the largest distance with the verdict "behaves like an ODE".
        accuracy_tolerance: the largest loss of accuracy with that verdict.
        control: of how many untrained networks like this one the distance is taken as well; 0 for
            none. Steps that are small enough, or weights that are, make any network an ODE: only a
            distance that training has made smaller has been learned. The initial weights
            themselves are gone, so that these are fresh draws from the same initializers (with all
            moving statistics from `calibration`: without, a network that has any has no control).
            Each
            takes two runs, of which one is as dear as the limit.
        coarsening: how many times larger steps the network is run with, too, by its own methods;
            where steps, or the blocks of a stack, do not divide by it, there is no such run. (A
            network that stands for an ODE loses by larger steps what the order of its method says.)
        batch_size: for arrays, as in `model.predict`; None for as many rows as fit well.
        verbose: 0 for no progress; "auto" shows it, with the time left, where it takes long and
            somebody watches, on a terminal or in a notebook; 1 always.

    Returns:
        A `ConsistencyReport`: `distance`, `state_distance`, `accuracy_lost`, `verdict`, and all
        runs. Where the limit is not finite, or its error is not small beside the distance, the
        verdict is "limit not resolved", and `advice` says what to try.

    Raises:
        ValueError: for a bad argument, and for a model without Runge-Kutta layers.
        keras_rk.TableauError: for an unknown method.

    Reference:
        - A. F. Queiruga, N. B. Erichson, D. Taylor, M. W. Mahoney, Continuous-in-Depth Neural
          Networks (2020)
        - K. Ott, P. Katiyar, P. Hennig, M. Tiemann, ResNet After All? Neural ODEs and Their
          Numerical Solution (2021)
        - A. S. Krishnapriyan, A. F. Queiruga, N. B. Erichson, M. W. Mahoney, Learning continuous
          models for continuous physics (2022, 2023): a convergence test with larger steps and
          smaller ones
        - M. E. Sander, P. Ablin, G. Peyre, Do Residual Neural Networks discretize Neural Ordinary
          Differential Equations? (2022): the distance of the states along depth
        - P. Marion, Y.-H. Wu, M. E. Sander, G. Biau, Implicit regularization of deep residual
          networks towards neural ODEs (2023)
    """
    chosen, counts = several_methods(methods), increasing_substeps(substeps)
    tolerance = loss_weight("tolerance", tolerance)
    accuracy_tolerance = loss_weight("accuracy_tolerance", accuracy_tolerance)
    draws, factors = number_of_draws(control), coarsening_factors(coarsening)
    lead = leading_weights(model) if weights is None else weights
    with Progress("ode_consistency", verbose=verbose) as progress:
        runs = Runs(
            model,
            data,
            weights=lead,
            recalibrate=recalibrate,
            calibration=calibration,
            batch_size=batch_size,
            progress=progress,
            most=counts[-1],
        )
        draws = draws if runs.calibration.fits_untrained else 0
        with_constant = weights is None and lead == "interpolated"
        best = _best(chosen)
        progress.ahead(
            runs.cost() * (1 + draws + len(factors))
            + sum(runs.cost(m.tableau, n) for m in chosen for n in counts)
            + runs.cost(best.tableau, with_constant * sum(counts[-2:]) + draws * counts[-1])
        )
        compare = score(targets, runs.trained, metric)
        trained = runs.run()
        outcomes = {(m.name, n): runs.run(m.tableau, n) for m in chosen for n in counts}
        limit = outcomes[best.name, counts[-1]]
        found = _compared(chosen, outcomes, trained, limit, compare)
        report = ConsistencyReport(
            trained_with=method_names(runs.layers),
            weights=runs.weights,
            recalibration_shift=(
                relative_distance(trained.outputs, runs.trained) if runs.recalibrates else None
            ),
            statistics=runs.calibration.statistics,
            runs=tuple(found.values()),
            limit=found[best.name, counts[-1]],
            limit_error=_deviation(outcomes[best.name, counts[-2]], limit),
            distance=relative_distance(trained.outputs, limit.outputs),
            metric=None if compare is None else compare.name,
            accuracy=None if compare is None else compare(trained.outputs),
            accuracy_at_limit=found[best.name, counts[-1]].score,
            tolerance=tolerance,
            accuracy_tolerance=accuracy_tolerance,
            output_distances=output_distances(trained.outputs, limit.outputs),
            state_distances=_along_depth(trained, limit),
            constant=_constant(runs, trained, best, counts, compare) if with_constant else None,
            control=tuple(
                _control(runs, model, n, best, counts[-1], compare) for n in range(draws)
            ),
            coarser=_coarser(runs, factors, trained, limit, compare),
        )
        return (
            report
            if report.is_resolved
            else report.with_steepest(steepest_block(model, data, best))
        )


def _best(methods: Sequence[Method]) -> Method:
    """The one for the limit."""
    return max(methods, key=lambda method: method.order)


def _along_depth(one: Outcome, other: Outcome) -> tuple[float, ...]:
    if len(one.states) != len(other.states):
        return ()
    return tuple(map(relative_distance, one.states, other.states))


def _deviation(one: Outcome, other: Outcome) -> float:
    """The largest distance, of the outputs or on the way there."""
    return max([relative_distance(one.outputs, other.outputs), *_along_depth(one, other)])


def _run(
    name: str, order: int, substeps: float, outputs: Any, others: tuple[Any, Any], compare: Any
) -> Run:
    """What a run says.

    Args:
        others: the outputs at the limit, and those of the trained network.
    """
    to_limit, to_trained = (relative_distance(outputs, other) for other in others)
    found = None if compare is None else compare(outputs)
    return Run(name, order, substeps, to_limit, to_trained, found)


def _compared(
    methods: Sequence[Method], outcomes: Outcomes, trained: Outcome, limit: Outcome, compare: Any
) -> dict[tuple[str, int], Run]:
    """What each run says, by method and substeps."""
    orders = {method.name: method.order for method in methods}
    others = limit.outputs, trained.outputs
    return {
        (name, count): _run(name, orders[name], count, outcome.outputs, others, compare)
        for (name, count), outcome in outcomes.items()
    }


def _limit(
    trained: Outcome, limit: Outcome, error: float | None, compare: Any, weights: str
) -> Limit:
    return Limit(
        weights=weights,
        distance=relative_distance(trained.outputs, limit.outputs),
        state_distance=max(_along_depth(trained, limit), default=None),
        limit_error=error,
        accuracy=None if compare is None else compare(trained.outputs),
        accuracy_at_limit=None if compare is None else compare(limit.outputs),
    )


def _constant(
    runs: Runs, trained: Outcome, best: Method, counts: Sequence[int], compare: Any
) -> Limit:
    """The limit with weights that are constant within each block."""
    other = runs.with_weights("piecewise_constant")
    coarse, limit = (other.run(best.tableau, count) for count in counts[-2:])
    return _limit(trained, limit, _deviation(coarse, limit), compare, other.weights)


def _control(
    runs: Runs, model: keras.Model, draw: int, best: Method, count: int, compare: Any
) -> Limit:
    """The limit of a network that was not trained."""
    initial = untrained(model, draw)
    start, limit = runs.run(model=initial), runs.run(best.tableau, count, model=initial)
    return _limit(start, limit, None, compare, runs.weights)


def _coarser(
    runs: Runs, factors: Sequence[int], trained: Outcome, limit: Outcome, compare: Any
) -> tuple[Run, ...]:
    found = []
    name = method_names(runs.layers)
    orders = [method(layer.tableau).order for layer in runs.layers]
    for factor in reversed(factors):
        outcome = runs.coarser(factor)
        if outcome is not None:
            others = limit.outputs, trained.outputs
            found.append(_run(name, min(orders), 1 / factor, outcome.outputs, others, compare))
    return tuple(found)
