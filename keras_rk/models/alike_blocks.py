"""Blocks of one kind that follow one another in a graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras

from keras_rk.models.descriptions import same_kind
from keras_rk.models.recorded_graph import Call
from keras_rk.models.replay import Item
from keras_rk.models.skip_connections import SkipConnection, without_carried_masks


class AlikeBlocks:
    """Residual connections of one kind, each with what comes after it up to the next one.

    Attributes:
        units: for each block its connection, and the items after it; all alike.
    """

    def __init__(self, units: Sequence[Sequence[Item]]) -> None:
        self.units = [list(unit) for unit in units]
        self.x: Any = self.connections[0].x

    @property
    def connections(self) -> list[SkipConnection]:
        """The first item of each block."""
        return [unit[0] for unit in self.units if isinstance(unit[0], SkipConnection)]

    @property
    def result(self) -> Any:
        """The tensor that the last block returns."""
        return result_of(self.units[-1][-1])

    @property
    def name(self) -> str:
        """The name of the layer or operation that returned it."""
        last = self.units[-1][-1]
        return (last.call if isinstance(last, SkipConnection) else last).operation.name


def result_of(item: Item) -> Any:
    """The tensor that an item returns."""
    return item.result if isinstance(item, SkipConnection) else item.outputs[0]


def gathered(
    items: Sequence[Item], outputs: Any, kind_of: Callable[[Item], Any]
) -> list[Item | AlikeBlocks]:
    """Items with blocks of one kind, where they follow one another, in one.

    Args:
        items: the calls of a graph in order, with connections in the place of theirs.
        outputs: the tensors that the model returns.
        kind_of: equal for items that are alike; None for an item that may be in no stack.
    """
    found: dict[int, AlikeBlocks] = {}
    inside: set[int] = set()
    for chain in _chains(items, outputs):
        kinds = [kind_of(items[place]) for place in chain]
        for start, period, count in _repetitions(kinds, [items[place] for place in chain]):
            places = chain[start : start + period * count]
            rows = [places[n * period : (n + 1) * period] for n in range(count)]
            found[places[-1]] = AlikeBlocks([[items[place] for place in row] for row in rows])
            inside.update(places[:-1])
    return [found.get(n, item) for n, item in enumerate(items) if n not in inside]


def kind_with(
    shares: Callable[[Sequence[Call]], Any], method: Callable[[SkipConnection], Any]
) -> Callable[[Item], Any]:
    """What says of an item of which kind it is.

    Args:
        shares: whether layers of some calls are called elsewhere, too.
        method: the method of a connection.
    """

    def kind_of(item: Item) -> Any:
        calls = item.calls if isinstance(item, SkipConnection) else [item]
        if shares(calls):
            return None
        tableau = method(item).tableau if isinstance(item, SkipConnection) else None
        return same_kind(item), tableau

    return kind_of


def _chains(items: Sequence[Item], outputs: Any) -> Iterator[list[int]]:
    """The places of items of which each takes what the one before returns, and nobody else does."""
    users: dict[int, list[int]] = {}
    for place, item in enumerate(items):
        for tensor in _inputs(item):
            users.setdefault(id(tensor), []).append(place)
    kept = {id(tensor) for tensor in keras.tree.flatten(outputs)}
    links = [place for place, item in enumerate(items) if _is_link(item)]
    following: dict[int, int] = {}
    for place in links:
        result = result_of(items[place])
        after = users.get(id(result), [])
        if len(after) == 1 and id(result) not in kept and _is_link(items[after[0]]):
            following[place] = after[0]
    followers = set(following.values())
    for start in links:
        if start in followers:
            continue
        chain = [start]
        while chain[-1] in following:
            chain.append(following[chain[-1]])
        yield chain


def _inputs(item: Item) -> list[Any]:
    if isinstance(item, SkipConnection):
        return [item.x]
    arguments = without_carried_masks(item)
    return [x for x in keras.tree.flatten(arguments) if isinstance(x, keras.KerasTensor)]


def _is_link(item: Item) -> bool:
    """Whether an item takes one tensor and returns one."""
    return isinstance(item, SkipConnection) or (len(_inputs(item)) == 1 == len(item.outputs))


def _repetitions(kinds: Sequence[Any], items: Sequence[Item]) -> Iterator[tuple[int, int, int]]:
    """Where a row repeats itself, beginning with a connection: start, period and count.

    From left to right, each time what covers most, with the shortest period.
    """
    start = 0
    while start < len(kinds):
        best = (0, 0, 0)
        if isinstance(items[start], SkipConnection):
            for period in range(1, (len(kinds) - start) // 2 + 1):
                count = _count(kinds, start, period)
                if count > 1 and count * period > best[0]:
                    best = (count * period, period, count)
        covered, period, count = best
        if covered:
            yield start, period, count
        start += covered or 1


def _count(kinds: Sequence[Any], start: int, period: int) -> int:
    unit = kinds[start : start + period]
    if None in unit:
        return 0
    count = 1
    while kinds[start + count * period : start + (count + 1) * period] == unit:
        count += 1
    return count
