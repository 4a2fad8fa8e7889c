"""RKStack: many Runge-Kutta residual blocks, each with its own weights, in one loop."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import keras

from keras_rk import loops
from keras_rk.field.inputs import evaluate
from keras_rk.field.vector_field import check_derivative
from keras_rk.layers.arguments import block_step_sizes, number_of_blocks, random_seed
from keras_rk.layers.block_loop import BlockLoop, parts_of_a_call
from keras_rk.layers.blocks import BlockMaker, derived_seed
from keras_rk.layers.hints import check_keywords
from keras_rk.layers.method_layer import MethodLayer, Passage
from keras_rk.layers.options import fixed, given_options
from keras_rk.layers.own_times import OwnTimes
from keras_rk.layers.stacked_layer import StackedLayer
from keras_rk.layers.unstacking import Single, Unstacking


@keras.saving.register_keras_serializable(package="keras_rk")
class RKStack(MethodLayer):
    """Runge-Kutta residual blocks, each with its own weights, evaluated by one loop.

    By default each is one step of the classical method of order 4 (`tableau="rk4", dt=1.0,
    steps=1`).

    A residual network of `depth` blocks, of which block n takes `steps` steps of an explicit
    Runge-Kutta method, given by its Butcher tableau (A, b, c), along its own vector field f_n:

        k_i    = f_n(t + c_i dt_n, y + dt_n * sum_j a_ij k_j),    i = 1, ..., s
        y_next = y + dt_n * sum_i b_i k_i,                        t_next = t + dt_n
        y_next = after_n(y_next)                                  after the last step, if given

    It computes what `depth` layers `RKResidual` (and the layers after them) compute one after
    another, from weights that are stacked along a new first axis. So the time to compile does not
    grow with depth, and calling one Keras layer after another costs nothing.

    Example:

    >>> stack = RKStack(
    ...     keras.layers.Dense(8, activation="tanh"),
    ...     depth=50,
    ...     tableau="rk4",
    ...     dt=0.1,
    ...     after=keras.layers.BatchNormalization(),
    ... )
    >>> model = keras.Sequential([keras.Input((8,)), stack, keras.layers.Dense(1)])
    >>> model.predict(np.ones((3, 8)), verbose=0).shape
    (3, 1)
    >>> tuple(stack.weights[0].shape)
    (50, 8, 8)

    The blocks as single layers, and single layers as a stack:

    >>> layers = stack.unstack()
    >>> len(layers)
    50
    >>> RKStack.from_layers(layers).depth
    50

    Args:
        layer: f, a Keras layer or model whose output has the shape of y, as a template: each block
            has a layer like it, with initial weights drawn for that block. (Weights that it has
            already are not used: `RKStack.from_layers` stacks layers with theirs.) Or a function
            `factory(block)` or `factory()` that returns the layer of a block; the layers may
            differ only in names, seeds and initial values.
        depth: how many blocks there are.
        tableau: the method: a name (`keras_rk.tableaux.names()`), a `keras_rk.Tableau`, or
            arrays `(A, b)` or `(A, b, c)`.
        dt: the step size, a number other than zero; or a list of `depth` numbers, one for each
            block. Text and fractions (`"1/10"`) are exact.
        steps: how many steps each block takes, each of size dt and with the same weights.
        after: a layer after each block, such as `keras.layers.BatchNormalization()`, as a template
            like `layer`, or a factory. It must keep the shape.
        seed: the seed from which the seeds of the blocks are derived where `layer` and `after` name
            none. Seeds that they name (`Dropout(0.5, seed=3)`) become different ones for each
            block in any case, derived from the seed and the block. With None, Keras draws them
            (`keras.utils.set_random_seed` makes that reproducible). A factory chooses seeds itself.
        trainable_dt: True: dt_n = dt_n0 * exp(theta_n), each block's for itself; `"channel"`: with
            one theta for each entry of y's last axis, too; `"simplex"`: the sum S of all dt stays
            what it is at first, whatever is learned, and each keeps its sign,

                dt_n = S * softmax(theta + log(dt_0 / S))_n,    theta = 0 at first

            (dt all positive, or all negative, where the sum is shared out backwards in time).
            Benning et al. project the steps onto the simplex after each update instead, where
            some become exactly zero. A softmax needs no say in the update, so it holds for every
            optimizer; and a block whose step has become tiny can grow again. Such steps tend to
            zero, and round to it in the end: `stack.step_sizes` tells which blocks are hardly
            used. `unstack()` makes layers with these sizes, whose sum is then free
            (`trainable_dt=True`).
        order, require, state, noise, t0, remat, trainable_tableau, order_penalty, error_estimate,
        error_weight, jit_compile: as in `RKResidual`. Of f(t, y) each block begins where the one
            before has ended. The estimated error is one for each block; a trained tableau is the
            same for all blocks.
        return_states: whether to return y before the first block and after each one.
        **kwargs: `name`, `dtype`, `trainable` and the other arguments of a Keras layer.

    Call arguments:
        inputs: y, one tensor.
        *args, **kwargs: further arguments of f, constant over the blocks, as in `RKResidual`.
        dt: a step size for all blocks in the place of their own, as in `RKResidual`.
        times: `depth + 1` times, `(T,)` or `(batch, T)`: block n leads from the n-th to the next,
            in `steps` equal steps, and y is returned at all of them. `after` acts after each block
            in any case. As in `RKResidual`, else; nothing is interpolated.
        mask: a mask for y; it reaches every evaluation of f, and `after`. Masks that further
            arguments carry reach every evaluation of f, too.
        training: reaches f and `after` as it reaches any layer.

    Input shape:
        Any that f takes, for instance `(batch, features)` or `(batch, time, features)`.

    Output shape:
        Same as the input; `(batch, depth + 1, ...)` with `return_states` or `times`.

    y is summed up in at least float32 through all blocks, f and `after` run in their own dtype
    policies, and the result has this layer's compute dtype. Losses of f count once per step, as in
    `RKResidual`; regularizers and constraints act on the weights of each block by themselves.
    What looks at whole variables sees those of all blocks at once: clipping by the norm of a
    gradient (`clipnorm`; `global_clipnorm` and `clipvalue` make no difference) and optimizers such
    as `Lamb`, `Adafactor` and `Muon`, whose updates depend on a variable's shape or norm.

    On PyTorch the loop traces a block once for each shape of the input, and anew where attributes
    of f (a dropout rate) or numbers among its arguments have changed and stay so for two calls: a
    number that always changes is better passed as a tensor. What f does in Python apart from
    computing (printing, counting) happens only while it is traced. What f chooses by values is
    not traced but executed each time. With `jit_compile=True`, of this layer or of `model.compile`,
    one block is compiled and called `depth` times; the former is faster, since `torch.compile`
    costs time at every Keras layer. On TensorFlow, `jit_compile=True` of `model.compile` is several
    times faster than without it, also on a CPU, where Keras does not choose it by itself. JAX and
    TensorFlow executing eagerly, and exporters, see a loop in Python.

    To freeze part of f, or to give it LoRA weights, do so before the stack is built, or freeze one
    of `stack.weights`; quantization needs the single layers. The arguments are fixed at
    construction.

    Raises:
        keras_rk.TableauError: at construction, for a tableau without the required properties.
        ValueError: at construction, for a bad argument or a layer that cannot be made again from
            its configuration; when built, for an f or an `after` that changes the shape, and for
            blocks that are not of one kind; when called, for a y that is not one tensor, and for a
            `dt` or `times` as in `RKResidual`, or as many times as do not fit `depth`.
        TypeError: when built, for further arguments that f does not take.
        NotImplementedError: for quantization.
        AttributeError: for setting an argument after construction.

    Reference:
        - From ResNets to Runge-Kutta Networks
        - M. Benning, E. Celledoni, M. J. Ehrhardt, B. Owren, C.-B. Schönlieb, Deep learning as
          optimal control problems: models and numerical methods (2019), arXiv 1904.05657 (for
          step sizes in a simplex)
        - E. Hairer, S. P. Norsett, G. Wanner, Solving Ordinary Differential Equations I (for the
          notation)
    """

    depth, dt, seed = map(fixed, ("depth", "dt", "seed"))

    def __init__(
        self,
        layer: Any,
        depth: int,
        tableau: Any = "rk4",
        dt: Any = 1.0,
        steps: int = 1,
        *,
        after: Any = None,
        seed: int | None = None,
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
        check_keywords(RKStack, kwargs)
        depth = number_of_blocks(depth)
        given, exact_dts = block_step_sizes(dt, depth)
        seed = random_seed(seed)
        stacked = StackedLayer(BlockMaker(layer, seed, "layer"))
        super().__init__(stacked.template, tableau, exact_dts, depth, options, **kwargs)
        self._depth, self._dt, self._seed = depth, given, seed
        self._layer = stacked
        self._after: StackedLayer | None = None
        if after is not None:
            other_seed = None if seed is None else derived_seed(seed, depth)
            self._after = StackedLayer(BlockMaker(after, other_seed, "after"))
        self.supports_jit = all(part.template.supports_jit for part in self._parts)
        if not self.trainable:
            self.trainable = False  # what is inside, too

    @property
    def _parts(self) -> list[StackedLayer]:
        return [self._layer] if self._after is None else [self._layer, self._after]

    @property
    def layer(self) -> keras.layers.Layer:
        """The layer that computes f, with the weights of one block after another."""
        return self._layer.template

    @property
    def after(self) -> keras.layers.Layer | None:
        """The layer after each block."""
        return None if self._after is None else self._after.template

    @property
    def saved_weights(self) -> list[keras.Variable]:
        stacked = [variable for part in self._parts for variable in part.variables]
        return stacked + super().saved_weights

    @property
    def length(self) -> int:
        return self.depth

    @property
    def trainable(self) -> bool:
        """Whether the weights of all blocks are trained."""
        return super().trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        keras.layers.Layer.trainable.fset(self, value)
        for part in self._parts:
            part.template.trainable = value
            part.note_flags()

    def build(self, input_shape: Any) -> None:
        self.built_for = input_shape
        with loops.outside_graph():
            self._layer.build(self, self.depth, input_shape, self._build_f)
            if self._after is not None:
                self._after.build(self, self.depth, input_shape, self._build_after)
            self.build_method(self.layer, self._layer.variables, self._layer.maker.copy)
        self.built = True

    def _build_f(self, layer: keras.layers.Layer) -> None:
        self.build_field(layer, self.built_for)

    def _build_after(self, layer: keras.layers.Layer) -> None:
        y = keras.KerasTensor(self.built_for, dtype=self._state_dtype)
        check_derivative(layer, y, evaluate(layer, y, (), {}), "`after`")

    def advance(
        self,
        y: Any,
        args: tuple,
        kwargs: dict[str, Any],
        mask: Any,
        training: bool | None,
        own: OwnTimes | None = None,
    ) -> Passage:
        fields = [self.field(self.layer, args, kwargs, mask, training)]
        if self._after is not None:
            fields.append(self.field(self._after.template, (), {"mask": mask}, mask, training))
        for part in self._parts:
            part.check_unchanged(self.name)
        parts = parts_of_a_call(self._parts, fields, self._integration, self._multiplied, y)
        integration, clock, constants = self._integration, None, ()
        if own is None:
            factors, times = self.method_of_a_call(parts[0].field)
        else:
            integration, constants, clock = self.steps_of_a_call(parts[0].field, y, own)
            factors = times = None
        path = self.return_states or (own is not None and own.times is not None)
        statistics = () if self.statistics is None else self.statistics.all()
        multiplied = enumerate(self._multiplied)
        changing = [n for n, place in multiplied if place in parts[0].effects.written]
        blocks = BlockLoop(parts, integration, statistics, changing, self._state_dtype, path)
        carry, kept = blocks.run(self.loop, y, self.depth, factors, times, clock, constants)
        y, last, losses = carry
        new, left, errors, states = kept
        for variable, value in zip([*blocks.written, *blocks.foreign], [*new, *last], strict=True):
            variable.assign(value)
        if self.statistics is not None:
            after = dict(zip(changing, left, strict=True))
            values = [after.get(n, value) for n, value in enumerate(statistics)]
            self.statistics.assign(values, statistics)
        return Passage(y, *(part[0] if part else None for part in (states, losses, errors)))

    def unstack(self) -> list[keras.layers.Layer]:
        """The blocks as `depth` single layers with copies of their weights and state.

        Returns:
            `RKResidual` layers, one for each block; with `after`, each is a `keras.Sequential` of
            an `RKResidual` and the layer after it. One called after the other, they compute what
            the stack does.
        """
        if not self.built:
            raise ValueError(
                "RKStack.unstack() needs weights: build the stack or call it first. "
                f"Received: stack {self.name!r}, which is not built."
            )
        if self._after is not None and not self._further_inputs.empty:
            raise ValueError(
                "RKStack.unstack() cannot put further inputs of f and a layer `after` each block "
                "into one layer. "
                f"Received: stack {self.name!r} with `after` and further inputs."
            )
        blocks = Unstacking(self, self._parts, self._build_after)
        dts = self.dt if isinstance(self.dt, tuple) else (self.dt,) * self.depth
        return [blocks.single(block, dt) for block, dt in enumerate(dts)]

    @classmethod
    def from_layers(
        cls, layers: Sequence[keras.layers.Layer], *, after: Any = None, **kwargs: Any
    ) -> RKStack:
        """A stack of layers that exist, which takes over their weights and state.

        Args:
            layers: the blocks: layers that compute f; or `RKResidual` layers of the same method,
                whose tableau, steps and dt are taken over; or what `unstack()` returns. They must
                be built and may differ only in weights, names and seeds (and dt).
            after: the layers after each block, as many as there are blocks.
            **kwargs: further arguments of `RKStack`; with `RKResidual` layers not those that the
                layers have already.

        The layers themselves are left alone: the stack has copies of their weights.
        """
        single = Single(layers, after, kwargs)
        after = single.after[0] if single.after else None
        options = {**single.options, **kwargs}
        stack = cls(single.layers[0], len(single.layers), after=after, **options)
        for part, existing in zip(stack._parts, (single.layers, single.after), strict=False):
            part.existing = list(existing)
        single.give_method_weights(stack)
        return stack

    def quantize(self, *args: Any, **kwargs: Any) -> None:
        """Refuses: quantized layers read scales and codes that belong to one block."""
        raise NotImplementedError(
            "RKStack cannot be quantized. Take its blocks as single layers, `stack.unstack()`, put "
            f"them into a model, and quantize that. Received: stack {self.name!r}."
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "layer": deepcopy(self._layer.maker.config),
            "depth": self.depth,
            "dt": list(self.dt) if isinstance(self.dt, tuple) else self.dt,
            "after": None if self._after is None else deepcopy(self._after.maker.config),
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> RKStack:
        config = dict(config)
        for name in ("layer", "after"):
            config[name] = keras.saving.deserialize_keras_object(
                config[name], custom_objects=custom_objects
            )
        return cls(**config)
