"""f as a pure function: the one place where a wrapped layer is evaluated.

Every variable of the layer is an argument and each that it writes is a result, so the same
function serves a Python loop, a backend's loop, and rematerialisation.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from copy import copy
from typing import Any, NamedTuple

import keras
from keras import ops

from keras_rk import loops
from keras_rk.field.advice import advice_on_outputs, advice_on_shape
from keras_rk.field.dtypes import check_real
from keras_rk.field.effects import Effects
from keras_rk.field.inputs import evaluate, is_tensor, takes_time
from keras_rk.field.masks import masks_of, with_mask, with_masks
from keras_rk.field.overwritten import check_owned
from keras_rk.field.scope import FieldScope, Foreign


class Evaluation(NamedTuple):
    """What an evaluation of f returns.

    Attributes:
        k: f(t, y).
        state: the values that it leaves in the variables of the field.
        losses: those of activities (`add_loss`). Those of weights are not among them: they do not
            depend on how often f is evaluated, and Keras collects them by itself.
        foreign: what it assigns to variables that are not those of the field.
    """

    k: Any
    state: tuple
    losses: list
    foreign: tuple[Foreign, ...]


class VectorField:
    """y' = f(t, y), with everything else that f is called with held constant.

    Args:
        layer: a built layer.
        args, kwargs: further arguments of each call.
        mask: a mask, which each y carries as Keras's own layers carry theirs.
        dtype: the dtype of the derivatives that are returned.
        foreign: variables that f uses and does not own, to be treated as its own: a loop of the
            backend carries them. Others are read and written as in any other call.
        evaluations: how often f is going to be evaluated with the same variables.
    """

    def __init__(
        self,
        layer: keras.layers.Layer,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        mask: Any = None,
        dtype: str = "float32",
        foreign: Sequence[keras.Variable] = (),
        evaluations: int = 1,
    ) -> None:
        self.layer = layer
        self.args = tuple(args)
        self.kwargs = dict(kwargs or {})
        self.mask = mask
        self.masks = masks_of((self.args, self.kwargs))
        self.dtype = dtype
        self.evaluations = evaluations
        self.takes_time = takes_time(layer)
        self._own(foreign)

    @property
    def seeds(self) -> tuple[int, ...]:
        """The positions of the seeds of random layers among the variables."""
        return tuple(place for place, v in enumerate(self.variables) if is_seed(v))

    def __call__(
        self, state: Sequence[Any], y: Any, t: Any = None, foreign: Sequence[tuple] = ()
    ) -> Evaluation:
        """f(t, y), without side effects.

        Gradients do not flow through what f assigns to non-trainable variables; they do through
        what it assigns to its trainable ones.

        Args:
            state: a value for each variable of the field.
            y: where f is evaluated.
            t: the time, where f takes it.
            foreign: variables that are not those of the field, each with a value to use.
        """
        k, new_state, scope = self._evaluate(state, y, t, foreign)
        return Evaluation(
            cast(k, self.dtype), new_state, list(scope.losses), tuple(scope.foreign.values())
        )

    def effects(
        self,
        y: Any,
        state: Sequence[Any],
        t: Any = None,
        look: Callable[[Callable[[Any], Any], Any], None] = loops.look,
    ) -> Effects:
        """What f does at y, found out by an evaluation without effect."""
        found: list[Effects] = []

        def see(values: tuple) -> Any:
            y, state, t, constants = values
            k, new_state, scope = self.with_constants(constants)._evaluate(state, y, *t)
            foreign = tuple(variable for variable, *_ in scope.foreign.values())
            pairs = enumerate(zip(new_state, state, strict=True))
            written = tuple(place for place, (new, old) in pairs if new is not old)
            reads_foreign = bool(scope.read) or loops.has_buffers(self.layer)
            found.append(Effects(written, foreign, reads_foreign, bool(scope.losses)))
            return k

        with loops.unchanged(self.layer):
            look(see, (y, tuple(state), () if t is None else (t,), self.constants()))
        return found[-1]

    def constants(self) -> list:
        """The tensors among the further arguments, and the masks."""
        return [x for x in keras.tree.flatten(self._further()) if is_tensor(x)]

    def with_constants(self, constants: Sequence[Any]) -> VectorField:
        """This field with other tensors in the place of its own."""
        values = iter(constants)
        other = copy(self)  # with the same variables, which take a while to collect
        other.args, other.kwargs, other.mask, other.masks = keras.tree.map_structure(
            lambda x: next(values) if is_tensor(x) else x, self._further()
        )
        return other

    def owning(self, foreign: Sequence[keras.Variable]) -> VectorField:
        """This field with variables that it uses and does not own treated as its own."""
        other = copy(self)  # which has the masks that f may have taken off meanwhile
        other._own(foreign)
        return other

    def _own(self, foreign: Sequence[keras.Variable]) -> None:
        self.foreign = tuple(foreign)
        self.variables = [*own_variables(self.layer), *foreign]
        # Which variables are trainable can change between calls (freezing): read now.
        self.trainable = tuple(variable.trainable for variable in self.variables)

    def kind_of_call(self) -> tuple[Hashable, list]:
        """What an evaluation depends on beside tensors, as far as it may differ between calls.

        Returns:
            What this field is called with, of which numbers and objects count as such; and these,
            with the layer first.
        """
        values: list[Any] = [self.layer]

        def form(x: Any) -> Any:
            if x is None or isinstance(x, (bool, str)):
                return repr(x)
            if is_tensor(x):
                return "tensor"
            if isinstance(x, (list, tuple)):
                return tuple(map(form, x))
            if isinstance(x, dict):
                return tuple((key, form(value)) for key, value in x.items())
            values.append(x)
            return type(x)

        return (id(self.layer), form(self._further()), self.trainable), values

    def _further(self) -> tuple:
        return self.args, self.kwargs, self.mask, self.masks

    def _evaluate(
        self, state: Sequence[Any], y: Any, t: Any = None, foreign: Sequence[tuple] = ()
    ) -> tuple[Any, tuple, FieldScope]:
        y, (args, kwargs) = self._with_masks(y)
        if self.takes_time:
            kwargs = {**kwargs, "t": t}
        with FieldScope(list(zip(self.variables, state, strict=True)), foreign) as scope:
            try:
                k = evaluate(self.layer, y, args, kwargs)
            except Exception as error:
                scope.check_reach(self.layer, error)
                raise
        scope.check_reach(self.layer)
        self._with_masks(y)  # those that f has taken off, for whoever comes next
        check_same_shape(self.layer, y.shape, k.shape)
        check_real(k, self.layer, "What f returns")
        if self.evaluations > 1:
            check_owned(scope.read, self.layer)
        return k, tuple(self._new_values(scope, state)), scope

    def _with_masks(self, y: Any) -> tuple[Any, tuple]:
        """y and the further arguments, each carrying its mask."""
        return with_mask(y, self.mask), with_masks((self.args, self.kwargs), self.masks)

    def _new_values(self, scope: FieldScope, state: Sequence[Any]) -> Iterator[Any]:
        for variable, trainable, old in zip(self.variables, self.trainable, state, strict=True):
            value = scope.get_current_value(variable)
            unwritten = id(variable) not in scope.written
            yield old if unwritten else value if trainable else ops.stop_gradient(value)

    def read(self, written: Collection[int] = ()) -> tuple:
        """The present values of f's variables, of which those at `written` will be assigned to."""
        return tuple(loops.value(v, place in written) for place, v in enumerate(self.variables))

    def changed_weights(self, state: Sequence[Any], previous: Sequence[Any]) -> frozenset[int]:
        """The positions of the trainable variables that have changed since `previous`."""
        changes = zip(self.trainable, state, previous, strict=True)
        return frozenset(
            n for n, (weight, new, old) in enumerate(changes) if weight and new is not old
        )

    def write(self, state: Sequence[Any], previous: Sequence[Any]) -> None:
        """Assigns what has changed since `previous`."""
        for variable, value, old in zip(self.variables, state, previous, strict=True):
            if value is not old:
                variable.assign(value)


def is_seed(variable: keras.Variable) -> bool:
    """Whether a variable is the state of a `keras.random.SeedGenerator`."""
    is_float = "float" in keras.backend.standardize_dtype(variable.dtype)
    return variable.name == "seed_generator_state" and not is_float


def own_variables(layer: keras.layers.Layer) -> list[keras.Variable]:
    """All variables of a layer, in an order that freezing does not change.

    Those of metrics are not among them. Mostly they belong to a model's own `fit`, and on JAX they
    are empty while another model is fitted; a metric that f itself updates is a foreign variable.
    """
    return list(layer.variables)


def cast(x: Any, dtype: str) -> Any:
    """`x` in `dtype`; no operation at all where it has that already."""
    return x if keras.backend.standardize_dtype(x.dtype) == dtype else ops.cast(x, dtype)


def check_same_shape(
    layer: keras.layers.Layer, before: Sequence, after: Sequence, called: str = "f"
) -> None:
    """Refuses a result that is not shaped like y; unknown dimensions match any other."""
    if len(before) == len(after) and not any(
        isinstance(m, int) and isinstance(n, int) and m != n
        for m, n in zip(before, after, strict=True)
    ):
        return
    raise ValueError(
        f"{called} must return the shape that it is given, that of y in y + dt * f(y). "
        f"{advice_on_shape(layer, before, after)}Where shapes change, put a projection before it: "
        "`keras.Sequential([projection, RKResidual(f)])`. "
        f"Received: input shape {tuple(before)}, output shape {tuple(after)} "
        f"(layer {layer.name!r} of type {type(layer).__name__})."
    )


def check_derivative(layer: keras.layers.Layer, y: Any, k: Any, called: str = "f") -> None:
    """Refuses what a layer returns for y unless it is shaped like y."""
    if not isinstance(k, keras.KerasTensor):
        raise ValueError(
            f"{called} must return one tensor, shaped like y. {advice_on_outputs(layer)}"
            f"Received: {k} from layer {layer.name!r}."
        )
    check_same_shape(layer, y.shape, k.shape, called)
    check_real(k, layer, f"What {called} returns")


def without_autocast(function: Callable[[Any], Any], y: Any) -> Any:
    """`function(y)`, called outside the dtype scope of the layers around it.

    In the scope of a mixed policy every variable reads as a copy in half precision, whatever
    the policy of the layer that it belongs to; and so does every value that is put in its place.
    A layer with `autocast=False` is what ends such a scope.
    """
    return _WITHOUT_AUTOCAST(y, function=function)


class _WithoutAutocast(keras.layers.Layer):
    def __init__(self) -> None:
        super().__init__(autocast=False, dtype="float32", name="without_autocast")
        self.supports_masking = True

    def call(self, y: Any, function: Any = None) -> Any:
        return function(y)


# One for all calls: it holds no state, and torch.compile cannot trace a constructor.
_WITHOUT_AUTOCAST = _WithoutAutocast()
