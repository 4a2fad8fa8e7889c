"""What f is called with: y, and further inputs, which are constant over the stages."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_rk.loops.common import is_tensor, symbolic

TIME = "t"  # the argument of f that stands for the time
NOT_FOR_BUILD = ("mask", "inputs_mask", "training")
MULTI_HEADED = (keras.layers.MultiHeadAttention, keras.layers.GroupQueryAttention)
OF_A_LIST = (keras.layers.Attention, keras.layers.AdditiveAttention)


class FurtherInputs:
    """What f is called with beside y: shapes and dtypes of tensors, other values as they are."""

    def __init__(self, args: tuple, kwargs: dict[str, Any]) -> None:
        self._arguments = keras.tree.map_structure(symbolic, (tuple(args), dict(kwargs)))

    @property
    def empty(self) -> bool:
        """Whether f is called with y alone."""
        return not any(self._arguments)

    def symbolic(self) -> tuple[tuple, dict[str, Any]]:
        """Positional and keyword arguments, each time with new symbolic tensors.

        A symbolic call leaves its history in the tensors, which then cannot be saved.
        """
        return keras.tree.map_structure(symbolic, self._arguments)


def input_names(layer: keras.layers.Layer) -> list[str]:
    """The names of the inputs of a functional model, in its order; for other layers none."""
    inputs = getattr(layer, "inputs", None) if isinstance(layer, keras.Model) else None
    return [tensor.name for tensor in inputs or ()]


def takes_mask(layer: keras.layers.Layer) -> bool:
    """Whether a call of `layer` takes the mask of y by name.

    A functional model with several inputs would take several; it reads what y carries.
    """
    several = len(input_names(layer)) > 1
    return not several and "mask" in inspect.signature(layer.call).parameters


def takes_time(layer: keras.layers.Layer) -> bool:
    """Whether f is f(t, y): its `call`, or the inputs of a functional model, have a `t`."""
    names = input_names(layer)
    return TIME in (names if len(names) > 1 else inspect.signature(layer.call).parameters)


def evaluate(
    layer: keras.layers.Layer, y: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    """f(y, *args, **kwargs). A functional model takes several inputs as one structure."""
    names = input_names(layer)
    if len(names) < 2:
        return layer(y, *args, **kwargs)
    if TIME in names and is_tensor(kwargs.get(TIME)):
        kwargs = {**kwargs, TIME: _time_as_input(layer, names.index(TIME), y, kwargs[TIME])}
    values = input_values(layer, y, args, kwargs)
    options = {key: value for key, value in kwargs.items() if key not in names}
    structure = getattr(layer, "input", names)  # names: flat, for a `Sequential` not yet called
    return layer(keras.tree.pack_sequence_as(structure, values), **options)


def _time_as_input(layer: keras.layers.Layer, place: int, y: Any, t: Any) -> Any:
    """The time as a functional model has it among its inputs: a scalar, or one for each sample."""
    rank = len(layer.inputs[place].shape)
    if rank == len(t.shape):
        return t
    if rank == 0:
        raise ValueError(
            "f has a scalar as its input `t`, `keras.Input(batch_shape=(), name='t')`, and in this "
            "call each sample has a time of its own: make it `keras.Input((1,), name='t')`, which "
            f"takes both. Received: t of shape {tuple(t.shape)} (model {layer.name!r})."
        )
    if len(t.shape) == 0:
        one_of_each = (slice(None), *[slice(1)] * (len(y.shape) - 1))
        t = ops.zeros_like(y[one_of_each], dtype=t.dtype) + t
    return ops.reshape(t, (-1, *[1] * (rank - 1)))


def input_values(
    layer: keras.layers.Layer, y: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> list:
    """y and the further inputs of a functional model, in its order."""
    names = input_names(layer)
    if len(names) < 2:
        return [y]
    unnamed = iter(_unnamed(layer, names, y, args, kwargs))
    return [kwargs[name] if name in kwargs else next(unnamed) for name in names]


def _unnamed(
    layer: keras.layers.Layer, names: list[str], y: Any, args: Sequence, kwargs: Mapping[str, Any]
) -> list:
    """y and the tensors after it, which go to the inputs that are not given by name."""
    named = [name for name in names if name in kwargs]
    if 1 + len(args) + len(named) != len(names):
        raise TypeError(
            f"f needs y and {len(names) - 1} further inputs: `layer(y, ...)`, in the order of "
            f"`f.inputs` or by name. Received: {len(args)} by position, {named} by name "
            f"(model {layer.name!r} with inputs {names})."
        )
    if args and isinstance(getattr(layer, "input", None), dict):
        raise TypeError(
            "A dictionary of inputs has no order: give f its further inputs by name, or build it "
            "from a list, y first. "
            f"Received: {len(args)} by position (model {layer.name!r} with inputs {names})."
        )
    return [y, *args]


def check_one_tensor(inputs: Any) -> None:
    """Refuses a list, a dictionary or nothing in place of y."""
    if not is_tensor(inputs):
        raise ValueError(f"{_ONE_TENSOR} Received: inputs of type {type(inputs).__name__}.")


def check_one_shape(input_shape: Any) -> None:
    """The same for the shape that a layer is built with."""
    is_shape = isinstance(input_shape, Sequence)
    if not is_shape or not all(size is None or isinstance(size, int) for size in input_shape):
        raise ValueError(f"{_ONE_TENSOR} Received: input shapes {input_shape}.")


_ONE_TENSOR = (
    "The state y of y + dt * f(y) must be one tensor; further tensors follow it: "
    "`layer(y, context)`."
)


def check_held_still(
    layer: keras.layers.Layer, y: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> None:
    """Refuses self-attention that is called with y as its own context, which stands still."""
    if isinstance(layer, MULTI_HEADED) and any(
        x is y for x in keras.tree.flatten((tuple(args), dict(kwargs)))
    ):
        raise ValueError(
            "Further arguments of f are constant over the stages: keys and values would be held at "
            "y as the call begins, while the queries move on. For attention of each stage to "
            "itself, make it a layer of one input: `y = keras.Input(shape); f = keras.Model(y, "
            "attention(y, y))`. To hold them on purpose, pass a tensor of their own: `layer(y, "
            f"keras.ops.copy(y))`. Received: y twice for layer {layer.name!r} of type "
            f"{type(layer).__name__}."
        )


def check_call(layer: keras.layers.Layer, y: Any, args: tuple, kwargs: dict[str, Any]) -> None:
    """Refuses further inputs that f has no place for; `mask` and `training` are not among them."""
    names = input_names(layer)
    if TIME in kwargs and takes_time(layer):
        raise TypeError(
            f"The layer itself gives f its time `{TIME}`, which begins with `t0`. "
            f"Received: an argument {TIME!r} for layer {layer.name!r}."
        )
    if isinstance(layer, OF_A_LIST):
        raise TypeError(
            f"A layer of type {type(layer).__name__} takes a list of tensors, and f takes y: make "
            "it a layer of one input, `y = keras.Input(shape); f = keras.Model(y, attention([y, "
            "y]))`, or of several, `keras.Model([y, context], attention([y, context]))`. "
            f"Received: layer {layer.name!r}."
        )
    unknown = [key for key in kwargs if key not in names and is_tensor(kwargs[key])]
    if names and unknown:  # Keras would ignore them
        raise TypeError(_no_place(layer, f"{unknown[0]!r}, which is no input of f"))
    if len(names) > 1:
        return  # `evaluate` compares with the inputs
    signature = inspect.signature(layer.call)
    try:
        bound = signature.bind(y, *args, **kwargs, **({TIME: None} if takes_time(layer) else {}))
    except TypeError as error:
        if not _lacks_an_argument(signature, y, args, kwargs):
            raise TypeError(_no_place(layer, str(error))) from error
        raise TypeError(
            f"Layer {layer.name!r} of type {type(layer).__name__} cannot be called with y and the "
            f"further arguments of this call: {error}. A layer that needs y more than once, such "
            "as self-attention, becomes one with a single input by a model: "
            "`y = keras.Input(shape); f = keras.Model(y, layer(y, y))`."
        ) from error
    for name in ("training", "mask"):
        if name in bound.arguments:
            raise TypeError(_no_place(layer, f"an input by position that is its {name!r}"))


def _lacks_an_argument(
    signature: inspect.Signature, y: Any, args: tuple, kwargs: dict[str, Any]
) -> bool:
    try:
        signature.bind_partial(y, *args, **kwargs)
    except TypeError:
        return False
    return True


def _no_place(layer: keras.layers.Layer, problem: str) -> str:
    return (
        "f must take the further inputs of this call: as arguments after y, or as a functional "
        "model of several inputs, `keras.Model([y, context], ...)`; `mask` and `training` go by "
        f"keyword. Received: {problem} "
        f"(layer {layer.name!r} of type {type(layer).__name__}, "
        f"`call{inspect.signature(layer.call)}`)."
    )
