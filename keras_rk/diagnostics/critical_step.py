"""CriticalStep: the largest step that still stands for an ODE, found while training."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_rk.diagnostics.arguments import increasing_substeps, method
from keras_rk.diagnostics.calibration import Calibration
from keras_rk.diagnostics.runs import Runs
from keras_rk.diagnostics.scores import score
from keras_rk.layers.arguments import loss_weight, positive_integer, truth
from keras_rk.models.inner_layers import method_layers
from keras_rk.models.method_replacement import with_method


class Check(NamedTuple):
    """What was found at the end of an epoch.

    Attributes:
        epoch: which one, from 0.
        dt: the largest |dt| of the network's layers.
        gap: the accuracy, or other score, of the network minus that of the reference.
        substeps: the smallest number of substeps from which on the gap is within the threshold;
            None if it never is.
        critical_step: |dt| / substeps; not a number where there is none.
    """

    epoch: int
    dt: float
    gap: float
    substeps: int | None
    critical_step: float

    @property
    def is_ode(self) -> bool:
        """Whether the steps that the network takes are small enough."""
        return self.substeps == 1


class CriticalStep(keras.callbacks.Callback):
    """Finds at the end of epochs the largest step size with which the network is still an ODE.

    A network that is trained with steps that are too coarse learns to rely on their errors: with a
    solver that is more exact it loses accuracy. With steps below a critical size it learns an ODE,
    and any solver that is as exact will do. So the network as it is then, its own method, runs with

        dt / m,    m in substeps

    and is compared with a more exact reference on some data. The critical step size is dt / m for
    the smallest m from which on no score is farther than `threshold` from that of the reference.

    The logs of an epoch get `critical_step` and `ode_gap` (the score of the network minus that of
    the reference), so that `History` and callbacks that come after this one see them.

    The step size of a model is fixed while `fit` runs. With `stop=True` training stops where the
    steps have become too coarse; `refined()` is then the same network with steps of half the size,
    compiled like it, to be trained on: halving is what Ott and coauthors' algorithm does. (There,
    the step size also grows again by a tenth where that does no harm, which fixed blocks cannot.)

    Example:

    >>> from keras_rk.layers import RKResidual
    >>> f = keras.layers.Dense(2, activation="tanh")
    >>> head = keras.layers.Dense(1, activation="sigmoid")
    >>> model = keras.Sequential([keras.Input((2,)), RKResidual(f, "euler", dt=0.1, steps=5), head])
    >>> model.compile("sgd", "binary_crossentropy")
    >>> x = np.random.default_rng(0).normal(size=(64, 2))
    >>> y = (x[:, :1] > 0).astype("float32")
    >>> critical = CriticalStep(x, y, threshold=0.1, every=2)
    >>> history = model.fit(x, y, epochs=2, verbose=0, callbacks=[critical])
    >>> critical.checks[0].epoch, critical.checks[0].is_ode
    (1, True)
    >>> history.history["critical_step"]
    [nan, 0.1]

    Args:
        data: what `model.predict` takes, to be read several times, always in the same order: some
            points that are not trained on, best.
        targets: the right answers.
        threshold: the largest difference of scores that counts as none. (0.1 in the code of Ott and
            coauthors.)
        substeps: increasing numbers of substeps, of which the first is 1.
        reference: the method of the reference, with the largest number of substeps.
        metric: as in `ode_consistency`.
        weights: `"piecewise_constant"` or `"interpolated"`, as there.
        calibration: training points, where there are moving statistics in f, as there.
        every: how many epochs there are from one check to the next. The first one takes as long as
            two predictions do to be compiled.
        stop: whether to stop training once the steps of the network are too coarse.
        batch_size: for arrays, as in `ode_consistency`.

    Attributes:
        checks: a `Check` for each time.

    Raises:
        ValueError: for a bad argument; at the first check, for a model without Runge-Kutta layers.

    Reference:
        - K. Ott, P. Katiyar, P. Hennig, M. Tiemann, ResNet After All? Neural ODEs and Their
          Numerical Solution (2021), and their code, github.com/boschresearch/
          numerics_independent_neural_odes, `util/step_adaption_algo.py`
    """

    def __init__(
        self,
        data: Any,
        targets: Any,
        *,
        threshold: float = 0.1,
        substeps: Sequence[int] = (1, 2, 4, 8, 16),
        reference: Any = "rk4",
        metric: Callable[[Any, Any], float] | None = None,
        weights: str = "piecewise_constant",
        every: int = 1,
        stop: bool = False,
        calibration: Any = None,
        batch_size: int | None = None,
    ) -> None:
        super().__init__()
        self._threshold = loss_weight("threshold", threshold)
        self._counts = increasing_substeps(substeps)
        if self._counts[0] != 1:
            raise ValueError(
                "`substeps` begins with 1, the network as it is, as in (1, 2, 4, 8, 16). "
                f"Received: substeps={substeps!r}."
            )
        self._reference = method(reference)
        self._every = positive_integer("every", every)
        self._stop = truth("stop", stop)
        self._given = data, targets, metric, weights, calibration, batch_size
        self._runs: Runs | None = None
        self.checks: list[Check] = []

    @property
    def critical_step(self) -> float:
        """The critical step size at the last check; not a number before there was one."""
        return self.checks[-1].critical_step if self.checks else math.nan

    def refined(self, substeps: int = 2) -> keras.Model:
        """The network with smaller steps, to be trained on."""
        return with_method(self.model, substeps=substeps)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._runs = None
        self.checks = []
        Calibration(self.model, points=self._given[-2])  # rather now than after an epoch

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        check = Check(epoch, math.nan, math.nan, None, math.nan)
        if (epoch + 1) % self._every == 0:
            check = self._check(epoch)
            self.checks.append(check)
            if self._stop and not check.is_ode:
                self.model.stop_training = True
        if logs is not None:
            logs.update(critical_step=check.critical_step, ode_gap=check.gap)

    def _check(self, epoch: int) -> Check:
        model = self.model  # on JAX, asking for it brings its variables up to date
        data, targets, metric, weights, calibration, batch_size = self._given
        if self._runs is None:
            self._runs = Runs(
                model,
                data,
                weights=weights,
                calibration=calibration,
                batch_size=batch_size,
                most=self._counts[-1],
            )
        runs = self._runs
        runs.reload()
        outputs = [runs(None, count) for count in self._counts]
        compare: Any = score(targets, outputs[0], metric)
        exact = compare(runs(self._reference.tableau, self._counts[-1]))
        gaps = [compare(one) - exact for one in outputs]
        is_small = [abs(gap) <= self._threshold for gap in gaps]
        first = len(gaps) - next(
            (n for n, ok in enumerate(reversed(is_small)) if not ok), len(gaps)
        )
        substeps = self._counts[first] if first < len(gaps) else None
        dt = float(max(np.max(np.abs(layer.step_sizes)) for layer in method_layers(model)))
        return Check(epoch, dt, gaps[0], substeps, dt / substeps if substeps else math.nan)
