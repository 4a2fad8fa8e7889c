"""What users may have meant who gave something that a layer does not take."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import keras

from keras_rk import tableaux
from keras_rk.butcher.tableau import Tableau
from keras_rk.errors import TableauError, shown
from keras_rk.loops.common import is_tensor

# What an argument is called elsewhere.
CALLED_ELSEWHERE = {
    "tableau": ("method", "solver", "scheme", "integrator", "stepper", "butcher_tableau"),
    "dt": ("h", "step_size", "stepsize", "delta_t", "time_step", "timestep", "dts"),
    "steps": ("n_steps", "num_steps", "nsteps", "iterations"),
    "depth": ("blocks", "n_blocks", "num_blocks", "n_layers", "num_layers", "layers"),
    "trainable_dt": ("learn_dt", "learnable_dt", "train_dt", "trainable_step_size"),
    "trainable_tableau": ("learn_tableau", "learnable_tableau", "trainable_coefficients"),
    "remat": ("checkpoint", "checkpointing", "rematerialize"),
    "return_states": ("return_sequences", "return_path", "return_trajectory"),
    "t0": ("t", "t_start", "start_time"),
    "t1": ("t_end", "end_time", "t_final"),
    "max_steps": ("max_num_steps", "max_nfe", "maxiter"),
    "first_step": ("dt0", "h0", "initial_step"),
}
OF_A_STACK = ("depth", "after", "seed")
OF_NO_LAYER = {
    "substeps": "`keras_rk.with_method(model, substeps=2)` refines the steps of a model",
    **dict.fromkeys(("stages", "n_stages", "num_stages"), "the stages are those of the tableau"),
    **dict.fromkeys(
        ("rtol", "atol", "tol", "tolerance", "adaptive"),
        "steps have a fixed size; `error_estimate=True` with an embedded pair tells their error, "
        "and the steps of `RKAdaptive` follow it",
    ),
}


def _named_arguments(layer: Any) -> list[str]:
    parameters = inspect.signature(layer.__init__).parameters
    return [name for name in parameters if name not in ("self", "kwargs")]


OF_EVERY_LAYER = (*_named_arguments(keras.layers.Layer), "input_shape", "input_dim")


def check_keywords(owner: type, keywords: Mapping[str, Any]) -> None:
    """Refuses keyword arguments that neither a layer of the class nor any layer takes."""
    for name, value in keywords.items():
        if name not in OF_EVERY_LAYER:
            raise ValueError(
                f"{owner.__name__} has no argument `{name}`: "
                f"{_meant(name, _named_arguments(owner))}. Received: {name}={shown(value)}."
            )


def _meant(name: str, own: list[str]) -> str:
    """What to use instead, or what there is."""
    if name in OF_NO_LAYER:
        return OF_NO_LAYER[name]
    word = name.lower()
    elsewhere = [ours for ours, theirs in CALLED_ELSEWHERE.items() if word in theirs]
    found = elsewhere or get_close_matches(word, [*own, *OF_A_STACK, *OF_EVERY_LAYER], 1)
    if not found:
        return f"there are {', '.join(own)}, and those of every Keras layer"
    if found[0] in OF_A_STACK and found[0] not in own:
        return f"RKStack has `{found[0]}`"
    return f"that is `{found[0]}` here"


def instead_of_a_layer(value: Any) -> str:
    """A sentence on what was given in place of a layer, with a space after it, or nothing."""
    if isinstance(value, type):
        return f"A class is not a layer yet, `{value.__name__}(...)` is one. "
    if isinstance(value, (list, tuple)):
        return "Several layers, one after another, are one layer as `keras.Sequential([...])`. "
    if is_tensor(value):
        return "That is what a layer returned: give the layer itself, not called. "
    if is_method(value):
        return "The layer comes first, the tableau after it. "
    if hasattr(value, "named_parameters"):
        return "A module of PyTorch is a layer as `keras.layers.TorchModuleWrapper(module)`. "
    if callable(value):
        return "A function can be wrapped in `keras.layers.Lambda`. "
    return ""


def is_method(value: Any) -> bool:
    """Whether `value` is a tableau, or the name of one."""
    if not isinstance(value, str):
        return isinstance(value, Tableau)
    try:
        tableaux.get(value)
    except TableauError:
        return False
    return True
