"""Moving statistics estimated anew from data, with all trained weights as they are."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rk import loops
from keras_rk.layers.method_layer import MethodLayer
from keras_rk.models.batch_progress import CountBatches
from keras_rk.models.inner_layers import inner_layers, method_layers, numbers
from keras_rk.models.moving_statistics import moving_statistics, normalizations
from keras_rk.models.summing_pass import SummingPass
from keras_rk.progress import Progress

GROWTH = 1 + 1 / 64  # GROWTH ** n fits into float32 for each n up to 5000


def recalibrate(
    model: keras.layers.Layer,
    data: Any,
    batches: int | None = None,
    verbose: Any = "auto",
    batch_size: int | None = None,
) -> None:
    """Estimates the moving statistics of a model anew, from data.

    After `keras_rk.with_method`, after a change of the data, or where few training steps left the
    moving averages behind, those of `BatchNormalization` layers do not fit. With m_n and v_n the
    mean and variance that a layer sees in batch n of N, computed in training mode, it gets

        moving_mean = (m_1 + ... + m_N) / N,    moving_variance = (v_1 + ... + v_N) / N

    Inside an `RKResidual` or an `RKStack` that is done for each evaluation of f, or for the mean
    over the evaluations that share their statistics. No weight is trained, and the state of other
    layers (seeds, their own statistics), the optimizer and the compilation stay as they are.
    In `fit` the callback `keras_rk.Recalibrate` does the same.

    Example:

    >>> from keras_rk.layers import RKResidual
    >>> f = keras.Sequential([keras.layers.Dense(4), keras.layers.BatchNormalization()])
    >>> model = keras.Sequential([keras.Input((4,)), RKResidual(f, "rk4", steps=3)])
    >>> x = np.random.default_rng(0).normal(size=(32, 4))
    >>> recalibrate(model, x, verbose=0)
    >>> bool(ops.max(ops.abs(model(x) - model(x, training=True))) < 1e-5)
    True

    Args:
        model: a built Keras model, or a layer.
        data: training points (not those that are to judge the model), in what `model.predict`
            takes: arrays, a `tf.data.Dataset`, a `keras.utils.PyDataset`, a `DataLoader`, a
            generator of tuples. Targets and weights beside the inputs are ignored.
        batches: how many batches are used; None for all.
        verbose: 0 for no progress; "auto" shows it, with the time left, where it takes long and
            somebody watches, on a terminal or in a notebook; 1 always.
        batch_size: for arrays, as in `model.predict`. The last batch may be smaller; it counts like
            any other.

    Layers that are frozen keep their statistics; so do those that the model does not call in
    training mode, batch renormalization, and other layers than `keras.layers.BatchNormalization`.
    Where a layer is called several times in a pass by anything but a Runge-Kutta layer, its last
    call counts. If it fails or is interrupted, the statistics are what they were.

    Raises:
        ValueError: if the model has no statistics to estimate, or is not built; if there are no
            data.
    """
    Recalibration(model).run(data, batches, verbose, batch_size)


class Recalibration:
    """The estimation of a model's moving statistics, which can be repeated as its weights change.

    Args:
        model: a built Keras model, or a layer.
        statistics: those of its moving statistics that are estimated; None for all.
    """

    def __init__(
        self,
        model: keras.layers.Layer,
        statistics: Sequence[keras.Variable] | None = None,
    ) -> None:
        if not isinstance(model, keras.layers.Layer) or not model.built:
            raise ValueError(
                "recalibrate needs a Keras model that is built: call it on data first. "
                f"Received: {model!r} (of type {type(model).__name__})."
            )
        self._statistics = moving_statistics(model) if statistics is None else list(statistics)
        if not self._statistics:
            raise ValueError(
                "recalibrate estimates the moving statistics of BatchNormalization layers that are "
                f"not frozen. Received: model {model.name!r} without any."
            )
        self._model = model
        self._pass = _Pass(model, self._statistics)

    def run(
        self,
        data: Any,
        batches: int | None = None,
        verbose: Any = 0,
        batch_size: int | None = None,
    ) -> None:
        """Assigns what `recalibrate` says, or leaves everything as it was if that fails."""
        before = [(variable, numbers(variable)) for variable in self._model.variables]
        self._pass.reset()
        try:
            for variable in self._statistics:
                variable.assign(np.nan_to_num(numbers(variable)))  # also of a model that diverged
            with Progress("recalibrating", units="batches", verbose=verbose) as progress:
                options = {"batch_size": batch_size, "steps": batches, "verbose": 0}
                self._pass.predict(data, callbacks=[CountBatches(progress)], **options)
            averages = self._pass.means()
        except BaseException:
            _restore(before)
            raise
        _restore(before)
        for variable, average in zip(self._statistics, averages, strict=True):
            variable.assign(average)


class _Pass(SummingPass):
    """Calls a model in training mode and adds up the moving statistics of each batch.

    Args:
        model: the model.
        statistics: those of its variables that are to be estimated.
    """

    def __init__(self, model: keras.layers.Layer, statistics: Sequence[keras.Variable]) -> None:
        super().__init__(model, statistics, "recalibrate")
        self._shares = any(
            layer.state != "per_evaluation" for layer in method_layers(model, templates=True)
        )
        self._last = _Momentum(model, 0.0)
        self._count, self._add = _Momentum(model, _Counting(GROWTH)), _Momentum(model, _Adding(1))

    def call(self, inputs: Any) -> Any:
        before = [loops.value(variable, written=True) for variable in self._variables()]
        estimates = self._mean(inputs, before) if self._shares else self._of_last(inputs)
        for variable, value in zip(self._variables(), before, strict=True):
            variable.assign(value)
        return self.add(estimates, 1.0)

    def _run(self, inputs: Any, momentum: _Momentum) -> list[Any]:
        with momentum.in_place():
            self.inner(inputs, training=True)
        return [loops.value(variable, written=True) for variable in self._variables()]

    def _of_last(self, inputs: Any) -> list[Any]:
        """What the last update of each statistic brings."""
        return self._run(inputs, self._last)

    def _mean(self, inputs: Any, before: Sequence[Any]) -> list[Any]:
        """The mean over all updates in a pass, which are counted in a pass before."""
        for variable, old in zip(self._variables(), before, strict=True):
            variable.assign(ops.ones_like(old))
        counts = [
            ops.round(ops.log(ops.cast(grown, "float32")) / math.log(GROWTH))
            for grown in self._run(inputs, self._count)
        ]
        for variable, old in zip(self._variables(), before, strict=True):
            variable.assign(ops.zeros_like(old))
        sums = self._run(inputs, self._add)
        return [
            ops.where(count > 0, ops.cast(total, "float32") / ops.maximum(count, 1.0), old)
            for count, total, old in zip(counts, sums, before, strict=True)
        ]


class _Momentum:
    """Another momentum for all batch normalization in a model, where it is called.

    PyTorch remembers traces, in which the momentum is a constant: each has its own.
    """

    def __init__(self, model: keras.layers.Layer, value: float) -> None:
        layers = inner_layers(model, templates=True)
        self._value = value
        self._normalizations = normalizations(model, templates=True)
        self._loops = [layer.loop for layer in layers if isinstance(layer, MethodLayer)]
        self._traces: list[dict] = [{} for _ in self._loops]

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Where it counts."""
        momenta = [layer.momentum for layer in self._normalizations]
        traces = [loop.traces for loop in self._loops]
        try:
            for layer in self._normalizations:
                layer.momentum = self._value
            for loop, own in zip(self._loops, self._traces, strict=True):
                loop.traces = own
            yield
        finally:
            for layer, momentum in zip(self._normalizations, momenta, strict=True):
                layer.momentum = momentum
            for loop, theirs in zip(self._loops, traces, strict=True):
                loop.traces = theirs


class _Adding(float):
    """A momentum of 1 with which moving * momentum + new * (1.0 - momentum) is moving + new."""

    def __rsub__(self, other: Any) -> float:
        return 1.0


class _Counting(float):
    """A momentum with which it is moving * momentum, whatever is new."""

    def __rsub__(self, other: Any) -> float:
        return 0.0


def _restore(values: Sequence[tuple[keras.Variable, np.ndarray]]) -> None:
    for variable, value in values:
        variable.assign(value)
