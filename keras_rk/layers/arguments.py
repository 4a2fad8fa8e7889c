"""Arguments that the layers share: each is normalised, or refused with what to do."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from numbers import Integral, Real
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rk import tableaux
from keras_rk.analysis.checking import check
from keras_rk.butcher.tableau import Tableau
from keras_rk.errors import TableauError
from keras_rk.layers.hints import instead_of_a_layer, is_method
from keras_rk.numbers.coefficients import exact, is_float, is_symbolic, to_text, whole_number
from keras_rk.proof.checker import CheckReport, prove
from keras_rk.proof.digits import brief
from keras_rk.proof.order_conditions import Residuals
from keras_rk.proof.pairs import pair_fault
from keras_rk.tableaux.as_tableau import as_tableau

REQUIREMENTS = ("order", "consistent", "explicit")
STATES = ("per_evaluation", "shared", "first")
NOISES = ("per_step", "per_stage")
REMATS = ("step", "stage")
_FEW_STAGES = 8
MOST_PENALISED = 8  # 200 conditions, each of them operations in every training step


def vector_field_layer(layer: Any, owner: str) -> keras.layers.Layer:
    """`layer` itself, if it is a Keras layer."""
    if isinstance(layer, keras.layers.Layer):
        return layer
    raise ValueError(
        f"`layer` of {owner} must be a Keras layer or model, which is f in y' = f(y). "
        f"{instead_of_a_layer(layer)}Received: {layer!r} (of type {type(layer).__name__})."
    )


def proved_tableau(tableau: Any, order: Any, require: Any, with_time: bool = False) -> Tableau:
    """The tableau, proved to have the properties that `require` names.

    Nothing else is proved: no order beyond `order` and the claims, and with "consistent" only the
    sum of the weights.

    Args:
        with_time: whether the order has to hold for y' = f(t, y), and not for y' = f(y) alone.

    Raises:
        TableauError: if it has not, or if it is implicit or contains symbols.
    """
    one_of("require", require, REQUIREMENTS)
    order = None if order is None else positive_integer("order", order)
    if order is not None and require != "order":
        raise ValueError(
            "`order` is proved only with `require='order'`: drop one of the two. "
            f"Received: order={order}, require={require!r}."
        )
    # text is a name here, so that loading a model opens no file that it names
    tableau = tableaux.get(tableau) if isinstance(tableau, str) else as_tableau(tableau)
    if tableau.is_symbolic:
        raise TableauError(
            "A layer needs numbers: put them in place of the symbols with `tableau.subs(...)`. "
            f"Received: {_called(tableau)}."
        )
    if not tableau.is_explicit:
        raise TableauError(
            "A layer can only evaluate an explicit method, whose `A` is zero on and above its "
            "diagonal; `keras_rk.tableaux.names()` lists such methods. "
            f"Received: {_called(tableau)}."
        )
    if require == "explicit":
        return tableau
    if require == "consistent":
        if not _sums_to_one(tableau):
            raise TableauError(
                "The weights `b` of a consistent method sum to one; a method without that is "
                f"accepted with `require='explicit'`. Received: {_called(tableau)} with weights "
                f"{', '.join(map(str, tableau.b))}."
            )
        return tableau
    claims = tableau.claimed_order, tableau.claimed_embedded_order
    report = _report(tableau, tableau.name, claims, order, with_time)
    asked = max(order or 1, tableau.claimed_order or 1)
    if with_time and report.nonautonomous_order < asked:
        raise TableauError(
            f"f takes the time t, and for y' = f(t, y) {_called(tableau)} has order "
            f"{report.nonautonomous_order}, not {asked}: its nodes c are not the row sums of A. "
            f"Received: nodes {', '.join(map(brief, tableau.exact_c))}, row sums "
            f"{', '.join(map(brief, tableau.row_sums))}."
        )
    # a pair that estimates nothing is refused where an estimate is needed: see `check_learning`
    if any(failure.rule != "pair" for failure in report.failures):
        raise TableauError(
            f"{_message(report)}{_suggestion(tableau, order, with_time)}\n"
            "Correct the tableau or `order`, choose another method (`keras_rk.tableaux.names()`), "
            "or ask for less with `require='consistent'` or `require='explicit'`."
        )
    return tableau


@lru_cache(maxsize=256)
def _report(
    tableau: Tableau, name: str | None, claims: tuple, order: Any, with_time: bool
) -> CheckReport:
    """What is asked, proved once for each tableau; name and claims do not count in its ==.

    Row sums that fail are no failure in themselves for f(t, y), whose order then decides.
    """
    return prove(tableau, order, 1, require_row_sums=not with_time, with_time=with_time)


@lru_cache(maxsize=256)
def _sums_to_one(tableau: Tableau) -> bool:
    return Residuals(tableau).sum_to_one()


_pair_fault = lru_cache(maxsize=256)(pair_fault)


def _message(report: CheckReport) -> str:
    try:
        report.raise_if_failed()
    except TableauError as error:
        return str(error)
    return ""


def _suggestion(tableau: Tableau, order: Any, with_time: bool) -> str:
    """A line with the likeliest mend, for methods of so few stages that it is found at once."""
    if tableau.stages > _FEW_STAGES:
        return ""
    found = check(tableau, order, require_row_sums=not with_time).suggestions
    return f"\n  suggestion   {found[0].text}" if found else ""


def _called(tableau: Tableau) -> str:
    if tableau.name:
        return f"tableau {tableau.name!r}"
    return f"a tableau of {tableau.stages} stage{'s' * (tableau.stages > 1)}"


def step_size(dt: Any) -> tuple[Any, Any]:
    """`dt` as it goes into a config (int, float or exact text), and its exact value."""
    if isinstance(dt, (list, tuple)) or len(getattr(dt, "shape", ())):
        raise ValueError(
            "`dt` must be one number, the size of all steps; a list with one for each block is for "
            f"`RKStack(layer, depth, tableau, dt)`. Received: dt={dt!r}."
        )
    is_word = isinstance(dt, str) and dt.isidentifier()
    if is_word or callable(dt) or isinstance(dt, keras.Variable):
        raise ValueError(
            "`dt` must be a finite number other than zero; `trainable_dt=True` learns the size of "
            f"the steps, beginning with `dt`. Received: dt={dt!r}."
        )
    given, value = _number("`dt` must be a finite number other than zero.", "dt", dt)
    if value == 0:
        raise ValueError(f"`dt` must be a finite number other than zero. Received: dt={dt!r}.")
    return given, value


def start_time(t0: Any, name: str = "t0") -> tuple[Any, Any]:
    """`t0`, or another time, as it goes into a config, and its exact value."""
    return _number(f"`{name}` must be a finite number.", name, t0)


def tolerance(name: str, value: Any) -> float:
    """`value` as a finite float of at least zero."""
    return loss_weight(name, value)


def proved_pair(tableau: Any, with_time: bool) -> tuple[Tableau, int]:
    """An embedded pair, proved to have the orders that it claims, and the lower of its orders."""
    pair = proved_tableau(tableau, None, "order", with_time)
    if pair.b_hat is None:
        raise ValueError(
            "Steps that follow their errors need an embedded pair, a tableau with `b_hat`, such as "
            "'tsitouras54', 'dormand_prince54' or 'bogacki_shampine32'; "
            "`keras_rk.tableaux.names()` lists all methods. "
            f"Received: {_called(pair)}."
        )
    if fault := _pair_fault(pair):
        raise TableauError(f"{fault} ({_called(pair)}, with steps that follow their errors)")
    return pair, _lower_order(pair, pair.claimed_order, pair.claimed_embedded_order)


@lru_cache(maxsize=256)
def _lower_order(pair: Tableau, order: int | None, embedded: int | None) -> int:
    """The lower order of a pair, whose claims have been proved."""
    if order is None or embedded is None:
        report = check(pair)
        order, embedded = report.order, report.embedded_order
    return max(1, min(order, embedded or 0))


def _number(rule: str, name: str, number: Any) -> tuple[Any, Any]:
    try:
        value = exact(number)
    except TableauError as error:
        raise ValueError(f"{rule} {error}") from error
    if is_symbolic(value):
        raise ValueError(f"{rule} Received: {name}={number!r}.")
    if is_float(number) and Fraction(float(number)) == value:
        return float(number), value
    if isinstance(number, Integral):
        return int(number), value
    return to_text(value), value


def loss_weight(name: str, value: Any) -> float:
    """`value` as a finite float of at least zero."""
    number = float(value) if is_real(value) else float("nan")
    if not 0 <= number < float("inf"):
        raise ValueError(
            f"`{name}` must be a finite number of at least 0. Received: {name}={value!r}."
        )
    return number


def is_real(value: Any) -> bool:
    """Whether `value` is a real number and no truth value."""
    return isinstance(value, (Real, np.number)) and not isinstance(value, (bool, np.bool_))


def trainable_step(value: Any) -> bool | str:
    """`value`, if it is True, False or "channel"."""
    if isinstance(value, str) and value == "channel":
        return value
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise ValueError(
        "`trainable_dt` must be True, False or 'channel'. "
        f"Received: trainable_dt={value!r} (of type {type(value).__name__})."
    )


def penalty_on_order(value: Any) -> tuple[int, float] | None:
    """`value` as a pair of an order and a weight, or None."""
    if value is None:
        return None
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise ValueError(
            "`order_penalty` must be a pair, the order and the weight of its conditions in the "
            f"loss: `order_penalty=(3, 0.1)`. Received: order_penalty={value!r}."
        )
    order = positive_integer("order_penalty[0]", value[0])
    if order > MOST_PENALISED:
        raise ValueError(
            f"`order_penalty` goes up to order {MOST_PENALISED}, with 200 conditions. "
            f"Received: order_penalty={value!r}."
        )
    return order, loss_weight("order_penalty[1]", value[1])


def number_of_blocks(depth: Any) -> int:
    """`depth` as an int of at least one."""
    if is_method(depth):
        raise ValueError(
            "`depth`, the number of blocks, comes before the tableau: "
            f"`RKStack(layer, depth, tableau)`. Received: depth={depth!r}."
        )
    return positive_integer("depth", depth)


def number_of_steps(steps: Any) -> int:
    """`steps` as an int of at least one."""
    if is_real(steps) and steps % 1 != 0:  # nor is NaN a whole number
        raise ValueError(
            "`steps` must be an integer of at least 1; `dt` is the size of a step. "
            f"Received: steps={steps!r} (of type {type(steps).__name__})."
        )
    return positive_integer("steps", steps)


def block_step_sizes(dt: Any, depth: int) -> tuple[Any, list]:
    """`dt` as it goes into a config, and the exact step sizes: one, or one for each block."""
    if isinstance(dt, np.ndarray):
        dt = dt.tolist()
    if not isinstance(dt, (list, tuple)):
        size, value = step_size(dt)
        return size, [value]
    if len(dt) != depth:
        raise ValueError(
            "`dt` must be one number, or one for each block. "
            f"Received: {len(dt)} numbers, depth={depth}."
        )
    sizes, values = zip(*map(step_size, dt), strict=True)
    return (sizes[0], [values[0]]) if len(set(values)) == 1 else (sizes, list(values))


def random_seed(seed: Any) -> int | None:
    """`seed` as an int of at least zero, or None."""
    number = None if seed is None else whole_number(seed)
    if seed is not None and (number is None or number < 0):
        raise ValueError(
            "`seed` must be an integer of at least 0, or None. "
            f"Received: seed={seed!r} (of type {type(seed).__name__})."
        )
    return number


def positive_integer(name: str, value: Any) -> int:
    """`value` as an int of at least one; truth values and floats are none."""
    number = whole_number(value)
    if number is None or number < 1:
        raise ValueError(
            f"`{name}` must be an integer of at least 1. "
            f"Received: {name}={value!r} (of type {type(value).__name__})."
        )
    return number


def whole_axis(value: Any) -> int:
    """`value` as the int of an axis."""
    number = whole_number(value)
    if number is None:
        raise ValueError(
            f"`axis` must be an integer. Received: axis={value!r} (of type {type(value).__name__})."
        )
    return number


def truth(name: str, value: Any) -> bool:
    """`value` as a bool; numbers and words are none."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise ValueError(
        f"`{name}` must be True or False. "
        f"Received: {name}={value!r} (of type {type(value).__name__})."
    )


def check_learning(layer: Any, tableau: Tableau, with_time: bool) -> None:
    """Refuses what cannot be learned or estimated together, or not with this method."""
    if layer.trainable_dt == "channel" and with_time:
        raise ValueError(
            "An f that takes the time t needs one time for all channels: `trainable_dt=True`. "
            "Received: trainable_dt='channel'."
        )
    if layer.order_penalty is not None and not layer.trainable_tableau:
        raise ValueError(
            "`order_penalty` acts on coefficients that are trained: `trainable_tableau=True`. "
            f"Received: order_penalty={layer.order_penalty}, trainable_tableau=False."
        )
    if layer.trainable_tableau and not tableau.is_consistent:
        raise ValueError(
            "A tableau is trained such that it stays consistent (sum b_i = 1), so it has to be so "
            f"at the start. Received: {_called(tableau)} with weights "
            f"{', '.join(map(str, tableau.b))}."
        )
    if layer.error_estimate and layer.trainable_tableau:
        raise ValueError(
            "The embedded weights b_hat belong to the tableau as it was given, so that no error "
            "can be estimated once the tableau is trained. "
            "Received: trainable_tableau=True with error_estimate=True or an error_weight."
        )
    if layer.error_estimate and tableau.b_hat is None:
        raise ValueError(
            "An error estimate needs an embedded pair, a tableau with `b_hat`, such as "
            f"'dormand_prince54'. Received: {_called(tableau)}."
        )
    if layer.error_estimate and (fault := _pair_fault(tableau)):
        raise TableauError(f"{fault} ({_called(tableau)}, with an error estimate)")


def one_of(name: str, value: Any, allowed: tuple[str, ...]) -> str:
    """`value` itself, if it is one of the `allowed` words."""
    if isinstance(value, str) and value in allowed:
        return value
    choices = ", ".join(repr(choice) for choice in allowed)
    raise ValueError(f"`{name}` must be one of: {choices}. Received: {name}={value!r}.")


def check_float64(dtype: str, layer: keras.layers.Layer) -> None:
    """Refuses to compute in float64 where JAX would make it float32 without a word."""
    if dtype != "float64":
        return
    available = keras.backend.standardize_dtype(ops.zeros((), dtype="float64").dtype)
    if available != "float64":
        raise ValueError(
            "JAX computes in float64 only where it is told to: set the environment variable "
            "JAX_ENABLE_X64=1, or call `jax.config.update('jax_enable_x64', True)` first. "
            f"Received: dtype='float64' (layer {layer.name!r}), which JAX makes {available}."
        )
