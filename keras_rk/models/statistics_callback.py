"""Recalibrate: moving statistics estimated anew while a model is trained."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras

from keras_rk.layers.arguments import positive_integer, truth
from keras_rk.models.recalibration import Recalibration

RECALIBRATES = "recalibrates"  # what `params`, which all callbacks of a `fit` share, says of it


class Recalibrate(keras.callbacks.Callback):
    """Estimates the moving statistics of a model anew at the end of training.

    Moving averages lag behind the weights, and remember where they began: after n updates of

        moving = momentum * moving + (1 - momentum) * batch

    momentum ** n is left of the initial mean 0 and variance 1, an eighth after 207 updates with
    Keras's momentum of 0.99. Each normalization hands its error on to the next one, and a
    Runge-Kutta layer has one for each evaluation of f, so that inference can be useless where
    training went well. This callback does what `keras_rk.recalibrate` does, once training ends:

        moving_mean = (m_1 + ... + m_N) / N,    moving_variance = (v_1 + ... + v_N) / N

    with the weights as they are then, and with m_n and v_n from batch n of N.

    Example:

    >>> from keras_rk.layers import RKResidual
    >>> f = keras.Sequential([keras.layers.Dense(4), keras.layers.BatchNormalization()])
    >>> model = keras.Sequential([keras.Input((4,)), RKResidual(f, "rk4")])
    >>> model.compile("sgd", "mse")
    >>> x = np.random.default_rng(0).normal(size=(32, 4))
    >>> history = model.fit(x, x, epochs=2, verbose=0, callbacks=[Recalibrate(x)])
    >>> difference = keras.ops.max(keras.ops.abs(model(x) - model(x, training=True)))
    >>> float(difference) < 1e-5
    True

    Args:
        data: training points, in what `model.predict` takes. Targets and weights beside the inputs
            are ignored. Points that are to judge the model do not belong here.
        batches: how many batches are used; None for all.
        batch_size: for arrays, as in `model.predict`: the one of `fit`, best.
        each_epoch: whether to do it in each epoch, before validation, so that what is logged of
            that, and what other callbacks save, has the new statistics. Training goes on from them,
            and learns the same: it does not read them.

    The cost is one pass over the data (two with `state="shared"` or `"first"`), compiled once.
    Callbacks that restore weights at the end of training (`EarlyStopping`) stand before this one in
    the list, those that save at the end of an epoch (`ModelCheckpoint`) after it.

    Raises:
        ValueError: when training begins, if the model has no statistics to estimate; if there are
            no data; with `each_epoch`, for data that can be read only once.
    """

    def __init__(
        self,
        data: Any,
        batches: int | None = None,
        batch_size: int | None = None,
        each_epoch: bool = False,
    ) -> None:
        super().__init__()
        self._each_epoch = truth("each_epoch", each_epoch)
        if self._each_epoch and isinstance(data, Iterator):
            raise ValueError(
                "Recalibrate reads the data in each epoch: pass arrays, a `tf.data.Dataset`, a "
                "`keras.utils.PyDataset` or a `DataLoader`. "
                f"Received: data of type {type(data).__name__}, which can be read only once."
            )
        self._data = data
        self._batches = None if batches is None else positive_integer("batches", batches)
        self._batch_size = batch_size
        self._recalibration: Recalibration | None = None
        self._is_fresh = True

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._recalibration = Recalibration(self.model)
        if self.params is not None:
            self.params[RECALIBRATES] = True

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._is_fresh = False

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._run_if(self._each_epoch)  # in `fit`: by itself, `evaluate` finds nothing to do

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._run_if(self._each_epoch)  # there may have been no validation

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._is_fresh = False  # other weights may have been restored
        self._run_if(True)
        self._recalibration = None

    def _run_if(self, wanted: bool) -> None:
        if not wanted or self._is_fresh or self._recalibration is None:
            return
        _ = self.model  # on JAX, asking for it brings its variables up to date
        self._recalibration.run(self._data, self._batches, batch_size=self._batch_size)
        self._is_fresh = True
