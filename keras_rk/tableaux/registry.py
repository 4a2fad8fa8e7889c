"""The table of named methods: what is written down when, what is built when.

A module of this package calls `method` once per method. That stores text and nothing else: no
coefficient is parsed, no `Tableau` built, before somebody asks for the method by its name.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from keras_rk.butcher.notation import Coefficients, read_drawing, read_listing
from keras_rk.errors import TableauError, shown

if TYPE_CHECKING:
    from keras_rk.butcher.tableau import Tableau

__all__ = [
    "METHODS",
    "NamedMethod",
    "aliases",
    "also_called",
    "described",
    "get",
    "method",
    "names",
]

_INDICES = re.compile(r"\[([0-9]+)")
_LONGEST_NAME = 64
_MOST_OF_AN_ORDER = 8  # methods, in an error


@dataclass(frozen=True)
class NamedMethod:
    """A method as it is written down: coefficients as text, claims, and where it comes from."""

    name: str
    order: int
    embedded_order: int | None
    source: str
    drawing: str | None
    listing: str | None

    @property
    def stages(self) -> int:
        """Read off the text, which lists need for all methods, without reading coefficients."""
        if self.drawing is not None:
            return self.drawing.partition("--")[0].count("|")
        return max(map(int, _INDICES.findall(self.listing or "")), default=0)

    def coefficients(self) -> Coefficients:
        if self.drawing is not None:
            return read_drawing(self.drawing, self.name)
        return read_listing(self.listing or "", self.name)

    def tableau(self) -> Tableau:
        from keras_rk.butcher.tableau import Tableau

        A, b, c, b_hat = self.coefficients()
        return Tableau(
            A,
            b,
            c,
            b_hat=b_hat,
            claimed_order=self.order,
            claimed_embedded_order=self.embedded_order,
            name=self.name,
            source=self.source,
        )


METHODS: dict[str, NamedMethod] = {}
_ALIASES: dict[str, str] = {}
_BUILDING = threading.RLock()
_NOT_SUGGESTED: set[str] = set()  # spellings
_SPELLINGS: dict[str, str] = {}  # a name or alias, without case and punctuation -> the name


def method(
    name: str,
    *,
    order: int,
    source: str,
    drawing: str | None = None,
    listing: str | None = None,
    embedded_order: int | None = None,
    aliases: tuple[str, ...] = (),
) -> None:
    """Writes a method down under its name.

    Args:
        name: in lower_snake_case. A pair ends in two digits: `name54` steps with weights `b` of
            order 5 and has embedded weights `b_hat` of order 4.
        order: the order that the source claims for `b`; a claim, which `check` verifies.
        source: author, title, year; where the coefficients came from, if not from there.
        drawing: the tableau as text-books draw it (see `notation.read_drawing`), or
        listing: its coefficients one by one (see `notation.read_listing`).
        embedded_order: the order that the source claims for `b_hat`.
        aliases: other names by which `get` finds the method.
    """
    if (drawing is None) == (listing is None):
        raise TableauError(f"A method has a drawing or a listing, not both. Received: {name!r}.")
    _reserve(name, name, *aliases)
    _ALIASES.update(dict.fromkeys(aliases, name))
    METHODS[name] = NamedMethod(name, order, embedded_order, source, drawing, listing)


def also_called(name: str, *aliases: str) -> None:
    """Further aliases, which nobody is likely to mean by another name."""
    _reserve(name, *aliases)
    _ALIASES.update(dict.fromkeys(aliases, name))
    _NOT_SUGGESTED.update(map(_plain, aliases))


def _reserve(name: str, *spellings: str) -> None:
    """Takes the spellings for a method, unless one of them is taken."""
    plain = {_plain(spelling): name for spelling in spellings}
    if len(plain) < len(spellings) or plain.keys() & _SPELLINGS.keys():
        raise TableauError(
            f"A name or alias stands for one method. Received: {spellings}, where one of"
            f" them is taken."
        )
    _SPELLINGS.update(plain)


def names() -> tuple[str, ...]:
    """The names of all methods, by order, and as they are written down within one order."""
    return tuple(sorted(METHODS, key=lambda name: METHODS[name].order))


def aliases() -> dict[str, str]:
    """Other names that `get` accepts, and the method each one stands for."""
    return dict(_ALIASES)


def described() -> list[dict[str, Any]]:
    """What each method claims to be, without building its tableau: for lists and programs."""
    return [
        {
            "name": name,
            "order": METHODS[name].order,
            "embedded_order": METHODS[name].embedded_order,
            "stages": METHODS[name].stages,
            "source": METHODS[name].source,
            "aliases": [alias for alias, stands_for in _ALIASES.items() if stands_for == name],
        }
        for name in names()
    ]


def get(name: str) -> Tableau:
    """The tableau of a method, by its name or an alias.

    Case, spaces and punctuation do not matter: `get("Dormand-Prince 5(4)")` is
    `get("dormand_prince54")`. Asked twice for one method, it returns the same object.

    Raises:
        TableauError: where no method has that name; it suggests the nearest ones.
    """
    if not isinstance(name, str):
        raise TableauError(f"A method is asked for by its name. Received: {shown(name)}.")
    found = _SPELLINGS.get(_plain(name[:_LONGEST_NAME]))
    if found is None or len(name) > _LONGEST_NAME:
        raise TableauError(_unknown(name))
    with _BUILDING:  # `cache` alone gives threads that ask at once an object each
        return _built(found)


@cache
def _built(name: str) -> Tableau:
    return METHODS[name].tableau()


def _plain(name: str) -> str:
    return "".join(character for character in name.lower() if character.isalnum())


def _unknown(name: str) -> str:
    from keras_rk.tableaux.suggestions import of_orders, resembling

    wanted = _plain(name[:_LONGEST_NAME])
    orders = {known: (METHODS[known].order, METHODS[known].embedded_order) for known in names()}
    written = {_plain(known): known for known in (*orders, *_ALIASES)}
    likely = {key: name for key, name in _SPELLINGS.items() if key not in _NOT_SUGGESTED}
    near = [wanted] if wanted in written else resembling(wanted, likely, orders)
    same = of_orders(wanted, orders) if wanted not in written else []
    listed = [*same[:_MOST_OF_AN_ORDER], *(["..."] if same[_MOST_OF_AN_ORDER:] else [])]
    hints = [
        f"Did you mean {' or '.join(repr(written[key]) for key in near)}? " if near else "",
        f"Methods of that order: {', '.join(listed)}. " if same else "",
        "A file is read with Tableau.from_file(path). " if set("./\\") & set(name) else "",
    ]
    return (
        f"No method has this name; {len(METHODS)} are known. {''.join(hints)}`keras-rk list` and "
        f"keras_rk.tableaux.names() list them. Received: {shown(name)}."
    )
