"""RKStack: many Runge-Kutta residual blocks, each with its own weights, in one loop."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from fractions import Fraction
from typing import Any, NamedTuple

import keras
from keras import ops

from keras_rk import loops
from keras_rk.field.effects import Effects
from keras_rk.field.inputs import evaluate, takes_time
from keras_rk.field.vector_field import VectorField
from keras_rk.layers.arguments import block_step_sizes, fixed, positive_integer, random_seed
from keras_rk.layers.blocks import (
    OF_ONE_METHOD,
    BlockMaker,
    check_built,
    check_same_kind,
    configuration,
    derived_seed,
    method_of,
    split_blocks,
)
from keras_rk.layers.method_layer import MethodLayer, Passage, check_derivative
from keras_rk.layers.rk_residual import RKResidual
from keras_rk.layers.stacked_layer import StackedLayer
from keras_rk.numbers.coefficients import exact, public
from keras_rk.steps.integration import cast_like, total


class _Part(NamedTuple):
    """The vector field of a stack, or the layer after each block, in one call.

    Attributes:
        effects: what evaluations do.
        own: the same without moving statistics that are kept for each evaluation.
    """

    stacked: StackedLayer
    field: VectorField
    effects: Effects
    own: Effects

    def changed(self, state: Sequence[Any], before: Sequence[Any]) -> tuple:
        """What evaluations have assigned to the variables of a block, as these are typed."""
        return cast_like(self.own.split(state)[0], self.own.split(before)[0])


@keras.saving.register_keras_serializable(package="keras_rk")
class RKStack(MethodLayer):
    """Runge-Kutta residual blocks, each with its own weights, evaluated by one loop.

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
        order: an order that the method must be proved to have.
        require: what must be proved before anything is built, as in `RKResidual`.
        state: what becomes of moving statistics in f (batch normalization) over the evaluations of
            f. `"per_evaluation"`: each step and stage has its own, so that inference repeats
            training; `"shared"`: there is one set, which all evaluations update in turn, and which
            fits none of them; `"first"`: one set, updated by the first stage of each step alone.
            Weights that were saved with another method, steps or state can be loaded: each
            evaluation starts from the statistics nearest to it, to be improved by
            `keras_rk.recalibrate`. Other state (of f, such as that of `SpectralNormalization`) is
            handed on from one evaluation to the next.
        noise: `"per_step"`: all stages of a step draw the same random numbers, so that f is one
            vector field within a step; `"per_stage"`: each stage draws new ones. (Dropout without
            a seed on PyTorch draws from PyTorch's generator, which is turned back; a loop then runs
            in Python.)
        t0: the time at which the first step begins, for an f that takes the time. Exact like dt.
            Each block begins where the one before has ended.
        remat: `"step"` or `"stage"`: what is computed inside each step or each evaluation of f is
            not kept for the gradient but computed again (rematerialisation), so that memory grows
            by y, or by the stage derivatives, and no more. None: everything is kept.
        trainable_dt: True: dt = dt_0 * exp(theta) with a trainable theta for each block, zero at
            first, so that dt keeps its sign; `"channel"`: with one for each entry of y's last
            axis, too. The present values are `layer.step_sizes`.
        trainable_tableau: whether the non-zero coefficients of A and b are trained, the same for
            all blocks. The method stays explicit, its nodes stay row sums, and its weights sum to
            one: the last weight is one minus the others. `layer.tableau` is the method learned so
            far, computed exactly.
        order_penalty: a pair `(p, weight)`, which adds weight * sum (Phi(t) - 1/gamma(t))^2 over
            the rooted trees t with at most p vertices to the loss of a trainable tableau.
        error_estimate: whether to estimate the error with the embedded weights b_hat of the
            tableau: the root mean square of dt * sum_i (b_i - b_hat_i) k_i, as its mean over the
            steps, is `layer.estimated_error` after each call, one for each block;
            `keras_rk.RKMonitor` logs it in `fit`.
        error_weight: adds that estimate to the loss with this weight.
        return_states: whether to return y before the first block and after each one.
        jit_compile: on PyTorch, whether the loop compiles one iteration (which takes seconds) and
            calls it again and again, without `torch.compile` for the rest of the model. JAX and
            TensorFlow compile as the model does.
        **kwargs: `name`, `dtype`, `trainable` and the other arguments of a Keras layer.

    Call arguments:
        inputs: y, one tensor.
        *args, **kwargs: further arguments of f, constant over the blocks, as in `RKResidual`.
        mask: a mask for y; it reaches every evaluation of f, and `after`.
        training: reaches f and `after` as it reaches any layer.

    Input shape:
        Any that f takes, for instance `(batch, features)` or `(batch, time, features)`.

    Output shape:
        Same as the input; `(batch, depth + 1, ...)` with `return_states`.

    y is summed up in at least float32 through all blocks, f and `after` run in their own dtype
    policies, and the result has this layer's compute dtype. Losses of f count once per step, as in
    `RKResidual`; regularizers and constraints act on the weights of each block by themselves.
    What looks at whole variables sees those of all blocks at once: clipping by the norm of a
    gradient (`clipnorm`; `global_clipnorm` and `clipvalue` make no difference) and optimizers such
    as `Lamb`, `Adafactor` and `Muon`, whose updates depend on a variable's shape or norm.

    On PyTorch the loop traces a block once for each shape of the input: what f does in Python
    apart from computing (printing, counting) happens only then, and attributes of f that change
    after a call (a dropout rate) count only for shapes that are new. What f chooses by values is
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
            blocks that are not of one kind; when called, for a y that is not one tensor.
        TypeError: when built, for further arguments that f does not take.
        NotImplementedError: for quantization.
        AttributeError: for setting an argument after construction.

    Reference:
        - From ResNets to Runge-Kutta Networks
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
        depth = positive_integer("depth", depth)
        given, exact_dts = block_step_sizes(dt, depth)
        seed = random_seed(seed)
        stacked = StackedLayer(BlockMaker(layer, seed, "layer"))
        super().__init__(
            stacked.template,
            exact_dts,
            depth,
            tableau=tableau,
            steps=steps,
            order=order,
            require=require,
            state=state,
            noise=noise,
            t0=t0,
            remat=remat,
            trainable_dt=trainable_dt,
            trainable_tableau=trainable_tableau,
            order_penalty=order_penalty,
            error_estimate=error_estimate,
            error_weight=error_weight,
            return_states=return_states,
            jit_compile=jit_compile,
            **kwargs,
        )
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
        self._built_for = input_shape
        with loops.outside_graph():
            self._layer.build(self, self.depth, input_shape, self._build_f)
            if self._after is not None:
                self._after.build(self, self.depth, input_shape, self._build_after)
            self.build_method(self.layer, self._layer.variables, self._layer.maker.copy)
        self.built = True

    def _build_f(self, layer: keras.layers.Layer) -> None:
        self.build_field(layer, self._built_for)

    def _build_after(self, layer: keras.layers.Layer) -> None:
        y = keras.KerasTensor(self._built_for, dtype=self._state_dtype)
        check_derivative(layer, y, evaluate(layer, y, (), {}), "`after`")

    def advance(
        self, y: Any, args: tuple, kwargs: dict[str, Any], mask: Any, training: bool | None
    ) -> Passage:
        parts = self._parts_of_a_call(y, args, kwargs, mask, training)
        foreign = parts[0].field.foreign
        factors, times = self.method_of_a_call(parts[0].field)
        statistics = () if self.statistics is None else self.statistics.all()
        multiplied = enumerate(self._multiplied)
        changing = [n for n, place in multiplied if place in parts[0].effects.written]
        written = [v for part in parts for v in part.stacked.written(part.own)]
        zero = ops.zeros((), self._state_dtype)
        outputs = (
            tuple(_one_block(variable) for variable in written),
            tuple(_one_block(statistics[n]) for n in changing),
            (zero,) if self.error_estimate else (),
            (y,) if self.return_states else (),
        )
        (y, last, losses), kept = self.loop.scan(
            self._block(parts, changing),
            (
                y,
                tuple(loops.value(variable, written=True) for variable in foreign),
                (zero,) if any(part.effects.losses for part in parts) else (),
            ),
            (
                tuple(part.stacked.values(part.effects) for part in parts),
                statistics,
                () if factors is None else (factors,),
                () if times is None else (times,),
            ),
            tuple(tuple(part.field.constants()) for part in parts),
            self.depth,
            outputs=outputs,
            key=tuple(part.effects.kind for part in parts),
            traceable=self.steps == 1 and all(part.effects.traceable for part in parts),
            remat=self.remat == "step" and self.steps == 1,
            one_draw=self.noise == "per_step" and len(self._method.plan.stages) > 1,
        )
        new, left, errors, path = kept
        for variable, value in zip([*written, *foreign], [*new, *last], strict=True):
            variable.assign(value)
        if self.statistics is not None:
            after = dict(zip(changing, left, strict=True))
            values = [after.get(n, value) for n, value in enumerate(statistics)]
            self.statistics.assign(values, statistics)
        return Passage(y, *(part[0] if part else None for part in (path, losses, errors)))

    def _parts_of_a_call(
        self, y: Any, args: tuple, kwargs: dict[str, Any], mask: Any, training: bool | None
    ) -> list[_Part]:
        fields = [self.field(self.layer, args, kwargs, mask, training)]
        if self._after is not None:
            fields.append(self.field(self._after.template, (), {"mask": mask}, mask, training))
        for part in self._parts:
            part.check_unchanged(self.name)
        effects = [
            self._integration.effects(field, y, part.first_block)
            for part, field in zip(self._parts, fields, strict=True)
        ]
        foreign = list({id(variable): variable for e in effects for variable in e.foreign}.values())
        return [
            _Part(part, field.owning(foreign), e, e.without(() if n else self._multiplied))
            for n, (part, field, e) in enumerate(zip(self._parts, fields, effects, strict=True))
        ]

    def _block(self, parts: list[_Part], changing: list[int]) -> Any:
        """One iteration of the loop: the steps of a block, and the layer after it."""
        f, *after = parts

        def body(carry: tuple, x: tuple, constants: tuple) -> tuple:
            y, foreign, losses = carry
            values, statistics, factors, times = x
            solution = self._integration.solve(
                f.field.with_constants(constants[0]),
                y,
                (*values[0], *foreign),
                statistics,
                effects=f.effects.owning(len(values[0]), len(foreign)),
                factors=ops.unstack(factors[0], factors[0].shape[0]) if factors else (),
                times=times[0] if times else None,
            )
            y, state = solution.y, solution.state
            written = f.changed(state, values[0])
            foreign = cast_like(state[len(values[0]) :], foreign)
            found = [] if solution.loss is None else [solution.loss]
            for part, own, further in zip(after, values[1:], constants[1:], strict=True):
                y, state, added, _ = part.field.with_constants(further)((*own, *foreign), y)
                written += part.changed(state, own)
                foreign = cast_like(state[len(own) :], foreign)
                found += added
            if found:
                losses = (losses[0] + total(found, self._state_dtype),)
            left = [solution.statistics[n] for n in changing]
            outputs = (
                written,
                cast_like(left, [statistics[n] for n in changing]),
                () if solution.error is None else (solution.error,),
                (y,) if self.return_states else (),
            )
            return (y, foreign, losses), outputs

        return body

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
        return [self._single(block) for block in range(self.depth)]

    def _single(self, block: int) -> keras.layers.Layer:
        dts = self.dt if isinstance(self.dt, tuple) else (self.dt,) * self.depth
        options = {name: getattr(self, name) for name in OF_ONE_METHOD}
        if self.trainable_tableau:
            options["order"] = None  # it was proved of the tableau before it was trained
        layer = RKResidual(
            self._layer.maker.copy(),
            self.tableau,
            dts[block],
            **options,
            t0=self._start_of(block),
            name=f"{self.name}_{block}",
            dtype=self.dtype_policy,
        )
        layer.build_like(self)
        self._layer.set_block(block, layer.layer)
        for one, all_blocks in zip(layer.block_weights, self.block_weights, strict=True):
            one.assign(ops.convert_to_tensor(all_blocks.value)[block])
        if self._after is None:
            return layer
        after = self._after.maker.copy(name=f"{self.name}_{block}_after")
        self._build_after(after)
        self._after.set_block(block, after)
        name = f"{self.name}_{block}_and_after"
        return keras.Sequential([keras.Input(batch_shape=self._built_for), layer, after], name=name)

    def _start_of(self, block: int) -> Any:
        """The time at which a block begins."""
        if not takes_time(self.layer):
            return self.t0
        if self.trainable_dt:
            return float(self._exact_t0) + self.steps * float(sum(self.step_sizes[:block]))
        dts = self._exact_dts if len(self._exact_dts) > 1 else self._exact_dts * self.depth
        return public(self._exact_t0 + self.steps * sum(dts[:block], Fraction(0)))

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
        layers, after = split_blocks(layers, after)
        if all(isinstance(layer, RKResidual) for layer in layers):
            kwargs = {**method_of(layers, kwargs), **kwargs}
            single = layers
            layers = [layer.layer for layer in layers]
        else:
            single = []
        check_built([*layers, *(after or ())])
        for parts in (layers, after or []):
            first = configuration(parts[0], "layers") if parts else {}
            for block, layer in enumerate(parts[1:], start=1):
                check_same_kind(first, layer, block)
        stack = cls(layers[0], len(layers), after=after[0] if after else None, **kwargs)
        stack._layer.existing = list(layers)
        if stack._after is not None:
            stack._after.existing = list(after or ())
        if single:
            stack.build_like(single[0])
            columns = zip(*(layer.block_weights for layer in single), strict=True)
            for weight, values in zip(stack.block_weights, columns, strict=True):
                weight.assign(ops.stack([ops.convert_to_tensor(v.value) for v in values]))
            stack._check_starts(single)
        return stack

    def _check_starts(self, layers: Sequence[RKResidual]) -> None:
        """Refuses blocks of f(t, y) that do not begin where the one before has ended."""
        for block, layer in enumerate(layers):
            start = self._start_of(block)
            late = float(exact(layer.t0) - exact(start))
            if takes_time(self.layer) and abs(late) > 1e-5 * max(1, abs(float(exact(start)))):
                raise ValueError(
                    "Each block of a stack begins at the time at which the one before has ended. "
                    f"Received: t0={layer.t0} in block {block}, which begins at {start} "
                    f"(layer {layer.name!r})."
                )

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


def _one_block(stacked: Any) -> keras.KerasTensor:
    dtype = keras.backend.standardize_dtype(stacked.dtype)
    return keras.KerasTensor(stacked.shape[1:], dtype=dtype)
