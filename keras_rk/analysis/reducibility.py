"""Stages that a method could do without: unreachable ones, and stages that are always equal.

A stage is unreachable if no weight and no reachable stage uses it: it changes nothing. A set of
stages is equal on every problem if, for a partition of the stages into classes, the sums of a_ij
over each class are the same for all rows i of one class: then all stages of a class have one value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from keras_rk.butcher.tableau import Tableau
from keras_rk.numbers.coefficients import sum_of
from keras_rk.tableaux.as_tableau import as_tableau

__all__ = ["Reducibility", "irreducible_part", "reducibility"]

_Classes = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Reducibility:
    """Which stages a method could do without. Stages are counted from 0.

    Attributes:
        tableau: the method.
        unreachable: the stages that reach neither b nor b_hat.
        unused_by_b: the stages that do not reach b: an embedded pair may need more than b does.
        equal: classes of two and more reachable stages that are equal on every problem.
    """

    tableau: Tableau
    unreachable: tuple[int, ...]
    unused_by_b: tuple[int, ...]
    equal: tuple[tuple[int, ...], ...]

    @property
    def is_irreducible(self) -> bool:
        """Whether every stage counts: none is unreachable, and no two are equal."""
        return not self.unreachable and not self.equal

    @property
    def reduced(self) -> Tableau:
        """The same method with as few stages as give the same results."""
        if self.is_irreducible:
            return self.tableau
        tableau = self.tableau
        gone = {*self.unreachable, *(i for stages in self.equal for i in stages[1:])}
        sets = _sets(tableau, gone, self.equal)
        b, *b_hat = (_merged(weights, sets) for weights in tableau.exact_weights)
        return Tableau(
            [_merged(tableau.exact_A[stages[0]], sets) for stages in sets],
            b,
            None if tableau.has_row_sums else [tableau.exact_c[stages[0]] for stages in sets],
            b_hat=b_hat[0] if b_hat else None,
            name=tableau.name,
            source=tableau.source,
        )


def reducibility(tableau: Any) -> Reducibility:
    """Which stages a method could do without, decided exactly.

    Where nodes are given that are not the row sums, equal stages have equal nodes, too.

    Args:
        tableau: a `Tableau`, a name, a file, or `(A, b[, c])`.

    Example:

    >>> found = reducibility(([[], [1], [0, "1/2"]], ["1/2", "1/2", 0]))
    >>> found.unreachable, found.reduced.stages
    ((2,), 2)

    Source: E. Hairer, G. Wanner, *Solving Ordinary Differential Equations II*, chapter IV.12,
    for the two notions (DJ- and S-reducible).
    """
    tableau = as_tableau(tableau)
    by_b = _reached(tableau, tableau.exact_b)
    reached = by_b.union(*(_reached(tableau, weights) for weights in tableau.exact_weights))
    return Reducibility(
        tableau,
        tuple(i for i in range(tableau.stages) if i not in reached),
        tuple(i for i in range(tableau.stages) if i not in by_b),
        _equal(tableau, sorted(reached)),
    )


def irreducible_part(tableau: Tableau) -> tuple[list[list[Any]], list[Any]]:
    """A and b without stages that b alone could do without."""
    reached = _reached(tableau, tableau.exact_b)
    equal = _equal(tableau, sorted(reached))
    gone = {i for i in range(tableau.stages) if i not in reached}
    sets = _sets(tableau, gone.union(*(stages[1:] for stages in equal)), equal)
    A = [_merged(tableau.exact_A[stages[0]], sets) for stages in sets]
    return A, _merged(tableau.exact_b, sets)


def _sets(tableau: Tableau, gone: set[int], equal: _Classes) -> list[tuple[int, ...]]:
    """The stages that are left, each with those that it stands for; at least one is left."""
    together = {stages[0]: stages for stages in equal}
    kept = [i for i in range(tableau.stages) if i not in gone] or [0]
    return [together.get(i, (i,)) for i in kept]


def _merged(row: Sequence[Any], sets: Sequence[Sequence[int]]) -> list[Any]:
    return [row[s[0]] if len(s) == 1 else sum_of([row[j] for j in s]) for s in sets]


def _reached(tableau: Tableau, weights: Sequence[Any]) -> set[int]:
    """The stages that the weights use, and those that these use."""
    pending = [i for i, weight in enumerate(weights) if weight]
    found = set(pending)
    while pending:
        new = {j for j, x in enumerate(tableau.exact_A[pending.pop()]) if x} - found
        found |= new
        pending.extend(new)
    return found


def _equal(tableau: Tableau, stages: list[int]) -> _Classes:
    """The coarsest partition that fits, by splitting classes until they do.

    Equal stages have equal nodes, so that most often nothing but the nodes need comparing.
    """
    nodes: dict[Any, list[int]] = {}
    for i in stages:
        nodes.setdefault(tableau.exact_c[i], []).append(i)
    classes = list(nodes.values())
    while any(len(members) > 1 for members in classes):
        finer: list[list[int]] = []
        for members in classes:
            groups: dict[Any, list[int]] = {}
            for i in members:
                key = tuple(_merged(tableau.exact_A[i], classes)) if len(members) > 1 else ()
                groups.setdefault(key, []).append(i)
            finer.extend(groups.values())
        if len(finer) == len(classes):
            break
        classes = finer
    return tuple(tuple(members) for members in sorted(classes) if len(members) > 1)
