"""What layers of a Runge-Kutta method hold: how it is read, built and saved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rk.field.evaluations import StatePolicy
from keras_rk.field.inputs import takes_time
from keras_rk.field.statistics import ERROR_ESTIMATE, EvaluationStatistics
from keras_rk.field.vector_field import own_variables
from keras_rk.layers.arguments import check_learning, proved_tableau, start_time
from keras_rk.layers.field_layer import FieldLayer
from keras_rk.layers.options import OPTIONS, fixed
from keras_rk.loops import Loop
from keras_rk.steps.integration import Integration
from keras_rk.steps.learned import Learned, LearnedTableau, learned_step
from keras_rk.steps.method import Method


class HeldMethod(FieldLayer):
    """The base of layers that hold a method: its coefficients, and the weights beside those of f.

    Args:
        field: the layer that computes f.
        tableau: the method, as a user gives it.
        dts: the exact step sizes, one for all blocks or one for each.
        blocks: the number of blocks; None for a single one.
        options: the arguments that all layers have in common, as a user gives them.
    """

    _method: Method
    steps, order, require, state, noise, t0, remat = map(fixed, list(OPTIONS)[:7])
    trainable_dt, trainable_tableau, order_penalty = map(fixed, list(OPTIONS)[7:10])
    error_estimate, error_weight, return_states, jit_compile = map(fixed, list(OPTIONS)[10:])

    def __init__(
        self,
        field: keras.layers.Layer,
        tableau: Any,
        dts: Sequence[Any],
        blocks: int | None,
        options: dict[str, Any],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        with_time = takes_time(field)
        self._tableau = proved_tableau(tableau, options["order"], options["require"], with_time)
        for name, read in OPTIONS.items():
            setattr(self, f"_{name}", read(options[name]))
        self._error_estimate = bool(self.error_estimate or self.error_weight > 0)
        check_learning(self, self._tableau, with_time)
        self._exact_dts, self._blocks = list(dts), blocks
        self._exact_t0 = start_time(self.t0)[1]
        self._policy = StatePolicy((), "shared", self.noise)
        self.statistics: EvaluationStatistics | None = None
        self._error: keras.Variable | None = None
        self.loop = Loop(self.jit_compile)
        self._prepare()
        self._learned = Learned(
            LearnedTableau(self._tableau, self._method.plan) if self.trainable_tableau else None,
            learned_step(self.trainable_dt, blocks, self._exact_dts),
        )

    @property
    def tableau(self) -> Any:
        """The method; with `trainable_tableau`, what has become of it."""
        learned = self._learned.tableau
        return self._tableau if learned is None else learned.tableau

    @tableau.setter
    def tableau(self, value: Any) -> None:
        fixed("tableau").__set__(self, value)

    @property
    def step_sizes(self) -> np.ndarray:
        """The present dt, as learned so far, shape `([blocks] [, channels])`."""
        dts = np.array([float(dt) for dt in self._exact_dts])
        dts = dts[0] if self._blocks is None else np.broadcast_to(dts, (self._blocks,))
        if self._learned.step is None or not self.built:
            return dts
        ratio = ops.convert_to_numpy(self._learned.step.ratio())
        return dts[..., None] * ratio if self._learned.step.by_channel else dts * ratio

    @property
    def exact_dts(self) -> list:
        """dt as a layer is made with it, exactly: one number, or one for each block."""
        dts, blocks = self._exact_dts, self._blocks or 1
        return dts * blocks if len(dts) == 1 else dts

    @property
    def evaluations(self) -> int:
        """How often f is evaluated for each block in a call."""
        return self._integration.evaluations

    @property
    def estimated_error(self) -> np.ndarray | None:
        """The error estimate of the last call, one number or one for each block."""
        return None if self._error is None else np.asarray(ops.convert_to_numpy(self._error))

    @property
    def _multiplied(self) -> tuple[int, ...]:
        """Which of f's variables have a value for each evaluation."""
        return self._policy.multiplied(own_variables(self.layer))

    @property
    def block_weights(self) -> list[keras.Variable]:
        """What each block has beside the variables of f."""
        weights = self._learned._replace(tableau=None).weights
        weights += [] if self._error is None else [self._error]
        return weights + ([] if self.statistics is None else self.statistics.weights)

    def _prepare(self) -> None:
        """Rounds the coefficients to the dtype of the state."""
        self._method = Method(
            self._tableau,
            self._exact_dts,
            self.steps,
            self._blocks,
            self._exact_t0,
            self._state_dtype,
            self.error_estimate,
        )
        self._integration = Integration(
            self._method.plan, self.steps, self.loop, self._policy, self.remat
        )

    @property
    def field_evaluations(self) -> int:
        return self._integration.evaluations * (self._blocks or 1)

    def build_method(
        self,
        layer: keras.layers.Layer,
        variables: Sequence[keras.Variable],
        copy: Callable[[], keras.layers.Layer],
    ) -> None:
        """Adds what f does not have itself: statistics, learned weights, and the estimated error.

        Args:
            layer: f, built.
            variables: those of f, or those of all blocks, stacked.
            copy: makes another layer like f, not built.
        """
        places = self._own_statistics(layer, copy)
        if places and self.state == "per_evaluation":
            self.statistics = EvaluationStatistics(
                [variables[place] for place in places],
                self.steps,
                len(self._method.plan.stages),
                self._blocks,
                name="statistics",
                dtype="float32",
            )
        own = own_variables(layer)
        statistics = tuple(own[place] for place in places)
        self._policy = StatePolicy(statistics, self.state if places else "shared", self.noise)
        self._learned.build(self, self.built_for[-1], self._state_dtype)
        if self.error_estimate:
            self._error = self.add_weight(
                shape=() if self._blocks is None else (self._blocks,),
                initializer="zeros",
                dtype=self._state_dtype,
                trainable=False,
                autocast=False,
                name=ERROR_ESTIMATE,
            )
        self._prepare()

    def _own_statistics(
        self, layer: keras.layers.Layer, copy: Callable[[], keras.layers.Layer]
    ) -> tuple[int, ...]:
        """Which of f's variables are moving statistics; none where one set of them is all right."""
        is_one = self._integration.evaluations == 1 and self.state == "per_evaluation"
        return () if self.state == "shared" or is_one else self._places(layer, copy)

    def get_config(self) -> dict[str, Any]:
        options = {name: getattr(self, name) for name in OPTIONS}
        return {**super().get_config(), "tableau": self._tableau.to_dict(), **options}

    @property
    def saved_weights(self) -> list[keras.Variable]:
        """What is saved of the variables that belong to no layer inside: not the last error."""
        return self._learned.weights

    def save_own_variables(self, store: Any) -> None:
        for place, variable in enumerate(self.saved_weights):
            store[str(place)] = variable

    def load_own_variables(self, store: Any) -> None:
        weights = self.saved_weights
        if len(store.keys()) != len(weights):
            raise ValueError(
                f"Layer {self.name!r} of type {type(self).__name__} has {len(weights)} weights "
                "of its own. (A file with another `trainable_dt` or `trainable_tableau` is loaded "
                "into a layer like the one saved, which `keras_rk.with_method` then changes.) "
                f"Received: {len(store.keys())} in the file."
            )
        for place, variable in enumerate(weights):
            variable.assign(store[str(place)])
