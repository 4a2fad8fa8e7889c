"""f as a pure function: the one place where a wrapped layer is evaluated.

Every variable of the layer that it reads is an argument and each that it writes is a result, so
the same function serves a Python loop, a backend's loop, and rematerialisation. (Variables that f
uses but does not own, such as Keras's global seed, are read and written as in any other call.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from keras_rk.layers.inputs import evaluate


class FieldState(NamedTuple):
    """Values of the variables of f.

    Most layers write only non-trainable ones (moving statistics, seeds), but not all:
    `SpectralNormalization` assigns to its kernel. So both are threaded through.
    """

    trainable: tuple[Any, ...]
    non_trainable: tuple[Any, ...]


class VectorField:
    """y' = f(y), with everything else that f is called with held constant.

    Args:
        layer: a built layer.
        args, kwargs: further arguments of each call.
        mask: a mask, which each y carries as Keras's own layers carry theirs.
        dtype: the dtype of the derivatives that are returned.
    """

    def __init__(
        self,
        layer: keras.layers.Layer,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        mask: Any = None,
        dtype: str = "float32",
    ) -> None:
        self.layer = layer
        self.args = tuple(args)
        self.kwargs = dict(kwargs or {})
        self.mask = mask
        self.dtype = dtype
        # Which variables are trainable can change between calls (freezing): read now.
        variables = layer.variables + layer.metrics_variables
        self.trainable = [variable for variable in variables if variable.trainable]
        self.non_trainable = [variable for variable in variables if not variable.trainable]

    def __call__(self, state: FieldState, y: Any) -> tuple[Any, FieldState, list]:
        """f(y), the state that this evaluation leaves, and the losses that it adds.

        The losses are those of activities (`add_loss`). Those of weights are not among them:
        they do not depend on how often f is evaluated, and Keras collects them by itself.
        """
        mapping = [
            *zip(self.trainable, state.trainable, strict=True),
            *zip(self.non_trainable, state.non_trainable, strict=True),
        ]
        if self.mask is not None:
            y = _MASKED(y, mask=self.mask)
        with _FieldScope(mapping) as scope:
            k = evaluate(self.layer, y, self.args, self.kwargs)
        for variable, value in scope.foreign.values():
            variable.assign(value)
        check_same_shape(self.layer, y.shape, k.shape)
        new_state = FieldState(
            tuple(scope.get_current_value(variable) for variable in self.trainable),
            tuple(scope.get_current_value(variable) for variable in self.non_trainable),
        )
        return cast(k, self.dtype), new_state, list(scope.losses)

    def read(self) -> FieldState:
        """The present values of f's variables."""
        return FieldState(
            tuple(ops.convert_to_tensor(variable.value) for variable in self.trainable),
            tuple(ops.convert_to_tensor(variable.value) for variable in self.non_trainable),
        )

    def write(self, state: FieldState, previous: FieldState) -> None:
        """Assigns what has changed since `previous`."""
        for variables, values, old_values in zip(
            (self.trainable, self.non_trainable), state, previous, strict=True
        ):
            for variable, value, old in zip(variables, values, old_values, strict=True):
                if value is not old:
                    variable.assign(value)


class _FieldScope(keras.StatelessScope):
    """Holds the variables of f; other ones are read and written as if it were not there.

    f may use variables that it does not own: the seed of `keras.random` without a seed, or a
    layer that belongs to the model around it.
    """

    def __init__(self, mapping: list) -> None:
        super().__init__(mapping, collect_losses=True)
        self._own = frozenset(self.state_mapping)
        self.foreign: dict[int, tuple] = {}
        self.kept_losses: list = []

    def get_current_value(self, variable: Any) -> Any:
        value = super().get_current_value(variable)
        if value is None and self.original_scope is not None:
            return self.original_scope.get_current_value(variable)
        return value

    def add_update(self, update: tuple) -> None:
        super().add_update(update)
        variable, _ = update
        if id(variable) not in self._own:
            self.foreign[id(variable)] = update

    def __exit__(self, *error: Any) -> None:
        """Leaves the losses of f alive as long as the scope around this one.

        That scope recognises a layer's losses by `id`. If those of f were freed before it has
        been read, a loss of another layer that takes over an address would count twice.
        """
        if self.original_scope is not None:
            kept = self.original_scope.__dict__.setdefault("kept_losses", [])
            kept.extend([*self.losses, *self.kept_losses])
        super().__exit__(*error)


def cast(x: Any, dtype: str) -> Any:
    """`x` in `dtype`; no operation at all where it has that already."""
    return x if keras.backend.standardize_dtype(x.dtype) == dtype else ops.cast(x, dtype)


def check_same_shape(layer: keras.layers.Layer, before: Sequence, after: Sequence) -> None:
    """Refuses a derivative that is not shaped like y; unknown dimensions match any other."""
    if len(before) == len(after) and not any(
        isinstance(m, int) and isinstance(n, int) and m != n
        for m, n in zip(before, after, strict=True)
    ):
        return
    raise ValueError(
        "f in y + dt * f(y) must return the shape that it is given. Where shapes change, put a "
        "projection before it: `keras.Sequential([projection, RKResidual(f)])`. "
        f"Received: input shape {tuple(before)}, output shape {tuple(after)} "
        f"(layer {layer.name!r} of type {type(layer).__name__})."
    )


def without_autocast(function: Callable[[Any], Any], y: Any) -> Any:
    """`function(y)`, called outside the dtype scope of the layers around it.

    In the scope of a mixed policy every variable reads as a copy in half precision, whatever
    the policy of the layer that it belongs to; and so does every value that is put in its place.
    A layer with `autocast=False` is what ends such a scope.
    """
    return _WITHOUT_AUTOCAST(y, function=function)


class _WithoutAutocast(keras.layers.Layer):
    def __init__(self) -> None:
        super().__init__(autocast=False, dtype="float32")
        self.supports_masking = True

    def call(self, y: Any, function: Any = None) -> Any:
        return function(y)


class _Masked(keras.layers.Layer):
    """Returns its input, carrying a mask."""

    def __init__(self) -> None:
        super().__init__(autocast=False, dtype="float32")
        self.supports_masking = True

    def call(self, y: Any, mask: Any = None) -> Any:
        return y

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return previous_mask


# One of each for all calls: they hold no state, and torch.compile cannot trace a constructor.
_WITHOUT_AUTOCAST = _WithoutAutocast()
_MASKED = _Masked()
