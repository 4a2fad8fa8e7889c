"""What Runge-Kutta layers tell about themselves while a model is trained."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np

from keras_rk.layers.rk_adaptive import RKAdaptive, StepStatistics
from keras_rk.models.inner_layers import inner_layers, method_layers, numbers
from keras_rk.models.moving_statistics import updates_to_settle
from keras_rk.models.statistics_callback import RECALIBRATES


class RKMonitor(keras.callbacks.Callback):
    """Reports error estimates and learned step sizes at the end of each epoch.

    For each `RKResidual` and `RKStack` in the model, wherever it is, the logs of an epoch get

        <layer name>_error    where the layer has `error_estimate`: the estimate of its last call,
                              in validation if there is one (mean over the blocks)
        <layer name>_dt       where the layer has `trainable_dt`: the present step size
                              (mean over the blocks, and over the channels)

    so that `History`, and each callback that comes after this one, sees them: `CSVLogger`,
    `TensorBoard`, `EarlyStopping(monitor="rk_stack_error", mode="min")`. Keras calls callbacks in
    the order of the list, so that this one stands before those: `callbacks=[RKMonitor(),
    CSVLogger("log.csv")]`; those that stand before it do not get these values.

    Layers of the same name are numbered: `rk_stack_error`, `rk_stack_error_1`. What is inside the
    blocks of an `RKStack` is not reported: it has no values of its own. For each `RKAdaptive` they
    get what its last call took:

        <layer name>_accepted, <layer name>_rejected    steps, as the mean over the samples
        <layer name>_evaluations                        of f, for the batch
        <layer name>_failed                             samples that did not get to the end

    and after each batch in which samples have failed, the layer raises a RuntimeError, or warns, as
    told by its `on_failure`, which compiled code cannot do by itself.

    When training ends, it warns where the moving statistics of `BatchNormalization` layers have
    seen fewer than 5 / (1 - momentum) updates, counted by the optimizer: more of where they began
    is then left in them than 1 %, and inference may have nothing to do with training. What helps is
    the callback `keras_rk.Recalibrate`, with which there is no warning, or `keras_rk.recalibrate`.
    (Enough updates alone do not make statistics right: while weights change, averages lag behind.)

    Attributes:
        history: for each of these names, a list with one array for each epoch, of shape
            `([blocks] [, channels])`.

    Example:

    >>> from keras_rk.layers import RKStack
    >>> stack = RKStack(
    ...     keras.layers.Dense(2, activation="tanh"),
    ...     depth=3,
    ...     tableau="dormand_prince54",
    ...     error_estimate=True,
    ...     name="stack",
    ... )
    >>> model = keras.Sequential([keras.Input((2,)), stack, keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> x, y = np.ones((8, 2)), np.ones((8, 1))
    >>> monitor = RKMonitor()
    >>> history = model.fit(x, y, epochs=2, verbose=0, callbacks=[monitor])
    >>> len(history.history["stack_error"])
    2
    >>> monitor.history["stack_error"][-1].shape
    (3,)

    Raises:
        ValueError: when training begins, if no layer of the model has anything to report, or
            statistics to warn of.
    """

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[np.ndarray]] = {}
        self._sources: dict[str, Callable[[], Any]] = {}
        self._adaptive: list[RKAdaptive] = []

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        layers = method_layers(self.model)
        self._adaptive = [x for x in inner_layers(self.model) if isinstance(x, RKAdaptive)]
        self._sources = {**_sources(layers), **_sources_of_steps(self._adaptive)}
        if not self._sources and not updates_to_settle(self.model):
            names = ", ".join(repr(layer.name) for layer in layers) or "no Runge-Kutta layers"
            raise ValueError(
                "RKMonitor needs a layer RKResidual or RKStack with `error_estimate=True` or "
                "`trainable_dt=True`, an RKAdaptive, or batch normalization. "
                f"Received: a model with {names}."
            )
        self.history = {name: [] for name in self._sources}

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self._adaptive:
            _ = self.model  # see below
        for layer in self._adaptive:
            if layer.statistics is not None:
                layer.report_failure(layer.statistics.failed)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        _ = self.model  # on JAX, asking for it brings its variables up to date
        for name, read in self._sources.items():
            value = np.asarray(read())
            self.history[name].append(value)
            if logs is not None:
                logs[name] = float(np.mean(value))

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        iterations = getattr(self.model.optimizer, "iterations", None)
        if iterations is None or (self.params or {}).get(RECALIBRATES):
            return
        seen, needed = int(numbers(iterations)), updates_to_settle(self.model)
        if seen < needed:
            warnings.warn(
                f"The moving statistics of model {self.model.name!r} have seen {seen} updates; "
                f"with their momentum they need {needed} to forget where they began, and until "
                "then inference does not repeat training. Add the callback "
                "`keras_rk.Recalibrate(x)`, call `keras_rk.recalibrate(model, x)`, or choose a "
                "smaller `momentum`.",
                stacklevel=2,
            )


def _sources_of_steps(layers: list[RKAdaptive]) -> dict[str, Callable[[], Any]]:
    """The same for the statistics of steps."""

    def read(layer: RKAdaptive, field: str) -> Any:
        return getattr(layer.statistics, field)

    sources: dict[str, Callable[[], Any]] = {}
    seen: Counter[str] = Counter()
    for layer in layers:
        number = f"_{seen[layer.name]}" if seen[layer.name] else ""
        seen[layer.name] += 1
        for field in StepStatistics._fields:
            sources[f"{layer.name}_{field}{number}"] = partial(read, layer, field)
    return sources


def _sources(layers: list[Any]) -> dict[str, Callable[[], Any]]:
    """A function that reads the value, for each name."""
    sources: dict[str, Callable[[], Any]] = {}
    seen: Counter[str] = Counter()
    for layer in layers:
        number = f"_{seen[layer.name]}" if seen[layer.name] else ""
        seen[layer.name] += 1
        if layer.error_estimate:
            sources[f"{layer.name}_error{number}"] = partial(getattr, layer, "estimated_error")
        if layer.trainable_dt:
            sources[f"{layer.name}_dt{number}"] = partial(getattr, layer, "step_sizes")
    return sources
