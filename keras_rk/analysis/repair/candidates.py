"""A change that may mend a tableau, and the tableau with it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keras_rk.analysis.repair.slips import cost
from keras_rk.butcher.tableau import Tableau
from keras_rk.numbers.coefficients import Coefficient
from keras_rk.proof.digits import brief

__all__ = ["Candidate", "Clock", "Place", "changed", "name_of", "rebuilt", "value_at"]

Place = tuple[str, int, int]  # ("A", row, column), ("b", 0, i), ("b_hat", 0, i), ("c", 0, i)


@dataclass(frozen=True)
class Candidate:
    """A tableau that is worth a proof.

    Attributes:
        tableau: with the change.
        cost: how unlikely it is that the change undoes a slip: 1 for a plain one.
        text: what to change, as a sentence without its end.
    """

    tableau: Tableau
    cost: float
    text: str


class Clock:
    """Time that runs out."""

    def __init__(self, seconds: float) -> None:
        self._end = time.perf_counter() + seconds

    def shortened(self, seconds: float) -> Clock:
        """One that ends so much earlier."""
        return Clock(self._end - seconds - time.perf_counter())

    def is_over(self, share: float = 0.0) -> bool:
        """Whether less than so many seconds are left."""
        return time.perf_counter() + share > self._end


def name_of(place: Place) -> str:
    """The place as users write it.

    >>> name_of(("A", 2, 1)), name_of(("b", 0, 3))
    ('A[2][1]', 'b[3]')
    """
    field, i, j = place
    return f"A[{i}][{j}]" if field == "A" else f"{field}[{j}]"


def value_at(tableau: Tableau, place: Place) -> Coefficient:
    field, i, j = place
    if field == "A":
        return tableau.exact_A[i][j]
    row: Any = getattr(tableau, f"exact_{field}")
    return row[j]


def changed(tableau: Tableau, values: Mapping[Place, Coefficient], extra: float = 0.0) -> Candidate:
    """The candidate with other values in some places.

    Args:
        extra: what the change costs beside the cost of each value, for each further one.
    """
    A = [list(row) for row in tableau.exact_A]
    rows: dict[str, list[Coefficient]] = {}
    total, words = -extra, []
    for place, value in values.items():
        field, i, j = place
        old = value_at(tableau, place)
        total += cost(old, value) + extra
        words.append(f"{name_of(place)} = {brief(value)} instead of {brief(old)}")
        if field == "A":
            A[i][j] = value
        else:
            found = rows.setdefault(field, list(getattr(tableau, f"exact_{field}")))
            found[j] = value
    return Candidate(rebuilt(tableau, A=A, **rows), total, " and ".join(words))


def rebuilt(
    tableau: Tableau,
    A: Sequence[Sequence[Coefficient]] | None = None,
    b: Sequence[Coefficient] | None = None,
    c: Sequence[Coefficient] | None = None,
    b_hat: Sequence[Coefficient] | None = None,
) -> Tableau:
    """The same method with other rows; nodes that were row sums are row sums again."""
    nodes = None if tableau.has_row_sums else tableau.exact_c
    data = {
        "A": tableau.exact_A if A is None else A,
        "b": tableau.exact_b if b is None else b,
        "c": nodes if c is None else c,
        "b_hat": tableau.exact_b_hat if b_hat is None else b_hat,
        "claimed_order": tableau.claimed_order,
        "claimed_embedded_order": tableau.claimed_embedded_order,
        "name": tableau.name,
        "source": tableau.source,
        "has_floats": tableau.has_floats,
    }
    return Tableau.from_dict(data)
