"""Which residual connections are converted, and by which method each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import Any, NamedTuple

import keras

from keras_rk.layers import RKResidual
from keras_rk.layers.arguments import step_size
from keras_rk.layers.hints import check_keywords
from keras_rk.layers.options import OPTIONS
from keras_rk.models.skip_connections import SkipConnection
from keras_rk.numbers.coefficients import exact, is_float, to_text
from keras_rk.tableaux.as_tableau import as_tableau

NOT_FOR_BLOCKS = ("return_states", "t0")


class Method(NamedTuple):
    """How one block integrates."""

    tableau: Any
    dt: Any


class Selection:
    """What the arguments of a conversion say about each block.

    Args:
        blocks: None for all; a name, a pattern, a list of both, or a function of a connection.
        tableau: one for all, a dictionary by names and patterns, or a function of a connection.
        dt: likewise.
        options: further arguments of `RKResidual`.
    """

    def __init__(self, blocks: Any, tableau: Any, dt: Any, options: dict[str, Any]) -> None:
        self._chosen = blocks if callable(blocks) else _patterns(blocks)
        self._tableau, self._dt = tableau, dt
        check_options(options)
        self._options = options
        for one in tableau.values() if _is_by_name(tableau) else [tableau]:
            for size in dt.values() if _is_by_name(dt) else [dt]:
                if not (_is_function(one) or _is_function(size)):
                    self._check(Method(one, size))

    def chooses(self, connection: SkipConnection) -> bool:
        """Whether a connection is to be converted."""
        if callable(self._chosen):
            return bool(self._chosen(connection))
        if self._chosen is not None and not _matches(connection.name, self._chosen):
            return False
        if _is_by_name(self._tableau):
            return _matches(connection.name, self._tableau)
        return True

    def method(self, connection: SkipConnection) -> Method:
        """By which method, with dt times the scale that the model has there."""
        tableau = _value("tableau", self._tableau, connection)
        dt = _value("dt", self._dt, connection)
        self._check(Method(tableau, dt))
        return Method(as_tableau(tableau), times(dt, connection.scale))

    def check_names(self, kept: Mapping[str, str | None]) -> None:
        """Refuses names and patterns of which nothing in the model is one, or can be converted.

        Args:
            kept: all sums by name, with the reason why they cannot be converted, or None.
        """
        given = {"blocks": None if callable(self._chosen) else self._chosen}
        given |= {
            name: value
            for name, value in (("tableau", self._tableau), ("dt", self._dt))
            if _is_by_name(value)
        }
        convertible = [name for name, reason in kept.items() if reason is None]
        for argument, patterns in given.items():
            for pattern in patterns or ():
                found = [name for name in kept if _matches(name, [pattern])]
                if any(name in convertible for name in found):
                    continue
                why = f", which cannot be converted: {kept[found[0]]}" if found else ""
                raise ValueError(
                    f"`{argument}` names residual connections by the names of their sums, or by "
                    "patterns such as 'conv2_*'. There are: "
                    f"{', '.join(map(repr, convertible)) or 'none'}. Received: {pattern!r}{why}."
                )

    def _check(self, method: Method) -> None:
        """Refuses a method, or options with it, as the layer does, before anything is built."""
        RKResidual(keras.layers.Identity(), *method, **self._options)


def check_options(options: dict[str, Any]) -> None:
    """Refuses arguments that are none of `RKResidual`, or that a converted block cannot have."""
    others = {key: value for key, value in options.items() if key not in OPTIONS}
    check_keywords(RKResidual, others)
    refused = [*others, *(name for name in NOT_FOR_BLOCKS if name in options)]
    if refused:
        raise ValueError(
            "A converted block has the name, the dtype and the place of the sum that it was, and "
            "returns what that returned. Of the arguments of RKResidual it takes "
            f"{', '.join(name for name in OPTIONS if name not in NOT_FOR_BLOCKS)}. "
            f"Received: {', '.join(refused)}."
        )


def times(dt: Any, scale: Any) -> Any:
    """`dt * scale` exactly, a float where that is one.

    >>> times("1/2", 1), times(1.0, 0.17), times("1/3", 0.5)
    ('1/2', 0.17, '1/6')
    """
    given = step_size(dt)[0]
    if scale == 1:
        return given
    value: Any = exact(given) * exact(scale)
    as_float = (is_float(given) or is_float(scale)) and Fraction(float(value)) == value
    return float(value) if as_float else to_text(value)


def _patterns(blocks: Any) -> Sequence[str] | None:
    if blocks is None:
        return None
    found = [blocks] if isinstance(blocks, str) else blocks
    if not isinstance(found, Iterable) or isinstance(found, Mapping):
        found = [found]
    names = list(found)
    if not names or not all(isinstance(name, str) for name in names):
        raise ValueError(
            "`blocks` is None for all residual connections, the name of a sum, a pattern such as "
            "'conv2_*', a list of these, or a function that says of each whether it is converted. "
            f"Received: blocks={blocks!r} (of type {type(blocks).__name__})."
        )
    return names


def _matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether a name, or its last part, is one of the patterns."""
    last = name.rsplit("/", 1)[-1]
    return any(fnmatchcase(name, one) or fnmatchcase(last, one) for one in patterns)


def _is_by_name(value: Any) -> bool:
    """Whether a dictionary is one of names, and not a tableau as `to_dict` writes it."""
    return isinstance(value, Mapping) and not {"A", "b"} <= value.keys()


def _is_function(value: Any) -> bool:
    return callable(value) and not hasattr(value, "stages")


def _value(argument: str, value: Any, connection: SkipConnection) -> Any:
    """What is given for one connection."""
    if _is_by_name(value):
        for pattern, one in value.items():
            if _matches(connection.name, [pattern]):
                return one
        raise ValueError(
            f"`{argument}` as a dictionary needs an entry for each block that is converted; "
            f"'*' stands for all others. Received: none for {connection.name!r}."
        )
    function: Callable[[Any], Any] = value
    return function(connection) if _is_function(value) else value
