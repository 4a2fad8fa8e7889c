"""Which methods somebody may have meant by a name that no method has.

A name is letters and digits, and the digits say orders: `rk5` means order 5, `dopri45` the orders
4 and 5 of a pair. So letters are compared with letters, and orders with orders.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import SequenceMatcher

__all__ = ["Orders", "of_orders", "resembling"]

Orders = tuple[int, int | None]  # of a method: of its weights and of its embedded weights

_ANY_METHOD = ("rk", "erk", "runge", "kutta", "rungekutta", "order")
_ALIKE = 0.6  # of letters, as in `difflib.get_close_matches`
_MOST = 3
_SAME = 3


def resembling(
    wanted: str, spellings: Mapping[str, str], orders: Mapping[str, Orders]
) -> list[str]:
    """The spellings that `wanted` resembles most, one for each method, the best first.

    Args:
        wanted: the name asked for, in lower case and without punctuation.
        spellings: names and aliases, written in the same way, and the method each stands for.
        orders: the orders of each method.
    """
    meant = _orders_meant(wanted)
    letters = _letters(wanted)
    scores: dict[str, tuple[float, ...]] = {}
    for spelling, name in spellings.items():
        alike = _ratio(letters, _letters(spelling))
        if alike >= _ALIKE:
            scores[spelling] = (_fit(meant, orders[name]), alike, _ratio(wanted, spelling))
    fits = {fit for fit, *_ in scores.values()}
    least = _SAME if _SAME in fits or (meant and letters in _ANY_METHOD) else int(any(fits))
    scores = {spelling: score for spelling, score in scores.items() if score[0] >= least}
    best: dict[str, str] = {}
    for spelling in sorted(scores, key=scores.__getitem__, reverse=True):
        best.setdefault(spellings[spelling], spelling)
    return list(best.values())[:_MOST]


def of_orders(wanted: str, orders: Mapping[str, Orders]) -> list[str]:
    """All methods of the orders meant, where the letters leave open which one."""
    meant = _orders_meant(wanted)
    if not meant or _letters(wanted) not in _ANY_METHOD:
        return []
    return [name for name, found in orders.items() if _fit(meant, found) == _SAME]


def _orders_meant(name: str) -> tuple[int, ...]:
    digits = re.search(r"10|[1-9]{1,2}", name)
    if digits is None or digits[0] == "10":
        return (10,) if digits else ()
    return tuple(map(int, digits[0]))


def _fit(meant: tuple[int, ...], orders: Orders) -> int:
    """The orders meant are the method's; 2: the first of them is; 1: another one; 0: none."""
    order, embedded = orders
    if meant == (order,) or (len(meant) == 2 and set(meant) == {order, embedded or order}):
        return _SAME
    return 2 if order in meant[:1] else int(order in meant)


def _letters(name: str) -> str:
    return "".join(character for character in name if character.isalpha())


def _ratio(first: str, second: str) -> float:
    return SequenceMatcher(None, first, second).ratio()
