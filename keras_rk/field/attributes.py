"""The attributes of f's layers: what f computes with beside its variables and its arguments.

A dropout rate, a regularizer, a switch of a layer of one's own may be another one in the next call.
What is remembered of an earlier call is then no longer true.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from operator import is_
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any
from weakref import ProxyTypes

import keras
import numpy as np

from keras_rk.field.copies import templates_of
from keras_rk.loops.common import LIBRARIES, is_tensor

SETTINGS = ("trainable", "dtype_policy", "activity_regularizer", "autocast", "supports_masking")
MOST_ENTRIES = 1000  # of a container or an array: larger ones are told apart by identity
MOST_DEPTH = 8  # of containers in one another
MOST_ROWS = 2000  # what refers to more than that is looked into no further

Row = tuple[int, Any]


class Attributes:
    """What values, layers among them, and all that these are made of have as attributes.

    Looked into are layers, operations and regularizers, containers, and what belongs to no library:
    objects, their classes, and functions (defaults, what they enclose, and what they find under a
    name in their module, other functions of one's own among that). Tensors are not: where they
    matter, they are arguments of f.

    Args:
        values: where to begin.
        left_out: rows that do not count.

    Attributes:
        rows: for each object (its id) and name what is there, such that `==` compares it.
    """

    def __init__(self, values: Sequence[Any], left_out: Collection[Row] = ()) -> None:
        self._objects: dict[int, Any] = {}  # kept alive, so that no other one takes over an id
        self._waiting: list[Any] = []
        self._parts: list[tuple[Callable[[], Iterable[Any]], tuple]] = []
        self._can_tell = True
        self._values = tuple(values)
        self.rows: dict[Row, Any] = {(0, ""): self._comparable(values)}
        for one in self._waiting:  # which grows meanwhile, the nearest first
            if len(self.rows) >= MOST_ROWS:
                break
            for parts in _parts_of(one):
                self._note(parts)
            for name, value in _attributes(one):
                row = id(one), name
                if row not in left_out:
                    self.rows[row] = self._comparable(value)

    def are_untouched(self, values: Sequence[Any]) -> bool:
        """Whether the values are the same objects, as is all that is held by what was looked into.

        That takes a fraction of the time of looking again; False may be wrong.
        """
        return (
            self._can_tell
            and _is_same(values, self._values)
            and all(_is_same(parts(), before) for parts, before in self._parts)
        )

    def _note(self, parts: Callable[[], Iterable[Any]]) -> None:
        self._parts.append((parts, tuple(parts())))

    def changed_since(self, before: Attributes) -> set[Row]:
        """The rows that are others than before."""
        rows = {**before.rows, **self.rows}
        return {row for row in rows if before.rows.get(row) != self.rows.get(row)}

    def leave_out(self, rows: Collection[Row]) -> None:
        """Forgets some rows."""
        for row in rows:
            self.rows.pop(row, None)

    def _comparable(self, value: Any, depth: int = 0) -> Any:
        if type(value) in _PLAIN:
            return value
        if type(value) in ProxyTypes:  # which may be dead
            return id(value)
        if isinstance(value, _NUMBERS):
            return type(value), value
        if isinstance(value, _CONTAINERS) and len(value) <= MOST_ENTRIES and depth < MOST_DEPTH:
            if not isinstance(value, (tuple, frozenset)):
                self._note(partial(_contents, value))
            return type(value), *[self._comparable(part, depth + 1) for part in _contents(value)]
        if isinstance(value, np.ndarray) and value.size <= MOST_ENTRIES:
            self._can_tell = False
            return value.dtype, value.shape, value.tobytes()
        if is_tensor(value) and not isinstance(value, (keras.Variable, np.ndarray)):
            return "tensor"
        return self._identity(value)

    def _identity(self, value: Any) -> int:
        if id(value) not in self._objects:
            self._objects[id(value)] = value
            if _is_looked_into(value):
                self._waiting.append(value)
        return id(value)


def _is_same(found: Iterable[Any], others: tuple) -> bool:
    values = tuple(found)
    return len(values) == len(others) and all(map(is_, values, others))


def _contents(container: Any) -> tuple:
    return (*container, *container.values()) if isinstance(container, Mapping) else (*container,)


_DTYPE = "float32"  # to ask for the default one would settle it before a user has set it


def _lists_of_layers() -> list[str]:
    outer, inner = (keras.layers.Layer(name=name, dtype=_DTYPE) for name in ("outer", "inner"))
    outer.inner = inner
    lists = ((name, value) for name, value in vars(outer).items() if isinstance(value, list))
    return [name for name, value in lists if any(one is inner for one in value)]


_WITHOUT_SETTINGS = frozenset(("keras", "keras_rk", "builtins", "numpy"))
_LIBRARIES = _WITHOUT_SETTINGS | LIBRARIES | sys.stdlib_module_names - {"__main__"}
_PLAIN = frozenset((type(None), str, bool))
_NUMBERS = (int, float, complex, bytes, np.generic)
_CONTAINERS = (list, tuple, set, frozenset, Mapping)
_BASES = frozenset(keras.layers.Layer.__mro__)  # with what the backend puts into it
_OF_LAYERS = frozenset(vars(keras.layers.Layer(name="layer", dtype=_DTYPE)))
_LAYERS = _lists_of_layers()  # where Keras keeps the layers of a layer
_OF_MODELS = frozenset((*vars(keras.Model(name="model", dtype=_DTYPE)), "optimizer"))


def _is_looked_into(value: Any) -> bool:
    if isinstance(value, (keras.Variable, ModuleType)):
        return False
    if isinstance(value, (keras.Operation, keras.regularizers.Regularizer, MethodType, partial)):
        return True
    if isinstance(value, (type, FunctionType)):
        return _is_own(value)
    return hasattr(value, "__dict__") and _package(type(value)) not in _WITHOUT_SETTINGS


def _is_own(value: Any) -> bool:
    """Whether a class or a function is none of a library, of Python or of this package."""
    return value not in _BASES and _package(value) not in _LIBRARIES


def _package(value: Any) -> str:
    return (getattr(value, "__module__", None) or "builtins").partition(".")[0]


def _parts_of(value: Any) -> list[Callable[[], Iterable[Any]]]:
    """Functions that return the objects which something that is looked into holds directly."""
    if isinstance(value, (MethodType, partial)):
        return []
    if isinstance(value, FunctionType):
        return [lambda: [part for _, part in _of_function(value)]]
    if isinstance(value, type):
        return [vars(kind).values for kind in value.__mro__ if _is_own(kind)]
    held: list[Callable[[], Iterable[Any]]] = [vars(value).values]
    if isinstance(value, keras.layers.TorchModuleWrapper):
        held.append(lambda: [value.module])
    return held


def _attributes(value: Any) -> Iterator[tuple[Any, Any]]:
    """What is to be compared of something that is looked into, by name."""
    if isinstance(value, MethodType):
        yield "__func__", value.__func__
        yield "__self__", value.__self__
    elif isinstance(value, partial):
        yield "partial", (value.func, value.args, value.keywords)
    elif isinstance(value, FunctionType):
        yield from _of_function(value)
    elif isinstance(value, type):
        for kind in filter(_is_own, value.__mro__):
            yield from _of_class(kind)
    else:
        yield "__class__", type(value)
        if isinstance(value, keras.layers.Layer):
            yield from _of_layer(value)
        else:
            yield from list(vars(value).items())


def _of_layer(layer: keras.layers.Layer) -> Iterator[tuple[Any, Any]]:
    hidden = _OF_MODELS if isinstance(layer, keras.Model) else _OF_LAYERS
    for name in SETTINGS:
        yield name, getattr(layer, name)
    for name, value in list(vars(layer).items()):
        if name not in hidden:
            yield name, value
    yield "layers", (*[vars(layer).get(name) for name in _LAYERS], *templates_of(layer))
    if isinstance(layer, keras.layers.TorchModuleWrapper):
        yield "module", layer.module


def _of_class(kind: type) -> Iterator[tuple[Any, Any]]:
    for name, value in list(vars(kind).items()):
        function = getattr(value, "fget", None) or getattr(value, "__func__", value)
        if isinstance(function, FunctionType):
            yield (kind, name), function
        elif isinstance(value, (*_NUMBERS, str)) and not name.startswith("__"):
            yield (kind, name), value


def _of_function(function: FunctionType) -> Iterator[tuple[Any, Any]]:
    yield "defaults", function.__defaults__
    yield "keyword defaults", function.__kwdefaults__
    for place, cell in enumerate(function.__closure__ or ()):
        try:
            yield place, cell.cell_contents
        except ValueError:  # not assigned to yet
            continue
    names = _names_in(function.__code__)
    for name in names:
        value = function.__globals__.get(name)
        if not isinstance(value, ModuleType):
            yield (name,), value
            continue
        for inner in names:
            if isinstance(vars(value).get(inner), (*_NUMBERS, str)):
                yield (name, inner), vars(value)[inner]


def _names_in(code: CodeType) -> list[str]:
    """What a function looks up by name, as do functions and comprehensions inside it."""
    inside = (
        names for part in code.co_consts if isinstance(part, CodeType) for names in _names_in(part)
    )
    return list(dict.fromkeys((*code.co_names, *inside)))
