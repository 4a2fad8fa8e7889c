"""Numbers that are right and stand in the wrong place: exchanged, permuted, one place off."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import combinations

from keras_rk.analysis.repair.candidates import Candidate, Clock, rebuilt
from keras_rk.analysis.repair.fault import Fault
from keras_rk.butcher.tableau import Tableau
from keras_rk.numbers.coefficients import Coefficient

__all__ = [
    "exchanged_rows",
    "exchanged_weights",
    "explicit_order",
    "moved_entries",
    "reordered_stages",
]

_EXCHANGED, _PERMUTED, _ROWS, _SHIFTED, _ENTRIES = 1.0, 1.0, 1.1, 1.2, 1.3


def exchanged_weights(fault: Fault, clock: Clock) -> Iterator[Candidate]:
    """b and b_hat, where each has the order that the other one should have."""
    report, (b, *embedded) = fault.report, fault.tableau.exact_weights
    if embedded and not fault.rows_off and fault.tableau.is_explicit:
        orders = [report.embedded_order or 0, report.order]
        if all(order >= wish for order, wish in zip(orders, fault.wishes, strict=True)):
            other = rebuilt(fault.tableau, b=embedded[0], b_hat=b)
            yield Candidate(other, _EXCHANGED, "b and b_hat exchanged")


def reordered_stages(fault: Fault, clock: Clock) -> Iterator[Candidate]:
    """A stage order that makes the method explicit."""
    tableau = fault.tableau
    if not tableau.is_explicit and (order := explicit_order(tableau)):
        text = f"the stages in the order {', '.join(map(str, order))}, which makes A explicit"
        yield Candidate(_permuted(tableau, order), _PERMUTED, text)


def explicit_order(tableau: Tableau) -> list[int]:
    """An order of the stages in which each needs earlier ones only, or none.

    Of the stages that could come next, the one with the smallest node does.
    """
    left = set(range(tableau.stages))
    order: list[int] = []
    while left:
        ready = [i for i in left if not any(tableau.exact_A[i][j] for j in left)]
        if not ready:
            return []
        order.append(min(ready, key=lambda i: (float(tableau.exact_c[i]), i)))
        left.remove(order[-1])
    return order


def _permuted(tableau: Tableau, order: Sequence[int]) -> Tableau:
    def put(row: Sequence[Coefficient]) -> list[Coefficient]:
        return [row[i] for i in order]

    return rebuilt(
        tableau,
        A=[put(tableau.exact_A[i]) for i in order],
        b=put(tableau.exact_b),
        c=None if tableau.has_row_sums else put(tableau.exact_c),
        b_hat=None if tableau.exact_b_hat is None else put(tableau.exact_b_hat),
    )


def exchanged_rows(fault: Fault, clock: Clock) -> Iterator[Candidate]:
    """Two rows of A, alone or with their nodes, and two nodes."""
    tableau = fault.tableau
    for i, k in combinations(range(tableau.stages), 2):
        if clock.is_over():
            return
        A, c = list(tableau.exact_A), list(tableau.exact_c)
        A[i], A[k] = A[k], A[i]
        c[i], c[k] = c[k], c[i]
        may = not any(A[i][i:]) and not any(A[k][k:])
        if may and fault.holds({i: A[i], k: A[k]}):
            yield Candidate(rebuilt(tableau, A=A), _ROWS, f"rows {i} and {k} of A exchanged")
            if not tableau.has_row_sums:
                text = f"rows {i} and {k} exchanged, with their nodes"
                yield Candidate(rebuilt(tableau, A=A, c=c), _ROWS, text)
        if {i, k} == set(fault.rows_off):
            yield Candidate(rebuilt(tableau, c=c), _ROWS, f"c[{i}] and c[{k}] exchanged")


def moved_entries(fault: Fault, clock: Clock) -> Iterator[Candidate]:
    """A zero missing or too many, so that what follows is one place off; two entries exchanged."""
    if fault.rows_off:
        return  # no sum changes
    tableau = fault.tableau
    rows: list[tuple[int, str, Sequence[Coefficient]]] = [
        (i, f"row {i} of A", row) for i, row in enumerate(tableau.exact_A)
    ]
    for number, field in enumerate(("b", "b_hat")[: len(fault.wishes)], tableau.stages):
        rows.append((number, field, tableau.exact_weights[number - tableau.stages]))
    for number, what, row in rows:
        length = min(number, tableau.stages)
        for other, cost, text in (*_shifted(row, length), *_with_exchange(row, length)):
            if clock.is_over():
                return
            if not any(other[length:]) and fault.holds({number: other}):
                yield Candidate(_with_row(tableau, number, other), cost, f"{what} {text}")


def _shifted(
    row: Sequence[Coefficient], length: int
) -> Iterator[tuple[list[Coefficient], float, str]]:
    zero = Fraction(0)
    seen = {tuple(row)}
    for j in range(min(length + 1, len(row))):
        moved = [
            ([*row[:j], zero, *row[j:-1]], f"with a zero put in at [{j}]") if not row[-1] else None,
            ([*row[:j], *row[j + 1 :], zero], f"without the zero at [{j}]") if not row[j] else None,
        ]
        if length < len(row) and not row[length - 1] and j < length:  # beyond stand zeros anyway
            put_in = [*row[:j], zero, *row[j : length - 1], *row[length:]]
            moved.append((put_in, f"with a zero put in at [{j}]"))
        for entry in filter(None, moved):
            if tuple(entry[0]) not in seen:
                seen.add(tuple(entry[0]))
                yield entry[0], _SHIFTED, entry[1]


def _with_exchange(
    row: Sequence[Coefficient], length: int
) -> Iterator[tuple[list[Coefficient], float, str]]:
    for j, k in combinations(range(length), 2):
        if row[j] != row[k]:
            other = list(row)
            other[j], other[k] = other[k], other[j]
            yield other, _ENTRIES + (k - j > 1) / 5, f"with [{j}] and [{k}] exchanged"


def _with_row(tableau: Tableau, number: int, row: Sequence[Coefficient]) -> Tableau:
    if number == tableau.stages:
        return rebuilt(tableau, b=row)
    if number > tableau.stages:
        return rebuilt(tableau, b_hat=row)
    A = [row if i == number else old for i, old in enumerate(tableau.exact_A)]
    return rebuilt(tableau, A=A)
