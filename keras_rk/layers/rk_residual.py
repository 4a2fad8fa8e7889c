"""RKResidual: a residual connection that is a step of a Runge-Kutta method."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_rk import loops
from keras_rk.field.copies import copy_of
from keras_rk.field.dtypes import check_real
from keras_rk.field.inputs import takes_time
from keras_rk.field.overwritten import overwritten
from keras_rk.field.plain_layers import assigns_to_no_weight
from keras_rk.field.vector_field import cast, check_same_shape, own_variables
from keras_rk.layers.arguments import step_size, vector_field_layer
from keras_rk.layers.hints import check_keywords
from keras_rk.layers.method_layer import MethodLayer, Passage
from keras_rk.layers.options import fixed, given_options
from keras_rk.layers.own_times import OwnTimes
from keras_rk.layers.sharing import check_not_shared
from keras_rk.steps.stages import combine


@keras.saving.register_keras_serializable(package="keras_rk")
class RKResidual(MethodLayer, keras.layers.Wrapper):
    """Steps of an explicit Runge-Kutta method along the vector field that a layer defines.

    By default one step of the classical method of order 4 (`tableau="rk4", dt=1.0, steps=1`).

    The residual connection y + f(y) is a step of Euler's method for y' = f(y) with dt = 1. This
    layer takes such steps with any explicit method, given by its Butcher tableau (A, b, c):

        k_i    = f(t + c_i dt, y + dt * sum_j a_ij k_j),    i = 1, ..., s
        y_next = y + dt * sum_i b_i k_i,                    t_next = t + dt

    `steps` of them with the same f, so with shared weights. The number of weights is that of f,
    whatever the method. Euler with dt = 1 gives what y + f(y) gives, to the last bit.

    Example:

    >>> block = keras.Sequential(
    ...     [keras.layers.Dense(16, activation="tanh"), keras.layers.Dense(8)]
    ... )
    >>> model = keras.Sequential([keras.Input((8,)), RKResidual(block, "rk4", dt=0.5, steps=2)])
    >>> model.predict(np.ones((3, 8)), verbose=0).shape
    (3, 8)

    A layer that needs its input more than once, such as self-attention, becomes one with a
    single input by a small model:

    >>> y = keras.Input((None, 8))
    >>> attention = keras.Model(y, keras.layers.MultiHeadAttention(2, 4)(y, y))
    >>> model = keras.Model(y, RKResidual(attention, "heun2")(y))
    >>> model.predict(np.ones((3, 5, 8)), verbose=0).shape
    (3, 5, 8)

    f may depend on the time: a layer whose `call` has an argument `t`, or a functional model with
    an input of that name, gets t + c_i dt (see `ConcatTime`): a scalar, or of shape
    `(batch, 1, ...)`, broadcasting to y, where each sample has a time of its own. The order that is
    proved is then that for y' = f(t, y).

    A call can bring a time of its own, which may differ from sample to sample:

    >>> decay = RKResidual(keras.layers.Rescaling(-1.0), "rk4", steps=4)
    >>> y = np.ones((2, 1))
    >>> tuple(decay(y, dt=[0.1, 0.2]).shape)  # four steps of 0.1, and four of 0.2
    (2, 1)
    >>> tuple(decay(y, times=[[0.0, 0.5, 2.0], [1.0, 1.1, 1.1]]).shape)
    (2, 3, 1)

    Args:
        layer: f, a Keras layer or model whose output has the shape of y. A functional model may
            have several inputs, `keras.Model([y, context], ...)`. f belongs to this wrapper
            alone: Keras cannot load a layer back that two wrappers share. It may use variables of
            the model around it (a layer called in a `Lambda`), but on JAX no seed that belongs to
            neither: give `keras.random` a `SeedGenerator`.
        tableau: the method: a name (`keras_rk.tableaux.names()`), a `keras_rk.Tableau`, or
            arrays `(A, b)` or `(A, b, c)`.
        dt: the step size, a number other than zero. Text and fractions (`"1/10"`) are exact.
            Negative steps integrate backwards.
        steps: how many steps, each of size dt.
        order: an order that the method must be proved to have.
        require: what must be proved before anything is built. `"order"`: explicit, consistent,
            row sums (c = A·1), and `order` or the order that the tableau claims; `"consistent"`:
            explicit and consistent; `"explicit"`: explicit only.
        state: what becomes of moving statistics in f (batch normalization) over the evaluations of
            f. `"per_evaluation"`: each step and stage has its own, so that inference can repeat
            training, and does once they have settled: after some 5 / (1 - momentum) batches, and
            with weights that change slowly. Until then it may be useless where training went well,
            the more so the more evaluations there are; `keras_rk.Recalibrate` in `fit` mends that.
            `"shared"`: there is one set, which all evaluations update in turn, and which fits none
            of them; `"first"`: one set, updated by the first stage of each step alone.
            Weights that were saved with another method, steps or state can be loaded: each
            evaluation starts from the statistics nearest to it, to be improved by
            `keras_rk.recalibrate`. Other state (of f, such as that of `SpectralNormalization`) is
            handed on from one evaluation to the next.
        noise: `"per_step"`: all stages of a step draw the same random numbers, so that f is one
            vector field within a step; `"per_stage"`: each stage draws new ones. (Dropout without
            a seed on PyTorch draws from PyTorch's generator, which is turned back; a loop then runs
            in Python.)
        t0: the time at which the first step begins, for an f that takes the time. Exact like dt.
        remat: `"step"` or `"stage"`: what is computed inside each step or each evaluation of f is
            not kept for the gradient but computed again (rematerialisation), so that memory grows
            by y, or by the stage derivatives, and no more. None: everything is kept.
        trainable_dt: True: dt = dt_0 * exp(theta) with a trainable theta, zero at first, so that dt
            keeps its sign; `"channel"`: with one for each entry of y's last axis. The present
            values are `layer.step_sizes`.
        trainable_tableau: whether the non-zero coefficients of A and b are trained. The method
            stays explicit, its nodes stay row sums, and its weights sum to one: the last weight is
            one minus the others. `layer.tableau` is the method learned so far, computed exactly.
        order_penalty: a pair `(p, weight)`, which adds weight * sum (Phi(t) - 1/gamma(t))^2 over
            the rooted trees t with at most p vertices to the loss of a trainable tableau.
        error_estimate: whether to estimate the error with the embedded weights b_hat of the
            tableau: the root mean square of dt * sum_i (b_i - b_hat_i) k_i, as its mean over the
            steps (a repeated time of a call is a step without error), is `layer.estimated_error`
            after each call; `keras_rk.RKMonitor` logs it in `fit`.
        error_weight: adds that estimate to the loss with this weight.
        return_states: whether to return y before the first step and after each one.
        jit_compile: on PyTorch, whether the loop compiles one iteration (which takes seconds) and
            calls it again and again, without `torch.compile` for the rest of the model. JAX and
            TensorFlow compile as the model does.
        **kwargs: `name`, `dtype`, `trainable` and the other arguments of a Keras layer.

    Call arguments:
        inputs: y, one tensor.
        *args, **kwargs: further arguments of f, constant over the stages and steps:
            `layer(y, context)` or `layer(y, context=context)`; those of a functional model by
            position, in the order of its inputs, or by their names. (Keras takes no tensors and
            other values together by keyword: pass the tensors by position then.) An argument of f
            called `dt`, `times` or `interpolate` can only be given by position.
        dt: a step size in the place of the layer's: a number, or a tensor of shape `()`, `(batch,)`
            (one for each sample), or with as many dimensions as y, which it broadcasts to.
        times: the times at which y is returned, increasing or decreasing, at any distances; shape
            `(T,)`, or `(batch, T)`. y is the state at the first one, and `steps` equal steps lead
            from each to the next. f(t, y) gets these times; `t0` and the layer's `dt` do not count.
            Equal times are no step: the last one repeated fills up shorter rows, and neither a
            value nor a gradient comes from what f would be there.
        interpolate: whether `times` leave the steps alone: there are `steps` of them, of the size
            `dt` of the call or the layer, and begin at the first time. y is interpolated between
            them by the method's continuous extension: that of its tableau (`b_theta`), a published
            one (`keras_rk.tableaux.continuous`), or cubic Hermite, for which a method without a
            stage at the end of a step evaluates f once more there. Beyond the steps y is NaN.
        mask: a mask for y; it reaches every evaluation of f, as do those that further arguments
            carry.
        training: reaches f as it reaches any layer.

    Input shape:
        Any that f takes, for instance `(batch, features)` or `(batch, time, features)`, with
        dynamic dimensions where f allows them.

    Output shape:
        Same as the input; `(batch, steps + 1, ...)` with `return_states`; `(batch, T, ...)` with
        `times`.

    Gradients flow to `dt` and `times`. They may be inputs of a functional model (a `Sequential`
    hands on one tensor only: call its parts), weights, or numbers; those of a model's input keep
    their precision in a mixed policy. Moving statistics with `state="per_evaluation"` are for the
    evaluations of a call without `times`; with others they are refused.

    f runs in its own dtype policy; y is summed up in at least float32, and returned in this
    layer's compute dtype. Integers and truth values are taken as floats; a y, or an f(y), of
    complex numbers is refused. (In float64, too, f is only as exact as its operations: on JAX and
    PyTorch most of `keras.ops`, and so `keras.layers.Dense`, return float32 for float64.) Losses
    that f adds in a call count once per step, as their mean over the evaluated stages;
    regularizers of weights count once. Stages that cannot reach the output are not evaluated.
    What f assigns to its own trainable weights in a call, as `SpectralNormalization` does, is
    differentiated through, also on TensorFlow, where a loop written by hand stops the gradient
    there; what it assigns to other variables is not. Float8 layers inside f get scales that fit all
    evaluations together.

    More than one step runs in a loop of the backend, so that the time to compile does not grow
    with `steps`; `RKStack` documents what that means on each backend.

    The arguments are fixed at construction: for another `dt`, build a new layer with
    `RKResidual.from_config({**layer.get_config(), "dt": 0.5})`.

    Raises:
        keras_rk.TableauError: at construction, for a tableau without the required properties.
        ValueError: at construction, for a bad argument, or for arguments that exclude each other
            (an error estimate without `b_hat`, or of a tableau that is trained); when built, for
            an f that changes the shape; when called, for a y that is not one tensor of real
            numbers, and for an f(y) of others; for a `dt` or `times` that do not fit y and, where
            their values are at hand (neither in a compiled function nor on an accelerator), for a
            `dt` of zero, and for times that are not in order, the same throughout a sample, or
            beyond the steps.
        TypeError: when built, for further arguments that f does not take; when called, for a `dt`
            or `times` where f has an argument of that name.
        AttributeError: for setting an argument after construction.

    Reference:
        - From ResNets to Runge-Kutta Networks
        - E. Hairer, S. P. Norsett, G. Wanner, Solving Ordinary Differential Equations I (for the
          notation)
    """

    dt = fixed("dt")

    def __init__(
        self,
        layer: keras.layers.Layer,
        tableau: Any = "rk4",
        dt: Any = 1.0,
        steps: int = 1,
        *,
        order: int | None = None,
        require: str = "order",
        state: str = "per_evaluation",
        noise: str = "per_step",
        t0: Any = 0,
        remat: str | None = None,
        trainable_dt: bool | str = False,
        trainable_tableau: bool = False,
        order_penalty: tuple[int, float] | None = None,
        error_estimate: bool = False,
        error_weight: float = 0.0,
        return_states: bool = False,
        jit_compile: bool = False,
        **kwargs: Any,
    ) -> None:
        options = given_options(locals())
        check_keywords(RKResidual, kwargs)
        layer = vector_field_layer(layer, type(self).__name__)
        given, exact_dt = step_size(dt)
        super().__init__(layer, tableau, [exact_dt], None, options, layer=layer, **kwargs)
        self._dt = given
        self._overwritten: frozenset[int] = frozenset()  # weights that f assigns to
        self._assigns_to_no_weight = False  # known when built

    @property
    def length(self) -> int:
        return self.steps

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        check_not_shared(self, inputs)
        return super().__call__(inputs, *args, **kwargs)

    def build(self, input_shape: Any) -> None:
        self.build_field(self.layer, input_shape)
        self.build_method(self.layer, own_variables(self.layer), lambda: copy_of(self.layer))
        self._assigns_to_no_weight = assigns_to_no_weight(self.layer)
        super().build(input_shape)

    @property
    def _is_plain_step(self) -> bool:
        """Whether a step is y + dt f(y) with one call of f as Keras itself makes it, and no more.

        Where assigning takes effect at once, that spares what a pure function of f costs in Python,
        for each block as much as one of its layers. Elsewhere it would save nothing.
        """
        plan = self._integration.plan
        return (
            self._assigns_to_no_weight
            and loops.assigns_in_place()
            and self.evaluations == 1
            and plan.dtype == self._state_dtype
            and not (plan.estimate or self.remat or self.return_states or any(self._learned))
            and not takes_time(self.layer)
            and not overwritten(own_variables(self.layer))
        )

    def _plain_step(self, y: Any, training: bool | None) -> Passage:
        k = self.layer(y) if training is None else self.layer(y, training=training)
        check_same_shape(self.layer, y.shape, k.shape)
        check_real(k, self.layer, "What f returns")
        k = cast(k, self._state_dtype)
        return Passage(combine(y, self._integration.plan.update, [k]), None, None, None)

    def advance(
        self,
        y: Any,
        args: tuple,
        kwargs: dict[str, Any],
        mask: Any,
        training: bool | None,
        own: OwnTimes | None = None,
    ) -> Passage:
        is_plain = own is None and not args and not kwargs and mask is None
        if is_plain and self._is_plain_step:
            return self._plain_step(y, training)
        field = self.field(self.layer, args, kwargs, mask, training)
        integration, times, clock = self._integration, None, None
        if own is None:
            tensor, times = self.method_of_a_call(field)
            factors = () if tensor is None else ops.unstack(tensor, tensor.shape[0])
        else:
            integration, factors, clock = self.steps_of_a_call(field, y, own)
        effects = None
        if integration.needs_effects:
            effects = integration.effects(field, y)
            effects = effects.owning(len(field.variables), len(effects.foreign))
            field = field.owning(effects.foreign)
        before = field.read(effects.written if effects else self._overwritten)
        statistics = () if self.statistics is None else self.statistics.all()
        solution = integration.solve(
            field,
            y,
            before,
            statistics,
            effects=effects,
            factors=factors,
            times=times,
            path=self.return_states or (own is not None and own.times is not None),
            clock=clock,
        )
        overwritten = field.changed_weights(solution.state, before)
        if loops.assigns_in_place() and not self._overwritten.issuperset(overwritten):
            self._overwritten |= overwritten  # f was seen doing so for the first time
            return self.advance(y, args, kwargs, mask, training, own)
        field.write(solution.state, before)
        if self.statistics is not None:
            self.statistics.assign(solution.statistics, statistics)
        path = solution.path
        if own is not None and own.interpolate:
            path = own.interpolated(y, path, solution.dense)
        elif own is not None and own.times is not None:
            path = path[self.steps - 1 :: self.steps]
        return Passage(solution.y, path, solution.loss, solution.error)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dt": self.dt}

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> RKResidual:
        return super().from_config(dict(config), custom_objects=custom_objects)  # it pops
